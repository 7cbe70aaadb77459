"""What ONNX Runtime reports is compared with what was asked for; its faults become typed errors."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Final, NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.packs import tiny_reference, write_tiny_pack
from trocar.backends.choices import Engine, Precision
from trocar.backends.onnxruntime import OnnxRuntimeBackend
from trocar.backends.request import BackendRequest
from trocar.contracts.errors import BackendUnavailableError, InferenceError
from trocar.packs.verify import VerifiedPack

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
TENSORRT: Final = "TensorrtExecutionProvider"
PROVIDERS: Final = {
    Engine.ONNXRUNTIME_CPU: CPU,
    Engine.ONNXRUNTIME_CUDA: CUDA,
    Engine.ONNXRUNTIME_TENSORRT: TENSORRT,
}


class _Options:
    """Session options that remember what was set."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}
        self.intra_op_num_threads = 0
        self.inter_op_num_threads = 0

    def add_session_config_entry(self, name: str, value: str) -> None:
        """Keep one entry."""
        self.entries[name] = value


class _Session:
    """A session that reports what the test says."""

    def __init__(self, active: list[str]) -> None:
        self._active = active
        self.is_fallback_off = False
        self.error: Exception | None = None

    def get_providers(self) -> list[str]:
        """Return what runs."""
        return self._active

    def disable_fallback(self) -> None:
        """Note it."""
        self.is_fallback_off = True

    def run(self, names: list[str], feeds: dict[str, NDArray[np.uint8]]) -> list[object]:
        """Fail, or return the mean of the channels."""
        del names
        if self.error is not None:
            raise self.error
        (batch,) = feeds.values()
        return [(batch.astype(np.float32).mean(axis=3)[:, np.newaxis] / 255).astype(np.float32)]


class FakeRuntime:
    """The parts of the module ``onnxruntime`` that the adapter uses.

    Args:
        available: Providers that the build offers.
        active: Providers that the session reports; those asked for when None.
        load_error: Raised instead of opening a session.
    """

    __version__ = "0.0-fake"
    ExecutionMode = SimpleNamespace(ORT_SEQUENTIAL="sequential")
    SessionOptions = _Options

    def __init__(
        self,
        available: list[str],
        *,
        active: list[str] | None = None,
        load_error: Exception | None = None,
    ) -> None:
        self._available = available
        self._active = active
        self._load_error = load_error
        self.options: _Options | None = None
        self.settings: dict[str, str] = {}
        self.session: _Session | None = None

    def get_available_providers(self) -> list[str]:
        """Return what the build offers."""
        return self._available

    def InferenceSession(  # noqa: N802 - the engine's name
        self,
        model: bytes,
        *,
        sess_options: _Options,
        providers: list[tuple[str, dict[str, str]]],
    ) -> _Session:
        """Open a session as the test says."""
        del model
        if self._load_error is not None:
            raise self._load_error
        self.options = sess_options
        ((name, self.settings),) = providers
        self.session = _Session([name] if self._active is None else self._active)
        return self.session


@pytest.fixture
def pack(tmp_path: Path) -> VerifiedPack:
    """Return the tiny pack."""
    return write_tiny_pack(tmp_path / "pack")


def _open(
    runtime: FakeRuntime,
    pack: VerifiedPack,
    monkeypatch: pytest.MonkeyPatch,
    request: BackendRequest,
) -> OnnxRuntimeBackend:
    """Open the adapter on a fake engine."""
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    return OnnxRuntimeBackend(pack.model, pack.manifest, request)


@pytest.mark.verifies("SRS_NETWORK_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("before", [None, "0", "1"])
def test_reports_of_use_are_switched_off_before_the_import(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    """The engine reads the variable when it is imported; whatever a user set, nothing is sent."""
    seen: list[str | None] = []

    def importing(name: str) -> FakeRuntime:
        del name
        seen.append(os.environ.get("ORT_DISABLE_TELEMETRY"))
        return FakeRuntime([CPU])

    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", before or "")
    if before is None:
        monkeypatch.delenv("ORT_DISABLE_TELEMETRY")
    monkeypatch.setattr("trocar.backends.onnxruntime.importlib.import_module", importing)
    OnnxRuntimeBackend(pack.model, pack.manifest, BackendRequest())
    assert seen == ["1"]


@pytest.mark.verifies(
    "SRS_BACKEND_001",
    "UNIT_BACKENDS_ONNXRUNTIME",
    extent="full",
    technique="fault_injection",
)
@pytest.mark.proves_effect(
    "RCM_BACKEND_001",
    measure="sessions on another provider than asked for that are handed out",
    acceptance="0 of every pair of providers",
)
@pytest.mark.parametrize("engine", PROVIDERS)
@pytest.mark.parametrize("active", [[CPU], [CUDA, CPU], [TENSORRT, CUDA, CPU]], ids=str)
def test_session_on_another_provider_is_refused(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch, engine: Engine, active: list[str]
) -> None:
    """The engine offers the provider, loads the model, and yet runs on another one."""
    runtime = FakeRuntime(list(PROVIDERS.values()), active=active)
    request = BackendRequest(engine=engine)
    if active[0] == PROVIDERS[engine]:
        assert _open(runtime, pack, monkeypatch, request).info.provider == active[0]
        return
    with pytest.raises(BackendUnavailableError, match=f"expected {PROVIDERS[engine]} to run"):
        _open(runtime, pack, monkeypatch, request)


@pytest.mark.verifies("SRS_BACKEND_001", extent="partial", technique="requirement")
@pytest.mark.controls("RCM_BACKEND_001")
@pytest.mark.parametrize("engine", PROVIDERS)
def test_every_way_to_fall_back_is_shut(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    """Of single nodes at load, and of the session at run time."""
    runtime = FakeRuntime(list(PROVIDERS.values()))
    _open(runtime, pack, monkeypatch, BackendRequest(engine=engine))
    assert runtime.session is not None
    assert runtime.options is not None
    assert runtime.session.is_fallback_off
    is_gpu = engine is not Engine.ONNXRUNTIME_CPU
    assert runtime.options.entries.get("session.disable_cpu_ep_fallback") == (
        "1" if is_gpu else None
    )


@pytest.mark.verifies("SRS_BACKEND_003", extent="full", technique="boundary")
@pytest.mark.parametrize("thread_count", [1, 2, 64])
def test_threads_are_fixed_and_do_not_spin(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch, thread_count: int
) -> None:
    """Spinning threads would take the cores from decoding and display."""
    runtime = FakeRuntime([CPU])
    backend = _open(runtime, pack, monkeypatch, BackendRequest(thread_count=thread_count))
    assert runtime.options is not None
    assert runtime.options.intra_op_num_threads == backend.info.thread_count == thread_count
    assert runtime.options.inter_op_num_threads == 1
    assert runtime.options.entries["session.intra_op.allow_spinning"] == "0"


@pytest.mark.verifies("SRS_BACKEND_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize(("precision", "flag"), [(Precision.FP32, "0"), (Precision.FP16, "1")])
def test_tensorrt_is_told_its_precision(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch, precision: Precision, flag: str
) -> None:
    """TensorRT would otherwise choose by itself."""
    runtime = FakeRuntime([TENSORRT])
    request = BackendRequest(engine=Engine.ONNXRUNTIME_TENSORRT, precision=precision)
    backend = _open(runtime, pack, monkeypatch, request)
    assert runtime.settings == {"trt_fp16_enable": flag}
    assert backend.info.precision == precision.value


@pytest.mark.verifies("SRS_BACKEND_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("error", [RuntimeError("driver too old"), ValueError("bad"), KeyError(1)])
def test_engine_that_cannot_load_is_a_typed_error(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The engine's exceptions have no common root; the device's have."""
    runtime = FakeRuntime([CPU], load_error=error)
    with pytest.raises(BackendUnavailableError, match="could not load the model") as caught:
        _open(runtime, pack, monkeypatch, BackendRequest())
    assert caught.value.__cause__ is error
    assert caught.value.advice


@pytest.mark.verifies("SRS_OUTCOME_001", "SRS_ERROR_001", extent="partial", technique="example")
def test_failure_on_one_input_is_an_inference_error(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs one frame; the next one is computed."""
    runtime = FakeRuntime([CPU])
    backend = _open(runtime, pack, monkeypatch, BackendRequest())
    batch, expected = tiny_reference()
    assert runtime.session is not None
    runtime.session.error = MemoryError("out of memory")
    with pytest.raises(InferenceError, match="out of memory"):
        backend.infer(batch)
    runtime.session.error = None
    np.testing.assert_allclose(backend.infer(batch), expected, atol=1e-6)


@pytest.mark.verifies("SRS_BACKEND_001", extent="partial", technique="fault_injection")
def test_broken_installation_is_a_missing_engine(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package whose native library cannot be loaded raises ImportError as well."""

    def broken(name: str) -> NoReturn:
        raise ImportError(f"lib of {name} cannot be loaded")

    monkeypatch.setattr("trocar.backends.onnxruntime.importlib.import_module", broken)
    with pytest.raises(BackendUnavailableError, match="not installed") as caught:
        OnnxRuntimeBackend(pack.model, pack.manifest, BackendRequest())
    assert "pip install" in caught.value.advice


@pytest.mark.verifies("SRS_BACKEND_001", "SRS_ERROR_001", extent="partial", technique="example")
@pytest.mark.controls("RCM_BACKEND_001")
def test_refusals_say_what_was_expected_what_came_and_what_to_do(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text is all that a person has to find the missing driver or the wrong option."""
    cuda = BackendRequest(engine=Engine.ONNXRUNTIME_CUDA)
    advice = "check the driver and the libraries of the provider, or ask for another engine"
    cases: list[tuple[FakeRuntime, BackendRequest, str, str]] = [
        (FakeRuntime([CPU]), cuda, f"expected {CUDA}, this ONNX Runtime offers ['{CPU}']", ""),
        (
            FakeRuntime([CUDA], active=[CPU]),
            cuda,
            f"expected {CUDA} to run, got ['{CPU}']",
            advice,
        ),
        (
            FakeRuntime([CPU], load_error=ValueError("no kernel")),
            BackendRequest(),
            "onnxruntime-cpu could not load the model: no kernel",
            advice,
        ),
        (
            FakeRuntime([TENSORRT]),
            BackendRequest(engine=Engine.ONNXRUNTIME_TENSORRT, precision=Precision.BF16),
            "expected onnxruntime-tensorrt to run bf16, it offers fp16, fp32 for this pack",
            "ask for another precision, or for openvino-cpu",
        ),
    ]
    for runtime, request, problem, what_to_do in cases:
        with pytest.raises(BackendUnavailableError) as caught:
            _open(runtime, pack, monkeypatch, request)
        assert caught.value.problem == problem
        assert caught.value.advice.startswith(what_to_do or "pip install")
        assert not what_to_do or caught.value.advice == what_to_do
