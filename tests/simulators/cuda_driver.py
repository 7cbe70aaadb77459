"""The library of the NVIDIA driver in memory: real C functions around Python ones.

They are called through ctypes like those of ``libcuda.so.1``, so that a wrong type or a missing
``byref`` shows. Memory of the GPU is memory of the process, and only what was allocated is touched.
"""

from __future__ import annotations

import ctypes
import threading
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

__all__ = ["GPU_UUID", "INVALID_CONTEXT", "OUT_OF_MEMORY", "CudaDriver"]

GPU_UUID: Final = bytes(range(16))
"""Identity of the simulated GPU."""

OUT_OF_MEMORY: Final = 2
INVALID_CONTEXT: Final = 201
_INVALID_VALUE: Final = 1
_CONTEXT: Final = 0x1000
_STREAM: Final = 0x2000
_NAMES: Final = {1: b"CUDA_ERROR_INVALID_VALUE", 2: b"CUDA_ERROR_OUT_OF_MEMORY"}


class _Out(Protocol):
    """A pointer to which a function writes what it gives."""

    def __setitem__(self, index: int, value: object) -> None: ...


@dataclass
class CudaDriver:
    """One GPU and its driver.

    Attributes:
        name: Name of the GPU.
        uuid: Its identity, 16 bytes.
        capability: Its compute capability.
        memory_bytes: Its memory.
        version: Version of CUDA of the driver: 12090 for 12.9.
        faults: Code that a function gives instead of its work, by its name; ``missing`` takes it
            away.
        current: Contexts that were made current, in order.
        threads: Threads in which one was; in others the driver refuses memory and streams.
        open_count: Streams and contexts that are held.
    """

    name: str = "Simulated GPU"
    uuid: bytes = GPU_UUID
    capability: tuple[int, int] = (8, 7)
    memory_bytes: int = 32 * 1024**3
    version: int = 12090
    faults: dict[str, int | str] = field(default_factory=dict)
    current: list[int] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)
    open_count: int = 0

    def __post_init__(self) -> None:
        self._memory: dict[int, ctypes.Array[ctypes.c_char]] = {}
        self._functions: dict[str, Any] = {}

    @property
    def allocated_bytes(self) -> int:
        """Memory that is held."""
        return sum(map(len, self._memory.values()))

    def is_allocated(self, address: int, size_bytes: int) -> bool:
        """Return whether a range lies inside one allocation."""
        return any(
            start <= address and address + size_bytes <= start + len(held)
            for start, held in self._memory.items()
        )

    def _context_fault(self, name: str) -> int:
        """Return the code for a call in a thread without a context."""
        needs_one = name.startswith(("cuMem", "cuStream"))
        is_missing = needs_one and threading.get_ident() not in self.threads
        return INVALID_CONTEXT if is_missing else 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a function of ctypes has no type
        """Return a C function of the driver."""
        work = getattr(type(self), f"_{name}", None)
        if not name.startswith("cu") or work is None or self.faults.get(name) == "missing":
            raise AttributeError(name)
        if name not in self._functions:
            types = _TYPES[name]

            def called(*arguments: object) -> int:
                code = self.faults.get(name, 0) or self._context_fault(name)
                return int(code) if code else int(work(self, *arguments))

            self._functions[name] = CFUNCTYPE(c_int, *types)(called)
        return self._functions[name]

    def _cuInit(self, flags: int) -> int:  # noqa: N802 - its name
        return _INVALID_VALUE if flags else 0

    def _cuDriverGetVersion(self, out: _Out) -> int:  # noqa: N802 - its name
        out[0] = self.version
        return 0

    def _cuDeviceGet(self, out: _Out, ordinal: int) -> int:  # noqa: N802 - its name
        out[0] = ordinal
        return 0

    def _cuDeviceGetName(self, out: int, length: int, device: int) -> int:  # noqa: N802 - its name
        text = self.name.encode()[: length - 1] + b"\0"
        ctypes.memmove(out, text, len(text))
        return 0

    def _cuDeviceGetUuid_v2(self, out: int, device: int) -> int:  # noqa: N802 - its name
        ctypes.memmove(out, self.uuid, 16)
        return 0

    def _cuDeviceGetAttribute(self, out: _Out, which: int, device: int) -> int:  # noqa: N802 - its name
        out[0] = self.capability[which - 75]
        return 0

    def _cuDeviceTotalMem_v2(self, out: _Out, device: int) -> int:  # noqa: N802 - its name
        out[0] = self.memory_bytes
        return 0

    def _cuDevicePrimaryCtxRetain(self, out: _Out, device: int) -> int:  # noqa: N802 - its name
        out[0] = _CONTEXT
        self.open_count += 1
        return 0

    def _cuDevicePrimaryCtxRelease_v2(self, device: int) -> int:  # noqa: N802 - its name
        self.open_count -= 1
        return 0

    def _cuCtxSetCurrent(self, context: int) -> int:  # noqa: N802 - its name
        self.current.append(context)
        self.threads.add(threading.get_ident())
        return 0 if context == _CONTEXT else _INVALID_VALUE

    def _cuMemAlloc_v2(self, out: _Out, size_bytes: int) -> int:  # noqa: N802 - its name
        if self.allocated_bytes + size_bytes > self.memory_bytes:
            return OUT_OF_MEMORY
        held = ctypes.create_string_buffer(size_bytes)
        address = ctypes.addressof(held)
        out[0] = address
        self._memory[address] = held
        return 0

    def _cuMemFree_v2(self, address: int) -> int:  # noqa: N802 - its name
        return 0 if self._memory.pop(address, None) is not None else _INVALID_VALUE

    def _cuMemcpyHtoDAsync_v2(  # noqa: N802 - its name
        self, address: int, source: int, size_bytes: int, stream: int
    ) -> int:
        if stream != _STREAM or not self.is_allocated(address, size_bytes):
            return _INVALID_VALUE
        ctypes.memmove(address, source, size_bytes)
        return 0

    def _cuMemcpyDtoHAsync_v2(  # noqa: N802 - its name
        self, target: int, address: int, size_bytes: int, stream: int
    ) -> int:
        if stream != _STREAM or not self.is_allocated(address, size_bytes):
            return _INVALID_VALUE
        ctypes.memmove(target, address, size_bytes)
        return 0

    def _cuStreamCreate(self, out: _Out, flags: int) -> int:  # noqa: N802 - its name
        out[0] = _STREAM
        self.open_count += 1
        return 0

    def _cuStreamSynchronize(self, stream: int) -> int:  # noqa: N802 - its name
        return 0 if stream == _STREAM else _INVALID_VALUE

    def _cuStreamDestroy_v2(self, stream: int) -> int:  # noqa: N802 - its name
        self.open_count -= 1
        return 0

    def _cuGetErrorName(self, code: int, out: _Out) -> int:  # noqa: N802 - its name
        if code in _NAMES:
            out[0] = _NAMES[code]
        return 0


_TYPES: Final[dict[str, tuple[Any, ...]]] = {
    "cuInit": (c_uint,),
    "cuDriverGetVersion": (POINTER(c_int),),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetName": (c_void_p, c_int, c_int),
    "cuDeviceGetUuid_v2": (c_void_p, c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDeviceTotalMem_v2": (POINTER(c_size_t), c_int),
    "cuDevicePrimaryCtxRetain": (POINTER(c_void_p), c_int),
    "cuDevicePrimaryCtxRelease_v2": (c_int,),
    "cuCtxSetCurrent": (c_void_p,),
    "cuMemAlloc_v2": (POINTER(c_uint64), c_size_t),
    "cuMemFree_v2": (c_uint64,),
    "cuMemcpyHtoDAsync_v2": (c_uint64, c_void_p, c_size_t, c_void_p),
    "cuMemcpyDtoHAsync_v2": (c_void_p, c_uint64, c_size_t, c_void_p),
    "cuStreamCreate": (POINTER(c_void_p), c_uint),
    "cuStreamSynchronize": (c_void_p,),
    "cuStreamDestroy_v2": (c_void_p,),
    "cuGetErrorName": (c_int, POINTER(c_char_p)),
}
"""The driver's own prototypes (``cuda.h``), written down apart from those of the adapter."""
