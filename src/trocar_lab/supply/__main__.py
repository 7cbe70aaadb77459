"""``python -m trocar_lab.supply``."""

import sys

from trocar_lab.supply.commands import main

if __name__ == "__main__":
    sys.exit(main())
