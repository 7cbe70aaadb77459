"""Real engines of TensorRT on a real GPU: ``tox -e gpu``, which fails where there is none.

Nobody has run these yet: no GPU was at hand when they were written.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from structlog.testing import capture_logs

from trocar.apps.opening import ASSETS
from trocar.backends.choices import Engine
from trocar.backends.reference_case import replay_reference_case, require_parity
from trocar.backends.request import BackendRequest
from trocar.backends.select import open_backend
from trocar.backends.tensorrt_progress import BuildProgress
from trocar.contracts.errors import BackendUnavailableError
from trocar.contracts.ports import Backend
from trocar.packs.verify import VerifiedPack, verify_pack

UNITS: Final = ("polyp_segmentation", "tool_detection")
CALL_COUNT: Final = 500

pytestmark = pytest.mark.skipif(
    os.environ.get("TROCAR_GPU") != "1", reason="needs a GPU and TensorRT 11 (tox -e gpu)"
)


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder of engines for all tests, so that each pack is built once."""
    return tmp_path_factory.mktemp("gpu") / "engines"


@pytest.fixture(params=UNITS)
def pack(request: pytest.FixtureRequest) -> VerifiedPack:
    """Return each pack that comes with the release."""
    return verify_pack(ASSETS / "packs" / str(request.param))


def _open(pack: VerifiedPack, folder: Path | None, told: list[BuildProgress]) -> Backend:
    """Open the real backend."""
    request = BackendRequest(engine=Engine.TENSORRT, engine_cache=folder, on_build=told.append)
    return open_backend(pack.model, pack.manifest, request)


@pytest.mark.verifies(
    "SRS_TRT_001", "SRS_TRT_009", "SRS_TRT_010", extent="full", technique="requirement"
)
@pytest.mark.controls("RCM_TRT_002")
def test_engine_of_each_pack_keeps_its_limits(
    pack: VerifiedPack, engines: Path, record_property: Callable[[str, object], None]
) -> None:
    """Built on this GPU, found again, and within the limits both times."""
    for is_first in (True, False):
        told: list[BuildProgress] = []
        with capture_logs() as lines:
            backend = _open(pack, engines, told)
        report = replay_reference_case(
            backend,
            pack.manifest,
            reference_input=pack.content[pack.manifest.reference_input],
            reference_output=pack.content[pack.manifest.reference_output],
        )
        require_parity(report, backend)
        events = [line["event"] for line in lines]
        assert events == (["engine_cache", "engine_built"] if is_first else ["engine_cache"])
        if is_first:
            assert told[-1].percent == 100
            record_property("build_ms", lines[1]["build_ms"])
            record_property("engine_bytes", lines[1]["engine_bytes"])
        record_property("engine", backend.info.engine)
        record_property("gpu", backend.info.provider)
        record_property("prob_difference_max", report.prob_difference_max)
        record_property("mask_dice", report.mask_dice)
        backend.close()


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="requirement")
def test_latency_is_recorded(
    pack: VerifiedPack, engines: Path, record_property: Callable[[str, object], None]
) -> None:
    """From the bytes of a frame to the probabilities in memory of the processor; no limit yet."""
    backend = _open(pack, engines, [])
    chance = np.random.default_rng(24)
    batch = chance.integers(0, 256, pack.manifest.input.shape, dtype=np.uint8)
    first = backend.infer(batch)
    times_ms = []
    for _ in range(CALL_COUNT):
        began_ns = time.monotonic_ns()
        again = backend.infer(batch)
        times_ms.append((time.monotonic_ns() - began_ns) / 1e6)
        np.testing.assert_array_equal(first, again)
    for name, share in (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100)):
        record_property(f"infer_{name}_ms", float(np.percentile(times_ms, share)))
    record_property("gpu", backend.info.provider)
    backend.close()


@pytest.mark.verifies("SRS_TRT_003", extent="partial", technique="fault_injection")
def test_interrupted_build_leaves_nothing(pack: VerifiedPack, tmp_path: Path) -> None:
    """Ctrl-C while the library times its kernels."""

    def interrupt(progress: BuildProgress) -> None:
        if progress.percent > 0:
            raise KeyboardInterrupt

    request = BackendRequest(
        engine=Engine.TENSORRT, engine_cache=tmp_path / "engines", on_build=interrupt
    )
    with pytest.raises(KeyboardInterrupt):
        open_backend(pack.model, pack.manifest, request)
    assert not list((tmp_path / "engines").glob("*.engine"))


@pytest.mark.verifies("SRS_TRT_007", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_TRT_001")
def test_damaged_engine_is_built_anew(pack: VerifiedPack, tmp_path: Path) -> None:
    """The library never sees it."""
    folder = tmp_path / "engines"
    _open(pack, folder, []).close()
    (stored,) = folder.glob("*.engine")
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)
    with capture_logs() as lines:
        _open(pack, folder, []).close()
    assert "authentication code" in lines[0]["reason"]


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="fault_injection")
def test_bytes_that_are_no_model_are_a_typed_error(pack: VerifiedPack) -> None:
    """The parser's own words are repeated."""
    request = BackendRequest(engine=Engine.TENSORRT)
    with pytest.raises(BackendUnavailableError, match="cannot take this model"):
        open_backend(b"not a model", pack.manifest, request)
