"""Write the figures of the peers for stored boxes: ``python -m peers.write_references``."""

from __future__ import annotations

import json
import sys
from typing import Final

from peers.measures import measures, versions
from simulators.tracking_cases import REFERENCE, draw_case, frames_of

SEEDS: Final = (1, 2, 3)


def main() -> int:
    """Draw the cases, let the peers judge them, and write both."""
    cases = {}
    for seed in SEEDS:
        case = draw_case(seed)
        cases[f"seed {seed}"] = {"expected": measures(frames_of(case)), "frames": case}
    content = {
        "what": "boxes by identity, and the figures of TrackEval and motmetrics for them",
        "command": "python -m peers.write_references",
        "versions": versions(),
        "cases": cases,
    }
    REFERENCE.parent.mkdir(exist_ok=True)
    REFERENCE.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
