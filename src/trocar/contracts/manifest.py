"""The manifest of a model pack: what the model is, how it is fed, and the digest of every file."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from trocar.contracts.base import Contract
from trocar.contracts.errors import IncompatiblePackError
from trocar.contracts.findings import UnitInterval
from trocar.contracts.limits import (
    LAYER_COUNT_MAX,
    NETWORK_SIDE_PX_MAX,
    NETWORK_SIDE_PX_MIN,
    PACK_FILE_BYTES_MAX,
    PACK_FILE_COUNT_MAX,
    TENSOR_SIDE_MAX,
)
from trocar.contracts.record import Sha256Hex

__all__ = [
    "FORMAT_VERSION",
    "FORMAT_VERSIONS",
    "MANIFEST_NAME",
    "CalibrationData",
    "DataSource",
    "Derivation",
    "FileDigest",
    "Label",
    "LongText",
    "Metric",
    "ModelManifest",
    "PackFileName",
    "PackPrecision",
    "ParityTolerance",
    "Preprocessing",
    "ShortText",
    "TensorDtype",
    "TensorSpec",
    "Threshold",
]

FORMAT_VERSION: Final = 1
"""The format of a pack that came from training; it says nothing of precision, which is fp32."""

FORMAT_VERSIONS: Final = (FORMAT_VERSION, 2)
"""Every format of manifests that this version of the device reads.

Format 2 says in which precision the model computes and which pack a variant was made from.
"""

MANIFEST_NAME: Final = "manifest.json"
"""Name of the manifest inside a pack."""

PackFileName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
"""Name of a file in a pack: lower case, no folder, no leading dot."""

ShortText = Annotated[str, Field(min_length=1, max_length=200)]
"""One line."""

Label = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
"""Name of a class, as it stands in every record and on the picture."""

LongText = Annotated[str, Field(min_length=1, max_length=4000)]
"""A paragraph."""


class TensorDtype(StrEnum):
    """Element types that a pack's tensors may have."""

    UINT8 = "uint8"
    FLOAT32 = "float32"


class TensorSpec(Contract):
    """One tensor of the model.

    Attributes:
        name: Name inside the ONNX graph.
        dtype: Element type.
        axes: Name of each axis, outermost first.
        shape: Fixed size of each axis.
        meaning: What the values mean, with unit and range.
    """

    name: ShortText
    dtype: TensorDtype
    axes: tuple[ShortText, ...]
    shape: tuple[Annotated[int, Field(ge=1, le=TENSOR_SIDE_MAX)], ...]
    meaning: ShortText

    @model_validator(mode="after")
    def _one_size_an_axis(self) -> Self:
        """Refuse a shape that does not fit the axes."""
        if len(self.axes) != len(self.shape) or not self.axes:
            msg = (
                f"expected one size an axis and at least one axis, got {self.axes} and {self.shape}"
            )
            raise ValueError(msg)
        return self


class FileDigest(Contract):
    """Digest and size of one file of the pack."""

    name: PackFileName
    sha256: Sha256Hex
    size_bytes: int = Field(ge=1, le=PACK_FILE_BYTES_MAX)


class Preprocessing(Contract):
    """What happens to a frame before the model.

    A device that cannot do exactly this refuses the pack.

    Attributes:
        colour_order: Order of the channels.
        resize: ``area``: area mean when smaller, linear when larger; aspect ratio not kept.
        normalisation: ``in_graph``: the model takes the bytes as they are.
    """

    colour_order: Literal["RGB"]
    resize: Literal["area"]
    normalisation: Literal["in_graph"]


class Threshold(Contract):
    """Operating point.

    Attributes:
        value: The mask is ``prob >= value``; a detection is shown where its score is.
        chosen_by: How and on which data it was chosen.
    """

    value: float = Field(ge=0.05, le=0.95)
    chosen_by: LongText


class Metric(Contract):
    """One measured figure.

    Attributes:
        name: Such as ``mean Dice``.
        value: The figure.
        lower_95: Lower end of its 95 % interval.
        upper_95: Upper end of its 95 % interval.
        item_count: Number of items behind it.
        group_count: Number of independent groups behind it.
        data: On which data and which side of the split.
        method: How it was computed.
    """

    name: ShortText
    value: UnitInterval
    lower_95: UnitInterval
    upper_95: UnitInterval
    item_count: int = Field(ge=1)
    group_count: int = Field(ge=1)
    data: LongText
    method: LongText


class DataSource(Contract):
    """One set of training data.

    Attributes:
        data_id: Id of its need, ``DATA_...``.
        digest: SHA-256 over its items.
        split: How it was split.
        licence: Terms that the weights inherit.
    """

    data_id: str = Field(pattern=r"^DATA_[A-Z0-9_]+$")
    digest: Sha256Hex
    split: LongText
    licence: LongText


class ParityTolerance(Contract):
    """How far another engine or precision may differ on the reference case.

    Attributes:
        prob_difference_max: Largest absolute difference of one probability or score.
        mask_dice_min: Smallest Dice between the masks; how a detector is compared stands in
            ``backends.reference_case``.
    """

    prob_difference_max: UnitInterval
    mask_dice_min: UnitInterval


class PackPrecision(StrEnum):
    """Precisions that a pack's model may be made for."""

    FP32 = "fp32"
    INT8 = "int8"


class CalibrationData(Contract):
    """Frames by which the ranges of whole numbers were chosen.

    Attributes:
        data_id: Id of the data's need, ``DATA_...``.
        digest: SHA-256 over the ids of the frames, in order, one a line.
        item_count: Number of frames.
        side: The side of the split that they were taken from; never one that figures hold for.
    """

    data_id: str = Field(pattern=r"^DATA_[A-Z0-9_]+$")
    digest: Sha256Hex
    item_count: int = Field(ge=1)
    side: LongText


class Derivation(Contract):
    """Which pack a variant was made from, and how.

    Attributes:
        pack_id: Name and version of that pack.
        digest: SHA-256 of its manifest.
        method: What was done to its model.
        integer_layer_count: Layers that must run in whole numbers; 0 for a model that has none.
        calibration: Frames that were looked at, or None where none was.
    """

    pack_id: ShortText
    digest: Sha256Hex
    method: LongText
    integer_layer_count: int = Field(ge=0, le=LAYER_COUNT_MAX)
    calibration: CalibrationData | None = None


class ModelManifest(Contract):
    """Manifest of one model pack.

    Attributes:
        format_version: Version of this format.
        precision: Precision that the model computes in; stated from format 2 on.
        derived_from: The pack that a variant was made from; from format 2 on, None for a pack that
            came from training.
        pack_name: Name of the pack.
        pack_version: Version of the pack; another model is another version.
        unit: Unit that the model is for.
        model_need: Id of the model's need, ``MDL_...``.
        intended_use: What it is for.
        not_for: What it must not be used for.
        input: The one input tensor.
        output: The one output tensor.
        preprocessing: What happens before the model.
        threshold: Operating point.
        labels: Name of each class of a detector, in the order of the output's first maps, which are
            followed by four for the edges of the boxes; empty for any other model.
        parity: Tolerance for other engines and precisions.
        reference_input: File with the reference case's input (npy).
        reference_output: File with its expected output (npy), from the exporting framework.
        model_file: The ONNX file.
        card_file: The model card.
        trained_on: Training data.
        metrics: Measured figures.
        created_on: Date of packing, ISO 8601.
        files: Digest of every file of the pack but this manifest and its signature.
    """

    format_version: Literal[1, 2]
    precision: PackPrecision = PackPrecision.FP32
    derived_from: Derivation | None = None
    pack_name: str = Field(pattern=r"^[a-z][a-z0-9_]{2,63}$")
    pack_version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    unit: str = Field(pattern=r"^[a-z][a-z0-9_]{2,63}$")
    model_need: str = Field(pattern=r"^MDL_[A-Z0-9_]+$")
    intended_use: LongText
    not_for: LongText
    input: TensorSpec
    output: TensorSpec
    preprocessing: Preprocessing
    threshold: Threshold
    labels: tuple[Label, ...] = ()
    parity: ParityTolerance
    reference_input: PackFileName
    reference_output: PackFileName
    model_file: PackFileName
    card_file: PackFileName
    trained_on: tuple[DataSource, ...] = Field(min_length=1)
    metrics: tuple[Metric, ...] = Field(min_length=1)
    created_on: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    files: tuple[FileDigest, ...] = Field(min_length=1, max_length=PACK_FILE_COUNT_MAX)

    @property
    def pack_id(self) -> str:
        """Name and version, as they stand in every record."""
        return f"{self.pack_name} {self.pack_version}"

    # @need-ids: SRS_PACK_002
    def require_maps_of_frames(
        self, *, unit: str, map_axis: str, map_count: int, strides_px: Collection[int]
    ) -> None:
        """Refuse a model that does not turn one RGB frame into maps that cover this frame.

        Args:
            unit: The unit that asks.
            map_axis: Name of the output's axis that counts the maps.
            map_count: Maps that the unit takes.
            strides_px: Sides that the square of the input which one value of a map covers may have
                [px].

        Raises:
            IncompatiblePackError: The pack is for another unit, or its tensors are others.
        """
        source, result = self.input, self.output
        sides = zip(source.shape[1:3], result.shape[2:], strict=False)
        strides = {whole / part for whole, part in sides}
        fits = (
            self.unit == unit
            and source.axes == ("batch", "height", "width", "channel")
            and source.dtype is TensorDtype.UINT8
            and (source.shape[0], source.shape[3]) == (1, 3)
            and result.axes == ("batch", map_axis, "height", "width")
            and result.dtype is TensorDtype.FLOAT32
            and result.shape[:2] == (1, map_count)
            and min(source.shape[1:3]) >= NETWORK_SIDE_PX_MIN
            and max(source.shape[1:3]) <= NETWORK_SIDE_PX_MAX
            and len(strides) == 1
            and strides <= set(strides_px)
        )
        if not fits:
            raise IncompatiblePackError(
                f"expected a pack for {unit}: uint8 (1, h, w, 3) in, sides of "
                f"{NETWORK_SIDE_PX_MIN} to {NETWORK_SIDE_PX_MAX} px, float32 (1, {map_count}, h/s, "
                f"w/s) out; got unit {self.unit}, {source.dtype} {source.shape} in, {result.dtype} "
                f"{result.shape} out",
                advice="name a pack of this unit",
            )

    @model_validator(mode="after")
    def _names_each_class_once(self) -> Self:
        """Refuse labels of which two are the same: a record could not tell the classes apart."""
        if len(set(self.labels)) != len(self.labels):
            msg = f"expected each label once, got {self.labels}"
            raise ValueError(msg)
        return self

    @model_serializer(mode="wrap")
    def _in_its_format(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write no field that the format does not have, so that format 1 reads as it always did."""
        fields: dict[str, Any] = write(self)
        if self.format_version == FORMAT_VERSION:
            del fields["precision"], fields["derived_from"]
        return fields

    # @need-ids: SRS_OPT_001, RCM_OPT_002
    @model_validator(mode="after")
    def _states_its_precision(self) -> Self:
        """Refuse what the format does not have, and whole numbers without their origin."""
        stated = {"precision", "derived_from"} & self.model_fields_set
        if self.format_version == FORMAT_VERSION and stated:
            msg = f"expected no {sorted(stated)} in format {FORMAT_VERSION}"
            raise ValueError(msg)
        if self.format_version != FORMAT_VERSION and "precision" not in stated:
            msg = f"expected a precision in format {self.format_version}, got none"
            raise ValueError(msg)
        origin = self.derived_from
        is_known = origin is not None and origin.calibration is not None
        is_whole = is_known and origin is not None and origin.integer_layer_count > 0
        if self.precision is PackPrecision.INT8 and not is_whole:
            msg = "expected an int8 model to name its origin, its calibration frames and its layers"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _names_its_files(self) -> Self:
        """Refuse a manifest that lists a file twice, or leaves out one that it refers to."""
        names = [entry.name for entry in self.files]
        if len(set(names)) != len(names):
            msg = f"expected each file once, got {names}"
            raise ValueError(msg)
        wanted = {self.reference_input, self.reference_output, self.model_file, self.card_file}
        if not wanted <= set(names) or not self.model_file.endswith(".onnx"):
            msg = f"expected digests of {sorted(wanted)} and a model that is ONNX, got {names}"
            raise ValueError(msg)
        return self
