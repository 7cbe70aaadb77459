"""Pieces of the self-contained report: escaping, tables, marks of verdicts, the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from trocar_lab.evidence.proof.verdicts import Verdict

_SIGNS: Final = {
    Verdict.PASS: ("✔", "good"),
    Verdict.WAIVED: ("◇", "open"),
    Verdict.HOST_ONLY: ("◐", "open"),
    Verdict.SKIPPED: ("○", "open"),
    Verdict.SUSPECT: ("?", "red"),
    Verdict.OUTDATED: ("⟲", "red"),
    Verdict.MISSING: ("∅", "red"),
    Verdict.ERROR: ("!", "red"),
    Verdict.FAIL: ("✘", "red"),
}
_STYLE: Final = """
:root{--ink:#1a1d21;--paper:#fff;--soft:#f3f5f7;--line:#c9d0d8;--link:#0b57a4;--good:#13662f;--open:#8a5a00;
--red:#a8071a}
@media (prefers-color-scheme:dark){:root{
--ink:#e6e9ee;--paper:#14171b;--soft:#1f242b;--line:#3a434e;
--link:#7db7ff;--good:#6fd08c;--open:#f0b95a;--red:#ff8a8a}}
*{box-sizing:border-box}html{scroll-behavior:smooth}
body{margin:0 auto;max-width:76rem;padding:1.5rem;font:16px/1.5 system-ui,sans-serif;
color:var(--ink);background:var(--paper)}
h1,h2,h3{line-height:1.25;margin:2rem 0 .6rem}h1{margin-top:0}a{color:var(--link)}
table{border-collapse:collapse;width:100%;margin:.6rem 0 1.2rem;font-size:.92rem}
th,td{border:1px solid var(--line);padding:.35rem .55rem;
text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{background:var(--soft)}code{font:.9em ui-monospace,monospace}
.box{border:2px solid var(--open);border-left-width:.6rem;padding:.6rem 1rem;
margin:1rem 0;background:var(--soft)}
.card{border:1px solid var(--line);padding:.6rem 1rem;margin:1rem 0;break-inside:avoid}
.wide{overflow-x:auto}.mark{font-weight:700;white-space:nowrap}.good{color:var(--good)}.open{color:var(--open)}.red{color:var(--red)}
.banner{font-size:1.15rem;font-weight:700;padding:.8rem 1rem;border:3px solid currentColor}
:target{outline:3px solid var(--link);outline-offset:3px}nav ul{columns:2}
@media print{body{max-width:none;padding:0;font-size:10pt}nav{display:none}
a{color:inherit;text-decoration:none}
h2{break-before:page}tr,.box{break-inside:avoid}thead{display:table-header-group}}
"""


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Return ``value`` as HTML; escaped unless it is markup already."""
    return value if isinstance(value, Markup) else Markup(escape(str(value)))


def join(parts: Iterable[object], separator: str = "") -> Markup:
    """Return the parts one after the other."""
    return Markup(separator.join(text(part) for part in parts))


def element(tag: str, *parts: object, **attributes: str) -> Markup:
    """Return one element; ``class_`` stands for class, ``id_`` for id."""
    written = "".join(
        f' {name.rstrip("_")}="{escape(value)}"' for name, value in attributes.items() if value
    )
    return Markup(f"<{tag}{written}>{join(parts)}</{tag}>")


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> Markup:
    """Return a table; an empty one says ``empty`` and never vanishes.

    Args:
        head: Column titles.
        rows: Cells.
        empty: Said when there are no rows.
    """
    body = [element("tr", *(element("td", cell) for cell in row)) for row in rows]
    if not body:
        body = [Markup(f'<tr><td colspan="{len(head)}">{text(empty)}</td></tr>')]
    titles = element("tr", *(element("th", title, scope="col") for title in head))
    return element(
        "div", element("table", element("thead", titles), element("tbody", *body)), class_="wide"
    )


def mark(verdict: Verdict) -> Markup:
    """Return a verdict as sign and word; colour repeats it."""
    sign, colour = _SIGNS[verdict]
    return element("span", f"{sign} {verdict}", class_=f"mark {colour}")


def link_to(need_id: str) -> Markup:
    """Return a link to a need's card."""
    return element("a", element("code", need_id), href=f"#{need_id}")


def page(title: str, sections: Iterable[tuple[str, str, Markup]]) -> str:
    """Return the whole page: no script, no address outside itself.

    Args:
        title: Title of the page.
        sections: (anchor, heading, content).
    """
    found = list(sections)
    contents = element(
        "ul", *(element("li", element("a", heading, href=f"#{name}")) for name, heading, _ in found)
    )
    body = [
        element("section", element("h2", heading), content, id_=name)
        for name, heading, content in found
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<header><h1>{escape(title)}</h1></header>{element('nav', contents)}"
        f"<main>{join(body)}</main></body></html>\n"
    )
