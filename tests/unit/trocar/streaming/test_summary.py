"""What a run is told is checked before it begins."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from trocar.contracts.limits import DEADLINE_MS_DEFAULT, FROZEN_AFTER_MS_DEFAULT
from trocar.streaming.pacing import Pacing, StreamKind
from trocar.streaming.summary import StreamConfig


@pytest.mark.verifies("SRS_LIMITS_001", extent="partial", technique="requirement")
def test_defaults_come_from_the_one_place_of_limits() -> None:
    """A bound that stands twice will differ one day."""
    config = StreamConfig(pacing=Pacing.REALTIME)
    assert config.deadline_ms == DEADLINE_MS_DEFAULT
    assert config.frozen_after_ms == FROZEN_AFTER_MS_DEFAULT
    assert (config.kind, config.frame_count_max) == (StreamKind.VIDEO, None)


@pytest.mark.verifies("SRS_LIMITS_001", extent="partial", technique="boundary")
@pytest.mark.parametrize("field", ["deadline_ms", "frozen_after_ms", "frame_count_max"])
def test_zero_is_refused(field: str) -> None:
    """No deadline, no patience and no frame are not settings."""
    with pytest.raises(ValidationError):
        StreamConfig.model_validate({"pacing": Pacing.REALTIME, field: 0})
