"""Enumerations and bases of the simulated TensorRT: what a caller names or subclasses."""

from __future__ import annotations

from enum import Enum
from typing import Final

import onnx

__all__ = [
    "BuilderFlag",
    "DataType",
    "ILogger",
    "IProgressMonitor",
    "ITensor",
    "MemoryPoolType",
    "SilentMonitor",
    "TensorIOMode",
    "quantisation",
]


class BuilderFlag(Enum):
    """Flags of a build."""

    DEBUG = 0
    REFIT = 2
    TF32 = 5
    SPARSE_WEIGHTS = 6
    VERSION_COMPATIBLE = 9
    STRIP_PLAN = 13
    STRICT_NANS = 17


class DataType(Enum):
    """Element types."""

    FLOAT = 0
    HALF = 1
    INT8 = 2
    INT32 = 3
    BOOL = 4
    UINT8 = 5
    INT64 = 8


class MemoryPoolType(Enum):
    """Kinds of memory that a build may use."""

    WORKSPACE = 0
    TACTIC_DRAM = 4


class TensorIOMode(Enum):
    """What a tensor of an engine is."""

    NONE = 0
    INPUT = 1
    OUTPUT = 2


class ILogger:
    """Base of a logger."""

    class Severity(Enum):
        """How grave a line is."""

        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3
        VERBOSE = 4

    def log(self, severity: Severity, msg: str) -> None:
        """Take a line; a subclass says where it goes."""
        raise NotImplementedError


class IProgressMonitor:
    """Base of a monitor; a subclass overrides all three."""

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        """Hear of a new phase."""
        raise NotImplementedError

    def step_complete(self, phase_name: str, step: int) -> bool:
        """Hear of a step; say whether the build goes on."""
        raise NotImplementedError

    def phase_finish(self, phase_name: str) -> None:
        """Hear of the end of a phase."""
        raise NotImplementedError


class SilentMonitor(IProgressMonitor):
    """What the library does where nobody listens."""

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        """Go on."""

    def step_complete(self, phase_name: str, step: int) -> bool:
        """Go on."""
        return True

    def phase_finish(self, phase_name: str) -> None:
        """Go on."""


_TYPES: Final = {
    onnx.TensorProto.FLOAT: DataType.FLOAT,
    onnx.TensorProto.FLOAT16: DataType.HALF,
    onnx.TensorProto.UINT8: DataType.UINT8,
    onnx.TensorProto.INT32: DataType.INT32,
}


class ITensor:
    """One input or output of a network."""

    def __init__(self, value: onnx.ValueInfoProto) -> None:
        kind = value.type.tensor_type
        self.name = value.name
        self.dtype = _TYPES.get(kind.elem_type, DataType.BOOL)
        self.shape = tuple(
            one.dim_value if one.HasField("dim_value") else -1 for one in kind.shape.dim
        )


_QUANTISED: Final = ("QuantizeLinear", "DequantizeLinear")


def quantisation(model: onnx.ModelProto) -> tuple[list[str], list[tuple[str, str, str]]]:
    """Return what the real parser replaces with a warning, and what it refuses, of whole numbers.

    Seen of TensorRT-RTX 1.7.1: zero points of UINT8 are taken as INT8, those of INT32 are refused.
    """
    types = {one.name: one.data_type for one in model.graph.initializer}
    replaced: list[str] = []
    refused: list[tuple[str, str, str]] = []
    for node in model.graph.node:
        kind = types.get(node.input[2]) if node.op_type in _QUANTISED and node.input[2:] else None
        if kind == onnx.TensorProto.UINT8:
            replaced.append(f"{node.op_type} with UINT8 zero_point: Defaulting to INT8 instead")
        elif kind == onnx.TensorProto.INT32:
            refused.append((node.op_type, node.name, "input has type Int32"))
    return replaced, refused
