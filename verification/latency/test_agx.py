"""The row that only Clara AGX class hardware can close: a bundle recorded there, verified here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from trocar_lab.latency.budgets import load_budgets
from trocar_lab.latency.reports import Verdict
from trocar_lab.latency.verify import verify_bundle

VARIABLE: Final = "TROCAR_AGX_BUNDLE"
ROOT: Final = Path(__file__).resolve().parents[2]


@pytest.mark.case("TC_LATENCY_AGX_001")
@pytest.mark.verifies("SRS_LATENCY_002", extent="full", technique="requirement")
def test_bundle_from_the_edge_box_keeps_the_budget() -> None:
    """Recomputed from raw times: PASS, on AGX class hardware, by code of this repository."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"no bundle from Clara AGX class hardware: set {VARIABLE} to its folder")
    report = verify_bundle(Path(folder), load_budgets(), repository=ROOT)
    assert report.verdict is Verdict.PASS
    assert report.closes_agx_row
