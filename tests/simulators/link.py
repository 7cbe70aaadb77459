"""A source that says whether it is connected, and a sink that says what it is doing."""

from __future__ import annotations

from simulators.sink import RecordingSink
from simulators.source import ListSource
from trocar.streaming.watchdog import Activity, LinkStatus

__all__ = ["LinkedSource", "WatchedSink"]


class LinkedSource(ListSource):
    """``ports.FrameSource`` on a list, with a connection that the test sets."""

    link = LinkStatus(is_connected=True, reconnect_count=0)

    def link_status(self) -> LinkStatus:
        """Return what the test has set."""
        return self.link


class WatchedSink(RecordingSink):
    """``ports.Sink`` in memory that looks like one with a thread of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.activity = Activity()
        self.dropped_count = 0
