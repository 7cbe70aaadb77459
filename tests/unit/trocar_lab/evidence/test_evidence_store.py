"""A folder of evidence as a whole: clocks, replays, attachments, the seal, and what V7 says."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from simulators.evidence_runs import digest, identity_of, lines_of, rechain, stamp, write_run
from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.rules.catalogue import RULES
from trocar_lab.evidence.rules.rule import RuleResult, run_rule
from trocar_lab.evidence.selftest.gate import CLEAN, TODAY, seeded_project
from trocar_lab.evidence.store.attachments import copy_attachments
from trocar_lab.evidence.store.evidence_files import SEAL_NAME
from trocar_lab.evidence.store.evidence_record import Attachment, EvidenceRun, OutcomeLine
from trocar_lab.evidence.store.evidence_store import (
    NOT_SEALED,
    EvidenceStore,
    read_runs,
    read_store,
)
from trocar_lab.evidence.store.identity import RunIdentity
from trocar_lab.evidence.store.run_clocks import moment, wall_time
from trocar_lab.evidence.store.run_reader import read_run
from trocar_lab.evidence.store.run_writer import EvidenceWriter
from trocar_lab.evidence.store.seal import locked, seal_folder

NS_PER_S = 1_000_000_000


def _booted(name: str) -> RunIdentity:
    """Return the identity of the host after another start of the machine."""
    identity = identity_of()
    platform = identity.platform.model_copy(update={"boot_id": name})
    return identity.model_copy(update={"platform": platform})


# ------------------------------------------------------------------- clocks


def test_both_clocks_run_forwards() -> None:
    """The writer's own stamps have a zone and never run backwards."""
    first, second = moment(), moment()
    assert wall_time(first.wall).tzinfo is not None
    assert first.monotonic_ns <= second.monotonic_ns


Edit = Callable[[list[dict[str, object]]], object]
COURSES: dict[str, tuple[Edit, str]] = {
    "end before begin": (
        lambda rows: rows[-1].update(finished=stamp(-5)),
        "the end line: the wall clock ran backwards by 9.0 s",
    ),
    "set back in between": (
        lambda rows: rows[7].update(started=stamp(-60)),
        "test_1: the wall clock ran backwards by 62.0 s",
    ),
    "dated later as a whole": (
        lambda rows: rows[0].update(started=stamp(86400)),
        "the wall clock ran backwards by 86400.0 s",
    ),
    "monotonic clock": (
        lambda rows: rows[7].update(monotonic_ns=5),
        "test_1: the monotonic clock ran backwards",
    ),
    "no time": (lambda rows: rows[8].update(started="noon"), "'noon' is no time"),
    "no zone": (
        lambda rows: rows[-1].update(finished="2026-11-21T08:00:04"),
        "'2026-11-21T08:00:04' has no zone",
    ),
}


@pytest.mark.verifies("SRS_TRACE_015", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("name", COURSES)
def test_clock_that_ran_backwards_is_named(tmp_path: Path, name: str) -> None:
    """Runs are ordered by their clock; one that was set back would put an old run last."""
    edit, words = COURSES[name]
    path = write_run(tmp_path, lines_of())
    rechain(path, edit)
    faults = read_run(path).faults
    assert any(words in fault for fault in faults), faults


def test_clock_that_jumped_forward_is_a_doubt(tmp_path: Path) -> None:
    """A correction or a sleeping machine is no forgery, but a person must look."""
    path = write_run(tmp_path, lines_of())
    rechain(path, lambda rows: rows[-1].update(finished=stamp(150)))
    run = read_run(path)
    assert (run.faults, run.doubts) == (
        (),
        ("the wall clock jumped forward by 146.0 s during the run",),
    )


def _store(folder: Path, *runs: tuple[str, float, RunIdentity]) -> EvidenceStore:
    """Write runs of (name, begin, identity), each five seconds long, and read the folder."""
    for name, begin_s, identity in runs:
        write_run(folder, lines_of(name=name, begin_s=begin_s, identity=identity), name)
    return read_store(folder, with_seal=False)


def test_runs_are_ordered_by_start_not_by_name(tmp_path: Path) -> None:
    """The newest run decides; a zone must not change which one that is."""
    host = identity_of()
    _store(tmp_path, ("b", 0, host), ("a", 10, host), ("c", 20, host))
    lines = lines_of(name="d", begin_s=30)
    write_run(tmp_path, lines, "d")
    east = "2026-11-21T10:00:30+02:00"
    rechain(tmp_path / "run-d.jsonl", lambda rows: rows[0].update(started=east))
    assert [run.path[4] for run in read_runs(tmp_path)] == ["b", "a", "c", "d"]
    assert read_store(tmp_path).faults == {}


def test_runs_of_one_machine_that_overlap_are_told(tmp_path: Path) -> None:
    """Two runs at a time disturb each other's times; which is newer is the begin's word alone."""
    host = identity_of()
    store = _store(tmp_path, ("a", 0, host), ("b", 3, host))
    assert store.faults == {}
    reason = "overlaps run-a.jsonl of the same machine in time; ordered by start"
    assert store.doubts == {"run-b.jsonl": (reason,)}


def test_each_run_inside_a_long_one_is_told(tmp_path: Path) -> None:
    """The third run starts after the second ended, and still inside the first."""
    write_run(tmp_path, lines_of(30, name="long"), "long")
    store = _store(tmp_path, ("b", 3, identity_of()), ("c", 15, identity_of()))
    assert list(store.doubts) == ["run-b.jsonl", "run-c.jsonl"]
    assert all("overlaps run-long" in reasons[0] for reasons in store.doubts.values())
    assert store.faults == {}


def test_runs_of_two_machines_may_overlap(tmp_path: Path) -> None:
    """Host and edge box work at the same time."""
    store = _store(tmp_path, ("a", 0, identity_of()), ("b", 1, identity_of("agx")))
    assert (store.faults, store.doubts) == ({}, {})


def _shifted(path: Path, wall_s: float) -> None:
    """Move a run on the wall clock, and not on the monotonic one."""

    def shift(rows: list[dict[str, object]]) -> None:
        """Move every stamp."""
        for row in rows:
            for key in ("started", "finished"):
                if key in row:
                    moved = wall_time(str(row[key])) + dt.timedelta(seconds=wall_s)
                    row[key] = moved.isoformat()

    rechain(path, shift)


@pytest.mark.parametrize(
    ("second_s", "wall_s", "boot", "words"),
    [
        (60, -90, "boot of host", "the wall clock ran backwards between run-a.jsonl and this run"),
        (60, -20, "boot of host", "the wall clock ran backwards between run-a.jsonl and this run"),
        (2, 0, "later boot", "starts before run-a.jsonl of the same machine ended"),
        (60, -90, "later boot", ""),
        (60, 3600, "boot of host", ""),
        (60, 0, "later boot", ""),
    ],
)
def test_clock_set_back_between_runs_is_named(
    tmp_path: Path, second_s: float, wall_s: float, boot: str, words: str
) -> None:
    """The monotonic clock tells which run came later; after a restart only the wall clock does."""
    write_run(tmp_path, lines_of(name="a", identity=identity_of()), "a")
    lines = lines_of(name="b", begin_s=second_s, identity=_booted(boot))
    _shifted(write_run(tmp_path, lines, "b"), wall_s)
    faults = [why for reasons in read_store(tmp_path).faults.values() for why in reasons]
    assert faults == ([words] if words else [])


# ------------------------------------------------------------------- replays


def test_run_copied_under_another_name_is_a_replay(tmp_path: Path) -> None:
    """The same run twice is not two runs, whatever its file is called."""
    write_run(tmp_path, lines_of(), "a")
    (tmp_path / "run-b.jsonl").write_bytes((tmp_path / "run-a.jsonl").read_bytes())
    reason = "replayed: it is the run in run-a.jsonl under another name or date"
    assert read_store(tmp_path, with_seal=False).faults == {"run-b.jsonl": (reason,)}


@pytest.mark.parametrize(
    "edit",
    [
        lambda rows: rows[0].update(run_id="f" * 32),
        lambda rows: rows[0].update(run_id="f" * 32, monotonic_ns=1),
        lambda rows: rows[0].update(started=stamp(-86400)),
        lambda rows: rows[0].update(run_id="f" * 32, arguments=["tests"]),
    ],
)
def test_run_that_was_dated_again_is_a_replay(tmp_path: Path, edit: Edit) -> None:
    """A forger who changes the begin must also invent other times for every node."""
    write_run(tmp_path, lines_of(), "a")
    write_run(tmp_path, lines_of(), "b")
    rechain(tmp_path / "run-b.jsonl", edit)
    faults = read_store(tmp_path, with_seal=False).faults
    assert any("replayed" in why for reasons in faults.values() for why in reasons)


# ------------------------------------------------------------------- attachments


def test_attachments_are_digested_and_checked(tmp_path: Path) -> None:
    """What a test leaves beside the run counts only as long as it is what the run says."""
    bundle = tmp_path / "bundle"
    (bundle / "raw").mkdir(parents=True)
    (bundle / "frames.csv").write_text("1\n", encoding="utf-8")
    (bundle / "raw" / SEAL_NAME).write_text("2\n", encoding="utf-8")
    run = tmp_path / "ev" / "run-one.jsonl"
    lines = lines_of()
    found = copy_attachments(bundle, run, node="n")
    found += copy_attachments(bundle / "frames.csv", run, node="n")
    place = f"attachments/run-one/{digest('n')[:12]}"
    assert [entry.path for entry in found] == [
        f"{place}/bundle/frames.csv",
        f"{place}/bundle/raw/{SEAL_NAME}",
        f"{place}/frames.csv",
    ]
    assert found[0][1:] == (digest("1\n"), 2)
    outcome = lines[7]
    assert isinstance(outcome, OutcomeLine)
    lines[7] = outcome._replace(attachments=tuple(found))
    write_run(tmp_path / "ev", lines)
    assert read_store(tmp_path / "ev").faults == {}
    (tmp_path / "ev" / found[0].path).write_text("3\n", encoding="utf-8")
    (tmp_path / "ev" / found[2].path).unlink()
    (reasons,) = read_store(tmp_path / "ev").faults.values()
    assert "frames.csv: differs from its digest" in reasons[0]
    assert "cannot be opened" in reasons[1]
    with pytest.raises(EvidenceError, match="cannot be copied"):
        copy_attachments(bundle, run, node="n")


def test_attachment_outside_the_folder_is_not_looked_at(tmp_path: Path) -> None:
    """A path that climbs out of the evidence would pass on another file of the machine."""
    for name in ("../secret", "/etc/passwd", "a/../../b", "a//b", ".hidden", "a\nb"):
        lines = lines_of()
        outcome = lines[7]
        assert isinstance(outcome, OutcomeLine)
        lines[7] = outcome._replace(attachments=(Attachment(name, digest(""), 0),))
        write_run(tmp_path, lines)
        (reasons,) = read_store(tmp_path, with_seal=False).faults.values()
        assert "is not a plain path below the folder" in reasons[0]


def test_only_plain_files_are_attached(tmp_path: Path) -> None:
    """A link or an empty folder attaches nothing."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "a").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for name, words in {
        "empty": "holds no file",
        "linked": "is a link",
        "link": "is a link",
        "none": "cannot be opened",
        "bad name": "not a plain path",
    }.items():
        with pytest.raises(EvidenceError, match=words):
            copy_attachments(tmp_path / name, tmp_path / "ev" / "run-a.jsonl", node="n")


# ------------------------------------------------------------------- the seal


@pytest.mark.verifies("SRS_TRACE_015", extent="partial", technique="requirement")
def test_seal_lists_every_file_and_is_the_same_twice(tmp_path: Path) -> None:
    """Its digest stands for the folder; it holds no time, so that anyone can make it again."""
    path = write_run(tmp_path, lines_of(outcome="failed"))
    (tmp_path / "coverage.json").write_text("{}", encoding="utf-8")
    first = seal_folder(tmp_path)
    content = (tmp_path / SEAL_NAME).read_bytes()
    assert digest(content.decode()) == first == seal_folder(tmp_path)
    entries = {entry["file"]: entry for entry in json.loads(content)["files"]}
    assert entries["coverage.json"] == {
        "file": "coverage.json",
        "sha256": digest("{}"),
        "bytes": 2,
    }
    assert entries["run-one.jsonl"] == {
        "file": "run-one.jsonl",
        "sha256": digest(path.read_text(encoding="utf-8")),
        "bytes": path.stat().st_size,
        "head_sha256": read_run(path).head_sha256,
        "outcomes": {"failed": 1, "passed": 2},
    }
    store = read_store(tmp_path)
    assert (store.faults, store.doubts) == ({}, {})


def test_seal_may_grow_and_never_change(tmp_path: Path) -> None:
    """Sealing again must not be the way to have a changed file accepted."""
    path = write_run(tmp_path, lines_of())
    seal_folder(tmp_path)
    write_run(tmp_path, lines_of(name="two", begin_s=60), "two")
    missing = "is not in the seal; seal the evidence again"
    assert read_store(tmp_path).faults == {"run-two.jsonl": (missing,)}
    seal_folder(tmp_path)
    assert read_store(tmp_path).faults == {}
    write_run(tmp_path, lines_of(4))
    assert read_store(tmp_path).faults == {path.name: (f"differs from the seal in {SEAL_NAME}",)}
    with pytest.raises(EvidenceError, match=r"run-one\.jsonl: differs from the seal"):
        seal_folder(tmp_path)
    path.unlink()
    assert read_store(tmp_path).faults == {path.name: ("sealed, but missing",)}
    with pytest.raises(EvidenceError, match=r"run-one\.jsonl: cannot be opened"):
        seal_folder(tmp_path)


def test_what_does_not_hold_is_not_sealed(tmp_path: Path) -> None:
    """A seal over damage would look like a seal over evidence."""
    with pytest.raises(EvidenceError, match="no such folder"):
        seal_folder(tmp_path / "none")
    with pytest.raises(EvidenceError, match="holds no run"):
        seal_folder(tmp_path)
    path = write_run(tmp_path, lines_of())
    good = path.read_text(encoding="utf-8")
    path.write_text(good.replace('"outcome":"passed"', '"outcome":"failed"', 1), encoding="utf-8")
    with pytest.raises(EvidenceError, match=r"not sealed: run-one\.jsonl: line 7"):
        seal_folder(tmp_path)
    path.write_text(good, encoding="utf-8")
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(EvidenceError, match="link is a link"):
        seal_folder(tmp_path)
    (tmp_path / "link").unlink()
    (tmp_path / "run-foreign.jsonl").write_text("x\n", encoding="utf-8")
    with pytest.raises(EvidenceError, match=r"run-foreign\.jsonl: line 1"):
        seal_folder(tmp_path)
    assert not (tmp_path / SEAL_NAME).exists()


def test_seal_waits_for_the_writer_and_for_another_command(tmp_path: Path) -> None:
    """A run that still grows would differ from its seal a moment later."""
    write_run(tmp_path, lines_of())
    writer = EvidenceWriter(tmp_path / "run-two.jsonl")
    writer.write(lines_of(name="two", begin_s=60)[0])
    with pytest.raises(EvidenceError, match="is being written"):
        seal_folder(tmp_path)
    writer.close()
    with locked(tmp_path), pytest.raises(EvidenceError, match="another command"):
        seal_folder(tmp_path)
    seal_folder(tmp_path)


BAD_SEALS = {
    "": "not JSON",
    "[]": "not one JSON object",
    '{"files":[]}': "differs",
    '{"files":[],"files":[]}': "a key stands twice",
    '{"files":[{"file":"../x","sha256":"0","bytes":1}]}': "is not a plain path below the folder",
    '{"files":[{"file":"x"}]}': "not a seal",
    '{"schema_version":2,"files":[]}': "another version",
    '{"files":[{"file":"x","sha256":"0","bytes":1},{"file":"x","sha256":"0","bytes":1}]}': "twice",
}


@pytest.mark.parametrize("text", BAD_SEALS)
def test_damaged_seal_is_named(tmp_path: Path, text: str) -> None:
    """A seal that cannot be read seals nothing."""
    write_run(tmp_path, lines_of())
    (tmp_path / SEAL_NAME).write_text(text, encoding="utf-8")
    faults = read_store(tmp_path).faults
    if text == '{"files":[]}':
        assert faults == {"run-one.jsonl": ("is not in the seal; seal the evidence again",)}
    else:
        (reasons,) = faults.values()
        assert BAD_SEALS[text] in reasons[0]


def test_seal_command_prints_the_digest(tmp_path: Path) -> None:
    """The printed digest is what a person signs or sends beside the bundle."""
    write_run(tmp_path, lines_of())
    words = [sys.executable, "-m", "trocar_lab.evidence", "seal", "--evidence", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.endswith(f"sha256 {digest((tmp_path / SEAL_NAME).read_text('utf-8'))}\n")
    (tmp_path / "run-one.jsonl").write_text("", encoding="utf-8")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


# ------------------------------------------------------------------- what V7 says


def _v7(tmp_path: Path, today: dt.date = TODAY) -> RuleResult:
    """Return the result of V7 over the folder ``ev``."""
    store = read_store(tmp_path / "ev")
    demo = seeded_project(CLEAN, Path(tempfile.mkdtemp(dir=tmp_path)))
    project = dataclasses.replace(demo, runs=store.runs, store=store, today=today)
    return run_rule(next(rule for rule in RULES if rule.rule_id == "V7"), project)


def _rows(result: RuleResult) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the red and the open rows by file."""
    return dict(result.failed), dict(result.open)


def test_unsealed_folder_is_open_and_an_empty_one_red(tmp_path: Path) -> None:
    """Development goes on without a seal; no evidence at all is not in order."""
    (tmp_path / "ev").mkdir()
    assert _v7(tmp_path).is_red
    write_run(tmp_path / "ev", lines_of())
    assert _rows(_v7(tmp_path)) == ({}, {SEAL_NAME: NOT_SEALED})
    seal_folder(tmp_path / "ev")
    assert _rows(_v7(tmp_path)) == ({}, {})


def test_files_that_are_no_runs_are_red_rows(tmp_path: Path) -> None:
    """One foreign file must not hide what the others say, nor hang the check."""
    ev = tmp_path / "ev"
    write_run(ev, lines_of())
    (ev / "run-folder.jsonl").mkdir()
    os.mkfifo(ev / "run-pipe.jsonl")
    (ev / "run-link.jsonl").symlink_to(ev / "run-one.jsonl")
    (ev / "run-text.jsonl").write_text("hello\n", encoding="utf-8")
    results: list[RuleResult] = []
    checking = threading.Thread(target=lambda: results.append(_v7(tmp_path)), daemon=True)
    checking.start()
    checking.join(60)
    failed, _ = _rows(results[0])
    assert failed == {
        "run-folder.jsonl": "is not a regular file",
        "run-pipe.jsonl": "is not a regular file",
        "run-link.jsonl": "is a link",
        "run-text.jsonl": "line 1: not JSON: Expecting value: line 1 column 1 (char 0)",
    }


def test_killed_run_is_open_with_its_count(tmp_path: Path) -> None:
    """A release waits for a run that finished; the lines that are there are evidence."""
    path = write_run(tmp_path / "ev", lines_of())
    path.write_bytes(path.read_bytes()[:-20])
    _, opened = _rows(_v7(tmp_path))
    assert opened["run-one.jsonl"].startswith("the run did not finish: 9 lines, then ")
    assert opened["run-one.jsonl"].endswith(" bytes of a line that is cut off")


def test_run_from_the_future_is_red(tmp_path: Path) -> None:
    """A run of tomorrow would stay the newest one for a day."""
    write_run(tmp_path / "ev", lines_of())
    failed, _ = _rows(_v7(tmp_path, today=dt.date(2026, 11, 20)))
    assert failed == {"run-one.jsonl": "dated 2026-11-21, in the future of 2026-11-20"}


def test_v4_names_what_a_run_is_not_bound_to(tmp_path: Path) -> None:
    """A job of a continuous integration is an operator; a machine without facts is none."""
    rule = next(rule for rule in RULES if rule.rule_id == "V4")
    project = seeded_project(CLEAN, tmp_path)
    run = project.runs[0]

    def rows(**changes: object) -> list[str]:
        """Return the reasons for a run with other fields in its identity."""
        identity = run.run.identity.model_copy(update=changes)
        line = run.run.model_copy(update={"identity": identity})
        changed: EvidenceRun = run.model_copy(update={"run": line})
        result = run_rule(rule, dataclasses.replace(project, runs=(changed,)))
        return [row.reason for row in result.open]

    assert rows() == []
    assert rows(operator="", ci="https://ci.example.org/7") == []
    assert rows(operator="") == ["not bound to operator"]
    bare = run.run.identity.platform.model_copy(update={"facts": None})
    expected = ["not bound to model packs, facts of the machine"]
    assert rows(packs=None, platform=bare) == expected
