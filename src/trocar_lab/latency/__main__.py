"""``python -m trocar_lab.latency``: record a bundle, verify it, show it as a page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trocar import RESEARCH_NOTICE
from trocar.apps.endoscopy import SHIPPED_PACK
from trocar.backends.request import Engine, Precision
from trocar.contracts.errors import TrocarError
from trocar.units.polyp_segmentation.contract import UNIT_NAME
from trocar_lab.latency.budgets import BUDGETS_PATH, load_budgets
from trocar_lab.latency.bundle import read_bundle
from trocar_lab.latency.page import page_of
from trocar_lab.latency.record import record_bundle
from trocar_lab.latency.reports import Verdict
from trocar_lab.latency.settings import Arm, RecordSettings
from trocar_lab.latency.text import text_of
from trocar_lab.latency.verify import judge, verify_bundle
from trocar_lab.latency.worker import Job, run_job, run_load

EXIT_CODES: Final = {
    Verdict.PASS: 0,
    Verdict.FAIL: 1,
    Verdict.INSUFFICIENT: 3,
    Verdict.INVALID: 4,
}
_DEFAULTS: Final = RecordSettings()


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = _parser().parse_args(arguments)
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "record": _record,
        "verify": _verify,
        "report": _report,
        "worker": _worker,
        "load": _load,
    }
    try:
        return commands[options.command](options)
    except TrocarError as exc:
        print(exc.diagnostics(), file=sys.stderr)
        return exc.exit_code


def _parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="python -m trocar_lab.latency", description=f"{__doc__} {RESEARCH_NOTICE}."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="record|verify|report")
    _add_record(commands.add_parser("record", help="record a bundle on this machine"))
    for name, what in (("verify", "verify a bundle"), ("report", "write a bundle's page")):
        command = commands.add_parser(name, help=what)
        command.add_argument("bundle", type=Path, help="folder of the bundle")
        command.add_argument("--budgets", type=Path, default=BUDGETS_PATH, help="limits (TOML)")
        command.add_argument(
            "--repository", type=Path, help="repository whose history must hold the commit"
        )
        if name == "verify":
            command.add_argument("--json", action="store_true", help="print one JSON object")
        else:
            command.add_argument("-o", "--output", type=Path, required=True, help="HTML file")
    # Two commands that record starts by itself; they stay out of the help.
    for name in ("worker", "load"):
        commands.add_parser(name).add_argument("job", type=Path)
    return parser


def _add_record(command: argparse.ArgumentParser) -> None:
    """Add the options of ``record``."""
    command.add_argument("--unit", choices=[UNIT_NAME], default=UNIT_NAME)
    command.add_argument("--pack", type=Path, default=SHIPPED_PACK, help="folder of the pack")
    command.add_argument("--engine", type=Engine, choices=list(Engine), default=_DEFAULTS.engine)
    command.add_argument(
        "--precision", type=Precision, choices=list(Precision), default=_DEFAULTS.precision
    )
    command.add_argument("--arms", default=",".join(arm.value for arm in Arm))
    command.add_argument("--operator", default="unattended", help="who records")
    command.add_argument("--wheel", type=Path, help="the wheel that is installed")
    command.add_argument("-o", "--output", type=Path, required=True, help="folder of the bundle")
    for option, default, what in (
        ("--threads", _DEFAULTS.thread_count, "threads inside one call"),
        ("--frames", _DEFAULTS.frame_count, "timed frames of each run"),
        ("--fps", _DEFAULTS.fps, "rate of the source"),
        ("--height", _DEFAULTS.height_px, "height of a frame"),
        ("--width", _DEFAULTS.width_px, "width of a frame"),
        ("--deadline-ms", _DEFAULTS.deadline_ms, "age above which a frame is a miss"),
        ("--runs", _DEFAULTS.run_count, "fresh processes of each arm"),
        ("--warm-up-frames", _DEFAULTS.warm_up_frame_count, "least frames before the timed ones"),
        ("--warm-up-block", _DEFAULTS.warm_up_block, "frames in a block of the stability rule"),
        ("--warm-up-blocks-max", _DEFAULTS.warm_up_block_count_max, "bound of the warm-up"),
        ("--gap-s", _DEFAULTS.gap_s, "pause of the idle-gap arm"),
        ("--seed", _DEFAULTS.seed, "seed of arm order and texture"),
    ):
        command.add_argument(option, type=int, default=default, help=f"{what} ({default})")


def _record(options: argparse.Namespace) -> int:
    """Record a bundle."""
    try:
        settings = RecordSettings(
            unit=options.unit,
            engine=options.engine,
            precision=options.precision,
            thread_count=options.threads,
            frame_count=options.frames,
            fps=options.fps,
            height_px=options.height,
            width_px=options.width,
            deadline_ms=options.deadline_ms,
            arms=tuple(Arm(name) for name in options.arms.split(",")),
            run_count=options.runs,
            warm_up_frame_count=options.warm_up_frames,
            warm_up_block=options.warm_up_block,
            warm_up_block_count_max=options.warm_up_blocks_max,
            gap_s=options.gap_s,
            seed=options.seed,
        )
    except ValueError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    digest = record_bundle(
        options.output,
        settings,
        pack=options.pack,
        operator=options.operator,
        wheel=options.wheel,
        tell=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(f"bundle {options.output}\nsha256 {digest}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    """Verify a bundle and print what was found."""
    report = verify_bundle(
        options.bundle, load_budgets(options.budgets), repository=options.repository
    )
    print(report.model_dump_json(indent=2) if options.json else text_of(report))
    return EXIT_CODES[report.verdict]


def _report(options: argparse.Namespace) -> int:
    """Write the page of a bundle."""
    bundle = read_bundle(options.bundle)
    report = judge(bundle, load_budgets(options.budgets), repository=options.repository)
    options.output.write_text(page_of(report, bundle), encoding="utf-8")
    print(f"{report.verdict} ({report.label}): {options.output}")
    return EXIT_CODES[report.verdict]


def _worker(options: argparse.Namespace) -> int:
    """Record one run; started by ``record``."""
    run_job(Job.model_validate_json(options.job.read_bytes()))
    return 0


def _load(options: argparse.Namespace) -> int:
    """Be the second instance; started by ``record``."""
    run_load(Job.model_validate_json(options.job.read_bytes()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
