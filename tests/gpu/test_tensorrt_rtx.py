"""The builder with the real TensorRT-RTX, which needs no GPU to build: ``tox -e tensorrt-rtx``.

It is another product than TensorRT, with the same interface; nothing that it builds is run.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from simulators.int8_packs import write_int8_pack
from trocar.apps.opening import ASSETS
from trocar.backends.tensorrt_build import build_engine, library_log
from trocar.backends.tensorrt_progress import BuildProgress
from trocar.contracts.errors import BackendUnavailableError, ContractError
from trocar.packs.verify import VerifiedPack, verify_pack

UNITS: Final = ("polyp_segmentation", "tool_detection")

pytestmark = pytest.mark.skipif(
    os.environ.get("TROCAR_TENSORRT_RTX") != "1", reason="needs TensorRT-RTX (tox -e tensorrt-rtx)"
)


@pytest.fixture(scope="module")
def trt() -> ModuleType:
    """Return the real library."""
    return importlib.import_module("tensorrt_rtx")


@pytest.fixture(params=UNITS)
def pack(request: pytest.FixtureRequest) -> VerifiedPack:
    """Return each pack that comes with the release."""
    return verify_pack(ASSETS / "packs" / str(request.param))


@pytest.mark.verifies("SRS_TRT_001", "SRS_TRT_002", extent="partial", technique="conformance")
def test_shipped_packs_are_parsed_and_built(
    trt: ModuleType, pack: VerifiedPack, record_property: Callable[[str, object], None]
) -> None:
    """Every layer is known, the build is told, and settings and monitor are taken."""
    told: list[BuildProgress] = []
    began_ns = time.monotonic_ns()
    engine = build_engine(trt, pack.model, pack.manifest, thread_count=2, listener=told.append)
    record_property("library", f"tensorrt-rtx {trt.__version__}")
    record_property("build_ms", (time.monotonic_ns() - began_ns) // 1_000_000)
    record_property("engine_bytes", len(engine))
    assert told[-1] == BuildProgress("engine built", 100)
    assert [one.percent for one in told] == sorted(one.percent for one in told)


@pytest.mark.verifies("SRS_TRT_003", extent="partial", technique="fault_injection")
def test_build_is_ended_by_its_monitor(trt: ModuleType, pack: VerifiedPack) -> None:
    """The real library hears the answer and says so."""

    def interrupt(progress: BuildProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_engine(trt, pack.model, pack.manifest, thread_count=2, listener=interrupt)
    assert "BuildCanceled" in library_log(trt).take()


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="fault_injection")
def test_real_parser_objects_in_words(trt: ModuleType, pack: VerifiedPack) -> None:
    """No crash, no exception of another kind."""
    with pytest.raises(BackendUnavailableError, match="Failed to parse the ONNX model"):
        build_engine(trt, b"not a model", pack.manifest, thread_count=2, listener=lambda _: None)
    output = pack.manifest.output.model_copy(update={"shape": (1, 2, 3, 4)})
    manifest = pack.manifest.model_copy(update={"output": output})
    with pytest.raises(ContractError, match="expected output"):
        build_engine(trt, pack.model, manifest, thread_count=2, listener=lambda _: None)


@pytest.mark.verifies("SRS_TRT_011", extent="partial", technique="fault_injection")
def test_real_parser_warns_of_what_it_replaces(trt: ModuleType, tmp_path: Path) -> None:
    """It takes UINT8 for INT8, builds, and only says so in its log."""
    pack = write_int8_pack(tmp_path / "int8")
    with pytest.raises(BackendUnavailableError, match="UINT8 zero_point"):
        build_engine(trt, pack.model, pack.manifest, thread_count=2, listener=lambda _: None)


@pytest.mark.verifies("SRS_TRT_007", extent="partial", technique="fault_injection")
def test_real_runtime_gives_none_for_what_it_cannot_read(trt: ModuleType) -> None:
    """As the simulator does; without a GPU it can read nothing at all."""
    log = library_log(trt)
    log.take()
    runtime = trt.Runtime(log.logger)
    assert runtime.engine_host_code_allowed is False
    assert runtime.deserialize_cuda_engine(b"not an engine") is None
    assert "TensorRT gave no reason" not in log.take()
