"""Every state with every event: the table is complete, and is the one that is documented."""

from __future__ import annotations

from itertools import product
from typing import Final

import pytest

from trocar.contracts.findings import TrackState
from trocar.tracking.lifecycle import TRANSITIONS, LifeEvent, LifeState, after

TABLE: Final = """
            seen       seen_often  unseen    unseen_too_long
tentative   tentative  confirmed   lost      lost
confirmed   confirmed  confirmed   coasting  lost
coasting    confirmed  confirmed   coasting  lost
lost        lost       lost        lost      lost
"""


def _expected() -> dict[tuple[str, str], str]:
    """Return the table above by state and event."""
    head, *rows = [line.split() for line in TABLE.strip().splitlines()]
    return {(row[0], event): to for row in rows for event, to in zip(head, row[1:], strict=True)}


@pytest.mark.verifies("SRS_TRACK_003", extent="full", technique="state_table")
@pytest.mark.parametrize(("state", "event"), list(product(LifeState, LifeEvent)))
def test_each_pair_leads_where_the_table_says(state: LifeState, event: LifeEvent) -> None:
    """No pair is left out and none leads elsewhere."""
    assert after(state, event).value == _expected()[state.value, event.value]


@pytest.mark.verifies("SRS_TRACK_003", extent="partial", technique="state_table")
def test_table_has_no_other_pair() -> None:
    """A row that nobody reviewed would be a state that nobody knows."""
    assert {(state.value, event.value) for state, event in TRANSITIONS} == set(_expected())


@pytest.mark.verifies("SRS_TRACK_003", extent="partial", technique="state_table")
def test_unseen_leads_to_no_state_that_says_seen() -> None:
    """After an unseen frame a track is coasting or over, from wherever it came."""
    unseen = (LifeEvent.UNSEEN, LifeEvent.UNSEEN_TOO_LONG)
    ends = {after(state, event) for state, event in product(LifeState, unseen)}
    assert ends == {LifeState.COASTING, LifeState.LOST}


@pytest.mark.verifies("SRS_TRACK_003", extent="partial", technique="equivalence")
def test_reported_states_are_those_of_the_contract() -> None:
    """All but ``lost`` are reported under their own names."""
    reported = {state.value for state in LifeState} - {LifeState.LOST.value}
    assert reported == {state.value for state in TrackState}
