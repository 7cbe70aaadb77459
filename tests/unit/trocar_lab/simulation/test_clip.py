"""The truth file repeats what was rendered; the shipped clip is the one that its README names."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from trocar_lab.simulation.clip import (
    README_NAME,
    TRUTH_NAME,
    VIDEO_NAME,
    ClipTruth,
    main,
    read_truth,
    write_truth,
    write_video,
)
from trocar_lab.simulation.colonoscopy import ColonoscopyScene, render

DEMO = Path(__file__).parents[4] / "src" / "trocar" / "assets" / "demo"


def _truth(identity: NDArray[np.uint8]) -> ClipTruth:
    """Return a truth around an identity video."""
    times = np.arange(identity.shape[0], dtype=np.int64) * 40_000_000
    return ClipTruth(identity=identity, time_ns=times, frame_rate_hz=25, seed=5)


@settings(max_examples=60, deadline=None)
@given(
    identity=hnp.arrays(
        np.uint8,
        st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 7)),
        elements=st.sampled_from([0, 0, 1, 2, 255]),
    )
)
def test_truth_round_trip(
    tmp_path_factory: pytest.TempPathFactory, identity: NDArray[np.uint8]
) -> None:
    """Runs that touch, wrap over a row's end or fill the frame come back as they were."""
    path = tmp_path_factory.mktemp("truth") / "truth.npz"

    write_truth(path, _truth(identity))
    result = read_truth(path)

    np.testing.assert_array_equal(result.identity, identity)
    np.testing.assert_array_equal(result.time_ns, _truth(identity).time_ns)
    assert (result.frame_rate_hz, result.seed) == (25, 5)


def test_truth_has_the_same_bytes_twice(tmp_path: Path) -> None:
    """A rerun must leave no difference, or the digest in the README would be worth nothing."""
    truth = _truth(np.eye(6, dtype=np.uint8)[None])
    for name in ("a.npz", "b.npz"):
        write_truth(tmp_path / name, truth)

    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("format", np.int32(2), "format"),
        ("shape", np.array([1, 0, 6], np.int32), "shape"),
        ("shape", np.array([1, 2, 2], np.int32), "leave the frame"),
        ("run_count", np.array([5], np.int32), "run count"),
        ("run_length", np.full(6, 30, np.uint32), "overlap"),
    ],
)
def test_malformed_truth_is_refused(
    tmp_path: Path, name: str, value: NDArray[np.int32], message: str
) -> None:
    """Truth decides over pass and fail: a file that contradicts itself raises."""
    path = tmp_path / "truth.npz"
    write_truth(path, _truth(np.eye(6, dtype=np.uint8)[None]))
    with np.load(path) as archive:
        stored = {key: archive[key] for key in archive.files}
    stored[name] = value
    np.savez_compressed(path, **stored)

    with pytest.raises(ValueError, match=message):
        read_truth(path)


def test_video_needs_a_frame(tmp_path: Path) -> None:
    """An MP4 file without a picture cannot be opened by anybody."""
    with pytest.raises(ValueError, match="at least one frame"):
        write_video(tmp_path / "empty.mp4", [], frame_rate_hz=25)


def test_command_writes_video_truth_and_readme(tmp_path: Path) -> None:
    """The command in the README writes all three files, twice with the same bytes."""
    for folder in ("a", "b"):
        arguments = ["--seed", "14", "--frames", "3", "--side", "64", "-o", str(tmp_path / folder)]
        assert main(arguments) == 0

    for name in (VIDEO_NAME, TRUTH_NAME, README_NAME):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert read_truth(tmp_path / "a" / TRUTH_NAME).identity.shape == (3, 64, 64)
    _check_digests(tmp_path / "a")


def test_shipped_files_are_small_and_have_the_digests_of_the_readme() -> None:
    """The files travel in the wheel: small, and none other than the README describes."""
    assert (DEMO / VIDEO_NAME).stat().st_size <= 1_500_000
    assert (DEMO / TRUTH_NAME).stat().st_size <= 300_000
    _check_digests(DEMO)


def test_shipped_clip_has_the_frames_of_its_truth() -> None:
    """Frame k of the video belongs to frame k of the truth, so both agree in count and size."""
    truth = read_truth(DEMO / TRUTH_NAME)
    with av.open(str(DEMO / VIDEO_NAME)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == truth.frame_rate_hz
        sizes = [(frame.height, frame.width) for frame in container.decode(stream)]

    assert len(sizes) == truth.identity.shape[0] == truth.time_ns.size
    assert set(sizes) == {truth.identity.shape[1:]}
    assert 8.0 <= len(sizes) / truth.frame_rate_hz <= 10.0


def test_shipped_truth_is_what_its_seed_renders() -> None:
    """One frame of the truth is rendered again: a stale file would differ by more than edges."""
    truth = read_truth(DEMO / TRUTH_NAME)
    frame = render(ColonoscopyScene.from_seed(truth.seed), 65 / truth.frame_rate_hz)

    assert frame.identity.any()
    assert float((frame.identity != truth.identity[65]).mean()) < 1e-3


def _check_digests(folder: Path) -> None:
    """Compare the digests in the README of ``folder`` with the files."""
    readme = (folder / README_NAME).read_text(encoding="utf-8")
    for name in (VIDEO_NAME, TRUTH_NAME):
        found = re.search(rf"`{re.escape(name)}` \| (\d+) \| `([0-9a-f]{{64}})`", readme)
        content = (folder / name).read_bytes()
        assert found is not None
        assert found.groups() == (str(len(content)), hashlib.sha256(content).hexdigest())
