"""Build an engine of TensorRT from verified ONNX bytes, visibly, within a time, and not in part.

The networks of TensorRT 11 are strongly typed: the element types of the model decide the precision,
and no flag changes it. The build runs in a thread of its own, so that Ctrl-C and the limit of time
are noticed whatever the library does; the next step of the build then ends it.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any, Final

from trocar.backends.tensorrt_key import BuildSettings
from trocar.backends.tensorrt_port import (
    Builder,
    BuilderConfig,
    HostMemory,
    NetworkDefinition,
    OnnxParser,
)
from trocar.backends.tensorrt_progress import BuildListener, BuildPhases
from trocar.contracts.errors import BackendUnavailableError, ContractError
from trocar.contracts.limits import (
    ENGINE_BUILD_MS_MAX,
    ENGINE_BYTES_MAX,
    ENGINE_STEP_MS_MAX,
    ENGINE_WORKSPACE_BYTES_MAX,
    NS_PER_MS,
)
from trocar.contracts.manifest import ModelManifest, TensorDtype, TensorSpec

__all__ = [
    "SETTINGS",
    "LibraryLog",
    "build_engine",
    "import_tensorrt",
    "library_log",
    "require_tensor",
]

SETTINGS: Final = BuildSettings(
    workspace_bytes=ENGINE_WORKSPACE_BYTES_MAX,
    optimization_level=3,
    timing_rounds=8,
    # A NaN must reach the check of the output: no kernel may fold it away.
    flags_on=("STRICT_NANS",),
    # fp32 means fp32: products of 10 bits are another precision. No engine may be given other
    # weights, or bring code of its own for the processor.
    flags_off=("TF32", "REFIT", "STRIP_PLAN", "VERSION_COMPATIBLE", "SPARSE_WEIGHTS"),
)
"""How engines are built; part of the key of each."""

_MAJOR: Final = 11
_LISTED: Final = 8
# What pybind11 makes of the exceptions of a library in C++.
_LIBRARY_ERRORS: Final = (
    *(RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError),
)
_POLL_S: Final = 0.1
_TYPES: Final = {TensorDtype.UINT8: "UINT8", TensorDtype.FLOAT32: "FLOAT"}
_INSTALL: Final = (
    'pip install "trocar[tensorrt]" beside an NVIDIA GPU; docs/how-to/build_a_tensorrt_engine.rst '
    "says from where"
)
_OTHER_ENGINE: Final = "ask for another engine; the log holds what TensorRT said"


def import_tensorrt() -> ModuleType:
    """Import TensorRT of the version line that this adapter was written for.

    Raises:
        BackendUnavailableError: It is not installed, cannot be loaded, or is of another line.
    """
    try:
        trt = importlib.import_module("tensorrt")
    except (ImportError, OSError) as exc:
        raise BackendUnavailableError(
            f"expected TensorRT, it is not installed or cannot be loaded: {exc}", advice=_INSTALL
        ) from exc
    version = str(trt.__version__)
    if version.partition(".")[0] != str(_MAJOR):
        raise BackendUnavailableError(
            f"expected TensorRT {_MAJOR}, got {version}", advice=f"{_INSTALL}, in this version"
        )
    return trt


class LibraryLog:
    """The last errors and warnings that the library wrote, newest last.

    Args:
        trt: The module.
    """

    def __init__(self, trt: ModuleType) -> None:
        self._errors: deque[str] = deque(maxlen=_LISTED)
        self._warnings: deque[str] = deque(maxlen=_LISTED)
        self.logger = _logger(trt, self._errors.append, self._warnings.append)

    def take(self) -> str:
        """Return the errors as one text and forget them."""
        return _taken(self._errors) or "TensorRT gave no reason"

    def take_warnings(self) -> str:
        """Return the warnings as one text and forget them; empty where there are none."""
        return _taken(self._warnings)


def _taken(lines: deque[str]) -> str:
    """Return lines as one text and forget them."""
    text = "; ".join(list(lines))
    lines.clear()
    return text


@lru_cache(maxsize=1)
def library_log(trt: ModuleType) -> LibraryLog:
    """Return the one log of this process: the library keeps the first logger that it is given."""
    return LibraryLog(trt)


def _logger(
    trt: ModuleType, keep: Callable[[str], object], keep_warning: Callable[[str], object]
) -> object:
    """Return a logger of the library that keeps errors and warnings and drops the rest."""
    severities = trt.ILogger.Severity
    kept = (severities.INTERNAL_ERROR, severities.ERROR)

    base: Any = trt.ILogger

    class Logger(base):  # type: ignore[misc] # the library's type is known at run time only
        """Called by any thread of the library."""

        def __init__(self) -> None:
            base.__init__(self)

        def log(self, severity: object, msg: str) -> None:
            """Keep an error or a warning."""
            if severity in kept:
                keep(msg)
            elif severity == severities.WARNING:
                keep_warning(msg)

    return Logger()


def _monitor(trt: ModuleType, phases: BuildPhases) -> object:
    """Return a monitor of the library that writes into ``phases`` and ends a cancelled build."""
    base: Any = trt.IProgressMonitor

    class Monitor(base):  # type: ignore[misc] # the library's type is known at run time only
        """Called by any thread of the library; nothing in it can fail."""

        def __init__(self) -> None:
            base.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            """Open a phase; it lies inside those that are open already."""
            del parent_phase
            phases.start(phase_name, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            """Count a step; False ends the build."""
            return phases.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            """Close a phase."""
            phases.finish(phase_name)

    return Monitor()


# @need-ids: SRS_TRT_001, SRS_TRT_002, SRS_TRT_003
def build_engine(
    trt: ModuleType,
    model: bytes,
    manifest: ModelManifest,
    *,
    thread_count: int,
    listener: BuildListener,
    now_ns: Callable[[], int] = time.monotonic_ns,
) -> bytes:
    """Return the serialised engine of a model for the GPU of this machine.

    Args:
        trt: The module of TensorRT.
        model: Bytes of the ONNX file, verified.
        manifest: Its manifest.
        thread_count: Threads of the processor that the library may use.
        listener: Is told how far the build is, by the calling thread.
        now_ns: Monotonic time [ns].

    Returns:
        The engine; at most ``ENGINE_BYTES_MAX`` bytes.

    Raises:
        BackendUnavailableError: The model cannot be parsed or built, or not in time.
        ContractError: The model's tensors are not those of the manifest.
    """
    log, phases = library_log(trt), BuildPhases()
    log.take()
    try:
        builder: Builder = trt.Builder(log.logger)
        builder.max_threads = thread_count
        network = builder.create_network(0)
        parser: OnnxParser = trt.OnnxParser(network, log.logger)
        log.take_warnings()
        is_parsed = parser.parse(model)
        changes = log.take_warnings()
        config = _configured(trt, builder, phases)
    except Exception as exc:
        raise BackendUnavailableError(
            f"TensorRT could not begin a build: {exc}; {log.take()}", advice=_OTHER_ENGINE
        ) from exc
    if not is_parsed:
        raise BackendUnavailableError(
            f"TensorRT cannot take this model: {_parser_errors(parser)}",
            advice="ask for another engine, or for a pack without these layers",
        )
    # The parser replaces what it does not have, such as UINT8 by INT8, with a mere warning.
    # @need-ids: SRS_TRT_011, RCM_TRT_003
    if changes:
        raise BackendUnavailableError(
            f"TensorRT would not run the model as it is: {changes}",
            advice="ask for another engine, or for a pack that was made for TensorRT",
        )
    _require_tensors(trt, network, manifest)
    built = _Build(lambda: builder.build_serialized_network(network, config), phases)
    engine = built.wait(listener, now_ns)
    if engine is None:
        raise BackendUnavailableError(
            f"TensorRT could not build an engine: {log.take()}", advice=_OTHER_ENGINE
        )
    if len(engine) > ENGINE_BYTES_MAX:
        raise BackendUnavailableError(
            f"expected an engine of at most {ENGINE_BYTES_MAX} bytes, got {len(engine)}",
            advice="use a smaller model",
        )
    return engine


# @need-ids: SRS_TRT_004
def _configured(trt: ModuleType, builder: Builder, phases: BuildPhases) -> BuilderConfig:
    """Return the configuration of a build: exactly ``SETTINGS``, and the monitor."""
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, SETTINGS.workspace_bytes)
    config.builder_optimization_level = SETTINGS.optimization_level
    config.avg_timing_iterations = SETTINGS.timing_rounds
    for name in SETTINGS.flags_on:
        config.set_flag(getattr(trt.BuilderFlag, name))
    # @need-ids: RCM_TRT_001
    for name in SETTINGS.flags_off:
        config.clear_flag(getattr(trt.BuilderFlag, name))
    config.progress_monitor = _monitor(trt, phases)
    return config


def _parser_errors(parser: OnnxParser) -> str:
    """Return what the parser objects to, each with the layer."""
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    texts = [
        f"{error.node_operator()} {error.node_name()!r}: {error.desc()}".strip()
        for error in errors[:_LISTED]
    ]
    left_out = len(errors) - len(texts)
    return "; ".join(texts) + (f"; and {left_out} more" if left_out else "")


def _require_tensors(trt: ModuleType, network: NetworkDefinition, manifest: ModelManifest) -> None:
    """Compare what the parser found with the manifest: before minutes of building, not after."""
    if (network.num_inputs, network.num_outputs) != (1, 1):
        raise ContractError(
            f"expected one input and one output, the model has {network.num_inputs} and "
            f"{network.num_outputs}",
            advice="the pack's manifest and model disagree: use another pack",
        )
    for kind, tensor, spec in (
        ("input", network.get_input(0), manifest.input),
        ("output", network.get_output(0), manifest.output),
    ):
        require_tensor(trt, spec, (kind, tensor.name, tuple(tensor.shape), tensor.dtype))


def require_tensor(
    trt: ModuleType, spec: TensorSpec, found: tuple[str, str, tuple[int, ...], object]
) -> None:
    """Compare one tensor of the library with the manifest.

    Args:
        trt: The module of TensorRT.
        spec: What the manifest says.
        found: Input or output, name, shape and type that the library gives.

    Raises:
        ContractError: They differ, or the shape is not fixed.
    """
    kind, name, shape, dtype = found
    wanted = getattr(trt.DataType, _TYPES[spec.dtype])
    if (name, shape, dtype) != (spec.name, spec.shape, wanted):
        raise ContractError(
            f"expected {kind} {spec.name} {spec.dtype} {spec.shape}, got {name} {dtype} {shape}",
            advice="the pack's manifest and model disagree: use another pack",
        )


class _Build:
    """One call of the library in a thread of its own.

    Args:
        call: Returns the serialised engine as a buffer, or None.
        phases: What its monitor writes.
    """

    def __init__(self, call: Callable[[], HostMemory | None], phases: BuildPhases) -> None:
        self._call = call
        self._phases = phases
        self._done = threading.Event()
        self._engine: bytes | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="trocar-engine-build", daemon=True)

    def wait(self, listener: BuildListener, now_ns: Callable[[], int]) -> bytes | None:
        """Run the build; return the engine, or None where the library gave none."""
        end_ns = now_ns() + ENGINE_BUILD_MS_MAX * NS_PER_MS
        leave_ns = end_ns + ENGINE_STEP_MS_MAX * NS_PER_MS
        is_late = False
        try:
            self._thread.start()
            while not self._done.wait(_POLL_S):
                listener(self._phases.now())
                is_late = now_ns() > end_ns
                if is_late:
                    self._phases.cancel()
                    _require_time(now_ns() <= leave_ns)
        except BaseException:
            # Ctrl-C, or a listener that failed: the next step ends the build, a second one leaves.
            self._phases.cancel()
            self._done.wait(ENGINE_STEP_MS_MAX / 1000)
            raise
        _require_time(not (is_late and self._engine is None))
        if self._error is not None:
            raise BackendUnavailableError(
                f"TensorRT failed while it built: {self._error}", advice=_OTHER_ENGINE
            ) from self._error
        if self._engine is not None:
            listener(self._phases.complete())
        return self._engine

    def _work(self) -> None:
        """Call the library; what comes is read by the waiting thread."""
        try:
            memory = self._call()
            self._engine = None if memory is None else bytes(memory)
        except _LIBRARY_ERRORS as exc:
            self._error = exc
        finally:
            self._done.set()


def _require_time(is_in_time: bool) -> None:  # noqa: FBT001 - reads as a sentence at the call
    """Raise once a build has taken longer than it may.

    Raises:
        BackendUnavailableError: It has.
    """
    if not is_in_time:
        raise BackendUnavailableError(
            f"TensorRT did not build the engine in {ENGINE_BUILD_MS_MAX // 1000} s",
            advice="build while nothing else uses the GPU, or ask for another engine",
        )
