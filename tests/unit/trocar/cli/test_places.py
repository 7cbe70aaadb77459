"""No result of an earlier run is taken for one of this run, and no input is written over."""

from __future__ import annotations

from pathlib import Path

import pytest

from trocar.cli.places import claim, exists, make_folder, refuse_earlier, refuse_own_input
from trocar.contracts.errors import ContractError, SinkError


@pytest.mark.verifies("SRS_SINK_006", extent="partial", technique="requirement")
@pytest.mark.controls("RCM_OWNRUN_001")
def test_place_with_results_is_refused_and_then_cleared_on_request(tmp_path: Path) -> None:
    """Only what the run itself would write goes; other masks stay and stop it."""
    make_folder(tmp_path / "masks")
    own, foreign = tmp_path / "masks" / "a.png", tmp_path / "masks" / "b.png"
    for path in (own, tmp_path / "results.jsonl"):
        path.write_bytes(b"earlier")
    with pytest.raises(SinkError, match="expected no earlier result"):
        claim(tmp_path, masks={own}, inputs=[], replace=False)
    claim(tmp_path, masks={own}, inputs=[], replace=True)
    assert not own.exists()
    assert not (tmp_path / "results.jsonl").exists()
    foreign.write_bytes(b"of another run")
    with pytest.raises(SinkError, match=r"b\.png"):
        claim(tmp_path, masks={own}, inputs=[], replace=True)
    assert foreign.read_bytes() == b"of another run"


@pytest.mark.verifies("SRS_SINK_006", extent="partial", technique="fault_injection")
def test_input_under_another_name_is_still_the_input(tmp_path: Path) -> None:
    """A link to the recording is the recording."""
    clip, link = tmp_path / "clip.mp4", tmp_path / "link.mp4"
    clip.write_bytes(b"recording")
    link.symlink_to(clip)
    with pytest.raises(ContractError, match="the input itself"):
        refuse_own_input([link], inputs=[clip])
    refuse_own_input([tmp_path / "new.mp4"], inputs=[clip, tmp_path / "gone.mp4"])
    refuse_earlier([], advice="none")


@pytest.mark.verifies("SRS_SINK_006", extent="partial", technique="boundary")
def test_name_that_no_file_can_have_is_not_there(tmp_path: Path) -> None:
    """Too long a name ends in an error of its own later, not in a crash here."""
    assert exists(tmp_path)
    assert not exists(tmp_path / ("x" * 5000))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SinkError, match="cannot create the folder"):
        make_folder(tmp_path / "file" / "below")
