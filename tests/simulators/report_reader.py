"""A strict reader of the report: elements, anchors, references, and the text of each anchor."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Final

from trocar_lab.evidence.project import Project
from trocar_lab.evidence.report.facts import Facts, collect_facts
from trocar_lab.evidence.report.selftest_summary import SeededFault, SelftestSummary
from trocar_lab.evidence.rules.catalogue import RULES
from trocar_lab.evidence.rules.rule import Outcome, run_rules

SOUND: Final = SelftestSummary(
    is_clean=True, faults=(SeededFault("K5", "test of a control fails", is_caught=True, detail=""),)
)
_REFERS: Final = frozenset({
    "action",
    "background",
    "cite",
    "data",
    "formaction",
    "href",
    "poster",
    "src",
    "srcset",
    "xlink:href",
})


class ReportReader(HTMLParser):
    """What a page holds; text is collected for every anchor that it stands behind.

    Attributes:
        tags: Names of the elements that occur.
        anchors: Every id, in order.
        references: Every value of an attribute that names an address.
        attributes: Names of the attributes that occur.
        texts: Id to the text from it on to the next id.
        text: All text outside style and script.
    """

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.anchors: list[str] = []
        self.references: list[str] = []
        self.attributes: set[str] = set()
        self.texts: dict[str, str] = {}
        self._parts: list[str] = []
        self._silent = ""
        self.feed(page)
        self.close()
        self.text = "".join(self._parts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect one element."""
        self.tags.add(tag)
        if tag in {"style", "script", "title"}:
            self._silent = tag
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id" and value:
                self.anchors.append(value)
                self.texts[value] = ""
            elif name in _REFERS and value is not None:
                self.references.append(value)

    def handle_endtag(self, tag: str) -> None:
        """End what holds no text of the page."""
        if tag == self._silent:
            self._silent = ""

    def handle_data(self, data: str) -> None:
        """Collect text."""
        if self._silent:
            return
        self._parts.append(data)
        if self.anchors:
            self.texts[self.anchors[-1]] += data


def unclosed(page: str) -> list[str]:
    """Return the elements whose end tag is missing although HTML asks for one.

    Args:
        page: The page; elements whose end tag may be left out are not looked at.
    """
    checker = _Nesting()
    checker.feed(page)
    checker.close()
    return checker.faults + [f"<{tag}> is never closed" for tag in checker.open]


class _Nesting(HTMLParser):
    """Checks the elements that must be closed."""

    _CLOSED: Final = frozenset({
        "a",
        "abbr",
        "article",
        "b",
        "code",
        "del",
        "details",
        "div",
        "dl",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "header",
        "ins",
        "main",
        "nav",
        "ol",
        "script",
        "section",
        "span",
        "strong",
        "style",
        "summary",
        "table",
        "title",
        "ul",
    })  # fmt: skip - a list of names

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember one element."""
        if tag in self._CLOSED:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the last element, which must be of this name."""
        if tag not in self._CLOSED:
            return
        if not self.open or self.open[-1] != tag:
            line, column = self.getpos()
            self.faults.append(f"</{tag}> at {line}:{column}, open: {self.open[-3:]}")
        else:
            self.open.pop()


def facts_of(project: Project, *, release: bool = False) -> Facts:
    """Return what a report of a project looks up, with all rules judged.

    Args:
        project: What is judged.
        release: Nothing may be open.
    """
    outcome: Outcome = run_rules(RULES, project, release=release)
    return collect_facts(project, outcome, selftest=SOUND)
