"""Commands about the toolchain itself: ``selftest`` and ``metamodel``."""

from __future__ import annotations

import argparse
from pathlib import Path

from trocar_lab.evidence.commands.options import EXIT_GREEN, EXIT_RED, Commands
from trocar_lab.evidence.graph.metamodel import load_metamodel
from trocar_lab.evidence.graph.metamodel_page import PAGE, metamodel_page
from trocar_lab.evidence.selftest.gate import selftest_report


def add_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    words = "seed faults into a demo and show that each is caught"
    selftest = commands.add_parser("selftest", help=words, description=words)
    selftest.set_defaults(command=_selftest)
    words = f"write {PAGE}"
    page = commands.add_parser("metamodel", help=words, description=words)
    page.set_defaults(command=_metamodel)
    page.add_argument("--root", type=Path, default=Path(), metavar="DIR")
    page.add_argument(
        "--check",
        action="store_true",
        help="write nothing; red when the page is not the present one",
    )


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
