"""A soak of an hour that was recorded before, judged anew from its raw files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from trocar_lab.latency.budgets import load_budgets
from trocar_lab.latency.reports import Verdict
from trocar_lab.latency.soak_verify import verify_soak

VARIABLE: Final = "TROCAR_SOAK_BUNDLE"


@pytest.mark.case("TC_SOAK_001")
@pytest.mark.verifies("SRS_LATE_004", extent="full", technique="statistical")
@pytest.mark.verifies("SRS_LATE_005", extent="full", technique="requirement")
def test_soak_of_an_hour_is_flat_and_loses_no_frame() -> None:
    """Recomputed here: slope of memory within its limit, every frame exactly once."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"no soak was recorded: set {VARIABLE} to its folder")
    report = verify_soak(Path(folder), load_budgets())
    assert report.verdict is Verdict.PASS, report.reasons
    assert report.frames is not None
    assert report.frames.unaccounted_count == 0
