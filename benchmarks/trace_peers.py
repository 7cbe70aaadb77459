"""The same graph of needs in the forms of other tools, and one measured run of a command."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from trocar_lab.evidence.graph.need_graph import Graph
from trocar_lab.evidence.graph.needs import Need

__all__ = ["Cost", "find_tool", "measured", "write_doorstop", "write_strictdoc"]

_NEEDS_A_FILE: Final = 250
_PEERS: Final = "TROCAR_BENCH_PEERS"


class Cost(NamedTuple):
    """What one run of a command took, its children included.

    Attributes:
        cpu_s: Processor time, user and system.
        wall_s: Time on the clock.
        peak_mib: Largest resident memory of one process.
    """

    cpu_s: float
    wall_s: float
    peak_mib: float


def find_tool(name: str) -> str | None:
    """Return the path of a tool: in the folder that TROCAR_BENCH_PEERS names, or on PATH."""
    return shutil.which(name, path=os.environ.get(_PEERS)) or shutil.which(name)


def measured(command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end and return what it took; its exit status is not judged.

    Raises:
        FileNotFoundError: There is no such program.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, _, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start
    return Cost(usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss / 1024)


def write_strictdoc(folder: Path, graph: Graph) -> None:
    """Write the graph as StrictDoc documents: a requirement a need, a relation a link."""
    folder.mkdir(parents=True)
    needs = list(graph.needs.values())
    for number, start in enumerate(range(0, len(needs), _NEEDS_A_FILE)):
        parts = [f"[DOCUMENT]\nTITLE: Part {number}\n"]
        for need in needs[start : start + _NEEDS_A_FILE]:
            targets = _targets(need, graph)
            relations = "".join(f"- TYPE: Parent\n  VALUE: {target}\n" for target in targets)
            parts.append(
                f"[REQUIREMENT]\nUID: {need.need_id}\nTITLE: {need.title}\n"
                f"STATEMENT: >>>\n{need.content}\n<<<\n"
                + (f"RELATIONS:\n{relations}" if relations else "")
            )
        (folder / f"part_{number:03}.sdoc").write_text("\n".join(parts), encoding="utf-8")


def write_doorstop(folder: Path, graph: Graph) -> None:
    """Write the graph as Doorstop documents in a git checkout: one document a type."""
    folder.mkdir(parents=True)
    subprocess.run(["/usr/bin/env", "git", "init", "-q"], cwd=folder, check=True)
    numbers: dict[str, str] = {}
    counts: dict[str, int] = {}
    for need in graph.needs.values():
        prefix = graph.model.type[need.need_type].prefix.rstrip("_")
        counts[prefix] = counts.get(prefix, 0) + 1
        numbers[need.need_id] = f"{prefix}{counts[prefix]:06}"
    root = "UN"
    for prefix in counts:
        place = folder / prefix.lower()
        place.mkdir()
        parent = "" if prefix == root else f"  parent: {root}\n"
        settings = f"settings:\n  digits: 6\n{parent}  prefix: {prefix}\n  sep: ''\n"
        (place / ".doorstop.yml").write_text(settings, encoding="utf-8")
    for need in graph.needs.values():
        number = numbers[need.need_id]
        links = "".join(f"- {numbers[target]}: null\n" for target in _targets(need, graph))
        text = (
            f"active: true\nderived: false\nheader: ''\nlevel: 1.0\n"
            f"links:{chr(10) + links if links else ' []' + chr(10)}"
            f"normative: true\nref: ''\nreviewed: null\ntext: |\n  {need.content}\n"
        )
        place = folder / number.rstrip("0123456789").lower()
        (place / f"{number}.yml").write_text(text, encoding="utf-8")


def _targets(need: Need, graph: Graph) -> list[str]:
    """Return what a need links to, each once; a link back to itself or into a cycle is left out.

    The other tools take one relation for all links and refuse cycles, which the union of all links
    has by nature; a link to a need that comes later in the graph is therefore left out.
    """
    order = {need_id: number for number, need_id in enumerate(graph.needs)}
    found = {target for ids in need.links.values() for target in ids}
    return sorted(t for t in found if order.get(t, len(order)) < order[need.need_id])
