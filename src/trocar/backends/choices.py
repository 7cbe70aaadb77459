"""Names of the engines and precisions that may be asked for.

Apart from what checks them, so that the command line can list them without an array library.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

__all__ = ["ENGINE_DEFAULT", "USUAL_THREAD_COUNT", "Engine", "Precision"]


class Engine(StrEnum):
    """Engine and provider that may be asked for."""

    ONNXRUNTIME_CPU = "onnxruntime-cpu"
    ONNXRUNTIME_CUDA = "onnxruntime-cuda"
    ONNXRUNTIME_TENSORRT = "onnxruntime-tensorrt"
    OPENVINO_CPU = "openvino-cpu"
    TENSORRT = "tensorrt"


class Precision(StrEnum):
    """Precision of the arithmetic."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"


ENGINE_DEFAULT: Final = Engine.ONNXRUNTIME_CPU
"""What runs where nothing is said."""

USUAL_THREAD_COUNT: Final = 2
"""Threads inside one call where nothing is said; fixed, so that latency does not depend on load."""
