"""The driver is asked in the right types, and its refusals become typed errors."""

from __future__ import annotations

import ctypes
from typing import cast

import numpy as np
import pytest

from simulators.cuda_driver import GPU_UUID, OUT_OF_MEMORY, CudaDriver
from trocar.backends import tensorrt_cuda
from trocar.backends.tensorrt_cuda import CudaGpu
from trocar.contracts.errors import BackendUnavailableError, InferenceError


def _open(driver: CudaDriver) -> CudaGpu:
    """Open the simulated GPU."""
    return CudaGpu(cast("ctypes.CDLL", driver))


@pytest.mark.verifies("SRS_TRT_001", "UNIT_TRT_CUDA", extent="partial", technique="example")
def test_identity_is_what_the_driver_says() -> None:
    """Each field is part of the key of an engine."""
    gpu = _open(CudaDriver(name="A", capability=(12, 1), memory_bytes=7 * 2**33, version=13010))
    assert gpu.identity.fields() == {
        "name": "A",
        "compute_capability": "12.1",
        "uuid": GPU_UUID.hex(),
        "memory_bytes": 7 * 2**33,
        "driver_cuda": "13.1",
    }


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="example")
def test_bytes_come_back_as_they_went() -> None:
    """Addresses have 64 bits; the whole of an array is copied, and nothing beside it."""
    driver = CudaDriver()
    gpu = _open(driver)
    sent = np.arange(1000, dtype=np.float32)
    address = gpu.allocate(sent.nbytes)
    gpu.make_current()
    gpu.upload(address, sent)
    got = np.zeros_like(sent)
    gpu.download(got, address)
    gpu.wait()
    np.testing.assert_array_equal(got, sent)
    assert driver.allocated_bytes == sent.nbytes
    gpu.free(address)
    gpu.close()
    gpu.close()
    assert (driver.allocated_bytes, driver.open_count) == (0, 0)


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="boundary")
def test_copy_beyond_the_memory_is_an_error() -> None:
    """The driver refuses it; the refusal must not be lost."""
    gpu = _open(CudaDriver())
    address = gpu.allocate(8)
    with pytest.raises(InferenceError, match="CUDA_ERROR_INVALID_VALUE"):
        gpu.upload(address, np.zeros(3, np.float32))
    with pytest.raises(InferenceError, match="cuMemcpyDtoHAsync_v2"):
        gpu.download(np.zeros(3, np.float32), address)


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    "function",
    [
        *("cuInit", "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetUuid_v2", "cuDeviceTotalMem_v2"),
        *("cuDriverGetVersion", "cuDeviceGetAttribute", "cuDevicePrimaryCtxRetain"),
        *("cuCtxSetCurrent", "cuStreamCreate"),
    ],
)
def test_gpu_that_cannot_be_opened_is_named(function: str) -> None:
    """No driver, no GPU, a GPU that another one holds: the driver's own word is repeated."""
    with pytest.raises(BackendUnavailableError, match=rf"{function} of .* gave 100 \(unknown\)"):
        _open(CudaDriver(faults={function: 100}))


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="fault_injection")
def test_memory_that_is_not_there_is_said() -> None:
    """Before the first input."""
    gpu = _open(CudaDriver(memory_bytes=100))
    with pytest.raises(BackendUnavailableError, match=f"gave {OUT_OF_MEMORY} .CUDA_ERROR_OUT_OF"):
        gpu.allocate(101)


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="fault_injection")
def test_driver_that_is_too_old_is_said() -> None:
    """A function that is not there has no answer to compare."""
    driver = CudaDriver(faults={"cuDeviceGetUuid_v2": "missing"})
    with pytest.raises(BackendUnavailableError, match="expected cuDeviceGetUuid_v2"):
        _open(driver)


@pytest.mark.verifies("SRS_TRT_001", "SRS_ERROR_001", extent="partial", technique="fault_injection")
def test_machine_without_a_driver_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most machines have none."""

    def missing(name: str) -> object:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(BackendUnavailableError, match=r"NVIDIA driver \(libcuda.so.1\)") as caught:
        tensorrt_cuda.load_driver()
    assert "install the driver" in caught.value.advice


@pytest.mark.verifies("SRS_TRT_001", extent="partial", technique="example")
def test_driver_is_loaded_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name that NVIDIA's driver has had for ever; no path is guessed."""
    asked: list[str] = []

    class Library:
        """A library that was found."""

        def __init__(self, name: str) -> None:
            asked.append(name)

    monkeypatch.setattr(ctypes, "CDLL", Library)
    tensorrt_cuda.load_driver()
    assert asked == ["libcuda.so.1"]
