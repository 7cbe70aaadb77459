"""Exit codes: 0 all is well, 1 a fault, 2 no answer; and what is written."""

from __future__ import annotations

import datetime as dt
import json
import runpy
import sys
from pathlib import Path

import pytest

from simulators.supply_sites import (
    LEFT_OUT,
    edit,
    resolve,
    shared_object,
    write_site,
    write_wheel,
)
from trocar_lab.supply import commands, resolving
from trocar_lab.supply.commands import main
from trocar_lab.supply.lock_file import lock_text, read_lock, selected


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a repository in which all agrees."""
    return write_site(tmp_path / "site")


def _run(site: Path, *words: str) -> int:
    """Run one command on the site."""
    return main(["--root", str(site), *words])


@pytest.mark.verifies("SRS_SUP_002", extent="partial", technique="example")
def test_check_of_locks_tells_fault_from_no_answer(site: Path) -> None:
    """A difference is 1, a register that cannot be read is 2."""
    assert _run(site, "lock", "--check") == 0
    edit(site / "pyproject.toml", "engine==1.2", "engine==1.3")
    assert _run(site, "lock", "--check") == 1
    (site / "risk" / "soup.toml").unlink()
    assert _run(site, "lock", "--check") == 2


@pytest.mark.verifies("SRS_SUP_001", extent="partial", technique="example")
def test_locks_are_written_as_they_are_resolved(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them, or the one that is named."""
    real = resolving.resolved_lock
    monkeypatch.setattr(
        commands, "resolved_lock", lambda *a, omitted: real(*a, omitted=omitted, resolve=resolve)
    )
    before = {path.name: path.read_bytes() for path in site.glob("pylock.*.toml")}
    for path in site.glob("pylock.*.toml"):
        path.unlink()
    assert _run(site, "lock", "--write", "--only", "lab-gpu") == 1
    assert [path.name for path in site.glob("pylock.*.toml")] == ["pylock.lab-gpu.toml"]
    assert _run(site, "lock", "--write") == 0
    assert {path.name: path.read_bytes() for path in site.glob("pylock.*.toml")} == before


@pytest.mark.verifies("SRS_SUP_003", extent="partial", technique="example")
def test_device_lock_is_written(site: Path, tmp_path: Path) -> None:
    """The release puts these lines beside its wheels."""
    path = tmp_path / "device.lock"
    words = ["device-lock", "--platform", "linux_aarch64", "--extra", "openvino", "-o", str(path)]
    assert _run(site, *words) == 0
    assert len(path.read_text(encoding="utf-8").splitlines()) == 5


def test_wheels_are_brought_by_their_digests(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip is asked for are the lines of the lock."""
    asked: list[str] = []
    monkeypatch.setattr(commands, "download", lambda lines, **_: asked.append(lines))
    assert _run(site, "fetch", "-d", "house") == 0
    assert asked[0].count("--hash=sha256:") == 4


def _plant_wheels(site: Path) -> Path:
    """Write the wheels of the device into a wheelhouse, and their digests into the lock."""
    path, house = site / "pylock.device-cpu.toml", site / "wheelhouse"
    text = path.read_text(encoding="utf-8")
    for package in selected(read_lock(path)):
        wheel = package.wheel_for("linux_x86_64")
        files = {f"{package.name}.libs/libz-0123abcd.so.1": shared_object("libz.so.1")}
        text = text.replace(wheel.sha256, write_wheel(house, wheel.name, files))
    path.write_text(text, encoding="utf-8")
    assert text == lock_text(read_lock(path))
    return house


@pytest.mark.verifies("SRS_SUP_010", extent="partial", technique="equivalence")
def test_bill_is_made_from_wheels_twice_the_same(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An undeclared library in a wheel is in it; another wheel is refused."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    house, path = _plant_wheels(site), tmp_path / "sbom.cdx.json"
    words = ["sbom", "--device", "--wheelhouse", str(house), "-o", str(path)]
    assert _run(site, *words) == 0
    first = path.read_bytes()
    assert _run(site, *words) == 0
    assert path.read_bytes() == first
    assert first.count(b'"name": "libz"') == 4
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert _run(site, *words) == 0
    assert b"1970-01-01" in path.read_bytes()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    assert _run(site, *words) == 2
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    next(house.glob("*.whl")).write_bytes(b"other")
    assert _run(site, *words) == 2


def test_bill_of_what_is_not_installed_is_no_answer(site: Path, tmp_path: Path) -> None:
    """The packages of the site are installed nowhere."""
    path = tmp_path / "sbom.cdx.json"
    words = ["sbom", "--lab", "--installed", "--extra", "more", "-o", str(path)]
    assert _run(site, *words) == 2
    assert _run(site, *words[:3], "-o", str(path)) == 2
    assert not path.exists()


@pytest.mark.verifies("SRS_SUP_011", extent="partial", technique="example")
def test_list_of_left_out_files_is_written(site: Path, tmp_path: Path) -> None:
    """Empty where there is no rule; with one that matches nothing there is no answer."""
    house, path = _plant_wheels(site), tmp_path / "device.leftout"
    words = ["left-out", "--wheelhouse", str(house), "-o", str(path)]
    assert _run(site, *words) == 0
    assert path.read_bytes() == b""
    register = site / "risk" / "soup.toml"
    register.write_text(register.read_text(encoding="utf-8") + LEFT_OUT, encoding="utf-8")
    assert _run(site, *words) == 2


def _write_database(folder: Path, *, finds: str) -> Path:
    """Write a fresh database that knows the canary and finds one package."""
    folder.mkdir()
    for number, (name, version) in enumerate([("requests", "2.19.0"), (finds, "2.5")]):
        affected = [{"package": {"ecosystem": "PyPI", "name": name}, "versions": [version]}]
        now = dt.datetime.now(tz=dt.UTC).isoformat()
        record = {"id": f"OSV-{number}", "modified": now, "affected": affected}
        (folder / f"{number}.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


@pytest.mark.verifies("SRS_SUP_009", extent="full", technique="fault_injection")
@pytest.mark.parametrize(("finds", "code"), [("some-array", 1), ("unrelated", 0), ("", 2)])
def test_exit_code_of_the_vulnerability_check(
    site: Path, tmp_path: Path, finds: str, code: int
) -> None:
    """A finding is 1, a pass 0, no database 2; the record is written where there is an answer."""
    policy = 'records_min = 1\n[[canary]]\npackage = "requests"\nversion = "2.19.0"\n'
    if finds == "unrelated":
        policy += (
            '[[accepted]]\nid = "OSV-1"\npackage = "some-array"\nreason = "r"\nname = "N N"\n'
            "expires = 2999-01-01\n"
        )
    (site / "risk" / "vulnerabilities.toml").write_text(policy, encoding="utf-8")
    folder, record = tmp_path / "osv", tmp_path / "vulnerabilities.json"
    if finds:
        _write_database(folder, finds="some-array")
    assert _run(site, "audit", "--database", str(folder), "-o", str(record)) == code
    assert record.exists() is (code != 2)
    if code != 2:
        assert _run(site, "audit", "--database", str(folder)) == code


def test_module_can_be_started(monkeypatch: pytest.MonkeyPatch, site: Path) -> None:
    """``python -m trocar_lab.supply`` ends with the exit code."""
    monkeypatch.setattr(sys, "argv", ["supply", "--root", str(site), "lock", "--check"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("trocar_lab.supply", run_name="__main__")
    assert stop.value.code == 0
