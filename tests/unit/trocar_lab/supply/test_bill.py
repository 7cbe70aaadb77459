"""Bills of materials: complete, accepted by the schema, and the same bytes each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulators.supply_sites import shared_object, site_locks, write_site
from trocar_lab.supply.bill import (
    NOT_ASSESSED,
    NOT_STATED,
    Subject,
    bill_of_materials,
    bill_text,
    schema_faults,
)
from trocar_lab.supply.contents import Contents, DeclaredBill
from trocar_lab.supply.errors import SupplyError
from trocar_lab.supply.lock_file import LockedPackage, selected
from trocar_lab.supply.native import read_shared_object
from trocar_lab.supply.register import read_register

SUBJECT = Subject("1.2.3", "pylock.device-cpu.toml", "c" * 64, "linux_x86_64", ("engine",))
NOTHING = Contents()


def _document(
    root: Path, *, inside: Contents = NOTHING, lock: str = "device-cpu", epoch: int | None = None
) -> dict[str, Any]:
    """Return the bill of a site; ``inside`` is in each of its packages."""
    subject = Subject(**{**SUBJECT.__dict__, "epoch": epoch})
    packages = selected(site_locks(root)[lock])
    return bill_of_materials(subject, packages, read_register(root), lambda _: inside)


@pytest.mark.verifies("SRS_SUP_007", extent="full", technique="example")
def test_each_package_is_a_complete_component(tmp_path: Path) -> None:
    """Supplier, version, digest, licence, support, and what it asks for."""
    document = _document(write_site(tmp_path))
    assert schema_faults(bill_text(document)) == ""
    by_name = {c["name"]: c for c in document["components"]}
    assert sorted(by_name) == ["array-core", "engine", "some-array", "speed"]
    engine = by_name["engine"]
    properties = {p["name"]: p["value"] for p in engine["properties"]}
    assert properties["trocar:support_level"] == "maintained"
    assert properties["trocar:end_of_support"] == "not published"
    assert properties["trocar:anomaly_review"] == "pending"
    assert engine["supplier"] == {"name": "S"}
    assert len(engine["hashes"]) == 1
    graph = {row["ref"]: row["dependsOn"] for row in document["dependencies"]}
    assert graph["pkg:pypi/trocar@1.2.3"] == ["pkg:pypi/engine@1.2"]
    assert graph["pkg:pypi/some-array@2.5"] == ["pkg:pypi/array-core@7", "pkg:pypi/speed@1"]
    named = {p["name"]: p["value"] for p in document["metadata"]["properties"]}
    assert named["trocar:lock"] == "pylock.device-cpu.toml"


def test_package_that_nobody_reviewed_says_so(tmp_path: Path) -> None:
    """What the toolchain's packages bring along has no entry, and no invented one."""
    document = _document(write_site(tmp_path), lock="lab-cpu")
    reporter = next(c for c in document["components"] if c["name"] == "reporter")
    values = {p["name"]: p["value"] for p in reporter["properties"]}
    assert values["trocar:support_level"] == values["trocar:end_of_support"] == NOT_ASSESSED
    torch = next(c for c in document["components"] if c["name"] == "torch")
    assert torch["purl"] == "pkg:pypi/torch@2.13.0%2Bcpu"


@pytest.mark.parametrize("read", ["ISC, in its LICENSE", ""])
def test_licence_that_metadata_do_not_name(tmp_path: Path, read: str) -> None:
    """What a person read stands in its place; without that it is not stated."""
    root = write_site(tmp_path)
    toml = root / "risk" / "soup.toml"
    if read:
        row = f'\n[[read_licence]]\npackage = "alone"\nlicence = "{read}"\n'
        toml.write_text(toml.read_text(encoding="utf-8") + row, encoding="utf-8")
    wheel = site_locks(root)["device-cpu"].packages[0].wheels
    package = LockedPackage("alone", "7", wheel, licence="unknown")
    document = bill_of_materials(SUBJECT, [package], read_register(root), lambda _: NOTHING)
    found = document["components"][0]
    assert found["licenses"] == [{"license": {"name": read or NOT_STATED}}]
    assert found["supplier"] == {"name": NOT_STATED}


@pytest.mark.verifies("SRS_SUP_008", extent="full", technique="fault_injection")
def test_undeclared_library_and_what_is_in_it_are_components(tmp_path: Path) -> None:
    """Planted: a library, a module with OpenSSL inside, both with their digests."""
    plain = read_shared_object(
        "x.libs/libq-0123abcd.so.2", shared_object("libq.so.2", ["libc.so.6"])
    )
    module = read_shared_object(
        "x/_m.abi3.so", shared_object(text=b"\0OpenSSL 1.1.1k  25 Mar 2021\0")
    )
    inside = Contents(objects=((plain, "d" * 64), (module, "")))
    document = _document(write_site(tmp_path), inside=inside)
    assert schema_faults(bill_text(document)) == ""
    nested = document["components"][0]["components"]
    assert [(c["type"], c["name"], c.get("version")) for c in nested] == [
        ("library", "libq", "2"),
        ("file", "x/_m.abi3.so", None),
        ("library", "OpenSSL", "1.1.1k"),
    ]
    assert nested[0]["hashes"] == [{"alg": "SHA-256", "content": "d" * 64}]
    assert "hashes" not in nested[1]


@pytest.mark.verifies("SRS_SUP_008", extent="partial", technique="fault_injection")
def test_declared_component_keeps_what_is_sound(tmp_path: Path) -> None:
    """Odd fields of a bill inside a wheel must not make the whole one invalid."""
    sound = {
        "type": "library",
        "name": "zlib",
        "version": "1.3.1",
        "purl": "pkg:generic/zlib@1.3.1",
        "hashes": [{"alg": "SHA-256", "content": "E" * 64}],
        "licenses": [{"license": {"id": "Zlib"}}, {"expression": "MIT"}, {"license": "odd"}],
    }
    odd = {
        "type": "gadget",
        "name": "odd",
        "version": 3,
        "purl": "pkg: with blanks",
        "hashes": [{"alg": "SHA-256", "content": "short"}, {"alg": "ROT13", "content": "x"}],
        "licenses": "none",
    }
    bills = (
        DeclaredBill("x.json", components=(sound, odd)),
        DeclaredBill("y.spdx", fault="not CycloneDX"),
    )
    document = _document(write_site(tmp_path), inside=Contents(bills=bills))
    assert schema_faults(bill_text(document)) == ""
    first, second = document["components"][0]["components"]
    assert first["hashes"] == [{"alg": "SHA-256", "content": "e" * 64}]
    assert first["licenses"] == [{"license": {"name": "Zlib"}}, {"license": {"name": "MIT"}}]
    assert (first["version"], first["purl"]) == ("1.3.1", "pkg:generic/zlib@1.3.1")
    assert second["type"] == "library"
    assert not {"version", "purl", "hashes", "licenses"} & set(second)
    values = {p["name"]: p["value"] for p in document["components"][0]["properties"]}
    assert values["trocar:bill_not_merged:y.spdx"] == "not CycloneDX"


@pytest.mark.verifies("SRS_SUP_010", extent="full", technique="equivalence")
def test_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    """No time, no random number; the time of a build only where the builder names one."""
    root = write_site(tmp_path)
    assert bill_text(_document(root)) == bill_text(_document(root))
    assert "timestamp" not in _document(root)["metadata"]
    assert "serialNumber" not in _document(root)
    assert _document(root, epoch=0)["metadata"]["timestamp"] == "1970-01-01T00:00:00Z"


@pytest.mark.verifies("SRS_SUP_007", extent="partial", technique="fault_injection")
def test_document_that_the_schema_rejects_is_not_written(tmp_path: Path) -> None:
    """The official schema has the last word."""
    document = _document(write_site(tmp_path))
    document["components"][0]["type"] = "gadget"
    with pytest.raises(SupplyError, match=r"does not conform to CycloneDX 1\.6"):
        bill_text(document)
    assert schema_faults(json.dumps({"bomFormat": "SPDX"}))
