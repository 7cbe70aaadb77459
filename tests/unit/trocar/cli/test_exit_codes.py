"""Exit codes that no error carries do not collide with those that errors carry."""

from __future__ import annotations

import pytest

from trocar.cli import exit_codes
from trocar.contracts.errors import TrocarError


def _error_codes() -> set[int]:
    """Return the exit codes of all errors."""
    found: set[int] = set()
    waiting: list[type[TrocarError]] = [TrocarError]
    while waiting:
        kind = waiting.pop()
        found.add(kind.exit_code)
        waiting += kind.__subclasses__()
    return found


@pytest.mark.verifies("SRS_CLI_002", "UNIT_CLI_EXIT_CODES", extent="partial", technique="example")
def test_values_are_those_of_the_requirement() -> None:
    """Scripts compare numbers: a changed one is another interface."""
    values = (exit_codes.OK, exit_codes.USAGE, exit_codes.PARTIAL, exit_codes.INTERRUPTED)
    assert values == (0, 2, 3, 130)


@pytest.mark.verifies("SRS_CLI_002", extent="partial", technique="property")
def test_no_code_means_two_things() -> None:
    """A script must be able to tell a partial result from an error."""
    values = {getattr(exit_codes, name) for name in exit_codes.__all__}
    assert len(values) == len(exit_codes.__all__)
    assert values.isdisjoint(_error_codes())
