"""What is used of TensorRT's own interface, as types: the library has none of its own.

Each name is that of the library, version 11.4; tests compare them with the real one's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = [
    "Builder",
    "BuilderConfig",
    "CudaEngine",
    "ExecutionContext",
    "HostMemory",
    "NetworkDefinition",
    "OnnxParser",
    "ParserError",
    "Runtime",
    "Tensor",
]


class Tensor(Protocol):
    """``ITensor``: one input or output of a network."""

    name: str
    shape: Sequence[int]
    dtype: object


class NetworkDefinition(Protocol):
    """``INetworkDefinition``: what a parser has read."""

    num_inputs: int
    num_outputs: int
    num_layers: int

    def get_input(self, index: int) -> Tensor:
        """Return one input."""
        ...

    def get_output(self, index: int) -> Tensor:
        """Return one output."""
        ...


class BuilderConfig(Protocol):
    """``IBuilderConfig``: how an engine is built."""

    builder_optimization_level: int
    avg_timing_iterations: int
    progress_monitor: object

    def set_memory_pool_limit(self, pool: object, pool_size: int) -> None:
        """Bound one kind of memory."""
        ...

    def set_flag(self, flag: object) -> None:
        """Switch a flag on."""
        ...

    def clear_flag(self, flag: object) -> None:
        """Switch a flag off."""
        ...


class HostMemory(Protocol):
    """``IHostMemory``: a serialised engine."""

    nbytes: int

    def __buffer__(self, flags: int, /) -> memoryview:
        """Give the bytes."""
        ...


class Builder(Protocol):
    """``Builder``: makes engines for the GPU of this machine."""

    max_threads: int

    def create_network(self, flags: int) -> NetworkDefinition:
        """Return an empty network."""
        ...

    def create_builder_config(self) -> BuilderConfig:
        """Return the library's own settings."""
        ...

    def build_serialized_network(
        self, network: NetworkDefinition, config: BuilderConfig
    ) -> HostMemory | None:
        """Return the engine, or None with the reason in the log."""
        ...


class ParserError(Protocol):
    """``ParserError``: what the parser objects to."""

    def desc(self) -> str:
        """Say what it is."""
        ...

    def node_name(self) -> str:
        """Name the layer."""
        ...

    def node_operator(self) -> str:
        """Name the kind of layer."""
        ...


class OnnxParser(Protocol):
    """``OnnxParser``: reads an ONNX file into a network."""

    num_errors: int

    def parse(self, model: bytes) -> bool:
        """Read a model; False where there are errors."""
        ...

    def get_error(self, index: int) -> ParserError:
        """Return one error."""
        ...


class ExecutionContext(Protocol):
    """``IExecutionContext``: runs an engine."""

    def set_tensor_address(self, name: str, memory: int) -> bool:
        """Say where a tensor lies on the GPU."""
        ...

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Queue one run on a stream."""
        ...


class CudaEngine(Protocol):
    """``ICudaEngine``: an engine that was read."""

    num_io_tensors: int
    num_layers: int
    refittable: bool

    def get_tensor_name(self, index: int) -> str:
        """Return the name of an input or output."""
        ...

    def get_tensor_mode(self, name: str) -> object:
        """Return whether it is an input or an output."""
        ...

    def get_tensor_shape(self, name: str) -> Sequence[int]:
        """Return its shape."""
        ...

    def get_tensor_dtype(self, name: str) -> object:
        """Return its element type."""
        ...

    def create_execution_context(self) -> ExecutionContext | None:
        """Return what runs it, or None with the reason in the log."""
        ...


class Runtime(Protocol):
    """``Runtime``: reads serialised engines."""

    engine_host_code_allowed: bool

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> CudaEngine | None:
        """Return the engine, or None with the reason in the log."""
        ...
