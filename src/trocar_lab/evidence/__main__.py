"""Command line of the trace: check, report, explain, selftest, metamodel."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from trocar_lab.evidence.errors import TraceError
from trocar_lab.evidence.graph.metamodel import load_metamodel
from trocar_lab.evidence.graph.metamodel_page import PAGE, metamodel_page
from trocar_lab.evidence.graph.need_graph import read_graph
from trocar_lab.evidence.project import Project, read_project
from trocar_lab.evidence.report.explain import explain
from trocar_lab.evidence.report.html_report import write_report
from trocar_lab.evidence.report.table import rule_table
from trocar_lab.evidence.rules.catalogue import RULES
from trocar_lab.evidence.rules.rule import Outcome, run_rules
from trocar_lab.evidence.selftest.gate import selftest_report

EXIT_GREEN, EXIT_RED, EXIT_UNUSABLE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 green, 1 red, 2 the input cannot be judged."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except TraceError as exc:
        print(f"TRACE VERDICT: RED (the input cannot be judged: {exc})", file=sys.stderr)
        return EXIT_UNUSABLE


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m trocar_lab.evidence", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, function, words in (
        ("check", _check, "judge needs and evidence; the last line is the verdict"),
        ("report", _report, "write trace.html and trace.json"),
        ("explain", _explain, "say why a need is red and what to do"),
    ):
        command = commands.add_parser(name, help=words, description=words)
        command.set_defaults(command=function)
        command.add_argument(
            "--needs",
            type=Path,
            required=True,
            metavar="FILE",
            help="needs.json of the needs builder",
        )
        command.add_argument(
            "--evidence", type=Path, required=True, metavar="DIR", help="folder with run-*.jsonl"
        )
        command.add_argument(
            "--root", type=Path, default=Path(), metavar="DIR", help="repository root (here)"
        )
        command.add_argument(
            "--wheel", type=Path, default=None, metavar="FILE", help="the wheel under release"
        )
        command.add_argument("--release", action="store_true", help="nothing may be open")
        if name == "report":
            command.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
        if name == "explain":
            command.add_argument("need_id", metavar="ID")
    selftest = commands.add_parser(
        "selftest", help="seed faults into a demo and show that each is caught"
    )
    selftest.set_defaults(command=_selftest)
    page = commands.add_parser("metamodel", help=f"write {PAGE}")
    page.set_defaults(command=_metamodel)
    page.add_argument("--root", type=Path, default=Path(), metavar="DIR")
    page.add_argument(
        "--check",
        action="store_true",
        help="write nothing; red when the page is not the present one",
    )
    return parser


def _judged(options: argparse.Namespace) -> tuple[Project, Outcome]:
    """Return the project and the outcome of every rule."""
    graph = read_graph(options.needs)
    if options.wheel is not None and not options.wheel.is_file():
        raise TraceError(f"no wheel at {options.wheel}")
    project = read_project(
        options.root, graph=graph, evidence=options.evidence, wheel=options.wheel
    )
    return project, run_rules(RULES, project, release=options.release)


def _check(options: argparse.Namespace) -> int:
    """Print the rule table, the rows that are not green and the verdict."""
    _, outcome = _judged(options)
    print(rule_table(outcome))
    return EXIT_GREEN if outcome.is_green else EXIT_RED


def _report(options: argparse.Namespace) -> int:
    """Write the report; its exit status is that of the check."""
    project, outcome = _judged(options)
    is_sound, text = selftest_report()
    path = write_report(options.output, project, outcome, selftest=text.rsplit("\n", 1)[-1])
    print(f"wrote {path} and trace.json")
    print(outcome.verdict_line)
    return EXIT_GREEN if outcome.is_green and is_sound else EXIT_RED


def _explain(options: argparse.Namespace) -> int:
    """Print why one need is as it is."""
    project, outcome = _judged(options)
    is_good, text = explain(project, outcome, options.need_id)
    print(text)
    return EXIT_GREEN if is_good else EXIT_RED


def _selftest(_options: argparse.Namespace) -> int:
    """Print what became of each seeded fault."""
    is_sound, text = selftest_report()
    print(text)
    return EXIT_GREEN if is_sound else EXIT_RED


def _metamodel(options: argparse.Namespace) -> int:
    """Write the reference page, or say that it is stale."""
    path, text = options.root / PAGE, metamodel_page(load_metamodel())
    if options.check:
        is_present = path.is_file() and path.read_text(encoding="utf-8") == text
        advice = "stale: run python -m trocar_lab.evidence metamodel"
        print(f"{PAGE} is {'up to date' if is_present else advice}")
        return EXIT_GREEN if is_present else EXIT_RED
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"wrote {path}")
    return EXIT_GREEN


if __name__ == "__main__":
    sys.exit(main())
