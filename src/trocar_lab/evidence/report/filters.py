"""The bar of a filter; the script turns it into a form, and without it nothing is hidden."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from trocar_lab.evidence.report.markup import attribute

_DIGITS: Final = string.digits + string.ascii_lowercase


class Choice(NamedTuple):
    """One value by which rows are filtered.

    Attributes:
        title: Name of the choice.
        values: Value to the words shown for it.
    """

    title: str
    values: Mapping[str, str]

    def codes(self) -> dict[str, str]:
        """Return each value to what stands for it in ``data-f``: its place in the choice."""
        return dict(zip(self.values, _DIGITS, strict=False))


def filter_bar(scope: str, noun: str, choices: Sequence[Choice], count: int) -> str:
    """Return the place where the script puts a form; it says how many rows there are.

    Args:
        scope: Id of the section whose elements with ``data-f`` are filtered; ``data-f`` holds one
            one character a choice, in the same order: its place, or a hyphen for none.
        noun: What is counted.
        choices: The choices.
        count: How many rows there are.
    """
    spec = json.dumps(
        [[choice.title, list(choice.values.values())] for choice in choices], ensure_ascii=False
    )
    return (
        f"<div class=q data-scope={scope} data-noun={noun} data-spec={attribute(spec)}>"
        f"<p role=status aria-live=polite>{count:,} {noun}</p></div>"
    )


def coded(values: Sequence[str], codes: Sequence[Mapping[str, str]]) -> str:
    """Return the values of one row as ``data-f`` holds them; what is no choice is a hyphen.

    Args:
        values: One value a choice.
        codes: What stands for the values of each choice.
    """
    return "".join([code.get(value, "-") for value, code in zip(values, codes, strict=True)])
