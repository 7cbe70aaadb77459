"""Test cases of the trace: one for each marked test function and one for each authored TC_ need."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from trocar_lab.evidence.graph.metamodel import Metamodel
from trocar_lab.evidence.graph.need_graph import Graph
from trocar_lab.evidence.graph.scan_cache import ScanCache
from trocar_lab.evidence.graph.source_text import read_source
from trocar_lab.evidence.source.python_tests import TestFile, TestFunction
from trocar_lab.evidence.store.evidence_record import CollectedLine, EvidenceRun


class TraceCase(NamedTuple):
    """A test case with what it claims and which functions carry it out.

    Attributes:
        case_id: TC_ id; of a generated case it is derived from the node id.
        title: One line.
        authored: The case is a need of its own, with a protocol.
        method: test, analysis, inspection or demonstration.
        level: unit, integration or system.
        platform: host, agx or both.
        claims: Link name to claimed ids.
        effects: Control id to (measure, acceptance) of an effectiveness proof.
        functions: The test functions.
    """

    case_id: str
    title: str
    authored: bool
    method: str
    level: str
    platform: str
    claims: Mapping[str, frozenset[str]]
    effects: Mapping[str, tuple[str, str]]
    functions: tuple[TestFunction, ...] = ()


def case_id_of(function: str) -> str:
    """Return the id of a generated case: readable, unique, stable under reordering."""
    name = re.sub(r"[^A-Z0-9]+", "_", function.rsplit("::", 1)[-1].upper()).strip("_")
    return f"TC_{name[:60]}_{hashlib.sha256(function.encode()).hexdigest()[:8].upper()}"


def level_of(path: str, model: Metamodel) -> str:
    """Return the level that the longest matching folder gives a test file."""
    folders = [folder for folder in model.test_folder if path.startswith(f"{folder}/")]
    return model.test_folder[max(folders, key=len)] if folders else "unit"


def trace_cases(graph: Graph, functions: Iterable[TestFunction]) -> list[TraceCase]:
    """Return every case, authored ones first, each group in order of id.

    Args:
        graph: The needs.
        functions: Marked test functions.
    """
    model = graph.model
    by_case: dict[str, list[TestFunction]] = {}
    generated: list[TraceCase] = []
    for function in functions:
        for claim in function.claims:
            if claim.marker == "case":
                by_case.setdefault(claim.need_id, []).append(function)
        if any(claim.marker != "case" for claim in function.claims):
            generated.append(_generated_case(function, model))
    authored = []
    for need in graph.live("test_case"):
        claims = {link: frozenset(need.targets(link)) for link in model.type["test_case"].links}
        effect = (need.field("effect_measure"), need.field("acceptance"))
        authored.append(
            TraceCase(
                case_id=need.need_id,
                title=need.title,
                authored=True,
                method=need.field("method"),
                level=need.field("level"),
                platform=need.field("platform"),
                claims=claims,
                effects=dict.fromkeys(claims["proves_effect"], effect),
                functions=tuple(by_case.get(need.need_id, ())),
            )
        )
    return authored + sorted(generated, key=lambda case: case.case_id)


def _generated_case(function: TestFunction, model: Metamodel) -> TraceCase:
    """Return the case of one marked test function."""
    claims: dict[str, set[str]] = {link: set() for link in model.type["test_case"].links}
    effects: dict[str, tuple[str, str]] = {}
    for claim in function.claims:
        rule = model.marker.get(claim.marker)
        if rule is None or not rule.link:
            continue
        claims[rule.link].add(claim.need_id)
        if claim.marker == "proves_effect":
            effects[claim.need_id] = (
                claim.keywords.get("measure", ""),
                claim.keywords.get("acceptance", ""),
            )
    return TraceCase(
        case_id=case_id_of(function.function),
        title=function.function,
        authored=False,
        method="test",
        level=level_of(function.function, model),
        platform="host",
        claims={link: frozenset(ids) for link, ids in claims.items()},
        effects=effects,
        functions=(function,),
    )


def with_inherited(
    root: Path, functions: Iterable[TestFunction], runs: Iterable[EvidenceRun]
) -> list[TestFunction]:
    """Return the functions plus those that only a run knows: inherited from another file.

    Args:
        root: Repository root.
        functions: Test functions found in the source.
        runs: Evidence, oldest first.
    """
    found = {function.function: function for function in functions}
    static = set(found)
    with ScanCache(root, "suites", "") as cache:
        for run in runs:
            for line in run.collected.values():
                if line.function in static or not line.claims:
                    continue
                suite = _suite(root, line, cache)
                body = suite["bodies"].get(line.source_name)
                if body is not None:
                    found[line.function] = TestFunction(
                        function=line.function,
                        source_file=line.source_file,
                        source_name=line.source_name,
                        line=body[0],
                        claims=line.claims,
                        digest=body[1],
                        imports=frozenset(suite["imports"]),
                    )
    return list(found.values())


def _suite(root: Path, line: CollectedLine, cache: ScanCache) -> dict[str, Any]:
    """Return place and digest of each test body of the file that a run names, and its imports."""
    path, holder = root / line.source_file, root / line.function.split("::", 1)[0]
    if path.suffix != ".py" or not (path.is_file() and holder.is_file()):
        return {"bodies": {}, "imports": []}
    text = read_source(path)
    key = hashlib.sha256(f"{line.source_file}\0{text}".encode()).hexdigest()
    kept = cache.get(key)
    if kept is None:
        file = TestFile(text, name=line.source_file)
        bodies = {
            name: (node.lineno, file.digest(name)) for name, (node, _) in file.functions.items()
        }
        kept = cache.put(key, {"bodies": bodies, "imports": sorted(file.imports)})
    return dict(kept)
