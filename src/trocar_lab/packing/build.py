"""Write a model pack: model, reference case, card, and the manifest with every digest."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trocar.contracts.manifest import MANIFEST_NAME, ModelManifest
from trocar.packs.content import CheckedPack
from trocar_lab.packing.drafts import read_draft

MODEL_FILE: Final = "model.onnx"
CARD_FILE: Final = "card.md"
REFERENCE_INPUT_FILE: Final = "reference_input.npy"
REFERENCE_OUTPUT_FILE: Final = "reference_output.npy"


@dataclass(frozen=True)
class PackContent:
    """What goes into a pack besides the manifest's facts.

    Attributes:
        model: Bytes of the ONNX file.
        card: Model card in Markdown.
        reference_input: Input tensor of the reference case.
        reference_output: Its output in the exporting framework.
    """

    model: bytes
    card: str
    reference_input: NDArray[np.uint8]
    reference_output: NDArray[np.float32]


def write_pack(folder: Path, content: PackContent, facts: dict[str, Any]) -> CheckedPack:
    """Write a pack that is not signed yet, and check that manifest and files agree.

    Args:
        folder: Created; must be empty or hold an older pack, which is replaced.
        content: The files.
        facts: Fields of ``ModelManifest`` other than format, file names and digests.

    Returns:
        The pack; the device opens it once it is signed and approved.

    Raises:
        PackError: The result does not verify, for example because a fact breaks the manifest's
            contract.
        pydantic.ValidationError: A fact breaks the manifest's contract.
    """
    files = {
        MODEL_FILE: content.model,
        CARD_FILE: content.card.encode("utf-8"),
        REFERENCE_INPUT_FILE: _npy(content.reference_input),
        REFERENCE_OUTPUT_FILE: _npy(content.reference_output),
    }
    digests = [
        {"name": name, "sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
        for name, data in sorted(files.items())
    ]
    manifest = ModelManifest.model_validate(
        {
            **facts,
            "format_version": 2 if "precision" in facts else 1,
            "model_file": MODEL_FILE,
            "card_file": CARD_FILE,
            "reference_input": REFERENCE_INPUT_FILE,
            "reference_output": REFERENCE_OUTPUT_FILE,
            "files": digests,
        },
        strict=False,
    )
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / MANIFEST_NAME).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return read_draft(folder)


def _npy(array: NDArray[Any]) -> bytes:
    """Return an array in numpy's own format, without pickles."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
