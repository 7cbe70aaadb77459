"""Rule G10: how user needs and requirements are worded. The word lists are data: wording.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from importlib import resources
from typing import Final, NamedTuple

from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.rules.rule import Rule, Tally

NAME: Final = "``"
STOP: Final = "."
_NAME: Final = re.compile(r"``.*?``|:[a-z]+:`[^`]*`")
_TOKEN: Final = re.compile(r"[^\W_]+(?:[.,'/+-][^\W_]+)*|%|``|\.(?=\s|$)")
_NUMBER: Final = re.compile(r"[0-9][0-9.,]*(e-?[0-9]+)?")
_JOINS: Final = frozenset({"to", "x"})


class Hit(NamedTuple):
    """A phrase that a text holds, and the place of the word behind it."""

    phrase: str
    start: int
    end: int


class Phrases:
    """Phrases that are looked for as whole words; of two that begin alike the longer counts."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        for parts in sorted((tuple(p.split()) for p in phrases), key=len, reverse=True):
            self._by_first.setdefault(parts[0], []).append(parts)

    def at(self, words: Sequence[str], start: int) -> Hit | None:
        """Return the phrase that begins at ``start``, or None."""
        for parts in self._by_first.get(words[start], ()) if start < len(words) else ():
            end = start + len(parts)
            if tuple(words[start:end]) == parts:
                return Hit(" ".join(parts), start, end)
        return None

    def find(self, words: Sequence[str]) -> list[Hit]:
        """Return every phrase that the words hold, in order, without overlap."""
        found: list[Hit] = []
        if self._by_first.keys().isdisjoint(words):
            return found
        for start in [index for index, word in enumerate(words) if word in self._by_first]:
            hit = self.at(words, start)
            if hit is not None and (not found or start >= found[-1].end):
                found.append(hit)
        return found


class Wording(Frozen):
    """The lists of wording.toml; what each is for stands there."""

    title_characters_max: int
    body_words_max: int
    obligation: str
    other_obligations: tuple[str, ...]
    need: str
    unfinished: tuple[str, ...]
    vague: tuple[str, ...]
    comparisons: tuple[str, ...]
    symbols: tuple[str, ...]
    units: tuple[str, ...]
    ratios: tuple[str, ...]
    quantities: tuple[str, ...]
    number_words: tuple[str, ...]

    @cached_property
    def obligation_phrases(self) -> Phrases:
        """Return the words that state an obligation and are not the one word for it."""
        return Phrases(self.other_obligations)

    @cached_property
    def unfinished_phrases(self) -> Phrases:
        """Return the marks of a text that is not finished."""
        return Phrases(self.unfinished)

    @cached_property
    def vague_phrases(self) -> Phrases:
        """Return the vague words."""
        return Phrases(self.vague)

    @cached_property
    def comparison_phrases(self) -> Phrases:
        """Return the words that announce a limit."""
        return Phrases(self.comparisons)

    @cached_property
    def symbol_phrases(self) -> Phrases:
        """Return the signs of units."""
        return Phrases(self.symbols)

    @cached_property
    def unit_phrases(self) -> Phrases:
        """Return what a number can count or measure."""
        return Phrases((*self.symbols, *self.units))

    @cached_property
    def quantity_phrases(self) -> Phrases:
        """Return the quantities that are nothing without a number."""
        return Phrases(self.quantities)


@cache
def load_wording() -> Wording:
    """Return the lists that lie beside this module."""
    path = resources.files("trocar_lab.evidence.rules").joinpath("wording.toml")
    return Wording.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))


def words_of(text: str) -> list[str]:
    """Return the words of a text in small letters; a name in backquotes and a full stop are one."""
    return _TOKEN.findall(_NAME.sub(f" {NAME} ", text).lower())


def wording_faults(need: Need, wording: Wording) -> Iterator[str]:
    """Yield what is wrong with the wording of one need.

    Args:
        need: A user need or a requirement.
        wording: The word lists.
    """
    title, body = words_of(need.title), words_of(need.content)
    every = [*title, STOP, *body]
    if len(need.title) > wording.title_characters_max:
        limit = wording.title_characters_max
        yield f"the title has {len(need.title)} characters; at most {limit}"
    length = len(body) - body.count(STOP)
    if length > wording.body_words_max:
        yield f"the text has {length} words; at most {wording.body_words_max}"
    yield from _named("not finished", wording.unfinished_phrases.find(every))
    if need.need_type == "user_need":
        yield from _need_faults(body, wording)
        return
    yield from _obligation_faults(body, wording)
    yield from _named("vague", wording.vague_phrases.find(every))
    yield from _limit_faults(title, body, wording)


def _need_faults(body: Sequence[str], wording: Wording) -> Iterator[str]:
    """Yield why a text does not state a need."""
    if wording.need not in body:
        yield f"a user need says who {wording.need!r} what; that word is missing"
    if wording.obligation in body:
        yield f"a user need binds nobody, but says {wording.obligation!r}"


def _obligation_faults(body: Sequence[str], wording: Wording) -> Iterator[str]:
    """Yield why a text does not state exactly one obligation."""
    count = body.count(wording.obligation)
    if count != 1:
        yield f"{wording.obligation!r} occurs {count} times; one requirement is one obligation"
    hits = wording.obligation_phrases.find(body)
    yield from _named(f"obliges or permits, but is not {wording.obligation!r}", hits)


def _named(words: str, hits: Iterable[Hit]) -> Iterator[str]:
    """Yield one fault that names each phrase once, if there is one."""
    phrases = list(dict.fromkeys(hit.phrase for hit in hits))
    if phrases:
        yield f"{words}: {', '.join(phrases)}"


def _limit_faults(title: Sequence[str], body: Sequence[str], wording: Wording) -> Iterator[str]:
    """Yield why a text that speaks of a limit does not give one."""
    for hit in wording.comparison_phrases.find(body):
        if not _is_measure(body, hit.end, wording) and body[hit.end : hit.end + 1] != [NAME]:
            given = " ".join(w for w in body[hit.end : hit.end + 2] if w != STOP) or "nothing"
            yield f"{hit.phrase!r} is followed by {given!r}, not by a number with a unit"
    for hit in wording.symbol_phrases.find(body):
        if not _is_number(body[hit.start - 1] if hit.start else "", wording):
            yield f"{hit.phrase!r} stands behind no number"
    spoken = wording.quantity_phrases.find([*title, STOP, *body])
    if spoken and not _holds_measure(body, wording):
        yield from _named("without a number and its unit", spoken)


def _holds_measure(body: Sequence[str], wording: Wording) -> bool:
    """Return whether a number in figures stands anywhere, with a unit or about a ratio."""
    figures = [index for index, word in enumerate(body) if _NUMBER.fullmatch(word)]
    return any(_is_measure(body, index, wording) for index in figures)


def _is_number(word: str, wording: Wording) -> bool:
    """Return whether a word is a number, in figures or as a word."""
    return word in wording.number_words or _NUMBER.fullmatch(word) is not None


def _is_measure(body: Sequence[str], index: int, wording: Wording) -> bool:
    """Return whether a number stands at ``index``, with a unit or in a sentence about a ratio.

    A range (``1 to 64 threads``) and a size (``640 x 480 pixels``) have the unit at their end.
    """
    if index >= len(body) or not _is_number(body[index], wording):
        return False
    if body[index] in wording.number_words:
        return True
    if wording.unit_phrases.at(body, _behind_number(body, index)) is not None:
        return True
    return bool(set(wording.ratios) & set(_sentence(body, index)))


def _behind_number(body: Sequence[str], index: int) -> int:
    """Return the place behind the number, range or size that begins at ``index``."""
    end = index + 1
    while end + 1 < len(body) and body[end] in _JOINS and _NUMBER.fullmatch(body[end + 1]):
        end += 2
    return end


def _sentence(body: Sequence[str], index: int) -> Sequence[str]:
    """Return the sentence that holds the word at ``index``."""
    start, end = index, index
    while start > 0 and body[start - 1] != STOP:
        start -= 1
    while end < len(body) and body[end] != STOP:
        end += 1
    return body[start:end]


def requirements_are_worded(project: Project, tally: Tally) -> None:
    """G10: one obligation a requirement, no vague word, each limit a number with its unit."""
    wording = load_wording()
    for need in project.graph.live("user_need", "sys_req", "srs"):
        tally.check(need.need_id, *wording_faults(need, wording))


WORDING_RULES: Final = (
    Rule(
        "G10",
        "Requirements state one obligation, without vague words, limits with number and unit",
        requirements_are_worded,
    ),
)
