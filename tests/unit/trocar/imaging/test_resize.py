"""Resizing keeps orientation, averages areas, and gives masks back at the frame's size."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from hypothesis import given, settings
from hypothesis import strategies as st

from trocar.contracts.errors import InvariantError
from trocar.contracts.findings import Mask
from trocar.imaging.resize import RgbResizer, upsample_mask

SIZES = [(33, 47), (352, 352), (576, 720), (577, 721), (1080, 1920), (64, 64), (2000, 100)]


def _smooth(height: int, width: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a smooth random image, read-only as a frame's pixels are."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = np.ascontiguousarray(
        cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8
    )
    image.flags.writeable = False
    return image


@pytest.mark.verifies("SRS_POLYP_002", extent="full", technique="equivalence")
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_agrees_with_an_independent_implementation(height: int, width: int) -> None:
    """Area mean when smaller, linear when larger: at most two grey levels from OpenCV's."""
    image = _smooth(height, width)
    got = RgbResizer(height_px=256, width_px=256).resize(image)
    is_smaller = height >= 256 and width >= 256
    if not is_smaller and (height >= 256 or width >= 256):
        assert got.shape == (256, 256, 3)
        return
    expected = cv2.resize(
        image, (256, 256), interpolation=cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
    )
    assert np.abs(got.astype(int) - expected).max() <= 2


@pytest.mark.verifies("SRS_POLYP_002", extent="partial", technique="requirement")
@pytest.mark.controls("RCM_GEOMETRY_001")
@pytest.mark.parametrize(("height", "width"), [(512, 512), (1024, 1024), (2048, 512)])
def test_noise_is_averaged_over_the_area(height: int, width: int) -> None:
    """Noise tells area averaging from other ways, which smooth pictures do not.

    Where two, four or eight pixels meet in one it is the plain mean, to one grey level; in between,
    libswscale weighs the pixels at the border of an area otherwise than a plain mean would.
    """
    image = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    got = RgbResizer(height_px=256, width_px=256).resize(image)
    blocks = image.reshape(256, height // 256, 256, width // 256, 3)
    assert np.abs(got - blocks.mean(axis=(1, 3))).max() <= 1


@pytest.mark.verifies("SRS_POLYP_002", extent="full", technique="requirement")
@pytest.mark.controls("RCM_GEOMETRY_001")
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_marked_corner_stays_in_its_corner_and_colour(height: int, width: int) -> None:
    """A mirrored or channel-swapped image would put the outline in the wrong place, or nowhere."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 4, : width // 2] = (200, 100, 50)
    got = RgbResizer(height_px=256, width_px=256).resize(image)
    assert np.abs(got[:50, :100].astype(int) - (200, 100, 50)).max() <= 1
    assert got[80:].max() == 0
    assert got[:, 140:].max() == 0


@pytest.mark.verifies("SRS_POLYP_002", extent="partial", technique="requirement")
def test_scaler_is_asked_for_area_and_for_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """More threads would take the cores from inference, and no picture would show it."""
    resizer = RgbResizer(height_px=32, width_px=48)
    real, asked = resizer._reformatter, []

    class _Noting:
        """Notes what is asked for."""

        def reformat(self, frame: VideoFrame, **wanted: Any) -> VideoFrame:  # noqa: ANN401 - passed on
            """Do it."""
            asked.append(wanted)
            return real.reformat(frame, **wanted)

    monkeypatch.setattr(resizer, "_reformatter", _Noting())
    resizer.resize(_smooth(64, 96))
    assert asked == [
        {
            "width": 48,
            "height": 32,
            "format": "rgb24",
            "interpolation": Interpolation.AREA,
            "threads": 1,
        }
    ]


@pytest.mark.verifies("SRS_POLYP_002", extent="partial", technique="boundary")
def test_same_size_is_handed_through() -> None:
    """No work and no change where none is needed."""
    image = _smooth(256, 256)
    assert RgbResizer(height_px=256, width_px=256).resize(image) is image


@pytest.mark.verifies("SRS_POLYP_002", extent="partial", technique="requirement")
def test_one_resizer_serves_changing_sizes() -> None:
    """Tables kept from one frame must not leak into the next."""
    resizer = RgbResizer(height_px=64, width_px=64)
    for height, width in SIZES * 2:
        image = _smooth(height, width)
        fresh = RgbResizer(height_px=64, width_px=64).resize(image)
        np.testing.assert_array_equal(resizer.resize(image), fresh)


@pytest.mark.parametrize("size", [(0, 4), (4, 0), (-1, 4)])
def test_result_without_pixels_is_our_bug(size: tuple[int, int]) -> None:
    """Sizes come from a checked manifest."""
    with pytest.raises(InvariantError):
        RgbResizer(height_px=size[0], width_px=size[1])


def _mask(prob: np.ndarray[Any, Any], height: int, width: int, threshold: float = 0.5) -> Mask:
    """Return a mask for a frame of the given size."""
    prob = np.ascontiguousarray(prob, dtype=np.float32)
    return Mask(
        pixels=prob >= threshold,
        prob=prob,
        prob_threshold=threshold,
        frame_height_px=height,
        frame_width_px=width,
        label="polyp",
    )


@pytest.mark.verifies("SRS_POLYP_008", extent="full", technique="equivalence")
@pytest.mark.proves_effect(
    "RCM_GEOMETRY_001",
    measure="distance of the mask's centre from the truth",
    acceptance="1 % of the frame's side",
)
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_mask_lands_where_the_probabilities_were(height: int, width: int) -> None:
    """The whole way, frame to network to frame, moves nothing."""
    rows, columns = np.mgrid[0:height, 0:width]
    truth = ((rows - height * 0.3) / (height * 0.15)) ** 2 + (
        (columns - width * 0.7) / (width * 0.2)
    ) ** 2 <= 1
    image = np.ascontiguousarray(np.repeat(truth[..., None], 3, axis=2).astype(np.uint8) * 255)
    prob = RgbResizer(height_px=256, width_px=256).resize(image)[..., 0] / 255
    got = upsample_mask(_mask(prob, height, width))
    assert got.shape == (height, width)
    for axis, side in ((0, height), (1, width)):
        centre_got = np.nonzero(got)[axis].mean()
        centre_true = np.nonzero(truth)[axis].mean()
        assert abs(centre_got - centre_true) <= 0.01 * side
    assert 2 * (got & truth).sum() / (got.sum() + truth.sum()) > 0.97


@pytest.mark.verifies("SRS_POLYP_008", extent="partial", technique="boundary")
def test_all_and_nothing_stay_so() -> None:
    """Constant probabilities have no edge to interpolate."""
    assert upsample_mask(_mask(np.ones((8, 8)), 31, 47)).all()
    assert not upsample_mask(_mask(np.zeros((8, 8)), 31, 47)).any()


@given(seed=st.integers(0, 999), low=st.floats(0.05, 0.9), step=st.floats(0, 0.05))
@settings(max_examples=40, deadline=None)
@pytest.mark.verifies("SRS_POLYP_008", extent="partial", technique="property")
def test_higher_threshold_never_adds_a_pixel(seed: int, low: float, step: float) -> None:
    """The operating point orders masks by inclusion."""
    prob = np.random.default_rng(seed).random((16, 16))
    larger = upsample_mask(_mask(prob, 50, 60, low))
    smaller = upsample_mask(_mask(prob, 50, 60, low + step))
    assert not (smaller & ~larger).any()
