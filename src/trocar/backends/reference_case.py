"""Replay a pack's reference case.

The proof that this engine, on this machine, gives what the exporting framework gave.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trocar.backends.request import DerivedEngine
from trocar.contracts.base import Contract
from trocar.contracts.errors import BackendUnavailableError, IncompatiblePackError
from trocar.contracts.limits import BOX_PARITY_OVERLAP_MIN
from trocar.contracts.manifest import ModelManifest, TensorSpec
from trocar.contracts.ports import Backend

__all__ = ["ReferenceCaseReport", "replay_reference_case", "require_parity"]


class ReferenceCaseReport(Contract):
    """Agreement of a backend with the reference case.

    Attributes:
        prob_difference_max: Largest absolute difference of one probability; of a detector, of one
            score.
        prob_difference_limit: Limit of the pack.
        mask_dice: Dice between both masks at the pack's threshold; 1 when both are empty. Of a
            detector the masks are the cells of all classes, and a cell is common to both where
            their boxes there overlap by ``BOX_PARITY_OVERLAP_MIN`` as well.
        mask_dice_limit: Limit of the pack.
        mask_pixel_count: Pixels of the expected mask; a reference case without any would prove
            little.
    """

    prob_difference_max: float
    prob_difference_limit: float
    mask_dice: float
    mask_dice_limit: float
    mask_pixel_count: int

    @property
    def is_within_limits(self) -> bool:
        """Whether both measures keep their limits; NaN does not."""
        return (
            self.prob_difference_max <= self.prob_difference_limit
            and self.mask_dice >= self.mask_dice_limit
        )


# @need-ids: SRS_PACK_004, SRS_BACKEND_005, RCM_SELFTEST_001
def replay_reference_case(
    backend: Backend, manifest: ModelManifest, *, reference_input: bytes, reference_output: bytes
) -> ReferenceCaseReport:
    """Run the reference case once.

    Args:
        backend: A loaded model.
        manifest: Its manifest.
        reference_input: Verified bytes of the input (npy).
        reference_output: Verified bytes of the expected output (npy).

    Returns:
        The agreement; the caller decides.

    Raises:
        IncompatiblePackError: The case does not have the tensors of the manifest.
        InferenceError: The engine failed.
    """
    batch = _load(reference_input, manifest.input)
    expected = _load(reference_output, manifest.output)
    got = backend.infer(batch)
    masks = tuple(_scores(side, manifest) >= manifest.threshold.value for side in (expected, got))
    total = int(masks[0].sum()) + int(masks[1].sum())
    with np.errstate(invalid="ignore"):
        apart = np.abs(expected - got)
        both = int((masks[0] & masks[1] & _is_same_box(expected, got, manifest)).sum())
    # A value that is not a number, in a score or in an edge, differs by more than any limit.
    is_finite = bool(np.isfinite(apart).all())
    return ReferenceCaseReport(
        prob_difference_max=float(_scores(apart, manifest).max()) if is_finite else 1e9,
        prob_difference_limit=manifest.parity.prob_difference_max,
        mask_dice=1.0 if total == 0 else 2.0 * both / total,
        mask_dice_limit=manifest.parity.mask_dice_min,
        mask_pixel_count=int(masks[0].sum()),
    )


def _scores(maps: NDArray[np.float32], manifest: ModelManifest) -> NDArray[np.float32]:
    """Return the maps that hold probabilities: of a detector, those of its classes."""
    return maps[:, : len(manifest.labels)] if manifest.labels else maps


# @need-ids: SRS_TOOL_010
def _is_same_box(
    expected: NDArray[np.float32], got: NDArray[np.float32], manifest: ModelManifest
) -> NDArray[np.bool_]:
    """Return where both sides mean the same box, as far as the model has boxes at all.

    The last four maps of a detector hold the distances from the centre of a cell to the edges of
    its box, so that the boxes of one cell differ by these alone.
    """
    if not manifest.labels:
        return np.ones(1, dtype=np.bool_)
    edges = [side[:, len(manifest.labels) :].astype(np.float64) for side in (expected, got)]
    areas = [_area(side) for side in (*edges, np.minimum(*edges))]
    return areas[2] >= BOX_PARITY_OVERLAP_MIN * (areas[0] + areas[1] - areas[2])


def _area(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area of the box of each cell, (1, 1, h, w), as a fraction of the frame."""
    return (edges[:, 0:1] + edges[:, 2:3]) * (edges[:, 1:2] + edges[:, 3:4])


# @need-ids: RCM_PARITY_001
def require_parity(report: ReferenceCaseReport, backend: Backend) -> None:
    """Refuse a backend that does not give what the pack was verified with.

    Raises:
        BackendUnavailableError: A limit of the pack is exceeded.
    """
    if report.is_within_limits:
        return
    problem = (
        f"{backend.info.engine} in {backend.info.precision} differs from the reference case: "
        f"probability by {report.prob_difference_max:.3g} (limit {report.prob_difference_limit}), "
        f"mask Dice {report.mask_dice:.4f} (limit {report.mask_dice_limit})"
    )
    advice = "use another engine or precision; do not use this one"
    # @need-ids: RCM_TRT_002
    removed = backend.discard_engine(problem) if isinstance(backend, DerivedEngine) else ""
    raise BackendUnavailableError(
        problem, advice="; ".join(part for part in (removed, advice) if part)
    )


def _load(data: bytes, spec: TensorSpec) -> NDArray[Any]:
    """Read one npy file and compare it with the manifest."""
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, OSError, EOFError) as exc:
        raise IncompatiblePackError(
            f"the reference case of {spec.name} is not a plain npy file: {exc}",
            advice="use another pack",
        ) from exc
    if (
        not isinstance(array, np.ndarray)
        or array.shape != spec.shape
        or array.dtype != spec.dtype.value
    ):
        raise IncompatiblePackError(
            f"the reference case of {spec.name} is not {spec.dtype} {spec.shape}",
            advice="use another pack",
        )
    return np.ascontiguousarray(array)
