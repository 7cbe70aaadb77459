"""A mask belongs to its probabilities and to one frame."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest
from pydantic import ValidationError

from conformance.samples import make_mask, make_polyp_mask
from trocar.contracts.findings import Mask, PolypMask

PROB: Final = np.zeros((2, 3), np.float32)


def mask_with(**changes: object) -> Mask:
    """Return a mask with some fields changed."""
    facts: dict[str, object] = {
        "pixels": PROB > 1,
        "prob": PROB,
        "prob_threshold": 0.5,
        "frame_height_px": 4,
        "frame_width_px": 6,
        "label": "polyp",
    }
    return Mask.model_validate(facts | changes)


def finding_with(**changes: object) -> PolypMask:
    """Return a finding with some fields changed."""
    facts: dict[str, object] = {
        "frame_index": 0,
        "mask": make_mask(),
        "area_fraction": 0.25,
        "prob_max": 0.75,
    }
    return PolypMask.model_validate(facts | changes)


def test_empty_mask_is_a_finding() -> None:
    """No polyp found is an answer; it is not the same as no answer."""
    assert not mask_with().pixels.any()


@pytest.mark.verifies("SRS_CONTRACT_002", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    "shape", [(3, 2), (2, 4), (1, 3), (2, 2)], ids=["turned", "wider", "shorter", "narrower"]
)
def test_mask_of_another_shape_than_its_probabilities_is_refused(shape: tuple[int, int]) -> None:
    """A mask cut from other probabilities would be drawn at the wrong place."""
    with pytest.raises(ValidationError, match="one shape"):
        mask_with(pixels=np.zeros(shape, np.bool_))


@pytest.mark.parametrize(
    "changes",
    [
        {"pixels": np.zeros((2, 3), np.uint8)},
        {"prob": PROB.astype(np.float64)},
        {"prob": PROB[None]},
        {"frame_height_px": 0},
        {"frame_width_px": 0},
        {"label": ""},
        {"label": "p" * 65},
        {"prob_threshold": -0.001},
        {"prob_threshold": 1.001},
        {"prob_threshold": float("nan")},
    ],
)
def test_mask_outside_its_limits_is_refused(changes: dict[str, object]) -> None:
    """Just outside each border."""
    with pytest.raises(ValidationError, match=next(iter(changes))):
        mask_with(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"frame_height_px": 1, "frame_width_px": 1},
        {"label": "p"},
        {"label": "p" * 64},
        {"prob_threshold": 0.0},
        {"prob_threshold": 1.0},
    ],
)
def test_mask_at_its_limits_is_accepted(changes: dict[str, object]) -> None:
    """Just inside each border."""
    assert changes.items() <= dict(mask_with(**changes)).items()


@pytest.mark.verifies("SRS_OUTCOME_001", extent="partial", technique="example")
def test_finding_names_its_kind_and_frame() -> None:
    """Who reads a record knows what it is and which frame it answers."""
    finding = make_polyp_mask(5)
    assert (finding.kind, finding.frame_index) == ("polyp_mask", 5)


@pytest.mark.parametrize("field", ["area_fraction", "prob_max"])
@pytest.mark.parametrize(
    ("value", "is_valid"),
    [(-1e-9, False), (0.0, True), (1.0, True), (1.0 + 1e-9, False), (float("inf"), False)],
)
def test_fractions_lie_between_zero_and_one(field: str, value: float, *, is_valid: bool) -> None:
    """Both sides of both ends."""
    if is_valid:
        assert getattr(finding_with(**{field: value}), field) == value
    else:
        with pytest.raises(ValidationError, match=field):
            finding_with(**{field: value})


@pytest.mark.parametrize(
    "changes", [{"kind": "tool_mask"}, {"frame_index": -1}, {"mask": None}, {"mask": PROB > 1}]
)
def test_finding_of_something_else_is_refused(changes: dict[str, object]) -> None:
    """Another kind, no frame or a bare array is not a finding."""
    with pytest.raises(ValidationError):
        finding_with(**changes)
