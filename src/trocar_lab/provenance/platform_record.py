"""What machine this is; its class is computed from its own files and never typed in."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

AGX: Final = "agx"
SURROGATE: Final = "surrogate"

_AGX_BOARD: Final = re.compile(r"\b(Jetson AGX|Clara AGX|IGX)\b", re.IGNORECASE)
_TEXT_LENGTH_MAX: Final = 20_000
_TOOL_SECONDS_MAX: Final = 20
_TOOLS: Final = {
    "nvpmodel": ("nvpmodel", "-q"),
    "jetson_clocks": ("jetson_clocks", "--show"),
    "nvidia_smi": ("nvidia-smi", "-q", "-d", "CLOCK,POWER,TEMPERATURE,PERFORMANCE"),
}
_BOOT_WORDS: Final = ("isolcpus", "nohz_full", "rcu_nocbs", "threadirqs")


class PlatformRecord(BaseModel):
    """One machine; a fact that cannot be read is empty.

    Attributes:
        platform_class: ``agx`` or ``surrogate``; must follow from the two texts below.
        tegra_release: Text of /etc/nv_tegra_release.
        board_model: Name of the board in the device tree.
        machine: Instruction set.
        cpu_model: Name of the processor.
        cpu_count: Logical processors.
        memory_bytes: Physical memory.
        kernel: Release and version of the kernel.
        is_realtime_kernel: Whether the kernel says that it is PREEMPT_RT.
        governors: Frequency governors in use.
        isolated_cpus: Isolated processors.
        boot_words: Words of the kernel's command line that isolate processors.
        rt_runtime_us: Share of a second that real-time tasks may take.
        scheduler: Policy and priority of the recording process.
        affinity: Processors that it may use.
        tools: Output of the vendor's tools where they are installed.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, strict=True, extra="forbid")

    platform_class: str = Field(pattern=f"^({AGX}|{SURROGATE})$")
    tegra_release: str
    board_model: str
    machine: str
    cpu_model: str
    cpu_count: int
    memory_bytes: int
    kernel: str
    is_realtime_kernel: bool
    governors: tuple[str, ...]
    isolated_cpus: str
    boot_words: tuple[str, ...]
    rt_runtime_us: str
    scheduler: str
    affinity: tuple[int, ...]
    tools: dict[str, str]

    @property
    def label(self) -> str:
        """How every result of this machine is labelled."""
        name = self.board_model if self.platform_class == AGX else self.cpu_model
        return f"{self.platform_class}: {name or self.machine}"


# @need-ids: SRS_LATENCY_001
def platform_class(*, tegra_release: str, board_model: str, machine: str) -> str:
    """Return ``agx`` only where the machine's files name such a board, else ``surrogate``."""
    names_board = _AGX_BOARD.search(tegra_release) or _AGX_BOARD.search(board_model)
    return AGX if tegra_release and machine == "aarch64" and names_board else SURROGATE


def read_platform(root: Path = Path("/")) -> PlatformRecord:
    """Return the record of this machine.

    Args:
        root: Root of the file system; another one in tests.
    """
    cpus = root / "sys/devices/system/cpu"
    tegra_release = read_text(root / "etc/nv_tegra_release")
    board_model = read_text(root / "proc/device-tree/model").strip("\0")
    governors = {read_text(path) for path in cpus.glob("cpu[0-9]*/cpufreq/scaling_governor")} - {""}
    words = read_text(root / "proc/cmdline").split()
    policy = {os.SCHED_OTHER: "other", os.SCHED_FIFO: "fifo", os.SCHED_RR: "rr"}
    number = os.sched_getscheduler(0)
    priority = os.sched_getparam(0).sched_priority
    return PlatformRecord(
        platform_class=platform_class(
            tegra_release=tegra_release, board_model=board_model, machine=platform.machine()
        ),
        tegra_release=tegra_release,
        board_model=board_model,
        machine=platform.machine(),
        cpu_model=_cpu_model(root),
        cpu_count=os.cpu_count() or 0,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=f"{platform.release()} {platform.version()}",
        is_realtime_kernel=read_text(root / "sys/kernel/realtime") == "1",
        governors=tuple(sorted(governors)),
        isolated_cpus=read_text(cpus / "isolated"),
        boot_words=tuple(word for word in words if word.startswith(_BOOT_WORDS)),
        rt_runtime_us=read_text(root / "proc/sys/kernel/sched_rt_runtime_us"),
        scheduler=f"{policy.get(number, number)} priority {priority} nice {os.nice(0)}",
        affinity=tuple(sorted(os.sched_getaffinity(0))),
        tools={name: output for name, words in _TOOLS.items() if (output := _output(words))},
    )


def read_text(path: Path) -> str:
    """Return the text of a small system file, or nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:_TEXT_LENGTH_MAX].strip()
    except OSError:
        return ""


def _cpu_model(root: Path) -> str:
    """Return the processor's name."""
    for line in read_text(root / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() in {"model name", "hardware", "cpu model"}:
            return value.strip()
    return platform.processor() or platform.machine()


def _output(words: tuple[str, ...]) -> str:
    """Return what a tool prints, or nothing where it is missing or fails."""
    if shutil.which(words[0]) is None:
        return ""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=_TOOL_SECONDS_MAX, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return (done.stdout or done.stderr)[:_TEXT_LENGTH_MAX].strip()
