"""The table is closed: what is not on it cannot be written, and a refusal repeats nothing."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.failing_disk import DIGEST, INSTALLED
from trocar.audit import events
from trocar.audit.events import EVENTS, LOG_EVENTS, checked_fields, error_codes
from trocar.backends.choices import Engine, Precision
from trocar.cli.catalogue import UNITS
from trocar.contracts import errors
from trocar.contracts.errors import InvariantError
from trocar.streaming.health_state import Fault, HealthState
from trocar.streaming.summary import EndedBecause

PAGE: Final = Path(__file__).parents[4] / "docs" / "reference" / "audit_events.rst"
NAMES: Final = (
    "DOE^JANE",
    "Doe, Jane",
    "doe jane 1970-01-01",
    "/data/doe_jane/clip.mp4",
    "C:\\DOE\\JANE.dcm",
    "1.2.840.113619.2.55.3.604688119.969.1268071029.320",
    "PAT-0012345",
    "jane.doe@example.org",
    "Jané Döe",
    "19700101",
)


@pytest.mark.verifies("SRS_AUDIT_005", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("held", "used"),
    [
        (events.UNITS, {entry.name for entry in UNITS}),
        (events.ENGINES, {one.value for one in Engine}),
        (events.PRECISIONS, {one.value for one in Precision}),
        (events.HEALTH_STATES, {one.value for one in HealthState}),
        (events.HEALTH_REASONS, {one.value for one in Fault}),
        (events.ENDED, {one.value for one in EndedBecause}),
    ],
    ids=["units", "engines", "precisions", "states", "reasons", "ended"],
)
def test_table_knows_every_value_that_the_device_has(held: set[str], used: set[str]) -> None:
    """This item may import none of them; one that is missing would end a run as our own fault."""
    assert used <= held


@pytest.mark.verifies("SRS_AUDIT_005", extent="partial", technique="inspection")
def test_page_of_the_events_is_the_table() -> None:
    """A site that reads its log by that page must find every field there, and no other one."""
    rows = re.findall(r"   \* - ``(\w+)``\n     - ((?:.|\n)+?)\n     - ", PAGE.read_text("utf-8"))
    found = {event: re.findall(r"``(\w+)``(\??)", fields) for event, fields in rows}
    assert found == {
        event: [(name, "?" if one.is_optional else "") for name, one in form.items()]
        for event, form in EVENTS.items()
    }


@pytest.mark.verifies("SRS_AUDIT_005", extent="partial", technique="equivalence")
def test_codes_are_those_of_the_errors() -> None:
    """A refusal is recorded by its code, so that each code must be known."""
    codes = {getattr(getattr(errors, name), "code", "") for name in errors.__all__}
    assert error_codes() >= codes - {""}
    assert len(codes) > 10


@pytest.mark.verifies("SRS_AUDIT_005", extent="partial", technique="requirement")
@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("installed", {**INSTALLED, "key_id": DIGEST, "grade": "development"}),
        ("switched", {**INSTALLED, "previous_version": "0.0.9", "previous_sequence": 6}),
        ("rolled_back", INSTALLED),
        ("verify_refused", {"code": "SIGNATURE"}),
        ("refused", {"code": "PACK_HASH", "exit_code": 66}),
        ("pack_verified", {"pack_id": "polyp_kvasir 0.1.0", "digest": DIGEST, "trust": "site"}),
        ("gap", {"cause": "disk_full", "held_count": 3, "lost_count": 0}),
        (
            "health_changed",
            {"run_id": "0" * 32, "state": "failed", "reasons": ("SINK",), "after_ms": 12},
        ),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_has_its_form_is_returned_as_it_is(event: str, fields: dict[str, object]) -> None:
    """The installer and the command line give such fields."""
    assert checked_fields(event, fields) == fields


@pytest.mark.verifies("SRS_AUDIT_005", extent="partial", technique="requirement")
def test_none_is_left_out_and_lists_become_tuples() -> None:
    """Callers have optional values; a list could be changed after the check."""
    given_fields = {
        "run_id": "0" * 32,
        "state": HealthState.DEGRADED,
        "reasons": [Fault.SINK_STALLED, "SINK"],
        "after_ms": 0,
    }
    found = checked_fields("health_changed", given_fields)
    assert found["reasons"] == ("sink_stalled", "SINK")
    assert type(found["state"]) is str
    assert checked_fields("installed", {**INSTALLED, "key_id": None}) == INSTALLED


@pytest.mark.verifies("SRS_AUDIT_005", extent="full", technique="boundary")
@pytest.mark.controls("RCM_AUDIT_003")
@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("installed_by", INSTALLED),
        ("installed", {**INSTALLED, "operator": "jane"}),
        ("installed", {"version": "0.1.0", "sequence": 7}),
        ("installed", {**INSTALLED, "sequence": True}),
        ("installed", {**INSTALLED, "sequence": -1}),
        ("installed", {**INSTALLED, "sequence": 7.0}),
        ("installed", {**INSTALLED, "sequence": 2**31}),
        ("installed", {**INSTALLED, "version": "0.1"}),
        ("installed", {**INSTALLED, "version": "0.1.0\n"}),
        ("installed", {**INSTALLED, "version": "0.1.\u0660"}),
        ("installed", {**INSTALLED, "digest": "AB" * 32}),
        ("installed", {**INSTALLED, "digest": None}),
        ("refused", {"code": "DOE_JANE", "exit_code": 1}),
        ("refused", {"code": "PACK", "exit_code": 256}),
        ("gap", {"cause": "jane", "held_count": 1, "lost_count": 1}),
        (
            "health_changed",
            {"run_id": "0" * 32, "state": "ready", "reasons": ("jane",), "after_ms": 0},
        ),
        (
            "health_changed",
            {"run_id": "0" * 32, "state": "ready", "reasons": "SINK", "after_ms": 0},
        ),
        (
            "health_changed",
            {"run_id": "0" * 32, "state": "ready", "reasons": (1,), "after_ms": 0},
        ),
        (
            "health_changed",
            {"run_id": "0" * 32, "state": "ready", "reasons": ("SINK",) * 17, "after_ms": 0},
        ),
    ],
)
def test_anything_else_is_our_own_fault(event: str, fields: dict[str, object]) -> None:
    """A closed table is closed at its borders too."""
    with pytest.raises(InvariantError):
        checked_fields(event, fields)


def _doors() -> list[tuple[str, str]]:
    """Return every field of every event that others may write."""
    return [
        (event, name) for event, form in EVENTS.items() if event not in LOG_EVENTS for name in form
    ]


@pytest.mark.verifies("SRS_AUDIT_005", extent="full", technique="property")
@pytest.mark.proves_effect(
    "RCM_AUDIT_003",
    measure="texts with a name, path or identifier that a field of the table takes",
    acceptance="0 of all generated ones, through each field of each event",
)
@pytest.mark.parametrize(("event", "name"), _doors(), ids=lambda one: one)
@settings(max_examples=25)
@given(
    secret=st.one_of(
        st.sampled_from(NAMES),
        st.builds(
            "{}^{}".format,
            st.text(string.ascii_uppercase, min_size=1, max_size=12),
            st.text(string.ascii_uppercase, min_size=1, max_size=12),
        ),
        st.builds("/data/{}.mp4".format, st.text(string.ascii_letters, min_size=1, max_size=12)),
        st.lists(st.integers(0, 10**6), min_size=4, max_size=12).map(
            lambda numbers: ".".join(map(str, numbers))
        ),
    ),
    wrap=st.sampled_from([lambda text: text, lambda text: (text,), lambda text: [text]]),
)
def test_no_door_for_names_paths_and_identifiers(
    event: str, name: str, secret: str, wrap: Callable[[str], object]
) -> None:
    """Whatever a caller confuses, nothing of a patient gets in, nor into the text of the error."""
    with pytest.raises(InvariantError) as caught:
        checked_fields(event, {**dict.fromkeys(EVENTS[event], 0), name: wrap(secret)})
    assert secret not in caught.value.diagnostics()


@pytest.mark.verifies("SRS_AUDIT_005", extent="partial", technique="property")
@given(event=st.text(max_size=30).filter(lambda text: text not in EVENTS), key=st.text(max_size=30))
def test_no_event_and_no_field_beside_the_table(event: str, key: str) -> None:
    """A key is as good a place for a name as a value."""
    with pytest.raises(InvariantError):
        checked_fields(event, {})
    if key not in EVENTS["installed"]:
        with pytest.raises(InvariantError):
            checked_fields("installed", {**INSTALLED, key: 1})
