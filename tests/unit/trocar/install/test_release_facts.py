"""What a release says about itself has one form."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from simulators.release_folders import Release
from trocar.contracts.errors import InstallError
from trocar.install.release_facts import Grade, platform_name, release_facts


@pytest.mark.verifies("SRS_INST_013", extent="partial", technique="requirement")
def test_facts_are_read() -> None:
    """All fields, with and without the lowest number."""
    facts = release_facts(Release(sequence=7).facts())
    assert (facts.version, facts.sequence, facts.grade) == ("0.1.0", 7, Grade.PRODUCTION)
    assert (facts.expires, facts.minimum_sequence) == (dt.date(2030, 1, 1), 0)
    lowest = release_facts(Release(sequence=7, predicate={"minimum_sequence": 7}).facts())
    assert lowest.minimum_sequence == 7


@pytest.mark.verifies("SRS_INST_013", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    "fields",
    [
        {"version": "0.1"},
        {"version": 1},
        {"version": "../0.1.0"},
        {"version": "0.1.0/"},
        {"sequence": 0},
        {"sequence": 2**31},
        {"sequence": True},
        {"sequence": 1.0},
        {"sequence": "1"},
        {"minimum_sequence": 2},
        {"minimum_sequence": -1},
        {"grade": "release"},
        {"grade": None},
        {"expires": "2030-02-30"},
        {"expires": "20300101"},
        {"expires": 2030},
        {"commit": "main"},
        {"device": {"python": "3.11"}},
        {"device": None},
        {"device": {"python": "3", "platform": "linux_x86_64"}},
        {"device": {"python": "3.11", "platform": "linux x86"}},
        {"unknown": 1},
    ],
)
def test_another_form_is_refused(fields: dict[str, Any]) -> None:
    """A field that is misread, or not known, could forbid what is done."""
    with pytest.raises(InstallError):
        release_facts(Release(predicate=fields).facts())


@pytest.mark.parametrize("name", ["version", "sequence", "grade", "expires", "commit", "device"])
def test_missing_field_is_refused(name: str) -> None:
    """None of them has a value that could be guessed."""
    facts = Release().facts()
    del facts[name]
    with pytest.raises(InstallError, match="differs in"):
        release_facts(facts)


def test_platforms_are_compared_in_one_spelling() -> None:
    """Interpreters and wheels write them in two ways."""
    assert platform_name("linux-x86_64") == platform_name("linux_x86_64") == "linux_x86_64"
