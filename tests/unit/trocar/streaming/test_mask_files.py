"""Mask files have the size of their input, 0 and 255, and never half a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simulators.unit import frame_record, polyp_mask
from trocar import RESEARCH_NOTICE
from trocar.contracts.errors import ContractError, InvariantError, SinkError
from trocar.contracts.outcome import Reason, Withheld
from trocar.streaming.mask_files import MaskFilesSink, MaskNaming, require_unique_stems


@pytest.mark.verifies("SRS_POLYP_008", extent="full", technique="requirement")
@pytest.mark.verifies("SRS_CLI_005", extent="partial", technique="requirement")
def test_mask_has_the_size_of_its_input_and_two_levels(tmp_path: Path) -> None:
    """The file can be laid over the input without any arithmetic."""
    sink = MaskFilesSink(tmp_path / "masks", source_ids=["a.jpg"])
    outcome = polyp_mask(0, height_px=200, width_px=300)
    sink.write(frame_record(0, outcome=outcome, source_id="a.jpg"), None)
    sink.close()
    with Image.open(tmp_path / "masks" / "a.png") as image:
        pixels = np.asarray(image)
        assert (image.mode, image.size) == ("L", (300, 200))
    assert set(np.unique(pixels)) == {0, 255}
    assert (pixels[:90, :140].min(), pixels[110:].max(), pixels[:, 160:].max()) == (255, 0, 0)
    assert [p.name for p in (tmp_path / "masks").iterdir()] == ["a.png"]
    assert sink.written_count == 1


@pytest.mark.verifies("SRS_POLYP_009", extent="full", technique="requirement")
@pytest.mark.verifies("SRS_NOTICE_001", extent="partial", technique="requirement")
@pytest.mark.controls("RCM_MASKTEXT_001", "RCM_NOTICE_001")
def test_mask_file_names_what_made_it(tmp_path: Path) -> None:
    """Notice, software, frame and pack; not the input, whose name may be a person's."""
    record = frame_record(7, source_id="DOE JANE.jpg")
    sink = MaskFilesSink(tmp_path, source_ids=["DOE JANE.jpg"])
    sink.write(record, None)
    sink.close()
    with Image.open(tmp_path / "DOE JANE.png") as image:
        text = dict(image.info)
    unit = record.unit
    assert text == {
        "Disclaimer": RESEARCH_NOTICE,
        "Software": f"trocar {unit.unit_version}, {unit.unit}, {unit.pack_id}",
        "Description": "output of a model, not a reference; frame 7",
        "Comment": f"pack sha256 {unit.pack_digest}",
    }


@pytest.mark.verifies("SRS_SINK_005", extent="full", technique="requirement")
def test_withheld_result_leaves_no_file(tmp_path: Path) -> None:
    """An empty mask would say: no polyp."""
    sink = MaskFilesSink(tmp_path, source_ids=["a.jpg"])
    withheld = Withheld(frame_index=0, reason=Reason.FRAME_BLACK)
    sink.write(frame_record(0, outcome=withheld, source_id="a.jpg"), None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.verifies("SRS_POLYP_008", extent="partial", technique="requirement")
def test_frames_of_a_video_are_named_by_their_index(tmp_path: Path) -> None:
    """One file a frame, in the order of a listing."""
    sink = MaskFilesSink(tmp_path, source_ids=["v.mp4"], naming=MaskNaming.BY_FRAME)
    for index in (7, 12):
        sink.write(frame_record(index, source_id="v.mp4"), None)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["v_000007.png", "v_000012.png"]


@pytest.mark.verifies("SRS_POLYP_008", extent="partial", technique="boundary")
@pytest.mark.parametrize("other", ["a.jpg", "A.png"])
def test_two_inputs_for_one_file_are_refused_before_the_run(tmp_path: Path, other: str) -> None:
    """The second mask would replace the first one silently."""
    with pytest.raises(ContractError, match=other):
        MaskFilesSink(tmp_path, source_ids=["a.png", other])
    require_unique_stems(["a.png", "b.png"])


@pytest.mark.verifies("SRS_POLYP_008", extent="partial", technique="fault_injection")
def test_unknown_input_is_our_mistake(tmp_path: Path) -> None:
    """Its stem was not checked against the others."""
    sink = MaskFilesSink(tmp_path, source_ids=["a.png"])
    with pytest.raises(InvariantError):
        sink.write(frame_record(0, source_id="b.png"), None)


@pytest.mark.verifies("SRS_SINK_004", extent="full", technique="fault_injection")
def test_file_that_cannot_be_written_leaves_no_part(tmp_path: Path) -> None:
    """A place that is taken by a folder stands for every failing disk."""
    (tmp_path / "a.png").mkdir()
    sink = MaskFilesSink(tmp_path, source_ids=["a.jpg"])
    with pytest.raises(SinkError, match="could not be written"):
        sink.write(frame_record(0, source_id="a.jpg"), None)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="fault_injection")
def test_folder_that_cannot_be_made_is_a_typed_error(tmp_path: Path) -> None:
    """The mistake is found before the first frame."""
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="cannot be created"):
        MaskFilesSink(tmp_path / "file" / "masks", source_ids=["a.png"])


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="requirement")
def test_write_after_close_is_an_error(tmp_path: Path) -> None:
    """A mask that went nowhere must not look as if it was kept."""
    sink = MaskFilesSink(tmp_path, source_ids=["a.png"])
    sink.close()
    with pytest.raises(SinkError, match="closed one"):
        sink.write(frame_record(0, source_id="a.png"), None)
