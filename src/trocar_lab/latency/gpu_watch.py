"""State of a discrete NVIDIA GPU beside a run, as its own tool tells it twice a second."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import IO, Final, Self

from trocar.contracts.limits import NS_PER_S

TOOL: Final = "nvidia-smi"
PERIOD_MS: Final = 500
AGE_S_MAX: Final = 3
"""A reading that is older tells nothing of now [s]."""

THROTTLE_REASONS: Final = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "temperature, by the driver",
    0x40: "temperature, by the hardware",
    0x80: "power brake",
}
"""Bits of the driver's reasons that slow a busy GPU down; idle and clocks set by hand do not."""

_QUERY: Final = "clocks.sm,temperature.gpu,power.draw,clocks_throttle_reasons.active"
_END_SECONDS_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One reading; a value that the tool does not tell is None.

    Attributes:
        mhz: Clock of the processors of the GPU [MHz].
        temperature_c: Temperature [degree Celsius].
        power_w: Power [W].
        throttle_bits: Reasons of throttling, one bit each.
    """

    mhz: float | None
    temperature_c: float | None
    power_w: float | None
    throttle_bits: int | None


NO_GPU_READING: Final = GpuReading(None, None, None, None)


class GpuWatch:
    """Keeps the newest reading of the first GPU; without the tool, every reading is empty."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest = NO_GPU_READING
        self._read_at_ns = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start the tool where it is installed."""
        if shutil.which(TOOL) is not None:
            words = [TOOL, "--id=0", f"--query-gpu={_QUERY}"]
            words += ["--format=csv,noheader,nounits", f"--loop-ms={PERIOD_MS}"]
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            self._process = process
            self._reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
            self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the tool."""
        if self._process is None or self._reader is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_END_SECONDS_MAX)
        self._reader.join(_END_SECONDS_MAX)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def newest(self) -> GpuReading:
        """Return the newest reading, or an empty one where the tool has fallen silent."""
        with self._lock:
            is_old = time.monotonic_ns() - self._read_at_ns > AGE_S_MAX * NS_PER_S
            return NO_GPU_READING if is_old else self._newest

    def _read(self, lines: IO[bytes]) -> None:
        """Keep the newest line; runs in a thread of its own until the tool ends."""
        for line in lines:
            reading = reading_of(line.decode("ascii", errors="replace"))
            with self._lock:
                self._newest, self._read_at_ns = reading, time.monotonic_ns()


def reading_of(line: str) -> GpuReading:
    """Return the reading in one line of the tool; what is not a number is not told."""
    cells = [cell.strip() for cell in line.split(",")]
    if len(cells) != 4:
        return NO_GPU_READING
    mhz, temperature_c, power_w = (_number(cell) for cell in cells[:3])
    try:
        bits: int | None = int(cells[3], 16)
    except ValueError:
        bits = None
    return GpuReading(mhz, temperature_c, power_w, bits)


def _number(cell: str) -> float | None:
    """Return a number, or None for a word such as ``[N/A]``."""
    try:
        return float(cell)
    except ValueError:
        return None


def reasons_of(throttle_bits: int) -> list[str]:
    """Return in words why the GPU was slowed down."""
    return [words for bit, words in THROTTLE_REASONS.items() if throttle_bits & bit]
