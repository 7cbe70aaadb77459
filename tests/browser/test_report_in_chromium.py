"""The report as a reviewer meets it: in a browser, without script, in the dark, and on paper."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from simulators.report_reader import SOUND
from simulators.trace_graphs import write_trace
from trocar_lab.evidence.project import read_project
from trocar_lab.evidence.report.html_report import HTML, PDF, write_report
from trocar_lab.evidence.report.print_pdf import find_browser, print_pdf
from trocar_lab.evidence.rules.catalogue import RULES
from trocar_lab.evidence.rules.rule import run_rules

playwright = pytest.importorskip("playwright.sync_api", reason="playwright: tox -e browser")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe: tox -e browser")
pdfium = pytest.importorskip("pypdfium2", reason="pypdfium2: tox -e browser")

# Where types are checked, playwright is not installed: its classes have no names there.
Page = Any
Browser = Any

_NEEDS: Final = 150
_LARGE: Final = 1_500
_TODAY: Final = dt.date(2026, 11, 21)
_DONE: Final = "requestAnimationFrame(() => requestAnimationFrame(done))"


def _write(folder: Path, need_count: int) -> Path:
    """Write the report of a made repository and return its page."""
    made = write_trace(folder / "repository", need_count)
    project = read_project(made.root, graph=made.graph, evidence=made.evidence, today=_TODAY)
    outcome = run_rules(RULES, project)
    return write_report(folder / "report", project, outcome, selftest=SOUND, evidence=made.evidence)


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a graph as large as that of this repository."""
    return _write(tmp_path_factory.mktemp("small"), _NEEDS)


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a graph of which the browser lays out only what is seen."""
    return _write(tmp_path_factory.mktemp("large"), _LARGE)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return headless Chromium."""
    path = find_browser()
    if path is None:
        pytest.skip("no Chromium on the path")
    with playwright.sync_playwright() as engine:
        found = engine.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    """Return the report, opened; a fault of its script fails the test."""
    faults: list[str] = []
    opened = browser.new_page(viewport={"width": 1400, "height": 900})
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda message: faults.append(message.text))
    opened.goto(report.as_uri())
    yield opened
    opened.close()
    assert faults == []


def _is_seen(page: Page, anchor: str) -> bool:
    """Return whether the top of an element is within the window."""
    script = """anchor => new Promise(done => requestAnimationFrame(() => {
        const box = document.getElementById(anchor).getBoundingClientRect();
        done(box.height > 0 && box.top >= -60 && box.top < innerHeight);
    }))"""
    return bool(page.evaluate(script, anchor))


def _visible(page: Page, scope: str) -> int:
    """Return how many rows that can be filtered are shown."""
    script = "s => [...document.querySelectorAll(`#${s} [data-f]`)].filter(e => !e.hidden).length"
    return int(page.evaluate(script, scope))


def test_proof_of_a_hazard_is_at_most_three_clicks_away(page: Page) -> None:
    """First page, hazard, test case: the path that an auditor walks."""
    page.locator("#hazard-list a").first.click()
    assert _is_seen(page, "HAZ_STREAM_00000")
    chain = page.locator("#RCM_STREAM_00000 tr", has_text="Does it work?")
    assert "✔ PASS" in chain.inner_text()
    chain.locator("a").first.click()
    anchor = page.evaluate("location.hash.slice(1)")
    assert anchor.startswith("case-")
    assert _is_seen(page, anchor)
    assert "host 5/5" in page.locator(f"#{anchor}").inner_text()


def test_what_is_not_proven_is_reached_from_the_verdict(page: Page) -> None:
    """The banner leads to the gaps, and a gap to each of its rows, inside a closed block."""
    assert "checks are not proven" in page.locator(".v").inner_text()
    page.locator(".v a").click()
    assert _is_seen(page, "not-proven")
    row = page.locator("#not-proven tr", has_text="is approved in its present text")
    assert row.count() == 1
    row.locator("a", has_text="all rows").click()
    assert _is_seen(page, "open-G8")
    assert page.locator("#open-G8").inner_text().startswith("G8 in the table of rules")


def test_filters_hide_rows_and_announce_the_count(page: Page) -> None:
    """Who does not see the table hears how many rows are left."""
    status = page.locator("#matrix [role=status]")
    assert status.get_attribute("aria-live") == "polite"
    total = _visible(page, "matrix")
    assert status.inner_text() == f"{total} rows"
    page.locator("#matrix").get_by_label("Kind").select_option(label="alarm")
    left = _visible(page, "matrix")
    assert 0 < left < total
    assert status.inner_text() == f"{left} of {total} rows"
    assert page.locator("#matrix tr[data-f]:visible", has_text="alarm").count() == left
    page.locator("#matrix").get_by_label("Type").select_option(label="Risk control")
    assert status.inner_text() == f"0 of {total} rows"
    page.locator("#matrix").get_by_role("button", name="Show all").click()
    page.wait_for_function("document.querySelector('#matrix [role=status]').innerText[0] !== '0'")
    assert _visible(page, "matrix") == total


def test_cards_are_found_by_type_and_words(page: Page) -> None:
    """A group without a card that fits is not left as an empty heading."""
    page.locator("#needs").get_by_label("Type").select_option(label="Interface")
    assert page.locator("#needs article:visible").count() == _visible(page, "needs")
    assert page.locator("#needs h3:visible").count() == 1
    page.locator("#needs").get_by_label("Id or words").fill("IFC_STREAM_00003")
    assert page.locator("#needs article:visible").count() == 1


def test_link_to_a_hidden_card_shows_it(page: Page) -> None:
    """A filter must not make a link lead nowhere."""
    page.locator("#needs").get_by_label("Id or words").fill("no such words")
    assert _visible(page, "needs") == 0
    page.evaluate("location.hash = '#SRS_STREAM_00003'")
    page.wait_for_function("!document.getElementById('SRS_STREAM_00003').hidden")
    page.wait_for_timeout(200)
    assert _is_seen(page, "SRS_STREAM_00003")


def test_nothing_is_hidden_without_script(browser: Browser, report: Path) -> None:
    """A site may forbid scripts; what the page says must not depend on them."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    script = """() => {
        const lost = [];
        for (const element of document.querySelectorAll("main *")) {
            if (element.closest("details:not([open]) > :not(summary)")) continue;
            if (["COL", "BR", "THEAD", "TBODY"].includes(element.tagName)) continue;
            if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
                lost.push(element.outerHTML.slice(0, 80));
        }
        return lost;
    }"""
    assert page.evaluate(script) == []
    assert page.locator("[hidden], form, input, select").count() == 0
    assert page.locator("#needs article").count() > 0
    block = page.locator("details", has=page.locator("#open-G8"))
    assert not block.locator("#open-G8").is_visible()
    block.locator("summary").click()
    assert block.locator("#open-G8").is_visible()
    page.goto(f"{report.as_uri()}#open-V9")
    assert page.locator("#open-V9").is_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_rule_of_accessibility_is_broken(browser: Browser, report: Path, scheme: str) -> None:
    """Contrast, names, order of headings, tables: axe finds nothing, in either colour scheme."""
    context = browser.new_context(
        color_scheme=scheme, bypass_csp=True, viewport={"width": 1400, "height": 900}
    )
    page = context.new_page()
    page.goto(report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    found = axe.Axe().run(page).response
    context.close()
    lines = [f"{v['id']}: {v['nodes'][0]['html'][:120]}" for v in found["violations"]]
    assert lines == []
    assert any(rule["id"] == "color-contrast" for rule in found["passes"])


@pytest.mark.parametrize("width", [1400, 800, 400])
def test_page_is_never_wider_than_the_window(browser: Browser, report: Path, width: int) -> None:
    """A wide table scrolls in a box of its own, which the keyboard reaches."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(report.as_uri())
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    boxes = page.locator(".w")
    assert boxes.count() > 10
    assert page.locator(".w:not([tabindex='0']), .w:not([aria-label])").count() == 0
    page.close()


def test_keyboard_reaches_the_report_first(page: Page) -> None:
    """The first stop of the tabulator skips the contents."""
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_page_asks_for_nothing_else(browser: Browser, report: Path) -> None:
    """One file: no font, no icon, no address."""
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    page.wait_for_timeout(300)
    page.close()
    assert asked == [report.as_uri()]


@pytest.mark.parametrize(
    "anchor", ["matrix", "needs", "HAZ_STREAM_00030", "SRS_STREAM_00300", "rule-K5", "runs"]
)
def test_anchors_of_a_large_report_are_hit(browser: Browser, large: Path, anchor: str) -> None:
    """The browser guesses the height of what it did not lay out; the script mends the guess."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(f"{large.as_uri()}#{anchor}")
    assert page.locator("main.big").count() == 1
    script = f"""anchor => new Promise(done => {{
        let still = 0, last = null;
        const step = () => {{
            const top = Math.round(document.getElementById(anchor).getBoundingClientRect().top);
            still = top === last ? still + 1 : 0;
            last = top;
            if (still > 20) {_DONE.replace("done)", "() => done(top))")}; else setTimeout(step, 20);
        }};
        step();
    }})"""
    top = page.evaluate(script, anchor)
    page.close()
    assert -5 <= top < 450


def test_print_has_each_hazard_on_a_page_of_its_own(report: Path, tmp_path: Path) -> None:
    """On paper each page names release and restriction; closed blocks are open."""
    if find_browser() is None:
        pytest.skip("no Chromium on the path")
    assert report.name == HTML
    document = pdfium.PdfDocument(str(print_pdf(report, tmp_path / PDF)))
    texts = [document[i].get_textpage().get_text_range() for i in range(len(document))]
    assert all("Research use only; not cleared" in text for text in texts)
    assert all("Trocar 1.0.0" in text for text in texts)
    assert all(f"{i + 1} of {len(texts)}" in text for i, text in enumerate(texts))
    assert "checks are not proven" in texts[0]
    starts = {
        name: [i for i, text in enumerate(texts) if f"{name} " in "".join(text.splitlines()[1:4])]
        for name in (f"HAZ_STREAM_{number:05}" for number in range(1, 6))
    }
    assert all(len(pages) == 1 for pages in starts.values()), starts
    assert len({pages[0] for pages in starts.values()}) == len(starts)
    early = "".join(texts[: starts["HAZ_STREAM_00001"][0]])
    assert "[#open-G8]" in early
    assert "Every row that is not proven" in early
    assert "SRS_STREAM_00040" in early
    width, height = document[0].get_size()
    assert (round(width), round(height)) == (595, 842)
