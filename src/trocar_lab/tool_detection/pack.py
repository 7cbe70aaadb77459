"""Export the detector, choose its threshold, measure it on the test procedure, and pack."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from trocar.backends.request import BackendRequest
from trocar.backends.select import open_backend
from trocar.imaging.resize import RgbResizer
from trocar.packs.content import CheckedPack
from trocar.units.tool_detection.contract import UNIT_NAME, ToolDetectionConfig
from trocar.units.tool_detection.unit import ToolDetector
from trocar_lab.datasets.cholect50 import (
    LABELS,
    ToolFrameItem,
    digest,
    load_rgb,
    read_registered,
    select,
)
from trocar_lab.datasets.data_root import require_data_root
from trocar_lab.export.detector_export import CELLS_NAME, DeployedDetector, cell_difference_max
from trocar_lab.export.onnx_export import INPUT_NAME, export_onnx
from trocar_lab.metrics.average_precision import ClassFigure
from trocar_lab.packing.build import PackContent, write_pack
from trocar_lab.simulation.laparoscopy import LaparoscopyScene, render
from trocar_lab.tool_detection.card import CardFacts, write_card
from trocar_lab.tool_detection.evaluate import OperatingPoint, choose_threshold, score, summarise
from trocar_lab.training.detection_network import CELL_PX, DISTANCE_COUNT, ToolTipDetector
from trocar_lab.training.networks import parameter_count

__all__ = ["PackPlan", "ToolPackReport", "open_network", "pack_tool_detection"]

PACK_NAME: Final = "tool_detection_cholect50"
MODEL_NEED: Final = "MDL_TOOL_DETECTION"
REFERENCE_SEED: Final = 12
REFERENCE_TIME_S: Final = 2.0
_AGE_MS_MAX: Final = 60_000

INTENDED_USE: Final = (
    "Research: mark the tips of six kinds of tools in laparoscopic video, live or recorded, so "
    "that detection, tracking, streaming and verification methods can be studied. Not a medical "
    "device."
)
NOT_FOR: Final = (
    "Diagnosis, guidance, counting of instruments or any decision about a patient. Not for other "
    "operations than laparoscopic removal of the gallbladder, robotic instruments, or frames "
    "without a tool in view: every training frame shows one. Not for commercial use: the weights "
    "inherit CC BY-NC-SA 4.0 from the training data."
)


@dataclass(frozen=True)
class PackPlan:
    """What is packed, and which procedures its figures hold for.

    Attributes:
        runs: Folders of the runs behind the weights; the last one holds the weights to ship.
        chooser: Folder of the run of the same recipe that had not seen ``choose_on``.
        train_on: Procedures that the shipped weights were trained on.
        choose_on: Procedure that the threshold is chosen on, with the chooser's weights.
        test_on: Procedure that the figures hold for; read once, with the shipped weights.
        height_px: Height of the network's input.
        width_px: Width of the network's input.
        use_mirror: Average over the image and its mirror image.
        rendered_note: What the comparison with and without rendered scenes showed.
    """

    runs: Sequence[Path]
    chooser: Path
    train_on: tuple[str, ...]
    choose_on: str
    test_on: str
    height_px: int
    width_px: int
    use_mirror: bool
    rendered_note: str


@dataclass(frozen=True)
class ToolPackReport:
    """What was measured while packing.

    Attributes:
        pack: The pack, which is not signed yet.
        point: Operating point, on the procedure that it was chosen on.
        validation: Figures there.
        test: Figures on the test procedure.
        difference: Largest difference of one output value between ONNX Runtime and torch.
    """

    pack: CheckedPack
    point: OperatingPoint
    validation: dict[str, ClassFigure]
    test: dict[str, ClassFigure]
    difference: float


def pack_tool_detection(plan: PackPlan, folder: Path, *, version: str) -> ToolPackReport:
    """Turn the weights of a run into a pack.

    Args:
        plan: What is packed.
        folder: Folder of the pack.
        version: Version of the pack.

    Raises:
        ValueError: The test procedure was trained on or chosen on.
        DataRootMissingError: The real data is not on this machine.
        UnregisteredDataError: They are not the data that verification registered.
    """
    if plan.test_on in {*plan.train_on, plan.choose_on}:
        raise ValueError(f"expected a test procedure of its own, got {plan.test_on}")
    items = read_registered(require_data_root())
    facts = _facts(plan, version, digest(items))
    with tempfile.TemporaryDirectory() as draft:
        chooser = _draft(plan.chooser, plan, facts, Path(draft))
        judged = score(_open(chooser), select(items, [plan.choose_on]))
        point, validation = choose_threshold(judged), summarise(judged)
        facts["threshold"] = {"value": point.threshold, "chosen_by": _chosen_by(point, plan)}
        shipped = _draft(plan.runs[-1], plan, facts, Path(draft))
        test_items = select(items, [plan.test_on])
        test = summarise(score(_open(shipped), test_items))
    content = _content(plan.runs[-1], plan)
    module = DeployedDetector(open_network(plan.runs[-1]), use_mirror=plan.use_mirror)
    difference = cell_difference_max(module, content.model, _resized(test_items, plan))
    facts["metrics"] = [
        one for name, figure in test.items() for one in _metrics(name, figure, plan)
    ]
    card = write_card(
        facts,
        CardFacts(
            train_on=plan.train_on,
            choose_on=plan.choose_on,
            test_on=plan.test_on,
            test=test,
            validation=validation,
            difference=difference,
            weights=parameter_count(module),
            model_bytes=len(content.model),
            use_mirror=plan.use_mirror,
            rendered_note=plan.rendered_note,
            chooser=plan.chooser,
        ),
        items=items,
        run_folders=plan.runs,
    )
    whole = PackContent(content.model, card, content.reference_input, content.reference_output)
    return ToolPackReport(write_pack(folder, whole, facts), point, validation, test, difference)


def open_network(run_folder: Path) -> ToolTipDetector:
    """Return the network with the averaged weights of a run."""
    network = ToolTipDetector(len(LABELS))
    state: dict[str, Any] = torch.load(
        run_folder / "last.pt", map_location="cpu", weights_only=True
    )
    network.load_state_dict(state["average"])
    return network.eval()


def _content(run_folder: Path, plan: PackPlan) -> PackContent:
    """Return model and reference case of a run; the card is a draft."""
    module = DeployedDetector(open_network(run_folder), use_mirror=plan.use_mirror)
    model = export_onnx(
        module,
        height_px=plan.height_px,
        width_px=plan.width_px,
        use_half_storage=True,
        output_name=CELLS_NAME,
    )
    frame = render(LaparoscopyScene(REFERENCE_SEED), REFERENCE_TIME_S)
    resizer = RgbResizer(height_px=plan.height_px, width_px=plan.width_px)
    reference = resizer.resize(frame.rgb)[None]
    with torch.no_grad():
        output = module(torch.from_numpy(reference.copy())).numpy()
    return PackContent(model, "draft", reference, output)


def _draft(run_folder: Path, plan: PackPlan, facts: dict[str, Any], folder: Path) -> CheckedPack:
    """Return a pack of a run's weights whose card and figures are drafts."""
    return write_pack(folder, _content(run_folder, plan), facts)


def _open(pack: CheckedPack) -> ToolDetector:
    """Open the unit as the device does, on ONNX Runtime in FP32."""
    config = ToolDetectionConfig.from_manifest(pack.manifest, frame_age_ms_max=_AGE_MS_MAX)
    backend = open_backend(pack.model, pack.manifest, BackendRequest())
    return ToolDetector(config, backend, pack_id=pack.manifest.pack_id, pack_digest=pack.digest)


def _resized(items: Sequence[ToolFrameItem], plan: PackPlan) -> list[np.ndarray[Any, Any]]:
    """Return frames at the network's size."""
    resizer = RgbResizer(height_px=plan.height_px, width_px=plan.width_px)
    return [resizer.resize(load_rgb(item)).copy() for item in items]


def _chosen_by(point: OperatingPoint, plan: PackPlan) -> str:
    """Return how the threshold was chosen."""
    return (
        f"best F1 over all boxes of {plan.choose_on} at an overlap of 0.5 ({point.f1:.3f}: "
        f"precision {point.precision:.3f}, recall {point.recall:.3f}), with the weights of the run "
        f"{plan.chooser.name}, which had not seen it; {plan.test_on} was not read"
    )


def _metrics(name: str, figure: ClassFigure, plan: PackPlan) -> list[dict[str, Any]]:
    """Return the two figures of one class as the manifest holds them."""
    return [
        {
            "name": f"{kind}, {name}",
            "value": round(value, 4),
            "lower_95": round(interval[0], 4),
            "upper_95": round(interval[1], 4),
            "item_count": figure.frame_count,
            "group_count": figure.group_count,
            "data": f"CholecT50 validation set, procedure {plan.test_on}, {figure.box_count} "
            "boxes; never trained on, never chosen on",
            "method": "COCO, 101 recalls, through the device's unit; bootstrap over runs of frames",
        }
        for kind, value, interval in (
            ("AP50", figure.ap50, figure.ap50_interval),
            ("AP50:95", figure.ap50_95, figure.ap50_95_interval),
        )
    ]


def _facts(plan: PackPlan, version: str, data_digest: str) -> dict[str, Any]:
    """Return the manifest's facts that do not depend on a measurement."""
    rows, columns = plan.height_px // CELL_PX, plan.width_px // CELL_PX
    draft = {"name": "draft", "value": 0.0, "lower_95": 0.0, "upper_95": 0.0}
    return {
        "pack_name": PACK_NAME,
        "pack_version": version,
        "unit": UNIT_NAME,
        "model_need": MODEL_NEED,
        "intended_use": INTENDED_USE,
        "not_for": NOT_FOR,
        "labels": list(LABELS),
        "input": {
            "name": INPUT_NAME,
            "dtype": "uint8",
            "axes": ["batch", "height", "width", "channel"],
            "shape": [1, plan.height_px, plan.width_px, 3],
            "meaning": "RGB levels 0 to 255 of the whole frame",
        },
        "output": {
            "name": CELLS_NAME,
            "dtype": "float32",
            "axes": ["batch", "channel", "height", "width"],
            "shape": [1, len(LABELS) + DISTANCE_COUNT, rows, columns],
            "meaning": "score of each label, then left, top, right, bottom distance of the cell's "
            "centre to the box's edge as fraction of width or height; 0 to 1",
        },
        "preprocessing": {"colour_order": "RGB", "resize": "area", "normalisation": "in_graph"},
        "threshold": {"value": 0.5, "chosen_by": "draft"},
        "parity": {"prob_difference_max": 0.10, "mask_dice_min": 0.90},
        "trained_on": [
            {
                "data_id": "DATA_CHOLECT50_VAL",
                "digest": data_digest,
                "split": f"by procedure: trained on {', '.join(plan.train_on)}, recipe and "
                f"threshold chosen on {plan.choose_on} by other weights, figures on {plan.test_on}",
                "licence": "CC BY-NC-SA 4.0 (Nwoye et al. 2022)",
            }
        ],
        "metrics": [
            {**draft, "item_count": 1, "group_count": 1, "data": "draft", "method": "draft"}
        ],
        "created_on": dt.datetime.now(tz=dt.UTC).date().isoformat(),
    }
