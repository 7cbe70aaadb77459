"""A release folder as values: its files with digests, and what each of its records says.

Whoever made the folder is not trusted: sizes are bounded, JSON is strict, nothing is unpacked, no
name in a file is opened. A part that is damaged carries the reason; a part that is missing is None.
"""

from __future__ import annotations

import datetime as dt
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.parser import HeaderParser
from pathlib import Path
from typing import Annotated, Final, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trocar.contracts.errors import SignatureError
from trocar.contracts.limits import STATEMENT_BYTES_MAX
from trocar.statements.dsse import Envelope, read_envelope
from trocar.statements.strict_json import parse_strict
from trocar_lab.evidence.errors import ReleaseError
from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.provenance.code_identity import file_sha256

ENVELOPE: Final = "release.dsse.json"
REBUILD: Final = "rebuild.json"
MANIFEST: Final = "manifest.json"
DRILL: Final = "restore_drill.json"
SBOM: Final = "sbom.cdx.json"
AUDIT: Final = "vulnerabilities.json"
FILES_MAX: Final = 10_000
METADATA_BYTES_MAX: Final = 1_000_000
_WHEEL: Final = re.compile(r"[A-Za-z0-9_.]+-(?P<version>[^-]+)(-\d[^-]*)?(-[^-]+){3}\.whl")

_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Text = Annotated[str, Field(min_length=1)]
_T = TypeVar("_T")


@dataclass(frozen=True)
class Part(Generic[_T]):
    """One file of the folder.

    Attributes:
        value: What it says; None when it is missing or damaged.
        fault: Why it cannot be trusted; empty when it is missing or sound.
    """

    value: _T | None = None
    fault: str = ""


class ReleasedFile(Frozen):
    """One file as it lies in the folder."""

    sha256: str
    size_bytes: int


class Rebuild(Frozen):
    """The wheel built a second time from the tag."""

    wheel: _Text
    sha256: _Sha256
    rebuilt_sha256: _Sha256
    tag: _Text
    commit: Annotated[str, Field(pattern="^[0-9a-f]{40}$")]
    machine: _Text
    date: dt.date


class Deliverable(Frozen):
    """One file of the archive."""

    name: _Text
    sha256: _Sha256
    size_bytes: int = Field(alias="bytes", ge=0)


class Manifest(Frozen):
    """Every file of the archive."""

    deliverables: tuple[Deliverable, ...] = Field(min_length=1)


class RestoreDrill(Frozen):
    """The archive was restored from where it is kept, by a named person."""

    date: dt.date
    name: Annotated[str, Field(pattern=r"^\S+ \S+")]
    result: Literal["restored", "failed"]


class AuditedDatabase(Frozen):
    """The database that locks were compared with."""

    newest: dt.datetime
    records: int = Field(gt=0)


class Audit(Frozen):
    """Locked versions compared with a database of known vulnerabilities."""

    locks: Mapping[str, _Sha256] = Field(min_length=1)
    database: AuditedDatabase
    compared: int = Field(gt=0)
    accepted: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


class _CycloneDX(BaseModel):
    """Part of a CycloneDX document; what else it holds is not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Named(_CycloneDX):
    """An organisation."""

    name: str = ""


class _Property(_CycloneDX):
    """One property."""

    name: str = ""
    value: str = ""


class _Hash(_CycloneDX):
    """One digest."""

    alg: str = ""
    content: str = ""


class Component(_CycloneDX):
    """One component of the bill of materials."""

    name: _Text
    version: str = ""
    supplier: _Named = _Named()
    hashes: tuple[_Hash, ...] = ()
    properties: tuple[_Property, ...] = ()

    @property
    def sha256(self) -> frozenset[str]:
        """Return its SHA-256 digests."""
        return frozenset(h.content.lower() for h in self.hashes if h.alg.upper() == "SHA-256")

    def value_of(self, name: str) -> str:
        """Return the value of a property; empty when there is none."""
        return next((p.value.strip() for p in self.properties if p.name == name), "")


class _Metadata(_CycloneDX):
    """What a bill of materials is about."""

    properties: tuple[_Property, ...] = ()


class Sbom(_CycloneDX):
    """Bill of materials."""

    form: Literal["CycloneDX"] = Field(alias="bomFormat")
    metadata: _Metadata = _Metadata()
    components: tuple[Component, ...] = ()

    def value_of(self, name: str) -> str:
        """Return a property of the whole; empty when there is none."""
        return next((p.value.strip() for p in self.metadata.properties if p.name == name), "")


class WheelFacts(Frozen):
    """What a wheel says about itself.

    Attributes:
        file_name: Name of the file.
        file_version: Version in the name; empty when the name is not that of a wheel.
        sha256: Digest of the file.
        version: Version in METADATA.
        requires: ``Requires-Dist`` lines.
    """

    file_name: str
    file_version: str
    sha256: str
    version: str
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReleaseFolder:
    """A release folder.

    Attributes:
        files: Relative name to what lies there.
        faults: What makes the folder itself unusable.
        envelope: The signature over the other files.
        rebuild: The second build.
        manifest: The archive.
        drill: The restore.
        sbom: The bill of materials.
        audit: The comparison with known vulnerabilities.
        wheels: Each wheel that is released; those of others lie in a folder below.
    """

    files: Mapping[str, ReleasedFile]
    faults: tuple[str, ...] = ()
    envelope: Part[Envelope] = field(default_factory=Part)
    rebuild: Part[Rebuild] = field(default_factory=Part)
    manifest: Part[Manifest] = field(default_factory=Part)
    drill: Part[RestoreDrill] = field(default_factory=Part)
    sbom: Part[Sbom] = field(default_factory=Part)
    audit: Part[Audit] = field(default_factory=Part)
    wheels: Mapping[str, Part[WheelFacts]] = field(default_factory=dict)


def read_release_folder(folder: Path) -> ReleaseFolder:
    """Return what a release folder holds.

    Args:
        folder: The folder; it may hold folders.

    Raises:
        ReleaseError: There is no such folder.
    """
    if not folder.is_dir():
        raise ReleaseError(f"no release folder at {folder}; name an existing one")
    files, faults = _listing(folder)

    def part(name: str, read: Callable[[bytes], _T]) -> Part[_T]:
        return _part(folder / name, read) if name in files else Part()

    return ReleaseFolder(
        files=files,
        faults=faults,
        envelope=part(ENVELOPE, lambda content: read_envelope(content, what=ENVELOPE)),
        rebuild=part(REBUILD, _json_reader(Rebuild, REBUILD)),
        manifest=part(MANIFEST, _json_reader(Manifest, MANIFEST)),
        drill=part(DRILL, _json_reader(RestoreDrill, DRILL)),
        sbom=part(SBOM, _json_reader(Sbom, SBOM)),
        audit=part(AUDIT, _json_reader(Audit, AUDIT)),
        wheels={
            name: read_wheel(folder / name)
            for name in files
            if name.endswith(".whl") and "/" not in name
        },
    )


def read_wheel(path: Path) -> Part[WheelFacts]:
    """Return what a wheel says about itself; the reason when it cannot be read.

    Args:
        path: The file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n)]
            if len(names) != 1:
                return Part(fault=f"{path.name} holds {len(names)} METADATA files; build it again")
            with archive.open(names[0]) as stream:
                content = stream.read(METADATA_BYTES_MAX + 1)
        if len(content) > METADATA_BYTES_MAX:
            return Part(fault=f"METADATA of {path.name} is larger than {METADATA_BYTES_MAX} bytes")
        headers = HeaderParser().parsestr(content.decode("utf-8"))
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError) as exc:
        return Part(fault=f"{path.name} is no wheel that can be read ({exc}); build it again")
    except (NotImplementedError, RuntimeError) as exc:
        return Part(fault=f"{path.name} is packed in a way that wheels are not ({exc})")
    match = _WHEEL.fullmatch(path.name)
    facts = WheelFacts(
        file_name=path.name,
        file_version=match["version"] if match else "",
        sha256=file_sha256(path),
        version=str(headers.get("Version", "")),
        requires=tuple(str(line) for line in headers.get_all("Requires-Dist", [])),
    )
    return Part(value=facts)


def read_bounded(path: Path, *, bytes_max: int = STATEMENT_BYTES_MAX) -> bytes:
    """Return the content of a file that is not larger than a bound.

    Args:
        path: The file.
        bytes_max: Largest size [bytes].

    Raises:
        ReleaseError: It cannot be read or is larger.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(bytes_max + 1)
    except OSError as exc:
        raise ReleaseError(f"{path.name} cannot be read: {exc.strerror}") from exc
    if len(content) > bytes_max:
        raise ReleaseError(f"{path.name} is larger than {bytes_max} bytes; nothing of it is read")
    return content


def _listing(folder: Path) -> tuple[dict[str, ReleasedFile], tuple[str, ...]]:
    """Return every regular file by its relative name, and what is no regular file or too much."""
    files: dict[str, ReleasedFile] = {}
    faults: list[str] = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            faults.append(f"{name} is a link or a device; a release holds files only")
        elif path.is_file():
            files[name] = ReleasedFile(sha256=file_sha256(path), size_bytes=path.stat().st_size)
        if len(files) > FILES_MAX:
            return {}, (f"more than {FILES_MAX} files; this is no release folder",)
    return files, tuple(faults)


def _part(path: Path, read: Callable[[bytes], _T]) -> Part[_T]:
    """Return one part, or the reason why it cannot be trusted."""
    try:
        return Part(value=read(read_bounded(path)))
    except SignatureError as exc:
        return Part(fault=f"{exc.problem}; {exc.advice}")
    except ReleaseError as exc:
        return Part(fault=str(exc))


_M = TypeVar("_M", bound=BaseModel)


def _json_reader(model: type[_M], name: str) -> Callable[[bytes], _M]:
    """Return a reader of one kind of JSON file."""

    def read(content: bytes) -> _M:
        value = parse_strict(content, what=name)
        try:
            return model.model_validate(value)
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the file"
            raise ReleaseError(f"{name}: {place}: {first['msg']}; write it again") from exc

    return read
