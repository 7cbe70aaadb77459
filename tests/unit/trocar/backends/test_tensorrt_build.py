"""An engine is built visibly, within a time, as the settings say, or an error says why not."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from simulators.cuda_driver import CudaDriver
from simulators.int8_packs import write_int8_pack
from simulators.packs import tiny_model, write_tiny_pack
from simulators.tensorrt_runtime import Faults, TensorRtModule
from simulators.tensorrt_types import BuilderFlag, MemoryPoolType
from trocar.backends import tensorrt_build
from trocar.backends.tensorrt_build import SETTINGS, build_engine, import_tensorrt, library_log
from trocar.backends.tensorrt_progress import BuildPhases, BuildProgress
from trocar.contracts.errors import BackendUnavailableError, ContractError
from trocar.contracts.manifest import ModelManifest


@pytest.fixture
def manifest(tmp_path: Path) -> ModelManifest:
    """Return the manifest of the tiny pack."""
    return write_tiny_pack(tmp_path / "pack").manifest


def _module(faults: Faults | None = None) -> ModuleType:
    """Return a simulated library."""
    return cast("ModuleType", TensorRtModule(CudaDriver(), faults=faults))


def _build(
    manifest: ModelManifest,
    module: ModuleType,
    *,
    model: bytes | None = None,
    listener: Callable[[BuildProgress], None] = lambda _: None,
    now_ns: Callable[[], int] = lambda: 0,
) -> bytes:
    """Build an engine of the tiny model."""
    return build_engine(
        module,
        model or tiny_model(),
        manifest,
        thread_count=3,
        listener=listener,
        now_ns=now_ns,
    )


def _waiting(event: threading.Event) -> Callable[[int], None]:
    """Return a step that waits for an event."""

    def wait(step: int) -> None:
        assert event.wait(60)

    return wait


@pytest.mark.verifies("SRS_TRT_004", "UNIT_TRT_BUILD", extent="partial", technique="requirement")
@pytest.mark.controls("RCM_TRT_001")
def test_engine_is_built_as_the_settings_say(manifest: ModelManifest) -> None:
    """TensorFloat-32 is on where nobody switches it off; nothing else is added."""
    module = _module()
    assert _build(manifest, module).startswith(b"SIMULATED-ENGINE")
    (config,) = cast("Any", module).configs
    assert config.on == {BuilderFlag.STRICT_NANS}
    assert config.pools == {MemoryPoolType.WORKSPACE: 1024**3}
    assert (config.builder_optimization_level, config.avg_timing_iterations) == (3, 8)
    assert {"TF32", "REFIT", "STRIP_PLAN", "VERSION_COMPATIBLE"} <= set(SETTINGS.flags_off)


@pytest.mark.verifies("SRS_TRT_002", extent="partial", technique="requirement")
def test_build_is_told_to_the_listener_by_the_calling_thread(manifest: ModelManifest) -> None:
    """A build that waits after each step until the listener has heard of it."""
    heard = threading.Semaphore(0)
    threads: set[str] = set()
    told: list[BuildProgress] = []

    def listen(progress: BuildProgress) -> None:
        threads.add(threading.current_thread().name)
        told.append(progress)
        heard.release()

    def wait(step: int) -> None:
        assert threading.current_thread().name == "trocar-engine-build"
        assert heard.acquire(timeout=60)

    _build(manifest, _module(Faults(on_step=wait)), listener=listen)
    assert threads == {threading.current_thread().name}
    assert [one.percent for one in told] == sorted(one.percent for one in told)
    assert {"Cloning network graph", "Timing tactics"} <= {one.phase for one in told}
    assert told[-1] == BuildProgress("engine built", 100)


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """Let this process heed the signal: one that was started in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.verifies("SRS_TRT_003", extent="full", technique="fault_injection")
def test_ctrl_c_ends_the_build_at_its_next_step(
    manifest: ModelManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes to the waiting thread; the library is asked for the end and nothing is returned."""
    stopped_after: list[int] = []
    is_told = threading.Event()

    def interrupt(step: int) -> None:
        stopped_after.append(step)
        if step == 1:
            _thread.interrupt_main()
            assert is_told.wait(timeout=60)

    module = _module(Faults(on_step=interrupt))
    real = BuildPhases.cancel

    def cancel(phases: BuildPhases) -> None:
        real(phases)
        is_told.set()

    monkeypatch.setattr(BuildPhases, "cancel", cancel)
    with pytest.raises(KeyboardInterrupt):
        _build(manifest, module)
    assert "BuildCanceled" in library_log(module).take()
    assert not any(one.name == "trocar-engine-build" for one in threading.enumerate())


@pytest.mark.verifies("SRS_TRT_003", extent="partial", technique="fault_injection")
def test_listener_that_fails_ends_the_build(manifest: ModelManifest) -> None:
    """Nobody reads the screen any more; its error is passed on, not lost in a thread."""
    gate = threading.Event()

    def listen(progress: BuildProgress) -> None:
        gate.set()
        raise BrokenPipeError(32, "Broken pipe")

    module = _module(Faults(on_step=_waiting(gate)))
    with pytest.raises(BrokenPipeError):
        _build(manifest, module, listener=listen)


@pytest.mark.verifies("SRS_TRT_003", extent="full", technique="boundary")
@pytest.mark.parametrize(("passed_s", "is_late"), [(3600, False), (3601, True)])
def test_build_has_an_hour(
    manifest: ModelManifest, passed_s: int, *, is_late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step after the limit ends it; a build that had no step left is taken."""
    monkeypatch.setattr(tensorrt_build, "_POLL_S", 0.001)
    times: Iterator[int] = iter((0, passed_s * 10**9, passed_s * 10**9))
    is_asked = threading.Event()

    def now_ns() -> int:
        value = next(times, passed_s * 10**9)
        if value:
            is_asked.set()
        return value

    asked_twice = threading.Semaphore(0)

    def wait(step: int) -> None:
        if step == 0:
            assert is_asked.wait(60)
            assert asked_twice.acquire(timeout=60)
            assert asked_twice.acquire(timeout=60)

    module = _module(Faults(on_step=wait))

    def listen(progress: BuildProgress) -> None:
        asked_twice.release()

    if not is_late:
        assert _build(manifest, module, listener=listen, now_ns=now_ns)
        return
    with pytest.raises(BackendUnavailableError, match="in 3600 s") as caught:
        _build(manifest, module, listener=listen, now_ns=now_ns)
    assert "nothing else uses the GPU" in caught.value.advice


@pytest.mark.verifies("SRS_TRT_003", extent="partial", technique="fault_injection")
def test_build_that_hangs_is_left_behind(
    manifest: ModelManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of the library that never ends must not hold the command for ever."""
    monkeypatch.setattr(tensorrt_build, "_POLL_S", 0.001)
    monkeypatch.setattr(tensorrt_build, "ENGINE_STEP_MS_MAX", 1)
    free = threading.Event()
    times = iter((0, *[10**15] * 9))
    module = _module(Faults(on_step=_waiting(free)))
    with pytest.raises(BackendUnavailableError, match="did not build the engine in 3600 s"):
        _build(manifest, module, now_ns=lambda: next(times))
    free.set()
    for one in threading.enumerate():
        if one.name == "trocar-engine-build":
            one.join(60)


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="fault_injection")
def test_objections_of_the_parser_are_listed(manifest: ModelManifest) -> None:
    """Each with its layer; more than eight are counted."""
    objections = [("Einsum", f"layer_{number}", "no importer") for number in range(11)]
    with pytest.raises(BackendUnavailableError) as caught:
        _build(manifest, _module(Faults(parser=objections)))
    assert "Einsum 'layer_0': no importer; Einsum 'layer_1': no importer" in caught.value.problem
    assert caught.value.problem.endswith("Einsum 'layer_7': no importer; and 3 more")
    assert "without these layers" in caught.value.advice


@pytest.mark.verifies("SRS_TRT_011", extent="full", technique="fault_injection")
@pytest.mark.controls("RCM_TRT_003")
def test_warning_of_the_parser_is_a_refusal(manifest: ModelManifest) -> None:
    """Whatever it is about; up to eight are repeated, and none of an earlier model."""
    warnings = [f"replaced {number}" for number in range(9)]
    module = _module(Faults(warnings=warnings))
    with pytest.raises(BackendUnavailableError) as caught:
        _build(manifest, module)
    assert caught.value.problem == "TensorRT would not run the model as it is: " + "; ".join(
        warnings[1:]
    )
    assert "made for TensorRT" in caught.value.advice
    assert cast("Any", module).build_count == 0
    cast("Any", module).faults.warnings = []
    assert _build(manifest, module)


@pytest.mark.verifies("SRS_TRT_011", extent="partial", technique="equivalence")
@pytest.mark.proves_effect(
    "RCM_TRT_003",
    measure="models with whole numbers that TensorRT has not, which are built as something else",
    acceptance="0 of 2 kinds",
)
@pytest.mark.parametrize("kind", ["UINT8", "INT32"])
def test_whole_numbers_that_tensorrt_has_not_are_refused(tmp_path: Path, kind: str) -> None:
    """Zero to 255 taken for -128 to 127 would saturate half of all values, in silence."""
    pack = write_int8_pack(tmp_path / "int8")
    model = onnx.ModelProto.FromString(pack.model)
    if kind == "INT32":
        for one in model.graph.initializer:
            if one.data_type == TensorProto.UINT8:
                one.CopyFrom(numpy_helper.from_array(np.int32(0), one.name))
    with pytest.raises(BackendUnavailableError, match=f"(?i){kind}"):
        _build(pack.manifest, _module(), model=bytes(model.SerializeToString()))


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="fault_injection")
def test_bytes_that_are_no_model_are_refused(manifest: ModelManifest) -> None:
    """The parser gives False, no exception."""
    with pytest.raises(BackendUnavailableError, match="Failed to parse the ONNX model"):
        _build(manifest, _module(), model=b"not a model")


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="fault_injection")
def test_machine_without_a_gpu_is_said(manifest: ModelManifest) -> None:
    """The library makes no builder there."""
    with pytest.raises(BackendUnavailableError, match="returned nullptr; TensorRT gave no reason"):
        _build(manifest, _module(Faults(no_gpu=True)))


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="fault_injection")
def test_build_without_an_engine_repeats_the_log(manifest: ModelManifest) -> None:
    """Such as too little memory; lines that are no errors are left out."""
    with pytest.raises(BackendUnavailableError, match=r"could not build.*OutOfMemory"):
        _build(manifest, _module(Faults(build="Error Code 2: OutOfMemory")))
    with pytest.raises(BackendUnavailableError, match="failed while it built: no kernel") as caught:
        _build(manifest, _module(Faults(build_error=RuntimeError("no kernel"))))
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="boundary")
def test_engine_that_is_too_large_is_refused(
    manifest: ModelManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not be stored, and says more about the model than it should."""
    size = len(_build(manifest, _module()))
    monkeypatch.setattr(tensorrt_build, "ENGINE_BYTES_MAX", size)
    assert len(_build(manifest, _module())) == size
    with pytest.raises(BackendUnavailableError, match=f"at most {size} bytes, got {size + 1}"):
        _build(manifest, _module(Faults(padding=1)))


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize("change", ["shape", "name", "input"])
def test_model_that_differs_from_its_manifest_is_not_built(
    manifest: ModelManifest, change: str
) -> None:
    """Minutes of building would be spent on a pack that cannot run."""
    side = "input" if change == "input" else "output"
    update: dict[str, object] = {"name": "other"} if change == "name" else {"shape": (1, 2, 3, 4)}
    spec = getattr(manifest, side).model_copy(update=update)
    module = _module()
    with pytest.raises(ContractError, match=f"expected {side} {spec.name}"):
        _build(manifest.model_copy(update={side: spec}), module)
    assert cast("Any", module).build_count == 0


def _model(*, outputs: int, side: int | str) -> bytes:
    """Return a model with more outputs, or with a shape that is not fixed."""
    names = ["prob", "second"][:outputs]
    nodes = [helper.make_node("Identity", ["frame"], [name]) for name in names]
    shape = [1, 1, side, 64]
    source = helper.make_tensor_value_info("frame", TensorProto.FLOAT, shape)
    results = [helper.make_tensor_value_info(one, TensorProto.FLOAT, shape) for one in names]
    graph = helper.make_graph(nodes, "other", [source], results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="equivalence")
def test_two_outputs_and_open_shapes_are_refused(manifest: ModelManifest) -> None:
    """A profile of the manifest's shapes must be all there is."""
    with pytest.raises(ContractError, match="one output, the model has 1 and 2"):
        _build(manifest, _module(), model=_model(outputs=2, side=64))
    both = {
        name: getattr(manifest, name).model_copy(
            update={"shape": (1, 1, 64, 64), "dtype": manifest.output.dtype}
        )
        for name in ("input", "output")
    }
    square = manifest.model_copy(update=both)
    assert _build(square, _module(), model=_model(outputs=1, side=64))
    with pytest.raises(ContractError, match=r"got frame .*\(1, 1, -1, 64\)"):
        _build(square, _module(), model=_model(outputs=1, side="open"))


@pytest.mark.verifies("SRS_TRT_001", "SRS_ERROR_001", extent="partial", technique="equivalence")
def test_library_of_another_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags mean something else in TensorRT 10; none at all is said with what to type."""
    monkeypatch.setitem(
        sys.modules, "tensorrt", cast("Any", TensorRtModule(CudaDriver(), version="10.3.0"))
    )
    with pytest.raises(BackendUnavailableError, match=r"expected TensorRT 11, got 10\.3\.0"):
        import_tensorrt()
    module = _module()
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    assert import_tensorrt() is module
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(BackendUnavailableError, match="not installed") as caught:
        import_tensorrt()
    assert 'pip install "trocar[tensorrt]"' in caught.value.advice
