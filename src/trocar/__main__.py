"""``python -m trocar`` is the same as ``trocar``."""

import sys

from trocar.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
