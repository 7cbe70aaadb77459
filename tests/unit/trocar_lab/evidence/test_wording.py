"""Rule G10: one obligation, no vague word, each limit a number with its unit."""

from __future__ import annotations

from pathlib import Path

import pytest

from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.rules.rule import run_rule
from trocar_lab.evidence.rules.wording import (
    WORDING_RULES,
    Phrases,
    load_wording,
    wording_faults,
    words_of,
)
from trocar_lab.evidence.selftest.faults import Fault, TextEdit
from trocar_lab.evidence.selftest.gate import CLEAN, seeded_project

REQUIREMENTS = "requirements_spec/demo.rst"


def _faults(content: str, *, need_type: str = "srs", title: str = "Title") -> list[str]:
    """Return what is wrong with one text."""
    need = Need(need_id="SRS_ONE_001", need_type=need_type, title=title, content=content)
    return list(wording_faults(need, load_wording()))


@pytest.mark.verifies("SRS_TRACE_012", extent="full", technique="equivalence")
@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        ("The unit gives a mask.", "'shall' occurs 0 times"),
        ("The unit shall give a mask and shall keep it.", "'shall' occurs 2 times"),
        ("The unit shall give a mask. It SHALL keep it.", "'shall' occurs 2 times"),
        ("The unit shall give a mask, which must cover the frame.", "not 'shall': must"),
        ("The unit shall give a mask; a small one may be left out.", "not 'shall': may"),
        ("The unit shall give a robust mask.", "vague: robust"),
        ("The unit shall give masks and/or boxes.", "vague: and/or"),
        ("The unit shall give a mask with colour, rim, etc.", "vague: etc"),
        ("The unit shall use a state of the art network.", "vague: state of the art"),
        ("The unit shall answer if possible.", "vague: if possible"),
        ("The unit shall write the file (TODO: name).", "not finished: todo"),
    ],
)
def test_text_with_another_number_of_obligations_or_vague_words_is_refused(
    content: str, phrase: str
) -> None:
    """Each kind of wording fault gives one reason that names the word."""
    faults = _faults(content)
    assert len(faults) >= 1
    assert any(phrase in fault for fault in faults)


@pytest.mark.verifies("SRS_TRACE_012", extent="full", technique="boundary")
@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        ("The unit shall answer within at most 40.", "'at most' is followed by '40'"),
        ("The unit shall answer in at most a moment.", "'at most' is followed by 'a moment'"),
        ("The unit shall keep at least.", "'at least' is followed by 'nothing'"),
        ("The unit shall answer at least 25 apples.", "'at least' is followed by '25 apples'"),
        ("The unit shall answer in ms.", "'ms' stands behind no number"),
        ("The unit shall miss % of the frames.", "'%' stands behind no number"),
        ("The unit shall keep its memory bounded.", "without a number and its unit: memory"),
        ("The unit shall need one frame of memory.", "without a number and its unit: memory"),
        ("The mean shall be at least 0.82. It is a Dice.", "'at least' is followed by '0.82'"),
    ],
)
def test_limit_without_number_or_unit_is_refused(content: str, phrase: str) -> None:
    """A limit is a number with a unit, or a ratio that its own sentence names."""
    assert any(phrase in fault for fault in _faults(content))


@pytest.mark.verifies("SRS_TRACE_012", extent="full", technique="boundary")
@pytest.mark.parametrize(
    "content",
    [
        "The unit shall answer in at most 40 ms.",
        "The unit shall answer at least 25 frames/s of 1920 x 1080 pixels.",
        "The unit shall admit frames of at most 4096 x 4096 pixels.",
        "The engine shall compute with at least 1 to 64 threads.",
        "The unit shall reach a mean Dice of at least 0.82.",
        "The unit shall need a factor of at most 1e-4 of the time.",
        "The unit shall differ by at most ``prob_difference_max``.",
        "The unit shall keep at least one frame.",
        "The unit shall write ``must``, ``TODO`` and ``etc`` into the file.",
        "The unit shall follow :need:`SRS_SHALL_001`.",
        "The device shall name the fastness and the maybe of mustard.",
        "The device shall miss at most 0.1 % of frames and grow in memory by at most 20 MiB.",
    ],
)
def test_sound_text_is_accepted(content: str) -> None:
    """Whole words count, names in backquotes do not, ranges and sizes have one unit."""
    assert _faults(content) == []


@pytest.mark.verifies("SRS_TRACE_012", extent="full", technique="equivalence")
@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        ("The engineer needs to see the mask, quickly and easily.", ""),
        ("The engineer sees the mask.", "that word is missing"),
        ("The engineer needs the mask, which the system shall give.", "binds nobody"),
        ("The engineer needs the mask, TBD.", "not finished: tbd"),
    ],
)
def test_user_need_states_a_need_and_no_obligation(content: str, phrase: str) -> None:
    """A user need may speak as the user does; it binds nobody."""
    faults = _faults(content, need_type="user_need")
    assert bool(faults) is bool(phrase)
    assert not phrase or phrase in faults[0]


@pytest.mark.verifies("SRS_TRACE_012", extent="full", technique="boundary")
@pytest.mark.parametrize(("excess", "fault_count"), [(0, 0), (1, 2)])
def test_title_and_text_have_a_longest_length(excess: int, fault_count: int) -> None:
    """At the limit a text stands, one above it does not."""
    wording = load_wording()
    title = "x" * (wording.title_characters_max + excess)
    content = "The unit shall give " + "mask " * (wording.body_words_max - 4 + excess)
    faults = _faults(content, title=title)
    assert len(faults) == fault_count
    assert all("at most" in fault for fault in faults)


@pytest.mark.verifies("SRS_TRACE_012", extent="full", technique="property")
def test_each_listed_word_is_found_and_no_part_of_one() -> None:
    """No entry of a list is dead: each is found in a text, and not inside a longer word."""
    wording = load_wording()
    for kind in ("other_obligations", "unfinished", "vague"):
        listed = getattr(wording, kind)
        assert len(listed) > 5
        assert len(set(listed)) == len(listed)
        for entry in listed:
            text = f"The unit shall give {entry} here."
            assert any(entry in fault for fault in _faults(text)), entry
            glued = f"The unit shall give qq{entry.replace(' ', 'q')}qq here."
            assert _faults(glued) == [], entry
    for entry in (*wording.units, *wording.symbols):
        assert _faults(f"The unit shall give at most 5 {entry}.") == [], entry
    for entry in wording.comparisons:
        assert _faults(f"The unit shall give {entry} 5 frames.") == [], entry
        assert _faults(f"The unit shall give {entry} apples.") != [], entry
    for entry in wording.quantities:
        assert _faults(f"The unit shall keep its {entry}.") != [], entry
        assert _faults(f"The unit shall keep its {entry} of 5 MiB.") == [], entry


def test_words_keep_numbers_units_and_names_whole() -> None:
    """A number with a comma, a unit with a slash and a name in backquotes are one word each."""
    text = "At 1,000.5 frames/s (25 %), ``a b`` and 1e-4; the end."
    assert words_of(text) == [
        "at",
        "1,000.5",
        "frames/s",
        "25",
        "%",
        "``",
        "and",
        "1e-4",
        "the",
        "end",
        ".",
    ]


def test_of_two_phrases_the_longer_counts_once() -> None:
    """``more than`` inside ``no more than`` is not found a second time."""
    phrases = Phrases(["more than", "no more than", "no"])
    words = words_of("no more than one more than no")
    assert [hit.phrase for hit in phrases.find(words)] == [
        "no more than",
        "more than",
        "no",
    ]


@pytest.mark.verifies("SRS_TRACE_012", extent="full", technique="fault_injection")
def test_rule_looks_at_live_needs_and_requirements_only(tmp_path: Path) -> None:
    """Every user need and requirement is counted; a retired one and other types are not."""
    (rule,) = WORDING_RULES
    clean = run_rule(rule, seeded_project(CLEAN, tmp_path / "clean"))
    assert clean.keys == ("SRS_DEMO_001", "SRS_DEMO_002", "SYS_DEMO_001", "UN_DEMO_001")
    assert not clean.is_red
    edits = (
        TextEdit(path=REQUIREMENTS, old="shall give a mask of", new="gives a mask of"),
        TextEdit(path=REQUIREMENTS, old="   :id: SRS_DEMO_001", new=_RETIRED),
    )
    fault = Fault(name="retired", rule="G10", phrase="", edits=edits)
    retired = run_rule(rule, seeded_project(fault, tmp_path / "retired"))
    assert retired.keys == ("SRS_DEMO_002", "SYS_DEMO_001", "UN_DEMO_001")
    assert not retired.is_red


@pytest.mark.verifies("SRS_TRACE_002", extent="full", technique="boundary")
def test_rule_with_nothing_to_look_at_is_red_unless_a_record_says_why(tmp_path: Path) -> None:
    """No need and no requirement at all: red, and the population beside the rule is 0."""
    (rule,) = WORDING_RULES
    emptied = TextEdit(path=REQUIREMENTS, old="", new="Requirements\n============\n")
    fault = Fault(name="emptied", rule="G10", phrase="", edits=(emptied,))
    result = run_rule(rule, seeded_project(fault, tmp_path / "emptied"))
    assert (result.population, result.is_red, result.note) == (0, True, "")
    excused = TextEdit(path="verification/not_applicable.toml", old="", new=_RECORD)
    signed = Fault(name="signed", rule="G10", phrase="", edits=(emptied, excused))
    result = run_rule(rule, seeded_project(signed, tmp_path / "signed"))
    assert (result.population, result.is_red) == (0, False)
    assert "Demo Reviewer, 2026-11-01" in result.note


_RETIRED = "   :id: SRS_DEMO_001\n   :status: retired"
_RECORD = """\
[[not_applicable]]
rule = "G10"
reason = "The demo project has no requirement at all"
name = "Demo Reviewer"
date = 2026-11-01
"""
