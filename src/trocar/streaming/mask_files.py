"""Masks as PNG files of the size of their input."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from trocar import RESEARCH_NOTICE
from trocar.contracts.errors import ContractError, SinkError, require
from trocar.contracts.findings import PolypMask
from trocar.contracts.frame import Frame
from trocar.contracts.record import FrameRecord
from trocar.imaging.resize import upsample_mask

__all__ = ["MaskFilesSink", "MaskNaming", "require_unique_stems"]

_ADVICE: Final = (
    "free disk space or choose another output folder; the masks written so far are intact"
)


class MaskNaming(StrEnum):
    """How a mask file is named."""

    BY_SOURCE = "by_source"
    """``<stem of the input file>.png``: stills."""

    BY_FRAME = "by_frame"
    """``<stem of the input file>_<frame index>.png``: video."""


def require_unique_stems(source_ids: Sequence[str]) -> None:
    """Check before a run that no two inputs would write the same mask file.

    Letter case does not distinguish them, since it does not on every file system.

    Raises:
        ContractError: Two inputs differ in their suffix or letter case only.
    """
    seen: dict[str, str] = {}
    for source_id in source_ids:
        stem = Path(source_id).stem.casefold()
        if stem in seen:
            raise ContractError(
                f"expected names that differ before the suffix, got {seen[stem]} and {source_id}",
                advice="rename one of them, or run them into different output folders",
            )
        seen[stem] = source_id


# @need-ids: SRS_POLYP_008, SRS_CLI_005
class MaskFilesSink:
    """``ports.Sink`` that writes one 8-bit grey PNG a finding, 255 inside the mask and 0 outside.

    A withheld result leaves no file, nor does a finding that is no mask. A file is written beside
    its place and then renamed, so that no half of one is ever seen. Its PNG text says what made it,
    so that it cannot pass for a reference mask; the name of the input is not in the text, because
    it may be a person's.

    Args:
        folder: Where the files go; created.
        source_ids: Names of the inputs, checked by ``require_unique_stems``; one name for a video.
        naming: By input for stills, by frame for video.

    Raises:
        ContractError: Two inputs would write the same file.
        SinkError: The folder cannot be created.
    """

    def __init__(
        self,
        folder: Path,
        *,
        source_ids: Sequence[str],
        naming: MaskNaming = MaskNaming.BY_SOURCE,
    ) -> None:
        require_unique_stems(source_ids)
        self._folder = folder
        self._source_ids = frozenset(source_ids)
        self._naming = naming
        self._written_count = 0
        self._is_closed = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise SinkError(f"{folder} cannot be created: {exc.strerror}", advice=_ADVICE) from exc

    @property
    def written_count(self) -> int:
        """Files written so far."""
        return self._written_count

    def write(self, record: FrameRecord, frame: Frame | None) -> None:
        """Write the mask of one finding.

        Raises:
            SinkError: The file could not be written.
        """
        del frame
        if self._is_closed:
            raise SinkError(
                f"expected an open folder, got a closed one: {self._folder}", advice=_ADVICE
            )
        if not isinstance(record.outcome, PolypMask):
            return
        require(
            record.source_id in self._source_ids, f"mask of {record.source_id}, an unknown input"
        )
        stem = Path(record.source_id).stem
        if self._naming is MaskNaming.BY_FRAME:
            stem = f"{stem}_{record.frame_index:06d}"
        levels = upsample_mask(record.outcome.mask).astype(np.uint8) * 255
        path = self._folder / f"{stem}.png"
        part = self._folder / f".{stem}.png.part"
        try:
            Image.fromarray(levels).save(
                part, format="PNG", compress_level=1, pnginfo=_maker_of(record)
            )
            part.replace(path)
        except OSError as exc:
            part.unlink(missing_ok=True)
            raise SinkError(f"{path} could not be written: {exc.strerror}", advice=_ADVICE) from exc
        self._written_count += 1

    def close(self) -> None:
        """Take no more; each file is complete once it is there."""
        self._is_closed = True


# @need-ids: SRS_POLYP_009, RCM_MASKTEXT_001, RCM_NOTICE_001
def _maker_of(record: FrameRecord) -> PngInfo:
    """Return the PNG text of a mask file: research notice, what made it, which frame."""
    unit, text = record.unit, PngInfo()
    text.add_text("Disclaimer", RESEARCH_NOTICE)
    text.add_text("Software", f"trocar {unit.unit_version}, {unit.unit}, {unit.pack_id}")
    text.add_text("Description", f"output of a model, not a reference; frame {record.frame_index}")
    text.add_text("Comment", f"pack sha256 {unit.pack_digest}")
    return text
