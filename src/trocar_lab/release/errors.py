"""What stops a release; each message says what to change."""

from __future__ import annotations

from collections.abc import Sequence


class NotReleasableError(Exception):
    """A release cannot be made, or is not sound.

    Attributes:
        reasons: Each reason as one sentence.
    """

    def __init__(self, *reasons: str) -> None:
        super().__init__("\n".join(reasons))
        self.reasons: Sequence[str] = reasons
