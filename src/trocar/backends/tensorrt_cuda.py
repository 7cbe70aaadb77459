"""The GPU through the driver's own library: which one it is, memory, copies, one stream.

``libcuda.so.1`` comes with the driver, has had one binary interface since CUDA 4 and needs no
package. TensorRT works in the same primary context.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trocar.contracts.errors import BackendError, BackendUnavailableError, InferenceError

__all__ = ["CudaGpu", "GpuIdentity", "load_driver"]

_LIBRARY: Final = "libcuda.so.1"
_SUCCESS: Final = 0
_STREAM_NON_BLOCKING: Final = 1
_ATTRIBUTE_MAJOR: Final = 75
_ATTRIBUTE_MINOR: Final = 76
_NAME_LENGTH: Final = 256
_UUID_LENGTH: Final = 16
_FIRST_GPU: Final = 0
"""The driver's order; ``CUDA_VISIBLE_DEVICES`` is the driver's own way to choose another."""

_PROTOTYPES: Final[dict[str, Sequence[type[Any]]]] = {
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


@dataclass(frozen=True)
class GpuIdentity:
    """What a built engine is bound to.

    Attributes:
        name: Name of the GPU, such as ``NVIDIA RTX A6000``.
        compute_capability: Such as ``8.6``.
        uuid: Identity of this one card, or of its part, in hexadecimal digits.
        memory_bytes: Memory of the GPU.
        driver_cuda: Version of CUDA that the driver offers, such as ``12.9``.
    """

    name: str
    compute_capability: str
    uuid: str
    memory_bytes: int
    driver_cuda: str

    def fields(self) -> dict[str, str | int]:
        """Return the fields by name."""
        return asdict(self)


def load_driver() -> ctypes.CDLL:
    """Load the library of the driver.

    Raises:
        BackendUnavailableError: There is no driver.
    """
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError as exc:
        raise BackendUnavailableError(
            f"expected the NVIDIA driver ({_LIBRARY}), it cannot be loaded: {exc}",
            advice="install the driver on a machine with an NVIDIA GPU, or ask for another engine",
        ) from exc


# @need-ids: SRS_TRT_001, SRS_TRT_005
class CudaGpu:
    """The first GPU, with its primary context and one stream.

    Args:
        library: The library of the driver, or a stand-in with the same functions.

    Raises:
        BackendUnavailableError: There is no GPU that can be used.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._context = c_void_p()
        self._stream = c_void_p()
        self._device = c_int()
        self._is_open = False
        _declare(library)
        self._start("cuInit", 0)
        self._start("cuDeviceGet", ctypes.byref(self._device), _FIRST_GPU)
        self._identity = self._read_identity()
        self._start("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), self._device)
        self._start("cuCtxSetCurrent", self._context)
        self._start("cuStreamCreate", ctypes.byref(self._stream), _STREAM_NON_BLOCKING)
        self._is_open = True

    @property
    def identity(self) -> GpuIdentity:
        """Which GPU this is."""
        return self._identity

    @property
    def stream(self) -> int:
        """Handle of the stream, for ``execute_async_v3``."""
        return self._stream.value or 0

    def allocate(self, size_bytes: int) -> int:
        """Return the address of new memory on the GPU.

        Raises:
            BackendUnavailableError: There is not enough.
        """
        address = c_uint64()
        self._start("cuMemAlloc_v2", ctypes.byref(address), size_bytes)
        return address.value

    def free(self, address: int) -> None:
        """Give memory back; a driver that has failed keeps it until the process ends."""
        self._library.cuCtxSetCurrent(self._context)
        self._library.cuMemFree_v2(address)

    def make_current(self) -> None:
        """Use this GPU in the calling thread.

        Raises:
            InferenceError: The driver refuses.
        """
        self._run("cuCtxSetCurrent", self._context)

    def upload(self, address: int, array: NDArray[Any]) -> None:
        """Queue a copy of a contiguous array to the GPU.

        Raises:
            InferenceError: The driver refuses.
        """
        self._run("cuMemcpyHtoDAsync_v2", address, array.ctypes.data, array.nbytes, self._stream)

    def download(self, array: NDArray[np.generic], address: int) -> None:
        """Queue a copy from the GPU into a contiguous array; see ``wait``.

        Memory of an array is pageable, into which the driver copies before it returns.

        Raises:
            InferenceError: The driver refuses.
        """
        self._run("cuMemcpyDtoHAsync_v2", array.ctypes.data, address, array.nbytes, self._stream)

    def wait(self) -> None:
        """Return when everything on the stream is done.

        Raises:
            InferenceError: Something on it has failed.
        """
        self._run("cuStreamSynchronize", self._stream)

    def close(self) -> None:
        """Release stream and context; may be called twice."""
        if self._is_open:
            self._is_open = False
            # Clean-up may come in another thread than the last call.
            self._library.cuCtxSetCurrent(self._context)
            self._library.cuStreamDestroy_v2(self._stream)
            self._library.cuDevicePrimaryCtxRelease_v2(self._device)

    def _read_identity(self) -> GpuIdentity:
        """Ask the driver what this GPU is."""
        name = ctypes.create_string_buffer(_NAME_LENGTH)
        uuid = ctypes.create_string_buffer(_UUID_LENGTH)
        memory, version = c_size_t(), c_int()
        major, minor = c_int(), c_int()
        self._start("cuDeviceGetName", name, _NAME_LENGTH, self._device)
        self._start("cuDeviceGetUuid_v2", uuid, self._device)
        self._start("cuDeviceTotalMem_v2", ctypes.byref(memory), self._device)
        self._start("cuDriverGetVersion", ctypes.byref(version))
        for target, which in ((major, _ATTRIBUTE_MAJOR), (minor, _ATTRIBUTE_MINOR)):
            self._start("cuDeviceGetAttribute", ctypes.byref(target), which, self._device)
        return GpuIdentity(
            name=name.value.decode("utf-8", errors="replace"),
            compute_capability=f"{major.value}.{minor.value}",
            uuid=uuid.raw.hex(),
            memory_bytes=memory.value,
            driver_cuda=f"{version.value // 1000}.{version.value % 1000 // 10}",
        )

    def _start(self, name: str, *arguments: object) -> None:
        """Call the driver while an engine is opened."""
        self._call(name, arguments, BackendUnavailableError, "check the driver, or free the GPU")

    def _run(self, name: str, *arguments: object) -> None:
        """Call the driver for one input."""
        self._call(name, arguments, InferenceError, "see the log; restart the unit")

    def _call(
        self, name: str, arguments: Sequence[object], error: type[BackendError], advice: str
    ) -> None:
        """Call the driver; raise ``error`` unless it succeeds."""
        code = getattr(self._library, name)(*arguments)
        if code != _SUCCESS:
            text = c_char_p()
            self._library.cuGetErrorName(code, ctypes.byref(text))
            known = (text.value or b"unknown").decode("ascii", errors="replace")
            raise error(f"{name} of the NVIDIA driver gave {code} ({known})", advice=advice)


def _declare(library: ctypes.CDLL) -> None:
    """Tell ctypes the types of every function: without them addresses lose their upper half."""
    for name, types in _PROTOTYPES.items():
        try:
            function = getattr(library, name)
        except AttributeError as exc:
            raise BackendUnavailableError(
                f"expected {name} in the NVIDIA driver, it has none",
                advice="install a driver for CUDA 12 or later",
            ) from exc
        function.argtypes = list(types)
        function.restype = c_int
