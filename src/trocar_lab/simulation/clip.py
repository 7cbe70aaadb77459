"""Write a rendered clip with its truth: ``python -m trocar_lab.simulation.clip -o FOLDER``.

The truth is an ``.npz`` without pickled objects. A run is a stretch of equal, non-zero identity in
the row-major pixels of one frame.

============= ============ ======================================================================
name          dtype, shape meaning
============= ============ ======================================================================
format        int32 ()     1
seed          int64 ()     seed of the scene
frame_rate_hz int32 ()     frames per second [Hz]
shape         int32 (3,)   frames, rows, columns
time_ns       int64 (T,)   time of each frame since the start [ns]
run_count     int32 (T,)   runs of each frame
run_step      uint32 (R,)  first pixel, minus the first pixel of the run before in the same frame
run_length    uint32 (R,)  pixels of the run
run_identity  uint8 (R,)   identity of the polyp, 1 to 255
============= ============ ======================================================================
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from trocar_lab.simulation.colonoscopy import ColonoscopyScene, RenderedFrame, iterate_clip

__all__ = ["ClipTruth", "main", "read_truth", "write_demo_clip", "write_truth", "write_video"]

VIDEO_NAME: Final = "colonoscopy.mp4"
TRUTH_NAME: Final = "colonoscopy_truth.npz"
README_NAME: Final = "README.md"
FRAME_RATE_HZ: Final = 25
SIDE_PX: Final = 480
CRF: Final = 21
_FORMAT: Final = 1
_PIXELS_MAX: Final = 2**31

_README: Final = """# Demonstration clip

`{video}` is rendered, frame by frame, by a program. It contains no patient data and no part
of any recording or image of a patient. It is for demonstration and tests of the software, and says
nothing about performance on patients.

- Made by: `python -m trocar_lab.simulation.clip --seed {seed} -o src/trocar/assets/demo`
- Seed: {seed}
- Picture: {side}x{side}, {rate} frames per second, {count} frames, H.264 (crf {crf}), yuv420p
- Truth: `{truth}` holds the identity of the visible polyp for every pixel of every
  frame, run-length coded. Format and reader (`read_truth`): `trocar_lab.simulation.clip`.
- Frames with a polyp in view: {positive} of {count}

The same seed gives the same frames before compression; the bytes of the video also depend on the
version of the encoder.

| file | bytes | sha256 |
|---|---|---|
| `{video}` | {video_bytes} | `{video_sha256}` |
| `{truth}` | {truth_bytes} | `{truth_sha256}` |
"""


@dataclass(frozen=True)
class ClipTruth:
    """Truth of a clip.

    Attributes:
        identity: (T, H, W) uint8, identity of the visible polyp, 0 for none.
        time_ns: (T,) int64 time of each frame since the start [ns].
        frame_rate_hz: Frames per second [Hz].
        seed: Seed of the scene.
    """

    identity: NDArray[np.uint8]
    time_ns: NDArray[np.int64]
    frame_rate_hz: int
    seed: int


def write_truth(path: Path, truth: ClipTruth) -> None:
    """Write the truth in the format of this module; the same truth gives the same bytes.

    Args:
        path: File to write, ending in ``.npz``.
        truth: What to write.
    """
    runs = [_encode(frame) for frame in truth.identity]
    empty = np.zeros((3, 0), dtype=np.int64)
    step, length, identity = np.concatenate([empty, *runs], axis=1)
    np.savez_compressed(
        path,
        format=np.int32(_FORMAT),
        seed=np.int64(truth.seed),
        frame_rate_hz=np.int32(truth.frame_rate_hz),
        shape=np.array(truth.identity.shape, dtype=np.int32),
        time_ns=truth.time_ns.astype(np.int64),
        run_count=np.array([run.shape[1] for run in runs], dtype=np.int32),
        run_step=step.astype(np.uint32),
        run_length=length.astype(np.uint32),
        run_identity=identity.astype(np.uint8),
    )


def read_truth(path: Path) -> ClipTruth:
    """Read and check a truth file.

    Args:
        path: File written by ``write_truth``.

    Returns:
        The truth, newly allocated.

    Raises:
        ValueError: The file has another format, or its runs do not fit its frames.
        OSError: The file cannot be read.
    """
    with np.load(path, allow_pickle=False) as archive:
        stored = {name: archive[name] for name in archive.files}
    if int(stored.get("format", np.int32(0))) != _FORMAT:
        raise ValueError(f"{path.name} is not a truth file of format {_FORMAT}")
    frame_count, height_px, width_px = (int(side) for side in stored["shape"])
    frame_pixels = height_px * width_px
    if min(frame_count, height_px, width_px) < 1 or frame_count * frame_pixels > _PIXELS_MAX:
        raise ValueError(f"{path.name} has an impossible shape")
    counts = stored["run_count"]
    run_total = stored["run_step"].size
    sizes = (stored["run_length"].size, stored["run_identity"].size, int(counts.sum()))
    if counts.shape != (frame_count,) or (counts < 0).any() or sizes != (run_total,) * 3:
        raise ValueError(f"{path.name} has a run count that does not fit")
    identity = np.zeros((frame_count, frame_pixels), dtype=np.uint8)
    end = 0
    for frame_index, count in enumerate(counts.tolist()):
        begin, end = end, end + count
        starts = np.cumsum(stored["run_step"][begin:end].astype(np.int64))
        stops = starts + stored["run_length"][begin:end]
        if count and (stops.max() > frame_pixels or (starts[1:] < stops[:-1]).any()):
            raise ValueError(f"{path.name} has runs that leave the frame or overlap")
        for start, stop, label in zip(
            starts.tolist(), stops.tolist(), stored["run_identity"][begin:end], strict=True
        ):
            identity[frame_index, start:stop] = label
    return ClipTruth(
        identity=identity.reshape(frame_count, height_px, width_px),
        time_ns=stored["time_ns"],
        frame_rate_hz=int(stored["frame_rate_hz"]),
        seed=int(stored["seed"]),
    )


def write_video(
    path: Path, frames: Iterable[NDArray[np.uint8]], *, frame_rate_hz: int, crf: int = CRF
) -> None:
    """Encode frames as H.264 in an MP4 file, with one thread so that a rerun gives the same bytes.

    Args:
        path: File to write.
        frames: (H, W, 3) uint8 RGB, all of one even size, at least one.
        frame_rate_hz: Frames per second [Hz].
        crf: Quality of libx264, 0 (lossless) to 51.

    Raises:
        ValueError: There is no frame.
    """
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream: VideoStream | None = None
        for rgb in frames:
            if stream is None:
                stream = container.add_stream("libx264", rate=frame_rate_hz)
                stream.height, stream.width = rgb.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.options = {"crf": str(crf), "preset": "slow", "threads": "1"}
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        if stream is None:
            raise ValueError("a video needs at least one frame")
        container.mux(stream.encode(None))


def write_demo_clip(
    folder: Path,
    seed: int,
    *,
    frame_count: int | None = None,
    side_px: int = SIDE_PX,
    crf: int = CRF,
) -> ClipTruth:
    """Render a clip and write video, truth and a README with their digests into a folder.

    Args:
        folder: Folder to write into; created when missing.
        seed: Seed of the scene.
        frame_count: Number of frames; all of the camera's way when None.
        side_px: Rows and columns [px], even.
        crf: Quality of libx264.

    Returns:
        The truth as written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scene = ColonoscopyScene.from_seed(seed)
    count = round(scene.duration_s * FRAME_RATE_HZ) if frame_count is None else frame_count
    frames = iterate_clip(
        scene, frame_count=count, frame_rate_hz=FRAME_RATE_HZ, height_px=side_px, width_px=side_px
    )
    seen: list[RenderedFrame] = []
    write_video(folder / VIDEO_NAME, _pictures(frames, seen), frame_rate_hz=FRAME_RATE_HZ, crf=crf)
    truth = ClipTruth(
        identity=np.stack([frame.identity for frame in seen]),
        time_ns=np.array([frame.time_ns for frame in seen], dtype=np.int64),
        frame_rate_hz=FRAME_RATE_HZ,
        seed=seed,
    )
    write_truth(folder / TRUTH_NAME, truth)
    video, coded = ((folder / name).read_bytes() for name in (VIDEO_NAME, TRUTH_NAME))
    readme = _README.format(
        video=VIDEO_NAME,
        truth=TRUTH_NAME,
        seed=seed,
        side=side_px,
        rate=FRAME_RATE_HZ,
        count=count,
        crf=crf,
        positive=int(truth.identity.any(axis=(1, 2)).sum()),
        video_bytes=len(video),
        truth_bytes=len(coded),
        video_sha256=hashlib.sha256(video).hexdigest(),
        truth_sha256=hashlib.sha256(coded).hexdigest(),
    )
    (folder / README_NAME).write_text(readme, encoding="utf-8")
    return truth


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the clip that the command line asks for.

    Args:
        arguments: Command line without the program's name; ``sys.argv`` when None.

    Returns:
        Exit status, 0.
    """
    parser = argparse.ArgumentParser(prog="python -m trocar_lab.simulation.clip")
    parser.add_argument("--seed", type=int, default=14, help="seed of the scene")
    parser.add_argument("--frames", type=int, default=None, help="number of frames")
    parser.add_argument("--side", type=int, default=SIDE_PX, help="rows and columns in pixels")
    parser.add_argument("--crf", type=int, default=CRF, help="quality of libx264, 0 to 51")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write into")
    chosen = parser.parse_args(arguments)
    write_demo_clip(
        chosen.output,
        chosen.seed,
        frame_count=chosen.frames,
        side_px=chosen.side,
        crf=chosen.crf,
    )
    return 0


def _pictures(
    frames: Iterable[RenderedFrame], seen: list[RenderedFrame]
) -> Iterator[NDArray[np.uint8]]:
    """Pass the pictures on and keep the truth of each frame without its picture in ``seen``."""
    nothing = np.zeros((0, 0, 3), dtype=np.uint8)
    for frame in frames:
        seen.append(RenderedFrame(nothing, frame.identity, frame.time_ns))
        yield frame.rgb


def _encode(identity: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the runs of one frame, (3, R): step, length, identity."""
    flat = np.concatenate([[0], identity.reshape(-1), [0]]).astype(np.int64)
    edges = np.flatnonzero(np.diff(flat))
    starts = edges[flat[edges + 1] != 0]
    stops = edges[flat[edges] != 0]
    return np.stack([np.diff(starts, prepend=0), stops - starts, flat[starts + 1]])


if __name__ == "__main__":
    raise SystemExit(main())
