"""A record binds outcome, provenance, times and verdict to one frame."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from conformance.samples import (
    make_backend_info,
    make_polyp_mask,
    make_record,
    make_times,
    make_unit_info,
    make_withheld,
)
from trocar.contracts.record import BackendInfo, FrameRecord, FrameTimes, UnitInfo


def record_with(**changes: object) -> FrameRecord:
    """Return a record with some fields changed."""
    return FrameRecord.model_validate(dict(make_record(2)) | changes)


@pytest.mark.controls("RCM_FRAMEID_001", technique="boundary")
@pytest.mark.verifies("SRS_OUTCOME_001", extent="partial", technique="boundary")
@pytest.mark.parametrize("offset", [-1, 1])
@pytest.mark.parametrize("make_outcome", [make_polyp_mask, make_withheld])
def test_outcome_of_a_neighbouring_frame_is_refused(
    offset: int, make_outcome: Callable[[int], object]
) -> None:
    """The smallest mix-up, one frame, must be impossible to record or show."""
    with pytest.raises(ValidationError, match=f"outcome of frame {2 + offset} under frame 2"):
        record_with(outcome=make_outcome(2 + offset))


@pytest.mark.verifies("SRS_OUTCOME_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize("make_outcome", [make_polyp_mask, make_withheld])
def test_both_outcomes_of_the_same_frame_are_accepted(
    make_outcome: Callable[[int], object],
) -> None:
    """A finding and a reason for none are the only two answers."""
    outcome = make_outcome(2)
    assert record_with(outcome=outcome).outcome is outcome


@pytest.mark.verifies("SRS_OUTCOME_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize("outcome", [None, "withheld", True, {}, make_times()])
def test_anything_else_is_not_an_outcome(outcome: object) -> None:
    """No third kind of answer, and no missing one."""
    with pytest.raises(ValidationError, match="outcome"):
        record_with(outcome=outcome)


@pytest.mark.verifies("SRS_PROVENANCE_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize("field", ["unit", "times", "verdict", "source_id", "dropped_before_count"])
def test_record_without_provenance_or_times_is_refused(field: str) -> None:
    """Who saw what, by which model, when: none may be left out."""
    facts = dict(make_record())
    del facts[field]
    with pytest.raises(ValidationError, match=field):
        FrameRecord.model_validate(facts)


@pytest.mark.parametrize(
    "changes",
    [
        {"dropped_before_count": -1},
        {"frame_index": -1},
        {"media_time_ns": -1},
        {"source_id": ""},
        {"verdict": "met"},
        {"unit": None},
        {"note": ""},
    ],
)
def test_record_outside_its_limits_is_refused(changes: dict[str, object]) -> None:
    """Just outside each border."""
    with pytest.raises(ValidationError):
        record_with(**changes)


@pytest.mark.parametrize("changes", [{"dropped_before_count": 10**9}, {"media_time_ns": 0}])
def test_record_at_its_limits_is_accepted(changes: dict[str, object]) -> None:
    """Zero is a time, and many frames may have been dropped."""
    assert changes.items() <= dict(record_with(**changes)).items()


@pytest.mark.parametrize("order", sorted(set(itertools.permutations((1, 2, 3)))))
def test_times_run_forward(order: tuple[int, int, int]) -> None:
    """Every order of three times: only the rising one is a history."""
    facts = dict(zip(("captured_at_ns", "started_at_ns", "finished_at_ns"), order, strict=True))
    if order == (1, 2, 3):
        assert FrameTimes.model_validate(facts).age_ns == 2
    else:
        with pytest.raises(ValidationError, match="captured <= started <= finished"):
            FrameTimes.model_validate(facts)


def test_times_may_coincide() -> None:
    """A coarse clock shows one instant for three events; that is not an error."""
    times = FrameTimes(captured_at_ns=5, started_at_ns=5, finished_at_ns=5)
    assert (times.age_ns, times.service_ns) == (0, 0)


def test_age_counts_from_capture_and_service_from_start() -> None:
    """Waiting belongs to the age; a fast unit on an old frame is still late."""
    times = make_times()
    assert (times.age_ns, times.service_ns) == (5_000, 3_000)


@pytest.mark.verifies("SRS_PROVENANCE_001", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("digest", "is_valid"),
    [
        ("0123456789abcdef" * 4, True),
        ("0" * 63, False),
        ("0" * 65, False),
        ("0" * 63 + "A", False),
        ("0" * 63 + "g", False),
        ("0" * 64 + "\n", False),
        ("", False),
    ],
)
def test_pack_digest_is_a_sha256(digest: str, *, is_valid: bool) -> None:
    """A digest in another form could not be compared."""
    facts = dict(make_unit_info()) | {"pack_digest": digest}
    if is_valid:
        assert UnitInfo.model_validate(facts).pack_digest == digest
    else:
        with pytest.raises(ValidationError, match="pack_digest"):
            UnitInfo.model_validate(facts)


@pytest.mark.verifies("SRS_PROVENANCE_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize("field", ["engine", "provider", "precision", "thread_count"])
def test_backend_names_all_that_runs(field: str) -> None:
    """Engine, provider, precision and threads each change results or times."""
    facts = dict(make_backend_info())
    del facts[field]
    with pytest.raises(ValidationError, match=field):
        BackendInfo.model_validate(facts)


@pytest.mark.parametrize(("count", "is_valid"), [(0, False), (1, True), (64, True)])
def test_backend_has_at_least_one_thread(count: int, *, is_valid: bool) -> None:
    """Zero threads would mean that the engine chose."""
    facts = dict(make_backend_info()) | {"thread_count": count}
    if is_valid:
        assert BackendInfo.model_validate(facts).thread_count == count
    else:
        with pytest.raises(ValidationError, match="thread_count"):
            BackendInfo.model_validate(facts)
