"""Trocar: strictly typed inference units for real-time medical imaging.

Research use only; not a medical device.
"""

from typing import Final

__all__ = ["RESEARCH_NOTICE", "__version__"]

__version__: Final = "0.1.0"

RESEARCH_NOTICE: Final = "RESEARCH USE ONLY - NOT A MEDICAL DEVICE"
"""Shown on every screen and in every export."""
