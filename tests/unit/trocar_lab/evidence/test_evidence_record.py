"""Evidence files: what is written is read, and what a forger links anew contradicts itself."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from simulators.evidence_runs import digest, identity_of, lines_of, rechain, write_run
from trocar_lab.evidence.source.python_tests import Claim
from trocar_lab.evidence.store.evidence_record import (
    FIRST_LINK,
    Attachment,
    CollectedLine,
    EndLine,
    Line,
    NeedLine,
    OutcomeLine,
    RunLine,
    UncollectedLine,
    chain,
    encode,
)
from trocar_lab.evidence.store.run_reader import read_run

CHAIN = "was changed or does not follow the line before it"


@pytest.mark.verifies("SRS_TRACE_015", extent="partial", technique="requirement")
def test_every_field_comes_back(tmp_path: Path) -> None:
    """A figure, an attachment or a letter that is lost on the way is lost evidence."""
    lines = lines_of()
    lines[-1:-1] = [
        UncollectedLine(path="tests/b.py", outcome="skipped", reason="no engine"),
        CollectedLine(
            "tests/c.py::TestIt::test_c[ä-\u2028]",
            "tests/base.py",
            "Base.test_c",
            "",
            {"x": "'ä'"},
            (Claim(marker="case", need_id="SRS_DEMO_001", keywords={"extent": "full"}),),
            deselected=True,
        ),
        CollectedLine("tests/d.py::test_d", "tests/d.py", "test_d", digest("d")),
        OutcomeLine(
            "tests/d.py::test_d",
            "error",
            {"setup": "error", "teardown": "passed"},
            "2026-11-21T08:00:05+00:00",
            0.0,
            "no\nluck",
            105_000_000_000,
            {"median_ms": 38.25, "frames": 300, "engine": "cpu"},
            (Attachment("attachments/x/y.csv", digest("y"), 12),),
        ),
    ]
    lines[-1] = EndLine(
        finished="2026-11-21T08:00:05+00:00",
        monotonic_ns=105_000_000_000,
        exit_status=1,
        node_count=4,
    )
    run = read_run(write_run(tmp_path, lines))
    assert run.faults == run.doubts == ()
    assert [run.run, run.end] == [lines[0], lines[-1]]
    assert list(run.needs.values()) == [line for line in lines if isinstance(line, NeedLine)]
    assert list(run.outcomes.values()) == [x for x in lines if isinstance(x, OutcomeLine)]
    bare = [line._replace(fingerprints={}, parents={}) for line in run.collected.values()]
    assert bare == [line for line in lines if isinstance(line, CollectedLine)]
    assert run.uncollected[0] == next(x for x in lines if isinstance(x, UncollectedLine))
    assert run.line_count == len(lines)


@pytest.mark.verifies("SRS_TRACE_007", extent="partial", technique="requirement")
def test_claims_bind_needs_cases_and_parents(tmp_path: Path) -> None:
    """A test of an authored case is bound to what the case verifies, and to all that rests on."""
    lines: list[Line] = [
        *lines_of(0)[:1],
        NeedLine("SRS_A", "a", (), ("SYS_A",)),
        NeedLine("SYS_A", "s"),
        NeedLine("TC_A", "t", ("SRS_A",)),
        CollectedLine(
            "a.py::test_a", "a.py", "test_a", "", claims=(Claim(marker="case", need_id="TC_A"),)
        ),
        CollectedLine(
            "a.py::test_b", "a.py", "test_b", "", claims=(Claim(marker="verifies", need_id="NO"),)
        ),
    ]
    run = read_run(write_run(tmp_path, lines))
    line = run.collected["a.py::test_a"]
    assert (line.fingerprints, line.parents) == ({"TC_A": "t", "SRS_A": "a"}, {"SYS_A": "s"})
    assert run.collected["a.py::test_b"].fingerprints == {}


def test_version_1_can_still_be_read(tmp_path: Path) -> None:
    """A record is kept for years; its machine counts as a host, because it names none."""
    identity = {
        "commit": "c",
        "clean": True,
        "device_sha256": "d",
        "python": "3.11",
        "platform": {
            "host_class": "host",
            "system": "Linux",
            "release": "6",
            "machine": "x86_64",
            "cpu_count": 2,
            "tegra_release": "",
        },
    }
    node = "tests/a.py::test_a[1]"
    claim = {"keywords": {}, "marker": "verifies", "need_id": "SRS_A"}
    rows: list[dict[str, object]] = [
        {"kind": "run", "schema_version": 1, "started": "2026-11-21T08:00:00+00:00"},
        {"kind": "collected", "node": node, "function": "tests/a.py::test_a", "digest": "d"},
        {"kind": "outcome", "node": node, "outcome": "passed", "reason": "", "duration_s": 0.1},
        {"kind": "end", "finished": "2026-11-21T08:00:02+00:00", "exit_status": 0},
    ]
    rows[0] |= {"identity": identity, "arguments": []}
    rows[1] |= {"source_file": "tests/a.py", "source_name": "test_a", "params": {"x": "1"}}
    rows[1] |= {"claims": [claim], "fingerprints": {"SRS_A": "a"}, "parents": {"SYS_A": "s"}}
    rows[1] |= {"deselected": False}
    phases = {"call": "passed", "setup": "passed", "teardown": "passed"}
    rows[2] |= {"phases": phases, "started": "2026-11-21T08:00:01+00:00"}
    rows[3] |= {"node_count": 1}
    previous, text = FIRST_LINK, ""
    for row in rows:
        line = json.dumps({**row, "prev_sha256": previous}, sort_keys=True, separators=(",", ":"))
        previous, text = sha256(line.encode()).hexdigest(), f"{text}{line}\n"
    path = tmp_path / "run-1.jsonl"
    path.write_text(text, encoding="utf-8")
    run = read_run(path)
    assert (run.faults, run.doubts, run.finished, run.platform) == ((), (), True, "host")
    assert run.collected[node].fingerprints == {"SRS_A": "a"}
    assert run.collected[node].parents == {"SYS_A": "s"}
    assert run.outcomes[node].phases == phases
    path.write_text(text.replace('"outcome":"passed"', '"outcome":"failed"'), encoding="utf-8")
    assert any(CHAIN in fault for fault in read_run(path).faults)
    path.write_text(text.replace('"host_class":"host"', '"host_class":"agx"'), encoding="utf-8")
    forged = read_run(path)
    assert forged.platform == "host"
    assert "labelled agx, but the recorded facts of the machine say host" in forged.faults


def test_half_a_character_does_not_stop_the_writer() -> None:
    """A file name of another system may hold half a character; evidence is UTF-8."""
    data, _ = encode(UncollectedLine(path="tests/\udcff.py", outcome="failed"), FIRST_LINK)
    assert json.loads(data)["path"] == "tests/?.py"


@pytest.mark.verifies("SRS_TRACE_008", extent="partial", technique="fault_injection")
def test_class_of_the_machine_follows_from_its_facts(tmp_path: Path) -> None:
    """A label that is typed in, even with a sound chain, makes no edge box of a host."""
    host, agx = identity_of(), identity_of("agx")
    assert (host.platform.found_class, agx.platform.found_class) == ("host", "agx")
    assert read_run(write_run(tmp_path, lines_of(identity=agx), "agx")).faults == ()
    facts = host.platform.facts
    assert facts is not None
    labelled = facts.model_copy(update={"platform_class": "agx"})
    for changes, words in (
        ({"host_class": "agx"}, "labelled agx, but the recorded facts of the machine say host"),
        ({"facts": None, "host_class": "agx"}, "labelled agx, but"),
        ({"facts": labelled}, "contradict each other"),
        ({"machine": "aarch64"}, "contradict each other"),
    ):
        platform = host.platform.model_copy(update=changes)
        identity = host.model_copy(update={"platform": platform})
        run = read_run(write_run(tmp_path, lines_of(identity=identity), "x"))
        assert run.platform == "host"
        assert any(words in fault for fault in run.faults), words


def test_exit_status_contradicts_a_failure(tmp_path: Path) -> None:
    """A run with a failed node does not end with 0."""
    lines = lines_of(outcome="failed")
    assert read_run(write_run(tmp_path, lines)).faults == ()
    end = lines[-1]
    assert isinstance(end, EndLine)
    lines[-1] = end.model_copy(update={"exit_status": 0})
    assert read_run(write_run(tmp_path, lines)).faults == ("exit status 0, although a node failed",)


def test_attachment_without_a_digest_is_no_attachment(tmp_path: Path) -> None:
    """A digest of another form, or no path, would be checked against nothing."""
    for row in ({"path": "a", "sha256": "0" * 63, "bytes": 1}, {"path": "a"}, "a"):
        path = write_run(tmp_path, lines_of())
        rechain(path, lambda rows, row=row: rows[7].update(attachments=[row]))  # type: ignore[misc]
        assert any("line 8: outcome" in fault for fault in read_run(path).faults)
    for figures in ({"x": None}, {"x": [1]}, {"x": True}):
        path = write_run(tmp_path, lines_of())
        rechain(path, lambda rows, f=figures: rows[7].update(properties=f))  # type: ignore[misc]
        assert any("line 8: outcome" in fault for fault in read_run(path).faults)


def test_chain_begins_and_ends_where_it_says(tmp_path: Path) -> None:
    """The last link stands for the whole file: another first line, another last link."""
    first, other = lines_of(), lines_of(identity=identity_of(operator="Other Operator"))
    assert isinstance(other[0], RunLine)
    heads = {read_run(write_run(tmp_path, lines)).head_sha256 for lines in (first, other)}
    assert len(heads) == 2
    assert json.loads(chain(first)[-1])["link_sha256"] in heads
