"""Names and parameters of TensorRT's Python interface, read from the library or from the record.

The library is made with pybind11: a signature stands in the first lines of each docstring. The
record was made of the wheels ``tensorrt-cu12-bindings`` 11.4.0.106 and ``tensorrt-rtx`` 1.7.1.116.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

__all__ = ["RECORD", "USED", "read_names"]

RECORD: Final[dict[str, Any]] = json.loads(
    Path(__file__).with_name("tensorrt_names.json").read_text(encoding="utf-8")
)
"""By wheel: class, member, and the lists of parameters that it takes; None for an attribute."""

USED: Final[dict[str, tuple[str, ...]]] = {
    "Builder": (
        *("__init__", "max_threads", "create_network", "create_builder_config"),
        "build_serialized_network",
    ),
    "IBuilderConfig": (
        *("builder_optimization_level", "avg_timing_iterations", "progress_monitor"),
        *("set_memory_pool_limit", "set_flag", "clear_flag"),
    ),
    "INetworkDefinition": ("num_inputs", "num_outputs", "num_layers", "get_input", "get_output"),
    "ITensor": ("name", "shape", "dtype"),
    "OnnxParser": ("__init__", "num_errors", "parse", "get_error"),
    "ParserError": ("desc", "node_name", "node_operator"),
    "IHostMemory": ("nbytes",),
    "ILogger": ("__init__", "log"),
    "IProgressMonitor": ("__init__", "phase_start", "step_complete", "phase_finish"),
    "Runtime": ("__init__", "engine_host_code_allowed", "deserialize_cuda_engine"),
    "ICudaEngine": (
        *("num_io_tensors", "num_layers", "refittable", "get_tensor_name", "get_tensor_mode"),
        *("get_tensor_shape", "get_tensor_dtype", "create_execution_context"),
    ),
    "IExecutionContext": ("set_tensor_address", "execute_async_v3"),
}
"""Every class and member that the adapter uses."""

VALUES: Final[dict[str, tuple[str, ...]]] = {
    "BuilderFlag": ("STRICT_NANS", "TF32", "REFIT", "STRIP_PLAN", "VERSION_COMPATIBLE"),
    "DataType": ("FLOAT", "UINT8"),
    "MemoryPoolType": ("WORKSPACE",),
    "TensorIOMode": ("INPUT", "OUTPUT"),
}
"""Values of enumerations that the adapter uses."""

_SIGNATURE: Final = re.compile(r"^(?:\d+\. )?\w+\((.*)\) -> ", re.MULTILINE)


def read_names(module: ModuleType) -> dict[str, Any]:
    """Return what a real library has of ``USED`` and of its enumerations."""
    members = {
        name: {member: _parameters(getattr(getattr(module, name), member)) for member in used}
        for name, used in USED.items()
    }
    values = {name: sorted(getattr(module, name).__members__) for name in VALUES}
    return {"version": module.__version__, "members": members, "values": values}


def _parameters(member: object) -> list[list[str]] | None:
    """Return the parameter names of each overload, without ``self``; None for an attribute."""
    if not callable(member):
        return None
    text = member.__doc__ or ""
    found = [
        _names(match[1]) for match in _SIGNATURE.finditer(text) if match[1] != "*args, **kwargs"
    ]
    return [[name for name in names if name != "self"] for names in found]


def _names(parameters: str) -> Iterable[str]:
    """Yield the name of each parameter of one signature."""
    depth, part = 0, ""
    for letter in parameters + ",":
        depth += letter in "[(<"
        depth -= letter in "])>"
        if letter == "," and depth == 0:
            yield part.partition(":")[0].partition("=")[0].strip()
            part = ""
        else:
            part += letter
