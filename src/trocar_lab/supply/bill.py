"""Bill of materials in CycloneDX 1.6: packages of a lock, and the libraries inside their wheels.

The document is put together here and judged by the official schema before it is written. It names
no time but that of ``SOURCE_DATE_EPOCH`` and no random number: equal inputs give equal bytes.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from trocar_lab.supply.contents import Contents, DeclaredBill
from trocar_lab.supply.errors import SupplyError
from trocar_lab.supply.licences import UNKNOWN
from trocar_lab.supply.lock_file import LockedPackage
from trocar_lab.supply.native import SharedObject
from trocar_lab.supply.register import Register

__all__ = [
    "NOT_ASSESSED",
    "NOT_STATED",
    "Subject",
    "bill_of_materials",
    "bill_text",
    "purl_of",
    "schema_faults",
]

NOT_STATED: Final = "not stated"
NOT_ASSESSED: Final = "not assessed"
_TYPES: Final = frozenset({"library", "framework", "application", "file", "operating-system"})
_HASHES: Final = {"MD5": 32, "SHA-1": 40, "SHA-256": 64, "SHA-384": 96, "SHA-512": 128}

_Json = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """What the bill of materials is about.

    Attributes:
        version: Version of the product.
        lock: File name of the lock.
        lock_sha256: Its digest.
        platform: Platform of the wheels.
        roots: Normalised names of the packages that the product asks for itself.
        epoch: Seconds of ``SOURCE_DATE_EPOCH``; None leaves the time out.
    """

    version: str
    lock: str
    lock_sha256: str
    platform: str
    roots: tuple[str, ...]
    epoch: int | None = None


def bill_of_materials(
    subject: Subject,
    packages: Sequence[LockedPackage],
    register: Register,
    contents: Callable[[LockedPackage], Contents],
) -> _Json:
    """Return the document.

    Args:
        subject: What it is about.
        packages: What is installed, from the lock.
        register: What was reviewed.
        contents: Inside of a package.

    Raises:
        SupplyError: The inside of a package cannot be had.
    """
    root = f"pkg:pypi/trocar@{subject.version}"
    names = {package.name: purl_of(package) for package in packages}
    metadata: _Json = {
        "component": {
            "type": "application",
            "bom-ref": root,
            "name": "trocar",
            "version": subject.version,
            "purl": root,
            "licenses": [{"license": {"id": "Apache-2.0"}}],
        },
        "properties": _properties({
            "trocar:lock": subject.lock,
            "trocar:lock_sha256": subject.lock_sha256,
            "trocar:platform": subject.platform,
        }),
    }
    if subject.epoch is not None:
        time = dt.datetime.fromtimestamp(subject.epoch, tz=dt.UTC)
        metadata["timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%SZ")
    components = [
        _component(p, register, contents(p), platform=subject.platform)
        for p in sorted(packages, key=lambda p: p.name)
    ]
    graph = {root: subject.roots} | {names[p.name]: p.dependencies for p in packages}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": [
            {"ref": ref, "dependsOn": sorted({names[n] for n in wanted if n in names})}
            for ref, wanted in sorted(graph.items())
        ],
    }


def purl_of(package: LockedPackage) -> str:
    """Return the package URL of a locked package."""
    return f"pkg:pypi/{package.name}@{package.version.replace('+', '%2B')}"


def _component(
    package: LockedPackage, register: Register, inside: Contents, *, platform: str
) -> _Json:
    """Return one package with what is inside it."""
    entry, purl, wheel = register.of(package.name), purl_of(package), package.wheel_for(platform)
    licence = package.licence
    if licence in {"", UNKNOWN}:
        licence = entry["licence"] if entry else register.read_licences.get(package.name, "")
    properties = {
        "trocar:file": wheel.name,
        "trocar:support_level": entry["support_level"] if entry else NOT_ASSESSED,
        "trocar:end_of_support": entry["end_of_support"] if entry else NOT_ASSESSED,
        "trocar:anomaly_review": entry["anomaly_review"] if entry else NOT_ASSESSED,
    }
    properties |= {
        f"trocar:bill_not_merged:{bill.name}": bill.fault for bill in inside.bills if bill.fault
    }
    found: _Json = {
        "type": "library",
        "bom-ref": purl,
        "supplier": {"name": (entry["supplier"] if entry else package.supplier) or NOT_STATED},
        "name": package.name,
        "version": package.version,
        "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
        "licenses": [{"license": {"name": licence or NOT_STATED}}],
        "purl": purl,
        "properties": _properties(properties),
    }
    nested = [
        *(row for shared, digest in inside.objects for row in _native(purl, shared, digest)),
        *(row for bill in inside.bills for row in _declared(purl, bill)),
    ]
    return {**found, "components": nested} if nested else found


def _native(purl: str, shared: SharedObject, digest: str) -> Iterable[_Json]:
    """Return a shared object, and each library whose version string it holds."""
    ref = f"{purl}#{shared.path}"
    found: _Json = {
        "type": "file" if shared.is_extension else "library",
        "bom-ref": ref,
        "name": shared.path if shared.is_extension else shared.name,
        "properties": _properties({
            "trocar:found": "shared object in the package",
            "trocar:path": shared.path,
            "trocar:soname": shared.soname,
            "trocar:needed": " ".join(shared.needed),
        }),
    }
    if shared.version and not shared.is_extension:
        found["version"] = shared.version
    if digest:
        found["hashes"] = [{"alg": "SHA-256", "content": digest}]
    yield found
    for library in shared.inside:
        yield {
            "type": "library",
            "bom-ref": f"{ref}#{library.name}@{library.version}",
            "name": library.name,
            "version": library.version,
            "properties": _properties({
                "trocar:found": "version string",
                "trocar:path": shared.path,
            }),
        }


def _declared(purl: str, bill: DeclaredBill) -> Iterable[_Json]:
    """Return what a package lists of itself; only fields that are sound are taken over."""
    for number, row in enumerate(bill.components, start=1):
        kind = row.get("type")
        found: _Json = {
            "type": kind if kind in _TYPES else "library",
            "bom-ref": f"{purl}#sboms/{bill.name}#{number}",
            "name": row["name"],
            "properties": _properties({"trocar:found": f"declared in sboms/{bill.name}"}),
        }
        if isinstance(row.get("version"), str):
            found["version"] = row["version"]
        if isinstance(row.get("purl"), str) and re.fullmatch(r"pkg:[\x21-\x7e]+", row["purl"]):
            found["purl"] = row["purl"]
        hashes = [h for h in map(_hash, _rows(row.get("hashes"))) if h]
        if hashes:
            found["hashes"] = hashes
        licences = [name for name in map(_licence, _rows(row.get("licenses"))) if name]
        if licences:
            found["licenses"] = [{"license": {"name": name}} for name in dict.fromkeys(licences)]
        yield found


def _rows(value: object) -> list[Mapping[str, Any]]:
    """Return the tables of a list; nothing where it is none."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _hash(row: Mapping[str, Any]) -> _Json | None:
    """Return a digest that is one."""
    alg, content = str(row.get("alg")), str(row.get("content"))
    if _HASHES.get(alg) == len(content) and re.fullmatch(r"[0-9a-fA-F]+", content):
        return {"alg": alg, "content": content.lower()}
    return None


def _licence(row: Mapping[str, Any]) -> str:
    """Return the name of a licence, however it is given."""
    licence = row.get("license")
    inner = licence if isinstance(licence, dict) else {}
    name = row.get("expression") or inner.get("id") or inner.get("name") or ""
    return str(name).strip()


def _properties(values: Mapping[str, str]) -> list[_Json]:
    """Return properties in the order of names; an empty one is left out."""
    return [{"name": name, "value": value} for name, value in sorted(values.items()) if value]


def bill_text(document: _Json) -> str:
    """Return the one text of a document.

    Args:
        document: As of ``bill_of_materials``.

    Raises:
        SupplyError: It does not conform to the official schema.
    """
    text = json.dumps(document, indent=1, ensure_ascii=False, sort_keys=False) + "\n"
    fault = schema_faults(text)
    if fault:
        raise SupplyError(f"the bill of materials does not conform to CycloneDX 1.6: {fault}")
    return text


def schema_faults(text: str) -> str:
    """Return what the official schema finds; empty for nothing.

    Args:
        text: A document.
    """
    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return "" if found is None else str(found)[:500]
