"""The scan of RST sources: strict, and equal to what sphinx-needs reads."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from trocar_lab.evidence.errors import NeedsSourceError
from trocar_lab.evidence.graph.metamodel import load_metamodel
from trocar_lab.evidence.graph.need_graph import read_graph
from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.graph.needs_source import scan_sources, scan_text
from trocar_lab.evidence.selftest.demo import DEMO_FILES, write_demo

ROOT = Path(__file__).resolve().parents[4]
SRS = """\
.. srs:: Title
   :id: SRS_X_001
   :kind: data
   :safety_class: A
   :derives: SYS_X_001

   Body.
"""


def _read(text: str) -> list[Need | NeedsSourceError]:
    """Return what one file holds."""
    return list(scan_text(text, place="page.rst", model=load_metamodel()))


@pytest.mark.verifies("SRS_TRACE_011", extent="partial", technique="requirement")
def test_need_is_read_with_fields_links_and_body() -> None:
    """Long values and reflowed bodies mean the same need."""
    text = (
        SRS.replace(":kind: data", ":rationale: one\n      two\n   :kind: data")
        + "   More\n   text.\n\nAfter.\n"
    )
    (need,) = _read(text)
    assert isinstance(need, Need)
    assert (need.need_id, need.need_type, need.title) == ("SRS_X_001", "srs", "Title")
    assert need.field("rationale") == "one two"
    assert need.targets("derives") == ("SYS_X_001",)
    assert need.content == "Body. More text."
    assert need.place == "page.rst:1"


@pytest.mark.verifies(
    "SRS_TRACE_011", "SRS_TRACE_017", extent="partial", technique="fault_injection"
)
@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        (SRS.replace("   :kind", "  :kind"), "3 spaces"),
        (SRS.replace(":kind:", ":kindd:"), "no option kindd"),
        (SRS.replace("   :id: SRS_X_001\n", ""), "no :id:"),
        (SRS.replace(":: Title", "::"), "no title"),
        (SRS.replace(":kind: data", ":kind: data\n   :kind: data"), "written twice"),
        (SRS.replace(":kind: data", ":kind:"), "is empty"),
        (SRS.replace("   Body", " Body"), "indented by 3 spaces"),
        ("Text\n\n   " + SRS.replace("\n", "\n   "), "column 0"),
        (SRS + "\n   .. harm:: Hidden\n      :id: HARM_X_001\n", "need inside a need"),
    ],
)
def test_what_two_readers_could_read_differently_is_a_fault(text: str, phrase: str) -> None:
    """A reader that guesses would hide a need that Sphinx dropped."""
    faults = [found for found in _read(text) if isinstance(found, NeedsSourceError)]
    assert len(faults) >= 1
    assert phrase in str(faults[0])


@pytest.mark.verifies("SRS_TRACE_011", extent="partial", technique="boundary")
def test_directive_in_a_literal_block_is_no_need() -> None:
    """A page that explains the syntax defines nothing."""
    indented = "".join(f"   {line}\n" for line in SRS.splitlines())
    assert _read(f"Example::\n\n{indented}\nAfter.\n") == []
    assert _read(f".. code-block:: rst\n\n{indented}\n") == []


@pytest.mark.verifies("SRS_TRACE_005", "SRS_TRACE_007", extent="partial", technique="property")
def test_fingerprint_follows_meaning_and_not_layout() -> None:
    """Reflowing keeps evidence; a changed word, field or link outdates it; a status does not."""
    (need,) = _read(SRS)
    assert isinstance(need, Need)
    same = [
        SRS.replace("   Body.", "   Body."),
        SRS.replace(":kind", ":status: approved\n   :kind"),
    ]
    other = [
        SRS.replace("Body", "Bodi"),
        SRS.replace("data", "alarm"),
        SRS.replace("SYS_X_001", "SYS_X_002"),
    ]
    for text, is_same in [(t, True) for t in same] + [(t, False) for t in other]:
        (changed,) = _read(text)
        assert isinstance(changed, Need)
        assert (changed.fingerprint == need.fingerprint) is is_same


@pytest.mark.verifies("SRS_TRACE_011", extent="full", technique="conformance")
def test_scan_equals_sphinx_needs(tmp_path: Path) -> None:
    """Rule G1 rests on this: both readers see the same needs, field by field and link by link."""
    write_demo(tmp_path, DEMO_FILES)
    (tmp_path / "docs").mkdir(exist_ok=True)
    index = "Demo\n====\n\n.. toctree::\n   :glob:\n\n   /**\n"
    (tmp_path / "docs" / "index.rst").write_text(index, encoding="utf-8")
    output = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-E",
        "-W",
        "--keep-going",
        "-c",
        str(ROOT / "docs"),
    ]
    done = subprocess.run(
        [*command, "-b", "needs", "-d", str(tmp_path / "doctrees"), str(tmp_path), str(output)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    scan, graph = scan_sources(tmp_path), read_graph(output / "needs.json")
    assert scan.faults == ()
    assert set(scan.by_id()) == set(graph.needs)
    # Counted in a third way, so that both readers cannot miss the same need, or see none.
    pages = "".join(text for name, text in DEMO_FILES.items() if name.endswith(".rst"))
    written = re.findall(r"^   :id: (\w+)$", pages, re.MULTILINE)
    assert written
    assert sorted(need.need_id for need in scan.needs) == sorted(written)
    for need_id, need in scan.by_id().items():
        assert need.fingerprint == graph.needs[need_id].fingerprint, need_id
        assert need.status == graph.needs[need_id].status
