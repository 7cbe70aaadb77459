"""The trace against Sphinx's needs builder, StrictDoc and Doorstop on the same graph."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import Benchmark, Row
from benchmarks.trace_peers import Cost, find_tool, measured, write_doorstop, write_strictdoc

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from simulators.trace_graphs import trace_graph, write_trace  # noqa: E402 - after its folder is on the path

__all__ = ["run"]

SIZES: Final = (200, 1_000, 5_000, 20_000)
QUICK_SIZES: Final = (200, 1_000)
PEER_NEEDS_MAX: Final = 5_000
CPU_S_MAX: Final = 1.0
PEAK_MIB_MAX: Final = 300.0
REPORT_MIB_MAX: Final = 5.0
LINEAR_RATIO_MAX: Final = 1.3
_LIMIT_NEEDS: Final = 5_000
EVIDENCE: Final = ".tox/verify/tmp/evidence"
_TRACE: Final = (sys.executable, "-m", "trocar_lab.evidence")


def run(*, is_quick: bool) -> Benchmark:
    """Measure SRS_TRACE time limits and the peers."""
    rows: list[Row] = []
    a_need_ms: dict[int, float] = {}
    for size in QUICK_SIZES if is_quick else SIZES:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "trace"
            root.mkdir()
            write_trace(root, size)
            facts = _stages(root)
            a_need_ms[size] = 1e3 * _own_cpu_s(facts) / facts["needs"]
            rows += _own_rows(size, facts)
            rows += _command_rows(size, root)
            if size <= PEER_NEEDS_MAX:
                rows += _peer_rows(size, Path(folder))
    if len(a_need_ms) == len(SIZES):
        ratio = a_need_ms[SIZES[-1]] / a_need_ms[_LIMIT_NEEDS]
        rows.append(_one("time a need, 20,000 against 5,000", ratio, "ratio", LINEAR_RATIO_MAX))
    rows += _real_rows()
    return Benchmark(
        name="bench_trace",
        title="Trace",
        text=(
            "One generated repository of each size: about two links a need, four evidence records"
            " a need, marked tests, a device module for each unit. Processor seconds of the whole"
            " process tree, so that a busy machine counts less; each command runs once. *Rules,"
            " verdicts, report data* is all that follows needs.json: reading needs and evidence,"
            " verdicts, rules, data of the report; reading the test sources stands beside it,"
            " because it is kept between runs. StrictDoc and Doorstop get the same needs and one"
            " relation for all links; where they are not installed (a folder in"
            " ``TROCAR_BENCH_PEERS``) their rows are missing, and nothing is claimed about them."
        ),
        rows=rows,
    )


def _own_cpu_s(facts: dict[str, Any]) -> float:
    """Return the processor time on top of the needs builder, test sources left out."""
    stages = facts["stages_cpu_s"]
    return float(sum(value for name, value in stages.items() if name != "tests"))


def _stages(root: Path) -> dict[str, Any]:
    """Return what a process of its own measured."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "trace_stages.py"), str(root)],
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _own_rows(size: int, facts: dict[str, Any]) -> list[Row]:
    """Return the rows about rules, verdicts and report data."""
    has_limit = size == _LIMIT_NEEDS
    note = (
        f"{facts['needs']} needs, {facts['links']} links, {facts['records']} records,"
        f" {facts['checks']} checks: "
        + ", ".join(f"{name} {value:.2f}" for name, value in facts["stages_cpu_s"].items())
    )
    return [
        _one(
            f"{size}: rules, verdicts, report data",
            _own_cpu_s(facts),
            "CPU s",
            CPU_S_MAX if has_limit else None,
            note,
        ),
        _one(
            f"{size}: memory of that process",
            facts["peak_mib"],
            "MiB",
            PEAK_MIB_MAX if has_limit else None,
            f"{facts['start_mib']:.0f} MiB of it before the first need",
        ),
    ]


def _command_rows(size: int, root: Path) -> list[Row]:
    """Return the rows about whole commands: needs builder, check, report."""
    docs = root / "docs"
    docs.mkdir(exist_ok=True)
    shutil.copy(ROOT / "docs" / "conf.py", docs)
    conf = (docs / "conf.py").read_text(encoding="utf-8")
    source = repr(str(ROOT / "src"))
    (docs / "conf.py").write_text(
        conf.replace('str(Path(__file__).resolve().parent.parent / "src")', source)
        + "\nexclude_patterns = []\nhtml_static_path = []\n",
        encoding="utf-8",
    )
    (docs / "index.rst").write_text("Trace\n=====\n", encoding="utf-8")
    sphinx = [sys.executable, "-m", "sphinx", "-b", "needs", "-q", "-E", "-c", "docs"]
    places = ["--needs", "needs.json", "--evidence", "evidence"]
    out = root / "out"
    rows = [
        _cost(f"{size}: needs builder of Sphinx", measured([*sphinx, ".", "built"], cwd=root)),
        _cost(f"{size}: check, whole command", measured([*_TRACE, "check", *places], cwd=root)),
        _cost(
            f"{size}: report, whole command",
            measured([*_TRACE, "report", *places, "-o", str(out)], cwd=root),
        ),
    ]
    page = out / "trace.html"
    mib = page.stat().st_size / 2**20 if page.is_file() else float("nan")
    limit = REPORT_MIB_MAX if size == _LIMIT_NEEDS else None
    return [*rows, _one(f"{size}: report as one file", mib, "MiB", limit)]


def _peer_rows(size: int, folder: Path) -> list[Row]:
    """Return the rows about StrictDoc and Doorstop, where they are installed."""
    rows: list[Row] = []
    graph = trace_graph(size)
    strictdoc, doorstop = find_tool("strictdoc"), find_tool("doorstop")
    if strictdoc is not None:
        place = folder / "strictdoc"
        write_strictdoc(place, graph)
        rows.append(
            _cost(f"{size}: StrictDoc export", measured([strictdoc, "export", "."], cwd=place))
        )
    if doorstop is not None:
        place = folder / "doorstop"
        write_doorstop(place, graph)
        rows.append(_cost(f"{size}: Doorstop check, first", measured([doorstop], cwd=place)))
        rows.append(_cost(f"{size}: Doorstop check, again", measured([doorstop], cwd=place)))
    return rows


def _real_rows() -> list[Row]:
    """Return the rows about this repository, with the evidence of the last `tox -e verify`."""
    rows = []
    for words, limit in (
        (["impact", "SRS_POLYP_004"], 0.5),
        (["explain", "SRS_POLYP_004", "--evidence", EVIDENCE], 0.5),
        (["check", "--evidence", EVIDENCE], 2.0),
    ):
        measured(
            [*_TRACE, *words], cwd=ROOT
        )  # fills the cache of scans, as a developer's tree has it
        found = [measured([*_TRACE, *words], cwd=ROOT) for _ in range(5)]
        walls = sorted(cost.wall_s for cost in found)
        what = f"this repository: {words[0]}"
        rows.append(
            Row(what, walls[2], walls[0], walls[-1], "s", f"at most {limit}", walls[2] <= limit)
        )
    return rows


def _cost(what: str, cost: Cost) -> Row:
    """Return the row of one command."""
    note = f"{cost.wall_s:.1f} s on the clock, {cost.peak_mib:.0f} MiB"
    return _one(what, cost.cpu_s, "CPU s", None, note)


def _one(what: str, value: float, unit: str, limit: float | None = None, note: str = "") -> Row:
    """Return a row of one value."""
    words = "" if limit is None else f"at most {limit:g} {unit}"
    return Row(
        what, value, value, value, unit, words, None if limit is None else value <= limit, note
    )
