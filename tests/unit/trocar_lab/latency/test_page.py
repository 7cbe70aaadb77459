"""The page holds everything in one file, and shows the notice and the label."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.latency_bundles import platform_of, settings_of, write_bundle
from trocar import RESEARCH_NOTICE
from trocar_lab.latency.budgets import load_budgets
from trocar_lab.latency.bundle import read_bundle
from trocar_lab.latency.page import page_of
from trocar_lab.latency.settings import Arm
from trocar_lab.latency.text import text_of
from trocar_lab.latency.verify import judge

pytestmark = pytest.mark.verifies("SRS_LATENCY_001", extent="partial", technique="requirement")


def test_page_is_self_contained_and_labelled(tmp_path: Path) -> None:
    """No script, no address of another machine; names are escaped."""
    settings = settings_of(run_count=1, arms=(Arm.IDLE_GAP, Arm.IDLE))
    ages: dict[int, float | None] = {5: None, 6: 120.0}
    folder = write_bundle(
        tmp_path / "b",
        settings,
        age_ms=lambda i: ages.get(i, 20.0),
        platform=platform_of(cpu_model="<CPU>"),
    )
    bundle = read_bundle(folder)
    report = judge(bundle, load_budgets())
    page = page_of(report, bundle)
    assert page.count("<svg") == 4
    assert page.count('class="miss"') == 4
    assert RESEARCH_NOTICE in page
    assert "INSUFFICIENT on surrogate: &lt;CPU&gt;" in page
    assert "prefers-color-scheme:dark" in page
    for foreign in ("<script", "http:", "https:", "<CPU>", " src="):
        assert foreign not in page
    text = text_of(report)
    assert text.startswith(RESEARCH_NOTICE)
    assert "first frame after a pause" in text


def test_incomplete_bundle_has_a_page_and_a_text(tmp_path: Path) -> None:
    """What was broken off is shown as invalid."""
    bundle = read_bundle(tmp_path)
    report = judge(bundle, load_budgets())
    assert "incomplete: no SHA256SUMS" in page_of(report, bundle)
    assert "INVALID" in text_of(report)
