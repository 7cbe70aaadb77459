"""Licences and suppliers as metadata name them, in one spelling."""

from __future__ import annotations

import pytest

from trocar_lab.supply.licences import UNKNOWN, licence_of, same_licence, supplier_of


@pytest.mark.parametrize(
    ("expression", "text", "classifiers", "expected"),
    [
        ("MIT OR Apache-2.0", "see file", ["License :: OSI Approved :: BSD License"], None),
        ("", "MIT License", [], "MIT"),
        ("", "x" * 500, ["License :: OSI Approved :: MIT License"], "MIT"),
        ("", "UNKNOWN", ["License :: OSI Approved :: ISC License (ISCL)"], "ISC"),
        ("", "OSI Approved :: Apache Software License", [], "Apache-2.0"),
        ("", "", ["License :: OSI Approved"], UNKNOWN),
        ("", "", ["Topic :: Software"], UNKNOWN),
    ],
)
def test_licence_is_the_best_that_metadata_name(
    expression: str, text: str, classifiers: list[str], expected: str | None
) -> None:
    """An expression beats a word, a word beats a classifier, a whole text is no name."""
    assert licence_of(expression, text, classifiers) == (expected or expression)


@pytest.mark.verifies("SRS_SUP_005", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("metadata", "entry", "expected"),
    [
        ("MIT", "MIT License", True),
        ("BSD-3-Clause", "BSD-3-Clause (PyAV); FFmpeg reports LGPL-3.0-or-later", True),
        ("Apache-2.0", "Apache 2.0", True),
        ("MPL-2.0 AND MIT", "MPL-2.0 AND MIT", True),
        ("MIT", "Apache-2.0", False),
        ("MIT AND GPL-3.0", "MIT", False),
    ],
)
def test_reviewed_licence_must_cover_that_of_the_metadata(
    metadata: str, entry: str, *, expected: bool
) -> None:
    """The register may say more than the metadata, never less."""
    assert same_licence(metadata, entry) is expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (("Jane Doe", ""), "Jane Doe"),
        (("", 'A B <a@b.org>, "C D" <c@d.org>'), "A B, C D"),
        (("list@example.org", "", "Team <t@e.org>"), "Team"),
        (("", ""), ""),
    ],
)
def test_supplier_is_a_name_without_addresses(fields: tuple[str, ...], expected: str) -> None:
    """A mail address alone names nobody."""
    assert supplier_of(*fields) == expected
