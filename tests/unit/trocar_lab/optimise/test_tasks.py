"""Figures come out of the device's unit; frames and sides are those that the record names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from simulators.cholect50 import register_cholect50_like, write_cholect50_like
from simulators.kvasir import register_kvasir_like, write_kvasir_like
from simulators.packs import detector_facts, tiny_facts
from trocar.contracts.manifest import ModelManifest
from trocar_lab.datasets import registered
from trocar_lab.datasets.cholect50 import LABELS
from trocar_lab.datasets.kvasir_seg import read_index, select
from trocar_lab.datasets.splits import Split
from trocar_lab.optimise.tasks import NoModelError, Side, Task, open_task, thinned

FILES = {
    "model_file": "model.onnx",
    "card_file": "card.md",
    "reference_input": "in.npy",
    "reference_output": "out.npy",
    "files": [
        {"name": name, "sha256": "0" * 64, "size_bytes": 1}
        for name in ("model.onnx", "card.md", "in.npy", "out.npy")
    ],
}


def _manifest(facts: dict[str, object]) -> ModelManifest:
    """Return a manifest of these facts."""
    return ModelManifest.model_validate(facts | FILES | {"format_version": 1}, strict=False)


@pytest.fixture
def polyps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """Return the task of polyp segmentation on drawn images."""
    write_kvasir_like(tmp_path)
    monkeypatch.setenv("TROCAR_DATA", str(tmp_path))
    monkeypatch.setattr(registered, "REGISTER", register_kvasir_like(tmp_path))
    return open_task(_manifest(tiny_facts()))


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """Return the task of tool detection on drawn frames."""
    write_cholect50_like(tmp_path)
    monkeypatch.setenv("TROCAR_DATA", str(tmp_path))
    monkeypatch.setattr(registered, "REGISTER", register_cholect50_like(tmp_path))
    facts = detector_facts()
    facts["labels"] = list(LABELS)
    facts["output"] = facts["output"] | {"shape": [1, 10, 8, 12]}
    return open_task(_manifest(facts))


@pytest.mark.verifies("SRS_OPT_005", extent="full", technique="equivalence")
def test_calibration_frames_are_of_the_training_side(polyps: Task, tmp_path: Path) -> None:
    """Ids are in order, and the digest is over them."""
    found = polyps.calibration(8)
    training = {one.item_id for one in select(read_index(tmp_path), Split.TRAIN)}
    assert set(found.ids) <= training
    assert list(found.ids) == sorted(found.ids)
    assert len(found.ids) == len(found.frames) == 8
    assert found.frames[0].shape == (1, 64, 64, 3)
    assert found.digest != polyps.calibration(7).digest


@pytest.mark.verifies("SRS_OPT_006", extent="full", technique="equivalence")
def test_figure_is_that_of_the_device_for_the_answers(polyps: Task) -> None:
    """Answers that are the truth score near 1; none at all scores 0."""
    for side in (polyps.validation(), polyps.test()):
        bright = side.inputs.astype(np.float32).mean(axis=3)[:, np.newaxis] / 255
        truth = (bright > 0.4).astype(np.float32)
        whole = side.judge(truth)
        nothing = side.judge(np.zeros_like(truth))
        every = range(len(side.groups))
        assert whole(every) > 0.9
        assert nothing(every) == 0.0
        found = side.difference(whole, nothing)
        assert found.value == pytest.approx(-whole(every))
        assert found.lower <= found.value <= found.upper
        assert found.item_count == len(side.groups) >= found.group_count


@pytest.mark.verifies("SRS_OPT_006", extent="full", technique="equivalence")
def test_figure_of_a_detector_is_its_mean_precision(tools: Task) -> None:
    """Ranges come from one operation, the figure from another; both are named."""
    calibration = tools.calibration(6)
    assert {one.split("_")[0] for one in calibration.ids} == {"VID74"}
    assert calibration.frames[0].shape == (1, 64, 96, 3)
    validation, test = tools.validation(), tools.test()
    assert "VID68" in validation.name
    assert "VID73" in test.name
    nothing = np.zeros((len(test.groups), 10, 8, 12), np.float32)
    assert test.judge(nothing)(range(len(test.groups))) == 0.0


@pytest.mark.verifies("SRS_OPT_006", extent="partial", technique="equivalence")
def test_difference_is_drawn_for_both_at_once() -> None:
    """A variant that loses the same everywhere loses it in every drawing."""
    values = np.array([0.1, 0.5, 0.9, 0.3])

    def before(drawn: Sequence[int]) -> float:
        return float(values[list(drawn)].mean())

    side = Side(
        "s", np.zeros((4, 1, 1, 3), np.uint8), ("a", "a", "b", "c"), lambda _answers: before
    )

    found = side.difference(before, lambda drawn: before(drawn) - 0.02)
    assert found.value == pytest.approx(-0.02)
    assert found.lower == pytest.approx(-0.02)
    assert found.upper == pytest.approx(-0.02)
    assert (found.item_count, found.group_count) == (4, 3)


def test_unit_without_a_measure_is_refused() -> None:
    """Nothing could decide which variant is as good."""
    with pytest.raises(NoModelError, match="expected one of"):
        open_task(_manifest(tiny_facts() | {"unit": "another_unit"}))


@pytest.mark.parametrize(("count", "found"), [(1, "a"), (2, "ac"), (4, "abcd"), (9, "abcd")])
def test_thinned_items_are_spread_evenly(count: int, found: str) -> None:
    """By id and not by order of arrival."""
    assert "".join(thinned(dict.fromkeys("dbca"), count)) == found
