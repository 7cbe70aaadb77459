"""The composition root: verify, open, replay, build, in this order, or nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulators.packs import edit_manifest, write_tiny_pack
from simulators.trust import trust_of
from trocar.apps import opening
from trocar.apps.endoscopy import DEMO_CLIP, SHIPPED_PACK, open_unit
from trocar.backends.choices import Precision
from trocar.backends.request import BackendRequest
from trocar.backends.select import open_backend
from trocar.contracts.errors import (
    BackendUnavailableError,
    HashMismatchError,
    IncompatiblePackError,
    InvariantError,
    PackError,
)
from trocar.contracts.findings import PolypMask
from trocar.contracts.frame import Frame
from trocar.contracts.manifest import ModelManifest
from trocar.contracts.outcome import Reason, Withheld
from trocar.contracts.ports import Backend

ONE_THREAD = BackendRequest(thread_count=1, warm_up_count=1)


def _frame(level: int) -> Frame:
    """Return a frame of one level."""
    pixels = np.full((80, 120, 3), level, np.uint8)
    return Frame(pixels=pixels, frame_index=3, captured_at_ns=0, source_id="test")


@pytest.fixture
def opened_backends(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the packs for which an engine was opened."""
    names: list[str] = []
    real = open_backend

    def noted(model: bytes, manifest: ModelManifest, request: BackendRequest) -> Backend:
        names.append(manifest.pack_id)
        return real(model, manifest, request)

    monkeypatch.setattr(opening, "open_backend", noted)
    return names


@pytest.mark.verifies(
    "SRS_PACK_001", "UNIT_APPS_ENDOSCOPY", extent="partial", technique="requirement"
)
def test_opened_unit_answers_with_the_pack_in_its_provenance(tmp_path: Path) -> None:
    """What answers is what was verified."""
    pack = write_tiny_pack(tmp_path / "pack")
    opened = open_unit(
        tmp_path / "pack", ONE_THREAD, frame_age_ms_max=100, trust=trust_of(tmp_path / "pack")
    )
    assert opened.pack.digest == pack.digest == opened.unit.info.pack_digest
    assert opened.unit.info.backend.thread_count == 1
    assert opened.reference_case.is_within_limits
    assert isinstance(opened.unit.run(_frame(200), now_ns=0), PolypMask)


@pytest.mark.verifies("SRS_POLYP_003", extent="partial", technique="boundary")
@pytest.mark.parametrize(("value", "is_marked"), [(0.3, True), (0.39, True), (0.4, False)])
def test_threshold_is_that_of_the_pack(tmp_path: Path, value: float, *, is_marked: bool) -> None:
    """Grey of level 100 has the probability 100/255 = 0.392 in the tiny model."""
    write_tiny_pack(tmp_path / "pack", threshold={"value": value, "chosen_by": "tests"})
    opened = open_unit(
        tmp_path / "pack", ONE_THREAD, frame_age_ms_max=100, trust=trust_of(tmp_path / "pack")
    )
    outcome = opened.unit.run(_frame(100), now_ns=0)
    assert isinstance(outcome, PolypMask)
    assert outcome.mask.pixels.any() == is_marked
    assert outcome.mask.prob_threshold == value


@pytest.mark.verifies("SRS_POLYP_004", extent="partial", technique="boundary")
def test_age_limit_is_that_of_the_application(tmp_path: Path) -> None:
    """The application knows whether anything is timed; the pack does not."""
    write_tiny_pack(tmp_path / "pack")
    unit = open_unit(
        tmp_path / "pack", ONE_THREAD, frame_age_ms_max=7, trust=trust_of(tmp_path / "pack")
    ).unit
    assert isinstance(unit.run(_frame(100), now_ns=7_000_000), PolypMask)
    late = unit.run(_frame(100), now_ns=7_000_001)
    assert isinstance(late, Withheld)
    assert late.reason is Reason.STALE_FRAME


@pytest.mark.verifies("SRS_PACK_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("fault", ["missing", "altered", "other unit"])
def test_unsound_pack_never_reaches_an_engine(
    tmp_path: Path, opened_backends: list[str], fault: str
) -> None:
    """Parsing a model is the dangerous step: nothing of a doubtful pack gets there."""
    folder = tmp_path / "pack"
    expected: type[PackError] = PackError
    if fault == "altered":
        write_tiny_pack(folder)
        (folder / "model.onnx").write_bytes(b"x" * (folder / "model.onnx").stat().st_size)
        expected = HashMismatchError
    elif fault == "other unit":
        write_tiny_pack(folder)
        edit_manifest(folder, unit="tool_detection")
        expected = IncompatiblePackError
    with pytest.raises(expected):
        open_unit(folder, ONE_THREAD, frame_age_ms_max=100, trust=trust_of(folder))
    assert opened_backends == []


@pytest.mark.verifies("SRS_BACKEND_005", "SRS_PACK_004", extent="partial", technique="boundary")
@pytest.mark.controls("RCM_PARITY_001", "RCM_SELFTEST_001")
def test_engine_outside_the_tolerance_gives_no_unit(tmp_path: Path) -> None:
    """The unit is built after the comparison, so there is none to use by mistake."""
    write_tiny_pack(tmp_path / "pack", parity={"prob_difference_max": 0.0, "mask_dice_min": 1.0})
    with pytest.raises(BackendUnavailableError, match="differs from the reference case"):
        open_unit(
            tmp_path / "pack", ONE_THREAD, frame_age_ms_max=100, trust=trust_of(tmp_path / "pack")
        )


@pytest.mark.verifies("SRS_BACKEND_001", extent="partial", technique="equivalence")
def test_precision_that_is_not_offered_gives_no_unit(tmp_path: Path) -> None:
    """No other precision is tried."""
    write_tiny_pack(tmp_path / "pack")
    request = BackendRequest(precision=Precision.FP16)
    with pytest.raises(BackendUnavailableError, match="offers fp32"):
        open_unit(
            tmp_path / "pack", request, frame_age_ms_max=100, trust=trust_of(tmp_path / "pack")
        )


@pytest.mark.verifies("SRS_POLYP_003", extent="partial", technique="boundary")
@pytest.mark.parametrize("age_ms_max", [0, -1, 10**9])
def test_age_limit_out_of_range_is_refused(tmp_path: Path, age_ms_max: int) -> None:
    """A limit of zero answers nothing; one of days answers everything."""
    write_tiny_pack(tmp_path / "pack")
    with pytest.raises((ValueError, InvariantError)):
        open_unit(
            tmp_path / "pack",
            ONE_THREAD,
            frame_age_ms_max=age_ms_max,
            trust=trust_of(tmp_path / "pack"),
        )


@pytest.mark.verifies("SRS_CLI_003", extent="partial", technique="inspection")
def test_release_brings_its_clip_and_names_its_pack() -> None:
    """The demonstration runs without a download."""
    assert DEMO_CLIP.is_file()
    assert DEMO_CLIP.parent.parent == SHIPPED_PACK.parent.parent
