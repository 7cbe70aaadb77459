"""The entry: every documented exit code, help for every command, and no traceback for a user."""

from __future__ import annotations

import gc
import json
import re
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

import pytest

from simulators.command_line import UNIT, Answer, CommandLine, play_instead
from simulators.media import cut_clip, write_clip, write_picture
from trocar import RESEARCH_NOTICE, __version__
from trocar.cli import commands_show, commands_stream, main, play
from trocar.contracts.errors import InvariantError, ProtocolError
from trocar.contracts.ports import FrameSource, Sink
from trocar.contracts.ports import Unit as UnitPort
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import StreamSummary

COMMANDS: Final = (
    ("demo",),
    ("run",),
    ("stream",),
    ("units",),
    ("show",),
    ("pack", "verify"),
    ("selftest",),
    ("audit", "verify"),
    ("audit", "show"),
)


def _done(trocar: CommandLine, folder: Path) -> Answer:
    return trocar.run(write_clip(folder / "clip.mp4", frame_count=2), folder / "out")


def _usage(trocar: CommandLine, folder: Path) -> Answer:
    return trocar("run", UNIT)


def _partial(trocar: CommandLine, folder: Path) -> Answer:
    write_picture(folder / "good.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return trocar.run(folder, folder / "out")


def _bad_input(trocar: CommandLine, folder: Path) -> Answer:
    (folder / "text.mp4").write_text("no video", encoding="utf-8")
    return trocar.run(folder / "text.mp4", folder / "out")


def _bad_pack(trocar: CommandLine, folder: Path) -> Answer:
    return trocar("pack", "verify", folder)


def _no_engine(trocar: CommandLine, folder: Path) -> Answer:
    return trocar("selftest", "--pack", trocar.pack, "--precision", "fp16")


def _fault(trocar: CommandLine, folder: Path) -> Answer:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands_show, "units", _raise(ZeroDivisionError("a bug")))
        return trocar("units")


def _full_disk(trocar: CommandLine, folder: Path) -> Answer:
    return trocar.stream(write_clip(folder / "clip.mp4"), "--sink", "jsonl:/dev/full")


def _lost(trocar: CommandLine, folder: Path) -> Answer:
    clip = write_clip(folder / "clip.mp4", frame_count=40, flags="faststart")
    return trocar.run(cut_clip(clip), folder / "out")


def _interrupted(trocar: CommandLine, folder: Path) -> Answer:
    real = run_stream

    def stopped(
        source: FrameSource, unit: UnitPort, sinks: list[Sink], **settings: object
    ) -> StreamSummary:
        signal.raise_signal(signal.SIGINT)
        return real(source, unit, sinks, **settings)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(play, "run_stream", stopped)
        return trocar.run(write_clip(folder / "clip.mp4"), folder / "out")


def _protocol(trocar: CommandLine, folder: Path) -> Answer:
    broken = ProtocolError("expected a header, got noise", advice="look at the peer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands_stream, "open_source", lambda *_, **__: _raise(broken)())
        return trocar.stream(
            write_clip(folder / "clip.mp4"), "--sink", f"jsonl:{folder / 'r.jsonl'}"
        )


def _changed_log(trocar: CommandLine, folder: Path) -> Answer:
    log = folder / "audit.jsonl"
    log.write_bytes(b"a note\n")
    log.chmod(0o600)
    return trocar.run(write_clip(folder / "clip.mp4"), folder / "out", "--audit", log)


SITUATIONS: Final[dict[int, Callable[[CommandLine, Path], Answer]]] = {
    0: _done,
    2: _usage,
    3: _partial,
    65: _bad_input,
    66: _bad_pack,
    69: _no_engine,
    70: _fault,
    73: _full_disk,
    74: _lost,
    76: _protocol,
    78: _changed_log,
    130: _interrupted,
}


def _raise(error: BaseException) -> Callable[..., NoReturn]:
    """Return a function that raises."""

    def raising(*_: object) -> NoReturn:
        raise error

    return raising


@pytest.mark.verifies("SRS_CLI_002", "UNIT_CLI_MAIN", extent="full", technique="requirement")
@pytest.mark.parametrize("code", SITUATIONS)
def test_each_documented_code_is_reached(trocar: CommandLine, tmp_path: Path, code: int) -> None:
    """A script that waits for a code that never comes is worse off than without one."""
    answer = SITUATIONS[code](trocar, tmp_path)
    assert answer.code == code, answer.err
    if code >= 65 and code not in {70, 130}:
        answer.require_clean_error(code, re.findall(r"error (\w+):", answer.err)[0])


@pytest.mark.verifies("SRS_CLI_002", extent="partial", technique="inspection")
def test_documentation_lists_exactly_these_codes() -> None:
    """The list in the help of the module is the one that people copy."""
    documented = re.findall(r"(?:^|[;:]\s)(\d+) [a-z]", str(main.__doc__))
    assert {int(code) for code in documented} == set(SITUATIONS)


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="fault_injection")
def test_fault_of_trocar_says_so_and_keeps_its_place_for_the_report(
    trocar: CommandLine, tmp_path: Path
) -> None:
    """The person sees two lines; the log, one JSON line, holds what a developer needs."""
    answer = _fault(trocar, tmp_path)
    assert "error INVARIANT: unexpected ZeroDivisionError: a bug" in answer.err
    assert "what to do: this is a fault of Trocar" in answer.err
    assert not any(line.startswith("Traceback") for line in answer.err.splitlines())
    assert "ZeroDivisionError" in answer.err.splitlines()[1]
    assert answer.out == ""


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="fault_injection")
@pytest.mark.verifies("SRS_LOG_001", extent="partial", technique="fault_injection")
def test_broken_invariant_leaves_its_place_in_the_log(
    trocar: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check of our own that fails is reported like any other fault of Trocar, with its place."""
    broken = InvariantError("two masks for one frame", advice="report it")
    monkeypatch.setattr(commands_show, "units", _raise(broken))
    answer = trocar("units")
    _, logged, *shown = answer.err.splitlines()
    assert answer.code == InvariantError.exit_code
    assert json.loads(logged)["event"] == "invariant"
    assert "test_main.py" in json.loads(logged)["exception"]
    assert shown == ["error INVARIANT: two masks for one frame", "  what to do: report it"]


@pytest.mark.verifies("SRS_CLI_001", extent="partial", technique="requirement")
def test_file_itself_runs_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Started as a file it ends with the exit code of the command, not with 0 for everything."""
    monkeypatch.setattr(sys, "argv", ["trocar", "run"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(main.__file__), run_name="__main__")
    assert ended.value.code == 2
    assert RESEARCH_NOTICE in capsys.readouterr().err


@pytest.mark.verifies("SRS_START_004", extent="partial", technique="equivalence")
@pytest.mark.parametrize("is_on", [True, False])
def test_collector_of_cycles_is_as_it_was_when_a_command_runs(
    trocar: CommandLine, monkeypatch: pytest.MonkeyPatch, *, is_on: bool
) -> None:
    """It pauses for the imports of a start; left off, a stream of hours would fill the memory."""
    seen: list[bool] = []

    def look(*_: object) -> int:
        seen.append(gc.isenabled())
        return 0

    monkeypatch.setattr(commands_show, "units", look)
    if not is_on:
        gc.disable()
    try:
        assert trocar("units").code == 0
    finally:
        gc.enable()
    assert seen == [is_on]


@pytest.mark.verifies("SRS_CLI_002", extent="partial", technique="fault_injection")
def test_interrupt_before_the_run_ends_without_traceback(
    trocar: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the pack is read."""
    monkeypatch.setattr(commands_show, "units", _raise(KeyboardInterrupt()))
    answer = trocar("units")
    assert answer.code == 130
    assert "nothing was written" in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.verifies("SRS_CLI_001", "SRS_INSTALL_001", extent="partial", technique="requirement")
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_command_has_help(trocar: CommandLine, words: tuple[str, ...]) -> None:
    """Nobody should have to read source to type a command."""
    answer = trocar(*words, "--help")
    assert answer.code == 0
    assert f"usage: trocar {' '.join(words)}" in answer.out
    assert "--json" in answer.out


@pytest.mark.verifies("SRS_CLI_001", "SRS_NOTICE_001", extent="partial", technique="example")
def test_without_a_command_the_help_lists_all(trocar: CommandLine) -> None:
    """The first thing that a new user types."""
    answer = trocar()
    assert answer.code == 2
    for words in COMMANDS:
        assert f"    {words[0]} " in answer.out
    assert "start with: trocar demo" in answer.out
    assert RESEARCH_NOTICE in " ".join(answer.out.split())


@pytest.mark.verifies("SRS_MAINT_001", extent="partial", technique="requirement")
def test_version_is_shown(trocar: CommandLine) -> None:
    """A report of a fault begins with it."""
    assert trocar("--version").out == f"trocar {__version__}\n"


@pytest.mark.verifies("SRS_CLI_002", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("run", UNIT, "x"),
        ("stream", UNIT, "--source", "file:x"),
        ("stream", UNIT, "--sink", "jsonl:x"),
        ("stream", UNIT, "--source", "file:x", "--sink", "jsonl:x", "--loop", "often"),
        ("selftest", "--engine", "tensorflow"),
        ("selftest", "--threads", "0"),
        ("selftest", "--threads", "65"),
        ("pack",),
        ("show",),
    ],
    ids=" ".join,
)
def test_wrong_command_line_is_usage(trocar: CommandLine, words: tuple[str, ...]) -> None:
    """Usage goes to standard error; standard output stays empty for whoever reads it."""
    answer = trocar(*words)
    assert answer.code == 2
    assert "usage: trocar" in answer.err
    assert answer.out == ""


@pytest.mark.verifies("SRS_CLI_006", "SRS_ERROR_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    "name",
    ["still\x1b[2K\rsound\nmasks\x7f.png", "\u202egnp.evil.png"],
    ids=["control characters", "direction of writing"],
)
def test_name_that_steers_a_terminal_is_shown_as_text(
    trocar: CommandLine, tmp_path: Path, name: str
) -> None:
    """A run on it, the refusal of it, and what the machine gets: no byte of it is obeyed."""
    write_picture(tmp_path / "plain.png")
    plain = trocar.run(tmp_path / "plain.png", tmp_path / "plain")
    still = (tmp_path / "plain.png").rename(tmp_path / name)
    answers = [
        trocar.run(still, tmp_path / "out"),
        trocar.run(tmp_path / f"missing{name}", tmp_path / "none"),
        trocar.run(still, tmp_path / "out", "--replace", "--json"),
    ]
    assert [answer.code for answer in answers] == [0, 65, 0]
    for answer in answers:
        assert (answer.out + answer.err).replace("\n", "").isprintable()
    assert repr(name)[1:-1] in answers[0].out
    assert len(answers[0].out.splitlines()) == len(plain.out.splitlines())
    answers[1].require_clean_error(65, "CONTRACT")
    assert len(answers[1].err.splitlines()) == 3
    assert answers[2].fields["runs"][0]["name"] == name


@pytest.mark.verifies("SRS_CLI_006", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    "words",
    [
        ("run", UNIT, "x", "-o", "y", "left\x1b[2Kover"),
        ("selftest", "--engine", "\x1b[2K"),
        ("\x1b[2K",),
        ("stream", UNIT, "--source", "file:x", "--sink", "jsonl:x", "--loop", "\x1b[2K"),
        ("selftest", "--\x1b[2K=1"),
    ],
    ids=ascii,
)
def test_usage_error_repeats_no_word_as_it_stands(
    trocar: CommandLine, words: tuple[str, ...]
) -> None:
    """A script that passes on a name with a blank in it must not hand the terminal over."""
    answer = trocar(*words)
    assert answer.code == 2
    assert r"\x1b[2K" in answer.err
    assert answer.err.replace("\n", "").isprintable()


@pytest.mark.verifies("SRS_CLI_004", "SRS_NOTICE_001", extent="full", technique="requirement")
@pytest.mark.proves_effect(
    "RCM_NOTICE_001",
    measure="commands and results without the notice",
    acceptance="0 of 7 commands, as text and as JSON",
)
def test_each_command_gives_one_object_and_the_notice(
    trocar: CommandLine, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--json`` must be fit for a pipe, and the notice must not be lost in one."""
    play_instead(monkeypatch, clip)
    pack = ("--pack", trocar.pack)
    commands: list[tuple[object, ...]] = [
        ("demo", "-o", tmp_path / "demo", *pack),
        ("run", UNIT, clip, "-o", tmp_path / "run", "--replace", *pack),
        ("stream", UNIT, "--source", f"file:{clip}", "--sink", "jsonl:/dev/null", *pack),
        ("units",),
        ("show", UNIT, *pack),
        ("pack", "verify", trocar.pack),
        ("selftest", *pack),
    ]
    for words in commands:
        for answer in (trocar(*words), trocar(*words, "--json")):
            assert answer.code == 0, answer.err
            assert answer.err.startswith(f"trocar {__version__} - {RESEARCH_NOTICE}\n")
        assert answer.fields["notice"] == RESEARCH_NOTICE
        assert answer.fields["trocar"] == __version__
