"""A run that would spoil an earlier result, or its own input, says so and what to do."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from simulators.command_line import CommandLine


@pytest.mark.verifies("SRS_SINK_006", "SRS_ERROR_001", extent="partial", technique="example")
@pytest.mark.controls("RCM_OWNRUN_001")
def test_refusal_beside_another_run_says_what_to_do(
    trocar: CommandLine, clip: Path, tmp_path: Path
) -> None:
    """A record of an earlier run, masks of another one and the input itself: three answers."""
    earlier, other, own = (tmp_path / name for name in ("earlier", "other", "own"))
    for folder in (earlier, other / "masks", own):
        folder.mkdir(parents=True)
    (earlier / "results.jsonl").write_text("{}\n", encoding="utf-8")
    (other / "masks" / "a.png").write_bytes(b"mask")
    recording = Path(shutil.copy(clip, own / "overlay.mp4"))
    cases = [
        (
            trocar.run(clip, earlier),
            f"expected no earlier result, got {earlier / 'results.jsonl'}",
            "choose another folder with -o, or add --replace",
        ),
        (
            trocar.run(clip, other, "--replace"),
            f"expected no earlier result, got {other / 'masks' / 'a.png'}",
            "choose another folder with -o, or move the masks of the other run away",
        ),
        (
            trocar.run(recording, own, "--replace"),
            f"expected an output beside the input, got the input itself: {recording}",
            "name another output; a recording is never written over",
        ),
    ]
    for answer, problem, advice in cases:
        assert answer.err.endswith(f": {problem}\n  what to do: {advice}\n")


@pytest.mark.verifies(
    "SRS_SINK_006", "SRS_ERROR_001", extent="partial", technique="fault_injection"
)
@pytest.mark.controls("RCM_OWNRUN_001")
def test_earlier_result_that_cannot_be_removed_stops_the_run(
    trocar: CommandLine, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that went on would leave results of two runs in one folder."""
    (tmp_path / "results.jsonl").write_text("{}\n", encoding="utf-8")

    def refuse(_path: Path, missing_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - as Path has it
        del missing_ok
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        answer = trocar.run(clip, tmp_path, "--replace")
    answer.require_clean_error(73, "SINK")
    assert answer.err.endswith(
        f"cannot replace {tmp_path / 'results.jsonl'}: Operation not permitted\n"
        "  what to do: choose another folder with -o\n"
    )
    assert (tmp_path / "results.jsonl").read_text(encoding="utf-8") == "{}\n"
