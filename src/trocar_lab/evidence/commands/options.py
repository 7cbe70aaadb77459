"""Exit statuses, and the name of argparse's table of commands."""

from __future__ import annotations

import argparse
from typing import Final

EXIT_GREEN: Final = 0
EXIT_RED: Final = 1
Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it
