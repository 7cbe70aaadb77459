"""JSON that two readers could read in two ways is refused."""

from __future__ import annotations

import pytest

from trocar.contracts.errors import SignatureError
from trocar.contracts.limits import STATEMENT_BYTES_MAX, STATEMENT_DEPTH_MAX
from trocar.statements.strict_json import parse_strict

pytestmark = pytest.mark.verifies("SRS_STATEMENT_001", extent="partial", technique="boundary")


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a": [1, 2.5, true, null, "\xc3\xa9"]}', {"a": [1, 2.5, True, None, "é"]}),
        (b" [] ", []),
        (b'"x"', "x"),
    ],
)
def test_what_has_one_meaning_is_read(raw: bytes, value: object) -> None:
    """Plain JSON gives its value."""
    assert parse_strict(raw, what="a test") == value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[1] []",
        b"\xff",
        b'{"a": 1, "a": 2}',
        b'{"b": {"a": 1, "a": 1}}',
        b"[NaN]",
        b"[Infinity]",
        b"[-Infinity]",
        b"[1e999]",
        b'["\\ud800"]',
        b"[" * 100_000,
        b"[" + b"9" * 5000 + b"]",
    ],
)
def test_what_has_no_or_two_meanings_is_refused(raw: bytes) -> None:
    """A key twice, a number that is none, half a character: a typed error, and never a guess."""
    with pytest.raises(SignatureError, match="a test"):
        parse_strict(raw, what="a test")


def test_nesting_is_bounded_inside_and_at_the_border() -> None:
    """The deepest that is allowed is read; one level more is refused."""
    allowed = b"[" * STATEMENT_DEPTH_MAX + b"]" * STATEMENT_DEPTH_MAX
    assert parse_strict(allowed, what="a test")
    with pytest.raises(SignatureError, match="levels"):
        parse_strict(b'{"a": ' + allowed + b"}", what="a test")


def test_size_is_bounded_before_anything_is_parsed() -> None:
    """A file of the largest size is read; one byte more is refused."""
    text = b'"' + b"a" * (STATEMENT_BYTES_MAX - 2) + b'"'
    assert parse_strict(text, what="a test")
    with pytest.raises(SignatureError, match="bytes"):
        parse_strict(text + b" ", what="a test")
