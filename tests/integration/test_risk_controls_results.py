"""Risk controls on files of results at work: whose they are, and what made them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zlib
from itertools import product
from pathlib import Path
from typing import Final, NoReturn

import pytest

from simulators.command_line import CommandLine, lines_of
from simulators.media import square, write_clip, write_picture
from trocar import RESEARCH_NOTICE
from trocar.cli import play

PNG_HEADER_BYTES: Final = 8
KINDS: Final = ("still", "stills", "video", "stream")
STILLS: Final = (("a", 96), ("b", 80))
NAME: Final = "VIDEO001"
"""A recorder may count anew in the folder of each patient."""


def _patient(folder: Path, *, seed: int) -> Path:
    """Write a still, a folder of stills and a video of one patient under the usual names."""
    folder.mkdir()
    write_picture(folder / f"{NAME}.png", width_px=96 + 2 * seed)
    (folder / "stills").mkdir()
    for index in range(2):
        write_picture(folder / "stills" / f"{NAME}_{index}.png", width_px=96 + 2 * seed)
    write_clip(folder / f"{NAME}.mp4", lambda index: square(100 * seed + index), frame_count=3)
    return folder


def _examine(trocar: CommandLine, patient: Path, out: Path, kind: str) -> int:
    """Run one kind of input of a patient into a folder; return the exit code."""
    if kind == "stream":
        out.mkdir(exist_ok=True)
        sinks = (f"mp4:{out / 'overlay.mp4'}", f"jsonl:{out / 'results.jsonl'}")
        places = (*sinks, f"latency:{out}", f"masks:{out / 'masks'}")
        words = [word for place in places for word in ("--sink", place)]
        return trocar.stream(patient / f"{NAME}.mp4", *words).code
    name = {"still": f"{NAME}.png", "stills": "stills", "video": f"{NAME}.mp4"}[kind]
    return trocar.run(patient / name, out).code


def _files(folder: Path) -> dict[Path, bytes]:
    """Return every file below a folder with its bytes."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.verifies("SRS_SINK_006", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_OWNRUN_001")
@pytest.mark.parametrize("words", [(), ("--replace",)])
def test_masks_of_another_run_are_neither_kept_beside_nor_removed(
    trocar: CommandLine, clip: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Files with other names are not ours to delete, and must not lie beside our record."""
    out = tmp_path / "out"
    trocar.run(write_picture(tmp_path / "first.png"), out)
    before = _files(out)
    for source in (write_picture(tmp_path / "second.png"), clip):
        answer = trocar.run(source, out, *words)
        answer.require_clean_error(73, "SINK")
        assert "first.png" in answer.err
        assert _files(out) == before


@pytest.mark.verifies("SRS_SINK_006", extent="partial", technique="fault_injection")
def test_replaced_video_run_leaves_nothing_beside_stills(
    trocar: CommandLine, clip: Path, tmp_path: Path
) -> None:
    """Overlay and latency page of the video would be taken for those of the still."""
    trocar.run(clip, tmp_path / "out")
    still = write_picture(tmp_path / "still.png")
    trocar.run(still, tmp_path / "out").require_clean_error(73, "SINK")
    assert trocar.run(still, tmp_path / "out", "--replace").code == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"masks", "results.jsonl", "run.json", "dropped_frames.csv"}


@pytest.mark.verifies("SRS_SINK_006", extent="partial", technique="equivalence")
@pytest.mark.controls("RCM_OWNRUN_001")
@pytest.mark.parametrize("scheme", ["mp4", "jsonl", "latency", "masks"])
def test_stream_refuses_the_place_of_an_earlier_result(
    trocar: CommandLine, clip: Path, tmp_path: Path, scheme: str
) -> None:
    """Each kind of sink; before the first frame, with nothing touched."""
    place = tmp_path / "o" if scheme in {"mp4", "jsonl"} else tmp_path
    words = ("--sink", f"{scheme}:{place}")
    assert trocar.stream(clip, *words).code == 0
    before = _files(tmp_path)
    assert before
    answer = trocar.stream(clip, *words)
    answer.require_clean_error(73, "SINK")
    assert "no earlier result" in answer.err
    assert _files(tmp_path) == before


@pytest.mark.verifies("SRS_SINK_007", extent="full", technique="requirement")
@pytest.mark.controls("RCM_INPUT_001")
def test_account_identifies_each_input(trocar: CommandLine, clip: Path, tmp_path: Path) -> None:
    """Name, size and SHA-256 of a video, and of each still in its order."""
    folder = tmp_path / "stills"
    folder.mkdir()
    stills = [write_picture(folder / f"{name}.png", width_px=side) for name, side in STILLS]
    for source, read in ((clip, [clip]), (folder, stills)):
        out = tmp_path / f"out-{source.name}"
        assert trocar.run(source, out).code == 0
        account = json.loads((out / "run.json").read_text(encoding="utf-8"))
        assert account["inputs"] == [
            {
                "name": path.name,
                "size_bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for path in read
        ]


@pytest.mark.verifies("SRS_SINK_007", extent="partial", technique="fault_injection")
def test_input_that_cannot_be_read_has_no_identity(
    trocar: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on; the account does not claim to know what it did not read."""
    still = write_picture(tmp_path / "still.png")

    def failing(*_: object) -> NoReturn:
        raise OSError(5, "planted")

    monkeypatch.setattr(hashlib, "file_digest", failing)
    answer = trocar.run(still, tmp_path / "out")
    assert answer.code == 0
    assert "input_not_identified" in answer.err
    account = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert account["inputs"] == [{"name": "still.png", "size_bytes": None, "sha256": None}]


@pytest.mark.verifies("SRS_SINK_007", extent="partial", technique="boundary")
def test_pipe_is_not_opened_to_be_identified(tmp_path: Path) -> None:
    """Reading a pipe would wait for its writer, and take from the run what it holds."""
    pipe = tmp_path / "clip.mp4"
    os.mkfifo(pipe)
    assert play._identity_of(pipe) == {
        "name": "clip.mp4",
        "size_bytes": None,
        "sha256": None,
    }


@pytest.mark.proves_effect(
    "RCM_OWNRUN_001",
    measure="files of a second patient's run that come to lie beside results of a first one",
    acceptance="0 over 16 pairs of still, stills, video and stream into one folder",
)
@pytest.mark.parametrize(("first", "second"), list(product(KINDS, KINDS)))
def test_results_of_two_patients_never_share_a_folder(
    trocar: CommandLine, tmp_path: Path, first: str, second: str
) -> None:
    """Same file names, same folder, another patient: the second run must not leave a trace."""
    out = tmp_path / "out"
    assert _examine(trocar, _patient(tmp_path / "one", seed=1), out, first) == 0
    before = _files(out)
    assert before
    assert _examine(trocar, _patient(tmp_path / "two", seed=2), out, second) == 73
    assert _files(out) == before


@pytest.mark.proves_effect(
    "RCM_INPUT_001",
    measure="pairs of recordings that their accounts mix up: two taken for one, or one for two",
    acceptance="0 of 2 kinds: another content under the same name, the same content under another",
)
def test_account_tells_recordings_of_one_name_apart(trocar: CommandLine, tmp_path: Path) -> None:
    """The record alone cannot: it holds the file name, which is the same for both patients."""
    one, two = (_patient(tmp_path / name, seed=seed) for seed, name in ((1, "one"), (2, "two")))
    copy = tmp_path / "renamed.mp4"
    shutil.copy(one / f"{NAME}.mp4", copy)
    accounts = []
    for index, source in enumerate((one / f"{NAME}.mp4", two / f"{NAME}.mp4", copy)):
        out = tmp_path / f"out-{index}"
        assert trocar.run(source, out).code == 0
        accounts.append(json.loads((out / "run.json").read_text(encoding="utf-8"))["inputs"][0])
    records = [lines_of(tmp_path / f"out-{index}" / "results.jsonl")[0] for index in (0, 1)]
    assert records[0]["source_id"] == records[1]["source_id"]
    first, other, renamed = (account["sha256"] for account in accounts)
    assert first != other
    assert first == renamed


def _texts(data: bytes) -> list[str]:
    """Return the text chunks of a PNG file, read without the library that wrote them."""
    found, place = [], PNG_HEADER_BYTES
    while place < len(data):
        length = int.from_bytes(data[place : place + 4])
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        assert zlib.crc32(kind + body) == int.from_bytes(
            data[place + 8 + length : place + 12 + length]
        )
        if kind == b"tEXt":
            found.append(body.partition(b"\0")[2].decode("latin-1"))
        place += 12 + length
    return found


@pytest.mark.proves_effect(
    "RCM_MASKTEXT_001",
    measure="mask files, copied under another name, whose bytes do not say that a model made them",
    acceptance="0 of all masks of stills and of a stream, and none that names the input",
)
def test_copied_mask_still_says_that_a_model_made_it(trocar: CommandLine, tmp_path: Path) -> None:
    """A folder of masks looks like a folder of labels; what the next reader has is the bytes."""
    patient, count = _patient(tmp_path / "patient", seed=1), 0
    for kind in ("still", "stills", "stream"):
        assert _examine(trocar, patient, tmp_path / kind, kind) == 0
        for mask in (tmp_path / kind / "masks").iterdir():
            copy = tmp_path / f"label_{count}.png"
            shutil.copy(mask, copy)
            texts = _texts(copy.read_bytes())
            assert any("output of a model, not a reference" in text for text in texts)
            assert RESEARCH_NOTICE in texts
            assert NAME.encode() not in copy.read_bytes()
            count += 1
    assert count >= 4
