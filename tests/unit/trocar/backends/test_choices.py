"""The words for engines and precisions are told without what computes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from trocar.backends.choices import ENGINE_DEFAULT, USUAL_THREAD_COUNT, Engine, Precision
from trocar.backends.request import BackendRequest


@pytest.mark.verifies("SRS_START_001", extent="partial", technique="inspection")
def test_words_come_with_the_standard_library_alone() -> None:
    """Whoever adds a heavy import here makes every command line slow."""
    program = (
        "import sys; before = set(sys.modules); import trocar.backends.choices; "
        "print([name for name in set(sys.modules) - before "
        "if name.partition('.')[0] not in {*sys.stdlib_module_names, 'trocar'}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.verifies("SRS_BACKEND_003", extent="partial", technique="requirement")
def test_request_says_the_same_where_nothing_is_said() -> None:
    """Command line and Python would otherwise run different engines by default."""
    request = BackendRequest()
    assert (request.engine, request.thread_count) == (ENGINE_DEFAULT, USUAL_THREAD_COUNT)


@pytest.mark.parametrize("words", [Engine, Precision])
def test_words_are_what_a_user_types(words: type[Engine | Precision]) -> None:
    """A word with a capital, a blank or a shape of its own would be mistyped."""
    for one in words:
        assert one.value.isascii()
        assert one.value == one.value.lower().replace(" ", "-")
