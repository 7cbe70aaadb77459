"""The ports are small, and what implements one needs no import of another adapter."""

from __future__ import annotations

import inspect
from typing import Final

import pytest

from trocar.contracts import ports

MEMBERS: Final = {
    "Backend": {"close", "infer", "info"},
    "Clock": {"now_ns", "sleep_until_ns"},
    "FrameSource": {"close", "frame_count", "frames", "source_id"},
    "Sink": {"close", "write"},
    "Unit": {"info", "run"},
}


def _members(name: str) -> dict[str, object]:
    """Return the public members of a port."""
    found = vars(getattr(ports, name)).items()
    return {key: value for key, value in found if not key.startswith("_")}


def test_ports_are_the_known_ones() -> None:
    """A new port needs a conformance suite of its own."""
    assert set(ports.__all__) - {"StopSignal"} == set(MEMBERS)


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_port_asks_for_no_more_than_this(name: str) -> None:
    """A member added here breaks every adapter, also those of others."""
    assert set(_members(name)) == MEMBERS[name]


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_port_cannot_be_used_itself(name: str) -> None:
    """A port holds no behaviour that an adapter could inherit by accident."""
    with pytest.raises(TypeError, match="Protocol"):
        getattr(ports, name)()


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_each_member_is_typed(name: str) -> None:
    """What a port does not type, no adapter is checked for."""
    for member in _members(name).values():
        function = member.fget if isinstance(member, property) else member
        assert inspect.isfunction(function)
        assert "return" in inspect.get_annotations(function)


def test_unit_answers_with_time_as_keyword() -> None:
    """Two integers side by side are mixed up; the time is named at the call."""
    parameters = inspect.signature(ports.Unit.run).parameters
    assert parameters["now_ns"].kind is inspect.Parameter.KEYWORD_ONLY
