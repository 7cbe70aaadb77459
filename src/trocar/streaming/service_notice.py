"""Notices to a service manager that started the process with ``NOTIFY_SOCKET`` (systemd)."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Final, Self

import structlog

__all__ = ["ServiceNotice"]

_ABSTRACT: Final = "@"


class ServiceNotice:
    """A datagram socket to the service manager; without an address, notices go nowhere.

    A notice that cannot be sent is logged once: the manager's own watchdog then acts.

    Args:
        address: Value of the variable ``NOTIFY_SOCKET``, or None where there is no manager.

    Source:
        sd_notify(3): state assignments, one a line, over AF_UNIX SOCK_DGRAM.
    """

    def __init__(self, address: str | None) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self._is_broken = False
        self._sent = ""
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.settimeout(0.0)

    def ready(self) -> None:
        """Say that the service has started."""
        self._send("READY=1")

    def alive(self) -> None:
        """Feed the manager's watchdog."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Say in one line what is going on; the same line is not sent twice in a row."""
        if text != self._sent:
            self._sent = text
            self._send(f"STATUS={text}")

    def close(self) -> None:
        """Say that the service ends, and close; may be called twice."""
        self._send("STOPPING=1")
        held, self._socket = self._socket, None
        if held is not None:
            held.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def _send(self, line: str) -> None:
        """Send one notice; never waits."""
        if self._socket is None or not self._address:
            return
        name = self._address
        if name.startswith(_ABSTRACT):
            name = "\0" + name[1:]
        try:
            self._socket.sendto(line.encode("utf-8"), name)
        except OSError as exc:
            if not self._is_broken:
                self._is_broken = True
                structlog.get_logger().warning("service_notice_not_sent", problem=exc.strerror)
