"""Labelled sections of an RST document and how many words of text each holds."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Final

DOCUMENT_BYTES_MAX: Final = 2_000_000
_LABEL: Final = re.compile(r"\.\. _(?P<label>[a-z0-9][a-z0-9-]*):\s*$")
_DIRECTIVE: Final = re.compile(r"\s*\.\. [\w:+.-]+::")
_COMMENT: Final = re.compile(r"(?P<indent>\s*)\.\.(?:\s+(?![_\[|]).*)?$")
_OPTION: Final = re.compile(r"\s*:[\w-]+:(?:\s|$)")
_RULE: Final = re.compile(r"\s*([=\-~^\"'`#*+.:_])\1{3,}\s*$")
_WORD: Final = re.compile(r"[^\W\d_][\w'-]*")


def read_document(root: Path, name: str) -> str | None:
    """Return the text of a document inside the repository, or None when it cannot be read.

    Args:
        root: Repository root.
        name: Path relative to it; one that leads out of it is not read.
    """
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()) or not path.is_file():
        return None
    if path.stat().st_size > DOCUMENT_BYTES_MAX:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def section_words(text: str) -> dict[str, int]:
    """Return each label in column 0 to the words between it and the next label.

    Comments, directive lines, option lines and headings are not text. Of a label that stands
    twice, the emptier section counts.

    Args:
        text: Content of an RST file.
    """
    found: dict[str, int] = {}
    label, count, lines = "", 0, [*_without_comments(text), ".. _end:", ""]
    for line, below in pairwise(lines):
        match = _LABEL.match(line)
        if match:
            if label:
                found[label] = min(count, found.get(label, count))
            label, count = match["label"], 0
        elif not any(p.match(line) for p in (_DIRECTIVE, _OPTION, _RULE)) and not _RULE.match(
            below
        ):
            count += len(_WORD.findall(line))
    return found


def _without_comments(text: str) -> list[str]:
    """Return the lines of a text without comments and what is indented below them."""
    kept: list[str] = []
    hidden_below: int | None = None
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if hidden_below is not None and (not line.strip() or indent > hidden_below):
            continue
        hidden_below = None
        match = _COMMENT.match(line)
        if match and not _DIRECTIVE.match(line):
            hidden_below = len(match["indent"])
            continue
        kept.append(line)
    return kept
