"""JSON from files that nobody vouches for: one meaning or none."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from trocar.contracts.errors import SignatureError
from trocar.contracts.limits import STATEMENT_BYTES_MAX, STATEMENT_DEPTH_MAX

__all__ = ["parse_strict"]


def parse_strict(raw: bytes, *, what: str) -> object:
    """Return the value in JSON text that every reader would read alike.

    Args:
        raw: UTF-8 text, at most ``STATEMENT_BYTES_MAX`` long.
        what: What the errors call it.

    Raises:
        SignatureError: Too large, not JSON, a key stands twice, a number is not finite, half a
            character, or nested deeper than ``STATEMENT_DEPTH_MAX``.
    """
    if len(raw) > STATEMENT_BYTES_MAX:
        raise SignatureError(
            f"expected at most {STATEMENT_BYTES_MAX} bytes in {what}, got {len(raw)}",
            advice="restore it from the release",
        )
    try:
        value: object = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_refuse_repeated,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
        # Half of a surrogate pair passes the parser, and then cannot be written or compared.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as exc:
        raise SignatureError(
            f"expected strict JSON in {what}: {exc}", advice="restore it from the release"
        ) from exc
    if _depth(value) > STATEMENT_DEPTH_MAX:
        raise SignatureError(
            f"expected at most {STATEMENT_DEPTH_MAX} levels in {what}, got more",
            advice="restore it from the release",
        )
    return value


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that names a key twice: readers disagree on which one counts."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key is repeated among {sorted({key for key, _ in pairs})}")
    return found


def _refuse_constant(text: str) -> NoReturn:
    """Refuse NaN and the infinities, which JSON does not have."""
    raise ValueError(f"{text} is no JSON number")


def _finite(text: str) -> float:
    """Return a number; one too large for a float would become infinity."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value


def _depth(value: object) -> int:
    """Return the number of nested objects and lists, looked at level by level."""
    depth, level = 0, _containers([value])
    while level:
        depth += 1
        level = _containers([inner for outer in level for inner in outer])
    return depth


def _containers(values: list[object]) -> list[list[object]]:
    """Return what each object and list among some values holds."""
    return [
        list(value.values()) if isinstance(value, dict) else value
        for value in values
        if isinstance(value, dict | list)
    ]
