"""Names and parameters in the port and in the simulator are those of the real library."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable

import pytest

from simulators import tensorrt_runtime, tensorrt_types
from simulators.tensorrt_names import RECORD, USED, VALUES, read_names
from trocar.backends import tensorrt_port
from trocar.backends.tensorrt_build import SETTINGS

PORTS = {
    "Builder": tensorrt_port.Builder,
    "IBuilderConfig": tensorrt_port.BuilderConfig,
    "ICudaEngine": tensorrt_port.CudaEngine,
    "IExecutionContext": tensorrt_port.ExecutionContext,
    "IHostMemory": tensorrt_port.HostMemory,
    "INetworkDefinition": tensorrt_port.NetworkDefinition,
    "ITensor": tensorrt_port.Tensor,
    "OnnxParser": tensorrt_port.OnnxParser,
    "ParserError": tensorrt_port.ParserError,
    "Runtime": tensorrt_port.Runtime,
}
WHEELS = ("tensorrt-cu12-bindings", "tensorrt-rtx")


def _own_members(kind: type) -> dict[str, list[str] | None]:
    """Return public members of a class with their parameters; None for an attribute."""
    found: dict[str, list[str] | None] = dict.fromkeys(inspect.get_annotations(kind))
    for name, value in vars(kind).items():
        if not name.startswith("_") and not isinstance(value, type):
            found[name] = _parameters(value) if inspect.isfunction(value) else None
    return found


def _parameters(function: Callable[..., object]) -> list[str]:
    """Return the parameters of a method but for ``self`` and those with a default."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return [one.name for one in parameters if one.default is inspect.Parameter.empty]


def _is_call_of(real: list[list[str]] | None, own: list[str] | None) -> bool:
    """Return whether a real member can be used in our way."""
    if real is None or own is None:
        return real is None and own is None
    return any(overload[: len(own)] == own for overload in real)


@pytest.mark.verifies("SRS_TRT_001", "UNIT_TRT_PORT", extent="partial", technique="conformance")
@pytest.mark.parametrize("wheel", WHEELS)
@pytest.mark.parametrize("name", PORTS)
def test_port_has_the_names_of_the_real_library(wheel: str, name: str) -> None:
    """A name that only the simulator knows would be found on the first GPU, not before."""
    real = RECORD[wheel]["members"][name]
    for member, parameters in _own_members(PORTS[name]).items():
        assert _is_call_of(real[member], parameters), f"{name}.{member}"


@pytest.mark.parametrize("wheel", WHEELS)
@pytest.mark.parametrize("name", tensorrt_runtime.CLASSES)
def test_simulator_has_the_names_of_the_real_library(wheel: str, name: str) -> None:
    """And it has all that the adapter uses."""
    real = RECORD[wheel]["members"][name]
    own = _own_members(tensorrt_runtime.CLASSES[name])
    instance_only = {"ITensor", "IBuilderConfig", "Builder", "Runtime", "ICudaEngine"}
    for member in USED[name]:
        if member in own:
            assert _is_call_of(real[member], own[member]), f"{name}.{member}"
        else:
            assert (real[member] is None and name in instance_only) or member == "__init__"


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="conformance")
@pytest.mark.parametrize("wheel", WHEELS)
def test_values_are_those_of_the_real_library(wheel: str) -> None:
    """Flags of a precision are gone since version 11; these are there."""
    values = {name: set(RECORD[wheel]["values"][name]) for name in VALUES}
    for name, used in VALUES.items():
        assert set(used) <= values[name]
        simulated = {one.name for one in getattr(tensorrt_types, name)}
        assert simulated <= values[name]
    assert {*SETTINGS.flags_on, *SETTINGS.flags_off} <= values["BuilderFlag"]
    assert not values["BuilderFlag"] & {"FP16", "BF16", "INT8"}


@pytest.mark.parametrize(
    ("module", "wheel"), [("tensorrt", WHEELS[0]), ("tensorrt_rtx", WHEELS[1])]
)
def test_record_is_that_of_the_library_that_is_installed(module: str, wheel: str) -> None:
    """The record must not age in silence; see the tox environments gpu and tensorrt-rtx."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed here (tox -e gpu, tox -e tensorrt-rtx)")
    assert read_names(importlib.import_module(module)) == RECORD[wheel]
