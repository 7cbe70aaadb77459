"""Run the benchmarks: ``python -m benchmarks [NAME ...] [--quick] [--write PAGE]``."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
from pathlib import Path
from typing import Any, Final

import structlog

from benchmarks.measure import Benchmark, LoadMeter, as_json, show
from benchmarks.page import page_of

NAMES: Final = (
    "bench_unit",
    "bench_plain_loop",
    "bench_engines",
    "bench_stream",
    "bench_memory",
    "bench_trace",
    "bench_igtl_codec",
    "bench_openigtlink",
    "bench_start",
    "bench_packs",
)
OPTIONAL: Final = ("bench_holoscan", "bench_tracking")
"""Run only by name: they need a package that nothing else does."""

RESULTS: Final = Path(__file__).resolve().parent / "results"


def main() -> int:
    """Run and print; 0 when every limit is met, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    known = (*NAMES, *OPTIONAL)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(known)}")
    parser.add_argument("--quick", action="store_true", help="few rounds; nothing is written")
    parser.add_argument("--write", type=Path, metavar="RST", help="write the page of all results")
    options = parser.parse_args()
    unknown = set(options.names) - set(known)
    if unknown:
        parser.error(f"expected any of {', '.join(known)}, got {', '.join(sorted(unknown))}")
    # The lines about begin and end of a run would fill the tables.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    all_met = [_run(name, is_quick=options.quick) for name in options.names or NAMES]
    if options.write is not None:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        options.write.write_text(page_of(_saved()), encoding="utf-8")
        print(f"written: {options.write}")
    return 0 if all(all_met) else 1


def _run(name: str, *, is_quick: bool) -> bool:
    """Run one benchmark, print it, save it unless quick; return whether all limits are met."""
    try:
        module = importlib.import_module(f"benchmarks.{name}")
    except ImportError as exc:
        print(f"{name}: not run, {exc}\n")
        return False
    meter = LoadMeter()
    benchmark: Benchmark = module.run(is_quick=is_quick)
    load = meter.read()
    print(f"{show(benchmark)}\nload: {load}\n", flush=True)
    if not is_quick:
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps(as_json(benchmark, load, is_quick=is_quick), indent=1, ensure_ascii=False)
        (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    return all(row.is_met is not False for row in benchmark.rows)


def _saved() -> list[dict[str, Any]]:
    """Return the saved results, in the order of the page."""
    paths = [RESULTS / f"{name}.json" for name in (*NAMES, *OPTIONAL)]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()]


if __name__ == "__main__":
    sys.exit(main())
