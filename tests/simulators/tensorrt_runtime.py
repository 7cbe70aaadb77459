"""TensorRT in memory: the names and habits of the real library, ONNX Runtime as its arithmetic.

What was seen of the real one (TensorRT-RTX 1.7.1, and the bindings of TensorRT 11.4 without their
libraries) is done alike: a broken model is False with errors, a failed build or an engine of
another machine is None with a line in the log, and no GPU is a ``TypeError`` of pybind11.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, cast

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from simulators.cuda_driver import CudaDriver
from simulators.tensorrt_types import (
    BuilderFlag,
    DataType,
    ILogger,
    IProgressMonitor,
    ITensor,
    MemoryPoolType,
    SilentMonitor,
    TensorIOMode,
    quantisation,
)

__all__ = ["CLASSES", "Faults", "TensorRtModule", "install"]

_MAGIC: Final = b"SIMULATED-ENGINE\n"
_STREAM: Final = 0x2000
_NO_LIBRARY: Final = "pybind11::init(): factory function returned nullptr"


_NUMPY: Final[dict[DataType, np.dtype[Any]]] = {
    DataType.FLOAT: np.dtype(np.float32),
    DataType.UINT8: np.dtype(np.uint8),
    DataType.HALF: np.dtype(np.float16),
}


@dataclass
class Faults:
    """What goes wrong, and what a test does while a build runs.

    Attributes:
        no_gpu: The library finds no GPU.
        parser: What the parser objects to: operator, layer and words of each.
        warnings: Lines that the parser writes though it takes the model.
        build: Line in the log with which a build ends without an engine.
        build_error: Raised by the build.
        on_step: Called after each step that was reported.
        refuse: Line in the log with which every engine is refused.
        no_context: The engine is read but cannot be made to run.
        refittable: Every engine can be given other weights.
        no_place: No address is taken.
        execute: Line in the log with which a run fails.
        output: Changes what every run gives.
        extra_tensors: Tensors that each engine has beside its two.
        padding: Bytes that are put behind each engine.
    """

    no_gpu: bool = False
    parser: list[tuple[str, str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    build: str = ""
    build_error: Exception | None = None
    on_step: Callable[[int], None] = lambda _: None
    refuse: str = ""
    no_context: bool = False
    refittable: bool = False
    no_place: bool = False
    execute: str = ""
    output: Callable[[NDArray[np.float32]], NDArray[np.float32]] = lambda output: output
    extra_tensors: int = 0
    padding: int = 0


class TensorRtModule:
    """The module ``tensorrt`` on one machine.

    Args:
        driver: The machine's GPU.
        version: Version of the library.
        faults: What goes wrong.
    """

    BuilderFlag = BuilderFlag
    DataType = DataType
    MemoryPoolType = MemoryPoolType
    TensorIOMode = TensorIOMode
    ILogger = ILogger
    IProgressMonitor = IProgressMonitor

    def __init__(
        self, driver: CudaDriver, *, version: str = "11.4.0.106", faults: Faults | None = None
    ) -> None:
        self.__version__ = version
        self.driver = driver
        self.faults = faults or Faults()
        self.build_count = 0
        self.read_count = 0
        self.configs: list[IBuilderConfig] = []
        self.Builder = partial(Builder, self)
        self.OnnxParser = partial(OnnxParser, self)
        self.Runtime = partial(Runtime, self)

    def __hash__(self) -> int:
        """Be one module."""
        return id(self)

    def serialize(self, model: bytes) -> bytes:
        """Return an engine: the model, bound to version and kind of GPU."""
        bound = {"version": self.__version__, "capability": list(self.driver.capability)}
        return _MAGIC + json.dumps(bound).encode() + b"\n" + model + bytes(self.faults.padding)


class INetworkDefinition:
    """What a parser has read."""

    def __init__(self) -> None:
        self.model: onnx.ModelProto | None = None

    @property
    def num_inputs(self) -> int:
        """Number of inputs."""
        return len(self._graph.input)

    @property
    def num_outputs(self) -> int:
        """Number of outputs."""
        return len(self._graph.output)

    @property
    def num_layers(self) -> int:
        """Number of layers."""
        return len(self._graph.node)

    def get_input(self, index: int) -> ITensor:
        """Return one input."""
        return ITensor(self._graph.input[index])

    def get_output(self, index: int) -> ITensor:
        """Return one output."""
        return ITensor(self._graph.output[index])

    @property
    def _graph(self) -> onnx.GraphProto:
        """The graph that was read."""
        assert self.model is not None
        return self.model.graph


class IBuilderConfig:
    """How an engine is built; the library's own settings to begin with."""

    def __init__(self) -> None:
        self.builder_optimization_level = 3
        self.avg_timing_iterations = 1
        self.progress_monitor: IProgressMonitor | None = None
        self.pools: dict[MemoryPoolType, int] = {}
        self.on = {BuilderFlag.TF32}

    def set_memory_pool_limit(self, pool: MemoryPoolType, pool_size: int) -> None:
        """Bound one kind of memory."""
        self.pools[pool] = pool_size

    def set_flag(self, flag: BuilderFlag) -> None:
        """Switch a flag on."""
        self.on.add(flag)

    def clear_flag(self, flag: BuilderFlag) -> None:
        """Switch a flag off."""
        self.on.discard(flag)


class IHostMemory(bytearray):
    """A serialised engine."""

    @property
    def nbytes(self) -> int:
        """Its size."""
        return len(self)


class Builder:
    """Makes engines."""

    def __init__(self, trt: TensorRtModule, logger: ILogger) -> None:
        if trt.faults.no_gpu:
            raise TypeError(_NO_LIBRARY)
        self._trt = trt
        self._logger = logger
        self.max_threads = 0

    def create_network(self, flags: int = 0) -> INetworkDefinition:
        """Return an empty network."""
        assert flags == 0, "networks of TensorRT 11 need no flag"
        return INetworkDefinition()

    def create_builder_config(self) -> IBuilderConfig:
        """Return the library's own settings."""
        config = IBuilderConfig()
        self._trt.configs.append(config)
        return config

    def build_serialized_network(
        self, network: INetworkDefinition, config: IBuilderConfig
    ) -> IHostMemory | None:
        """Build in nested phases as the real one, with a step for each layer."""
        faults = self._trt.faults
        self._trt.build_count += 1
        if faults.build_error is not None:
            raise faults.build_error
        monitor = config.progress_monitor or SilentMonitor()
        if not self._steps(monitor, network.num_layers):
            self._logger.log(
                ILogger.Severity.ERROR,
                "IBuilder::buildSerializedNetwork: Error Code 7: BuildCanceled",
            )
            return None
        if faults.build:
            self._logger.log(ILogger.Severity.ERROR, faults.build)
            return None
        assert network.model is not None
        self._logger.log(ILogger.Severity.WARNING, "a line that is no error")
        return IHostMemory(self._trt.serialize(network.model.SerializeToString()))

    def _steps(self, monitor: IProgressMonitor, layer_count: int) -> bool:
        """Report two phases in one; return whether the build goes on."""
        done, goes_on = 0, True
        monitor.phase_start("Building engine", None, 2)
        for outer, name in enumerate(("Cloning network graph", "Timing tactics")):
            monitor.phase_start(name, "Building engine", layer_count)
            for step in range(layer_count):
                goes_on = goes_on and monitor.step_complete(name, step)
                self._trt.faults.on_step(done)
                done += 1
            monitor.phase_finish(name)
            goes_on = goes_on and monitor.step_complete("Building engine", outer)
        monitor.phase_finish("Building engine")
        return goes_on


class ParserError:
    """What the parser objects to."""

    def __init__(self, operator: str, name: str, words: str) -> None:
        self._operator, self._name, self._words = operator, name, words

    def desc(self) -> str:
        """Say what it is."""
        return self._words

    def node_name(self) -> str:
        """Name the layer."""
        return self._name

    def node_operator(self) -> str:
        """Name the kind of layer."""
        return self._operator


class OnnxParser:
    """Reads an ONNX file into a network."""

    def __init__(self, trt: TensorRtModule, network: INetworkDefinition, logger: ILogger) -> None:
        self._trt = trt
        self._network = network
        self._logger = logger
        self._errors: list[ParserError] = []

    @property
    def num_errors(self) -> int:
        """Number of errors."""
        return len(self._errors)

    def get_error(self, index: int) -> ParserError:
        """Return one error."""
        return self._errors[index]

    def parse(self, model: bytes, path: str | None = None) -> bool:
        """Read a model; False where there are errors."""
        self._errors = [ParserError(*one) for one in self._trt.faults.parser]
        try:
            onnx.checker.check_model(model)
            self._network.model = onnx.ModelProto.FromString(model)
            replaced, refused = quantisation(self._network.model)
            self._errors += [ParserError(*one) for one in refused]
            for words in (*replaced, *self._trt.faults.warnings):
                self._logger.log(ILogger.Severity.WARNING, words)
        except (ValueError, onnx.checker.ValidationError) as exc:
            self._errors.append(ParserError("", "", f"Failed to parse the ONNX model: {exc}"))
        for error in self._errors:
            self._logger.log(ILogger.Severity.ERROR, error.desc())
        return not self._errors


class Runtime:
    """Reads serialised engines."""

    def __init__(self, trt: TensorRtModule, logger: ILogger) -> None:
        if trt.faults.no_gpu:
            raise TypeError(_NO_LIBRARY)
        self._trt = trt
        self._logger = logger
        self.engine_host_code_allowed = False

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        """Return the engine, or None with the reason in the log."""
        self._trt.read_count += 1
        self._logger.log(ILogger.Severity.INFO, "Loaded engine size: 0 MiB")
        if self._trt.faults.refuse:
            self._logger.log(ILogger.Severity.ERROR, self._trt.faults.refuse)
            return None
        magic, _, rest = serialized_engine.partition(b"\n")
        bound, _, model = rest.partition(b"\n")
        words = self._objection(magic + b"\n", bound)
        if words:
            self._logger.log(ILogger.Severity.ERROR, words)
            return None
        return ICudaEngine(self._trt, self._logger, model)

    def _objection(self, magic: bytes, bound: bytes) -> str:
        """Say what is wrong with an engine; empty where nothing is."""
        if magic != _MAGIC:
            return "Serialization assertion magicTag failed"
        facts = json.loads(bound)
        if facts["version"] != self._trt.__version__:
            return "Serialization assertion version failed: version tag mismatch"
        if tuple(facts["capability"]) != self._trt.driver.capability:
            return "the engine plan file is generated on an incompatible device"
        return ""


class ICudaEngine:
    """An engine that was read."""

    def __init__(self, trt: TensorRtModule, logger: ILogger, model: bytes) -> None:
        self._trt = trt
        self._logger = logger
        self._model = model
        network = INetworkDefinition()
        network.model = onnx.ModelProto.FromString(model)
        self._modes = {
            network.get_input(0).name: (TensorIOMode.INPUT, network.get_input(0)),
            network.get_output(0).name: (TensorIOMode.OUTPUT, network.get_output(0)),
        }
        self.num_layers = network.num_layers

    @property
    def num_io_tensors(self) -> int:
        """Number of inputs and outputs."""
        return len(self._modes) + self._trt.faults.extra_tensors

    @property
    def refittable(self) -> bool:
        """Whether it can be given other weights."""
        return self._trt.faults.refittable

    def get_tensor_name(self, index: int) -> str:
        """Return the name of an input or output."""
        return str(list(self._modes)[index])

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        """Return whether it is an input or an output."""
        return self._modes[name][0]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        """Return its shape."""
        return self._modes[name][1].shape

    def get_tensor_dtype(self, name: str) -> DataType:
        """Return its element type."""
        return self._modes[name][1].dtype

    def create_execution_context(self) -> IExecutionContext | None:
        """Return what runs it."""
        if self._trt.faults.no_context:
            self._logger.log(ILogger.Severity.ERROR, "Error Code 2: OutOfMemory")
            return None
        return IExecutionContext(self, self._trt, self._logger, self._model)


class IExecutionContext:
    """Runs an engine on what lies in the memory of the simulated GPU."""

    def __init__(
        self, engine: ICudaEngine, trt: TensorRtModule, logger: ILogger, model: bytes
    ) -> None:
        self._engine = engine
        self._trt = trt
        self._logger = logger
        self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self._addresses: dict[str, int] = {}

    def set_tensor_address(self, name: str, memory: int) -> bool:
        """Say where a tensor lies on the GPU."""
        self._addresses[name] = memory
        return not self._trt.faults.no_place

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Run once; False with a line in the log where it fails."""
        words = self._trt.faults.execute or self._objection(stream_handle)
        if words:
            self._logger.log(ILogger.Severity.ERROR, words)
            return False
        source = self._session.get_inputs()[0].name
        target = self._session.get_outputs()[0].name
        result = self._session.run([target], {source: self._view(source).copy()})[0]
        changed = self._trt.faults.output(cast("NDArray[np.float32]", result))
        self._view(target)[...] = changed
        return True

    def _objection(self, stream_handle: int) -> str:
        """Say what the GPU would choke on; empty where it would not."""
        if stream_handle != _STREAM:
            return "not the stream of this context"
        for name in (*self._session.get_inputs(), *self._session.get_outputs()):
            shape, dtype = self._shape(name.name)
            size_bytes = int(np.prod(shape)) * dtype.itemsize
            address = self._addresses.get(name.name, 0)
            if not self._trt.driver.is_allocated(address, size_bytes):
                return f"an illegal memory access was encountered at {name.name}"
        return ""

    def _shape(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return shape and type of a tensor."""
        return self._engine.get_tensor_shape(name), _NUMPY[self._engine.get_tensor_dtype(name)]

    def _view(self, name: str) -> NDArray[Any]:
        """Return a tensor where it lies."""
        shape, dtype = self._shape(name)
        size_bytes = int(np.prod(shape)) * dtype.itemsize
        held = (ctypes.c_char * size_bytes).from_address(self._addresses[name])
        flat: NDArray[Any] = np.frombuffer(cast("Any", held), dtype=dtype)
        return flat.reshape(shape)


CLASSES: Final[dict[str, type]] = {
    "Builder": Builder,
    "IBuilderConfig": IBuilderConfig,
    "ICudaEngine": ICudaEngine,
    "IExecutionContext": IExecutionContext,
    "IHostMemory": IHostMemory,
    "ILogger": ILogger,
    "INetworkDefinition": INetworkDefinition,
    "IProgressMonitor": IProgressMonitor,
    "ITensor": ITensor,
    "OnnxParser": OnnxParser,
    "ParserError": ParserError,
    "Runtime": Runtime,
}
"""Each class by the library's name, for the comparison with the real ones."""


def install(
    monkeypatch: pytest.MonkeyPatch,
    *,
    driver: CudaDriver | None = None,
    version: str = "11.4.0.106",
    faults: Faults | None = None,
) -> TensorRtModule:
    """Put a machine with TensorRT and a GPU in the place of what is really there.

    Args:
        monkeypatch: Takes it away again.
        driver: The GPU and its driver.
        version: Version of the library.
        faults: What goes wrong.

    Returns:
        The module, whose counts and faults a test may look at and change.
    """
    gpu = driver or CudaDriver()
    module = TensorRtModule(gpu, version=version, faults=faults)
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", cast("Any", module))
    monkeypatch.setattr("trocar.backends.tensorrt_cuda.load_driver", lambda: gpu)
    return module
