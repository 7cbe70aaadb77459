"""The page stands alone, shows every outlier, and carries the notice."""

from __future__ import annotations

import re
from array import array
from xml.etree import ElementTree as ET

import pytest

from simulators.unit import UNIT_INFO
from trocar import RESEARCH_NOTICE
from trocar.contracts.limits import NS_PER_MS
from trocar.streaming.latency_page import page_of
from trocar.streaming.latency_report import LatencySamples, MachineFacts, report_of

MACHINE = MachineFacts(
    platform_label="surrogate",
    model="",
    cpu="<b>CPU</b> & co",
    cpu_count=2,
    kernel="Test 1",
    python="3.11",
)


def _page(
    ages_ms: list[float], *, is_timed: bool = True, label: str = "surrogate", unsampled: int = 0
) -> str:
    samples = LatencySamples(
        captured_at_ns=array("q", (40 * NS_PER_MS * i for i in range(len(ages_ms)))),
        age_ns=array("q", (round(age * NS_PER_MS) for age in ages_ms)),
        service_ns=array("q", (round(age * NS_PER_MS / 2) for age in ages_ms)),
        answered_count=len(ages_ms) + unsampled,
        is_timed=is_timed,
    )
    machine = MACHINE.model_copy(update={"platform_label": label})
    report = report_of(samples, deadline_ms=100, unit=UNIT_INFO, machine=machine)
    return page_of(report, samples)


def _drawings(page: str) -> list[ET.Element]:
    return [ET.fromstring(text) for text in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]  # noqa: S314


@pytest.mark.verifies("SRS_SINK_003", extent="full", technique="requirement")
@pytest.mark.verifies("SRS_NOTICE_001", extent="partial", technique="requirement")
def test_page_needs_nothing_else() -> None:
    """It can be opened years later, offline: no script, no link, no other file."""
    page = _page([20.0, 30.0])
    assert RESEARCH_NOTICE in page
    assert not re.search(r"<script|<link|<img|src=|href=|https?:|url\(|@import", page)
    assert "surrogate machine, not an AGX" in page


@pytest.mark.verifies("SRS_SINK_003", extent="partial", technique="equivalence")
def test_text_of_others_is_escaped() -> None:
    """Names come from the machine and from packs."""
    page = _page([20.0])
    assert "&lt;b&gt;CPU&lt;/b&gt; &amp; co" in page
    assert "<b>CPU" not in page


@pytest.mark.verifies("SRS_SINK_003", extent="full", technique="property")
def test_one_outlier_in_a_thousand_is_drawn_twice() -> None:
    """In the distribution and over time: a mean would hide it."""
    page = _page([20.0] * 2000 + [900.0] + [20.0] * 999)
    histogram, timeline = _drawings(page)
    bars = [e for e in histogram if e.get("class") == "bar"]
    assert len(bars) == 2
    tops = [float(e.get("y", "0")) for e in timeline if e.get("class") == "age"]
    assert sum(top < 60 for top in tops) == 1


@pytest.mark.verifies("SRS_SINK_003", extent="partial", technique="boundary")
def test_drawing_stays_inside_its_frame() -> None:
    """Whatever the values, nothing is drawn outside."""
    for ages in ([0.0], [0.0, 0.0], [0.001, 5000.0], [100.0] * 700):
        for drawing in _drawings(_page(ages)):
            for element in drawing:
                assert -0.01 <= float(element.get("x", "0")) <= 720
                assert -0.01 <= float(element.get("y", "0")) <= 220


@pytest.mark.verifies("SRS_SINK_003", extent="partial", technique="equivalence")
def test_run_that_was_not_timed_shows_service_times() -> None:
    """No deadline line, no miss, no age."""
    page = _page([20.0, 21.0], is_timed=False)
    assert "No frame had a deadline" in page
    assert "Service time of frames" in page
    assert 'class="limit"' not in page


@pytest.mark.verifies("SRS_SINK_003", extent="partial", technique="boundary")
def test_agx_and_missing_times_are_said() -> None:
    """What the numbers are of stands beside them."""
    page = _page([20.0] * 4000, label="agx", unsampled=5)
    assert "AGX machine" in page
    assert "5 of them beyond the memory" in page
    assert "(descriptive)" not in page
