"""Every decoded picture becomes upright 8-bit RGB by rules that do not look at its content."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from av.video.frame import VideoFrame

from trocar.contracts.errors import DecodeError
from trocar.contracts.limits import FRAME_PIXEL_COUNT_MAX, FRAME_SIDE_PX_MAX
from trocar.streaming.pixels import RgbConverter, on_black, oriented, rgb_from_grey, size_problem

ONE = 65536


def _corner() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return a picture of 2x3 pixels, each of another value."""
    return np.arange(18, dtype=np.uint8).reshape(2, 3, 3)


@pytest.mark.verifies("SRS_SOURCE_001", extent="partial", technique="equivalence")
@pytest.mark.controls("RCM_GEOMETRY_001")
@pytest.mark.parametrize(
    ("a", "b", "c", "d", "turn"),
    [
        (ONE, 0, 0, ONE, lambda p: p),
        (0, -ONE, ONE, 0, lambda p: np.rot90(p, 1)),
        (-ONE, 0, 0, -ONE, lambda p: np.rot90(p, 2)),
        (0, ONE, -ONE, 0, lambda p: np.rot90(p, 3)),
        (-ONE, 0, 0, ONE, np.fliplr),
        (ONE, 0, 0, -ONE, np.flipud),
        (0, ONE, ONE, 0, lambda p: p.transpose(1, 0, 2)),
        (0, -ONE, -ONE, 0, lambda p: np.rot90(p, 2).transpose(1, 0, 2)),
    ],
)
def test_each_quarter_turn_and_mirror(a: int, b: int, c: int, d: int, turn: object) -> None:
    """A picture shown mirrored would put the outline on the wrong side of the bowel."""
    assert callable(turn)
    matrix = np.array([[a, b, 0], [c, d, 0], [0, 0, 1 << 30]], dtype=np.int32)
    got = oriented(_corner(), matrix)
    assert np.array_equal(got, turn(_corner()))
    assert got.flags.c_contiguous


@pytest.mark.verifies("SRS_SOURCE_002", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("a", "b", "c", "d"),
    [(46340, -46340, 46340, 46340), (0, 0, 0, 0), (2 * ONE, 0, 0, ONE), (0, 2 * ONE, ONE, 0)],
)
def test_other_matrix_is_refused(a: int, b: int, c: int, d: int) -> None:
    """A turn by 45 degrees cannot be undone without resampling; it must not be ignored either."""
    matrix = np.array([[a, b, 0], [c, d, 0], [0, 0, 1 << 30]], dtype=np.int32)
    with pytest.raises(DecodeError, match="quarter turns"):
        oriented(_corner(), matrix)


@pytest.mark.verifies("SRS_SOURCE_003", extent="partial", technique="boundary")
def test_alpha_is_laid_over_black() -> None:
    """Transparent pixels may hold any colour; what shows is black."""
    rgba = np.array([[[200, 100, 50, 255], [200, 100, 50, 0], [200, 100, 50, 128]]], np.uint8)
    assert on_black(rgba).tolist() == [[[200, 100, 50], [0, 0, 0], [100, 50, 25]]]


@pytest.mark.verifies("SRS_SOURCE_003", extent="partial", technique="boundary")
def test_grey_levels_keep_their_ends() -> None:
    """White stays white: 16-bit levels are scaled by the full range, whatever is in the picture."""
    grey8 = np.array([[0, 7, 255]], np.uint8)
    grey16 = np.array([[0, 256, 257, 65535]], np.uint16)
    assert rgb_from_grey(grey8)[..., 1].tolist() == [[0, 7, 255]]
    assert rgb_from_grey(grey16)[..., 2].tolist() == [[0, 0, 1, 255]]


@pytest.mark.verifies("SRS_SOURCE_002", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("width_px", "height_px", "verdict"),
    [
        (1, 1, "fine"),
        (FRAME_SIDE_PX_MAX, 1, "fine"),
        (FRAME_SIDE_PX_MAX + 1, 1, "refused"),
        (1, FRAME_SIDE_PX_MAX + 1, "refused"),
        (4096, FRAME_PIXEL_COUNT_MAX // 4096, "fine"),
        (4096, FRAME_PIXEL_COUNT_MAX // 4096 + 1, "refused"),
        (0, 4, "refused"),
        (4, 0, "refused"),
    ],
)
def test_size_is_judged_before_memory_is_spent(width_px: int, height_px: int, verdict: str) -> None:
    """A header may claim a picture of any size."""
    problem = size_problem(width_px=width_px, height_px=height_px)
    assert ("fine" if problem is None else "refused") == verdict


@pytest.mark.verifies("SRS_SOURCE_002", extent="partial", technique="fault_injection")
def test_frame_that_grew_beyond_the_limit_is_not_converted() -> None:
    """A stream may change its size after the header was checked."""
    with pytest.raises(DecodeError, match="8194x2"):
        RgbConverter().convert(VideoFrame(8194, 2, "gray"))


@pytest.mark.verifies("SRS_SOURCE_001", extent="partial", technique="boundary")
@pytest.mark.controls("RCM_GEOMETRY_001")
@pytest.mark.parametrize("is_turned", [False, True])
@pytest.mark.parametrize(
    ("scale", "leaning_one", "leaning_two", "second", "is_accepted"),
    [
        (100, 0, 0, 100, True),
        (100, 1, 0, 100, True),
        (100, 0, -1, 100, True),
        (100, 0, 0, 99, True),
        (100, 0, 0, -99, True),
        (99, 0, 0, 100, True),
        (1, 0, 0, 1, True),
        (100, 2, 0, 100, False),
        (100, 0, -2, 100, False),
        (100, 0, 0, 98, False),
        (98, 0, 0, 100, False),
        (100, 100, 0, 100, False),
        (100, 0, 100, 100, False),
    ],
)
def test_matrix_may_lean_by_one_percent_and_no_more(
    scale: int,
    leaning_one: int,
    leaning_two: int,
    second: int,
    *,
    is_accepted: bool,
    is_turned: bool,
) -> None:
    """Rounding in a camera is a quarter turn still; a shear or a stretch is not."""
    rows = [[scale, leaning_one, 0], [leaning_two, second, 0], [0, 0, 1 << 30]]
    matrix = np.array(rows, dtype=np.int32)
    if is_turned:
        matrix[:2, :2] = matrix[:2, 1::-1]
    if not is_accepted:
        with pytest.raises(DecodeError, match="quarter turns"):
            oriented(_corner(), matrix)
        return
    expected = _corner()[::-1] if second < 0 and not is_turned else _corner()
    if is_turned:
        expected = _corner().transpose(1, 0, 2)
        expected = expected[:, ::-1] if second < 0 else expected
    assert np.array_equal(oriented(_corner(), matrix), expected)


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="example")
def test_refused_matrix_is_shown_with_what_to_do() -> None:
    """The four numbers tell a video tool's user which turn was stored."""
    matrix = np.array([[1, 2, 0], [3, 4, 0], [0, 0, 1 << 30]], dtype=np.int32)
    with pytest.raises(DecodeError) as caught:
        oriented(_corner(), matrix)
    assert caught.value.problem == ("expected a display matrix of quarter turns, got (1, 2; 3, 4)")
    assert caught.value.advice == (
        "rotate the recording by quarter turns with a video tool and run again"
    )


@pytest.mark.verifies("SRS_LIVE_016", extent="partial", technique="requirement")
def test_converted_picture_is_let_go_at_once() -> None:
    """A ring of references would keep hundreds of decoded pictures until Python looks for it."""
    converter = RgbConverter()
    frame = VideoFrame.from_ndarray(np.full((32, 32, 3), 7, dtype=np.uint8), format="rgb24")
    converter.convert(frame)
    gc.collect()
    gc.disable()
    try:
        frame = VideoFrame.from_ndarray(np.full((32, 32, 3), 9, dtype=np.uint8), format="rgb24")
        converter.convert(frame)
        del frame
        assert gc.collect() == 0
    finally:
        gc.enable()
