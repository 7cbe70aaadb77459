"""What is asked of an engine, and the checks that every adapter shares."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trocar.contracts.base import Contract
from trocar.contracts.errors import ContractError
from trocar.contracts.limits import THREAD_COUNT_MAX, WARM_UP_COUNT_MAX
from trocar.contracts.manifest import TensorSpec

__all__ = ["BackendRequest", "Engine", "Precision", "check_batch", "check_output"]


class Engine(StrEnum):
    """Engine and provider that may be asked for."""

    ONNXRUNTIME_CPU = "onnxruntime-cpu"
    ONNXRUNTIME_CUDA = "onnxruntime-cuda"
    ONNXRUNTIME_TENSORRT = "onnxruntime-tensorrt"
    OPENVINO_CPU = "openvino-cpu"


class Precision(StrEnum):
    """Precision of the arithmetic."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"


class BackendRequest(Contract):
    """What must run; an adapter that would run anything else refuses.

    Attributes:
        engine: Engine and provider.
        precision: Precision of the arithmetic.
        thread_count: Threads inside one call; fixed, so that latency does not depend on the
            machine's load.
        warm_up_count: Calls before the first frame.
    """

    engine: Engine = Engine.ONNXRUNTIME_CPU
    precision: Precision = Precision.FP32
    thread_count: int = Field(default=2, ge=1, le=THREAD_COUNT_MAX)
    warm_up_count: int = Field(default=3, ge=1, le=WARM_UP_COUNT_MAX)


# @need-ids: SRS_BACKEND_004
def check_batch(batch: NDArray[Any], spec: TensorSpec) -> None:
    """Check an input against the manifest.

    Raises:
        ContractError: Shape or dtype differ, or the memory is not contiguous.
    """
    if batch.shape != spec.shape or batch.dtype != spec.dtype.value or not batch.flags.c_contiguous:
        raise ContractError(
            f"expected input {spec.name} {spec.dtype} {spec.shape}, contiguous; got {batch.dtype} "
            f"{batch.shape}",
            advice="run the unit's preprocessing, or use the pack that fits it",
        )


def check_output(output: NDArray[Any], spec: TensorSpec) -> NDArray[np.float32]:
    """Return the output once it has the manifest's shape and dtype.

    Raises:
        ContractError: The model gives another shape or dtype than its manifest says.
    """
    if output.shape != spec.shape or output.dtype != spec.dtype.value:
        raise ContractError(
            f"expected output {spec.name} {spec.dtype} {spec.shape}, got {output.dtype} "
            f"{output.shape}",
            advice="the pack's manifest and model disagree: use another pack",
        )
    return output
