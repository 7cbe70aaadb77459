"""What a run was made on: machine, packs, operator, tools of the accelerator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from trocar_lab.evidence.store import identity
from trocar_lab.evidence.store.identity import ci_identity, pack_digests, platform_record

GITHUB = {
    "GITHUB_RUN_ID": "7",
    "GITHUB_SERVER_URL": "https://git.example.org",
    "GITHUB_REPOSITORY": "trocar/trocar",
    "GITHUB_RUN_ATTEMPT": "2",
}


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, ""),
        ({"CI": "true"}, ""),
        ({"CI_JOB_URL": "https://ci.example.org/7"}, "https://ci.example.org/7"),
        ({"BUILD_URL": "https://ci.example.org/8"}, "https://ci.example.org/8"),
        (GITHUB, "https://git.example.org/trocar/trocar/actions/runs/7/attempts/2"),
    ],
)
def test_job_of_a_continuous_integration_has_an_address(
    environment: Mapping[str, str], address: str
) -> None:
    """Who reads the evidence can then find the log of the job; a bare flag names no job."""
    assert ci_identity(environment) == address


def test_pack_is_known_by_its_manifest(tmp_path: Path) -> None:
    """The manifest lists the digest of each file, so that its own stands for the model."""
    assert pack_digests(tmp_path) == {}
    for name in ("b", "a"):
        folder = tmp_path / identity.PACKS / name
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(name, encoding="utf-8")
        (folder / "model.onnx").write_text(name, encoding="utf-8")
    found = pack_digests(tmp_path)
    assert list(found) == ["a", "b"]
    assert found["a"] != found["b"]


@pytest.mark.verifies("SRS_TRACE_008", extent="partial", technique="requirement")
def test_machine_is_known_by_its_files(tmp_path: Path) -> None:
    """Two machines differ, the same one is the same after another start, and tells of that."""

    def write(name: str, text: str) -> None:
        """Write one file of the machine."""
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    write("etc/machine-id", "one")
    write("proc/sys/kernel/random/boot_id", "first")
    one = platform_record(tmp_path)
    write("proc/sys/kernel/random/boot_id", "second")
    again = platform_record(tmp_path)
    assert one.machine_sha256 == again.machine_sha256
    assert (one.boot_id, again.boot_id) == ("first", "second")
    write("etc/machine-id", "two")
    assert platform_record(tmp_path).machine_sha256 != one.machine_sha256
    write("etc/nv_tegra_release", "# R36 (release), REVISION: 4.0")
    write("proc/device-tree/model", "NVIDIA IGX Orin Developer Kit")
    found = platform_record(tmp_path)
    is_arm = found.machine == "aarch64"
    assert found.host_class == found.found_class == ("agx" if is_arm else "host")
    assert found.contradiction is None


def test_tools_of_the_accelerator_are_asked_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool that is missing, fails or hangs says nothing, and never stops a run."""
    for name, body in {
        "nvidia-smi": "echo 'name, driver_version'; echo 'Some GPU, 570.1'",
        "nvcc": "echo broken; exit 3",
        "dpkg-query": "exec sleep 60",
    }.items():
        tool = tmp_path / name
        tool.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(identity, "_TOOL_SECONDS_MAX", 0.5)
    found = platform_record(tmp_path).accelerator
    assert found == {"gpu": "name, driver_version\nSome GPU, 570.1"}
