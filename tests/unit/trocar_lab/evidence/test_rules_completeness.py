"""Rules C10, C11, K9, K12, K13 and V11: what exists is declared, tested, countered and reported."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from simulators.trace_rules import judged, opened, red
from trocar_lab.evidence.graph.history import History
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.selftest.faults import Fault, HostEdit, TextEdit
from trocar_lab.evidence.selftest.gate import CLEAN, seeded_project
from trocar_lab.evidence.signed.records import NotApplicable
from trocar_lab.evidence.source.defect_classes import FILE, first_column, read_defect_classes
from trocar_lab.evidence.store.evidence_record import EvidenceRun, UncollectedLine

ARCHITECTURE = "docs/architecture/demo.rst"
PLAYER = "src/trocar/demo_player.py"
RISK = "risk/demo.rst"
STALE_TEST = "tests/unit/test_demo.py::test_stale_frame_is_withheld"
HOST_RUN = "run-20261121T080000Z-1.jsonl"
AGX_RUN = "run-20261121T080000Z-2.jsonl"
PAIR = "ITEM_DEMO_STREAM imports ITEM_DEMO_UNITS"


def edited(root: Path, *edits: tuple[str, str, str]) -> Project:
    """Return the demo with some texts replaced; an empty old text writes the whole file."""
    rows = tuple(TextEdit(path=path, old=old, new=new) for path, old, new in edits)
    return seeded_project(Fault(name="x", rule="", phrase="", edits=rows), root)


def with_record(project: Project, rule: str, key: str) -> Project:
    """Return the project with one more record of what does not apply."""
    record = NotApplicable(
        rule=rule,
        key=key,
        reason="Values of this item are the language of all interfaces",
        name="Demo Reviewer",
        date=dt.date(2026, 11, 1),
    )
    known = project.records.not_applicable
    records = project.records.model_copy(update={"not_applicable": (*known, record)})
    return replace(project, records=records)


# ---------------------------------------------------------------- C10


@pytest.mark.verifies("SRS_TRACE_032", extent="partial", technique="requirement")
def test_each_crossing_and_each_interface_is_counted(tmp_path: Path) -> None:
    """One import crosses, inside a function, and one interface is declared."""
    result = judged("C10", seeded_project(CLEAN, tmp_path))
    assert result.keys == ("IFC_DEMO_SLOT", PAIR)
    assert result.passed == 2


def test_record_covers_imports_of_an_item_and_none_by_it(tmp_path: Path) -> None:
    """The language of the interfaces may be imported by all; it may not reach into them unseen."""
    lost = ":between: ITEM_DEMO_UNITS, ITEM_DEMO_STREAM"
    same = ":between: ITEM_DEMO_UNITS, ITEM_DEMO_UNITS"
    project = edited(tmp_path, (ARCHITECTURE, lost, same))
    words = f"{PLAYER}:6 imports trocar.demo, and no interface lies between"
    both = {PAIR: words, "IFC_DEMO_SLOT": "both sides are one item"}
    assert red(judged("C10", project)) == both
    of_used = judged("C10", with_record(project, "C10", "ITEM_DEMO_UNITS"))
    assert red(of_used) == {"IFC_DEMO_SLOT": "both sides are one item"}
    of_user = red(judged("C10", with_record(project, "C10", "ITEM_DEMO_STREAM")))
    assert of_user[PAIR] == words
    assert "no other item imports it" in of_user["ITEM_DEMO_STREAM"]


def test_package_that_hands_on_a_name_does_not_hide_the_border(tmp_path: Path) -> None:
    """``from trocar import Segmenter`` is an import of the module that defines it."""
    project = edited(
        tmp_path,
        (PLAYER, "from trocar.demo import", "from trocar import"),
        ("src/trocar/__init__.py", "", "from trocar.demo import Segmenter\nimport trocar\n"),
        (ARCHITECTURE, "DEMO_UNITS, ITEM_DEMO_STREAM", "DEMO_UNITS, ITEM_DEMO_UNITS"),
    )
    assert red(judged("C10", project))[PAIR] == (
        f"{PLAYER}:6 imports trocar, and no interface lies between"
    )


@pytest.mark.parametrize(
    ("text", "is_named"),
    [
        ("``ports.Player`` takes one frame.", True),
        ("``demo_ports.Player`` takes one frame.", True),
        ("``orts.Player`` takes one frame.", False),
        ("``demo_ports.Watcher`` takes one frame.", False),
        ("``demo.Segmenter`` takes one frame.", False),
        ("demo_ports.Player takes one frame.", False),
    ],
)
def test_interface_without_an_import_goes_through_a_port(
    tmp_path: Path, text: str, *, is_named: bool
) -> None:
    """Its text names a class that exists and that one of its sides imports; nothing less counts."""
    project = edited(
        tmp_path,
        ("src/trocar/demo_ports.py", "", "class Player: ...\nclass Watcher: ...\n"),
        ("src/trocar/ports.py", "", "class Player: ...\n"),
        (PLAYER, "from trocar.demo import Segmenter", "from trocar.demo_ports import Player"),
        (PLAYER, "return Segm", "from trocar.ports import Player as P\n\n    return Segm"),
        (ARCHITECTURE, "   One frame at a time.", f"   {text}"),
    )
    words = "no import joins its sides, and it names no port that one of them imports"
    expected = {} if is_named else {"IFC_DEMO_SLOT": words}
    assert red(judged("C10", project)) == expected


def test_interface_of_a_toolchain_item_is_not_of_the_device(tmp_path: Path) -> None:
    """What passes between toolchain and device is a file; the device must not import it."""
    unit = """
.. item:: Tool
   :id: ITEM_DEMO_TOOL
   :safety_class: A
   :satisfies: SRS_DEMO_001

   Makes files.

.. unit:: Tool
   :id: UNIT_DEMO_TOOL
   :symbol: trocar_lab.demo
   :safety_class: A
   :part_of: ITEM_DEMO_TOOL
   :implements: SRS_DEMO_001

   Makes files.

.. interface:: File
   :id: IFC_DEMO_FILE
   :between: ITEM_DEMO_TOOL, ITEM_DEMO_UNITS

   A file.
"""
    project = edited(tmp_path, ("docs/architecture/tool.rst", "", f"Tool\n====\n{unit}"))
    assert judged("C10", project).keys == ("IFC_DEMO_SLOT", PAIR)


# ---------------------------------------------------------------- C11

CLASS = "mask of another size than its frame"


@pytest.mark.verifies("SRS_TRACE_032", extent="partial", technique="requirement")
def test_list_of_the_plan_and_file_are_one_list(tmp_path: Path) -> None:
    """A name that one of them lacks is red, on whichever side it stands."""
    result = judged("C11", seeded_project(CLEAN, tmp_path / "clean"))
    assert result.keys == (CLASS,)
    assert result.passed == 1
    renamed = edited(tmp_path / "other", (FILE, CLASS, "mask of a wrong size"))
    assert red(judged("C11", renamed)) == {
        "mask of a wrong size": "not in the section dev-defect-classes of the plan",
        CLASS: f"listed in the plan, but not in {FILE}",
    }


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("tests = []", "no test is named for it"),
        ('tests = ["tests/unit/test_demo.py::test_gone"]', "test_gone does not exist"),
        ('tests = ["tests/unit/test_gone.py::test_it"]', "test_gone.py::test_it does not exist"),
    ],
)
def test_class_without_a_test_is_red(tmp_path: Path, new: str, words: str) -> None:
    """A class of defect that nothing finds must not look answered."""
    old = 'tests = ["tests/unit/test_demo.py::test_mask_has_size_of_frame"]'
    assert words in red(judged("C11", edited(tmp_path, (FILE, old, new))))[CLASS]


def test_worst_parameter_set_of_a_test_counts(tmp_path: Path) -> None:
    """The first set fails, the second passes."""
    host = HostEdit(do="outcome", node="test_mask_has_size_of_frame[1]", outcome="failed")
    project = seeded_project(Fault(name="x", rule="", phrase="", host=host), tmp_path)
    assert red(judged("C11", project))[CLASS].startswith("FAIL: failed")


def test_skipped_test_of_a_class_is_open(tmp_path: Path) -> None:
    """An engine that is not installed shows nothing about its class of defect."""
    host = HostEdit(
        do="outcome", node="_frame[1]", outcome="skipped", reason="engine not installed"
    )
    project = seeded_project(Fault(name="x", rule="", phrase="", host=host), tmp_path)
    assert opened(judged("C11", project))[CLASS].startswith("SKIPPED")


def test_unmarked_test_is_judged_by_the_newest_evidence(tmp_path: Path) -> None:
    """A test that claims no need is in the evidence all the same."""
    test = "tests/unit/test_demo.py::test_plain"
    whole = f'[[class]]\nname = "{CLASS}"\nwhat = "Shown beside it"\ntests = ["{test}"]\n'
    project = edited(
        tmp_path,
        ("tests/unit/test_demo.py", "FRAME = [0, 1, 2]", "FRAME = []\n\ndef test_plain(): ..."),
        (FILE, "", whole),
    )
    run = project.runs[-1]
    line = next(iter(run.collected.values()))
    nodes = {test: line._replace(node=test, claims=())}
    outcome = next(iter(run.outcomes.values()))
    for word, found in (("passed", {}), ("failed", {CLASS})):
        phases = dict.fromkeys(("setup", "call", "teardown"), word)
        outcomes = {test: outcome._replace(node=test, outcome=word, phases=phases)}
        newest = run.model_copy(update={"collected": nodes, "outcomes": outcomes})
        result = judged("C11", replace(project, runs=(*project.runs, newest)))
        assert set(red(result)) == set(found), word


@pytest.mark.verifies("SRS_TRACE_017", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[class]", "cannot be read"),
        ("[[group]]\n", "only class tables, got group"),
        ('[[class]]\nname = "short"\nwhat = "Much longer than that"\n', "class.0.name"),
        ('[[class]]\nname = "long enough"\nwhat = "also long"\ntest = []\n', "class.0"),
    ],
)
def test_file_of_classes_that_cannot_be_read_is_red(tmp_path: Path, text: str, words: str) -> None:
    """The file is named, and nothing in the plan counts as answered."""
    found = red(judged("C11", edited(tmp_path, (FILE, "", text))))
    assert words in found[FILE]
    assert found[CLASS] == f"listed in the plan, but not in {FILE}"


def test_class_that_stands_twice_is_red(tmp_path: Path) -> None:
    """The second entry would hide that the first lost its tests."""
    text = seeded_project(CLEAN, tmp_path / "clean").root.joinpath(FILE).read_text("utf-8")
    project = edited(tmp_path / "other", (FILE, "", text + text))
    assert red(judged("C11", project)) == {CLASS: "stands twice"}


@pytest.mark.verifies("SRS_TRACE_002", extent="partial", technique="boundary")
def test_no_class_anywhere_is_an_empty_population(tmp_path: Path) -> None:
    """The technology brings defects; a project that lists none has not looked."""
    project = edited(tmp_path, (FILE, "", ""), ("docs/process/development.rst", "", "Plan\n====\n"))
    result = judged("C11", project)
    assert result.population == 0
    assert result.is_red
    (tmp_path / FILE).unlink()
    assert "cannot be read" in read_defect_classes(tmp_path).fault


def test_first_column_is_that_of_the_section_alone() -> None:
    """Heading rows and tables of other sections are no classes."""
    table = ".. list-table::\n   :header-rows: 1\n\n   * - Class\n     - How\n   * - {}\n     - b\n"
    text = "\n".join([
        ".. _before:\n",
        table.format("one"),
        ".. _wanted:\n\nWords\n-----\n",
        table.format("two\n       lines - and * more"),
        table.format("three"),
        ".. _after:\n",
        table.format("four"),
    ])
    assert first_column(text, "wanted") == ("two lines - and * more", "three")
    assert first_column(text, "absent") == ()


# ---------------------------------------------------------------- K9


def test_item_is_named_itself_or_through_a_unit(tmp_path: Path) -> None:
    """One item stands in the situation, the other through its unit; class A is not asked."""
    project = seeded_project(CLEAN, tmp_path / "clean")
    assert {"ITEM_DEMO_STREAM", "ITEM_DEMO_UNITS"} <= set(judged("K9", project).keys)
    old, new = "UNIT_DEMO_SEGMENTER\n\n   The user", "UNIT_DEMO_PLAYER\n\n   The user"
    moved = edited(tmp_path / "moved", (RISK, old, new))
    assert set(red(judged("K9", moved))) == {"ITEM_DEMO_UNITS"}
    items = (
        ARCHITECTURE,
        "ITEM_DEMO_UNITS\n   :safety_class: B",
        "ITEM_DEMO_UNITS\n   :safety_class: A",
    )
    assert not red(judged("K9", edited(tmp_path / "a", (RISK, old, new), items)))


# ---------------------------------------------------------------- K12


@pytest.mark.verifies("SRS_TRACE_032", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("", "enables no situation and does not say why"),
        (":enables: HSIT_DEMO_009", "enables no situation and does not say why"),
        (":dismissed: no effect", "dismissed in 9 characters; at least 20"),
        (
            ":enables: HSIT_DEMO_001\n   :dismissed: Nothing that is shown changes by it",
            "enables a situation and says that it enables none",
        ),
        (":dismissed: Nothing that is shown changes by it", None),
    ],
)
def test_threat_bears_on_a_situation_or_says_why_on_none(
    tmp_path: Path, new: str, words: str | None
) -> None:
    """One of the two, and the reason in words."""
    old = "   :enables: HSIT_DEMO_001\n"
    result = judged("K12", edited(tmp_path, (RISK, old, f"   {new}\n" if new else "")))
    assert red(result) == ({} if words is None else {"THR_DEMO_001": words})


def test_threat_without_a_control_is_open(tmp_path: Path) -> None:
    """Also one that has no effect on safety: it may bear on what else must be kept."""
    project = edited(tmp_path, (RISK, "   :counters: THR_DEMO_001\n", ""))
    assert opened(judged("K12", project)) == {"THR_DEMO_001": "no control counters it"}


# ---------------------------------------------------------------- K13


def _changed(project: Project, date: str, *, text: str = "") -> Project:
    """Return the project whose requirement got its present text on another day."""
    (entry,) = project.history.of("SRS_DEMO_002")
    update = {"date": date, "fingerprint": text or entry.fingerprint}
    entries = {**project.history.entries, "SRS_DEMO_002": (entry, entry.model_copy(update=update))}
    return replace(project, known_history=History(entries=entries))


@pytest.mark.verifies("SRS_TRACE_032", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("date", "is_red"),
    [
        ("2026-10-31T23:59:59+00:00", False),
        ("2026-11-01T23:59:59+00:00", False),
        ("2026-11-02T00:00:00+00:00", True),
        ("2026-11-02T01:59:59+02:00", False),
        ("2026-11-01T22:00:00-02:00", True),
    ],
)
def test_situation_is_approved_on_the_day_of_the_change_or_later(
    tmp_path: Path, date: str, *, is_red: bool
) -> None:
    """Days are compared in universal time, in which approvals are dated."""
    result = judged("K13", _changed(seeded_project(CLEAN, tmp_path), date))
    assert result.keys == ("SRS_DEMO_002",)
    assert bool(result.failed) is is_red


def test_day_that_is_not_known_is_open(tmp_path: Path) -> None:
    """A text that is not committed, no history at all, a day that is none."""
    project = seeded_project(CLEAN, tmp_path)
    uncommitted = _changed(project, "2026-10-20T08:00:00+00:00", text="0" * 64)
    assert "not committed" in opened(judged("K13", uncommitted))["SRS_DEMO_002"]
    without = replace(project, known_history=History(entries={}, fault="no history: git is gone"))
    assert opened(judged("K13", without)) == {"SRS_DEMO_002": "no history: git is gone"}
    assert opened(judged("K13", _changed(project, "yesterday")))


def test_situation_that_nobody_approved_is_open(tmp_path: Path) -> None:
    """Whatever the day of the requirement, the risk file was not read by anybody."""
    fault = Fault(name="x", rule="", phrase="", unapproved="HSIT_DEMO_001")
    project = _changed(seeded_project(fault, tmp_path), "2026-11-20T08:00:00+00:00")
    assert opened(judged("K13", project)) == {"SRS_DEMO_002": "not approved: HSIT_DEMO_001"}


def test_control_that_reduces_nothing_is_red(tmp_path: Path) -> None:
    """Nothing could then be read again, and the row would be green for ever."""
    project = edited(tmp_path, (RISK, ":reduces: HSIT_DEMO_001", ":reduces: HSIT_DEMO_009"))
    expected = {"SRS_DEMO_002": "its controls reduce no situation"}
    assert red(judged("K13", project)) == expected


# ---------------------------------------------------------------- V11


def _ran(root: Path, outcome: str, *, reason: str = "", when: str = "call") -> Project:
    """Return the demo in which one test ended in another way."""
    host = HostEdit(
        do="outcome",
        node="test_stale_frame_is_withheld",
        outcome=outcome,
        reason=reason,
        when=when,
    )
    return seeded_project(Fault(name="x", rule="", phrase="", host=host), root)


def _first_run(project: Project, run: EvidenceRun) -> Project:
    """Return the project with another first run."""
    return replace(project, runs=(run, *project.runs[1:]))


def test_run_without_a_failure_is_a_row_of_its_own(tmp_path: Path) -> None:
    """The population is never empty where there is evidence, and empty where there is none."""
    project = seeded_project(CLEAN, tmp_path)
    result = judged("V11", project)
    assert result.keys == (HOST_RUN, AGX_RUN)
    assert result.passed == 2
    assert judged("V11", replace(project, runs=())).is_red


@pytest.mark.verifies("SRS_TRACE_032", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("outcome", ["failed", "error", "xfailed", "xpassed"])
@pytest.mark.parametrize("when", ["setup", "call", "teardown"])
def test_every_outcome_that_is_no_pass_needs_a_report(
    tmp_path: Path, outcome: str, when: str
) -> None:
    """In whichever phase it came."""
    result = judged("V11", _ran(tmp_path, outcome, when=when))
    words = f"{outcome}, and no problem report names it"
    assert red(result) == {f"{STALE_TEST} ({HOST_RUN})": words}
    assert result.keys == (AGX_RUN, f"{STALE_TEST} ({HOST_RUN})")


@pytest.mark.parametrize(
    ("outcome", "reason", "words"),
    [
        ("skipped", "engine not installed", None),
        ("xfailed", "ANO_DEMO_001: one pixel too wide", None),
        ("failed", "AssertionError: ANO_DEMO_001", None),
        ("xfailed", "ANO_DEMO_002: empty frame", "ANO_DEMO_002 is closed since 2026-10-20"),
        ("xfailed", "ANO_DEMO_002 and ANO_DEMO_001", None),
        ("xfailed", "HSIT_DEMO_001", "no problem report names it"),
        ("xfailed", "XANO_DEMO_001", "no problem report names it"),
        ("xfailed", "ANO_DEMO_009", "no such live report as ANO_DEMO_009"),
    ],
)
def test_reason_names_an_open_report(
    tmp_path: Path, outcome: str, reason: str, words: str | None
) -> None:
    """A report that is closed, unknown or of another kind does not stand for a failure."""
    found = red(judged("V11", _ran(tmp_path, outcome, reason=reason)))
    assert words is None or words in found[f"{STALE_TEST} ({HOST_RUN})"]
    assert bool(found) is (words is not None)


@pytest.mark.parametrize(
    ("old", "new", "is_covered"),
    [
        ("Seen on odd sizes.", f"Seen in ``{STALE_TEST}``.", True),
        ("Seen on odd sizes.", "Seen in test_stale_frame_is_withheld[1] and others.", True),
        ("Seen on odd sizes.", "Seen in test_stale_frame_is_withheld_twice.", False),
        (
            "   :reported: 2026-11-01\n",
            f"   :reported: 2026-11-01\n   :regression_test: {STALE_TEST}\n",
            True,
        ),
        ("   :id: ANO_DEMO_001\n", "   :id: ANO_DEMO_001\n   :status: retired\n", False),
    ],
)
def test_report_names_the_test(tmp_path: Path, old: str, new: str, *, is_covered: bool) -> None:
    """In its text or as its regression test, by the whole name, while it is live."""
    host = HostEdit(do="outcome", node="test_stale_frame_is_withheld", outcome="failed")
    edit = TextEdit(path="verification/demo.rst", old=old, new=new)
    fault = Fault(name="x", rule="", phrase="", host=host, edits=(edit,))
    assert bool(red(judged("V11", seeded_project(fault, tmp_path)))) is not is_covered


@pytest.mark.parametrize(
    ("started", "is_red"),
    [("2026-10-20T23:00:00+00:00", False), ("2026-10-21T00:00:00+00:00", True)],
)
def test_failure_before_the_closing_of_its_report_is_reported(
    tmp_path: Path, started: str, *, is_red: bool
) -> None:
    """The regression test failed then, and that is why there was a report."""
    host = HostEdit(do="outcome", node="test_mask_has_size_of_frame[2]", outcome="failed")
    project = seeded_project(Fault(name="x", rule="", phrase="", host=host), tmp_path)
    run = project.runs[0]
    line = run.run.model_copy(update={"started": started})
    result = judged("V11", _first_run(project, run.model_copy(update={"run": line})))
    assert bool(result.failed) is is_red


def test_failure_on_a_tree_with_changes_is_open(tmp_path: Path) -> None:
    """It may be mended in the change at hand; a release rests on no such run."""
    project = _ran(tmp_path, "failed")
    run = project.runs[0]
    identity = run.run.identity.model_copy(update={"clean": False})
    line = run.run.model_copy(update={"identity": identity})
    result = judged("V11", _first_run(project, run.model_copy(update={"run": line})))
    assert not result.failed
    assert "on a tree with changes" in opened(result)[f"{STALE_TEST} ({HOST_RUN})"]


def test_file_that_could_not_be_collected_is_a_failure(tmp_path: Path) -> None:
    """None of its tests has an outcome that could fail; a skipped file is no failure."""
    project = seeded_project(CLEAN, tmp_path)
    lost = UncollectedLine(path="tests/unit/test_x.py", outcome="failed", reason="ImportError")
    skipped = UncollectedLine(path="tests/unit/test_y.py", outcome="skipped", reason="no GPU")
    run = project.runs[0].model_copy(update={"uncollected": (lost, skipped)})
    found = red(judged("V11", _first_run(project, run)))
    assert list(found) == [f"tests/unit/test_x.py ({HOST_RUN})"]
