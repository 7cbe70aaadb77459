"""A process without network: who reaches for it is refused, counted, or ended.

Two fences, because either alone has been jumped by an engine. The interpreter refuses sockets and
the start of other programs, and counts what a library hides. A filter of the kernel ends the
process at the first socket that native code asks for.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import platform
import struct
import sys
from typing import Final

__all__ = ["REACHED_OUT", "close_network"]

REACHED_OUT: Final = 99
"""Exit code of a process that reached for the network through the interpreter."""

_REFUSED: Final = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork")
_SOCKET_CALL: Final = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""Machine -> (what the kernel calls it, number of the system call ``socket``)."""

_SET_NO_NEW_PRIVILEGES: Final = 38
_SET_SECCOMP: Final = 22
_MODE_FILTER: Final = 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _END_PROCESS = 0x7FFF0000, 0x80000000


class _Filter(ctypes.Structure):
    """The kernel's ``sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def close_network() -> None:
    """Close the network for this process, its threads and its children, and for good.

    Raises:
        OSError: The kernel does not take the filter; a test could not say anything then.
    """
    tried: list[str] = []

    def refuse(event: str, _: tuple[object, ...]) -> None:
        if event.startswith(_REFUSED):
            tried.append(event)
            raise OSError(f"{event}: the network is closed")

    def count() -> None:
        if tried:
            sys.stderr.write(f"reached out: {', '.join(tried)}\n")
            sys.stderr.flush()
            os._exit(REACHED_OUT)

    # Registered before all others, so that it counts what they do at the end as well.
    atexit.register(count)
    _filter_sockets()
    sys.addaudithook(refuse)


def _filter_sockets() -> None:
    """Have the kernel end the process at the system call ``socket``.

    Source:
        Linux, Documentation/userspace-api/seccomp_filter.rst.
    """
    machine, socket_call = _SOCKET_CALL[platform.machine()]
    instructions = (
        (_LOAD, 0, 0, 4),  # the machine
        (_JUMP_IF_EQUAL, 1, 0, machine),
        (_RETURN, 0, 0, _END_PROCESS),
        (_LOAD, 0, 0, 0),  # the number of the system call
        (_JUMP_IF_EQUAL, 0, 1, socket_call),
        (_RETURN, 0, 0, _END_PROCESS),
        (_RETURN, 0, 0, _ALLOW),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in instructions))
    wanted = _Filter(len(instructions), ctypes.cast(code, ctypes.c_void_p))
    kernel = ctypes.CDLL(None, use_errno=True)
    refused = kernel.prctl(_SET_NO_NEW_PRIVILEGES, ctypes.c_ulong(1), 0, 0, 0) or kernel.prctl(
        _SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(wanted)
    )
    if refused:
        raise OSError(ctypes.get_errno(), "the kernel does not take a filter of system calls")
