"""Exit codes of the command line, beside those that the errors carry."""

from __future__ import annotations

from typing import Final

__all__ = ["INTERRUPTED", "OK", "PARTIAL", "USAGE"]

OK: Final = 0
"""Done."""

USAGE: Final = 2
"""The command line was not understood."""

PARTIAL: Final = 3
"""The run ended by itself, but some input could not be decoded; the record says which."""

INTERRUPTED: Final = 130
"""Stopped by Ctrl-C or a signal; the outputs so far are intact."""
