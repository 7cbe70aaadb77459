"""JSON from files that nobody vouches for: bounded, no key twice, no number that is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NoReturn

from trocar_lab.evidence.errors import ReleaseError

JSON_BYTES_MAX: Final = 16_000_000


def read_bounded(path: Path, *, bytes_max: int = JSON_BYTES_MAX) -> bytes:
    """Return the content of a file that is not larger than a bound.

    Args:
        path: The file.
        bytes_max: Largest size [bytes].

    Raises:
        ReleaseError: It cannot be read or is larger.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(bytes_max + 1)
    except OSError as exc:
        raise ReleaseError(f"{path.name} cannot be read: {exc.strerror}") from exc
    if len(content) > bytes_max:
        raise ReleaseError(f"{path.name} is larger than {bytes_max} bytes; nothing of it is read")
    return content


def parse_json(content: bytes, *, name: str) -> object:
    """Return the value in JSON text.

    Args:
        content: UTF-8 text.
        name: What the errors call it.

    Raises:
        ReleaseError: Not JSON, a key stands twice, a number is not finite, half a character, or
            nested too deeply.
    """
    try:
        value: object = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_refuse_repeated,
            parse_constant=_refuse_constant,
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a character cannot be shown
    except (ValueError, RecursionError) as exc:
        raise ReleaseError(f"{name} is no JSON that can be trusted: {exc}; write it again") from exc
    return value


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; a key that stands twice would mean two things.

    Raises:
        ValueError: A key stands twice.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [key for key, _ in pairs]
        raise ValueError(f"key {next(n for n in names if names.count(n) > 1)!r} stands twice")
    return found


def _refuse_constant(text: str) -> NoReturn:
    """Refuse NaN and the infinities, which JSON does not have.

    Raises:
        ValueError: Always.
    """
    raise ValueError(f"{text} is no JSON number")
