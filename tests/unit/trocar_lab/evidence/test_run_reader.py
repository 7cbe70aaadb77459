"""Damage of an evidence file has a name and a line; no byte of it goes unseen."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from simulators.evidence_runs import lines_of, rechain, write_run
from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.store.evidence_record import EvidenceRun
from trocar_lab.evidence.store.run_reader import (
    FAULTS_SHOWN,
    FILE_BYTES_MAX,
    LINE_BYTES_MAX,
    read_run,
)

CHAIN = "was changed or does not follow the line before it"


def _texts(path: Path) -> list[str]:
    """Return the lines of a file with their ends."""
    return path.read_text(encoding="utf-8").splitlines(keepends=True)


DAMAGE: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "changed": (lambda t: [*t[:7], t[7].replace("passed", "failed"), *t[8:]], "line 8: " + CHAIN),
    "last line changed": (lambda t: [*t[:-1], t[-1].replace(":3}", ":4}")], CHAIN),
    "first line changed": (lambda t: [t[0].replace("Demo Op", "Demo Up"), *t[1:]], "line 1: "),
    "lost": (lambda t: [*t[:7], *t[8:]], "line 8: " + CHAIN),
    "reordered": (lambda t: [*t[:7], t[8], t[7], *t[9:]], "line 8: " + CHAIN),
    "inserted": (lambda t: [*t[:8], t[7], *t[8:]], "line 9: " + CHAIN),
    "outcome twice": (lambda t: [*t[:8], t[7], *t[8:]], "has an outcome twice"),
    "node twice": (lambda t: [*t[:5], t[4], *t[5:]], "is collected twice"),
    "need twice": (lambda t: [*t[:3], t[2], *t[3:]], "SYS_DEMO_001 stands twice"),
    "outcome of no node": (lambda t: [*t[:4], *t[5:]], "was not collected"),
    "need lost": (lambda t: [*t[:2], *t[3:]], "rests on SYS_DEMO_001, which no line holds"),
    "second begin": (lambda t: [*t, t[0]], "a second run line"),
    "after the end": (lambda t: [*t, t[-2]], "stands after the end line"),
    "blank line": (lambda t: [*t[:7], "\n", *t[7:]], "line 8: not JSON"),
    "no JSON": (lambda t: [*t[:7], "hello\n", *t[7:]], "line 8: not JSON"),
    "two values": (lambda t: [*t[:7], "{} {}\n", *t[7:]], "line 8: not one JSON object"),
    "an array": (lambda t: [*t[:7], "[1]\n", *t[7:]], "line 8: not one JSON object"),
    "foreign": (lambda t: [*t[:7], '{"a":1}\n', *t[7:]], "line 8: has no link"),
    "foreign kind": (
        lambda t: [*t[:7], f'{{"link_sha256":"{"0" * 64}","kind":"x"}}\n', *t[7:]],
        "line 8: 'x' is no kind of evidence line",
    ),
    "key twice": (
        lambda t: [*t[:7], t[7].replace('"outcome":', '"outcome":"failed","outcome":'), *t[8:]],
        "line 8: a key stands twice",
    ),
    "no number": (
        lambda t: [*t[:7], t[7].replace("0.25", "NaN"), *t[8:]],
        "line 8: NaN is no JSON number",
    ),
    "too large a number": (
        lambda t: [*t[:7], t[7].replace("0.25", "1e999"), *t[8:]],
        "line 8: outcome: not the shape",
    ),
    "digits without end": (
        lambda t: [*t[:7], t[7].replace("0.25", "1" * 5000), *t[8:]],
        "line 8: not JSON",
    ),
    "too deep": (lambda t: [*t[:7], "[" * 100_000 + "\n", *t[7:]], "line 8: not JSON"),
    "half a character": (
        lambda t: [*t[:7], t[7].replace("test_1", "\\ud800"), *t[8:]],
        "line 8: not UTF-8",
    ),
    "NUL": (lambda t: [*t[:7], t[7].replace("test_1", "\0"), *t[8:]], "line 8: not JSON"),
    "unknown key": (
        lambda t: [*t[:7], t[7].replace('"kind"', '"extra":1,"kind"'), *t[8:]],
        "line 8: outcome: not the shape",
    ),
    "unknown outcome": (
        lambda t: [*t[:7], t[7].replace('"outcome":"passed"', '"outcome":"fine"'), *t[8:]],
        "line 8: outcome: not the shape",
    ),
    "missing value": (
        lambda t: [*t[:7], t[7].replace('"duration_s":0.25,', ""), *t[8:]],
        "line 8: outcome: no duration_s",
    ),
    "two phases": (
        lambda t: [*t[:7], t[7].replace('"passed","passed","passed"', '"passed","passed"'), *t[8:]],
        "line 8: outcome: not the shape",
    ),
    "other type": (
        lambda t: [*t[:7], t[7].replace("0.25", "true"), *t[8:]],
        "line 8: outcome: not the shape",
    ),
    "end counts otherwise": (lambda t: [*t[:8], *t[9:]], "the end line counts 3 outcomes, 2 are"),
}


@pytest.mark.verifies("SRS_TRACE_015", "SRS_TRACE_017", extent="full", technique="fault_injection")
@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    """Who reads the verdict must find the place; nothing of it may look like evidence."""
    edit, words = DAMAGE[name]
    path = write_run(tmp_path, lines_of())
    before = _texts(path)
    changed = edit(before)
    assert changed != before
    path.write_text("".join(changed), encoding="utf-8", errors="surrogatepass")
    faults = read_run(path).faults
    assert any(words in fault for fault in faults), faults


NO_RUN = {
    b"": "run-x.jsonl: holds no whole line",
    b'{"half': "run-x.jsonl: holds no whole line",
    b"\n": "line 1: not JSON",
    b"hello\n": "line 1: not JSON",
    b"{}\n": "line 1: 'None' is no kind of evidence line",
    b'{"kind":"run"}\n': "line 1: started: Field required",
    b'{"event":"started"}\n': "line 1: 'None' is no kind",
    b"\xff\xfe\n": "line 1: not UTF-8",
    b"\0\0\0\0\n": "line 1: not JSON",
    b'{"kind":["run"]}\n': "is no kind of evidence line",
}


@pytest.mark.parametrize("data", NO_RUN)
def test_file_that_is_no_run_is_an_error(tmp_path: Path, data: bytes) -> None:
    """A foreign file is refused as a whole, in one line."""
    path = tmp_path / "run-x.jsonl"
    path.write_bytes(data)
    with pytest.raises(EvidenceError) as caught:
        read_run(path)
    assert NO_RUN[data] in str(caught.value)


def test_later_version_is_refused(tmp_path: Path) -> None:
    """What a later version means is not guessed."""
    path = write_run(tmp_path, lines_of())
    rechain(path, lambda rows: rows[0].update(schema_version=3))
    with pytest.raises(EvidenceError, match="line 1: version 3 of the format is not known"):
        read_run(path)
    rechain(path, lambda rows: rows[0].update(schema_version=2, run_id=""))
    with pytest.raises(EvidenceError, match="no run_id"):
        read_run(path)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    """A pipe would be waited for without end, and a link shows what another may exchange."""
    (tmp_path / "run-folder.jsonl").mkdir()
    os.mkfifo(tmp_path / "run-pipe.jsonl")
    (tmp_path / "run-link.jsonl").symlink_to(write_run(tmp_path, lines_of()))
    (tmp_path / "run-loop.jsonl").symlink_to(tmp_path / "run-loop.jsonl")
    for name, words in {
        "folder": "is not a regular file",
        "pipe": "is not a regular file",
        "link": "is a link",
        "loop": "is a link",
        "none": "cannot be opened",
    }.items():
        with pytest.raises(EvidenceError, match=f"run-{name}.jsonl: {words}"):
            read_run(tmp_path / f"run-{name}.jsonl")


def test_very_long_line_is_not_read(tmp_path: Path) -> None:
    """A hundred megabytes without an end would fill the memory; the bound is named."""
    path = write_run(tmp_path, lines_of())
    size = path.stat().st_size
    with path.open("r+b") as stream:
        stream.truncate(size + 100_000_000)
    run = read_run(path)
    (fault,) = run.faults
    assert fault == f"line 11: longer than {LINE_BYTES_MAX} bytes; nothing more was read"
    with path.open("r+b") as stream:
        stream.truncate(FILE_BYTES_MAX + 1)
    with pytest.raises(EvidenceError, match="is larger than"):
        read_run(path)


def test_very_many_faults_are_counted(tmp_path: Path) -> None:
    """A list of a thousand faults is read by nobody, and a hundred thousand fill the memory."""
    path = write_run(tmp_path, lines_of())
    with path.open("ab") as stream:
        stream.write(b"x\n" * 500)
    faults = read_run(path).faults
    assert len(faults) == FAULTS_SHOWN + 1
    assert faults[-1] == "480 more faults"


def _read(path: Path) -> EvidenceRun | EvidenceError:
    """Return the run or why there is none."""
    try:
        return read_run(path)
    except EvidenceError as exc:
        return exc


@pytest.mark.verifies("SRS_TRACE_017", extent="partial", technique="property")
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.integers(min_value=0), value=st.integers(min_value=1, max_value=255))
@example(place=-1, value=0x2A)
@example(place=-2, value=0x01)
def test_no_flipped_byte_goes_unseen(tmp_path: Path, place: int, value: int) -> None:
    """Any byte that differs is a named fault, or a run that did not finish; never a traceback."""
    path = write_run(tmp_path, lines_of(2))
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= value
    path.write_bytes(data)
    found = _read(path)
    if isinstance(found, EvidenceRun):
        assert found.faults or not found.finished
    else:
        assert "run-one.jsonl" in str(found)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(begin=st.integers(0, 5000), length=st.integers(1, 400), new=st.binary(max_size=400))
def test_no_exchanged_stretch_goes_unseen(
    tmp_path: Path, begin: int, length: int, new: bytes
) -> None:
    """The same for a stretch that was cut out, put in or exchanged."""
    path = write_run(tmp_path, lines_of(2))
    data = path.read_bytes()
    begin %= len(data)
    changed = data[:begin] + new + data[begin + length :]
    path.write_bytes(changed)
    found = _read(path)
    if isinstance(found, EvidenceRun):
        assert changed == data or found.faults or not found.finished
