"""Commands that run a unit: what they write, what they refuse, and what they leave alone."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simulators.command_line import CommandLine, lines_of, play_instead
from simulators.media import decoded, square, write_clip, write_picture
from trocar import RESEARCH_NOTICE
from trocar.cli import play
from trocar.contracts.ports import FrameSource, Sink
from trocar.contracts.ports import Unit as UnitPort
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import StreamSummary

HEIGHT: Final = 64
WIDTH: Final = 96
EXIF_ORIENTATION: Final = 0x0112
VIDEO_FILES: Final = {
    "results.jsonl",
    "overlay.mp4",
    "latency.json",
    "latency.html",
    "run.json",
    "dropped_frames.csv",
}


def _picture(kind: str, path: Path) -> Path:
    """Write the bright square as a picture of one kind; return its path."""
    rgb = square(0, height_px=HEIGHT, width_px=WIDTH)
    image = Image.fromarray(rgb)
    if kind == "grey":
        image = image.convert("L")
    elif kind == "palette":
        image = image.quantize(64)
    elif kind == "alpha":
        image.putalpha(255)
    elif kind == "transparent below":
        alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
        alpha[HEIGHT // 2 :] = 0
        image.putalpha(Image.fromarray(alpha))
    elif kind == "16 bit":
        image = Image.fromarray(rgb[:, :, 0].astype(np.uint16) * 257)
    image.save(path)
    return path


def _mask(path: Path) -> NDArray[np.uint8]:
    """Return a mask file; it must be 8-bit grey."""
    with Image.open(path) as image:
        assert image.mode == "L"
        return np.asarray(image)


@pytest.mark.verifies("SRS_CLI_005", "SRS_POLYP_008", extent="full", technique="equivalence")
@pytest.mark.parametrize(
    "kind", ["colour", "grey", "palette", "alpha", "transparent below", "16 bit"]
)
def test_mask_of_a_still_has_its_size_and_place(
    trocar: CommandLine, tmp_path: Path, kind: str
) -> None:
    """Whatever a picture is made of, the mask lies on it: 255 on the square, 0 beside it."""
    answer = trocar.run(_picture(kind, tmp_path / "still.png"), tmp_path / "out")
    assert answer.code == 0, answer.err
    mask = _mask(tmp_path / "out" / "masks" / "still.png")
    assert mask.shape == (HEIGHT, WIDTH)
    assert set(np.unique(mask)) == {0, 255}
    assert mask[: HEIGHT // 2 - 2, : WIDTH // 2 - 2].all()
    assert not mask[HEIGHT // 2 + 2 :].any()
    assert not mask[:, WIDTH // 2 + 2 :].any()


@pytest.mark.verifies("SRS_POLYP_008", "SRS_SOURCE_003", extent="partial", technique="example")
def test_mask_of_a_turned_still_is_upright(trocar: CommandLine, tmp_path: Path) -> None:
    """A camera held upright writes a turned picture with a flag; the mask follows the flag."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    Image.fromarray(square(0)).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    assert trocar.run(tmp_path / "turned.jpg", tmp_path / "out").code == 0
    mask = _mask(tmp_path / "out" / "masks" / "turned.png")
    assert mask.shape == (WIDTH, HEIGHT)
    assert mask[: WIDTH // 2 - 2, HEIGHT // 2 + 2 :].all()
    assert not mask[:, : HEIGHT // 2 - 2].any()


@pytest.mark.verifies(
    "SRS_CLI_005", "UNIT_CLI_COMMANDS_RUN", extent="partial", technique="fault_injection"
)
def test_one_broken_picture_costs_its_own_mask_only(trocar: CommandLine, tmp_path: Path) -> None:
    """Nobody should lose a night's run to one bad file; the exit code and the record tell."""
    folder = tmp_path / "stills"
    folder.mkdir()
    for name in ("a", "c"):
        write_picture(folder / f"{name}.png")
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:400])
    answer = trocar.run(folder, tmp_path / "out")
    assert answer.code == 3
    masks = {path.name for path in (tmp_path / "out" / "masks").iterdir()}
    assert masks == {"a.png", "c.png"}
    lines = lines_of(tmp_path / "out" / "results.jsonl")
    assert [line["source_id"] for line in lines] == ["a.png", "b.png", "c.png"]
    assert lines[1]["outcome"]["kind"] == "withheld"
    assert lines[1]["outcome"]["reason"] == "frame_undecodable"
    assert "frame_undecodable 1" in answer.out


@pytest.mark.verifies("SRS_CLI_005", "SRS_SINK_005", extent="partial", technique="requirement")
def test_black_still_gets_a_line_and_no_mask(trocar: CommandLine, tmp_path: Path) -> None:
    """An empty mask would read as 'no polyp here'."""
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "black.png")
    assert trocar.run(tmp_path / "black.png", tmp_path / "out").code == 0
    assert list((tmp_path / "out" / "masks").iterdir()) == []
    (line,) = lines_of(tmp_path / "out" / "results.jsonl")
    assert line["outcome"]["reason"] == "frame_black"


@pytest.mark.verifies("SRS_SINK_005", extent="partial", technique="fault_injection")
def test_replaced_run_leaves_no_mask_of_the_run_before(trocar: CommandLine, tmp_path: Path) -> None:
    """A mask that stays from yesterday would be taken for today's result of a withheld still."""
    still = write_picture(tmp_path / "still.png")
    trocar.run(still, tmp_path / "out")
    Image.new("RGB", (WIDTH, HEIGHT)).save(still)
    assert trocar.run(still, tmp_path / "out", "--replace").code == 0
    assert list((tmp_path / "out" / "masks").iterdir()) == []


@pytest.mark.verifies("SRS_CLI_005", extent="partial", technique="equivalence")
@pytest.mark.parametrize("kept", ["all", "masks only", "record only"])
def test_earlier_stills_are_not_replaced_unasked(
    trocar: CommandLine, tmp_path: Path, kept: str
) -> None:
    """Results of an earlier run are somebody's work."""
    still = write_picture(tmp_path / "still.png")
    out = tmp_path / "out"
    trocar.run(still, out)
    if kept == "masks only":
        (out / "results.jsonl").unlink()
    elif kept == "record only":
        (out / "masks" / "still.png").unlink()
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    trocar.run(still, out).require_clean_error(73, "SINK")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert trocar.run(still, out, "--replace").code == 0


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="fault_injection")
def test_stills_are_never_written_over(trocar: CommandLine, tmp_path: Path) -> None:
    """``run data/masks -o data`` would put each mask in the place of its picture."""
    (tmp_path / "masks").mkdir()
    still = write_picture(tmp_path / "masks" / "still.png")
    before = still.read_bytes()
    trocar.run(still.parent, tmp_path, "--replace").require_clean_error(65, "CONTRACT")
    assert still.read_bytes() == before


@pytest.mark.verifies("SRS_CLI_005", extent="partial", technique="equivalence")
def test_two_stills_of_one_stem_are_refused(trocar: CommandLine, tmp_path: Path) -> None:
    """Their masks would share a name, and one of them would be lost."""
    write_picture(tmp_path / "a.png")
    write_picture(tmp_path / "a.jpg")
    trocar.run(tmp_path, tmp_path / "out").require_clean_error(65, "CONTRACT")


@pytest.mark.verifies("SRS_SINK_001", "SRS_SINK_002", extent="partial", technique="requirement")
def test_video_leaves_overlay_record_latency_and_account(
    trocar: CommandLine, clip: Path, tmp_path: Path
) -> None:
    """One line, one picture and one count for each frame, in one folder."""
    answer = trocar.run(clip, tmp_path)
    assert answer.code == 0, answer.err
    assert {path.name for path in tmp_path.iterdir()} == VIDEO_FILES
    lines = lines_of(tmp_path / "results.jsonl")
    assert [line["frame_index"] for line in lines] == list(range(12))
    assert len(decoded(tmp_path / "overlay.mp4")) == 12
    summary = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["summary"]
    assert summary["received_count"] == summary["answered_count"] == 12
    for name in ("overlay.mp4", "results.jsonl", "latency.html", "run.json"):
        assert str(tmp_path / name) in answer.out


@pytest.mark.verifies("SRS_NOTICE_001", extent="full", technique="requirement")
@pytest.mark.controls("RCM_NOTICE_001")
def test_every_export_carries_the_notice(trocar: CommandLine, clip: Path, tmp_path: Path) -> None:
    """A file that is passed on alone still says what it is not."""
    trocar.run(clip, tmp_path)
    for line in lines_of(tmp_path / "results.jsonl"):
        assert line["notice"] == RESEARCH_NOTICE
    for name in ("run.json", "latency.html", "latency.json"):
        assert RESEARCH_NOTICE in (tmp_path / name).read_text(encoding="utf-8")
    # The notice is drawn in orange above each frame: rows of the source do not reach there.
    for canvas in decoded(tmp_path / "overlay.mp4"):
        head = canvas[: (canvas.shape[0] - HEIGHT) // 2].astype(np.int16)
        is_orange = (head[..., 0] > 150) & (head[..., 0] - head[..., 2] > 100)
        assert is_orange.sum() > 200


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="equivalence")
def test_earlier_video_run_is_not_replaced_unasked(
    trocar: CommandLine, clip: Path, tmp_path: Path
) -> None:
    """Any one file of an earlier run is enough to stop; nothing of it is touched."""
    trocar.run(clip, tmp_path / "first")
    for name in sorted(VIDEO_FILES):
        out = tmp_path / name
        out.mkdir()
        shutil.copy(tmp_path / "first" / name, out)
        before = (out / name).read_bytes()
        trocar.run(clip, out).require_clean_error(73, "SINK")
        assert (out / name).read_bytes() == before
        assert {path.name for path in out.iterdir()} == {name}
    assert trocar.run(clip, tmp_path / "first", "--replace").code == 0


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="fault_injection")
def test_recording_is_never_written_over(trocar: CommandLine, clip: Path, tmp_path: Path) -> None:
    """Neither by ``run`` on a file called overlay.mp4 nor by ``stream`` to its own source."""
    own = tmp_path / "overlay.mp4"
    shutil.copy(clip, own)
    (tmp_path / "link.mp4").symlink_to(own)
    trocar.run(own, tmp_path, "--replace").require_clean_error(65, "CONTRACT")
    for name in ("overlay.mp4", "link.mp4"):
        answer = trocar.stream(own, "--sink", f"mp4:{tmp_path / name}")
        answer.require_clean_error(65, "CONTRACT")
    assert own.read_bytes() == clip.read_bytes()


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="equivalence")
@pytest.mark.parametrize("name", ["nowhere.mp4", "nowhere", "x" * 300, "a\0b"])
def test_missing_input_is_an_error(trocar: CommandLine, tmp_path: Path, name: str) -> None:
    """A path that is not there, or that no file can have."""
    trocar.run(tmp_path / name, tmp_path / "out").require_clean_error(65, "CONTRACT")
    assert not (tmp_path / "out").exists()


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="equivalence")
def test_folder_without_pictures_is_an_error(trocar: CommandLine, tmp_path: Path) -> None:
    """The message names the kinds that are read."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("x", encoding="utf-8")
    answer = trocar.run(tmp_path / "in", tmp_path / "out")
    answer.require_clean_error(65, "CONTRACT")
    assert ".png" in answer.err


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("output", ["/dev/null/out", "/proc/out"])
def test_output_that_cannot_be_made_is_an_error(
    trocar: CommandLine, clip: Path, output: str
) -> None:
    """Before the first frame, not after the last."""
    trocar.run(clip, Path(output)).require_clean_error(73, "SINK")


@pytest.mark.verifies("SRS_ERROR_001", extent="partial", technique="fault_injection")
def test_account_that_cannot_be_written_is_an_error(
    trocar: CommandLine, clip: Path, tmp_path: Path
) -> None:
    """The rest of the record is there and can be read."""
    (tmp_path / "run.json").mkdir()
    answer = trocar.run(clip, tmp_path)
    answer.require_clean_error(73, "SINK")
    assert "run.json" in answer.err
    assert len(lines_of(tmp_path / "results.jsonl")) == 12


@pytest.mark.verifies("SRS_CLI_003", extent="partial", technique="example")
def test_demo_writes_the_three_outputs(
    trocar: CommandLine, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a short clip in the place of the rendered one; twice, since people repeat a demo."""
    play_instead(monkeypatch, clip)
    first = trocar("demo", "-o", tmp_path, "--pack", trocar.pack)
    answer = trocar("demo", "-o", tmp_path, "--pack", trocar.pack)
    assert first.code == answer.code == 0, answer.err
    assert {path.name for path in (tmp_path / "rendered").iterdir()} == VIDEO_FILES
    assert "next: trocar run" in answer.out


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data root with two recordings."""
    folder = tmp_path / "data" / "polyp_segmentation" / "stream_smoke"
    folder.mkdir(parents=True)
    for name in ("one", "two"):
        write_clip(folder / f"{name}.mp4", frame_count=3)
    return tmp_path / "data"


@pytest.mark.verifies("SRS_CLI_003", extent="partial", technique="equivalence")
def test_demo_adds_recordings_where_there_are_any(
    trocar: CommandLine,
    clip: Path,
    recordings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The variable that names the data root changes what is shown, never a result."""
    play_instead(monkeypatch, clip)
    monkeypatch.setenv("TROCAR_DATA", str(recordings))
    answer = trocar("demo", "-o", tmp_path / "out", "--pack", trocar.pack, "--json")
    assert answer.code == 0, answer.err
    assert [run["name"] for run in answer.fields["runs"]] == ["rendered", "one", "two"]


@pytest.mark.verifies("SRS_STREAM_007", "SRS_CLI_003", extent="partial", technique="example")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
def test_one_stop_ends_the_whole_demo(
    trocar: CommandLine,
    clip: Path,
    recordings: Path,
    tmp_path: Path,
    *,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    """Ctrl-C means stop, not 'next clip'; handlers are as before afterwards."""
    real = run_stream

    def stopped(
        source: FrameSource, unit: UnitPort, sinks: list[Sink], **settings: object
    ) -> StreamSummary:
        signal.raise_signal(number)
        return real(source, unit, sinks, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(play, "run_stream", stopped)
    play_instead(monkeypatch, clip)
    monkeypatch.setenv("TROCAR_DATA", str(recordings))
    before = signal.getsignal(number)
    answer = trocar("demo", "-o", tmp_path / "out", "--pack", trocar.pack, "--json")
    assert answer.code == 130
    assert [run["name"] for run in answer.fields["runs"]] == ["rendered"]
    assert signal.getsignal(number) is before


@pytest.mark.verifies("SRS_LOG_001", extent="partial", technique="requirement")
def test_verbose_log_holds_names_and_counts_only(
    trocar: CommandLine, clip: Path, tmp_path: Path
) -> None:
    """Start and end of a run are logged; no line is long enough to hold a picture."""
    answer = trocar.run(clip, tmp_path, "--verbose")
    events = [json.loads(line) for line in answer.err.splitlines() if line.startswith("{")]
    assert {"run_started", "run_ended"} <= {event["event"] for event in events}
    assert all(len(json.dumps(event)) < 1000 for event in events)
    values = [value for event in events for value in event.values()]
    flat = [one for value in values for one in (value if isinstance(value, list) else [value])]
    assert all(isinstance(value, str | int | float) for value in flat)


@pytest.mark.verifies(
    "SRS_CLI_005", "UNIT_CLI_COMMANDS_RUN", extent="partial", technique="boundary"
)
def test_unit_that_follows_motion_gets_no_stills(trocar: CommandLine, tmp_path: Path) -> None:
    """Unrelated pictures have no time; what it would say of them would be made up."""
    write_picture(tmp_path / "a.png")
    answer = trocar("run", "tool_tracking", tmp_path / "a.png", "-o", tmp_path / "out")
    answer.require_clean_error(65, "CONTRACT")
    assert not (tmp_path / "out").exists()


@pytest.mark.verifies("SRS_CLI_005", "SRS_SINK_010", extent="partial", technique="requirement")
def test_unit_without_masks_leaves_records_only(trocar: CommandLine, tmp_path: Path) -> None:
    """Boxes stand in the record; an empty folder of masks would look like a finding of nothing."""
    write_picture(tmp_path / "a.png")
    answer = trocar("run", "tool_detection", tmp_path / "a.png", "-o", tmp_path / "out")
    assert answer.code == 0, answer.err
    (line,) = lines_of(tmp_path / "out" / "results.jsonl")
    assert line["outcome"]["kind"] == "tool_detections"
    assert not (tmp_path / "out" / "masks").exists()


@pytest.mark.verifies("SRS_CLI_003", extent="partial", technique="requirement")
def test_demo_of_tools_plays_their_own_clip(
    trocar: CommandLine, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recordings of colonoscopy stay away from it."""
    monkeypatch.setenv("TROCAR_DATA", str(recordings))
    answer = trocar("demo", "--unit", "tool_tracking", "-o", tmp_path, "--json")
    assert answer.code == 0, answer.err
    (run,) = answer.fields["runs"]
    assert run["summary"]["source_id"] == "laparoscopy.mp4"
