"""Approvals: given by a named person, bound to a text, never by a check, never to an own text."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest

from trocar_lab.evidence.__main__ import main
from trocar_lab.evidence.commands.approve import Decision, approve
from trocar_lab.evidence.errors import ApprovalError, RecordError, SignatureError
from trocar_lab.evidence.graph.needs_source import source_graph
from trocar_lab.evidence.project import approved_texts, stale_links
from trocar_lab.evidence.selftest.demo import DEMO_FILES, write_demo
from trocar_lab.evidence.selftest.demo_approvals import write_demo_key
from trocar_lab.evidence.signed.approvals import (
    FILE,
    ROSTER,
    Approval,
    ApprovalLog,
    ApprovalState,
)

TODAY = dt.date(2026, 11, 21)
REQUIREMENTS = "requirements_spec/demo.rst"


def _git(root: Path, *words: str) -> None:
    """Run one git command as the author of the demo."""
    person = ("-c", "user.name=Demo Author", "-c", "user.email=author@example.org")
    subprocess.run(["git", "-C", str(root), *person, *words], check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a committed demo project with a roster of one; the key lies beside it."""
    root = tmp_path / "tree"
    write_demo(root, DEMO_FILES)
    write_demo_key(root)
    (root / "demo_key.pem").rename(tmp_path / "key.pem")
    _git(tmp_path, "init", "-q", str(root))
    _git(root, "add", "-A")
    _git(root, "commit", "-qm", "Demo")
    return root


def _decide(root: Path, *need_ids: str, **changes: str) -> list[str]:
    """Approve needs as the reviewer of the demo."""
    decision = Decision(
        need_ids=need_ids, reviewer="Demo Reviewer", key=root.parent / "key.pem"
    ).model_copy(update=changes)
    return approve(root, decision, today=TODAY)


def _state(root: Path, need_id: str) -> ApprovalState:
    """Return the state of one need."""
    return (
        ApprovalLog(root).read().state(need_id, approved_texts(root, source_graph(root))[need_id])
    )


@pytest.mark.verifies("SRS_TRACE_005", "SRS_TRACE_006", extent="full", technique="requirement")
def test_approval_binds_text_and_links(tree: Path) -> None:
    """A changed text is stale; a changed parent leaves the text approved and the link suspect."""
    _decide(tree, "UN_DEMO_001", "SYS_DEMO_001")
    assert _state(tree, "SYS_DEMO_001") is ApprovalState.APPROVED
    path = tree / REQUIREMENTS
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("to see the structure", "to feel the structure"), encoding="utf-8")
    graph = source_graph(tree)
    log = ApprovalLog(tree).read()
    texts = approved_texts(tree, graph)
    assert _state(tree, "UN_DEMO_001") is ApprovalState.STALE
    assert _state(tree, "SYS_DEMO_001") is ApprovalState.APPROVED
    assert stale_links(graph.needs["SYS_DEMO_001"], log, texts) == ("UN_DEMO_001",)


def test_reflowed_text_keeps_its_approval(tree: Path) -> None:
    """White space is not meaning: an approval survives a new line break."""
    _decide(tree, "UN_DEMO_001")
    path = tree / REQUIREMENTS
    text = path.read_text(encoding="utf-8")
    changed = text.replace("to see the structure", "to see\n   the structure")
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    assert _state(tree, "UN_DEMO_001") is ApprovalState.APPROVED


@pytest.mark.parametrize(
    ("need_id", "phrase"),
    [
        ("SRS_DEMO_009", "no such live need"),
        ("SOUP_DEMO_NUMPY", "not approved by a person"),
        ("SYS_DEMO_001", "approve UN_DEMO_001 first"),
    ],
)
def test_need_that_cannot_be_approved_is_refused(tree: Path, need_id: str, phrase: str) -> None:
    """Unknown, not normative, or resting on what nobody approved: nothing is written."""
    with pytest.raises(ApprovalError, match=phrase):
        _decide(tree, need_id)
    assert not (tree / FILE).exists()


def test_one_refused_need_refuses_the_whole_decision(tree: Path) -> None:
    """A reviewer never finds half of a decision in the file."""
    with pytest.raises(ApprovalError, match="no such live need"):
        _decide(tree, "UN_DEMO_001", "SRS_DEMO_009")
    assert not (tree / FILE).exists()


@pytest.mark.verifies("SRS_TRACE_014", extent="partial", technique="fault_injection")
def test_own_text_is_refused(tree: Path) -> None:
    """The author of the commit is not the approver, by name or by address."""
    roster = tree / ROSTER
    text = roster.read_text(encoding="utf-8")
    roster.write_text(text.replace("reviewer@example.org", "AUTHOR@example.org"), encoding="utf-8")
    with pytest.raises(ApprovalError, match="wrote this text"):
        _decide(tree, "UN_DEMO_001")


@pytest.mark.verifies("SRS_TRACE_014", extent="partial", technique="fault_injection")
def test_text_that_is_not_committed_is_refused(tree: Path) -> None:
    """An item is under control before it is approved."""
    path = tree / REQUIREMENTS
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("to see the structure", "to feel it"), encoding="utf-8")
    with pytest.raises(ApprovalError, match="not committed"):
        _decide(tree, "UN_DEMO_001")


def test_tree_without_history_is_refused(tree: Path) -> None:
    """Without git nobody knows the author, so nobody can be shown to be another."""
    (tree / ".git").rename(tree.parent / "git_away")
    with pytest.raises(ApprovalError, match="author is not known"):
        _decide(tree, "UN_DEMO_001")


@pytest.mark.verifies("SRS_TRACE_014", extent="partial", technique="fault_injection")
def test_stranger_and_wrong_key_are_refused(tree: Path) -> None:
    """The name stands in the roster and the key is that person's."""
    with pytest.raises(ApprovalError, match="Demo Reviewer"):
        _decide(tree, "UN_DEMO_001", reviewer="Somebody Else")
    other = tree.parent / "other"
    other.mkdir()
    write_demo_key(other)
    (other / "demo_key.pem").rename(tree.parent / "key.pem")
    with pytest.raises(SignatureError, match="not that of Demo Reviewer"):
        _decide(tree, "UN_DEMO_001")
    assert not ApprovalLog(tree).read().last


@pytest.mark.parametrize("content", ["", "not a key", "-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_file_that_is_no_key_is_refused(tree: Path, content: str) -> None:
    """The message names the file and what was expected."""
    (tree.parent / "key.pem").write_text(content, encoding="utf-8")
    with pytest.raises(SignatureError, match="not an Ed25519 private key"):
        _decide(tree, "UN_DEMO_001")


@pytest.mark.verifies("SRS_TRACE_005", extent="partial", technique="requirement")
def test_withdrawn_approval_counts_no_more(tree: Path) -> None:
    """Taking back takes a reason, and leaves both lines in the file."""
    _decide(tree, "UN_DEMO_001")
    with pytest.raises(ApprovalError, match="reason"):
        _decide(tree, "UN_DEMO_001", decision="withdraw")
    _decide(tree, "UN_DEMO_001", decision="withdraw", reason="Signed the wrong text by mistake")
    assert _state(tree, "UN_DEMO_001") is ApprovalState.MISSING
    assert len((tree / FILE).read_text(encoding="utf-8").splitlines()) == 2


def test_second_approval_of_the_same_text_writes_nothing(tree: Path) -> None:
    """Repeating a decision is no new decision."""
    _decide(tree, "UN_DEMO_001")
    before = (tree / FILE).read_bytes()
    assert "stands already" in _decide(tree, "UN_DEMO_001")[0]
    assert (tree / FILE).read_bytes() == before


def test_cut_off_line_is_named_and_removed_by_the_next_decision(tree: Path) -> None:
    """A killed writer told nobody of its last line; what was told stays."""
    _decide(tree, "UN_DEMO_001")
    path = tree / FILE
    path.write_bytes(path.read_bytes() + b'{"prev_sha256":"00')
    assert ApprovalLog(tree).read().faults == ((FILE, "the last line is cut off"),)
    _decide(tree, "SYS_DEMO_001")
    log = ApprovalLog(tree).read()
    assert not log.faults
    assert set(log.last) == {"UN_DEMO_001", "SYS_DEMO_001"}


@pytest.mark.verifies(
    "SRS_TRACE_014", "SRS_TRACE_017", extent="partial", technique="fault_injection"
)
def test_nothing_is_appended_to_a_damaged_file(tree: Path) -> None:
    """An edited line is named, counts nothing, and stops further decisions."""
    _decide(tree, "UN_DEMO_001", "SYS_DEMO_001")
    path = tree / FILE
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("2026-11-21", "2026-11-20", 1), encoding="utf-8")
    log = ApprovalLog(tree).read()
    assert [reason for _, reason in log.faults] == [
        "the signature is not that of Demo Reviewer",
        "does not follow the line before it",
    ]
    assert not log.last
    with pytest.raises(ApprovalError, match="damaged"):
        _decide(tree, "HAZ_DEMO_001")


@pytest.mark.parametrize(
    "line", [b"{}\n", b"nonsense\n", b"\xff\xfe\n", b'{"need_id": 3}\n', b"\n"]
)
def test_foreign_line_is_a_fault(tree: Path, line: bytes) -> None:
    """What is no approval is named with its line and stops nothing else from being read."""
    (tree / FILE).parent.mkdir(exist_ok=True)
    (tree / FILE).write_bytes(line)
    assert ApprovalLog(tree).read().faults[0][0] == f"{FILE}:1"


def test_roster_that_is_not_well_formed_is_an_error(tree: Path) -> None:
    """A roster entry without a full name is nobody."""
    (tree / ROSTER).write_text('[[reviewer]]\nname = "Bob"\n', encoding="utf-8")
    with pytest.raises(RecordError, match=r"reviewers\.toml"):
        ApprovalLog(tree).read()


def test_two_writers_at_once_lose_nothing(tree: Path) -> None:
    """Two processes append at the same time: both decisions stand, and the chain holds."""
    code = (
        "import sys, datetime as dt; from pathlib import Path;"
        "from trocar_lab.evidence.signed.approvals import Approval, ApprovalLog;"
        "log = ApprovalLog(Path(sys.argv[1]));"
        "[log.append([Approval(need_id=f'UN_DEMO_{sys.argv[3]}{n:02}', fingerprint='0' * 64,"
        " reviewer='Demo Reviewer', role='r', date=dt.date(2026, 11, 21))], key=Path(sys.argv[2]))"
        " for n in range(20)]"
    )
    key = str(tree.parent / "key.pem")
    command = [sys.executable, "-c", code, str(tree), key]
    running = [subprocess.Popen([*command, letter]) for letter in "AB"]
    assert [process.wait(timeout=60) for process in running] == [0, 0]
    log = ApprovalLog(tree).read()
    assert not log.faults
    assert len(log.last) == 40


@pytest.mark.verifies("SRS_TRACE_014", extent="full", technique="requirement")
def test_check_and_report_never_approve(tree: Path, tmp_path: Path) -> None:
    """No judging command writes an approval, whatever it finds."""
    for command in (["check"], ["report", "-o", str(tmp_path / "out")], ["explain", "UN_DEMO_001"]):
        arguments = ["--root", str(tree), "--evidence", str(tmp_path / "none")]
        main([command[0], *arguments, *command[1:]])
    assert not (tree / FILE).exists()


def test_command_line_approves_all_of_a_type(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints what it wrote; the input that cannot be judged is named."""
    words = ["--root", str(tree), "--reviewer", "Demo Reviewer", "--key"]
    assert main(["approve", "--type", "user_need", *words, str(tree.parent / "key.pem")]) == 0
    assert "UN_DEMO_001: approve" in capsys.readouterr().out
    assert main(["approve", *words, str(tree.parent / "key.pem")]) == 2
    assert "no need is named" in capsys.readouterr().err


def test_line_that_is_not_canonical_is_a_fault(tree: Path) -> None:
    """One decision has one form: spaces would let two texts carry one signature."""
    _decide(tree, "UN_DEMO_001")
    path = tree / FILE
    path.write_text(path.read_text(encoding="utf-8").replace(":", ": ", 1), encoding="utf-8")
    assert "canonical" in ApprovalLog(tree).read().faults[0][1]
    assert Approval.model_fields["schema_version"].default == 1
