"""The measures of tracking as TrackEval and motmetrics compute them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import motmetrics
import numpy as np
import trackeval
from trackeval.datasets._base_dataset import _BaseDataset

from trocar_lab.metrics.tracking import BoxesById, TrackingFrame

__all__ = ["measures", "versions"]


def versions() -> dict[str, str]:
    """Return the versions that computed the figures."""
    return {name: metadata.version(name) for name in ("trackeval", "motmetrics")}


def measures(frames: Sequence[TrackingFrame]) -> dict[str, dict[str, float]]:
    """Return the figures of both packages, under the names that ours have.

    Args:
        frames: The frames in order.
    """
    return {"trackeval": _by_trackeval(frames), "motmetrics": _by_motmetrics(frames)}


def _by_trackeval(frames: Sequence[TrackingFrame]) -> dict[str, float]:
    """Return HOTA, CLEAR and identity figures of TrackEval."""
    data = _trackeval_data(frames)
    quiet: dict[str, Any] = {"PRINT_CONFIG": False}
    hota = trackeval.metrics.HOTA().eval_sequence(data)
    clear = trackeval.metrics.CLEAR(quiet).eval_sequence(data)
    identity = trackeval.metrics.Identity(quiet).eval_sequence(data)
    return {
        "hota": float(np.mean(hota["HOTA"])),
        "deta": float(np.mean(hota["DetA"])),
        "assa": float(np.mean(hota["AssA"])),
        "loca": float(np.mean(hota["LocA"])),
        "mota": float(clear["MOTA"]),
        "motp": float(clear["MOTP"]),
        "switches": float(clear["IDSW"]),
        "fragmentations": float(clear["Frag"]),
        "false_positives": float(clear["CLR_FP"]),
        "false_negatives": float(clear["CLR_FN"]),
        "mostly_tracked": float(clear["MT"]),
        "partly_tracked": float(clear["PT"]),
        "mostly_lost": float(clear["ML"]),
        "idf1": float(identity["IDF1"]),
    }


def _trackeval_data(frames: Sequence[TrackingFrame]) -> dict[str, Any]:
    """Return the frames in the form that TrackEval takes."""
    truth_at, tracks_at = (
        {number: at for at, number in enumerate(sorted({n for boxes in side for n in boxes}))}
        for side in ([f.truth for f in frames], [f.tracks for f in frames])
    )
    truth_ids = [np.array([truth_at[n] for n in f.truth], dtype=int) for f in frames]
    track_ids = [np.array([tracks_at[n] for n in f.tracks], dtype=int) for f in frames]
    return {
        "num_timesteps": len(frames),
        "num_gt_ids": len(truth_at),
        "num_tracker_ids": len(tracks_at),
        "num_gt_dets": sum(map(len, truth_ids)),
        "num_tracker_dets": sum(map(len, track_ids)),
        "gt_ids": truth_ids,
        "tracker_ids": track_ids,
        "similarity_scores": [1.0 - _distances(f.truth, f.tracks) for f in frames],
    }


def _by_motmetrics(frames: Sequence[TrackingFrame]) -> dict[str, float]:
    """Return CLEAR and identity figures of motmetrics."""
    events = motmetrics.MOTAccumulator(auto_id=True)
    for frame in frames:
        distances = _distances(frame.truth, frame.tracks)
        distances[distances > 0.5] = np.nan
        events.update(list(frame.truth), list(frame.tracks), distances)
    names = {
        "mota": "mota",
        "motp": "motp",
        "switches": "num_switches",
        "fragmentations": "num_fragmentations",
        "false_positives": "num_false_positives",
        "false_negatives": "num_misses",
        "idf1": "idf1",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = motmetrics.metrics.create().compute(events, metrics=list(names.values()))
    found = {own: float(table[theirs].iloc[0]) for own, theirs in names.items()}
    # motmetrics gives the mean distance of matched pairs, ours is the mean overlap.
    return {**found, "motp": 1.0 - found["motp"]}


def _distances(truth: BoxesById, tracks: BoxesById) -> np.ndarray[Any, Any]:
    """Return 1 less the overlap of each pair, computed by TrackEval.

    The one of motmetrics 1.4.0 calls what NumPy 2 no longer has.
    """
    if not truth or not tracks:
        return np.ones((len(truth), len(tracks)))
    sides = [np.array(list(boxes.values())) for boxes in (truth, tracks)]
    overlaps: np.ndarray[Any, Any] = _BaseDataset._calculate_box_ious(*sides, box_format="x0y0x1y1")
    return 1.0 - overlaps
