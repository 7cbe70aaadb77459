"""Errors have one root, a stable code, an exit code and advice."""

from __future__ import annotations

from typing import Final

import pytest

from trocar.contracts import errors
from trocar.contracts.errors import InvariantError, TrocarError, require

TABLE: Final = {
    # name: (parent, code, exit code); codes are documented and never change
    "TrocarError": ("Exception", "TROCAR", 1),
    "InvariantError": ("TrocarError", "INVARIANT", 70),
    "ContractError": ("TrocarError", "CONTRACT", 65),
    "PackError": ("TrocarError", "PACK", 66),
    "HashMismatchError": ("PackError", "PACK_HASH", 66),
    "SignatureError": ("PackError", "SIGNATURE", 66),
    "IncompatiblePackError": ("PackError", "PACK_INCOMPATIBLE", 66),
    "BackendError": ("TrocarError", "BACKEND", 69),
    "BackendUnavailableError": ("BackendError", "BACKEND_UNAVAILABLE", 69),
    "InferenceError": ("BackendError", "INFERENCE", 69),
    "SourceError": ("TrocarError", "SOURCE", 74),
    "SourceLostError": ("SourceError", "SOURCE_LOST", 74),
    "ProtocolError": ("SourceError", "PROTOCOL", 76),
    "DecodeError": ("SourceError", "DECODE", 65),
    "SinkError": ("TrocarError", "SINK", 73),
    "AuditError": ("TrocarError", "AUDIT", 78),
    "InstallError": ("TrocarError", "INSTALL", 77),
}
CLASSES: Final = {
    name: getattr(errors, name)
    for name in errors.__all__
    if isinstance(getattr(errors, name), type)
}


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="equivalence")
def test_hierarchy_is_the_documented_one() -> None:
    """A script relies on code and exit code; a change here is a change for its user."""
    found = {name: (c.__bases__[0].__name__, c.code, c.exit_code) for name, c in CLASSES.items()}
    assert found == TABLE


def test_codes_differ() -> None:
    """Two errors of one code could not be told apart in the log."""
    assert len({error.code for error in CLASSES.values()}) == len(CLASSES)


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="example")
@pytest.mark.parametrize("name", sorted(TABLE))
def test_diagnostics_say_code_problem_and_advice(name: str) -> None:
    """The person at the screen reads what happened and what to do, without a traceback."""
    error: TrocarError = CLASSES[name](
        "no frame came", advice="check the cable", source_id="s", count=3, ratio=0.5, nothing=None
    )
    code = TABLE[name][1]
    assert error.diagnostics() == f"error {code}: no frame came\n  what to do: check the cable"
    assert str(error) == "no frame came"
    assert error.context == {"source_id": "s", "count": 3, "ratio": 0.5, "nothing": None}


@pytest.mark.parametrize("name", sorted(TABLE))
def test_error_without_advice_cannot_be_made(name: str) -> None:
    """An error that does not say what to do leaves its user alone."""
    with pytest.raises(TypeError, match="advice"):
        CLASSES[name]("no frame came")


def test_require_passes_what_holds() -> None:
    """Nothing happens where the condition is true."""
    require(condition=True, problem="never shown")


def test_require_raises_what_does_not_hold() -> None:
    """Our own mistake stops the item, also under ``python -O``."""
    with pytest.raises(InvariantError, match="clock ran backwards") as caught:
        require(condition=False, problem="clock ran backwards")
    assert "report it" in caught.value.advice
