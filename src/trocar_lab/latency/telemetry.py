"""State of the machine during a run, at least once a second, on the clock of the frames."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Final

from trocar.contracts.errors import ContractError
from trocar_lab.latency.clocks import read_clocks
from trocar_lab.latency.gpu_watch import NO_GPU_READING, GpuReading
from trocar_lab.provenance.platform_record import read_text

SAMPLE_SECONDS: Final = 0.5

_GPU_NAMES: Final = ("gpu", "gv11b", "ga10b", "gp10b")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Telemetry:
    """One sample; a value that cannot be read is None.

    Attributes:
        monotonic_ns: Monotonic clock [ns].
        wall_ns: Wall clock [ns].
        load_1m: Load average over one minute.
        cpu_mhz_min: Slowest processor [MHz].
        cpu_mhz_max: Fastest processor [MHz].
        gpu_mhz: Clock of the GPU, integrated or discrete [MHz].
        temperature_c_max: Hottest zone [degree Celsius].
        throttle_count: Throttle events since boot, over all processors.
        rss_bytes: Resident memory of the worker.
        gpu_temperature_c: Temperature of a discrete GPU [degree Celsius].
        gpu_power_w: Its power [W].
        gpu_throttle_bits: Its reasons of throttling, one bit each, as the driver numbers them.
    """

    monotonic_ns: int
    wall_ns: int
    load_1m: float | None
    cpu_mhz_min: float | None
    cpu_mhz_max: float | None
    gpu_mhz: float | None
    temperature_c_max: float | None
    throttle_count: float | None
    rss_bytes: float | None
    gpu_temperature_c: float | None = None
    gpu_power_w: float | None = None
    gpu_throttle_bits: float | None = None


COLUMNS: Final = tuple(field.name for field in fields(Telemetry))


def sample(
    process_id: int, root: Path = Path("/"), *, gpu: GpuReading = NO_GPU_READING
) -> Telemetry:
    """Return the state now.

    Args:
        process_id: The worker.
        root: Root of the file system; another one in tests.
        gpu: State of a discrete GPU.
    """
    cpus = root / "sys/devices/system/cpu"
    mhz = [khz / 1e3 for khz in _numbers(cpus, "cpu[0-9]*/cpufreq/scaling_cur_freq")]
    mhz = mhz or _cpuinfo_mhz(root)
    zones = [value / 1e3 for value in _numbers(root / "sys/class/thermal", "thermal_zone*/temp")]
    throttles = _numbers(cpus, "cpu[0-9]*/thermal_throttle/*_throttle_count")
    load = read_text(root / "proc/loadavg").split()
    pages = read_text(root / f"proc/{process_id}/statm").split()
    clocks = read_clocks()
    return Telemetry(
        monotonic_ns=clocks.monotonic_ns,
        wall_ns=clocks.wall_ns,
        load_1m=float(load[0]) if load else None,
        cpu_mhz_min=min(mhz, default=None),
        cpu_mhz_max=max(mhz, default=None),
        gpu_mhz=gpu.mhz if gpu.mhz is not None else _gpu_mhz(root),
        temperature_c_max=max(zones, default=None),
        throttle_count=sum(throttles) if throttles else None,
        rss_bytes=float(int(pages[1]) * _PAGE_BYTES) if len(pages) > 1 else None,
        gpu_temperature_c=gpu.temperature_c,
        gpu_power_w=gpu.power_w,
        gpu_throttle_bits=None if gpu.throttle_bits is None else float(gpu.throttle_bits),
    )


def _numbers(folder: Path, pattern: str) -> list[float]:
    """Return the numbers in small system files."""
    texts = (read_text(path) for path in folder.glob(pattern))
    return [float(text) for text in texts if text.lstrip("-").isdigit()]


def _cpuinfo_mhz(root: Path) -> list[float]:
    """Return the clocks that /proc/cpuinfo names."""
    lines = read_text(root / "proc/cpuinfo").splitlines()
    return [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]


def _gpu_mhz(root: Path) -> float | None:
    """Return the clock of an integrated GPU."""
    folder = root / "sys/class/devfreq"
    for path in sorted(folder.glob("*")):
        if any(name in path.name for name in _GPU_NAMES):
            text = read_text(path / "cur_freq")
            return float(text) / 1e6 if text.isdigit() else None
    return None


def to_csv(samples: list[Telemetry]) -> bytes:
    """Return the samples as CSV; an unreadable value is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in samples:
        writer.writerow("" if value is None else value for value in astuple(one))
    return text.getvalue().encode("ascii")


def from_csv(data: bytes, name: str) -> list[Telemetry]:
    """Read samples.

    Raises:
        ContractError: The bytes are not such a table.
    """
    try:
        lines = list(csv.reader(io.StringIO(data.decode("ascii"))))
        return [_telemetry(line) for line in _without_header(lines)]
    except ValueError as exc:
        raise ContractError(
            f"{name} is not a table of telemetry: {exc}", advice="record the bundle again"
        ) from exc


def _without_header(lines: list[list[str]]) -> list[list[str]]:
    """Return the lines below the header."""
    if not lines or tuple(lines[0]) != COLUMNS:
        raise ValueError("its columns are not those of this format")
    return lines[1:]


def _telemetry(cells: list[str]) -> Telemetry:
    """Return one sample."""
    if len(cells) != len(COLUMNS):
        raise ValueError(f"expected {len(COLUMNS)} cells, got {cells}")
    monotonic_ns, wall_ns = int(cells[0]), int(cells[1])
    return Telemetry(monotonic_ns, wall_ns, *(float(cell) if cell else None for cell in cells[2:]))
