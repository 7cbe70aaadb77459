"""Compare two states of the needs, and say what a change of one need reaches."""

from __future__ import annotations

import argparse
import io
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from trocar_lab.evidence.commands.options import EXIT_GREEN, Commands
from trocar_lab.evidence.errors import GraphError
from trocar_lab.evidence.graph.changes import Difference, difference, staged_impact
from trocar_lab.evidence.graph.need_graph import Graph, read_graph
from trocar_lab.evidence.graph.needs_source import source_graph
from trocar_lab.evidence.graph.releases import RELEASES
from trocar_lab.evidence.source.python_tests import TestFunction, scan_tests
from trocar_lab.provenance.git import GitError, git_bytes

WORKING_TREE: Final = "."
_FOLDERS: Final = ("docs", "requirements_spec", "risk", "verification", "src/trocar/units")


def add_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    words = "say what changed between two releases, commits or needs files, and what it reaches"
    compare = commands.add_parser("diff", help=words, description=words)
    compare.set_defaults(command=_diff)
    compare.add_argument("older", metavar="RELEASE_A")
    compare.add_argument("newer", metavar="RELEASE_B", help="a full stop is the working tree")
    words = "say what a change of one need reaches, and which tests to run again"
    reach = commands.add_parser("impact", help=words, description=words)
    reach.set_defaults(command=_impact)
    reach.add_argument("need_id", metavar="NEED")
    for command in (compare, reach):
        command.add_argument("--root", type=Path, default=Path(), metavar="DIR")


def _diff(options: argparse.Namespace) -> int:
    """Print what changed between two states."""
    print(diff_text(options.root, options.older, options.newer))
    return EXIT_GREEN


def _impact(options: argparse.Namespace) -> int:
    """Print what a change of one need reaches."""
    print(impact_text(options.root, options.need_id))
    return EXIT_GREEN


def graph_of(root: Path, name: str) -> Graph:
    """Return the needs of a release, a file, the working tree or a commit.

    Args:
        root: Repository root.
        name: Version with a folder in verification/releases, path of a needs.json, ``.`` for the
            working tree, or anything that git resolves to a commit.

    Raises:
        GraphError: It is none of these.
    """
    archived = root / RELEASES / name / "needs.json"
    if name == WORKING_TREE:
        return source_graph(root)
    for path in (archived, Path(name)):
        if path.is_file():
            return read_graph(path)
    with tempfile.TemporaryDirectory() as folder:
        _extract(root, name, Path(folder))
        return source_graph(Path(folder))


def _extract(root: Path, revision: str, folder: Path) -> None:
    """Write the folders with needs as they stood at a commit."""
    if revision.startswith("-"):
        raise GraphError(f"{revision!r} is no release, file or commit")
    try:
        present = git_bytes(root, "ls-tree", "-d", "--name-only", "-z", revision, "--", *_FOLDERS)
        names = [name for name in present.decode().split("\0") if name]
        content = git_bytes(root, "archive", "--format=tar", revision, "--", *names)
    except GitError as exc:
        known = sorted(p.name for p in (root / RELEASES).glob("*") if p.is_dir())
        releases = ", ".join(known) or "none yet"
        raise GraphError(
            f"{revision!r} is no release (archived: {releases}), no needs.json and no commit"
        ) from exc
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")


def diff_text(root: Path, older: str, newer: str) -> str:
    """Return what changed between two states, what it reaches, and which tests to run again."""
    new = graph_of(root, newer)
    found = difference(graph_of(root, older), new)
    functions, _ = scan_tests(root, new.model)
    lines = [f"{older} -> {newer}: {_counts(found)}"]
    lines += [f"added    {_named(new, need_id)}" for need_id in found.added]
    lines += [f"removed  {need_id}" for need_id in found.removed]
    for change in found.changed:
        lines.append(f"changed  {_named(new, change.need_id)}")
        for name, (before, after) in change.parts.items():
            lines += [f"  {name}", f"    - {before}", f"    + {after}"]
    lines += _impact_lines(new, found.impact, functions)
    return "\n".join(lines)


def impact_text(root: Path, need_id: str) -> str:
    """Return what a change of one need reaches, stage by stage, and which tests to run again.

    Raises:
        GraphError: There is no such need.
    """
    graph = source_graph(root)
    if need_id not in graph.needs:
        raise GraphError(f"no need {need_id}{_near(graph, need_id)}")
    functions, _ = scan_tests(root, graph.model)
    head = f"{_named(graph, need_id)}, written in {graph.needs[need_id].place}"
    return "\n".join([head, *_impact_lines(graph, staged_impact(graph, [need_id]), functions)])


def claiming_functions(
    functions: Iterable[TestFunction], need_ids: Iterable[str]
) -> dict[str, list[str]]:
    """Return each test function that claims one of some needs, to the needs that it claims."""
    wanted = set(need_ids)
    found = {f.function: sorted({c.need_id for c in f.claims} & wanted) for f in functions}
    return {name: ids for name, ids in found.items() if ids}


def _impact_lines(
    graph: Graph, impact: Mapping[str, str], functions: Iterable[TestFunction]
) -> list[str]:
    """Return the lines about what a change reaches."""
    lines: list[str] = []
    for stage in dict.fromkeys(impact.values()):
        reached = sorted(need_id for need_id, found in impact.items() if found == stage)
        lines.append(f"{stage} ({len(reached)})")
        lines += [f"  {_named(graph, need_id)}" for need_id in reached]
    claimed = claiming_functions(functions, impact)
    lines.append(f"tests to run again ({len(claimed)})")
    lines += [f"  {name}  [{', '.join(ids)}]" for name, ids in sorted(claimed.items())]
    return lines


def _counts(found: Difference) -> str:
    """Return the numbers of a difference."""
    if found.is_empty:
        return "no need differs"
    return (
        f"{len(found.added)} added, {len(found.removed)} removed, {len(found.changed)} changed;"
        f" {len(found.impact)} needs reached"
    )


def _named(graph: Graph, need_id: str) -> str:
    """Return an id with its title."""
    return f"{need_id}: {graph.needs[need_id].title}"


def _near(graph: Graph, need_id: str) -> str:
    """Return the ids of the same type, as a hint."""
    prefix = f"{need_id.partition('_')[0]}_"
    near = sorted(name for name in graph.needs if name.startswith(prefix))
    return f"; of that type there are: {', '.join(near)}" if near else ""
