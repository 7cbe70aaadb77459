"""The command that writes the report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from trocar_lab.evidence.commands.judged import add_judged, judged
from trocar_lab.evidence.commands.options import EXIT_GREEN, EXIT_RED, Commands
from trocar_lab.evidence.errors import PrintError
from trocar_lab.evidence.report.html_report import PDF, write_report
from trocar_lab.evidence.report.print_pdf import print_pdf
from trocar_lab.evidence.report.selftest_summary import SeededFault, SelftestSummary
from trocar_lab.evidence.selftest.gate import run_selftest


def add_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    report = add_judged(commands, "report", "write trace.html, trace.json and needs.json")
    report.set_defaults(command=_report)
    report.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    report.add_argument(
        "--pdf", action="store_true", help=f"print the page as {PDF}, too; needs Chromium"
    )


def _report(options: argparse.Namespace) -> int:
    """Write the report; its exit status is that of the check, and red where a PDF is missing."""
    project, outcome = judged(options)
    selftest = selftest_summary()
    path = write_report(
        options.output,
        project,
        outcome,
        selftest=selftest,
        evidence=options.evidence,
        needs=options.needs,
    )
    print(f"wrote {path}, trace.json and needs.json")
    is_printed = True
    if options.pdf:
        try:
            print(f"wrote {print_pdf(path, options.output / PDF)}")
        except PrintError as exc:
            print(exc, file=sys.stderr)
            is_printed = False
    print(outcome.verdict_line)
    return EXIT_GREEN if outcome.is_green and selftest.is_sound and is_printed else EXIT_RED


def selftest_summary() -> SelftestSummary:
    """Return what the self-test of the gate finds now, as the report shows it."""
    is_clean, found = run_selftest()
    faults = (SeededFault(c.fault.rule, c.fault.name, c.is_caught, c.detail) for c in found)
    return SelftestSummary(is_clean, tuple(faults))
