"""Commands that judge and print: ``check`` and ``explain``."""

from __future__ import annotations

import argparse

from trocar_lab.evidence.commands.judged import add_judged, judged
from trocar_lab.evidence.commands.options import EXIT_GREEN, EXIT_RED, Commands
from trocar_lab.evidence.report.explain import explain
from trocar_lab.evidence.report.table import rule_table


def add_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    check = add_judged(commands, "check", "judge needs and evidence; the last line is the verdict")
    check.set_defaults(command=_check)
    why = add_judged(commands, "explain", "say why a need is red and what to do")
    why.set_defaults(command=_explain)
    why.add_argument("need_id", metavar="ID")


def _check(options: argparse.Namespace) -> int:
    """Print the rule table, the rows that are not green and the verdict."""
    _, outcome = judged(options)
    print(rule_table(outcome))
    return EXIT_GREEN if outcome.is_green else EXIT_RED


def _explain(options: argparse.Namespace) -> int:
    """Print why one need is as it is."""
    project, outcome = judged(options)
    is_good, text = explain(project, outcome, options.need_id)
    print(text)
    return EXIT_GREEN if is_good else EXIT_RED
