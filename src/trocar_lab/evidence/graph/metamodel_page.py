"""docs/reference/metamodel.rst, written from the table; ``--check`` finds a stale one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from trocar_lab.evidence.graph.metamodel import Metamodel, TypeRule

PAGE: Final = "docs/reference/metamodel.rst"


def metamodel_page(model: Metamodel) -> str:
    """Return the page."""
    lines = [
        "Trace metamodel",
        "===============",
        "",
        "This page is written by ``python -m trocar_lab.evidence metamodel``; do not edit it.",
        "",
        f"An id matches ``{model.id_pattern}`` and begins with the prefix of its type.",
        "A directive begins in column 0, its options follow at once, indented by three spaces,",
        "then one blank line and the text. ``status`` is one of",
        f"{_code(model.vocabulary['status'])}; left out it means ``draft``.",
        "Verdicts and risk levels are computed and never written.",
        "",
    ]
    for name, rule in model.type.items():
        lines += _type_section(name, rule)
    lines += [*_field_section(model), *_marker_section(model), *_risk_section(model)]
    return "\n".join(lines).rstrip() + "\n"


def _heading(text: str) -> list[str]:
    """Return a section title."""
    return [text, "-" * len(text), ""]


def _code(names: Iterable[str]) -> str:
    """Return names as literals."""
    return ", ".join(f"``{name}``" for name in names)


def _list_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a list-table."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [head, *rows]:
        lines += [f"   {'*' if index == 0 else ' '} - {cell}" for index, cell in enumerate(row)]
    return [*lines, ""]


def _type_section(name: str, rule: TypeRule) -> list[str]:
    """Return the section of one need type."""
    rows = []
    for link, target in rule.links.items():
        count = f"{target.min} to {target.max}" if target.max else f"{target.min} or more"
        count += f", or ``{target.or_field}`` instead" if target.or_field else ""
        rows.append((f"``{link}``", "any type" if "*" in target.to else _code(target.to), count))
    lines = _heading(rule.title)
    lines += [f"Directive ``{name}``, id ``{rule.prefix}…``.", ""]
    lines += [
        f"Required: {_code(rule.required) or 'nothing'}. Optional: {_code(rule.optional)}.",
        "",
    ]
    if rows:
        lines += _list_table(("Link", "To", "How many"), rows)
    if rule.at_least_one_of:
        lines += [f"At least one of {_code(rule.at_least_one_of)}.", ""]
    return lines


def _field_section(model: Metamodel) -> list[str]:
    """Return the section of all fields."""
    rows = []
    for name, rule in model.field.items():
        allowed = _code(model.vocabulary[rule.vocabulary]) if rule.vocabulary else "text"
        if rule.pattern:
            allowed = f"``{model.pattern[rule.pattern]}``".replace("\\", "\\")
        rows.append((
            f"``{name}``",
            allowed + (" (comma-separated list)" if rule.many else ""),
            rule.help or rule.title,
        ))
    return _heading("Fields") + _list_table(("Field", "Values", "Meaning"), rows)


def _marker_section(model: Metamodel) -> list[str]:
    """Return the section of the markers of tests."""
    rows = []
    for name, rule in model.marker.items():
        words = [
            f"``{key}``: {_code(model.vocabulary[v]) if v else 'text'}"
            for key, v in rule.keywords.items()
        ]
        rows.append((
            f"``{name}``",
            _code(model.marker_targets(name)),
            "; ".join(words) or "none",
            _code(rule.required) or "none",
        ))
    return _heading("Markers of tests") + _list_table(
        ("Marker", "Ids of", "Keywords", "Required keywords"), rows
    )


def _risk_section(model: Metamodel) -> list[str]:
    """Return the section of scales and matrices."""
    risk = model.risk
    lines = _heading("Risk")
    for name, scale in risk.scale.items():
        lines += _list_table(
            (name, "Meaning"), [(number, words) for number, words in scale.items()]
        )
    steps = [str(number) for number in range(1, 6)]
    lines += ["Probability of harm, from P1 (row) and P2 (column):", ""]
    lines += _list_table(
        ("", *steps),
        [(s, *map(str, row)) for s, row in zip(steps, risk.probability.matrix, strict=True)],
    )
    lines += ["Risk level, from severity (row) and probability of harm (column):", ""]
    lines += _list_table(
        ("", *steps), [(s, *row) for s, row in zip(steps, risk.level.matrix, strict=True)]
    )
    return [
        *lines,
        f"A level above ``{risk.level.acceptable}`` needs a control, and after control a signed",
        "benefit-risk record.",
    ]
