"""What OpenVINO would run is read back and compared; its faults become typed errors."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.int8_packs import write_int8_pack
from simulators.packs import tiny_reference, write_tiny_pack
from trocar.backends.choices import Engine, Precision
from trocar.backends.openvino import OpenVinoBackend
from trocar.backends.request import BackendRequest
from trocar.contracts.errors import BackendUnavailableError, InferenceError
from trocar.packs.verify import VerifiedPack

ELEMENT: Final = {Precision.FP32: "f32", Precision.BF16: "bf16", Precision.FP16: "f16"}


class _Call:
    """An infer request that reuses its output memory, as the engine does."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._output = np.zeros((1, 1, 64, 64), np.float32)

    def infer(
        self, feeds: dict[str, NDArray[np.uint8]], *, share_inputs: bool
    ) -> dict[str, NDArray[np.float32]]:
        """Fail, or return the mean of the channels in the same memory each time."""
        assert share_inputs
        if self.error is not None:
            raise self.error
        (batch,) = feeds.values()
        self._output[:] = batch.astype(np.float32).mean(axis=3)[:, np.newaxis] / 255
        return {"prob": self._output}


class FakeLayer:
    """One layer of the compiled model, as the engine tells of it."""

    def __init__(self, kind: str, element: str) -> None:
        facts = {"layerType": kind, "runtimePrecision": element}
        self._facts = {
            name: SimpleNamespace(astype=lambda type_, text=text: type_(text))
            for name, text in facts.items()
            if text
        }

    def get_rt_info(self) -> dict[str, SimpleNamespace]:
        """Return what the engine says of it."""
        return self._facts


class FakeOpenVino:
    """The parts of the module ``openvino`` that the adapter uses.

    Args:
        precision: Element type that would run; what was asked for when None.
        threads: Threads that would run; what was asked for when None.
        load_error: Raised instead of compiling.
        layers: Kind and element type of each layer that would run.
    """

    __version__ = "0.0-fake"

    def __init__(
        self,
        *,
        precision: str | None = None,
        threads: int | None = None,
        load_error: Exception | None = None,
        layers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._precision = precision
        self._threads = threads
        self._load_error = load_error
        self.layers = [FakeLayer(kind, element) for kind, element in layers]
        self.settings: dict[str, str] = {}
        self.device = ""
        self.call = _Call()

    def Core(self) -> FakeOpenVino:  # noqa: N802 - the engine's name
        """Return itself as the core."""
        return self

    def read_model(self, model: bytes, weights: bytes) -> bytes:
        """Return the model; external weights are not to be given."""
        assert weights == b""
        return model

    def compile_model(self, model: bytes, device: str, settings: dict[str, str]) -> FakeOpenVino:
        """Return itself as the compiled model."""
        del model
        if self._load_error is not None:
            raise self._load_error
        self.device, self.settings = device, settings
        return self

    def get_property(self, name: str) -> object:
        """Return what would run."""
        if name == "INFERENCE_NUM_THREADS":
            return self._threads if self._threads is not None else int(self.settings[name])
        active = self._precision or self.settings[name]
        return SimpleNamespace(to_string=lambda: active)

    def get_runtime_model(self) -> FakeOpenVino:
        """Return itself as the account of what runs."""
        return self

    def get_ops(self) -> list[FakeLayer]:
        """Return the layers that would run."""
        return self.layers

    def create_infer_request(self) -> _Call:
        """Return the one request."""
        return self.call


@pytest.fixture
def pack(tmp_path: Path) -> VerifiedPack:
    """Return the tiny pack."""
    return write_tiny_pack(tmp_path / "pack")


def _open(
    engine: FakeOpenVino,
    pack: VerifiedPack,
    monkeypatch: pytest.MonkeyPatch,
    *,
    precision: Precision = Precision.FP32,
    thread_count: int = 2,
) -> OpenVinoBackend:
    """Open the adapter on a fake engine."""
    monkeypatch.setitem(sys.modules, "openvino", engine)
    request = BackendRequest(
        engine=Engine.OPENVINO_CPU, precision=precision, thread_count=thread_count
    )
    return OpenVinoBackend(pack.model, pack.manifest, request)


@pytest.mark.verifies("SRS_NETWORK_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("is_loaded", [False, True])
def test_package_that_reports_use_is_kept_out(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch, *, is_loaded: bool
) -> None:
    """OpenVINO takes its stub where the package is missing; also where another had loaded it."""
    name = "openvino_telemetry"
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    if not is_loaded:
        del sys.modules[name]
    can_import: list[bool] = []

    def importing(wanted: str) -> FakeOpenVino:
        del wanted
        can_import.append(sys.modules.get(name, ModuleType(name)) is not None)
        return FakeOpenVino()

    monkeypatch.setattr("trocar.backends.openvino.importlib.import_module", importing)
    request = BackendRequest(engine=Engine.OPENVINO_CPU)
    OpenVinoBackend(pack.model, pack.manifest, request)
    assert can_import == [False]
    with pytest.raises(ModuleNotFoundError):
        __import__(name)


@pytest.mark.verifies(
    "SRS_BACKEND_001", "UNIT_BACKENDS_OPENVINO", extent="full", technique="fault_injection"
)
@pytest.mark.proves_effect(
    "RCM_BACKEND_001",
    measure="compiled models of another precision than asked for that are handed out",
    acceptance="0 of every pair of precisions",
)
@pytest.mark.parametrize("asked", ELEMENT)
@pytest.mark.parametrize("active", ELEMENT.values())
def test_another_precision_is_refused(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch, asked: Precision, active: str
) -> None:
    """A processor without bfloat16 runs float32 in silence, and one with it the other way round."""
    engine = FakeOpenVino(precision=active)
    if ELEMENT[asked] == active:
        assert _open(engine, pack, monkeypatch, precision=asked).info.precision == asked.value
        return
    with pytest.raises(BackendUnavailableError, match=f"OpenVINO would run {active}"):
        _open(engine, pack, monkeypatch, precision=asked)


@pytest.mark.verifies("SRS_BACKEND_003", extent="full", technique="fault_injection")
@pytest.mark.parametrize("threads", [0, 1, 3, 64])
def test_another_thread_count_is_refused(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """A latency that was measured on other threads proves nothing."""
    with pytest.raises(BackendUnavailableError, match=f"would run f32 on {threads}"):
        _open(FakeOpenVino(threads=threads), pack, monkeypatch)


@pytest.mark.verifies("SRS_BACKEND_003", extent="partial", technique="requirement")
@pytest.mark.controls("RCM_BACKEND_001")
def test_one_stream_on_the_cpu_is_asked_for(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several streams raise throughput at the price of the age of each frame."""
    engine = FakeOpenVino()
    info = _open(engine, pack, monkeypatch, precision=Precision.BF16, thread_count=5).info
    assert engine.device == info.provider == "CPU"
    assert engine.settings["NUM_STREAMS"] == "1"
    assert engine.settings["INFERENCE_NUM_THREADS"] == "5"
    assert engine.settings["INFERENCE_PRECISION_HINT"] == "bf16"


@pytest.mark.verifies("SRS_BACKEND_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("error", [RuntimeError("no kernel"), TypeError("bad"), KeyError(1)])
def test_engine_that_cannot_load_is_a_typed_error(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The engine's exceptions have no common root; the device's have."""
    with pytest.raises(BackendUnavailableError, match="could not load") as caught:
        _open(FakeOpenVino(load_error=error), pack, monkeypatch)
    assert caught.value.__cause__ is error


@pytest.mark.verifies("SRS_OUTCOME_001", "SRS_ERROR_001", extent="partial", technique="example")
def test_failure_on_one_input_is_an_inference_error(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs one frame; the next one is computed."""
    engine = FakeOpenVino()
    backend = _open(engine, pack, monkeypatch)
    batch, expected = tiny_reference()
    engine.call.error = RuntimeError("out of memory")
    with pytest.raises(InferenceError, match="out of memory"):
        backend.infer(batch)
    engine.call.error = None
    np.testing.assert_allclose(backend.infer(batch), expected, atol=1e-6)


@pytest.mark.verifies("SRS_BACKEND_004", extent="partial", technique="fault_injection")
def test_output_memory_is_not_shared_with_the_engine(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The overlay may still draw a mask while the next frame is computed into the same memory."""
    backend = _open(FakeOpenVino(), pack, monkeypatch)
    batch, _ = tiny_reference()
    first = backend.infer(batch)
    kept = first.copy()
    backend.infer(np.zeros_like(batch))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.verifies("SRS_BACKEND_001", "SRS_ERROR_001", extent="partial", technique="example")
@pytest.mark.controls("RCM_BACKEND_001")
def test_refusals_say_what_was_expected_what_came_and_what_to_do(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text is all that a person has to choose what this processor can run."""
    cases = [
        (
            FakeOpenVino(precision="f16", threads=1),
            "expected f32 on 2 threads, OpenVINO would run f16 on 1",
            "ask for fp32, or for a thread count that this processor has",
        ),
        (
            FakeOpenVino(load_error=ValueError("no kernel")),
            "OpenVINO could not load the model: no kernel",
            "ask for fp32, or for onnxruntime-cpu",
        ),
    ]
    for engine, problem, advice in cases:
        with pytest.raises(BackendUnavailableError) as caught:
            _open(engine, pack, monkeypatch)
        assert (caught.value.problem, caught.value.advice) == (problem, advice)


@pytest.mark.verifies("SRS_BACKEND_001", "SRS_ERROR_001", extent="partial", technique="example")
def test_missing_engine_says_how_to_install_it(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO is an extra: most installations do not have it."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendUnavailableError) as caught:
        OpenVinoBackend(
            pack.model, pack.manifest, BackendRequest(engine=Engine.OPENVINO_CPU, thread_count=2)
        )
    assert caught.value.problem == "expected OpenVINO, it is not installed"
    assert caught.value.advice == 'pip install "trocar[openvino]"'


@pytest.mark.verifies("SRS_BACKEND_001", extent="partial", technique="equivalence")
def test_precision_that_is_a_plain_text_is_read_as_it_stands(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions of OpenVINO differ in what they give back: a type with a name, or the name."""
    engine = FakeOpenVino()
    named = engine.get_property

    def plain(name: str) -> object:
        value = named(name)
        return value if name == "INFERENCE_NUM_THREADS" else engine.settings[name]

    monkeypatch.setattr(engine, "get_property", plain)
    assert _open(engine, pack, monkeypatch).info.precision == "fp32"


WHOLE: Final = [("Convolution", "u8"), ("FullyConnected", "i8"), ("MatMul", "u8")]
OTHERS: Final = [("Convolution", "f32"), ("Subgraph", "u8"), ("Const", "i8"), ("", "")]


@pytest.mark.verifies("SRS_OPT_003", extent="full", technique="boundary")
@pytest.mark.controls("RCM_OPT_002")
@pytest.mark.parametrize(("wanted", "is_opened"), [(2, True), (3, True), (4, False)])
def test_layers_in_whole_numbers_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: int, *, is_opened: bool
) -> None:
    """Three of the layers compute in whole numbers; storing, moving and naming none does not."""
    pack = write_int8_pack(tmp_path / "int8", integer_layer_count=wanted)
    engine = FakeOpenVino(layers=[*WHOLE, *OTHERS])
    if is_opened:
        backend = _open(engine, pack, monkeypatch, precision=Precision.INT8)
        assert backend.info.precision == "int8"
        assert engine.settings["INFERENCE_PRECISION_HINT"] == "f32"
        return
    with pytest.raises(BackendUnavailableError, match="4 layers in int8, OpenVINO would run 3"):
        _open(engine, pack, monkeypatch, precision=Precision.INT8)


@pytest.mark.verifies("SRS_OPT_003", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_OPT_002", measure="int8 packs that run in floating point and are opened", acceptance="0"
)
def test_whole_numbers_that_would_run_as_floats_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine keeps silent where it has no kernel; the figures are those of whole numbers."""
    pack = write_int8_pack(tmp_path / "int8")
    with pytest.raises(BackendUnavailableError, match="1 layers in int8, OpenVINO would run 0"):
        _open(FakeOpenVino(layers=OTHERS), pack, monkeypatch, precision=Precision.INT8)
