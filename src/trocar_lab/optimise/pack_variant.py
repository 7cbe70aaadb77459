"""A variant as a pack of its own: gated, with what it was made from, and its own card."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trocar.backends.choices import Engine
from trocar.backends.reference_case import replay_reference_case
from trocar.backends.request import BackendRequest
from trocar.backends.select import open_backend
from trocar.contracts.manifest import ModelManifest
from trocar.packs.content import CheckedPack
from trocar_lab.optimise.gate import LOSS_MAX, VariantRefusedError, require_parity_of
from trocar_lab.optimise.report import MODELS, STUDY_FILE
from trocar_lab.optimise.tasks import Difference
from trocar_lab.packing.build import PackContent, write_pack

__all__ = ["StudyRecord", "pack_variant", "read_study"]

_ENGINES: Final = (Engine.ONNXRUNTIME_CPU, Engine.OPENVINO_CPU)


@dataclass(frozen=True)
class StudyRecord:
    """A study as it was written.

    Attributes:
        fields: Content of ``optimise.json``.
        folder: Folder of the study, with its models.
    """

    fields: dict[str, Any]
    folder: Path

    def variant(self, name: str) -> dict[str, Any]:
        """Return what is known of a variant.

        Raises:
            VariantRefusedError: The study has no such variant.
        """
        found = [one for one in self.fields["variants"] if one["name"] == name]
        if not found:
            names = ", ".join(one["name"] for one in self.fields["variants"])
            raise VariantRefusedError(f"expected one of {names}, got {name}")
        row: dict[str, Any] = found[0]
        return row

    def judged(self, name: str) -> list[dict[str, Any]]:
        """Return every row of a variant's agreement."""
        return [one for one in self.fields["judged"] if one["variant"] == name]

    def worst(self, name: str) -> dict[str, Difference]:
        """Return the difference of a variant's worst engine on each side."""
        found: dict[str, Difference] = {}
        for row in self.judged(name):
            one = Difference(**row["difference"])
            if row["side"] not in found or one.lower < found[row["side"]].lower:
                found[row["side"]] = one
        return found


def read_study(folder: Path) -> StudyRecord:
    """Return the study of a folder.

    Raises:
        VariantRefusedError: There is none.
    """
    path = folder / STUDY_FILE
    if not path.is_file():
        raise VariantRefusedError(f"expected a study in {folder}, found no {STUDY_FILE}")
    return StudyRecord(json.loads(path.read_text(encoding="utf-8")), folder)


def pack_variant(base: CheckedPack, study: StudyRecord, name: str, folder: Path) -> CheckedPack:
    """Write one variant as a pack that is not signed yet.

    Args:
        base: The pack that the study began from.
        study: The study.
        name: The variant.
        folder: Folder of the new pack.

    Raises:
        VariantRefusedError: The study is of another pack, the model is not the one that was
            measured, or the gate does not let it pass.
    """
    if study.fields["pack"]["digest"] != base.digest:
        raise VariantRefusedError(
            f"expected a study of {base.manifest.pack_id} with digest {base.digest}, it is of "
            f"{study.fields['pack']}"
        )
    variant = study.variant(name)
    figures = study.worst(name)
    # @need-ids: RCM_OPT_001
    require_parity_of(name, figures)
    model = (study.folder / MODELS / f"{name}.onnx").read_bytes()
    if hashlib.sha256(model).hexdigest() != variant["sha256"]:
        raise VariantRefusedError(f"expected the model of {name} that was measured, it differs")
    facts = _facts(base.manifest, base.digest, study, variant, figures["test"])
    content = PackContent(
        model=model,
        card=_card(base, study, variant),
        reference_input=_array(base, base.manifest.reference_input),
        reference_output=_array(base, base.manifest.reference_output),
    )
    with tempfile.TemporaryDirectory() as place:
        draft = write_pack(Path(place), content, facts)
    own = open_backend(model, draft.manifest, BackendRequest()).infer(content.reference_input)
    for engine in _ENGINES:
        _require_reference_case(engine, draft, content.reference_input, own)
    return write_pack(folder, replace(content, reference_output=own), facts)


def _require_reference_case(
    engine: Engine, pack: CheckedPack, frame: NDArray[Any], answer: NDArray[Any]
) -> None:
    """Refuse a variant that the device would not open: its engines disagree on the case."""
    backend = open_backend(pack.model, pack.manifest, BackendRequest(engine=engine))
    report = replay_reference_case(
        backend,
        pack.manifest,
        reference_input=_npy(frame),
        reference_output=_npy(answer),
    )
    if not report.is_within_limits:
        raise VariantRefusedError(
            f"expected {engine} to keep the limits of the reference case, got a probability that "
            f"differs by {report.prob_difference_max:.3g} and mask Dice {report.mask_dice:.4f}"
        )


def _npy(array: NDArray[Any]) -> bytes:
    """Return an array in numpy's own format."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _array(base: CheckedPack, name: str) -> NDArray[Any]:
    """Return one array of the original's reference case."""
    array: NDArray[Any] = np.load(io.BytesIO(base.content[name]), allow_pickle=False)
    return array


def _facts(
    base: ModelManifest,
    digest: str,
    study: StudyRecord,
    variant: dict[str, Any],
    test: Difference,
) -> dict[str, Any]:
    """Return the manifest's facts."""
    kept = base.model_dump(mode="json")
    for name in ("format_version", "files", "metrics", "created_on", "model_file", "card_file"):
        del kept[name]
    calibration = study.fields["calibration"]
    is_whole = variant["precision"] == "int8"
    used = {
        "data_id": calibration["data_id"],
        "digest": calibration["digest"],
        "item_count": len(calibration["ids"]),
        "side": calibration["side"],
    }
    row = _test_row(study, variant["name"])
    return kept | {
        "pack_name": f"{base.pack_name}_{variant['name']}",
        "precision": variant["precision"],
        "derived_from": {
            "pack_id": base.pack_id,
            "digest": digest,
            "method": variant["method"],
            "integer_layer_count": variant["integer_layer_count"],
            "calibration": used if is_whole else None,
        },
        "metrics": [
            {
                "name": study.fields["metric"],
                "value": round(test.variant, 4),
                "lower_95": round(max(test.variant + test.lower - test.value, 0.0), 4),
                "upper_95": round(min(test.variant + test.upper - test.value, 1.0), 4),
                "item_count": test.item_count,
                "group_count": test.group_count,
                "data": base.metrics[0].data,
                "method": (
                    f"through the device's unit, {row['engine']} {row['precision']}; the interval "
                    "is that of the difference to the original on the same items, bootstrap over "
                    "groups; that of the figure itself stands in the card of the original"
                ),
            }
        ],
        "created_on": dt.datetime.now(tz=dt.UTC).date().isoformat(),
    }


def _test_row(study: StudyRecord, name: str) -> dict[str, Any]:
    """Return the row of the worst engine on the test side."""
    rows = [one for one in study.judged(name) if one["side"] == "test"]
    row: dict[str, Any] = min(rows, key=lambda one: one["difference"]["lower"])
    return row


def _card(base: CheckedPack, study: StudyRecord, variant: dict[str, Any]) -> str:
    """Return the card: what the variant is, its figures, and the card of the original."""
    calibration = study.fields["calibration"]
    lines = [
        f"# {base.manifest.pack_name}_{variant['name']} {base.manifest.pack_version}",
        "",
        (
            "**RESEARCH USE ONLY. Not for clinical use.** Not a medical device, not cleared, not "
            "reviewed by a clinician."
        ),
        "",
        (
            f"A variant of {base.manifest.pack_id}, digest `{base.digest}`. Precision: "
            f"{variant['precision']}. {variant['method'][:1].upper()}{variant['method'][1:]}."
        ),
        "",
        "It computes the same function as the original but for rounding."
        if variant["is_same_function"]
        else "**It computes another function than the original**: only one of its two averaged "
        "views, with half the arithmetic.",
        "",
        (
            f"Calibration: {len(calibration['ids'])} frames of {calibration['data_id']}, "
            f"{calibration['side']}; SHA-256 of their ids `{calibration['digest']}`."
        ),
        "",
        f"## {study.fields['metric']} beside the original in FP32, on the same items",
        "",
        (
            "| engine | precision | side | n | groups | original | variant | difference | "
            "95 % interval of the difference |"
        ),
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in study.judged(variant["name"]):
        one = Difference(**row["difference"])
        lines.append(
            f"| {row['engine']} | {row['precision']} | {row['side']} | {one.item_count} | "
            f"{one.group_count} | {one.original:.4f} | {one.variant:.4f} | {one.value:+.4f} | "
            f"{one.lower:+.4f} to {one.upper:+.4f} |"
        )
    return "\n".join([
        *lines,
        "",
        (
            "The reference case holds this variant's own answer on ONNX Runtime: it proves that an "
            "engine gives what was measured, not that this is what the original gives."
        ),
        "",
        (
            f"The gate lets a variant pass that loses at most {LOSS_MAX} with the whole interval, "
            "on both sides. The variant was chosen on the validation side; the test side was read "
            "once."
        ),
        "",
        "## Card of the original",
        "",
        "What follows was written for the original; size, precision and figures in it are its own.",
        "",
        base.card,
    ])
