"""Repositories of any size for the trace: needs, units, marked tests, evidence.

Each block of 25 needs is a small vertical: one user need down to its units, one hazard with its
controls, and tests for all of it. Nothing is random, so that two runs measure the same work.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from trocar_lab.evidence.graph.metamodel import Metamodel, load_metamodel
from trocar_lab.evidence.graph.need_graph import Graph
from trocar_lab.evidence.graph.needs import Need, needs_json_of
from trocar_lab.evidence.selftest.demo import run_lines, write_demo, write_evidence
from trocar_lab.evidence.source.python_tests import scan_tests
from trocar_lab.evidence.store.evidence_record import Line

BLOCK_NEEDS: Final = 25
NODES_A_FUNCTION: Final = 5
_BLOCKS_A_FILE: Final = 10
_SRS_A_BLOCK: Final = 8
_UNITS_A_BLOCK: Final = 6
_KINDS: Final = ("functional", "input_output", "interface", "alarm", "security", "data", "network")
_CAUSES: Final = ("specification_fault", "soup_failure", "hardware_fault", "foreseeable_misuse")
_WORDS: Final = (
    "frame",
    "age",
    "mask",
    "limit",
    "camera",
    "slot",
    "deadline",
    "record",
    "outline",
    "source",
    "engine",
    "session",
    "reading",
    "pack",
    "signature",
    "threshold",
    "probability",
    "sample",
    "volume",
    "axis",
    "spacing",
    "window",
    "queue",
    "budget",
    "overlay",
    "clock",
)  # fmt: skip - a list of words


class SyntheticTrace(NamedTuple):
    """A repository on disk with its needs.json and its evidence.

    Attributes:
        root: Repository root.
        needs: needs.json.
        evidence: Folder with the evidence file.
        graph: The needs.
        lines: The evidence lines, before they are chained.
    """

    root: Path
    needs: Path
    evidence: Path
    graph: Graph
    lines: list[Line]


def write_trace(root: Path, need_count: int) -> SyntheticTrace:
    """Write a repository with about ``need_count`` needs and four evidence nodes a need.

    Args:
        root: Empty folder.
        need_count: Rounded up to whole blocks of 25, and four harms, one item, and one SOUP more.
    """
    write_demo(root, trace_files(need_count))
    graph = trace_graph(need_count)
    path = root / "needs.json"
    path.write_text(json.dumps(needs_json_of(graph.needs.values())), encoding="utf-8")
    lines = trace_lines(root, graph)
    write_evidence(root / "evidence", lines)
    return SyntheticTrace(root, path, root / "evidence", graph, lines)


def trace_graph(need_count: int, model: Metamodel | None = None) -> Graph:
    """Return the needs alone.

    Args:
        need_count: As in ``write_trace``.
        model: Metamodel; the package's own when left out.
    """
    return Graph(_needs(block_count(need_count)), model or load_metamodel())


def block_count(need_count: int) -> int:
    """Return how many blocks hold at least ``need_count`` needs."""
    return max(1, -(-need_count // BLOCK_NEEDS))


def trace_files(need_count: int) -> dict[str, str]:
    """Return path to text of every file but needs.json and evidence."""
    blocks = block_count(need_count)
    texts: dict[str, list[str]] = {}
    for need in _needs(blocks):
        path = need.place.rpartition(":")[0]
        texts.setdefault(path, ["Synthetic needs\n===============\n"]).append(_directive(need))
    files = {path: "\n".join(parts) for path, parts in texts.items()}
    for number in range(blocks * _UNITS_A_BLOCK):
        files[f"src/trocar/synthetic/unit_{number:05}.py"] = _module(number)
    for first in range(0, blocks, _BLOCKS_A_FILE):
        chosen = range(first, min(first + _BLOCKS_A_FILE, blocks))
        name = f"test_synthetic_{first:05}.py"
        files[f"tests/unit/{name}"] = _test_file(t for b in chosen for t in _unit_tests(b))
        files[f"tests/integration/{name}"] = _test_file(t for b in chosen for t in _other_tests(b))
    return {
        **files,
        "src/trocar/__init__.py": '"""The device."""\n',
        "src/trocar/synthetic/__init__.py": '"""Units."""\n',
        "pylock.device-cpu.toml": 'lock-version = "1.0"\n',
        "pyproject.toml": '[project]\nname = "synthetic"\nversion = "1.0.0"\n'
        'dependencies = ["numpy>=2.2,<3"]\n',
    }


def trace_lines(root: Path, graph: Graph, *, platform: str = "host") -> list[Line]:
    """Return the lines of a run in which every node passes.

    Args:
        root: Root of a written repository.
        graph: Its needs.
        platform: host or agx.
    """
    functions, _ = scan_tests(root)
    nodes = [
        (function, f"{function.function}[{number}]")
        for function in functions
        for number in range(NODES_A_FUNCTION)
    ]
    return run_lines(root, graph, nodes, platform=platform)


def _needs(blocks: int) -> Iterator[Need]:
    """Yield every need, block by block."""
    for severity in range(1, 5):
        yield _need(f"HARM_STREAM_{severity}", "harm", 0, fields={"severity": str(severity)})
    yield _need(
        "ITEM_STREAM_EDGE",
        "item",
        0,
        fields={"safety_class": "B"},
        links={
            "satisfies": ("SRS_STREAM_00000",),
        },
    )  # fmt: skip - one link, kept in one piece
    soup = {
        "package": "numpy",
        "version": ">=2.2,<3",
        "supplier": "NumPy developers",
        "purpose": "Arrays",
        "anomaly_list": "https://example.org/numpy/issues",
        "reviewed": "2026-11-01",
        "reviewer": "Synthetic Reviewer",
        "anomaly_review": "No known anomaly reaches a unit.",
    }
    links = {"used_by": ("ITEM_STREAM_00000",)}
    yield _need("SOUP_STREAM_NUMPY", "soup", 0, fields=soup, links=links)
    for block in range(blocks):
        yield from _requirements(block)
        yield from _architecture(block)
        yield from _risk(block)


def _requirements(block: int) -> Iterator[Need]:
    """Yield user need, system and software requirements, and the authored case of one block."""
    yield _need(f"UN_STREAM_{block:05}", "user_need", block)
    for number in (2 * block, 2 * block + 1):
        links = {"derives": (f"UN_STREAM_{block:05}",)}
        yield _need(f"SYS_STREAM_{number:05}", "sys_req", number, links=links)
    for index in range(_SRS_A_BLOCK):
        number = _SRS_A_BLOCK * block + index
        links = {"derives": (f"SYS_STREAM_{2 * block + index % 2:05}",)}
        if index < 2:
            links["realises"] = (f"RCM_STREAM_{2 * block + index:05}",)
        fields = {"kind": _KINDS[number % len(_KINDS)], "safety_class": "B"}
        yield _need(f"SRS_STREAM_{number:05}", "srs", number, fields=fields, links=links)
    case = {"method": "test", "level": "system", "platform": "host", "acceptance": "0 of 1 000"}
    links = {"verifies": (f"SRS_STREAM_{_SRS_A_BLOCK * block:05}",)}
    yield _need(f"TC_STREAM_{block:05}", "test_case", block, fields=case, links=links)


def _architecture(block: int) -> Iterator[Need]:
    """Yield item, interface and units of one block."""
    first = _SRS_A_BLOCK * block
    requirements = [f"SRS_STREAM_{first + index:05}" for index in range(_SRS_A_BLOCK)]
    item = f"ITEM_STREAM_{block:05}"
    fields = {"safety_class": "B"}
    yield _need(item, "item", block, fields=fields, links={"satisfies": tuple(requirements)})
    ends = {"between": (item, "ITEM_STREAM_EDGE")}
    yield _need(f"IFC_STREAM_{block:05}", "interface", block, links=ends)
    for index in range(_UNITS_A_BLOCK):
        number = _UNITS_A_BLOCK * block + index
        carried = requirements[index::_UNITS_A_BLOCK]
        links = {"part_of": (item,), "implements": tuple(carried)}
        if index < 2:
            links["enforces"] = (f"RCM_STREAM_{2 * block + index:05}",)
        symbol = f"trocar.synthetic.unit_{number:05}:Unit"
        own = {"symbol": symbol, "safety_class": "B"}
        yield _need(f"UNIT_STREAM_{number:05}", "unit", number, fields=own, links=links)


def _risk(block: int) -> Iterator[Need]:
    """Yield hazard, situations and controls of one block."""
    yield _need(f"HAZ_STREAM_{block:05}", "hazard", block)
    for index in range(2):
        number = 2 * block + index
        fields = {
            "sequence": "The source stalls; the last frame stays; its mask is drawn elsewhere",
            "p1": "4",
            "p2": "3",
            "residual_p1": "1",
            "cause_kinds": f"software_defect, {_CAUSES[number % len(_CAUSES)]}",
        }
        links = {
            "arises_from": (f"HAZ_STREAM_{block:05}",),
            "leads_to": (f"HARM_STREAM_{1 + number % 4}",),
            "caused_by": (f"UNIT_STREAM_{_UNITS_A_BLOCK * block + index:05}",),
        }
        situation = f"HSIT_STREAM_{number:05}"
        yield _need(situation, "hazardous_situation", number, fields=fields, links=links)
        control = {"option": "protective", "acts_on": "p1", "new_hazards": "no"}
        yield _need(
            f"RCM_STREAM_{number:05}",
            "risk_control",
            number,
            fields=control,
            links={"reduces": (situation,)},
        )


def _need(
    need_id: str,
    need_type: str,
    number: int,
    *,
    fields: Mapping[str, str] | None = None,
    links: Mapping[str, tuple[str, ...]] | None = None,
) -> Need:
    """Return one need with a title, and a body as long as those of this repository."""
    words = [_WORDS[(number * 7 + 3 * i * i + i) % len(_WORDS)] for i in range(13 + number % 26)]
    block = number // {"sys_req": 2, "srs": 8, "unit": 6}.get(need_type, 1)
    if need_type in {"hazardous_situation", "risk_control"}:
        block = number // 2
    first = block // _BLOCKS_A_FILE * _BLOCKS_A_FILE
    return Need(
        need_id=need_id,
        need_type=need_type,
        title=f"{words[0].capitalize()} and {words[1]} {number}",
        content=f"The part shall keep {' '.join(words)}.",
        fields=fields or {},
        links=links or {},
        place=f"requirements_spec/synthetic_{first:05}.rst:1",
    )


def _directive(need: Need) -> str:
    """Return one need as RST."""
    options = [f"   :id: {need.need_id}"]
    options += [f"   :{name}: {value}" for name, value in need.fields.items()]
    options += [f"   :{name}: {', '.join(ids)}" for name, ids in need.links.items()]
    head = f".. {need.need_type}:: {need.title}"
    return "\n".join([head, *options, "", f"   {need.content}", ""])


def _module(number: int) -> str:
    """Return the module of one unit, with the comment of its control where it enforces one."""
    block, index = divmod(number, _UNITS_A_BLOCK)
    control = f"    # @need-ids: RCM_STREAM_{2 * block + index:05}\n" if index < 2 else ""
    return (
        f'"""Unit {number}."""\n\n\nclass Unit:\n    """One part."""\n\n{control}'
        f'    def run(self) -> int:\n        """Return a count."""\n        return {number}\n'
    )


def _unit_tests(block: int) -> Iterator[tuple[str, str]]:
    """Yield (marker, name) of each unit test of one block."""
    for index in range(_SRS_A_BLOCK):
        number = _SRS_A_BLOCK * block + index
        yield f'verifies("SRS_STREAM_{number:05}")', f"requirement_{number:05}"
    for index in range(_UNITS_A_BLOCK):
        number = _UNITS_A_BLOCK * block + index
        yield f'verifies("UNIT_STREAM_{number:05}")', f"unit_{number:05}"


def _other_tests(block: int) -> Iterator[tuple[str, str]]:
    """Yield (marker, name) of each other test of one block."""
    yield f'verifies("IFC_STREAM_{block:05}")', f"interface_{block:05}"
    yield f'case("TC_STREAM_{block:05}")', f"case_{block:05}"
    for number in (2 * block, 2 * block + 1):
        control = f"RCM_STREAM_{number:05}"
        yield f'controls("{control}")', f"control_{number:05}"
        effect = f'"{control}", measure="stale masks", acceptance="0 of 1 000 frames"'
        yield f"proves_effect({effect})", f"effect_{number:05}"


def _test_file(tests: Iterator[tuple[str, str]]) -> str:
    """Return a test file."""
    parts = ['"""Synthetic tests."""\n\nimport pytest\n']
    for marker, name in tests:
        parts.append(
            f'\n\n@pytest.mark.parametrize("n", range({NODES_A_FUNCTION}))\n'
            f"@pytest.mark.{marker}\n"
            f"def test_{name}(n: int) -> None:\n"
            f'    """It holds."""\n'
            f"    assert n >= 0\n"
        )
    return "".join(parts)
