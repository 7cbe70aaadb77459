"""One study of a unit: build the variants, judge them, time them, recommend, judge the finals.

Order: everything that chooses looks at the side for choosing; the test side is read once, at the
end, for what the written rule has chosen.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trocar.backends.choices import Engine, Precision
from trocar.contracts.manifest import ModelManifest, PackPrecision
from trocar.packs.content import CheckedPack
from trocar_lab.optimise.gate import Candidate, is_within, recommended
from trocar_lab.optimise.tasks import Calibration, Difference, Figure, Side, Task
from trocar_lab.optimise.turns import Arm, Speed, VariantProcess, measure_by_turns
from trocar_lab.optimise.variants import (
    HALF,
    ORIGINAL,
    Variant,
    float_variants,
    int8_variants,
    manifest_of,
)

__all__ = ["QUICK", "Judged", "Scale", "Study", "Timed", "run_study", "sha256_of"]

_CORES: Final = 2
_FLOAT_RUNS: Final = (
    (Engine.ONNXRUNTIME_CPU, Precision.FP32),
    (Engine.ONNXRUNTIME_CPU, Precision.FP16),
    (Engine.ONNXRUNTIME_CPU, Precision.BF16),
    (Engine.OPENVINO_CPU, Precision.FP32),
    (Engine.OPENVINO_CPU, Precision.FP16),
    (Engine.OPENVINO_CPU, Precision.BF16),
)
_INT8_RUNS: Final = (
    (Engine.ONNXRUNTIME_CPU, Precision.INT8),
    (Engine.OPENVINO_CPU, Precision.INT8),
)
_QUANTISED: Final = frozenset({"rewritten", "one_view"})

Say = Callable[[str], None]


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        calibration_count: Calibration frames.
        round_count: Rounds of timing.
        call_count: Timed calls a round.
        patience_s: Time to spend, each time, on turns beside which other work ran [s].
        is_quick: Leave out the slower ways of choosing ranges.
    """

    calibration_count: int = 60
    round_count: int = 15
    call_count: int = 5
    patience_s: float = 120.0
    is_quick: bool = False


QUICK: Final = Scale(
    calibration_count=8, round_count=3, call_count=3, patience_s=0.0, is_quick=True
)
"""Enough to see that everything works; its figures mean little."""


@dataclass(frozen=True)
class Judged:
    """Agreement of one variant in one engine with the original in FP32, on one side.

    Attributes:
        variant: Name of the variant.
        engine: Engine.
        precision: Precision.
        side: Which side.
        difference: Both figures of the task and their difference.
        prob_difference_max: Largest difference of one probability or score.
        mask_dice: Mean over the items of the Dice between both masks at the threshold.
    """

    variant: str
    engine: str
    precision: str
    side: str
    difference: Difference
    prob_difference_max: float
    mask_dice: float


@dataclass(frozen=True)
class Timed:
    """Times of one variant in one engine.

    Attributes:
        variant: Name of the variant.
        engine: Engine.
        precision: Precision.
        thread_count: Threads of one call.
        call_count: Calls at a time.
        speed: Times, and the ratio to the original on ONNX Runtime in FP32 with the same threads.
    """

    variant: str
    engine: str
    precision: str
    thread_count: int
    call_count: int
    speed: Speed


@dataclass
class Study:
    """What was built and measured.

    Attributes:
        pack: The pack that it began from.
        metric: Figure of the task.
        calibration: Calibration frames.
        variants: Every variant, the original first.
        left_out: Structures that do not fit the model, and why.
        removed: What cleaning took out of the graph.
        judged: Agreement on the side for choosing, and of the finals on the test side.
        timed: Times.
        refused: What an engine does not run, and its reason.
        finals: What the rule recommends.
        load: Load averages before and after, over one, five and fifteen minutes.
    """

    pack: CheckedPack
    metric: str
    calibration: Calibration
    variants: tuple[Variant, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    removed: Mapping[str, int] = field(default_factory=dict)
    judged: list[Judged] = field(default_factory=list)
    timed: list[Timed] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    finals: tuple[Candidate, ...] = ()
    load: list[tuple[float, float, float]] = field(default_factory=list)

    def differences(self, variant: str) -> dict[str, Difference]:
        """Return the worst difference of a variant over its engines, by ``validation``/``test``."""
        found: dict[str, Difference] = {}
        for one in self.judged:
            if one.variant == variant and (
                one.side not in found or one.difference.lower < found[one.side].lower
            ):
                found[one.side] = one.difference
        return found


def run_study(pack: CheckedPack, task: Task, scale: Scale, say: Say) -> Study:
    """Build, judge, time and recommend.

    Args:
        pack: The pack to begin from, in FP32.
        task: What its variants are measured by.
        scale: How much is measured.
        say: Takes one line of progress.
    """
    study = Study(pack, task.metric, task.calibration(scale.calibration_count))
    study.load.append(os.getloadavg())
    structures = float_variants(pack.model)
    study.left_out, study.removed = dict(structures.left_out), structures.removed
    found = list(structures.variants)
    for one in structures.variants:
        if one.name in _QUANTISED:
            say(f"quantising {one.name} with {len(study.calibration.ids)} frames")
            found += int8_variants(one, study.calibration.frames, is_quick=scale.is_quick)
    study.variants = tuple(found)
    judge = _Judge(study, task.validation(), "validation")
    for one in found:
        judge.all_runs(one, say)
    _time(study, _kept(study), scale, say)
    study.finals = recommended(_candidates(study))
    test = _Judge(study, task.test(), "test")
    for name in dict.fromkeys(final.variant for final in study.finals):
        test.all_runs(next(one for one in found if one.name == name), say)
    study.load.append(os.getloadavg())
    return study


class _Judge:
    """Compares variants with the original on one side."""

    def __init__(self, study: Study, side: Side, name: str) -> None:
        """Run the original on ONNX Runtime in FP32."""
        self._study, self._side, self._name = study, side, name
        original = study.variants[0]
        outputs, _ = self._outputs(original, *_FLOAT_RUNS[0])
        if outputs is None:
            raise RuntimeError("expected ONNX Runtime to run the pack in FP32, it does not")
        self._outputs_before, self._figure = outputs, side.judge(outputs)

    def all_runs(self, variant: Variant, say: Say) -> None:
        """Judge a variant in every engine and precision that it is for."""
        for engine, precision in _runs(variant):
            outputs, refusal = self._outputs(variant, engine, precision)
            if outputs is None:
                self._study.refused[f"{engine} {precision}"] = refusal
                continue
            self._add(variant, engine, precision, outputs)
            row = self._study.judged[-1].difference
            say(
                f"{self._name}: {variant.name} {engine} {precision}: {row.variant:.4f}, "
                f"difference {row.value:+.4f} [{row.lower:+.4f}, {row.upper:+.4f}]"
            )

    def _outputs(
        self, variant: Variant, engine: Engine, precision: Precision
    ) -> tuple[NDArray[np.float32] | None, str]:
        """Return the network's answers, or None and the engine's reason."""
        with VariantProcess(_arm(self._study, variant, engine, precision, _CORES)) as process:
            if process.refused is not None:
                return None, process.refused
            return process.outputs(self._side.inputs), ""

    def _add(
        self, variant: Variant, engine: Engine, precision: Precision, outputs: NDArray[np.float32]
    ) -> None:
        """Add one row."""
        figure: Figure = self._side.judge(outputs)
        manifest = self._study.pack.manifest
        apart, mask_dice = _agreement(self._outputs_before, outputs, manifest)
        self._study.judged.append(
            Judged(
                variant=variant.name,
                engine=engine.value,
                precision=precision.value,
                side=self._name,
                difference=self._side.difference(self._figure, figure),
                prob_difference_max=apart,
                mask_dice=mask_dice,
            )
        )


def _agreement(
    before: NDArray[np.float32], after: NDArray[np.float32], manifest: ModelManifest
) -> tuple[float, float]:
    """Return the largest difference of a score, and the mean Dice between the masks."""
    count = len(manifest.labels) or before.shape[1]
    scores = before[:, :count], after[:, :count]
    masks = [one.reshape(len(one), -1) >= manifest.threshold.value for one in scores]
    both = 2.0 * (masks[0] & masks[1]).sum(axis=1)
    total = masks[0].sum(axis=1) + masks[1].sum(axis=1)
    dices = np.divide(both, total, out=np.ones(len(both)), where=total > 0)
    return float(np.abs(scores[0] - scores[1]).max()), float(dices.mean())


def _runs(variant: Variant) -> Sequence[tuple[Engine, Precision]]:
    """Return the engines and precisions that a variant is for."""
    return _INT8_RUNS if variant.precision is PackPrecision.INT8 else _FLOAT_RUNS


def _arm(
    study: Study,
    variant: Variant,
    engine: Engine,
    precision: Precision,
    thread_count: int,
    call_count: int = 1,
) -> Arm:
    """Return a variant as something that can be opened."""
    return Arm(
        name=f"{variant.name}|{engine}|{precision}",
        model=variant.model,
        manifest=manifest_of(study.pack.manifest, variant),
        engine=engine,
        precision=precision,
        thread_count=thread_count,
        call_count=call_count,
    )


def _kept(study: Study) -> list[Variant]:
    """Return what is timed: float variants, and of each structure the best in whole numbers.

    What differs in storage alone is one graph once it is loaded, and is timed once.

    The best is, of those whose engines agree on the reference case, the one whose worst engine has
    the smallest loss at the lower end.
    """
    whole = [one for one in study.variants if one.precision is PackPrecision.INT8]
    kept = [
        one
        for one in study.variants
        if one.precision is not PackPrecision.INT8 and one.name != HALF
    ]
    for structure, members in groupby(whole, key=lambda one: one.structure):
        opened = [one for one in members if _engines_agree(study, one)]
        if not opened:
            study.left_out[f"int8 of {structure}"] = "its engines differ on the reference case"
            continue
        kept.append(max(opened, key=lambda one: study.differences(one.name)["validation"].lower))
    return kept


def _engines_agree(study: Study, variant: Variant) -> bool:
    """Say whether the device would open a variant in each engine, by the pack's own limits."""
    manifest, stored = study.pack.manifest, study.pack.content[study.pack.manifest.reference_input]
    frame = np.load(io.BytesIO(stored), allow_pickle=False)
    answers = []
    for engine, precision in _runs(variant):
        with VariantProcess(_arm(study, variant, engine, precision, _CORES)) as process:
            if process.refused is not None:
                return False
            answers.append(process.outputs(frame))
    apart, mask_dice = _agreement(answers[0], answers[1], manifest)
    limits = manifest.parity
    return apart <= limits.prob_difference_max and mask_dice >= limits.mask_dice_min


def _time(study: Study, variants: Iterable[Variant], scale: Scale, say: Say) -> None:
    """Time the variants by turns: two threads, one thread, and two calls of one thread each."""
    kept = list(variants)
    for thread_count, call_count in ((_CORES, 1), (1, 1), (1, _CORES)):
        say(f"timing {len(kept)} variants, {call_count} call(s) of {thread_count} thread(s)")
        arms = [
            _arm(study, one, engine, precision, thread_count, call_count)
            for one in kept
            for engine, precision in _runs(one)
            if f"{engine} {precision}" not in study.refused
        ]
        speeds, _ = measure_by_turns(
            arms,
            round_count=scale.round_count,
            call_count=scale.call_count,
            patience_s=scale.patience_s,
        )
        for name, speed in speeds.items():
            variant, engine_name, precision_name = name.split("|")
            study.timed.append(
                Timed(variant, engine_name, precision_name, thread_count, call_count, speed)
            )


def _candidates(study: Study) -> list[Candidate]:
    """Return what the rule chooses from: everything but the original as it was."""
    by_name = {one.name: one for one in study.variants}
    judged = {(one.variant, one.engine, one.precision): one for one in study.judged}
    return [
        Candidate(
            variant=one.variant,
            engine=one.engine,
            precision=one.precision,
            is_same_function=by_name[one.variant].is_same_function,
            difference=judged[one.variant, one.engine, one.precision].difference,
            speed=one.speed,
        )
        for one in study.timed
        if (one.thread_count, one.call_count) == (_CORES, 1)
        and one.variant != ORIGINAL
        and is_within(judged[one.variant, one.engine, one.precision].difference)
    ]


def sha256_of(variant: Variant) -> str:
    """Return the digest of a variant's file."""
    return hashlib.sha256(variant.model).hexdigest()
