"""Sections of a document: what counts as text, and what is read at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from trocar_lab.evidence.source import document_sections
from trocar_lab.evidence.source.document_sections import read_document, section_words


def test_words_are_counted_between_labels() -> None:
    """A section ends at the next label; text inside a directive counts, its options do not."""
    text = (
        "Words before any label\n\n.. _first-part:\n\nHeading of it\n-------------\n\n"
        "one two three\n\n"
        ".. note:: a title\n   :class: wide\n\n   four five\n\n.. _second-part:\n\nsix\n"
    )
    assert section_words(text) == {"first-part": 5, "second-part": 1}


@pytest.mark.parametrize(
    "hidden",
    [
        ".. one two three\n   four five",
        "..\n   one two three",
        ".. TODO one two\n\n   three\n\n   four",
    ],
)
def test_words_in_a_comment_are_none(hidden: str) -> None:
    """A comment is on no page: a section of comments is empty, what follows it is not hidden."""
    assert section_words(f".. _part:\n\n{hidden}\n\nfour\n") == {"part": 1}


def test_label_in_a_comment_or_indented_is_none() -> None:
    """Only a label in column 0 is one that a reader can be sent to."""
    text = ".. remark\n\n   .. _in-comment:\n\n   .. _inside:\n\n  .. _indented:\n\nwords\n"
    assert section_words(text) == {}


def test_of_a_repeated_label_the_emptier_section_counts() -> None:
    """A second, empty section of the same name must not be hidden by the first."""
    assert section_words(".. _part:\n\none two\n\n.. _part:\n\n") == {"part": 0}


def test_document_is_read_inside_the_repository_only(tmp_path: Path) -> None:
    """A path that leads out, a link that leads out, a folder and bytes are all no document."""
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.rst").write_text("secret")
    (root / "inside.rst").write_text("words")
    (root / "link.rst").symlink_to(tmp_path / "outside.rst")
    (root / "bytes.rst").write_bytes(b"\xff\xfe")
    assert read_document(root, "inside.rst") == "words"
    for name in ("../outside.rst", "link.rst", "bytes.rst", ".", "absent.rst"):
        assert read_document(root, name) is None


def test_document_above_the_bound_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sides of the bound."""
    (tmp_path / "a.rst").write_text("12345")
    monkeypatch.setattr(document_sections, "DOCUMENT_BYTES_MAX", 5)
    assert read_document(tmp_path, "a.rst") == "12345"
    monkeypatch.setattr(document_sections, "DOCUMENT_BYTES_MAX", 4)
    assert read_document(tmp_path, "a.rst") is None
