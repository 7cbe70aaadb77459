"""Write a rendered clip: ``python -m trocar_lab.simulation.laparoscopy_clip -o FOLDER``.

The truth is JSON: for each frame its time and the tips in view, each with identity, class and box.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trocar_lab.datasets.cholect50 import LABELS
from trocar_lab.simulation.clip import write_video
from trocar_lab.simulation.laparoscopy import LaparoscopyScene, RenderedToolFrame, iterate_clip

__all__ = ["main", "write_laparoscopy_clip"]

VIDEO_NAME: Final = "laparoscopy.mp4"
TRUTH_NAME: Final = "laparoscopy_truth.json"
README_NAME: Final = "laparoscopy.md"
FRAME_RATE_HZ: Final = 25
FRAME_COUNT: Final = 200
HEIGHT_PX: Final = 288
WIDTH_PX: Final = 512
CRF: Final = 27
_SEED: Final = 28

_README: Final = """# Demonstration clip of laparoscopy

`{video}` is rendered, frame by frame, by a program. It contains no patient data and no part of any
recording or image of a patient. It is for demonstration and tests of the software, and says nothing
about performance on patients.

- Made by: `python -m trocar_lab.simulation.laparoscopy_clip -o src/trocar/assets/demo`
- Seed: {seed}
- Picture: {width}x{height}, {rate} frames per second, {count} frames, H.264 (crf {crf}), yuv420p
- Truth: `{truth}`: for each frame its time and the tips in view, each with identity, class and box
  (left, top, right, bottom edges in pixels)
- Tools: {tools}

The same seed gives the same frames before compression; the bytes of the video also depend on the
version of the encoder.

| file | bytes | sha256 |
|---|---|---|
| `{video}` | {video_bytes} | `{video_sha256}` |
| `{truth}` | {truth_bytes} | `{truth_sha256}` |
"""


def write_laparoscopy_clip(folder: Path, seed: int, *, frame_count: int = FRAME_COUNT) -> None:
    """Render a clip and write video, truth and a page with their digests into a folder.

    Args:
        folder: Folder to write into; created when missing.
        seed: Seed of the scene.
        frame_count: Number of frames, at least one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scene = LaparoscopyScene(seed)
    truth: list[dict[str, Any]] = []
    frames = iterate_clip(
        scene,
        frame_count=frame_count,
        frame_rate_hz=FRAME_RATE_HZ,
        height_px=HEIGHT_PX,
        width_px=WIDTH_PX,
    )
    video, table = folder / VIDEO_NAME, folder / TRUTH_NAME
    write_video(video, _noting(frames, truth), frame_rate_hz=FRAME_RATE_HZ, crf=CRF)
    lines = ",\n".join(json.dumps(one) for one in truth)
    table.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    tools = ", ".join(f"{LABELS[one.class_index]} ({one.identity})" for one in scene.instruments)
    page = _README.format(
        video=VIDEO_NAME,
        truth=TRUTH_NAME,
        seed=seed,
        width=WIDTH_PX,
        height=HEIGHT_PX,
        rate=FRAME_RATE_HZ,
        count=frame_count,
        crf=CRF,
        tools=tools,
        video_bytes=video.stat().st_size,
        truth_bytes=table.stat().st_size,
        video_sha256=hashlib.sha256(video.read_bytes()).hexdigest(),
        truth_sha256=hashlib.sha256(table.read_bytes()).hexdigest(),
    )
    (folder / README_NAME).write_text(page, encoding="utf-8")


def _noting(
    frames: Iterable[RenderedToolFrame], truth: list[dict[str, Any]]
) -> Iterator[NDArray[np.uint8]]:
    """Hand the pictures on, and write down what is in them."""
    for frame in frames:
        tips = [
            {"identity": int(identity), "label": LABELS[int(index)], "box_xyxy_px": box.tolist()}
            for identity, index, box in zip(
                frame.identities, frame.class_indices, frame.boxes_xyxy_px, strict=True
            )
        ]
        truth.append({"time_ns": frame.time_ns, "tips": tips})
        yield frame.rgb


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the clip; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write into")
    parser.add_argument("--seed", type=int, default=_SEED)
    parser.add_argument("--frames", type=int, default=FRAME_COUNT)
    options = parser.parse_args(arguments)
    write_laparoscopy_clip(options.output, options.seed, frame_count=options.frames)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
