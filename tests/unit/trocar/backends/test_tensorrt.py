"""A stored engine serves when it may, a new one else, and none serves in another precision."""

from __future__ import annotations

import dataclasses
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from structlog.testing import capture_logs

from simulators.cuda_driver import CudaDriver
from simulators.packs import tiny_reference, write_tiny_pack
from simulators.tensorrt_runtime import Faults, TensorRtModule, install
from trocar.backends import tensorrt_cache
from trocar.backends.choices import Engine, Precision
from trocar.backends.reference_case import (
    ReferenceCaseReport,
    replay_reference_case,
    require_parity,
)
from trocar.backends.request import BackendRequest
from trocar.backends.tensorrt import TensorRtBackend, why_unavailable
from trocar.backends.tensorrt_progress import BuildProgress
from trocar.contracts.errors import BackendUnavailableError, ContractError, InferenceError
from trocar.contracts.manifest import PackPrecision
from trocar.packs.verify import VerifiedPack


@pytest.fixture
def pack(tmp_path: Path) -> VerifiedPack:
    """Return the tiny pack."""
    return write_tiny_pack(tmp_path / "pack")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> TensorRtModule:
    """Return a machine with a GPU."""
    return install(monkeypatch)


def _open(pack: VerifiedPack, folder: Path | None = None, **changes: object) -> TensorRtBackend:
    """Open the backend on the machine that is installed."""
    asked: dict[str, Any] = {"engine": Engine.TENSORRT, "engine_cache": folder, **changes}
    request = BackendRequest(**asked)
    return TensorRtBackend(pack.model, pack.manifest, request)


def _replay(backend: TensorRtBackend, pack: VerifiedPack) -> ReferenceCaseReport:
    """Replay the pack's reference case."""
    return replay_reference_case(
        backend,
        pack.manifest,
        reference_input=pack.content[pack.manifest.reference_input],
        reference_output=pack.content[pack.manifest.reference_output],
    )


def _with_another_model(pack: VerifiedPack) -> VerifiedPack:
    """Return the pack with other bytes of the model, which compute the same."""
    model = onnx.ModelProto.FromString(pack.model)
    model.producer_name = "another"
    content = {**pack.content, pack.manifest.model_file: bytes(model.SerializeToString())}
    return dataclasses.replace(pack, content=content)


def _missed(pack: VerifiedPack, folder: Path) -> str:
    """Open, and return why no stored engine was used; empty where one was."""
    with capture_logs() as lines:
        _open(pack, folder).close()
    reasons = [line.get("reason", "") for line in lines if line["event"] == "engine_cache"]
    assert len(reasons) == 1, lines
    return str(reasons[0])


@pytest.mark.verifies(
    "SRS_TRT_001", "SRS_TRT_010", "UNIT_TRT_BACKEND", extent="full", technique="example"
)
def test_engine_answers_and_says_what_it_is(pack: VerifiedPack, machine: TensorRtModule) -> None:
    """Version, GPU, precision and threads stand in every record."""
    backend = _open(pack, thread_count=5)
    batch, expected = tiny_reference()
    np.testing.assert_allclose(backend.infer(batch), expected, atol=1e-6)
    assert backend.info.model_dump() == {
        "engine": "tensorrt 11.4.0.106",
        "provider": "Simulated GPU",
        "precision": "fp32",
        "thread_count": 5,
    }
    assert machine.driver.allocated_bytes == batch.nbytes + expected.nbytes


@pytest.mark.verifies("SRS_TRT_005", "SRS_TRT_010", extent="partial", technique="requirement")
def test_second_start_uses_the_stored_engine(
    pack: VerifiedPack, machine: TensorRtModule, tmp_path: Path
) -> None:
    """The log says how long the build took, and that there was none the second time."""
    with capture_logs() as first:
        _open(pack, tmp_path / "engines").close()
    with capture_logs() as second:
        backend = _open(pack, tmp_path / "engines")
    assert machine.build_count == 1
    assert [line["event"] for line in first] == ["engine_cache", "engine_built"]
    assert first[0]["outcome"] == "miss"
    assert {"build_ms", "engine_bytes", "gpu", "version", "key"} <= set(first[1])
    assert [(line["event"], line["outcome"]) for line in second] == [("engine_cache", "hit")]
    batch, expected = tiny_reference()
    np.testing.assert_allclose(backend.infer(batch), expected, atol=1e-6)


@pytest.mark.verifies("SRS_TRT_010", extent="partial", technique="equivalence")
def test_without_a_folder_each_start_builds(pack: VerifiedPack, machine: TensorRtModule) -> None:
    """No file appears where nobody asked for one; the log says why it takes minutes."""
    _open(pack).close()
    with capture_logs() as lines:
        backend = _open(pack)
    assert machine.build_count == 2
    assert "no folder for engines was named" in lines[0]["reason"]
    assert not backend.discard_engine("nothing is stored")


@pytest.mark.verifies("SRS_TRT_005", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_TRT_001",
    measure="starts on a changed machine or with a changed pack that use the stored engine",
    acceptance="0 of 6 kinds",
)
@pytest.mark.parametrize("change", ["version", "card", "capability", "memory", "driver", "pack"])
def test_change_of_the_machine_or_the_pack_builds_anew(
    pack: VerifiedPack,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    change: str,
) -> None:
    """And the engine from before is there again when the change is undone."""
    folder = tmp_path / "engines"
    install(monkeypatch)
    assert "there is none" in _missed(pack, folder)
    driver = {
        "card": CudaDriver(uuid=bytes(16)),
        "capability": CudaDriver(capability=(9, 0)),
        "memory": CudaDriver(memory_bytes=8 * 1024**3),
        "driver": CudaDriver(version=13000),
    }
    version = "11.4.1.1" if change == "version" else "11.4.0.106"
    changed = install(monkeypatch, driver=driver.get(change), version=version)
    other = pack
    if change == "pack":
        other = _with_another_model(pack)
    assert "there is none" in _missed(other, folder)
    assert changed.build_count == 1
    install(monkeypatch)
    assert not _missed(pack, folder)


@pytest.mark.verifies("SRS_TRT_007", "SRS_TRT_010", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_TRT_001")
def test_damaged_engine_is_built_anew_and_said(
    pack: VerifiedPack, machine: TensorRtModule, tmp_path: Path
) -> None:
    """The library never sees the damaged bytes."""
    folder = tmp_path / "engines"
    _open(pack, folder).close()
    (stored,) = folder.glob("*.engine")
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)
    read_before = machine.read_count
    assert "authentication code" in _missed(pack, folder)
    assert (machine.build_count, machine.read_count) == (2, read_before + 1)
    assert not _missed(pack, folder)


@pytest.mark.verifies("SRS_TRT_007", extent="full", technique="fault_injection")
@pytest.mark.parametrize("fault", ["refuse", "no_context", "refittable", "extra_tensors"])
def test_authentic_engine_that_the_library_refuses_is_replaced(
    pack: VerifiedPack, machine: TensorRtModule, tmp_path: Path, fault: str
) -> None:
    """It would be refused at each start; a new one that is refused too is an error."""
    folder = tmp_path / "engines"
    _open(pack, folder).close()
    setattr(machine.faults, fault, "version tag mismatch" if fault == "refuse" else 1)
    with pytest.raises((BackendUnavailableError, ContractError)):
        _open(pack, folder)
    assert not list(folder.glob("*.engine"))
    setattr(machine.faults, fault, "" if fault == "refuse" else 0)
    assert "there is none" in _missed(pack, folder)
    assert not _missed(pack, folder)
    assert machine.driver.open_count == 0


@pytest.mark.verifies("SRS_TRT_004", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_TRT_001")
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"refuse": "magicTag failed"}, "cannot use the engine: magicTag failed"),
        ({"no_context": True}, "cannot use the engine: Error Code 2: OutOfMemory"),
        ({"refittable": True}, "could be given other weights"),
        ({"extra_tensors": 1}, "one input and one output, got 3 tensors"),
        ({"no_place": True}, "does not take a place for frame"),
    ],
)
def test_new_engine_that_cannot_be_used_is_an_error(
    pack: VerifiedPack, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], said: str
) -> None:
    """Before the first frame, and nothing of the GPU is held afterwards."""
    machine = install(monkeypatch, faults=Faults(**fault))
    with pytest.raises((BackendUnavailableError, ContractError), match=said):
        _open(pack)
    assert (machine.driver.open_count, machine.driver.allocated_bytes) == (0, 0)


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="fault_injection")
def test_library_that_finds_no_gpu_for_an_engine_is_said(
    pack: VerifiedPack, machine: TensorRtModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver may be there and the library's own way to it not."""

    def no_runtime(logger: object) -> object:
        raise TypeError("factory function returned nullptr")

    monkeypatch.setattr(machine, "Runtime", no_runtime)
    with pytest.raises(BackendUnavailableError, match="cannot use the engine: factory function"):
        _open(pack)


@pytest.mark.verifies("SRS_TRT_004", extent="partial", technique="equivalence")
@pytest.mark.controls("RCM_TRT_001")
def test_engine_with_other_tensors_is_refused(
    pack: VerifiedPack, machine: TensorRtModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that turns an output into something else, or has none."""
    modes = machine.TensorIOMode
    for wrong in (modes.OUTPUT, modes.NONE):
        monkeypatch.setattr(
            "simulators.tensorrt_runtime.ICudaEngine.get_tensor_mode",
            lambda *_, wrong=wrong: wrong,
        )
        with pytest.raises(ContractError, match="expected input frame uint8"):
            _open(pack)


@pytest.mark.verifies("SRS_TRT_001", "SRS_BACKEND_001", extent="partial", technique="equivalence")
@pytest.mark.controls("RCM_BACKEND_001")
@pytest.mark.parametrize("precision", [Precision.FP16, Precision.BF16])
def test_precision_that_is_not_the_models_is_refused(
    pack: VerifiedPack, machine: TensorRtModule, precision: Precision
) -> None:
    """Since TensorRT 11 no flag makes it so, and fp32 would run in its place."""
    with pytest.raises(
        BackendUnavailableError, match=f"to run {precision}, .* here fp32"
    ) as caught:
        _open(pack, precision=precision)
    assert "ask for fp32" in caught.value.advice
    assert machine.build_count == 0


@pytest.mark.verifies("SRS_TRT_001", "SRS_OPT_002", extent="partial", technique="equivalence")
def test_pack_in_whole_numbers_runs_in_them(pack: VerifiedPack, machine: TensorRtModule) -> None:
    """The precision is the pack's, asked for or not; it is not widened."""
    manifest = pack.manifest.model_copy(update={"precision": PackPrecision.INT8})
    for precision in (None, Precision.INT8):
        request = BackendRequest(engine=Engine.TENSORRT, precision=precision)
        assert TensorRtBackend(pack.model, manifest, request).info.precision == "int8"
    wide = BackendRequest(engine=Engine.TENSORRT, precision=Precision.FP32)
    with pytest.raises(BackendUnavailableError, match="computes in int8"):
        TensorRtBackend(pack.model, manifest, wide)


@pytest.mark.verifies("SRS_TRT_003", extent="partial", technique="fault_injection")
def test_build_that_is_interrupted_leaves_no_engine(
    pack: VerifiedPack, machine: TensorRtModule, tmp_path: Path
) -> None:
    """Neither a file nor memory of the GPU; the next start builds."""
    folder = tmp_path / "engines"

    def interrupt(progress: BuildProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _open(pack, folder, on_build=interrupt)
    assert [path.name for path in folder.iterdir()] == ["lock"]
    assert machine.driver.open_count == 0
    assert "there is none" in _missed(pack, folder)


@pytest.mark.verifies("SRS_TRT_008", extent="partial", technique="fault_injection")
def test_engine_that_cannot_be_kept_serves_all_the_same(
    pack: VerifiedPack,
    machine: TensorRtModule,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full disk costs minutes at the next start and no frame now."""

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    folder = tmp_path / "engines"
    _open(pack, folder).discard_engine("to begin with")
    monkeypatch.setattr(tensorrt_cache, "_write_whole", full)
    with capture_logs() as lines:
        backend = _open(pack, folder)
    assert [line["event"] for line in lines][-1] == "engine_not_kept"
    assert lines[-1]["reason"] == "No space left on device"
    batch, expected = tiny_reference()
    np.testing.assert_allclose(backend.infer(batch), expected, atol=1e-6)


@pytest.mark.verifies("SRS_TRT_008", extent="partial", technique="requirement")
def test_engine_that_another_process_built_meanwhile_is_used(
    pack: VerifiedPack,
    machine: TensorRtModule,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two starts at once cost one build; the second is told that it waits."""
    folder = tmp_path / "engines"
    told: list[BuildProgress] = []
    cache = tensorrt_cache.EngineCache(folder)
    other = cache.one_builder(lambda: None)
    other.__enter__()

    def build_meanwhile(seconds: float) -> None:
        other.__exit__(None, None, None)
        _open(pack, folder).close()

    monkeypatch.setattr("trocar.backends.tensorrt_cache.time.sleep", build_meanwhile)
    _open(pack, folder, on_build=told.append)
    assert machine.build_count == 1
    assert [one.phase for one in told] == ["waiting: another process builds"]


@pytest.mark.verifies("SRS_TRT_009", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_TRT_002",
    measure="new and stored engines outside the pack's limits that may serve, or that are kept",
    acceptance="0 of 4",
)
@pytest.mark.parametrize("is_stored", [False, True])
@pytest.mark.parametrize("fault", ["shifted", "not a number"])
def test_engine_outside_the_limits_is_removed_and_said(
    pack: VerifiedPack,
    machine: TensorRtModule,
    tmp_path: Path,
    fault: str,
    *,
    is_stored: bool,
) -> None:
    """Kernels are chosen by timing them: a build may give what no other one gave."""
    folder = tmp_path / "engines"
    if is_stored:
        _open(pack, folder).close()
    machine.faults.output = lambda output: (
        np.roll(output, 3, axis=3) if fault == "shifted" else np.full_like(output, np.nan)
    )
    backend = _open(pack, folder)
    assert list(folder.glob("*.engine"))
    with (
        capture_logs() as lines,
        pytest.raises(BackendUnavailableError, match=r"tensorrt 11.*reference case") as caught,
    ):
        require_parity(_replay(backend, pack), backend)
    assert "the stored engine was deleted" in caught.value.advice
    assert not list(folder.glob("*.engine"))
    assert [line["event"] for line in lines] == ["engine_discarded"]
    machine.faults.output = lambda output: output
    again = _open(pack, folder)
    require_parity(_replay(again, pack), again)
    assert list(folder.glob("*.engine"))


@pytest.mark.verifies("SRS_TRT_009", extent="partial", technique="requirement")
@pytest.mark.controls("RCM_TRT_002")
def test_engine_within_the_limits_stays(
    pack: VerifiedPack, machine: TensorRtModule, tmp_path: Path
) -> None:
    """The gate removes nothing that is sound; without a stored engine it speaks of none."""
    backend = _open(pack, tmp_path / "engines")
    require_parity(_replay(backend, pack), backend)
    assert list((tmp_path / "engines").glob("*.engine"))
    machine.faults.output = np.zeros_like
    unkept = _open(pack)
    with pytest.raises(BackendUnavailableError) as caught:
        require_parity(_replay(unkept, pack), unkept)
    assert caught.value.advice == "use another engine or precision; do not use this one"


@pytest.mark.verifies("SRS_TRT_001", "SRS_BACKEND_004", extent="partial", technique="example")
def test_failure_on_one_input_costs_one_input(pack: VerifiedPack, machine: TensorRtModule) -> None:
    """The library says no, or the driver does; the next one is computed."""
    backend = _open(pack)
    batch, expected = tiny_reference()
    machine.faults.execute = "Error Code 1: Cuda Runtime (an illegal memory access)"
    with pytest.raises(InferenceError, match="illegal memory access"):
        backend.infer(batch)
    machine.faults.execute = ""
    machine.driver.faults["cuStreamSynchronize"] = 700
    with pytest.raises(InferenceError, match="gave 700"):
        backend.infer(batch)
    machine.driver.faults.clear()
    np.testing.assert_allclose(backend.infer(batch), expected, atol=1e-6)


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="boundary")
def test_closed_engine_answers_nothing(pack: VerifiedPack, machine: TensorRtModule) -> None:
    """Its memory may belong to another one by now."""
    backend = _open(pack)
    backend.close()
    with pytest.raises(InferenceError, match="closed"):
        backend.infer(tiny_reference()[0])
    assert machine.driver.allocated_bytes == 0


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="requirement")
def test_each_thread_may_use_the_engine_and_close_it(
    pack: VerifiedPack, machine: TensorRtModule
) -> None:
    """The loop runs in another thread than the one that opened the engine."""
    backend = _open(pack)
    batch, expected = tiny_reference()
    with ThreadPoolExecutor(1) as other:
        got = other.submit(backend.infer, batch).result()
    np.testing.assert_allclose(got, expected, atol=1e-6)
    with ThreadPoolExecutor(1) as third:
        third.submit(backend.close).result()
    assert (machine.driver.allocated_bytes, machine.driver.open_count) == (0, 0)


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="equivalence")
def test_reason_for_no_engine_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a table of engines; it holds nothing of the GPU afterwards."""
    machine = install(monkeypatch)
    assert not why_unavailable()
    assert machine.driver.open_count == 0
    machine.driver.faults["cuInit"] = 100
    assert why_unavailable() == "cuInit of the NVIDIA driver gave 100 (unknown)"
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert "expected TensorRT, it is not installed" in why_unavailable()
