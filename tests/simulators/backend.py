"""An inference engine in memory, with faults on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trocar.contracts.errors import ContractError
from trocar.contracts.record import BackendInfo

__all__ = ["MemoryBackend"]


class MemoryBackend:
    """``ports.Backend`` whose output is a constant or a function of the input.

    Args:
        output: Output of every call, or a function of the input; returned as a new array.
        faults: Error to raise by the n-th call, by n from 0.
        input_shape: Shape of the only accepted input, or None for any.
    """

    def __init__(
        self,
        output: NDArray[np.float32] | Callable[[NDArray[Any]], NDArray[np.float32]],
        *,
        faults: Mapping[int, Exception] | None = None,
        input_shape: tuple[int, ...] | None = None,
    ) -> None:
        self._output = output
        self._faults = dict(faults or {})
        self._input_shape = input_shape
        self.batches: list[NDArray[Any]] = []
        self.close_count = 0

    @property
    def info(self) -> BackendInfo:
        """What really runs: this simulator."""
        return BackendInfo(
            engine="memory 1.0", provider="MemoryProvider", precision="fp32", thread_count=1
        )

    def infer(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Return the output and keep a copy of the input.

        Raises:
            ContractError: The input has another shape than the accepted one.
        """
        if self._input_shape is not None and batch.shape != self._input_shape:
            raise ContractError(
                f"expected input {self._input_shape}, got {batch.shape}", advice="fix the test"
            )
        number = len(self.batches)
        self.batches.append(batch.copy())
        if number in self._faults:
            raise self._faults[number]
        if callable(self._output):
            return self._output(batch)
        return self._output.copy()

    def close(self) -> None:
        """Count the call."""
        self.close_count += 1
