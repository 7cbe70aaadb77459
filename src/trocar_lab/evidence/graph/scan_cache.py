"""What a scan of unchanged text gave, kept between runs by the digest of text and scanner.

A value is found only under the digest of the very bytes that were scanned and of the code that
scanned them, so that a stale entry cannot be met. A release check and a tree that is no checkout do
without.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

FOLDER: Final = ".trace_cache"
OFF: Final = "TROCAR_TRACE_CACHE"
_CODE: Final = Path(__file__).resolve().parents[1]


_Value = TypeVar("_Value")


class ScanCache:
    """One file of scan results; used with ``with``, written at the end where something is new."""

    def __init__(self, root: Path, name: str, salt: str) -> None:
        self._path = root / FOLDER / f"{name}.json"
        self._salt = hashlib.sha256(f"{salt}{_code_digest()}".encode()).hexdigest()
        self._old: dict[str, Any] = {}
        self._used: dict[str, Any] = {}
        self._is_new = False
        self._is_off = os.environ.get(OFF) == "off" or not (root / ".git").exists()

    def __enter__(self) -> Self:
        if not self._is_off:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                document = json.loads(self._path.read_text(encoding="utf-8"))
                if document.get("salt") == self._salt:
                    self._old = dict(document["values"])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and not self._is_off and (self._is_new or len(self._used) < len(self._old)):
            with contextlib.suppress(OSError):  # a tree that cannot be written is scanned anew
                self._write()

    def get(self, key: str) -> Any | None:  # noqa: ANN401 - whatever JSON the scanner stored
        """Return what was kept under ``key``, or None."""
        if key in self._old:
            self._used[key] = self._old[key]
        return self._used.get(key)

    def put(self, key: str, value: _Value) -> _Value:
        """Keep a value that JSON can hold, and return it."""
        self._used[key] = value
        self._is_new = True
        return value

    def _write(self) -> None:
        """Write the values of this run, in one step."""
        self._path.parent.mkdir(exist_ok=True)
        draft = self._path.with_suffix(f".{os.getpid()}")
        text = json.dumps({"salt": self._salt, "values": self._used}, separators=(",", ":"))
        draft.write_text(text, encoding="utf-8")
        draft.replace(self._path)


@cache
def _code_digest() -> str:
    """Return one digest over the scanners."""
    total = hashlib.sha256()
    for folder in ("graph", "source"):
        for path in sorted((_CODE / folder).glob("*.py")):
            total.update(path.read_bytes())
    return total.hexdigest()
