"""The options and steps that judging commands share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from trocar_lab.evidence.commands.options import Commands
from trocar_lab.evidence.errors import TraceError
from trocar_lab.evidence.graph.need_graph import read_graph
from trocar_lab.evidence.graph.needs_source import graph_of_scan, scan_sources
from trocar_lab.evidence.graph.scan_cache import OFF
from trocar_lab.evidence.project import Project, read_project
from trocar_lab.evidence.rules.catalogue import RULES
from trocar_lab.evidence.rules.rule import Outcome, run_rules


def add_judged(
    commands: Commands[argparse.ArgumentParser], name: str, words: str
) -> argparse.ArgumentParser:
    """Add a command that judges needs and evidence, and return its parser."""
    command = commands.add_parser(name, help=words, description=words)
    command.add_argument(
        "--needs",
        type=Path,
        metavar="FILE",
        help="needs.json of the needs builder; left out, the source is read without Sphinx, and"
        " rule G1 stays open",
    )
    command.add_argument(
        "--evidence", type=Path, required=True, metavar="DIR", help="folder with run-*.jsonl"
    )
    command.add_argument(
        "--root", type=Path, default=Path(), metavar="DIR", help="repository root (here)"
    )
    command.add_argument("--wheel", type=Path, metavar="FILE", help="the wheel under release")
    command.add_argument(
        "--release-folder",
        type=Path,
        metavar="DIR",
        help="what is delivered: wheel, signature, rebuild, bill of materials, archive",
    )
    command.add_argument("--release", action="store_true", help="nothing may be open")
    return command


def judged(options: argparse.Namespace) -> tuple[Project, Outcome]:
    """Return the project and the outcome of every rule.

    Raises:
        TraceError: A file or folder that is named is not there, or cannot be judged.
    """
    if options.release:
        os.environ[OFF] = "off"
    scan = scan_sources(options.root)
    graph = read_graph(options.needs) if options.needs else graph_of_scan(scan)
    if options.wheel is not None and not options.wheel.is_file():
        raise TraceError(f"no wheel at {options.wheel}")
    if options.release_folder is not None and not options.release_folder.is_dir():
        raise TraceError(f"no release folder at {options.release_folder}")
    project = read_project(
        options.root,
        graph=graph,
        evidence=options.evidence,
        wheel=options.wheel,
        scan=scan,
        release_path=options.release_folder,
        read_by_sphinx=options.needs is not None,
    )
    return project, run_rules(RULES, project, release=options.release)
