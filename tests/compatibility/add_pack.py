"""Keep a tiny signed pack of each format that this version writes: ``python add_pack.py``.

Run once for each release, from the root of the repository. The private key is thrown away.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from simulators import packs as simulated  # noqa: E402 - the path above comes first
from simulators.trust import sign_files, trust_of  # noqa: E402 - the same
from trocar import __version__  # noqa: E402 - the same
from trocar.contracts.limits import NETWORK_SIDE_PX_MIN  # noqa: E402 - the same
from trocar.packs.one_file import ONE_FILE_SUFFIX, one_file_of  # noqa: E402 - the same
from trocar.packs.reading import read_pack_files  # noqa: E402 - the same
from trocar_lab.signing.keys import new_file_key  # noqa: E402 - the same

FACTS: dict[int, dict[str, object]] = {1: {}, 2: {"precision": "fp32"}}
"""Each format that this version writes, and what a manifest says to be of it."""


def add(packs: Path, number: int) -> Path:
    """Write folder, archive, public key and record of one more pack; refuse to replace one.

    Args:
        packs: Folder of all of them.
        number: Format of the manifest.
    """
    target = packs / f"{number}-{__version__}"
    target.mkdir(parents=True)
    folder = target / "tiny"
    simulated.SIDE_PX = NETWORK_SIDE_PX_MIN
    pack = simulated.write_tiny_pack(folder, **FACTS[number])
    for path in sorted(trust_of(folder).iterdir()):
        path.unlink()
    trust_of(folder).rmdir()
    key = new_file_key()
    sign_files(folder, key=key)
    (target / f"tiny{ONE_FILE_SUFFIX}").write_bytes(one_file_of(read_pack_files(folder)))
    (target / "maker.release.pem").write_bytes(key.public_pem)
    record = {"pack": pack.manifest.pack_id, "digest": pack.digest, "written_by": __version__}
    (target / "record.json").write_text(json.dumps(record, indent=2) + "\n", encoding="ascii")
    return target


if __name__ == "__main__":
    for one in FACTS:
        written = add(ROOT / "tests" / "compatibility" / "packs", one)
        sys.stdout.write(f"written: {written}\n")
