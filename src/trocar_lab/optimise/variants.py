"""The variants of one model: other structures of its graph, and each in whole numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trocar.contracts.manifest import ModelManifest, PackPrecision
from trocar_lab.optimise.graph import clean, store_in_half
from trocar_lab.optimise.quantise import QuantisePlan, RangeMethod, integer_layer_count, quantise
from trocar_lab.optimise.structure import (
    StructureError,
    averaged_networks,
    fold_mirror,
    one_view,
    upsample_by_phases,
)

__all__ = [
    "HALF",
    "ORIGINAL",
    "Structures",
    "Variant",
    "float_variants",
    "int8_variants",
    "manifest_of",
]

_GROWTH_MAX: Final = 1.1

ORIGINAL: Final = "original"
"""Name of the file as it was packed."""

HALF: Final = "rewritten_half"
"""Name of the rewritten graph with weights stored in float16."""


@dataclass(frozen=True)
class Variant:
    """One form of a model.

    Attributes:
        name: Name in tables and on the command line.
        structure: Which structure of the graph it has.
        method: What was done, in words.
        model: The ONNX file.
        precision: Precision that it is made for.
        is_same_function: Whether it computes what the original does, but for rounding.
        integer_layer_count: Layers in whole numbers.
    """

    name: str
    structure: str
    method: str
    model: bytes
    precision: PackPrecision
    is_same_function: bool
    integer_layer_count: int = 0


@dataclass(frozen=True)
class Structures:
    """Float variants of a model.

    Attributes:
        variants: Those that fit the model, the original first.
        left_out: Why the others do not.
        removed: What cleaning took out, by kind.
    """

    variants: tuple[Variant, ...]
    left_out: Mapping[str, str]
    removed: Mapping[str, int]


def float_variants(model: bytes) -> Structures:
    """Return the file as it is and every other structure that fits it."""
    cleaned = clean(model)
    left_out: dict[str, str] = {}

    def tried(name: str, rewrite: Callable[[bytes], bytes], graph: bytes) -> bytes:
        try:
            return rewrite(graph)
        except StructureError as exc:
            left_out[name] = str(exc)
            return graph

    rewritten = tried("mirror image in the weights", _fold_distinct, cleaned.model)
    rewritten = tried("doubling by phases", upsample_by_phases, rewritten)
    one = tried("one view", one_view, rewritten)
    averaged = tried("averaged networks", averaged_networks, cleaned.model)
    rows = [
        (ORIGINAL, "as packed", model, True),
        ("cleaned", "weights widened once, casts and copies removed", cleaned.model, True),
        ("rewritten", "cleaned; mirror image in the weights, doubling by phases", rewritten, True),
        (HALF, "rewritten, weights stored in float16", store_in_half(rewritten), True),
        ("one_view", "rewritten, and only the first of the two averaged views", one, False),
        (
            "averaged",
            "one network whose weights are the mean of both",
            tried("doubling by phases, averaged", upsample_by_phases, averaged),
            False,
        ),
    ]
    missing = {
        "cleaned": rewritten == cleaned.model,
        "one_view": "one view" in left_out,
        "averaged": "averaged networks" in left_out,
    }
    return Structures(
        variants=tuple(
            Variant(name, name, method, graph, PackPrecision.FP32, is_same)
            for name, method, graph, is_same in rows
            if not missing.get(name, False)
        ),
        left_out=left_out,
        removed=cleaned.removed,
    )


def _fold_distinct(graph: bytes) -> bytes:
    """Fold the mirror image into the weights where both views have weights of their own."""
    folded = fold_mirror(graph)
    if len(folded) > _GROWTH_MAX * len(graph):
        raise StructureError(
            f"expected weights of each view, both share theirs: {len(graph)} bytes would become "
            f"{len(folded)}"
        )
    return folded


def int8_variants(
    base: Variant, frames: Sequence[NDArray[np.uint8]], *, is_quick: bool
) -> list[Variant]:
    """Return a float variant in whole numbers, by each way of choosing ranges.

    Args:
        base: The float variant.
        frames: Calibration frames.
        is_quick: Only the fastest way.
    """
    everything: tuple[str, ...] = ()
    plans = {"int8": QuantisePlan(RangeMethod.MIN_MAX)}
    if not is_quick:
        plans |= {
            "int8_all": QuantisePlan(RangeMethod.MIN_MAX, everything),
            "int8_ends_float": QuantisePlan(RangeMethod.MIN_MAX, keep_ends_float=True),
            "int8_percentile": QuantisePlan(RangeMethod.PERCENTILE),
            "int8_entropy": QuantisePlan(RangeMethod.ENTROPY),
        }
    found = []
    for suffix, plan in plans.items():
        model = quantise(base.model, frames, plan)
        count = integer_layer_count(model)
        found.append(
            Variant(
                f"{base.name}_{suffix}",
                base.structure,
                f"{base.method}; {plan.text}",
                model,
                PackPrecision.INT8,
                base.is_same_function,
                count,
            )
        )
    return found


def manifest_of(base: ModelManifest, variant: Variant) -> ModelManifest:
    """Return a manifest under which a variant can be opened for measuring; not one to pack."""
    if variant.precision is PackPrecision.FP32:
        return base
    fields: dict[str, Any] = base.model_dump(mode="json") | {
        "format_version": 2,
        "precision": variant.precision.value,
        "derived_from": {
            "pack_id": base.pack_id,
            "digest": "0" * 64,
            "method": variant.method,
            "integer_layer_count": variant.integer_layer_count,
            "calibration": {
                "data_id": "DATA_DRAFT",
                "digest": "0" * 64,
                "item_count": 1,
                "side": "draft",
            },
        },
    }
    return ModelManifest.model_validate(fields, strict=False)
