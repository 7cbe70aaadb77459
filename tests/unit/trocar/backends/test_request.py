"""What may be asked of an engine has bounds."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from trocar.backends.request import BackendRequest
from trocar.contracts.limits import THREAD_COUNT_MAX, WARM_UP_COUNT_MAX


@pytest.mark.verifies("SRS_BACKEND_003", extent="full", technique="boundary")
@pytest.mark.parametrize(
    ("threads", "is_valid"),
    [(0, False), (1, True), (THREAD_COUNT_MAX, True), (THREAD_COUNT_MAX + 1, False)],
)
def test_thread_count_has_bounds(threads: int, *, is_valid: bool) -> None:
    """Zero would let the engine choose, and latency would depend on the machine."""
    if is_valid:
        assert BackendRequest(thread_count=threads).thread_count == threads
    else:
        with pytest.raises(ValidationError):
            BackendRequest(thread_count=threads)


@pytest.mark.verifies("SRS_BACKEND_002", extent="partial", technique="boundary")
@pytest.mark.parametrize("count", [0, WARM_UP_COUNT_MAX + 1])
def test_warm_up_cannot_be_switched_off(count: int) -> None:
    """The first frame must not pay for lazy initialisation."""
    with pytest.raises(ValidationError):
        BackendRequest(warm_up_count=count)
