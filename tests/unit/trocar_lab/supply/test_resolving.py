"""What pip chooses becomes a lock: the same on each platform, or none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from simulators.supply_sites import chosen, resolve, site_locks, write_site
from trocar_lab.supply.errors import SupplyError
from trocar_lab.supply.resolving import Chosen, download, pip_resolve, resolved_lock
from trocar_lab.supply.targets import declared_by_extra, target_of


@pytest.mark.verifies("SRS_SUP_001", extent="partial", technique="example")
def test_lock_holds_what_is_reached_and_says_what_brings_it(tmp_path: Path) -> None:
    """Extras of requirements count, markers of other platforms do not."""
    lock = site_locks(write_site(tmp_path))["device-cpu"]
    rows = {p.name: (p.version, p.extra, p.dependencies) for p in lock.packages}
    assert rows == {
        "array-core": ("7", "", ()),
        "engine": ("1.2", "", ("reporter",)),
        "other-engine": ("4", "openvino", ("array-core",)),
        "some-array": ("2.5", "", ("array-core", "speed")),
        "speed": ("1", "", ()),
    }
    assert lock.omitted == ("reporter",)
    assert all(len(p.wheels) == 2 for p in lock.packages)


@pytest.mark.verifies("SRS_SUP_004", extent="partial", technique="equivalence")
def test_only_a_device_leaves_something_out(tmp_path: Path) -> None:
    """The laboratory has what metadata ask for."""
    locks = site_locks(write_site(tmp_path))
    assert locks["device-gpu"].version_of("reporter") is None
    assert locks["lab-cpu"].version_of("reporter") == "3"
    assert locks["lab-cpu"].version_of("torch") == "2.13.0+cpu"
    assert locks["lab-gpu"].version_of("torch") == "2.13.0"


@pytest.mark.verifies("SRS_SUP_001", extent="partial", technique="fault_injection")
def test_other_version_on_one_platform_is_refused(tmp_path: Path) -> None:
    """Two devices of one release would run different software."""

    def uneven(
        wanted: Sequence[Requirement], platform: str, sources: Sequence[str]
    ) -> list[Chosen]:
        rows = resolve(wanted, platform, sources)
        last = chosen("speed", "2", platform)
        return [last if r.name == "speed" and "aarch64" in platform else r for r in rows]

    declared = declared_by_extra(write_site(tmp_path))
    with pytest.raises(SupplyError, match="speed is 1 on one platform and 2 on another"):
        resolved_lock(target_of("device-cpu"), declared, omitted=[], resolve=uneven)


def test_requirement_without_a_choice_is_refused(tmp_path: Path) -> None:
    """A resolver that forgets a package must not give a lock without it."""

    def forgetful(wanted: Sequence[Requirement], platform: str, s: Sequence[str]) -> list[Chosen]:
        return [row for row in resolve(wanted, platform, s) if row.name != "speed"]

    declared = declared_by_extra(write_site(tmp_path))
    with pytest.raises(SupplyError, match="speed is asked for, but was not chosen"):
        resolved_lock(target_of("device-cpu"), declared, omitted=[], resolve=forgetful)


def test_package_of_two_extras_is_refused(tmp_path: Path) -> None:
    """The marker names one extra; a package that two bring would be missing with the second."""
    declared = dict(declared_by_extra(write_site(tmp_path)))
    declared["openigtlink"] = (Requirement("other-engine==4"),)
    with pytest.raises(SupplyError, match="other-engine comes with two extras"):
        resolved_lock(target_of("device-cpu"), declared, omitted=[], resolve=resolve)


class _Pip:
    """Stands where the process of pip begins: keeps the command, writes a report, may fail."""

    def __init__(self, rows: list[object] | None = None, *, error: str = "") -> None:
        self.rows, self.error = rows, error
        self.command: list[str] = []

    def __call__(self, command: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        """Do what ``subprocess.run`` would."""
        self.command = list(command)
        if self.rows is not None:
            report = Path(command[command.index("--report") + 1])
            report.write_text(json.dumps({"install": self.rows}), encoding="utf-8")
        return subprocess.CompletedProcess(command, int(bool(self.error)), "", self.error)


def _row(url: str, digest: str = "b" * 64) -> dict[str, object]:
    """Return one row of pip's report."""
    metadata = {
        "name": "Some_Array",
        "version": "2.5",
        "requires_dist": ["array-core==7"],
        "license": "MIT License",
        "author_email": "A B <a@b.org>",
    }
    hashes = {"sha256": digest} if digest else {}
    return {
        "metadata": metadata,
        "download_info": {"url": url, "archive_info": {"hashes": hashes}},
    }


def test_report_of_pip_is_read_without_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name, version, file and digest are kept; where the file came from is not."""
    pip = _Pip([_row("https://index.example/x/some_array-2.5%2Bcpu-cp311-cp311-linux_x86_64.whl")])
    monkeypatch.setattr(subprocess, "run", pip)
    found = pip_resolve([Requirement("Some_Array")], "linux_aarch64", [])
    assert found == [
        Chosen(
            "some-array",
            "2.5",
            "some_array-2.5+cpu-cp311-cp311-linux_x86_64.whl",
            "b" * 64,
            (Requirement("array-core==7"),),
            "MIT",
            "A B",
        )
    ]
    assert {"--dry-run", "--only-binary=:all:", "--python-version=3.11"} <= set(pip.command)
    assert "--platform=manylinux_2_35_aarch64" in pip.command
    assert not any("manylinux_2_36" in word for word in pip.command)


@pytest.mark.parametrize(
    ("url", "digest"),
    [("https://x.example/a.zip", "b" * 64), ("https://x.example/a-1-py3-none-any.whl", "")],
)
def test_choice_without_wheel_or_digest_is_refused(
    monkeypatch: pytest.MonkeyPatch, url: str, digest: str
) -> None:
    """A link to a version control system has no digest that could be compared."""
    monkeypatch.setattr(subprocess, "run", _Pip([_row(url, digest)]))
    with pytest.raises(SupplyError, match="no wheel with a SHA-256"):
        pip_resolve([], "linux_x86_64", [])


def test_failure_of_pip_is_told_in_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only lines that tell of an error are shown."""
    pip = _Pip(error="WARNING: something\nERROR: No matching distribution found for x\n")
    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(SupplyError, match=r"^pip: ERROR: No matching distribution found for x$"):
        pip_resolve([], "linux_x86_64", [])


def test_source_archive_is_taken_only_on_the_platform_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For another machine pip could not say what it would be."""
    monkeypatch.setattr(subprocess, "run", _Pip([]))
    other = "linux_aarch64" if os.uname().machine == "x86_64" else "linux_x86_64"
    with pytest.raises(SupplyError, match="crcmod: run this on"):
        pip_resolve([], other, ["crcmod"])
    monkeypatch.setattr(sys, "version_info", (3, 12, 0))
    with pytest.raises(SupplyError, match=r"with Python 3\.11"):
        pip_resolve([], "linux_x86_64", ["crcmod"])


def test_source_archive_is_named_to_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the packages that are named may come as source."""
    pip = _Pip([_row("https://x.example/some_array-2.5.tar.gz")])
    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.setattr(sys, "version_info", (3, 11, 7))
    machine = os.uname().machine
    platform = "linux_x86_64" if machine == "x86_64" else "linux_aarch64"
    found = pip_resolve([], platform, ["crcmod"])
    assert found[0].wheel == "some_array-2.5.tar.gz"
    assert "--no-binary=crcmod" in pip.command
    assert not any(word.startswith("--platform") for word in pip.command)


def test_download_demands_the_digests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Pip compares each file with its digest and takes nothing that is not named."""
    pip = _Pip()
    monkeypatch.setattr(subprocess, "run", pip)
    folder = tmp_path / "wheelhouse"
    download("a==1 --hash=sha256:b\n", platform="linux_x86_64", sources=[], folder=folder)
    assert {"--no-deps", "--require-hashes", str(folder)} <= set(pip.command)
    assert folder.is_dir()
