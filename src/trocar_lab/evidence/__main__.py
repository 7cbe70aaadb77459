"""Command line of the trace: judge, report, explain, approve, compare, bring in evidence."""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
from collections.abc import Sequence
from typing import Final

from trocar_lab.evidence.errors import TraceError

EXIT_UNUSABLE: Final = 2
# Each command to the module of trocar_lab.evidence.commands that adds it. Only that one is loaded,
# so that a short answer does not wait for what it does not need.
COMMANDS: Final = {
    "check": "judging",
    "explain": "judging",
    "report": "writing",
    "approve": "approve",
    "diff": "change_report",
    "impact": "change_report",
    "import": "evidence_folder",
    "seal": "evidence_folder",
    "coverage": "strength",
    "mutation": "strength",
    "selftest": "tool_checks",
    "metamodel": "tool_checks",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 green, 1 red, 2 the input cannot be judged."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser(words[0] if words else "").parse_args(words)
    try:
        return int(options.command(options))
    except TraceError as exc:
        print(f"TRACE VERDICT: RED (the input cannot be judged: {exc})", file=sys.stderr)
        return EXIT_UNUSABLE


def _parser(chosen: str) -> argparse.ArgumentParser:
    """Return the parser of the chosen command, or of all when it is none of them."""
    parser = argparse.ArgumentParser(prog="python -m trocar_lab.evidence", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    names = [COMMANDS[chosen]] if chosen in COMMANDS else dict.fromkeys(COMMANDS.values())
    for name in names:
        importlib.import_module(f"trocar_lab.evidence.commands.{name}").add_commands(commands)
    return parser


if __name__ == "__main__":
    gc.disable()  # values of one short run, without cycles: looking for them costs a third of it
    sys.exit(main())
