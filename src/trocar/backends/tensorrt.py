"""TensorRT: an engine built on this GPU from the verified model, kept if there is a folder for it.

A stored engine is a derived file: used only where everything that it depends on is the same, built
anew where anything is in doubt, and never part of a pack.
"""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from trocar.backends import tensorrt_cuda
from trocar.backends.choices import Precision
from trocar.backends.request import BackendRequest, check_batch, precision_of
from trocar.backends.tensorrt_build import (
    SETTINGS,
    build_engine,
    import_tensorrt,
    library_log,
    require_tensor,
)
from trocar.backends.tensorrt_cache import EngineCache
from trocar.backends.tensorrt_cuda import CudaGpu
from trocar.backends.tensorrt_key import EngineKey, EngineRejectedError
from trocar.backends.tensorrt_port import CudaEngine, ExecutionContext, Runtime
from trocar.backends.tensorrt_progress import BuildProgress
from trocar.contracts.errors import BackendUnavailableError, ContractError, InferenceError
from trocar.contracts.manifest import ModelManifest
from trocar.contracts.record import BackendInfo

__all__ = ["TensorRtBackend", "why_unavailable"]

_WAITING: Final = BuildProgress(phase="waiting: another process builds", percent=0)
_BEGINS: Final = "building an engine for this GPU"


def why_unavailable() -> str:
    """Return why no engine of TensorRT can run on this machine; empty where one can."""
    try:
        import_tensorrt()
        CudaGpu(tensorrt_cuda.load_driver()).close()
    except BackendUnavailableError as exc:
        return exc.problem
    return ""


class TensorRtBackend:
    """One model as an engine of TensorRT on the first GPU.

    Args:
        model: Bytes of the ONNX file, verified.
        manifest: Its manifest.
        request: What must run; ``engine_cache`` and ``on_build`` are used here alone.

    Raises:
        BackendUnavailableError: TensorRT, driver or GPU are missing, the model cannot be built, or
            the precision asked for is not that of the model.
        ContractError: The model's tensors are not those of the manifest.
    """

    # @need-ids: SRS_TRT_001, SRS_TRT_010, SRS_BACKEND_001, RCM_BACKEND_001
    def __init__(self, model: bytes, manifest: ModelManifest, request: BackendRequest) -> None:
        self._input = manifest.input
        self._output = manifest.output
        trt = import_tensorrt()
        precision = _precision(request, manifest).value
        self._gpu = CudaGpu(tensorrt_cuda.load_driver())
        self._version = str(trt.__version__)
        self._key = EngineKey.of(
            model,
            manifest,
            precision=precision,
            settings=SETTINGS,
            tensorrt_version=self._version,
            gpu=self._gpu.identity,
        )
        self._thread_count = request.thread_count
        self._addresses: list[int] = []
        self._loaded: _Loaded | None = None
        try:
            folder = request.engine_cache
            self._cache = None if folder is None else EngineCache(folder)
            self._loaded = self._open(trt, model, manifest, request)
            self._place_tensors(self._loaded.context)
        except BaseException:
            self.close()
            raise
        self._info = BackendInfo(
            engine=f"tensorrt {self._version}",
            provider=self._gpu.identity.name,
            precision=precision,
            thread_count=request.thread_count,
        )

    @property
    def info(self) -> BackendInfo:
        """What really runs; the provider is the GPU."""
        return self._info

    # @need-ids: SRS_BACKEND_004
    def infer(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Run the model on one input; see ``ports.Backend``."""
        check_batch(batch, self._input)
        if self._loaded is None:
            raise InferenceError("the engine is closed", advice="open it again")
        output = np.empty(self._output.shape, dtype=np.float32)
        self._gpu.make_current()
        self._gpu.upload(self._addresses[0], batch)
        if not self._loaded.context.execute_async_v3(self._gpu.stream):
            raise InferenceError(
                f"TensorRT failed on {self._input.name}: {self._loaded.log.take()}",
                advice="see the log; restart the unit",
            )
        self._gpu.download(output, self._addresses[1])
        self._gpu.wait()
        return output

    # @need-ids: SRS_TRT_009, RCM_TRT_002
    def discard_engine(self, reason: str) -> str:
        """Remove the stored engine, so that no later start uses it; see ``request``."""
        if self._cache is None or not self._cache.remove(self._key):
            return ""
        structlog.get_logger().warning(
            "engine_discarded", key=self._key.digest, reason=reason, engine="tensorrt"
        )
        return "the stored engine was deleted, the next start builds a new one"

    def close(self) -> None:
        """Release engine, memory and GPU, in this order; may be called twice."""
        self._loaded = None
        while self._addresses:
            self._gpu.free(self._addresses.pop())
        self._gpu.close()

    def _open(
        self, trt: ModuleType, model: bytes, manifest: ModelManifest, request: BackendRequest
    ) -> _Loaded:
        """Return the stored engine if it may be used, else a new one."""
        cache = self._cache
        if cache is None:
            _say_miss(self._key, "no folder for engines was named: it is built at each start")
            return _Loaded(trt, self._build(trt, model, manifest, request), manifest)
        loaded, reason = self._stored(cache, trt, manifest)
        if loaded is not None:
            return loaded
        with cache.one_builder(lambda: request.on_build(_WAITING)):
            # Another process may have built it meanwhile.
            loaded, reason = self._stored(cache, trt, manifest)
            if loaded is not None:
                return loaded
            _say_miss(self._key, reason)
            engine = self._build(trt, model, manifest, request)
            loaded = _Loaded(trt, engine, manifest)
            self._keep(cache, engine)
        return loaded

    # @need-ids: SRS_TRT_007, SRS_TRT_010
    def _stored(
        self, cache: EngineCache, trt: ModuleType, manifest: ModelManifest
    ) -> tuple[_Loaded | None, str]:
        """Return the stored engine, or None and the reason."""
        try:
            engine = cache.load(self._key)
            loaded = _Loaded(trt, engine, manifest)
        except EngineRejectedError as exc:
            return None, str(exc)
        except (BackendUnavailableError, ContractError) as exc:
            # Authentic, but the library does not take it: it must not be tried again.
            cache.remove(self._key)
            return None, exc.problem
        structlog.get_logger().info(
            "engine_cache", outcome="hit", key=self._key.digest, engine_bytes=len(engine)
        )
        return loaded, ""

    def _build(
        self, trt: ModuleType, model: bytes, manifest: ModelManifest, request: BackendRequest
    ) -> bytes:
        """Build a new engine; say how long it took."""
        started_ns = time.monotonic_ns()
        request.on_build(BuildProgress(phase=_BEGINS, percent=0))
        engine = build_engine(
            trt, model, manifest, thread_count=self._thread_count, listener=request.on_build
        )
        structlog.get_logger().info(
            "engine_built",
            key=self._key.digest,
            build_ms=(time.monotonic_ns() - started_ns) // 1_000_000,
            engine_bytes=len(engine),
            gpu=self._gpu.identity.name,
            version=self._version,
        )
        return engine

    def _keep(self, cache: EngineCache, engine: bytes) -> None:
        """Store an engine; where that fails the engine serves all the same, and the log says so."""
        try:
            cache.store(self._key, engine)
        except OSError as exc:
            structlog.get_logger().warning(
                "engine_not_kept", key=self._key.digest, reason=exc.strerror
            )

    def _place_tensors(self, context: ExecutionContext) -> None:
        """Give input and output their places on the GPU, once for all inputs."""
        for spec in (self._input, self._output):
            size_bytes = int(np.prod(spec.shape)) * np.dtype(spec.dtype.value).itemsize
            address = self._gpu.allocate(size_bytes)
            self._addresses.append(address)
            if not context.set_tensor_address(spec.name, address):
                raise BackendUnavailableError(
                    f"TensorRT does not take a place for {spec.name}",
                    advice="see the log; ask for another engine",
                )


def _say_miss(key: EngineKey, reason: str) -> None:
    """Say why an engine is built: it costs minutes."""
    structlog.get_logger().info("engine_cache", outcome="miss", key=key.digest, reason=reason)


class _Loaded:
    """An engine that the library has read, and what runs it.

    Args:
        trt: The module of TensorRT.
        engine: The serialised engine.
        manifest: What its tensors must be.

    Raises:
        BackendUnavailableError: The library does not take it, or it could be given other weights.
        ContractError: Its tensors are not those of the manifest.
    """

    def __init__(self, trt: ModuleType, engine: bytes, manifest: ModelManifest) -> None:
        self.log = library_log(trt)
        self.log.take()
        try:
            self._runtime: Runtime = trt.Runtime(self.log.logger)
            # An engine must not bring code of its own for the processor.
            self._runtime.engine_host_code_allowed = False
            read = self._runtime.deserialize_cuda_engine(engine)
            context = None if read is None else read.create_execution_context()
        except Exception as exc:
            raise self._refusal(str(exc)) from exc
        if read is None or context is None:
            raise self._refusal(self.log.take())
        # @need-ids: SRS_TRT_004, RCM_TRT_001
        if read.refittable:
            raise self._refusal("it could be given other weights")
        _require_tensors(trt, read, manifest)
        self._engine = read
        self.context = context

    @staticmethod
    def _refusal(why: str) -> BackendUnavailableError:
        """Return the error for an engine that cannot be used."""
        return BackendUnavailableError(
            f"TensorRT cannot use the engine: {why}",
            advice="see the log; free memory of the GPU, or ask for another engine",
        )


def _require_tensors(trt: ModuleType, engine: CudaEngine, manifest: ModelManifest) -> None:
    """Compare the tensors of an engine with the manifest.

    Raises:
        ContractError: They differ.
    """
    if engine.num_io_tensors != 2:
        raise ContractError(
            f"expected an engine of one input and one output, got {engine.num_io_tensors} tensors",
            advice="the pack's manifest and model disagree: use another pack",
        )
    names = [engine.get_tensor_name(index) for index in range(2)]
    for kind, mode, spec in (
        ("input", trt.TensorIOMode.INPUT, manifest.input),
        ("output", trt.TensorIOMode.OUTPUT, manifest.output),
    ):
        name = next((one for one in names if engine.get_tensor_mode(one) == mode), "none")
        shape = tuple(engine.get_tensor_shape(name)) if name in names else ()
        dtype = engine.get_tensor_dtype(name) if name in names else None
        require_tensor(trt, spec, (kind, name, shape, dtype))


# @need-ids: SRS_TRT_001
def _precision(request: BackendRequest, manifest: ModelManifest) -> Precision:
    """Return the model's precision: since TensorRT 11 no flag changes it, and no other one runs."""
    wanted, held = precision_of(request, manifest), Precision(manifest.precision.value)
    if wanted is not held:
        raise BackendUnavailableError(
            f"expected tensorrt to run {wanted}, it runs a pack in the precision of its model, "
            f"here {held}",
            advice=f"ask for {held}, or use a pack whose model is in {wanted}",
        )
    return wanted
