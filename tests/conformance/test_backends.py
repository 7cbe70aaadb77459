"""One suite for every backend: what the port promises, each adapter keeps."""

from __future__ import annotations

import importlib.util
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators import tensorrt_runtime
from simulators.backend import MemoryBackend
from simulators.int8_packs import write_int8_pack
from simulators.packs import (
    tiny_model,
    tiny_reference,
    write_detector_pack,
    write_tiny_pack,
)
from trocar.backends.choices import Engine, Precision
from trocar.backends.reference_case import (
    ReferenceCaseReport,
    replay_reference_case,
    require_parity,
)
from trocar.backends.request import BackendRequest
from trocar.backends.select import open_backend
from trocar.contracts.errors import BackendUnavailableError, ContractError, IncompatiblePackError
from trocar.contracts.ports import Backend
from trocar.packs.verify import VerifiedPack

REQUESTS = [
    pytest.param(
        BackendRequest(precision=Precision.FP32, thread_count=1), id="onnxruntime-cpu-fp32"
    ),
    pytest.param(
        BackendRequest(engine=Engine.OPENVINO_CPU, precision=Precision.FP32, thread_count=1),
        id="openvino-cpu-fp32",
    ),
    pytest.param(
        BackendRequest(engine=Engine.OPENVINO_CPU, precision=Precision.BF16, thread_count=1),
        id="openvino-cpu-bf16",
    ),
    # The library and the driver are simulated; the adapter is the real one. No GPU was at hand.
    pytest.param(
        BackendRequest(engine=Engine.TENSORRT, precision=Precision.FP32, thread_count=1),
        id="tensorrt-fp32-simulated",
    ),
    # No precision is asked for: the pack's own, which is int8.
    pytest.param(BackendRequest(thread_count=1), id="onnxruntime-cpu-int8"),
    pytest.param(
        BackendRequest(engine=Engine.OPENVINO_CPU, thread_count=1), id="openvino-cpu-int8"
    ),
]
MODULES = {Engine.OPENVINO_CPU: "openvino", Engine.TENSORRT: "tensorrt"}


@pytest.fixture(autouse=True)
def _machine_with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a simulated TensorRT in place, with a simulated GPU."""
    tensorrt_runtime.install(monkeypatch)


@pytest.fixture
def pack(tmp_path: Path, request: pytest.FixtureRequest) -> VerifiedPack:
    """Return the tiny pack; the one in whole numbers where no precision is asked for."""
    arguments = getattr(request.node, "callspec", None)
    asked = None if arguments is None else arguments.params.get("request_")
    if asked is not None and asked.precision is None:
        return write_int8_pack(tmp_path / "pack")
    return write_tiny_pack(tmp_path / "pack")


def _open(pack: VerifiedPack, request: BackendRequest) -> Backend:
    """Open a backend, or skip with the reason where this processor cannot run the precision."""
    module = MODULES.get(request.engine, "onnxruntime")
    is_there = module in sys.modules or importlib.util.find_spec(module) is not None
    assert is_there, f"{module} belongs to the test environment"
    try:
        return open_backend(pack.model, pack.manifest, request)
    except BackendUnavailableError as exc:
        if request.precision is Precision.BF16 and "would run f32" in exc.problem:
            pytest.skip(f"this processor has no bfloat16: {exc.problem}")
        raise


@pytest.mark.parametrize("request_", REQUESTS)
class TestBackend:
    """What every backend promises."""

    @pytest.mark.verifies("SRS_BACKEND_001", extent="full", technique="conformance")
    @pytest.mark.controls("RCM_BACKEND_001")
    def test_what_was_asked_for_is_what_runs(
        self, pack: VerifiedPack, request_: BackendRequest
    ) -> None:
        """The record must name what really ran."""
        info = _open(pack, request_).info
        asked = "int8" if request_.precision is None else request_.precision.value
        assert info.precision == asked
        assert info.thread_count == request_.thread_count
        assert info.engine.startswith(request_.engine.value.split("-")[0])

    @pytest.mark.verifies("SRS_BACKEND_004", extent="full", technique="conformance")
    def test_output_is_that_of_the_reference_case(
        self, pack: VerifiedPack, request_: BackendRequest
    ) -> None:
        """Every engine computes the same function, within the pack's tolerance."""
        batch, expected = tiny_reference()
        got = _open(pack, request_).infer(batch)
        assert got.shape == expected.shape
        assert got.dtype == np.float32
        assert np.abs(got - expected).max() <= pack.manifest.parity.prob_difference_max

    @pytest.mark.verifies("SRS_BACKEND_005", extent="full", technique="conformance")
    @pytest.mark.controls("RCM_PARITY_001", "RCM_SELFTEST_001")
    def test_reference_case_is_within_limits(
        self, pack: VerifiedPack, request_: BackendRequest
    ) -> None:
        """The gate lets a good engine pass, and says how good."""
        backend = _open(pack, request_)
        report = _replay(backend, pack)
        require_parity(report, backend)
        assert report.mask_pixel_count > 0
        assert report.mask_dice == 1.0

    @pytest.mark.verifies("SRS_TOOL_010", "SRS_BACKEND_005", extent="full", technique="conformance")
    @pytest.mark.controls("RCM_PARITY_001")
    def test_every_engine_gives_the_boxes_of_a_detector(
        self, tmp_path: Path, request_: BackendRequest
    ) -> None:
        """Maps that are smaller than the input and not square, with scores and edges in one."""
        detector = write_detector_pack(tmp_path / "detector")
        report = _replay(_open(detector, request_), detector)
        assert report.is_within_limits
        assert (report.mask_dice, report.mask_pixel_count) == (1.0, 2)

    @pytest.mark.verifies("SRS_BACKEND_004", extent="full", technique="equivalence")
    @pytest.mark.parametrize(
        "batch",
        [
            np.zeros((1, 64, 64, 3), np.float32),
            np.zeros((1, 3, 64, 64), np.uint8),
            np.zeros((64, 64, 3), np.uint8),
            np.zeros((2, 64, 64, 3), np.uint8),
            np.zeros((1, 64, 64, 6), np.uint8)[..., ::2],
        ],
        ids=["dtype", "axes", "no batch", "two images", "strided"],
    )
    def test_other_input_is_refused(
        self, pack: VerifiedPack, request_: BackendRequest, batch: np.ndarray[Any, Any]
    ) -> None:
        """An engine must not reinterpret memory."""
        backend = _open(pack, request_)
        with pytest.raises(ContractError, match="expected input frame"):
            backend.infer(batch)

    @pytest.mark.verifies("SRS_BACKEND_004", extent="partial", technique="conformance")
    def test_result_outlives_the_next_call(
        self, pack: VerifiedPack, request_: BackendRequest
    ) -> None:
        """A result of one frame must not change when the next one is computed."""
        backend = _open(pack, request_)
        batch, _ = tiny_reference()
        first = backend.infer(batch)
        kept = first.copy()
        backend.infer(np.zeros_like(batch))
        np.testing.assert_array_equal(first, kept)

    @pytest.mark.verifies("SRS_BACKEND_004", extent="partial", technique="conformance")
    def test_input_is_not_modified_and_may_be_read_only(
        self, pack: VerifiedPack, request_: BackendRequest
    ) -> None:
        """A frame belongs to its source."""
        batch, _ = tiny_reference()
        batch.flags.writeable = False
        kept = batch.copy()
        _open(pack, request_).infer(batch)
        np.testing.assert_array_equal(batch, kept)

    def test_close_may_be_called_twice(self, pack: VerifiedPack, request_: BackendRequest) -> None:
        """Clean-up paths meet."""
        backend = _open(pack, request_)
        backend.close()
        backend.close()

    @pytest.mark.verifies("SRS_BACKEND_001", extent="partial", technique="fault_injection")
    def test_broken_model_is_a_typed_error(
        self, pack: VerifiedPack, request_: BackendRequest
    ) -> None:
        """No engine's own exception reaches the user."""
        if request_.precision is Precision.BF16:
            _open(pack, request_)
        with pytest.raises(BackendUnavailableError):
            open_backend(b"not a model", pack.manifest, request_)

    @pytest.mark.verifies("SRS_BACKEND_004", extent="full", technique="fault_injection")
    def test_model_that_differs_from_its_manifest_is_refused(
        self, tmp_path: Path, request_: BackendRequest
    ) -> None:
        """Before the first frame, not at it."""
        good = write_tiny_pack(tmp_path / "good")
        _open(good, request_)
        output = good.manifest.output.model_copy(update={"shape": (1, 1, 32, 32)})
        manifest = good.manifest.model_copy(update={"output": output})
        with pytest.raises(ContractError, match="expected output prob"):
            open_backend(tiny_model(), manifest, request_)


def _replay(backend: Backend, pack: VerifiedPack) -> ReferenceCaseReport:
    """Replay the pack's reference case."""
    return replay_reference_case(
        backend,
        pack.manifest,
        reference_input=pack.content[pack.manifest.reference_input],
        reference_output=pack.content[pack.manifest.reference_output],
    )


@pytest.mark.verifies("SRS_BACKEND_001", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_BACKEND_001", measure="requests answered by another provider", acceptance="0"
)
@pytest.mark.parametrize("engine", [Engine.ONNXRUNTIME_CUDA, Engine.ONNXRUNTIME_TENSORRT])
def test_missing_provider_is_an_error_and_no_other_one_runs(
    pack: VerifiedPack, engine: Engine
) -> None:
    """ONNX Runtime would give a CPU session with a warning; a device must not."""
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine has a GPU build of ONNX Runtime")
    with pytest.raises(BackendUnavailableError, match="ExecutionProvider") as caught:
        open_backend(pack.model, pack.manifest, BackendRequest(engine=engine))
    assert "pip install" in caught.value.advice


@pytest.mark.verifies("SRS_BACKEND_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize("precision", [Precision.FP16, Precision.BF16])
def test_precision_that_the_engine_would_ignore_is_refused(
    pack: VerifiedPack, precision: Precision
) -> None:
    """A silent change of precision changes results."""
    with pytest.raises(BackendUnavailableError, match="offers"):
        open_backend(pack.model, pack.manifest, BackendRequest(precision=precision))


@pytest.mark.verifies("SRS_BACKEND_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("request_", REQUESTS)
def test_engine_that_is_not_installed_is_named(
    pack: VerifiedPack, request_: BackendRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to type."""
    monkeypatch.setitem(sys.modules, MODULES.get(request_.engine, "onnxruntime"), None)
    with pytest.raises(BackendUnavailableError, match="not installed") as caught:
        open_backend(pack.model, pack.manifest, request_)
    assert "pip install" in caught.value.advice


@pytest.mark.verifies("SRS_BACKEND_005", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_PARITY_001",
    measure="engines outside the pack's tolerance that may serve",
    acceptance="0",
)
@pytest.mark.parametrize("fault", ["shifted", "not a number", "empty mask"])
def test_engine_outside_the_tolerance_may_not_serve(pack: VerifiedPack, fault: str) -> None:
    """An engine that computes something else is refused before the first frame."""

    class Wrong:
        """A backend whose output is off."""

        def __init__(self) -> None:
            self.info = open_backend(pack.model, pack.manifest, BackendRequest()).info

        def infer(self, batch: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
            """Return the expected output with the fault."""
            expected = tiny_reference()[1].copy()
            if fault == "shifted":
                return np.roll(expected, 3, axis=3)
            return np.full_like(expected, np.nan if fault == "not a number" else 0.0)

        def close(self) -> None:
            """Hold nothing."""

    wrong = Wrong()
    report = _replay(wrong, pack)
    assert not report.is_within_limits
    with pytest.raises(BackendUnavailableError, match="differs from the reference case"):
        require_parity(report, wrong)


@pytest.mark.verifies("SRS_PACK_004", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_SELFTEST_001", measure="unreadable reference cases taken as passed", acceptance="0"
)
@pytest.mark.parametrize("data", [b"", b"junk", b"\x93NUMPY\x01\x00"])
def test_reference_case_that_is_no_array_is_refused(pack: VerifiedPack, data: bytes) -> None:
    """A self-test that cannot be replayed has not passed."""
    backend = open_backend(pack.model, pack.manifest, BackendRequest())
    with pytest.raises(IncompatiblePackError):
        replay_reference_case(backend, pack.manifest, reference_input=data, reference_output=data)


@pytest.mark.verifies("SRS_PACK_004", extent="partial", technique="equivalence")
def test_reference_case_of_another_shape_is_refused(pack: VerifiedPack) -> None:
    """The case must have the tensors of the manifest."""
    backend = open_backend(pack.model, pack.manifest, BackendRequest())
    name = pack.manifest.reference_output
    with pytest.raises(IncompatiblePackError, match="is not uint8"):
        replay_reference_case(
            backend,
            pack.manifest,
            reference_input=pack.content[name],
            reference_output=pack.content[name],
        )


@pytest.mark.verifies("SRS_TOOL_010", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_PARITY_001",
    measure="engines that move, swap, lose or add boxes of a detector and may serve",
    acceptance="0 of 5 kinds",
)
@pytest.mark.parametrize("fault", ["moved", "turned", "swapped classes", "lost", "added"])
def test_engine_that_gives_other_boxes_may_not_serve(tmp_path: Path, fault: str) -> None:
    """Each leaves scores in 0 to 1 and a plausible picture."""
    pack = write_detector_pack(tmp_path / "detector")
    stored = pack.content[pack.manifest.reference_output]
    maps: NDArray[np.float32] = np.load(io.BytesIO(stored))
    is_marked = maps[0, :2].max(axis=0) >= pack.manifest.threshold.value
    if fault == "moved":
        maps[:, 2][:, is_marked] *= 0.5
    elif fault == "turned":
        maps[:, 2:] = maps[:, [3, 2, 5, 4]]
    elif fault == "swapped classes":
        maps[:, :2] = maps[:, [1, 0]]
    elif fault == "lost":
        maps[:, :2] = 0.0
    else:
        maps[0, 0, 7, :] = 0.9
    wrong = MemoryBackend(maps)
    with pytest.raises(BackendUnavailableError, match="differs from the reference case"):
        require_parity(_replay(wrong, pack), wrong)
