"""Pieces of HTML as plain strings: escaping, links, marks of verdicts, tables.

End tags that HTML lets one leave out are left out: at thousands of needs they are a fifth of the
file. Whoever puts text of a need, a path or a reason into a page passes it through ``esc`` first.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from trocar_lab.evidence.proof.verdicts import Verdict

GOOD, OPEN, RED, MUTED = "g", "o", "r", "m"
_SIGNS: Final = {
    Verdict.PASS: ("✔", GOOD),
    Verdict.WAIVED: ("◇", OPEN),
    Verdict.HOST_ONLY: ("◐", OPEN),
    Verdict.SKIPPED: ("○", OPEN),
    Verdict.SUSPECT: ("?", RED),
    Verdict.OUTDATED: ("⟲", RED),
    Verdict.MISSING: ("∅", RED),
    Verdict.ERROR: ("!", RED),
    Verdict.FAIL: ("✘", RED),
}
_LITERAL: Final = re.compile(r"``(.+?)``")
_ROLE: Final = re.compile(r":need:`([A-Z0-9_]+)`")
_DOC: Final = re.compile(r":[a-z]+:`([^`]+)`")
_SAFE: Final = re.compile(r"[A-Za-z0-9_.-]+")
SHORT_DIGITS: Final = 8
HEIGHTS_REM: Final = tuple(8 << step for step in range(13))


def esc(value: object) -> str:
    """Return a value as the text of an element."""
    return str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def attribute(value: str) -> str:
    """Return a value as that of an attribute, in quotes where it needs them."""
    if _SAFE.fullmatch(value):
        return value
    return '"' + esc(value).replace('"', "&quot;") + '"'


def ref(need_id: str) -> str:
    """Return a link to a need whose id is well formed."""
    return f"<a href=#{need_id}>{need_id}</a>"


def link(target: str, words: str) -> str:
    """Return a link inside the page; ``words`` is HTML."""
    return f"<a href=#{target}>{words}</a>"


def far_link(target: str, words: str) -> str:
    """Return a link whose target is printed beside it; ``words`` is HTML."""
    return f"<a class=x href=#{target}>{words}</a>"


def refs(need_ids: Iterable[str], known: Collection[str], none: str = "") -> str:
    """Return links to needs, parted by commas; an unknown id is no link.

    Args:
        need_ids: Ids in order.
        known: Ids that the page holds.
        none: HTML for no id at all.
    """
    found = [f"<a href=#{n}>{n}</a>" if n in known else f"<code>{esc(n)}</code>" for n in need_ids]
    return ", ".join(found) or none


def inline(text: str, known: Collection[str]) -> str:
    """Return the text of a need as HTML: literals and links to needs as RST marks them.

    Args:
        text: Text of a need.
        known: Ids that the page holds.
    """
    if "`" not in text:
        return esc(text)
    found = _LITERAL.sub(r"<code>\1</code>", esc(text))
    found = _ROLE.sub(lambda m: refs((m[1],), known), found)
    return _DOC.sub(r"<code>\1</code>", found)


def counted(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def state(colour: str, sign: str, words: str) -> str:
    """Return a sign and a word in a colour that only repeats them; good is the colour of ``b``."""
    kind = "" if colour == GOOD else f" class={colour}"
    return f"<b{kind}>{sign} {words}</b>"


MARKS: Final = {v: state(colour, sign, v.value) for v, (sign, colour) in _SIGNS.items()}
NONE: Final = state(RED, "∅", "none")
NOTHING: Final = f"<span class={MUTED}>none</span>"


def row(*cells: str) -> str:
    """Return one row; the first cell is its header, which HTML knows without a scope."""
    return "<tr><th>" + "<td>".join(cells)


def table(
    caption: str,
    head: Sequence[str],
    rows: Iterable[str],
    *,
    empty: str,
    widths: Sequence[int] = (),
    layout: str = "",
    wide: bool = False,
) -> str:
    """Return a table with its caption; an empty one says ``empty`` and never vanishes.

    Args:
        caption: What the table holds; HTML.
        head: Column titles.
        rows: Rows as HTML.
        empty: Said when there are no rows.
        widths: Share of each column in percent, 4 to 60; the browser then measures no cell.
        layout: Class of a table that occurs often; the style sheet then holds its widths.
        wide: The table may be wider than the page and scrolls in a box of its own.
    """
    found = list(rows)
    body = "".join(found) or f"<tr><td colspan={len(head)}>{esc(empty)}"
    columns = "".join(f"<col class=c{width}>" for width in widths)
    scope = "" if layout else " scope=col"  # in a thead the scope is known without
    titles = "".join(f"<th{scope}>{title}" for title in head)
    kind = layout or ("f" if widths else "")
    fixed = f" class={kind}" if kind else ""
    text = (
        f"<table{fixed}><caption>{caption}</caption>{columns}"
        f"<thead><tr>{titles}<tbody>{body}</table>"
    )
    if not wide:
        return text
    label = attribute(re.sub(r"<[^>]*>", "", caption))
    return (
        f'<div class="w e{height_step(len(found))}" role=group tabindex=0 aria-label={label}>'
        f"{text}</div>"
    )


def height_step(row_count: int) -> int:
    """Return the step of ``HEIGHTS_REM`` that fits a table of so many rows, of two lines each."""
    height = 4 + 3 * row_count
    return sum(height > step for step in HEIGHTS_REM[:-1])


def facts_table(caption: str, facts: Iterable[tuple[str, str]]) -> str:
    """Return a table of names and values; values are HTML."""
    rows = "".join(row(esc(name), value) for name, value in facts)
    return f"<table class=k><caption>{caption}</caption><tbody>{rows}</table>"
