"""Records are judged whole: no frame is left out, the threshold is the best one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from simulators.cholect50 import HEIGHT_PX, WIDTH_PX, write_cholect50_like
from trocar.contracts.frame import Frame
from trocar.contracts.outcome import Reason, Withheld
from trocar_lab.datasets.cholect50 import LABELS, ToolFrameItem, read_index, select
from trocar_lab.tool_detection.evaluate import (
    WithheldError,
    choose_threshold,
    mean_ap50,
    read_results,
    score,
    summarise,
)
from trocar_lab.training.detection_augmentation import BoxedFrame
from trocar_lab.training.detection_targets import cell_centres, cell_targets


@pytest.fixture
def items(tmp_path: Path) -> tuple[ToolFrameItem, ...]:
    """Return one procedure of a small drawn set."""
    write_cholect50_like(tmp_path)
    return select(read_index(tmp_path), ["VID73"])


def _line(item: ToolFrameItem, score_value: float = 0.9) -> dict[str, object]:
    """Return a record that finds every box of a frame and one that is not there."""
    size = np.array([WIDTH_PX, HEIGHT_PX, WIDTH_PX, HEIGHT_PX])
    right = [
        {
            "label": LABELS[index],
            "class_index": int(index),
            "score": score_value,
            "box_xyxy_px": (box * size).astype(float).tolist(),
            "is_shown": True,
        }
        for box, index in zip(item.boxes, item.classes, strict=True)
    ]
    wrong = {
        "label": LABELS[0],
        "class_index": 0,
        "score": 0.2,
        "box_xyxy_px": [0.0, 0.0, 3.0, 3.0],
    }
    return {
        "source_id": f"{item.item_id}.jpg",
        "outcome": {"kind": "tool_detections", "detections": [*right, wrong]},
    }


def _write(path: Path, lines: list[dict[str, object]]) -> Path:
    """Write a record."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_a_record_that_is_right_scores_one(
    items: tuple[ToolFrameItem, ...], tmp_path: Path
) -> None:
    """Boxes in pixels of the frame are compared with the labels; weak false ones cost nothing."""
    judged = read_results(_write(tmp_path / "r.jsonl", [_line(item) for item in items]), items)
    figures = summarise(judged, resample_count=20)
    assert figures["mean"].ap50_95 == pytest.approx(1.0)
    assert figures["mean"].ap50_interval[0] == pytest.approx(1.0)


def test_a_withheld_frame_counts_as_nothing_found(
    items: tuple[ToolFrameItem, ...], tmp_path: Path
) -> None:
    """Left out, a device that withholds the hard frames would look better."""
    lines = [_line(item) for item in items]
    lines[0]["outcome"] = {"kind": "withheld", "reason": "frame_black"}
    judged = read_results(_write(tmp_path / "r.jsonl", lines), items)
    assert [one.is_withheld for one in judged] == [True, *[False] * (len(items) - 1)]
    assert summarise(judged, resample_count=20)["mean"].ap50 < 0.99


@pytest.mark.parametrize("fault", ["missing", "twice", "foreign"])
def test_a_record_that_is_not_whole_is_refused(
    items: tuple[ToolFrameItem, ...], tmp_path: Path, fault: str
) -> None:
    """A frame without a line, with two, or one of another set."""
    lines = [_line(item) for item in items]
    if fault == "missing":
        lines.pop()
    elif fault == "twice":
        lines.append(lines[0])
    else:
        lines[0]["source_id"] = "VID99_000001.jpg"
    with pytest.raises(ValueError, match="one line for each"):
        read_results(_write(tmp_path / "r.jsonl", lines), items)


def test_the_threshold_separates_right_from_wrong(
    items: tuple[ToolFrameItem, ...], tmp_path: Path
) -> None:
    """Right boxes at 0.6, false ones at 0.2: anything between is perfect, the highest is taken."""
    lines = [_line(item, 0.6) for item in items]
    point = choose_threshold(read_results(_write(tmp_path / "r.jsonl", lines), items))
    assert (point.threshold, point.f1, point.precision, point.recall) == (0.6, 1.0, 1.0, 1.0)


def test_a_unit_that_withholds_ends_the_measurement(items: tuple[ToolFrameItem, ...]) -> None:
    """A figure over the frames that happened to have a result would be too good."""

    class Refusing:
        """A unit that answers nothing."""

        info = None

        def run(self, frame: Frame, *, now_ns: int) -> Withheld:
            """Withhold."""
            return Withheld(frame_index=frame.frame_index, reason=Reason.FRAME_BLACK)

    with pytest.raises(WithheldError, match="frame_black"):
        score(Refusing(), items)  # type: ignore[arg-type] # a fake without provenance


def test_cells_that_say_the_labels_score_one(items: tuple[ToolFrameItem, ...]) -> None:
    """What training watches is the same figure, from the network's cells."""
    frames = [BoxedFrame(np.zeros((1, 1, 3), np.uint8), item.boxes, item.classes) for item in items]
    rows, columns = 24, 40
    down, right = cell_centres(rows, columns)
    cells = []
    for frame in frames:
        targets = cell_targets(frame, class_count=len(LABELS), rows=rows, columns=columns)
        edges = targets.edges.numpy()
        distances = np.stack([
            right[None, :] - edges[0],
            down[:, None] - edges[1],
            edges[2] - right[None, :],
            edges[3] - down[:, None],
        ])
        cells.append(np.concatenate([targets.scores.numpy(), distances.clip(0, 1)]))
    assert mean_ap50(cells, frames) == pytest.approx(1.0)
    assert mean_ap50([np.zeros_like(one) for one in cells], frames) == 0.0
