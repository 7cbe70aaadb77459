"""Rendered motion of tools: repeatable, with identities that mean what they say."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import pytest

from trocar_lab.simulation.tool_detector import DetectorSettings
from trocar_lab.simulation.tool_motion import SCENARIOS, ToolScenario, render_tool_motion

NS_PER_S: Final = 1_000_000_000
PERFECT: Final = DetectorSettings(
    miss_probability=0.0,
    jitter=0.0,
    ghost_rate=0.0,
    flicker_probability=0.0,
    twin_probability=0.0,
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda item: item.name)
def test_seed_decides_everything(scenario: ToolScenario) -> None:
    """The same seed gives the same frames, another one others."""
    first = render_tool_motion(scenario, seed=3, frame_count=60)
    assert first == render_tool_motion(scenario, seed=3, frame_count=60)
    assert first != render_tool_motion(scenario, seed=4, frame_count=60)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda item: item.name)
def test_frames_rise_and_boxes_lie_inside(scenario: ToolScenario) -> None:
    """Index and time belong together, also where frames were lost."""
    frames = render_tool_motion(scenario, seed=1, frame_count=300)
    indices = [frame.detections.frame_index for frame in frames]
    assert indices == sorted(set(indices))
    assert (len(frames) < 300) == (scenario.drop_probability > 0)
    for frame in frames:
        seconds = frame.detections.frame_index / scenario.frame_rate_hz
        assert frame.captured_at_ns == pytest.approx((seconds + 1) * NS_PER_S)
        for tool in frame.truth:
            left, top, right, bottom = tool.box_xyxy_px
            assert 0.0 <= left < right <= 854.0
            assert 0.0 <= top < bottom <= 480.0
            assert 0.3 <= tool.visible_fraction <= 1.0


def test_one_stay_has_one_number_and_an_absence_ends_it() -> None:
    """A number that was away for more than a second does not come back; an instrument does."""
    frames = render_tool_motion(ToolScenario("stays", tool_count=1), seed=5, frame_count=2500)
    seen_at: dict[int, list[int]] = {}
    instruments: dict[int, set[int]] = {}
    for frame in frames:
        for tool in frame.truth:
            seen_at.setdefault(tool.visible_number, []).append(frame.captured_at_ns)
            instruments.setdefault(tool.tool_number, set()).add(tool.visible_number)
    assert len(seen_at) >= 4
    gaps = [later - now for times in seen_at.values() for now, later in pairwise(times)]
    assert max(gaps) <= NS_PER_S + NS_PER_S // 25
    assert any(len(stays) > 1 for stays in instruments.values())
    ends = [(times[0], times[-1]) for _, times in sorted(seen_at.items())]
    assert all(begin - end > NS_PER_S / 2 for (_, end), (begin, _) in pairwise(ends))


@pytest.mark.parametrize(("probability", "least", "most"), [(0.0, 1, 1), (1.0, 8, 12)])
def test_exchanged_instrument_is_another_one(probability: float, least: int, most: int) -> None:
    """Each return is an exchange, or none is; in a minute a tool comes back about ten times."""
    scenario = ToolScenario(
        "exchange", tool_count=1, exchange_probability=probability, stay_s=(1.0, 2.0)
    )
    frames = render_tool_motion(scenario, seed=2, frame_count=1500)
    instruments = {tool.tool_number for frame in frames for tool in frame.truth}
    stays = {tool.visible_number for frame in frames for tool in frame.truth}
    assert least <= len(instruments) <= most
    assert len(stays) >= 8


def test_hidden_tool_is_not_in_the_truth_and_keeps_its_number() -> None:
    """In a shared field tools hide each other for a while, and are the same afterwards."""
    scenario = ToolScenario("crowd", tool_count=4, is_shared_field=True, stay_s=(60.0, 61.0))
    frames = render_tool_motion(scenario, seed=0, frame_count=900)
    counts = [len(frame.truth) for frame in frames[100:]]
    assert min(counts) < 4
    numbers = {tool.visible_number for frame in frames for tool in frame.truth}
    assert len(numbers) == 4


def test_camera_moves_the_picture() -> None:
    """A pan shifts all tools together by many pixels within a few frames."""
    still = ToolScenario("same", tool_count=1, camera_px=0.0, detector=PERFECT)
    moved = ToolScenario("same", tool_count=1, camera_px=30.0, detector=PERFECT)
    first, second = (render_tool_motion(item, seed=6, frame_count=150) for item in (still, moved))
    shifts = [
        abs(a.truth[0].box_xyxy_px[0] - b.truth[0].box_xyxy_px[0])
        for a, b in zip(first, second, strict=True)
        if a.truth and b.truth
    ]
    assert max(shifts) > 15.0


def test_sudden_pans_happen_at_their_rate() -> None:
    """Without them the view drifts slowly, with them it jumps."""

    def fastest(pan_rate_hz: float) -> float:
        scenario = ToolScenario(
            "pan", tool_count=1, camera_px=0.0, pan_rate_hz=pan_rate_hz, reach_s=(30.0, 31.0)
        )
        frames = render_tool_motion(scenario, seed=9, frame_count=1500)
        lefts = [f.truth[0].box_xyxy_px[0] if f.truth else None for f in frames]
        steps = [
            abs(b - a) for a, b in pairwise(lefts) if a and b and min(a, b) > 1 and max(a, b) < 700
        ]
        return max(steps)

    assert fastest(1.0) > fastest(0.0) + 10.0
