"""Export, choose the threshold, measure on the test side, and pack."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import torch
from numpy.typing import NDArray

from trocar.backends.request import BackendRequest
from trocar.backends.select import open_backend
from trocar.imaging.resize import RgbResizer
from trocar.packs.content import CheckedPack
from trocar.units.polyp_segmentation.contract import UNIT_NAME, PolypSegmentationConfig
from trocar.units.polyp_segmentation.unit import PolypSegmenter
from trocar_lab.datasets.data_root import require_data_root
from trocar_lab.datasets.kvasir_seg import SALT, digest, load_pair, read_registered, select
from trocar_lab.datasets.splits import Split
from trocar_lab.export.onnx_export import (
    INPUT_NAME,
    OUTPUT_NAME,
    DeployedSegmenter,
    ExportParity,
    export_onnx,
    measure_parity,
)
from trocar_lab.metrics.overlap import MeanInterval
from trocar_lab.packing.build import PackContent, write_pack
from trocar_lab.polyp.card import CardFigures, write_card
from trocar_lab.polyp.evaluate import choose_threshold, score, summarise
from trocar_lab.training.networks import ResidualUNet, parameter_count

PACK_NAME: Final = "polyp_kvasir"
MODEL_NEED: Final = "MDL_POLYP_SEGMENTATION"
SIDE_PX: Final = 256
_AGE_MS_MAX: Final = 60_000

INTENDED_USE: Final = (
    "Research: outline polyps in white-light colonoscopy frames, live or recorded, so that "
    "segmentation, streaming and "
    "verification methods can be studied. Not a medical device."
)
NOT_FOR: Final = (
    "Diagnosis, screening, guidance or any decision about a patient. Not for other endoscopies, "
    "narrow-band or dye "
    "imaging, capsule endoscopy, or frames without mucosa in view: the training images all show a "
    "polyp, so outlines on "
    "frames without one are to be expected. Not for commercial use: the training data is for "
    "research and education."
)


@dataclass(frozen=True)
class PackReport:
    """What was measured while packing.

    Attributes:
        pack: The pack, which is not signed yet.
        parity: Agreement of the ONNX file with torch on the test side.
        test: Figures on the test side.
        validation: Figures on the validation side, at the chosen threshold.
        threshold: Operating point.
    """

    pack: CheckedPack
    parity: ExportParity
    test: dict[str, MeanInterval]
    validation: dict[str, MeanInterval]
    threshold: float


def pack_polyp(
    run_folders: Sequence[Path], clip: Path, folder: Path, *, version: str, use_mirror: bool
) -> PackReport:
    """Turn the best weights of one run, or the mean of several, into a pack.

    The threshold comes from the validation side; the test side is read once, for the figures in the
    card.

    Args:
        run_folders: Folder of each training run; holds ``best.pt`` and ``log.jsonl``.
        clip: Rendered clip; its middle frame becomes the reference case, so that no patient's image
            is shipped.
        folder: Folder of the pack.
        version: Version of the pack.
        use_mirror: Average over the image and its mirror image.

    Raises:
        DataRootMissingError: The real data is not on this machine.
        UnregisteredDataError: They are not the data that verification registered.
    """
    items = read_registered(require_data_root())
    module = DeployedSegmenter(
        [_load(run_folder / "best.pt") for run_folder in run_folders], use_mirror=use_mirror
    )
    model = export_onnx(
        module,
        height_px=SIDE_PX,
        width_px=SIDE_PX,
        use_half_storage=len(run_folders) > 1,
    )
    reference_input = RgbResizer(height_px=SIDE_PX, width_px=SIDE_PX).resize(_middle_frame(clip))[
        None
    ]
    with torch.no_grad():
        reference_output = module(torch.from_numpy(reference_input.copy())).numpy()
    facts = _facts(version, digest(items))
    content = PackContent(model, "draft", reference_input, reference_output)
    with tempfile.TemporaryDirectory() as draft:
        first = write_pack(Path(draft), content, facts)
        unit = _open(first)
        threshold, means = choose_threshold(score(unit, select(items, Split.VALIDATION)))
        facts["threshold"] = {
            "value": threshold,
            "chosen_by": f"best mean Dice on the validation side ({means[threshold]:.4f}) "
            f"among {len(means)} values "
            f"from {min(means)} to {max(means)}; the test side was not read",
        }
        unit = _open(write_pack(Path(draft), content, facts))
        validation = summarise(score(unit, select(items, Split.VALIDATION)))
        test = summarise(score(unit, select(items, Split.TEST)))
    parity = _parity(module, model, select(items, Split.TEST), threshold)
    facts["metrics"] = [_metric(name, figure) for name, figure in test.items()]
    figures = CardFigures(test, validation, parity, parameter_count(module), len(model))
    card = write_card(facts, figures, use_mirror=use_mirror, run_folders=run_folders)
    pack = write_pack(folder, PackContent(model, card, reference_input, reference_output), facts)
    return PackReport(pack, parity, test, validation, threshold)


def _load(path: Path) -> ResidualUNet:
    """Return the network with the averaged weights of a run."""
    network = ResidualUNet()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["average"])
    return network.eval()


def _open(pack: CheckedPack) -> PolypSegmenter:
    """Open the unit as the device does, on ONNX Runtime in FP32."""
    config = PolypSegmentationConfig.from_manifest(pack.manifest, frame_age_ms_max=_AGE_MS_MAX)
    backend = open_backend(pack.model, pack.manifest, BackendRequest())
    return PolypSegmenter(config, backend, pack_id=pack.manifest.pack_id, pack_digest=pack.digest)


def _middle_frame(clip: Path) -> NDArray[np.uint8]:
    """Return the frame in the middle of a clip, (H, W, 3) uint8 RGB."""
    with av.open(str(clip)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.ascontiguousarray(frames[len(frames) // 2])


def _parity(
    module: DeployedSegmenter, model: bytes, items: tuple[Any, ...], threshold: float
) -> ExportParity:
    """Measure parity on images at the network's resolution."""
    resizer = RgbResizer(height_px=SIDE_PX, width_px=SIDE_PX)
    pairs = [load_pair(item) for item in items]
    references = [
        resizer.resize(np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * 255)[..., 0] > 127
        for _, mask in pairs
    ]
    images = [resizer.resize(rgb) for rgb, _ in pairs]
    return measure_parity(module, model, images, references, prob_threshold=threshold)


def _metric(name: str, figure: MeanInterval) -> dict[str, Any]:
    """Return one figure as the manifest holds it."""
    return {
        "name": name,
        "value": round(figure.mean, 4),
        "lower_95": round(figure.lower, 4),
        "upper_95": round(figure.upper, 4),
        "item_count": figure.item_count,
        "group_count": figure.group_count,
        "data": f"Kvasir-SEG, test side of split {SALT}; near-duplicate groups never trained on",
        "method": "per image at its own size through the device's unit; bootstrap over groups",
    }


def _facts(version: str, data_digest: str) -> dict[str, Any]:
    """Return the manifest's facts that do not depend on a measurement."""
    return {
        "pack_name": PACK_NAME,
        "pack_version": version,
        "unit": UNIT_NAME,
        "model_need": MODEL_NEED,
        "intended_use": INTENDED_USE,
        "not_for": NOT_FOR,
        "input": {
            "name": INPUT_NAME,
            "dtype": "uint8",
            "axes": ["batch", "height", "width", "channel"],
            "shape": [1, SIDE_PX, SIDE_PX, 3],
            "meaning": "RGB levels 0 to 255 of the whole frame",
        },
        "output": {
            "name": OUTPUT_NAME,
            "dtype": "float32",
            "axes": ["batch", "class", "height", "width"],
            "shape": [1, 1, SIDE_PX, SIDE_PX],
            "meaning": "probability of polyp, 0 to 1, not calibrated",
        },
        "preprocessing": {"colour_order": "RGB", "resize": "area", "normalisation": "in_graph"},
        "threshold": {"value": 0.5, "chosen_by": "draft"},
        "parity": {"prob_difference_max": 0.10, "mask_dice_min": 0.98},
        "trained_on": [
            {
                "data_id": "DATA_KVASIR_SEG",
                "digest": data_digest,
                "split": f"by near-duplicate group, salt {SALT}; "
                "residual leakage of one patient over two groups "
                "cannot be excluded, the source has no patient identity",
                "licence": "research and education only, no commercial use (Jha et al. 2020)",
            }
        ],
        "metrics": [
            {
                "name": "draft",
                "value": 0.0,
                "lower_95": 0.0,
                "upper_95": 0.0,
                "item_count": 1,
                "group_count": 1,
                "data": "draft",
                "method": "draft",
            }
        ],
        "created_on": dt.datetime.now(tz=dt.UTC).date().isoformat(),
    }
