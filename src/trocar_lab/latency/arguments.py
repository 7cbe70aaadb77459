"""Words of the command line, and the settings that they ask for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from trocar import RESEARCH_NOTICE
from trocar.backends.choices import Engine, Precision
from trocar_lab.latency.budgets import BUDGETS_PATH
from trocar_lab.latency.settings import Arm, RecordSettings
from trocar_lab.latency.soak_plan import SoakPlan
from trocar_lab.latency.units_under_test import unit_names

_DEFAULTS: Final = RecordSettings()
_Option = tuple[str, int, str]
_SOURCE: Final[Sequence[_Option]] = (
    ("--threads", _DEFAULTS.thread_count, "threads inside one call"),
    ("--fps", _DEFAULTS.fps, "rate of the source"),
    ("--height", _DEFAULTS.height_px, "height of a frame"),
    ("--width", _DEFAULTS.width_px, "width of a frame"),
    ("--deadline-ms", _DEFAULTS.deadline_ms, "age above which a frame is a miss"),
    ("--seed", _DEFAULTS.seed, "seed of arm order and texture"),
)
_RUNS: Final[Sequence[_Option]] = (
    ("--frames", _DEFAULTS.frame_count, "timed frames of each run"),
    ("--runs", _DEFAULTS.run_count, "fresh processes of each arm"),
    ("--warm-up-frames", _DEFAULTS.warm_up_frame_count, "least frames before the timed ones"),
    ("--warm-up-block", _DEFAULTS.warm_up_block, "frames in a block of the stability rule"),
    ("--warm-up-blocks-max", _DEFAULTS.warm_up_block_count_max, "bound of the warm-up"),
    ("--gap-s", _DEFAULTS.gap_s, "pause of the idle-gap arm"),
    ("--stretch", _DEFAULTS.stretch, "frames between two pauses of that arm"),
)


def parser_of(description: str) -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="python -m trocar_lab.latency", description=f"{description} {RESEARCH_NOTICE}."
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="record|verify|report|soak|verify-soak"
    )
    record = commands.add_parser("record", help="record a bundle on this machine")
    _add_workload(record, (*_SOURCE, *_RUNS))
    record.add_argument("--arms", default=",".join(arm.value for arm in Arm))
    for name, what in (("verify", "verify a bundle"), ("report", "write a bundle's page")):
        command = commands.add_parser(name, help=what)
        _add_bundle(command)
        command.add_argument(
            "--repository", type=Path, help="repository whose history must hold the commit"
        )
        if name == "verify":
            command.add_argument("--json", action="store_true", help="print one JSON object")
        else:
            command.add_argument("-o", "--output", type=Path, required=True, help="HTML file")
    soak = commands.add_parser("soak", help="record a soak and judge it")
    _add_workload(soak, _SOURCE)
    soak.add_argument("--minutes", type=float, default=60.0, help="time after the warm-up (60)")
    soak.add_argument("--warm-up-minutes", type=float, default=3.0, help="time before it (3)")
    soak.add_argument("--budgets", type=Path, default=BUDGETS_PATH, help="limits (TOML)")
    verify_soak = commands.add_parser("verify-soak", help="verify a soak")
    _add_bundle(verify_soak)
    verify_soak.add_argument("--json", action="store_true", help="print one JSON object")
    # Commands that the others start by themselves; they stay out of the help.
    for name in ("worker", "load", "soak-worker"):
        commands.add_parser(name).add_argument("job", type=Path)
    return parser


def _add_bundle(command: argparse.ArgumentParser) -> None:
    """Add the options of a command that reads a bundle."""
    command.add_argument("bundle", type=Path, help="folder of the bundle")
    command.add_argument("--budgets", type=Path, default=BUDGETS_PATH, help="limits (TOML)")


def _add_workload(command: argparse.ArgumentParser, options: Sequence[_Option]) -> None:
    """Add what runs: units, pack, engine, rate and size."""
    command.add_argument(
        "--unit",
        action="append",
        choices=unit_names(),
        help=f"unit ({_DEFAULTS.unit}); where given again, each answers for the same frames",
    )
    command.add_argument("--pack", type=Path, help="folder of the first unit's pack")
    command.add_argument("--trust", type=Path, help="trusted keys and approved packs of a site")
    command.add_argument("--engine", type=Engine, choices=list(Engine), default=_DEFAULTS.engine)
    command.add_argument(
        "--precision", type=Precision, choices=list(Precision), default=_DEFAULTS.precision
    )
    command.add_argument("--operator", default="unattended", help="who records, and what else runs")
    command.add_argument("--wheel", type=Path, help="the wheel that is installed")
    command.add_argument("-o", "--output", type=Path, required=True, help="folder of the bundle")
    for option, default, what in options:
        command.add_argument(option, type=int, default=default, help=f"{what} ({default})")


def record_settings(options: argparse.Namespace) -> RecordSettings:
    """Return what ``record`` is asked for.

    Raises:
        ValueError: An option is out of its range.
    """
    return RecordSettings(
        **_workload(options),
        frame_count=options.frames,
        arms=tuple(Arm(name) for name in options.arms.split(",")),
        run_count=options.runs,
        warm_up_frame_count=options.warm_up_frames,
        warm_up_block=options.warm_up_block,
        warm_up_block_count_max=options.warm_up_blocks_max,
        gap_s=options.gap_s,
        stretch=options.stretch,
    )


def soak_plan(options: argparse.Namespace) -> SoakPlan:
    """Return what ``soak`` is asked for.

    Raises:
        ValueError: An option is out of its range.
    """
    warm_up_s, timed_s = round(60 * options.warm_up_minutes), round(60 * options.minutes)
    settings = RecordSettings(
        **_workload(options),
        frame_count=options.fps * (warm_up_s + timed_s),
        arms=(Arm.IDLE,),
        run_count=1,
    )
    return SoakPlan(settings=settings, warm_up_s=warm_up_s, timed_s=timed_s)


def _workload(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that ``record`` and ``soak`` share."""
    first, *beside = options.unit or [_DEFAULTS.unit]
    return {
        "unit": first,
        "units_beside": tuple(beside),
        "engine": options.engine,
        "precision": options.precision,
        "thread_count": options.threads,
        "fps": options.fps,
        "height_px": options.height,
        "width_px": options.width,
        "deadline_ms": options.deadline_ms,
        "seed": options.seed,
    }
