"""A manifest says all that the device must know of a model, in one strict form."""

from __future__ import annotations

import copy
import json
from collections.abc import Collection
from typing import Any, Final

import pytest
from pydantic import ValidationError

from trocar.contracts.errors import IncompatiblePackError
from trocar.contracts.limits import PACK_FILE_BYTES_MAX, PACK_FILE_COUNT_MAX
from trocar.contracts.manifest import (
    FORMAT_VERSION,
    ModelManifest,
    PackPrecision,
    TensorDtype,
    TensorSpec,
)

DIGEST: Final = "0" * 64
FILES: Final = ("model.onnx", "card.md", "input.npy", "output.npy")
FACTS: Final[dict[str, Any]] = {
    "format_version": FORMAT_VERSION,
    "pack_name": "polyp_unet",
    "pack_version": "1.0.0",
    "unit": "polyp_segmentation",
    "model_need": "MDL_POLYP_001",
    "intended_use": "Research.",
    "not_for": "Diagnosis.",
    "input": {
        "name": "image",
        "dtype": "uint8",
        "axes": ["batch", "height", "width", "channel"],
        "shape": [1, 256, 256, 3],
        "meaning": "RGB",
    },
    "output": {
        "name": "prob",
        "dtype": "float32",
        "axes": ["batch", "class", "height", "width"],
        "shape": [1, 1, 256, 256],
        "meaning": "probability of polyp",
    },
    "preprocessing": {"colour_order": "RGB", "resize": "area", "normalisation": "in_graph"},
    "threshold": {"value": 0.5, "chosen_by": "Validation side."},
    "parity": {"prob_difference_max": 0.01, "mask_dice_min": 0.99},
    "reference_input": "input.npy",
    "reference_output": "output.npy",
    "model_file": "model.onnx",
    "card_file": "card.md",
    "trained_on": [
        {"data_id": "DATA_KVASIR_001", "digest": DIGEST, "split": "By group.", "licence": "Own."}
    ],
    "metrics": [
        {
            "name": "mean Dice",
            "value": 0.85,
            "lower_95": 0.8,
            "upper_95": 0.9,
            "item_count": 97,
            "group_count": 90,
            "data": "Test side.",
            "method": "Bootstrap.",
        }
    ],
    "created_on": "2026-01-31",
    "files": [{"name": name, "sha256": DIGEST, "size_bytes": 1} for name in FILES],
}


def manifest_with(path: str = "", value: object = None) -> ModelManifest:
    """Return the manifest read from JSON, with the value at a dotted path changed."""
    facts = copy.deepcopy(FACTS)
    if path:
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
        place: Any = facts
        for part in parents:
            place = place[part]
        place[last] = value
    return ModelManifest.model_validate_json(json.dumps(facts))


def test_manifest_is_read() -> None:
    """What a pack says arrives unchanged."""
    manifest = manifest_with()
    assert manifest.pack_id == "polyp_unet 1.0.0"
    assert manifest.input.dtype is TensorDtype.UINT8
    assert manifest.input.shape == (1, 256, 256, 3)
    assert json.loads(manifest.model_dump_json()) == FACTS | {"labels": []}


@pytest.mark.verifies("SRS_PACK_002", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format_version", 0),
        ("format_version", 3),
        ("format_version", "1"),
        ("pack_name", "ab"),
        ("pack_name", "a" * 65),
        ("pack_name", "Polyp"),
        ("pack_name", "../polyp"),
        ("pack_version", "1.0"),
        ("pack_version", "1.0.0-rc1"),
        ("unit", "1unit"),
        ("model_need", "SRS_X_001"),
        ("intended_use", ""),
        ("not_for", "n" * 4001),
        ("input.dtype", "int8"),
        ("input.axes", ["batch"]),
        ("input.shape", [1, 256, 256]),
        ("input.shape", [1, 0, 256, 3]),
        ("input.shape", [1, 8193, 256, 3]),
        ("input.name", ""),
        ("input.meaning", "m" * 201),
        ("preprocessing.colour_order", "BGR"),
        ("preprocessing.resize", "nearest"),
        ("preprocessing.normalisation", "outside"),
        ("threshold.value", 0.0499),
        ("threshold.value", 0.9501),
        ("threshold.chosen_by", ""),
        ("parity.prob_difference_max", -0.1),
        ("parity.mask_dice_min", 1.1),
        ("trained_on", []),
        ("trained_on.0.data_id", "KVASIR"),
        ("trained_on.0.digest", "0" * 63),
        ("metrics", []),
        ("metrics.0.value", 1.01),
        ("metrics.0.item_count", 0),
        ("metrics.0.group_count", 0),
        ("created_on", "31.01.2026"),
        ("files", []),
        ("files.0.size_bytes", 0),
        ("files.0.size_bytes", PACK_FILE_BYTES_MAX + 1),
        ("files.0.sha256", "0" * 65),
        ("files.0.name", ".hidden"),
        ("files.0.name", "a/b"),
        ("files.0.name", "..\\b"),
        ("files.0.name", "a" * 65),
        ("signature", "none"),
    ],
)
def test_manifest_outside_its_form_is_refused(path: str, value: object) -> None:
    """Just outside each border: an unknown form is refused, never guessed."""
    with pytest.raises(ValidationError):
        manifest_with(path, value)


@pytest.mark.verifies("SRS_PACK_002", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("pack_name", "abc"),
        ("pack_name", "a" * 64),
        ("pack_version", "0.10.200"),
        ("not_for", "n" * 4000),
        ("input.shape", [1, 8192, 1, 3]),
        ("input.meaning", "m" * 200),
        ("threshold.value", 0.05),
        ("threshold.value", 0.95),
        ("parity.mask_dice_min", 1.0),
        ("parity.prob_difference_max", 0.0),
        ("files.0.size_bytes", PACK_FILE_BYTES_MAX),
    ],
)
def test_manifest_at_its_limits_is_accepted(path: str, value: object) -> None:
    """Just inside each border."""
    manifest_with(path, value)


@pytest.mark.parametrize("field", sorted(FACTS))
def test_manifest_without_a_field_is_refused(field: str) -> None:
    """Nothing has a default that a packer could forget."""
    facts = {key: value for key, value in FACTS.items() if key != field}
    with pytest.raises(ValidationError, match=field):
        ModelManifest.model_validate_json(json.dumps(facts))


@pytest.mark.verifies("SRS_PACK_003", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("files.1.name", "model.onnx", "each file once"),
        ("model_file", "other.onnx", "digests of"),
        ("card_file", "other.md", "digests of"),
        ("reference_input", "other.npy", "digests of"),
        ("reference_output", "other.npy", "digests of"),
        ("model_file", "card.md", "ONNX"),
    ],
)
def test_manifest_that_does_not_cover_its_files_is_refused(
    path: str, value: str, message: str
) -> None:
    """A file without exactly one digest would be loaded unchecked."""
    with pytest.raises(ValidationError, match=message):
        manifest_with(path, value)


@pytest.mark.verifies("SRS_PACK_003", extent="partial", technique="boundary")
@pytest.mark.parametrize("surplus", [0, 1])
def test_number_of_files_is_bounded(surplus: int) -> None:
    """As many as the limit says, and not one more."""
    extra = range(PACK_FILE_COUNT_MAX - len(FILES) + surplus)
    entries = [{"name": f"extra{n}.txt", "sha256": DIGEST, "size_bytes": 1} for n in extra]
    files = [*FACTS["files"], *entries]
    if surplus:
        with pytest.raises(ValidationError, match="files"):
            manifest_with("files", files)
    else:
        assert len(manifest_with("files", files).files) == PACK_FILE_COUNT_MAX


def test_tensor_without_axes_is_refused() -> None:
    """A scalar is no model's input."""
    with pytest.raises(ValidationError, match="at least one axis"):
        TensorSpec(name="x", dtype=TensorDtype.UINT8, axes=(), shape=(), meaning="none")


@pytest.mark.verifies("SRS_TOOL_003", extent="partial", technique="equivalence")
def test_labels_are_read_in_their_order_and_none_are_needed() -> None:
    """The order is that of the model's maps; a pack made before there were labels stays valid."""
    assert manifest_with().labels == ()
    assert manifest_with("labels", ["hook", "grasper", "l-hook_2"]).labels == (
        "hook",
        "grasper",
        "l-hook_2",
    )


@pytest.mark.verifies("SRS_PACK_002", "SRS_TOOL_003", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    "labels",
    [["hook", "hook"], [""], ["Hook"], ["a" * 65], ["hook\n"], ["ho ok"], "hook", [1], None],
    ids=repr,
)
def test_label_that_cannot_stand_in_a_record_is_refused(labels: object) -> None:
    """Two classes of one name, and names that break a line or a picture."""
    with pytest.raises(ValidationError, match=r"labels|expected each label once"):
        manifest_with("labels", labels)


@pytest.mark.verifies("SRS_PACK_002", extent="partial", technique="boundary")
@pytest.mark.parametrize(
    ("shape", "strides_px", "fits"),
    [
        ([1, 3, 256, 256], (1,), True),
        ([1, 3, 256, 256], (2, 4), False),
        ([1, 3, 64, 64], (2, 4), True),
        ([1, 3, 64, 64], (1,), False),
        ([1, 3, 64, 32], (4, 8), False),
        ([1, 3, 60, 60], range(1, 33), False),
        ([1, 2, 64, 64], (4,), False),
        ([2, 3, 64, 64], (4,), False),
    ],
)
def test_maps_cover_the_frame_by_squares(
    shape: list[int], strides_px: Collection[int], *, fits: bool
) -> None:
    """One size of square along both axes, of whole pixels, and one that the unit can read."""
    manifest = manifest_with("output.shape", shape)

    def ask() -> None:
        manifest.require_maps_of_frames(
            unit="polyp_segmentation", map_axis="class", map_count=3, strides_px=strides_px
        )

    if fits:
        ask()
    else:
        with pytest.raises(IncompatiblePackError) as caught:
            ask()
        assert caught.value.problem == (
            "expected a pack for polyp_segmentation: uint8 (1, h, w, 3) in, sides of 32 to 2048 "
            "px, float32 (1, 3, h/s, w/s) out; got unit polyp_segmentation, uint8 "
            "(1, 256, 256, 3) in, float32 "
            f"{tuple(shape)} out"
        )


ORIGIN: Final[dict[str, Any]] = {
    "pack_id": "polyp_unet 1.0.0",
    "digest": DIGEST,
    "method": "Static quantisation.",
    "integer_layer_count": 3,
    "calibration": {
        "data_id": "DATA_KVASIR_001",
        "digest": DIGEST,
        "item_count": 60,
        "side": "Training side.",
    },
}


def _read(**changes: object) -> ModelManifest:
    """Return a manifest of format 2 with some fields changed."""
    facts = FACTS | {"format_version": 2, "precision": "fp32"} | changes
    return ModelManifest.model_validate_json(json.dumps(facts))


@pytest.mark.verifies("SRS_OPT_001", extent="full", technique="equivalence")
@pytest.mark.controls("RCM_OPT_002")
def test_format_2_says_precision_and_origin() -> None:
    """A variant names what it was made from, and arrives unchanged."""
    manifest = _read(precision="int8", derived_from=ORIGIN)
    assert manifest.precision is PackPrecision.INT8
    written = json.loads(manifest.model_dump_json())
    assert (written["precision"], written["derived_from"]) == ("int8", ORIGIN)


@pytest.mark.verifies("SRS_OPT_001", extent="partial", technique="equivalence")
def test_format_1_is_fp32_and_is_written_as_it_was() -> None:
    """The digest of every pack that was released stays what it is."""
    manifest = manifest_with()
    assert (manifest.precision, manifest.derived_from) == (PackPrecision.FP32, None)
    assert not {"precision", "derived_from"} & set(json.loads(manifest.model_dump_json()))


@pytest.mark.verifies("SRS_OPT_001", extent="partial", technique="equivalence")
def test_variant_in_fp32_needs_no_calibration() -> None:
    """A rewritten graph looks at no frames."""
    origin = ORIGIN | {"calibration": None, "integer_layer_count": 0}
    assert _read(derived_from=origin).derived_from is not None
    assert _read().derived_from is None


@pytest.mark.verifies("SRS_OPT_001", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_OPT_002",
    measure="manifests of whole numbers whose origin is left out or in part, that are read",
    acceptance="0 of 7 kinds",
)
@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "int8"},
        {"precision": "int8", "derived_from": None},
        {"precision": "int8", "derived_from": ORIGIN | {"calibration": None}},
        {"precision": "int8", "derived_from": ORIGIN | {"integer_layer_count": 0}},
        {"precision": "int4", "derived_from": ORIGIN},
        {"format_version": 1, "precision": "int8", "derived_from": ORIGIN},
        {"format_version": 1, "derived_from": None},
    ],
)
def test_whole_numbers_of_unknown_origin_are_refused(changes: dict[str, object]) -> None:
    """Nobody could tell what such a model was measured against."""
    facts = FACTS | {"format_version": 2} | changes
    with pytest.raises(ValidationError):
        ModelManifest.model_validate_json(json.dumps(facts))


@pytest.mark.verifies("SRS_OPT_001", extent="partial", technique="equivalence")
def test_format_2_without_precision_is_refused() -> None:
    """What a format is for must be said."""
    with pytest.raises(ValidationError, match="expected a precision"):
        ModelManifest.model_validate_json(json.dumps(FACTS | {"format_version": 2}))
