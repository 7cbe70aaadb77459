"""What changed, what it reaches, and what history says about each need."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from trocar_lab.evidence.__main__ import main
from trocar_lab.evidence.commands.change_report import graph_of
from trocar_lab.evidence.errors import GraphError
from trocar_lab.evidence.graph.changes import changed_ids, difference, impact_of, staged_impact
from trocar_lab.evidence.graph.history import read_history
from trocar_lab.evidence.graph.need_graph import Graph
from trocar_lab.evidence.graph.needs_source import source_graph
from trocar_lab.evidence.graph.scan_cache import FOLDER, OFF, ScanCache
from trocar_lab.evidence.selftest.demo import DEMO_FILES, write_demo

REQUIREMENTS = "requirements_spec/demo.rst"


def _commit(root: Path, subject: str, *, author: str = "Demo Author") -> None:
    """Commit everything."""
    person = ("-c", f"user.name={author}", "-c", "user.email=author@example.org")
    for words in (("add", "-A"), ("commit", "-qm", subject)):
        subprocess.run(["git", "-C", str(root), *person, *words], check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a committed demo project."""
    root = tmp_path / "tree"
    write_demo(root, DEMO_FILES)
    subprocess.run(["git", "init", "-q", str(root)], check=True, capture_output=True)
    _commit(root, "First text")
    return root


def _edit(root: Path, old: str, new: str) -> None:
    """Change the requirements of the demo."""
    path = root / REQUIREMENTS
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def _edited(root: Path, old: str, new: str) -> tuple[Graph, Graph]:
    """Return the graphs before and after a change of the requirements."""
    before = source_graph(root)
    _edit(root, old, new)
    return before, source_graph(root)


@pytest.mark.verifies("SRS_TRACE_024", extent="partial", technique="requirement")
def test_change_of_a_parent_reaches_down_to_unit_control_situation_and_anomaly(tree: Path) -> None:
    """A changed system requirement reaches everything built on it, and the risk beside it."""
    before, after = _edited(tree, "one mask a frame", "two masks a frame")
    assert changed_ids(before, after) == {"SYS_DEMO_001"}
    stages = staged_impact(after, ["SYS_DEMO_001"])
    assert stages["SYS_DEMO_001"] == "changed"
    assert stages["SRS_DEMO_001"] == stages["SRS_DEMO_002"] == "refinement"
    assert stages["RCM_DEMO_001"] == "control"
    assert stages["UNIT_DEMO_SEGMENTER"] == "design"
    assert stages["HSIT_DEMO_001"] == "risk"
    assert stages["ANO_DEMO_001"] == "anomaly"
    assert stages["TC_DEMO_01"] == "test"
    assert "UN_DEMO_001" not in stages


@pytest.mark.verifies("SRS_TRACE_024", extent="partial", technique="boundary")
def test_change_of_one_requirement_leaves_its_sibling_alone(tree: Path) -> None:
    """Impact is smaller than everything: the sibling under the same parent is not reached."""
    reached = impact_of(source_graph(tree), ["SRS_DEMO_001"])
    assert "SRS_DEMO_002" not in reached
    assert {"UNIT_DEMO_SEGMENTER", "ITEM_DEMO_UNITS"} <= reached


def test_reflowed_text_is_no_change(tree: Path) -> None:
    """A line break changes nothing."""
    before, after = _edited(tree, "to see the structure", "to see\n   the structure")
    assert difference(before, after).is_empty


@pytest.mark.verifies("SRS_TRACE_024", extent="full", technique="requirement")
def test_difference_names_parts_and_removed_needs(tree: Path) -> None:
    """Added, removed and changed are told apart, with before and after."""
    before, after = _edited(
        tree, "SRS_DEMO_001\n   :kind: functional", "SRS_DEMO_003\n   :kind: data"
    )
    found = difference(before, after)
    assert (found.added, found.removed) == (("SRS_DEMO_003",), ("SRS_DEMO_001",))
    assert found.impact["UNIT_DEMO_SEGMENTER"] == "design"
    _edit(tree, ":kind: data", ":kind: security")
    change = difference(after, source_graph(tree)).changed[0]
    assert (change.need_id, dict(change.parts)) == ("SRS_DEMO_003", {"kind": ("data", "security")})


def test_history_names_each_text_and_its_author(tree: Path) -> None:
    """A text that comes back is a text of its own; another file's commit is none."""
    first = source_graph(tree).needs["UN_DEMO_001"].fingerprint
    _edit(tree, "to see the structure", "to feel the structure")
    _commit(tree, "Second text", author="Other Author")
    (tree / "docs" / "note.rst").write_text("Note\n====\n", encoding="utf-8")
    _commit(tree, "Unrelated")
    entries = read_history(tree).of("UN_DEMO_001")
    assert [entry.author for entry in entries] == ["Demo Author", "Other Author"]
    assert entries[0].fingerprint == first
    present = source_graph(tree).needs["UN_DEMO_001"].fingerprint
    assert read_history(tree).authors("UN_DEMO_001", present) == entries[1:]


def test_history_names_the_release_that_holds_a_text_first(tree: Path) -> None:
    """A text belongs to the first tag at or after its commit; a later text to none yet."""
    subprocess.run(["git", "-C", str(tree), "tag", "v1.0"], check=True)
    _edit(tree, "to see the structure", "to feel the structure")
    _commit(tree, "Second text")
    entries = read_history(tree).of("UN_DEMO_001")
    assert [entry.version for entry in entries] == ["v1.0", ""]


def test_history_of_a_moved_and_a_removed_need(tree: Path) -> None:
    """A need that moves keeps its text; one that is gone has an empty last entry."""
    text = (tree / REQUIREMENTS).read_text(encoding="utf-8")
    (tree / REQUIREMENTS).unlink()
    (tree / "requirements_spec" / "moved.rst").write_text(text, encoding="utf-8")
    _commit(tree, "Move")
    assert len(read_history(tree).of("UN_DEMO_001")) == 1
    (tree / "requirements_spec" / "moved.rst").unlink()
    _commit(tree, "Remove")
    assert [bool(e.fingerprint) for e in read_history(tree).of("UN_DEMO_001")] == [True, False]


def test_tree_without_git_says_why_there_is_no_history(tmp_path: Path) -> None:
    """No history is a fault in words, not an empty success."""
    assert "git" in read_history(tmp_path).fault


@pytest.mark.verifies("SRS_TRACE_024", extent="partial", technique="equivalence")
def test_states_are_named_by_commit_file_release_and_working_tree(tree: Path) -> None:
    """Each way to name a state gives its graph; a wrong name says what there is."""
    _edit(tree, "to see the structure", "to feel the structure")
    old = graph_of(tree, "HEAD")
    assert changed_ids(old, graph_of(tree, ".")) == {"UN_DEMO_001"}
    with pytest.raises(GraphError, match="archived: none yet"):
        graph_of(tree, "0.0.9")
    with pytest.raises(GraphError, match="no release, file or commit"):
        graph_of(tree, "--output=x")


@pytest.mark.verifies("SRS_TRACE_024", extent="full", technique="requirement")
def test_command_line_prints_difference_and_impact(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The printed forms name needs with titles and the tests to run again."""
    _edit(tree, "one mask a frame", "two masks a frame")
    assert main(["diff", "HEAD", ".", "--root", str(tree)]) == 0
    printed = capsys.readouterr().out
    assert "0 added, 0 removed, 1 changed" in printed
    assert "+ The system shall give two masks a frame." in printed
    assert "test_mask_has_size_of_frame" in printed
    assert main(["impact", "RCM_DEMO_001", "--root", str(tree)]) == 0
    printed = capsys.readouterr().out
    assert "test_no_stale_mask_reaches_the_screen" in printed
    assert "UNIT_DEMO_SEGMENTER" in printed
    assert main(["impact", "RCM_DEMO_009", "--root", str(tree)]) == 2
    assert "of that type there are: RCM_DEMO_001" in capsys.readouterr().err


def test_cache_is_met_only_under_the_same_text_and_scanner(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another salt, a damaged file or the switch empties the cache; nothing breaks."""
    with ScanCache(tree, "demo", "a") as cache:
        cache.put("key", [1])
    with ScanCache(tree, "demo", "a") as cache:
        assert cache.get("key") == [1]
    with ScanCache(tree, "demo", "b") as cache:
        assert cache.get("key") is None
    monkeypatch.setenv(OFF, "off")
    with ScanCache(tree, "demo", "a") as cache:
        assert cache.get("key") is None
    monkeypatch.delenv(OFF)
    (tree / FOLDER / "demo.json").write_text("{", encoding="utf-8")
    with ScanCache(tree, "demo", "a") as cache:
        assert cache.get("key") is None


def test_tree_that_is_no_checkout_is_scanned_without_cache(tmp_path: Path) -> None:
    """An installed or unpacked tree gets no hidden folder."""
    with ScanCache(tmp_path, "demo", "a") as cache:
        cache.put("key", [1])
    assert not (tmp_path / FOLDER).exists()
