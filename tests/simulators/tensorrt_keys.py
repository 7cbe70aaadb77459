"""A key, an engine and a GPU for tests that need no library."""

from __future__ import annotations

from typing import Final

from trocar.backends.tensorrt_build import SETTINGS
from trocar.backends.tensorrt_cuda import GpuIdentity
from trocar.backends.tensorrt_key import EngineKey

__all__ = ["ENGINE", "GPU", "KEY"]

GPU: Final = GpuIdentity(
    name="Simulated GPU",
    compute_capability="8.7",
    uuid="00" * 16,
    memory_bytes=32 * 1024**3,
    driver_cuda="12.9",
)
"""The simulated GPU."""

KEY: Final = EngineKey(
    model_sha256="a" * 64,
    profile=("frame uint8 [1, 64, 64, 3]", "prob float32 [1, 1, 64, 64]"),
    precision="fp32",
    settings=SETTINGS,
    tensorrt_version="11.4.0.106",
    gpu=GPU,
)
"""What an engine for the tiny pack is bound to."""

ENGINE: Final = b"an engine" * 100
"""Bytes that no library reads."""
