"""There is a finding, or a reason for none."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from trocar.contracts.outcome import DeadlineVerdict, Reason, Withheld


@pytest.mark.verifies("SRS_OUTCOME_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize("reason", list(Reason))
def test_withheld_names_frame_and_reason(reason: Reason) -> None:
    """Each reason can be given, and its value is the stable lower-case word of the record."""
    withheld = Withheld(frame_index=4, reason=reason)
    assert (withheld.frame_index, withheld.reason, withheld.detail) == (4, reason, "")
    assert reason.value == reason.name.lower()


@pytest.mark.verifies("SRS_OUTCOME_001", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    "changes",
    [
        {"frame_index": -1},
        {"frame_index": None},
        {"reason": "stale_frame"},
        {"reason": None},
        {"detail": 3},
        {"mask": None},
    ],
)
def test_withheld_without_frame_or_reason_is_refused(changes: dict[str, object]) -> None:
    """A missing result that does not say why, or for which frame, is not an outcome."""
    facts: dict[str, object] = {"frame_index": 4, "reason": Reason.STALE_FRAME, **changes}
    with pytest.raises(ValidationError):
        Withheld.model_validate(facts)


def test_first_frame_may_be_withheld() -> None:
    """Index 0 is a frame."""
    assert Withheld(frame_index=0, reason=Reason.FRAME_SIZE, detail="8 px").detail == "8 px"


def test_verdicts_are_three() -> None:
    """In time, late, or not timed at all (a file has no deadline): nothing between."""
    assert [verdict.value for verdict in DeadlineVerdict] == ["met", "missed", "not_timed"]
