"""Processor time of each stage of the trace on one repository, as JSON; a process of its own."""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trocar_lab.evidence.graph.need_graph import read_graph
from trocar_lab.evidence.project import read_project
from trocar_lab.evidence.report.facts import collect_facts
from trocar_lab.evidence.report.selftest_summary import SelftestSummary
from trocar_lab.evidence.rules.catalogue import RULES
from trocar_lab.evidence.rules.rule import run_rules
from trocar_lab.evidence.source.python_tests import scan_tests


def main(root: Path) -> None:
    """Measure and print."""
    gc.disable()
    stages: dict[str, float] = {}

    def timed(name: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the stage returns
        start = time.process_time()
        result = call()
        stages[name] = time.process_time() - start
        return result

    # As in a checkout, what was scanned in one stage is kept for the next: sources are read once.
    (root / ".git").mkdir(exist_ok=True)
    before_mib = _peak_mib()
    graph = timed("needs", lambda: read_graph(root / "needs.json"))
    timed("tests", lambda: scan_tests(root))
    project = timed("verdicts", lambda: read_project(root, graph=graph, evidence=root / "evidence"))
    outcome = timed("rules", lambda: run_rules(RULES, project))
    selftest = SelftestSummary(is_clean=True, faults=())
    timed("report data", lambda: collect_facts(project, outcome, selftest=selftest))
    facts = {
        "needs": len(graph.needs),
        "links": sum(1 for _ in graph.edges()),
        "records": sum(len(run.outcomes) for run in project.runs),
        "checks": outcome.check_count,
        "stages_cpu_s": stages,
        "start_mib": before_mib,
        "peak_mib": _peak_mib(),
    }
    print(json.dumps(facts))


def _peak_mib() -> float:
    """Return the largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]))
