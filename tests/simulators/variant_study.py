"""A study without processes, data or time: a task on drawn frames and arms that run in-process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.packs import SIDE_PX, tiny_facts
from simulators.twin_models import frames, run, twin_model
from trocar.backends.choices import Precision
from trocar.packs.content import CheckedPack
from trocar_lab.optimise import study as study_module
from trocar_lab.optimise.study import Scale, Study, run_study
from trocar_lab.optimise.tasks import Calibration, Figure, Side
from trocar_lab.optimise.turns import Arm, Speed
from trocar_lab.packing.build import PackContent, write_pack

SCALE = Scale(calibration_count=2, round_count=2, call_count=2, patience_s=0.0, is_quick=True)


class DrawnTask:
    """Agreement with the original model's masks, on drawn frames.

    Args:
        test_loss: Taken off every figure of a variant on the test side.
    """

    metric = "mean Dice"

    def __init__(self, *, test_loss: float = 0.0) -> None:
        self.sides: list[str] = []
        self._test_loss = test_loss

    def calibration(self, count: int) -> Calibration:
        """Return drawn frames."""
        ids = tuple(f"drawn_{index}" for index in range(count))
        return Calibration("DATA_DRAWN", ids, "training side", tuple(frames(count)[:, np.newaxis]))

    def validation(self) -> Side:
        """Return six frames in three groups."""
        return self._side("validation", 0.0)

    def test(self) -> Side:
        """Return six other frames."""
        return self._side("test", self._test_loss)

    def _side(self, name: str, loss: float) -> Side:
        """Return one side and note that it was read."""
        self.sides.append(name)
        inputs = frames(6, seed=11 if name == "test" else 7)
        truth = run(twin_model(), inputs) >= 0.5

        def judge(answers: NDArray[np.float32]) -> Figure:
            same = ((answers >= 0.5) == truth).mean(axis=(1, 2, 3))
            lost = 0.0 if same.min() == 1.0 else loss
            return lambda drawn: float(same[list(drawn)].mean()) - lost

        return Side(name, inputs, tuple(f"g{index // 2}" for index in range(6)), judge)


class InProcess:
    """Stands for a process of a variant; refuses the precisions that no engine here has."""

    def __init__(self, arm: Arm) -> None:
        is_refused = arm.precision in {Precision.FP16, Precision.BF16}
        self.refused = f"no {arm.precision} here" if is_refused else None
        self._model = arm.model

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        del args

    def outputs(self, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the model's answers."""
        return run(self._model, inputs)


def timed_by_size(
    arms: Sequence[Arm], *, round_count: int, call_count: int, patience_s: float
) -> tuple[dict[str, Speed], dict[str, str]]:
    """Return times in proportion to the size of the file: smaller is faster."""
    del patience_s
    first = len(arms[0].model)
    return {
        arm.name: Speed(
            p50_ms=len(arm.model) / 1000,
            p90_ms=len(arm.model) / 900,
            ratio=first / len(arm.model),
            ratio_lower=0.9 * first / len(arm.model),
            ratio_upper=1.1 * first / len(arm.model),
            frame_count=round_count * call_count,
            quiet_share=1.0,
        )
        for arm in arms
    }, {}


def write_twin_pack(folder: Path) -> CheckedPack:
    """Write an unsigned pack with the twin model."""
    frame = frames(1, seed=5)
    assert frame.shape[1] == SIDE_PX
    content = PackContent(twin_model(), "# Twin\n", frame, run(twin_model(), frame))
    return write_pack(folder, content, tiny_facts() | {"pack_name": "twin"})


def drawn_study(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, test_loss: float = 0.0
) -> tuple[Study, DrawnTask]:
    """Return a whole study of the twin model."""
    monkeypatch.setattr(study_module, "VariantProcess", InProcess)
    monkeypatch.setattr(study_module, "measure_by_turns", timed_by_size)
    task = DrawnTask(test_loss=test_loss)
    return run_study(write_twin_pack(folder), task, SCALE, lambda _line: None), task
