"""How well tracks keep tools apart: MOTA, MOTP, IDF1, HOTA and the counts that they come from.

Counts of several sequences are added before a figure is computed, as the reference tools do; the
mean of the figures of short sequences would give each of them the weight of a long one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

__all__ = ["ALPHAS", "BoxesById", "TrackingCounts", "TrackingFrame", "count_tracking", "pool"]

BoxesById = Mapping[int, tuple[float, float, float, float]]
"""Boxes (left, top, right, bottom) [px] by identity."""

ALPHAS: Final = np.arange(0.05, 0.99, 0.05)
"""Overlaps from which a pair counts as a match in HOTA."""

_MATCH_IOU_MIN: Final = 0.5
_ROUNDING: Final = float(np.finfo(np.float64).eps)
# Larger than any sum of overlaps in one frame: a pair that goes on is kept before all others.
_CONTINUES: Final = 1000.0
_MOSTLY_TRACKED_MIN: Final = 0.8
_MOSTLY_LOST_MAX: Final = 0.2


@dataclass(frozen=True, slots=True)
class TrackingFrame:
    """One frame to be judged.

    Attributes:
        truth: The tools in it.
        tracks: What the tracker gives.
    """

    truth: BoxesById
    tracks: BoxesById


@dataclass(frozen=True, slots=True)
class TrackingCounts:
    """What was counted, and the figures that follow.

    Attributes:
        truth_boxes: Boxes of the truth.
        track_boxes: Boxes of the tracker.
        matches: Pairs with an overlap of 0.5 and more (CLEAR).
        overlap_sum: Sum of the overlaps of these pairs.
        switches: Tools that were matched to another track than the last time.
        fragmentations: Tools that were found again after they had been lost.
        mostly_tracked: Tools found in more than 80 % of their frames.
        partly_tracked: Tools in between.
        mostly_lost: Tools found in less than 20 % of their frames.
        identity_matches: Pairs under the best one-to-one mapping of identities (IDTP).
        alpha_matches: (19,) float64: pairs at each overlap of ``ALPHAS`` (HOTA).
        alpha_association: (19,) float64: sum of the association score of these pairs.
        alpha_overlap: (19,) float64: sum of the overlaps of these pairs.
    """

    truth_boxes: int
    track_boxes: int
    matches: int
    overlap_sum: float
    switches: int
    fragmentations: int
    mostly_tracked: int
    partly_tracked: int
    mostly_lost: int
    identity_matches: int
    alpha_matches: NDArray[np.float64] = field(repr=False)
    alpha_association: NDArray[np.float64] = field(repr=False)
    alpha_overlap: NDArray[np.float64] = field(repr=False)

    @property
    def false_positives(self) -> int:
        """Boxes of the tracker that match no tool."""
        return self.track_boxes - self.matches

    @property
    def false_negatives(self) -> int:
        """Boxes of the truth that no track matches."""
        return self.truth_boxes - self.matches

    @property
    def mota(self) -> float:
        """Multiple object tracking accuracy; at most 1, below 0 where errors exceed the truth.

        Source:
            Bernardin and Stiefelhagen 2008, doi 10.1155/2008/246309.
        """
        errors = self.false_positives + self.false_negatives + self.switches
        return 1.0 - errors / max(self.truth_boxes, 1)

    @property
    def motp(self) -> float:
        """Mean overlap of the matched pairs, in [0.5, 1]; 0 where there is none."""
        return self.overlap_sum / max(self.matches, 1)

    @property
    def idf1(self) -> float:
        """Share of boxes with the right identity under the best mapping, in [0, 1].

        Source:
            Ristani et al. 2016, arXiv 1609.01775.
        """
        return 2.0 * self.identity_matches / max(self.truth_boxes + self.track_boxes, 1)

    @property
    def deta(self) -> float:
        """Detection part of HOTA, mean over ``ALPHAS``, in [0, 1]."""
        return float(np.mean(self._detection()))

    @property
    def assa(self) -> float:
        """Association part of HOTA, mean over ``ALPHAS``, in [0, 1]."""
        return float(np.mean(self._association()))

    @property
    def hota(self) -> float:
        """Higher order tracking accuracy, mean over ``ALPHAS``, in [0, 1].

        Source:
            Luiten et al. 2020, arXiv 2009.07736.
        """
        return float(np.mean(np.sqrt(self._detection() * self._association())))

    @property
    def loca(self) -> float:
        """Mean overlap of the matches of HOTA, mean over ``ALPHAS``; 1 where there is none."""
        none = self.alpha_matches == 0
        share = self.alpha_overlap / np.maximum(self.alpha_matches, 1.0)
        return float(np.mean(np.where(none, 1.0, share)))

    def _detection(self) -> NDArray[np.float64]:
        """Return the Jaccard index of detection at each overlap."""
        union = self.truth_boxes + self.track_boxes - self.alpha_matches
        return self.alpha_matches / np.maximum(union, 1.0)

    def _association(self) -> NDArray[np.float64]:
        """Return the mean association score at each overlap."""
        return self.alpha_association / np.maximum(self.alpha_matches, 1.0)


def pool(counts: Sequence[TrackingCounts]) -> TrackingCounts:
    """Return the counts of several sequences together.

    Args:
        counts: One for each sequence, at least one.
    """
    names = TrackingCounts.__dataclass_fields__
    return TrackingCounts(**{
        name: sum((getattr(item, name) for item in counts[1:]), start=getattr(counts[0], name))
        for name in names
    })


def count_tracking(frames: Sequence[TrackingFrame]) -> TrackingCounts:
    """Count matches and errors of one sequence.

    Args:
        frames: All frames of the sequence in order, also those without any box.

    Returns:
        The counts; ``pool`` adds those of several sequences.
    """
    overlaps = [_overlaps(frame.truth, frame.tracks) for frame in frames]
    clear = _clear(frames, overlaps)
    matches, association, overlap = _hota(frames, overlaps)
    return TrackingCounts(
        truth_boxes=sum(len(frame.truth) for frame in frames),
        track_boxes=sum(len(frame.tracks) for frame in frames),
        matches=clear.matches,
        overlap_sum=clear.overlap_sum,
        switches=clear.switches,
        fragmentations=clear.fragmentations(),
        mostly_tracked=clear.lives(_MOSTLY_TRACKED_MIN, math.inf),
        partly_tracked=clear.lives(_MOSTLY_LOST_MAX, _MOSTLY_TRACKED_MIN),
        mostly_lost=clear.lives(-math.inf, _MOSTLY_LOST_MAX),
        identity_matches=_identity(frames, overlaps),
        alpha_matches=matches,
        alpha_association=association,
        alpha_overlap=overlap,
    )


def _overlaps(truth: BoxesById, tracks: BoxesById) -> NDArray[np.float64]:
    """Return (truth, tracks) float64: intersection over union of each pair."""
    if not truth or not tracks:
        return np.zeros((len(truth), len(tracks)))
    first = np.array(list(truth.values()), dtype=np.float64)[:, np.newaxis]
    second = np.array(list(tracks.values()), dtype=np.float64)[np.newaxis]
    corner = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(
        first[..., :2], second[..., :2]
    )
    shared = np.prod(np.maximum(corner, 0.0), axis=2)
    areas = [np.prod(boxes[..., 2:] - boxes[..., :2], axis=2) for boxes in (first, second)]
    union = areas[0] + areas[1] - shared
    overlaps: NDArray[np.float64] = np.divide(
        shared, union, out=np.zeros_like(shared), where=union > 0.0
    )
    return overlaps


@dataclass(slots=True)
class _Clear:
    """What the frame-by-frame matching of CLEAR has seen so far."""

    matches: int = 0
    overlap_sum: float = 0.0
    switches: int = 0
    seen: Counter[int] = field(default_factory=Counter)
    found: Counter[int] = field(default_factory=Counter)
    runs: Counter[int] = field(default_factory=Counter)

    def fragmentations(self) -> int:
        """Return how often a tool was found again."""
        return sum(count - 1 for count in self.runs.values())

    def lives(self, above: float, up_to: float) -> int:
        """Return the tools that were found in such a share of their frames; borders as MOT17."""
        shares = [self.found[number] / count for number, count in self.seen.items()]
        if up_to == _MOSTLY_TRACKED_MIN:
            return sum(above <= share <= up_to for share in shares)
        if up_to == _MOSTLY_LOST_MAX:
            return sum(share < up_to for share in shares)
        return sum(share > above for share in shares)


def _clear(frames: Sequence[TrackingFrame], overlaps: Sequence[NDArray[np.float64]]) -> _Clear:
    """Match frame by frame; a pair that goes on is kept.

    A frame in which one side has no box at all breaks no pair, as in TrackEval. motmetrics keeps a
    pair over any absence and counts fragmentations otherwise; its MOTA can differ a little.
    """
    result = _Clear()
    last: dict[int, int] = {}
    before: dict[int, int] = {}
    for frame, overlap in zip(frames, overlaps, strict=True):
        truth, tracks = list(frame.truth), list(frame.tracks)
        result.seen.update(truth)
        if not truth or not tracks:
            continue
        gain = overlap.copy()
        for row, number in enumerate(truth):
            if before.get(number) in frame.tracks:
                gain[row, tracks.index(before[number])] += _CONTINUES
        gain[overlap < _MATCH_IOU_MIN - _ROUNDING] = 0.0
        now: dict[int, int] = {}
        for at, column in zip(*linear_sum_assignment(gain, maximize=True), strict=True):
            if gain[at, column] <= _ROUNDING:
                continue
            number, track = truth[at], tracks[column]
            now[number] = track
            result.matches += 1
            result.overlap_sum += float(overlap[at, column])
            result.switches += last.get(number, track) != track
            result.runs[number] += number not in before
        last |= now
        result.found.update(now.keys())
        before = now
    return result


def _identity(frames: Sequence[TrackingFrame], overlaps: Sequence[NDArray[np.float64]]) -> int:
    """Return the matched boxes under the one mapping of identities that matches most."""
    truth_index = _index(frame.truth for frame in frames)
    track_index = _index(frame.tracks for frame in frames)
    together = np.zeros((len(truth_index), len(track_index)))
    for frame, overlap in zip(frames, overlaps, strict=True):
        rows = [truth_index[number] for number in frame.truth]
        columns = [track_index[number] for number in frame.tracks]
        together[np.ix_(rows, columns)] += overlap >= _MATCH_IOU_MIN
    best = linear_sum_assignment(together, maximize=True)
    return int(together[best].sum())


def _hota(
    frames: Sequence[TrackingFrame], overlaps: Sequence[NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return matches, sum of association scores and sum of overlaps, for each of ``ALPHAS``."""
    truth_index = _index(frame.truth for frame in frames)
    track_index = _index(frame.tracks for frame in frames)
    shape = len(truth_index), len(track_index)
    rows = [[truth_index[number] for number in frame.truth] for frame in frames]
    columns = [[track_index[number] for number in frame.tracks] for frame in frames]
    truth_count, track_count = np.zeros((shape[0], 1)), np.zeros((1, shape[1]))
    together = np.zeros(shape)
    for row, column, overlap in zip(rows, columns, overlaps, strict=True):
        # The share of a pair in all that both overlap with: the soft alignment of section 5.1.
        total = overlap.sum(0)[np.newaxis] + overlap.sum(1)[:, np.newaxis] - overlap
        together[np.ix_(row, column)] += np.divide(
            overlap, total, out=np.zeros_like(overlap), where=total > _ROUNDING
        )
        truth_count[row, 0] += 1
        track_count[0, column] += 1
    alignment = together / np.maximum(truth_count + track_count - together, 1.0)
    matches = np.zeros((len(ALPHAS), *shape))
    overlap_sum = np.zeros(len(ALPHAS))
    for row, column, overlap in zip(rows, columns, overlaps, strict=True):
        best = linear_sum_assignment(alignment[np.ix_(row, column)] * overlap, maximize=True)
        for first, second in zip(*best, strict=True):
            is_match = overlap[first, second] >= ALPHAS - _ROUNDING
            matches[is_match, row[first], column[second]] += 1
            overlap_sum += np.where(is_match, overlap[first, second], 0.0)
    # A(c) = TPA / (TPA + FPA + FNA), once for each true positive c.
    union = np.maximum(truth_count + track_count - matches, 1.0)
    association = (matches * matches / union).sum(axis=(1, 2))
    return matches.sum(axis=(1, 2)), association, overlap_sum


def _index(boxes: Iterable[BoxesById]) -> dict[int, int]:
    """Return a running index for each identity that occurs."""
    return {number: at for at, number in enumerate(sorted({key for item in boxes for key in item}))}
