"""The frame of the page: head, contents, sections, style, script, and the head of printed pages."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

from trocar_lab.evidence.report.markup import HEIGHTS_REM, esc, link

_WIDTHS: Final = range(4, 61)


class Section(NamedTuple):
    """One section of the page.

    Attributes:
        anchor: Its id.
        heading: Its title.
        content: HTML.
    """

    anchor: str
    heading: str
    content: str


class Frame(NamedTuple):
    """What stands around the sections.

    Attributes:
        title: Title of the page.
        statement: What the reader must know before anything else.
        identity: Identity of the release in one line.
        verdict: Verdict in one line.
    """

    title: str
    statement: str
    identity: str
    verdict: str


def page(frame: Frame, sections: Sequence[Section], *, is_large: bool = False) -> str:
    """Return the whole page; a policy in it forbids every address outside.

    Args:
        frame: What stands around the sections.
        sections: The sections in reading order.
        is_large: The browser leaves out the layout of what is not on the screen. It then guesses
            heights, so that a link may land beside its target; the script mends that.
    """
    style = _resource("report.css") + _sizes() + _printed_head(frame)
    script = _resource("report.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}';"
        " base-uri 'none'; form-action 'none'"
    )
    contents = "".join(
        f"<li>{number}. {link(s.anchor, esc(s.heading))}" for number, s in enumerate(sections, 1)
    )
    body = "".join(
        f"<section id={s.anchor}><h2>{number}. {esc(s.heading)}</h2>{s.content}</section>"
        for number, s in enumerate(sections, 1)
    )
    return (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width,initial-scale=1">'
        f'<meta http-equiv=Content-Security-Policy content="{policy}">'
        f"<title>{esc(frame.title)}</title><style>{style}</style></head><body>"
        "<a class=skip href=#main>Skip to the report</a>"
        f"<header><h1>{esc(frame.title)}</h1><p class=ruo>{esc(frame.statement)}</p>"
        f"<p class=m>{esc(frame.identity)}</p></header>"
        f"<nav aria-label=Contents><div><h2>Contents</h2><ol>{contents}</ol></div></nav>"
        f"<main id=main tabindex=-1{' class=big' if is_large else ''}>{body}</main>"
        f"<script>{script}</script></body></html>\n"
    )


def _printed_head(frame: Frame) -> str:
    """Return the rule that prints identity and statement on every page of paper."""
    return (
        "@page{size:A4;margin:19mm 13mm 16mm;"
        f"@top-left{{content:{_quoted(frame.identity)};{_SMALL}}}"
        f"@top-right{{content:{_quoted(frame.statement)};{_SMALL}font-weight:bold}}"
        f"@bottom-left{{content:{_quoted(frame.verdict)};{_SMALL}}}"
        f'@bottom-right{{content:counter(page) " of " counter(pages);{_SMALL}}}}}'
    )


_SMALL: Final = "font:7.5pt system-ui,sans-serif;color:#333;"


def _quoted(text: str) -> str:
    """Return a text as a string of CSS that cannot leave the style element."""
    return (
        '"'
        + "".join(c if c.isalnum() or c in " .,:;·()-_" else f"\\{ord(c):x} " for c in text)
        + '"'
    )


def _sizes() -> str:
    """Return a class for each column width and guessed height: style attributes are forbidden."""
    widths = (f".c{width}{{width:{width}%}}" for width in _WIDTHS)
    heights = (
        f".big .e{step}{{contain-intrinsic-size:auto {height}rem}}"
        for step, height in enumerate(HEIGHTS_REM)
    )
    return "".join((*widths, *heights))


def _digest(text: str) -> str:
    """Return the digest of an inline text as the policy of a page names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _resource(name: str) -> str:
    """Return a text file that lies beside this module."""
    path = resources.files("trocar_lab.evidence.report").joinpath(name)
    return path.read_text(encoding="utf-8").strip()
