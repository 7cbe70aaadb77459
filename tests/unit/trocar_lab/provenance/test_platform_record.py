"""The platform class follows from the machine's own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from trocar_lab.provenance.platform_record import platform_class, read_platform

pytestmark = pytest.mark.verifies("SRS_LATENCY_001", extent="partial", technique="equivalence")

RELEASE = "# R35 (release), REVISION: 4.1, BOARD: generic"


@pytest.mark.parametrize(
    ("release", "board", "machine", "expected"),
    [
        (RELEASE, "NVIDIA Jetson AGX Orin Developer Kit", "aarch64", "agx"),
        (RELEASE, "Clara AGX Developer Kit", "aarch64", "agx"),
        (RELEASE, "NVIDIA IGX Orin Developer Kit", "aarch64", "agx"),
        (RELEASE + " Jetson AGX Xavier", "", "aarch64", "agx"),
        (RELEASE, "NVIDIA Jetson Orin Nano", "aarch64", "surrogate"),
        (RELEASE, "", "aarch64", "surrogate"),
        ("", "NVIDIA Jetson AGX Orin", "aarch64", "surrogate"),
        (RELEASE, "NVIDIA Jetson AGX Orin", "x86_64", "surrogate"),
        ("", "", "x86_64", "surrogate"),
    ],
)
def test_class_needs_the_board_and_its_release(
    release: str, board: str, machine: str, expected: str
) -> None:
    """Other modules of the same maker are surrogates too."""
    assert platform_class(tegra_release=release, board_model=board, machine=machine) == expected


def test_facts_come_from_the_files(tmp_path: Path) -> None:
    """What can be read is recorded; the rest is empty, never guessed."""
    for name, text in {
        "proc/cpuinfo": "processor : 0\nmodel name : Test CPU\n",
        "proc/cmdline": "quiet isolcpus=2-3 nohz_full=2-3",
        "sys/devices/system/cpu/isolated": "2-3\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
        "sys/kernel/realtime": "1\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    record = read_platform(tmp_path)
    assert record.label == "surrogate: Test CPU"
    assert record.governors == ("performance",)
    assert record.isolated_cpus == "2-3"
    assert record.boot_words == ("isolcpus=2-3", "nohz_full=2-3")
    assert record.is_realtime_kernel
    assert record.rt_runtime_us == ""
