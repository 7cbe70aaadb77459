"""Telemetry reads what the machine offers and leaves the rest empty."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trocar.contracts.errors import ContractError
from trocar_lab.latency.gpu_watch import GpuReading
from trocar_lab.latency.telemetry import from_csv, sample, to_csv

pytestmark = pytest.mark.verifies("SRS_LATENCY_001", extent="partial", technique="requirement")


def _write(root: Path, name: str, text: str) -> None:
    """Write one small system file."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_values_come_from_the_system_files(tmp_path: Path) -> None:
    """Clocks in MHz, temperature in degrees, throttles summed."""
    cpus = "sys/devices/system/cpu"
    _write(tmp_path, f"{cpus}/cpu0/cpufreq/scaling_cur_freq", "1800000\n")
    _write(tmp_path, f"{cpus}/cpu1/cpufreq/scaling_cur_freq", "2000000\n")
    _write(tmp_path, f"{cpus}/cpu0/thermal_throttle/core_throttle_count", "3\n")
    _write(tmp_path, f"{cpus}/cpu1/thermal_throttle/core_throttle_count", "4\n")
    _write(tmp_path, "sys/class/thermal/thermal_zone0/temp", "48500\n")
    _write(tmp_path, "sys/class/devfreq/17000000.ga10b/cur_freq", "918000000\n")
    _write(tmp_path, "proc/loadavg", "0.25 0.1 0.1 1/100 7\n")
    _write(tmp_path, "proc/42/statm", "100 10 0 0 0 0 0\n")
    found = sample(42, tmp_path)
    assert (found.cpu_mhz_min, found.cpu_mhz_max, found.gpu_mhz) == (1800.0, 2000.0, 918.0)
    assert (found.temperature_c_max, found.throttle_count, found.load_1m) == (48.5, 7.0, 0.25)
    assert found.rss_bytes == 10 * os.sysconf("SC_PAGE_SIZE")


def test_machine_without_these_files_gives_empty_cells(tmp_path: Path) -> None:
    """Unknown stays unknown through a round trip."""
    found = sample(42, tmp_path)
    assert found.cpu_mhz_max is None
    assert from_csv(to_csv([found]), "t") == [found]


@pytest.mark.verifies("SRS_LATE_006", extent="partial", technique="requirement")
def test_discrete_gpu_stands_beside_the_system_files(tmp_path: Path) -> None:
    """What the watch of the GPU read is kept, through a round trip."""
    found = sample(42, tmp_path, gpu=GpuReading(1410.0, 47.0, 92.5, 0x24))
    assert (found.gpu_mhz, found.gpu_temperature_c, found.gpu_power_w) == (1410.0, 47.0, 92.5)
    assert found.gpu_throttle_bits == 36.0
    assert from_csv(to_csv([found]), "t") == [found]


@pytest.mark.parametrize(
    "data", [b"", b"a,b\n", b"\xff", to_csv([]) + b"1,2\n", to_csv([]) + b"x,1,,,,,,,,,,\n"]
)
def test_other_files_are_refused(data: bytes) -> None:
    """Foreign exceptions do not get through."""
    with pytest.raises(ContractError, match="not a table of telemetry"):
        from_csv(data, "t")
