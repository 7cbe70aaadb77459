"""``python -m trocar_lab.latency``: record bundles and soaks, verify them, show them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Final

from trocar.contracts.errors import TrocarError
from trocar_lab.latency.arguments import parser_of, record_settings, soak_plan
from trocar_lab.latency.budgets import load_budgets
from trocar_lab.latency.bundle import read_bundle
from trocar_lab.latency.page import page_of
from trocar_lab.latency.record import record_bundle
from trocar_lab.latency.reports import Verdict
from trocar_lab.latency.soak_plan import SoakJob
from trocar_lab.latency.soak_record import record_soak
from trocar_lab.latency.soak_text import soak_text
from trocar_lab.latency.soak_verify import verify_soak
from trocar_lab.latency.soak_worker import run_soak
from trocar_lab.latency.text import text_of
from trocar_lab.latency.verify import judge, verify_bundle
from trocar_lab.latency.worker import Job, run_job, run_load

EXIT_CODES: Final = {
    Verdict.PASS: 0,
    Verdict.FAIL: 1,
    Verdict.INSUFFICIENT: 3,
    Verdict.INVALID: 4,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = parser_of(__doc__ or "").parse_args(arguments)
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "record": _record,
        "verify": _verify,
        "report": _report,
        "soak": _soak,
        "verify-soak": _verify_soak,
        "worker": _worker,
        "load": _load,
        "soak-worker": _soak_worker,
    }
    try:
        return commands[options.command](options)
    except TrocarError as exc:
        print(exc.diagnostics(), file=sys.stderr)
        return exc.exit_code


def _record(options: argparse.Namespace) -> int:
    """Record a bundle."""
    try:
        settings = record_settings(options)
    except ValueError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    digest = record_bundle(
        options.output,
        settings,
        pack=options.pack,
        trust=options.trust,
        operator=options.operator,
        wheel=options.wheel,
        tell=_tell,
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


def _soak(options: argparse.Namespace) -> int:
    """Record a soak, judge it, and write the report beside its folder."""
    try:
        plan = soak_plan(options)
    except ValueError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    budgets = load_budgets(options.budgets)
    record_soak(
        options.output,
        plan,
        pack=options.pack,
        trust=options.trust,
        operator=options.operator,
        wheel=options.wheel,
        tell=_tell,
    )
    report = verify_soak(options.output, budgets)
    beside = options.output.with_name(f"{options.output.name}.json")
    beside.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    print(soak_text(report))
    return EXIT_CODES[report.verdict]


def _verify_soak(options: argparse.Namespace) -> int:
    """Verify a soak and print what was found."""
    report = verify_soak(options.bundle, load_budgets(options.budgets))
    print(report.model_dump_json(indent=2) if options.json else soak_text(report))
    return EXIT_CODES[report.verdict]


def _worker(options: argparse.Namespace) -> int:
    """Record one run; started by ``record``."""
    run_job(Job.model_validate_json(options.job.read_bytes()))
    return 0


def _load(options: argparse.Namespace) -> int:
    """Be the second instance; started by ``record``."""
    run_load(Job.model_validate_json(options.job.read_bytes()))
    return 0


def _soak_worker(options: argparse.Namespace) -> int:
    """Run a soak; started by ``soak``."""
    run_soak(SoakJob.model_validate_json(options.job.read_bytes()))
    return 0


def _tell(line: str) -> None:
    """Show one line to the person who waits."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
