"""What stops a command of the supply chain."""

from __future__ import annotations


class SupplyError(Exception):
    """Something that is needed is missing, damaged or contradicts itself; the text says what."""
