"""What can go wrong while signing."""

from __future__ import annotations


class SigningError(Exception):
    """Nothing was signed; the text says why and what to do."""
