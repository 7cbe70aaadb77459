"""What may be asked of an engine has bounds."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from simulators.int8_packs import int8_facts
from simulators.packs import tiny_facts
from trocar.backends.choices import Precision
from trocar.backends.request import BackendRequest, precision_of
from trocar.contracts.errors import BackendUnavailableError
from trocar.contracts.limits import THREAD_COUNT_MAX, WARM_UP_COUNT_MAX
from trocar.contracts.manifest import ModelManifest


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


def _manifest(*, is_int8: bool) -> ModelManifest:
    """Return a manifest in one precision or the other."""
    facts = int8_facts() if is_int8 else tiny_facts() | {"format_version": 1}
    digests = [
        {"name": name, "sha256": "0" * 64, "size_bytes": 1}
        for name in ("model.onnx", "card.md", "in.npy", "out.npy")
    ]
    files = {
        "model_file": "model.onnx",
        "card_file": "card.md",
        "reference_input": "in.npy",
        "reference_output": "out.npy",
        "files": digests,
    }
    return ModelManifest.model_validate(facts | files, strict=False)


@pytest.mark.verifies("SRS_OPT_002", extent="full", technique="equivalence")
@pytest.mark.controls("RCM_OPT_002")
@pytest.mark.parametrize(
    ("is_int8", "asked", "runs"),
    [
        (False, None, Precision.FP32),
        (False, Precision.FP32, Precision.FP32),
        (False, Precision.BF16, Precision.BF16),
        (False, Precision.FP16, Precision.FP16),
        (True, None, Precision.INT8),
        (True, Precision.INT8, Precision.INT8),
    ],
)
def test_precision_left_out_is_the_packs_own(
    *, is_int8: bool, asked: Precision | None, runs: Precision
) -> None:
    """Whoever opens a pack need not know how it was made."""
    request = BackendRequest(precision=asked)
    assert precision_of(request, _manifest(is_int8=is_int8)) is runs


@pytest.mark.verifies("SRS_OPT_002", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_OPT_002", measure="pairs of pack and request that do not fit, and run", acceptance="0 of 4"
)
@pytest.mark.parametrize(
    ("is_int8", "asked"),
    [
        (False, Precision.INT8),
        (True, Precision.FP32),
        (True, Precision.BF16),
        (True, Precision.FP16),
    ],
)
def test_request_that_does_not_fit_the_pack_is_refused(*, is_int8: bool, asked: Precision) -> None:
    """Whole numbers are made with a pack; nothing widens them again."""
    with pytest.raises(BackendUnavailableError, match="its model computes in") as caught:
        precision_of(BackendRequest(precision=asked), _manifest(is_int8=is_int8))
    assert "leave the precision out" in caught.value.advice
