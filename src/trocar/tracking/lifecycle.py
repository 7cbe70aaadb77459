"""The life of a track, as one table from state and event to state."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

__all__ = ["TRANSITIONS", "LifeEvent", "LifeState", "after"]


class LifeState(StrEnum):
    """Where a track is in its life; the first three are reported under these names."""

    TENTATIVE = "tentative"
    """Seen, but not for long enough to be sure of."""

    CONFIRMED = "confirmed"
    """Seen in this frame, and often enough before."""

    COASTING = "coasting"
    """Not seen in this frame: carried on by its motion."""

    LOST = "lost"
    """Over. It is not reported, and nothing brings it back."""


class LifeEvent(StrEnum):
    """What one frame says of a track."""

    SEEN = "seen"
    """Seen, and together fewer times than confirm a track."""

    SEEN_OFTEN = "seen_often"
    """Seen, and together often enough to confirm a track."""

    UNSEEN = "unseen"
    """Not seen, for a time that may be bridged."""

    UNSEEN_TOO_LONG = "unseen_too_long"
    """Not seen for longer than may be bridged."""


# @need-ids: SRS_TRACK_003
TRANSITIONS: Final[Mapping[tuple[LifeState, LifeEvent], LifeState]] = MappingProxyType({
    (LifeState.TENTATIVE, LifeEvent.SEEN): LifeState.TENTATIVE,
    (LifeState.TENTATIVE, LifeEvent.SEEN_OFTEN): LifeState.CONFIRMED,
    (LifeState.TENTATIVE, LifeEvent.UNSEEN): LifeState.LOST,
    (LifeState.TENTATIVE, LifeEvent.UNSEEN_TOO_LONG): LifeState.LOST,
    (LifeState.CONFIRMED, LifeEvent.SEEN): LifeState.CONFIRMED,
    (LifeState.CONFIRMED, LifeEvent.SEEN_OFTEN): LifeState.CONFIRMED,
    (LifeState.CONFIRMED, LifeEvent.UNSEEN): LifeState.COASTING,
    (LifeState.CONFIRMED, LifeEvent.UNSEEN_TOO_LONG): LifeState.LOST,
    (LifeState.COASTING, LifeEvent.SEEN): LifeState.CONFIRMED,
    (LifeState.COASTING, LifeEvent.SEEN_OFTEN): LifeState.CONFIRMED,
    (LifeState.COASTING, LifeEvent.UNSEEN): LifeState.COASTING,
    (LifeState.COASTING, LifeEvent.UNSEEN_TOO_LONG): LifeState.LOST,
    (LifeState.LOST, LifeEvent.SEEN): LifeState.LOST,
    (LifeState.LOST, LifeEvent.SEEN_OFTEN): LifeState.LOST,
    (LifeState.LOST, LifeEvent.UNSEEN): LifeState.LOST,
    (LifeState.LOST, LifeEvent.UNSEEN_TOO_LONG): LifeState.LOST,
})
"""The state after each event, for each state: there is no pair that is not in it."""


def after(state: LifeState, event: LifeEvent) -> LifeState:
    """Return the state after an event.

    Args:
        state: The state before.
        event: What the frame says.
    """
    return TRANSITIONS[state, event]
