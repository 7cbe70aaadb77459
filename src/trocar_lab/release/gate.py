"""What a production release asks for before it is built, and before it is signed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from trocar.statements.trust import KeyGrade
from trocar_lab.evidence.signed.release_statement import KEYS
from trocar_lab.release.assembly import Given
from trocar_lab.release.errors import NotReleasableError
from trocar_lab.release.release_signature import ReleaseKey, known_keys
from trocar_lab.release.source_tree import Source

__all__ = ["TRUST", "early_reasons", "trust_reasons", "verdict_reasons"]

TRUST: Final = "src/trocar/assets/trust"
_SECONDS_MAX: Final = 1800


def early_reasons(source: Source, key: ReleaseKey) -> list[str]:
    """Return what is known to stop a production release before anything is built.

    Args:
        source: The commit.
        key: The key that would sign.
    """
    reasons = []
    if not source.tag:
        reasons.append("the commit has no tag v<version>; a production release is built from one")
    if not source.is_clean:
        reasons.append("the working tree has changes that are not committed")
    if key.grade is not KeyGrade.RELEASE:
        reasons.append(
            f"the key is no release key: {key.key_id[:12]} ({key.origin}) is not among the"
            f" *.release.pem of {KEYS}"
        )
    return reasons


def trust_reasons(tree: Path) -> list[str]:
    """Return why the trust folders of a source are not those of a production release.

    Args:
        tree: Unpacked source.
    """
    reasons: list[str] = []
    for place in (TRUST, KEYS):
        try:
            keys = known_keys(tree / place)
        except NotReleasableError as exc:
            reasons += exc.reasons
            continue
        developing = [key for key in keys if key.grade is KeyGrade.DEVELOPMENT]
        reasons += [f"{place} trusts development key {key.key_id[:12]}" for key in developing]
        if len(developing) == len(keys):
            reasons.append(f"{place} holds no release key")
    return reasons


def verdict_reasons(root: Path, folder: Path, wheel: Path, given: Given) -> list[str]:
    """Return why the trace does not let this folder be released.

    Args:
        root: Repository.
        folder: The release folder, signed.
        wheel: The wheel in it.
        given: Evidence, and the needs as Sphinx read them.
    """
    if given.evidence is None or given.needs is None:
        return ["no evidence or no needs were named, so the verdict of the trace is not known"]
    words = ["check", "--root", str(root), "--evidence", str(given.evidence)]
    words += ["--needs", str(given.needs), "--wheel", str(wheel)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "trocar_lab.evidence", *words),
            *("--release-folder", str(folder), "--release"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=_SECONDS_MAX,
    )
    if done.returncode == 0:
        return []
    lines = (done.stdout + done.stderr).decode("utf-8", "replace").strip().splitlines()
    last = lines[-1].strip() if lines else "nothing was said"
    return [f"the verdict with --release is not green (exit code {done.returncode}): {last}"]
