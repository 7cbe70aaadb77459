"""Small release folders, signed with throwaway keys, and wheels of a few lines."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import io
import json
import sys
import sysconfig
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from simulators.signing import signed, statement, throwaway_key, write_trust_folder
from trocar.statements.statement import RELEASE_TYPE

TODAY: Final = dt.date(2026, 11, 21)
PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
PLATFORM: Final = sysconfig.get_platform().replace("-", "_").replace(".", "_")
ENVELOPE: Final = "release.dsse.json"

SELFTEST: Final = """\
import json, sys
from trocar import __version__
if sys.argv[1:] == ["selftest", "--json"]:
    print(json.dumps({"trocar": __version__, "selftest": [{"unit": "tiny"}]}))
else:
    print("tiny", __version__)
"""
"""What the tiny product does when it is run."""

BROKEN: Final = "import sys\nsys.exit('the reference case differs')\n"
"""A product whose self-test fails."""


@dataclass(frozen=True)
class Release:
    """What goes into a release folder.

    Attributes:
        version: Version of the tiny product.
        sequence: Its sequence number.
        main: Its ``__main__.py``.
        predicate: Fields of the predicate that differ.
        extra: Further files of the wheel of the product.
        files: Further files of the folder.
        key: Who signs.
    """

    version: str = "0.1.0"
    sequence: int = 1
    main: str = SELFTEST
    predicate: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    key: ec.EllipticCurvePrivateKey | None = None

    @property
    def wheel_name(self) -> str:
        """File name of the product's wheel."""
        return f"trocar-{self.version}-py3-none-any.whl"

    def content(self) -> dict[str, bytes]:
        """Return the files of the folder but the signed list."""
        product = wheel(
            "trocar",
            self.version,
            {
                "trocar/__init__.py": f'__version__ = "{self.version}"\n',
                "trocar/__main__.py": self.main,
                **self.extra,
            },
            scripts={"trocar": "trocar.__main__"},
        )
        part = wheel("tiny_part", "2.0", {"tiny_part/__init__.py": "ANSWER = 42\n"})
        part_name = "wheelhouse/tiny_part-2.0-py3-none-any.whl"
        digest = hashlib.sha256(part).hexdigest()
        return {
            self.wheel_name: product,
            part_name: part,
            "device.lock": f"tiny-part==2.0 --hash=sha256:{digest}\n".encode(),
            "SOUP.md": b"# Packages\n",
            "report/index.html": b"<p>trace</p>\n",
            "packs/tiny-0.1.0.trocarpack": b"a pack\n",
            **self.files,
        }

    def facts(self) -> dict[str, Any]:
        """Return the predicate."""
        return {
            "version": self.version,
            "sequence": self.sequence,
            "grade": "production",
            "expires": "2030-01-01",
            "commit": "a" * 40,
            "device": {"python": PYTHON, "platform": PLATFORM},
            **self.predicate,
        }

    def write(self, folder: Path) -> Path:
        """Write and sign the folder; return it."""
        for name, content in self.content().items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.sign(folder)
        return folder

    def sign(self, folder: Path, **subjects: str) -> None:
        """Sign whatever lies in the folder now; subjects with digests may be added."""
        digests = {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != ENVELOPE
        }
        payload = statement({**digests, **subjects}, RELEASE_TYPE, self.facts())
        (folder / ENVELOPE).write_bytes(signed(payload, self.key or throwaway_key()))

    def after(self, sequence: int, predicate: Mapping[str, Any] | None = None) -> Release:
        """Return a later release."""
        version = f"0.{sequence}.0"
        return replace(self, sequence=sequence, version=version, predicate=predicate or {})


def wheel(
    name: str,
    version: str,
    files: Mapping[str, str],
    *,
    scripts: Mapping[str, str] | None = None,
    recorded: Mapping[str, str] | None = None,
) -> bytes:
    """Return a pure Python wheel.

    Args:
        name: Name as in file names.
        version: Version.
        files: Text of each file.
        scripts: Console scripts: name and module, whose ``__name__`` is called as a function.
        recorded: Files whose line in RECORD is that of another text.
    """
    info = f"{name}-{version}.dist-info"
    content = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    if scripts:
        lines = "".join(f"{one} = {module}:main\n" for one, module in scripts.items())
        content[f"{info}/entry_points.txt"] = f"[console_scripts]\n{lines}"
    told = {**content, **(recorded or {})}
    rows = [f"{path},sha256={_digest(text)},{len(text.encode())}" for path, text in told.items()]
    content[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in content.items():
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()


def trust_folder(folder: Path, *, grade: str = "release") -> Path:
    """Write the trust folder of a device that trusts the throwaway key."""
    return write_trust_folder(folder, throwaway_key(), grade=grade)


def payload_of(folder: Path) -> dict[str, Any]:
    """Return the signed statement of a folder."""
    fields = json.loads((folder / ENVELOPE).read_bytes())
    found = json.loads(base64.b64decode(fields["payload"]))
    assert isinstance(found, dict)
    return found


def _digest(text: str) -> str:
    """Return a digest as RECORD writes it."""
    raw = hashlib.sha256(text.encode("utf-8")).digest()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
