"""The command that runs units on a stream: addresses, sinks, account, several units."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulators.command_line import UNIT, CommandLine, lines_of
from simulators.media import decoded


@pytest.mark.verifies("SRS_CLI_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("words", "code", "name"),
    [
        (("--source", "webrtc:camera", "--sink", "jsonl:{out}/r.jsonl"), 65, "CONTRACT"),
        (("--source", "{clip}", "--sink", "jsonl:{out}/r.jsonl"), 65, "CONTRACT"),
        (("--source", "file:{clip}x", "--sink", "jsonl:{out}/r.jsonl"), 65, "DECODE"),
        (("--source", "file:{clip}", "--sink", "{out}/r.jsonl"), 65, "CONTRACT"),
        (("--source", "file:{clip}", "--sink", "webrtc:x"), 65, "CONTRACT"),
        (("--source", "file:{clip}", "--sink", "jsonl:{out}/no/r.jsonl"), 73, "SINK"),
        (("--source", "file:{clip}", "--sink", "mp4:{out}/no/o.mp4"), 73, "SINK"),
        (("--source", "file:{clip}", "--sink", "latency:{out}/no"), 73, "SINK"),
        (
            ("--source", "file:{clip}", "--sink", "jsonl:{out}/r", "--deadline-ms", "0"),
            65,
            "CONTRACT",
        ),
        (
            ("--source", "file:{clip}", "--sink", "jsonl:{out}/r", "--deadline-ms", "60001"),
            65,
            "CONTRACT",
        ),
        (("--source", "file:{clip}", "--sink", "jsonl:{out}/r", "--loop", "0"), 65, "CONTRACT"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_address_or_number_ends_before_the_first_frame(
    trocar: CommandLine,
    clip: Path,
    tmp_path: Path,
    *,
    words: tuple[str, ...],
    code: int,
    name: str,
) -> None:
    """A live case must not begin with a mistake that shows at its end."""
    filled = [word.format(clip=clip, out=tmp_path) for word in words]
    answer = trocar("stream", UNIT, "--pack", trocar.pack, *filled)
    answer.require_clean_error(code, name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="fault_injection")
def test_second_sink_that_fails_to_open_closes_the_first(
    trocar: CommandLine, clip: Path, tmp_path: Path
) -> None:
    """No half-begun output, no thread that is left behind."""
    answer = trocar.stream(
        clip, "--sink", f"mp4:{tmp_path / 'o.mp4'}", "--sink", f"jsonl:{tmp_path / 'no' / 'r'}"
    )
    answer.require_clean_error(73, "SINK")


@pytest.mark.verifies("SRS_STREAM_001", "SRS_STREAM_003", extent="partial", technique="example")
def test_stream_writes_to_every_sink(trocar: CommandLine, clip: Path, tmp_path: Path) -> None:
    """All four kinds at once, in real time and twice around."""
    answer = trocar(
        *("stream", UNIT, "--source", f"file:{clip}", "--pack", trocar.pack, "--loop", 2),
        *("--sink", f"mp4:{tmp_path / 'o.mp4'}", "--sink", f"jsonl:{tmp_path / 'r.jsonl'}"),
        *("--sink", f"latency:{tmp_path}", "--sink", f"masks:{tmp_path / 'masks'}"),
        *("--deadline-ms", 5000, "--json"),
    )
    assert answer.code == 0, answer.err
    summary = answer.fields["runs"][0]["summary"]
    lines = lines_of(tmp_path / "r.jsonl")
    assert summary["received_count"] == 24
    assert summary["answered_count"] == len(lines)
    assert {line["verdict"] for line in lines} <= {"met", "missed"}
    assert len(list((tmp_path / "masks").iterdir())) == summary["finding_count"]
    assert (tmp_path / "latency.html").exists()
    assert len(decoded(tmp_path / "o.mp4")) > 0


@pytest.mark.verifies(
    "SRS_CLI_007", "UNIT_CLI_COMMANDS_STREAM", extent="full", technique="requirement"
)
def test_account_of_a_stream_names_units_inputs_and_every_dropped_frame(
    trocar: CommandLine, clip: Path, tmp_path: Path
) -> None:
    """What was printed stands in a file, with the list of frames that nobody answered."""
    answer = trocar.stream(
        clip, "--sink", f"jsonl:{tmp_path / 'r.jsonl'}", "--account", tmp_path / "account", "--json"
    )
    assert answer.code == 0, answer.err
    account = json.loads((tmp_path / "account" / "run.json").read_text(encoding="utf-8"))
    assert account["summary"] == answer.fields["runs"][0]["summary"]
    assert [unit["unit"] for unit in account["units"]] == [UNIT]
    assert account["inputs"][0]["name"] == clip.name
    dropped = (tmp_path / "account" / "dropped_frames.csv").read_text(encoding="utf-8")
    assert dropped.startswith("frame_index,captured_at_ns,reason\n")


@pytest.mark.verifies("SRS_CLI_007", "SRS_SINK_006", extent="partial", technique="fault_injection")
def test_account_of_another_stream_is_not_written_over(
    trocar: CommandLine, clip: Path, tmp_path: Path
) -> None:
    """Two runs in one folder would share one account."""
    words = ("--account", tmp_path / "account")
    first = trocar.stream(clip, "--sink", f"jsonl:{tmp_path / 'a.jsonl'}", *words)
    assert first.code == 0, first.err
    kept = (tmp_path / "account" / "run.json").read_bytes()
    second = trocar.stream(clip, "--sink", f"jsonl:{tmp_path / 'b.jsonl'}", *words)
    second.require_clean_error(73, "SINK")
    assert (tmp_path / "account" / "run.json").read_bytes() == kept
    assert not (tmp_path / "b.jsonl").exists()


@pytest.mark.verifies("SRS_LIVE_001", extent="partial", technique="boundary")
def test_unit_named_twice_is_refused(trocar: CommandLine, clip: Path, tmp_path: Path) -> None:
    """Two records of one name for one frame could not be told apart."""
    answer = trocar.stream(clip, "--sink", f"jsonl:{tmp_path / 'r.jsonl'}", "--also", UNIT)
    answer.require_clean_error(65, "CONTRACT")
    assert list(tmp_path.iterdir()) == []
