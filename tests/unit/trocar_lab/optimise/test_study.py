"""A study chooses on one side, reads the test side last, and keeps what an engine refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.variant_study import (
    SCALE,
    DrawnTask,
    InProcess,
    drawn_study,
    timed_by_size,
    write_twin_pack,
)
from trocar_lab.optimise import study as study_module
from trocar_lab.optimise.study import QUICK, Study, run_study, sha256_of
from trocar_lab.optimise.turns import Arm


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """Return a study of the twin model."""
    return drawn_study(tmp_path / "pack", monkeypatch)[0]


@pytest.mark.verifies("SRS_OPT_005", extent="full", technique="equivalence")
def test_test_side_is_read_last_and_for_the_chosen_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was looked at before choosing is no test."""
    study, task = drawn_study(tmp_path / "pack", monkeypatch)
    assert task.sides == ["validation", "test"]
    assert {one.variant for one in study.judged if one.side == "test"} == {
        one.variant for one in study.finals
    }
    sides = [one.side for one in study.judged]
    assert sides == sorted(sides, reverse=True)


@pytest.mark.verifies("SRS_OPT_006", extent="full", technique="equivalence")
def test_every_variant_is_judged_in_every_engine_that_runs_it(study: Study) -> None:
    """What an engine refuses is kept with its reason."""
    judged = {(one.variant, one.engine, one.precision) for one in study.judged}
    for one in study.variants:
        precision = one.precision.value
        assert (one.name, "onnxruntime-cpu", precision) in judged
        assert (one.name, "openvino-cpu", precision) in judged
    assert study.refused == {
        f"{engine} {precision}": f"no {precision} here"
        for engine in ("onnxruntime-cpu", "openvino-cpu")
        for precision in ("fp16", "bf16")
    }


@pytest.mark.verifies("SRS_OPT_006", extent="partial", technique="equivalence")
def test_same_function_has_no_difference(study: Study) -> None:
    """The rewritten graph answers as the original does, so the method measures nothing there."""
    rows = [one for one in study.judged if one.variant in {"original", "cleaned"}]
    assert {one.difference.value for one in rows} == {0.0}
    assert {one.mask_dice for one in rows} == {1.0}
    assert max(one.prob_difference_max for one in rows) == 0.0


@pytest.mark.verifies("SRS_OPT_007", extent="partial", technique="equivalence")
def test_times_are_taken_with_two_threads_one_thread_and_two_calls(study: Study) -> None:
    """Each variant that is timed has the three figures in each engine."""
    kinds = {(one.thread_count, one.call_count) for one in study.timed}
    assert kinds == {(2, 1), (1, 1), (1, 2)}
    assert "rewritten_half" not in {one.variant for one in study.timed}


def test_differences_are_those_of_the_worst_engine(study: Study) -> None:
    """A pack may be opened in any engine that was measured."""
    name = next(one.name for one in study.variants if one.precision.value == "int8")
    worst = study.differences(name)["validation"]
    rows = [one.difference for one in study.judged if one.variant == name]
    assert worst.lower == min(one.lower for one in rows)


def test_pack_that_does_not_run_in_fp32_is_no_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There would be nothing to compare with."""

    class Refusing(InProcess):
        """Refuses every arm."""

        def __init__(self, arm: Arm) -> None:
            super().__init__(arm)
            self.refused = "nothing runs"

    monkeypatch.setattr(study_module, "VariantProcess", Refusing)
    with pytest.raises(RuntimeError, match="expected ONNX Runtime to run the pack"):
        run_study(write_twin_pack(tmp_path / "pack"), DrawnTask(), QUICK, lambda _line: None)


def test_digest_is_that_of_the_file(study: Study) -> None:
    """Two variants with other bytes have other digests."""
    assert len({sha256_of(one) for one in study.variants}) == len(study.variants)


@pytest.mark.verifies("SRS_OPT_008", extent="partial", technique="fault_injection")
def test_variant_whose_engines_differ_on_the_reference_case_is_not_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No device would open it in one of them, however fast it is."""

    class Differing(InProcess):
        """Answers in OpenVINO with every mask turned round."""

        def __init__(self, arm: Arm) -> None:
            super().__init__(arm)
            self._is_other = arm.engine.value == "openvino-cpu" and arm.precision.value == "int8"

        def outputs(self, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
            """Return the model's answers, or one less them."""
            found = super().outputs(inputs)
            return 1.0 - found if self._is_other else found

    monkeypatch.setattr(study_module, "VariantProcess", Differing)
    monkeypatch.setattr(study_module, "measure_by_turns", timed_by_size)
    study = run_study(write_twin_pack(tmp_path / "pack"), DrawnTask(), SCALE, lambda _line: None)
    assert "int8" not in {one.precision for one in study.timed}
    assert "reference case" in study.left_out["int8 of rewritten"]
