"""The video of answers can be played, keeps its times, and shows a withheld result as such."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from conformance.sink_suite import SinkSuite
from simulators.source import noise_pixels, raw_frame
from simulators.unit import frame_record, polyp_mask
from trocar.contracts.errors import InvariantError, SinkError
from trocar.contracts.frame import Frame
from trocar.contracts.limits import NS_PER_MS
from trocar.contracts.outcome import Reason, Withheld
from trocar.contracts.ports import Sink
from trocar.streaming import overlay_video
from trocar.streaming.admission import admit
from trocar.streaming.overlay_video import OverlayVideoSink


def _frame(index: int, *, height_px: int = 48, width_px: int = 64) -> Frame:
    pixels = noise_pixels(index, height_px=height_px, width_px=width_px)
    frame = admit(raw_frame(index, pixels=pixels))
    assert isinstance(frame, Frame)
    return frame


def _play(path: Path) -> list[tuple[int, np.ndarray[Any, np.dtype[Any]]]]:
    with av.open(str(path)) as container:
        return [
            (round(frame.time * 1000), frame.to_ndarray(format="rgb24"))
            for frame in container.decode(video=0)
        ]


@pytest.mark.verifies("SRS_SINK_001", extent="full", technique="conformance")
class TestOverlayVideoSink(SinkSuite):
    """The video keeps what every sink promises."""

    def make_sink(self, folder: Path) -> Sink:
        """Return a new video."""
        return OverlayVideoSink(folder / "o.mp4")

    def read_record_count(self, folder: Path) -> int:
        """Return the number of its pictures; a run without any leaves an empty file."""
        path = folder / "o.mp4"
        return len(_play(path)) if path.stat().st_size else 0


@pytest.mark.verifies("SRS_SINK_001", extent="full", technique="requirement")
@pytest.mark.parametrize("codecs", [("libx264",), ("missing", "mpeg4")])
def test_every_answer_is_in_the_video_at_its_own_time(
    tmp_path: Path, codecs: tuple[str, ...]
) -> None:
    """Variable times stay; sides are even, so that every player can show it."""
    times_ms = [0, 40, 45, 500, 501]
    sink = OverlayVideoSink(tmp_path / "o.mp4", codecs=codecs)
    for index, time_ms in enumerate(times_ms):
        record = frame_record(index, media_time_ns=time_ms * NS_PER_MS)
        sink.write(record, _frame(index))
    sink.close()
    sink.close()
    played = _play(tmp_path / "o.mp4")
    assert [time_ms for time_ms, _ in played] == times_ms
    assert all(side % 2 == 0 for side in played[0][1].shape[:2])


@pytest.mark.verifies("SRS_SINK_001", extent="partial", technique="boundary")
def test_times_that_stand_still_are_moved_apart(tmp_path: Path) -> None:
    """A live source without media times uses acquisition; equal times must not lose a frame."""
    sink = OverlayVideoSink(tmp_path / "o.mp4")
    for index in range(3):
        sink.write(frame_record(index), _frame(index))
    sink.close()
    assert len(_play(tmp_path / "o.mp4")) == 3


@pytest.mark.verifies("SRS_SINK_005", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_WITHHELD_001", measure="contour pixels on withheld frames", acceptance="none"
)
def test_withheld_frames_never_show_the_last_mask(tmp_path: Path) -> None:
    """Frames that were not admitted, or are of another size, show words and no picture."""
    sink = OverlayVideoSink(tmp_path / "o.mp4")
    withheld = [Withheld(frame_index=i, reason=Reason.FRAME_SIZE_CHANGED) for i in range(4)]
    sink.write(frame_record(0), _frame(0))
    sink.write(frame_record(1, outcome=withheld[1]), None)
    sink.write(frame_record(2, outcome=withheld[2]), _frame(2, height_px=80))
    sink.write(frame_record(3, outcome=withheld[3]), _frame(3))
    sink.close()
    found, *others = [picture.astype(int) for _, picture in _play(tmp_path / "o.mp4")]

    def blue_count(picture: np.ndarray[Any, np.dtype[Any]]) -> int:
        return int(((picture[..., 2] > 180) & (picture[..., 0] < 140)).sum())

    body = slice(found.shape[0] - 48 - 24, found.shape[0] - 24)
    assert blue_count(found[body]) > 0
    assert [blue_count(picture[body]) for picture in others] == [0, 0, 0]


@pytest.mark.verifies("SRS_SINK_001", extent="partial", technique="boundary")
def test_records_before_the_first_frame_are_counted(tmp_path: Path) -> None:
    """Without a frame no size is known; that something is missing is said."""
    sink = OverlayVideoSink(tmp_path / "o.mp4")
    sink.write(frame_record(0, outcome=Withheld(frame_index=0, reason=Reason.FRAME_SHAPE)), None)
    sink.write(frame_record(1), _frame(1))
    sink.close()
    assert (sink.undrawn_count, len(_play(tmp_path / "o.mp4"))) == (1, 1)


@pytest.mark.verifies("SRS_SINK_001", extent="partial", technique="boundary")
def test_run_without_a_frame_can_be_finished(tmp_path: Path) -> None:
    """A source that fails at once must not fail a second time here."""
    OverlayVideoSink(tmp_path / "o.mp4").close()


_KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from unit_overlay import _frame, frame_record
from trocar.streaming.overlay_video import OverlayVideoSink
sink = OverlayVideoSink(Path({path!r}))
for index in range(200):
    sink.write(frame_record(index, media_time_ns=index * 40_000_000), _frame(index))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.verifies("SRS_SINK_004", extent="full", technique="fault_injection")
def test_video_of_a_killed_run_can_be_played(tmp_path: Path) -> None:
    """Power may fail; at most the frames after the last key frame are lost."""
    (tmp_path / "unit_overlay.py").write_text(Path(__file__).read_text())
    path = str(tmp_path / "o.mp4")
    script = _KILLED.format(paths=[str(tmp_path), *sys.path], path=path)
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=120, check=False
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert 200 - 2 * overlay_video._KEY_FRAME_EVERY <= len(_play(tmp_path / "o.mp4")) <= 200


@pytest.mark.verifies("SRS_SINK_004", extent="full", technique="fault_injection")
def test_full_disk_is_a_typed_error() -> None:
    """The run stops with advice instead of going on without its picture."""
    sink = OverlayVideoSink(Path("/dev/full"))
    with pytest.raises(SinkError) as caught:  # noqa: PT012 - where it surfaces depends on buffers
        for index in range(100):
            sink.write(frame_record(index, media_time_ns=index * NS_PER_MS), _frame(index))
        sink.close()
    assert "disk space" in caught.value.advice


class _Broken:
    """A container on a disk that has just filled up."""

    def mux(self, packets: object) -> None:
        """Fail as the disk does."""
        raise OSError(28, "No space left on device")

    def close(self) -> None:
        """Close without a complaint."""


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="fault_injection")
def test_error_while_finishing_is_a_typed_error(tmp_path: Path) -> None:
    """The last frames are lost: that is said, not swallowed."""
    sink = OverlayVideoSink(tmp_path / "o.mp4")
    sink.write(frame_record(0), _frame(0))
    real, sink._container = sink._container, _Broken()  # type: ignore[assignment]
    with pytest.raises(SinkError, match="could not be finished"):
        sink.close()
    real.close()


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="fault_injection")
def test_error_while_writing_is_a_typed_error(tmp_path: Path) -> None:
    """The frame at which it happened is named."""
    sink = OverlayVideoSink(tmp_path / "o.mp4")
    sink.write(frame_record(0), _frame(0))
    real, sink._container = sink._container, _Broken()  # type: ignore[assignment]
    with pytest.raises(SinkError, match="frame 1 could not be written"):
        sink.write(frame_record(1), _frame(1))
    sink._container = real
    sink.close()


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="fault_injection")
def test_place_and_encoder_are_checked_before_the_first_frame(tmp_path: Path) -> None:
    """A run must not find out after an hour."""
    for path in (tmp_path / "missing" / "o.mp4", tmp_path):
        with pytest.raises(SinkError, match="cannot be created"):
            OverlayVideoSink(path)
    with pytest.raises(SinkError, match="expected an encoder"):
        OverlayVideoSink(tmp_path / "o.mp4", codecs=("missing",))


@pytest.mark.verifies("SRS_SINK_001", extent="partial", technique="fault_injection")
def test_encoder_of_sound_is_our_mistake(tmp_path: Path) -> None:
    """A list of encoders is ours to get right."""
    sink = OverlayVideoSink(tmp_path / "o.mp4", codecs=("aac",))
    with pytest.raises(InvariantError):
        sink.write(frame_record(0), _frame(0))


@pytest.mark.verifies("SRS_SINK_004", extent="partial", technique="requirement")
def test_write_after_close_is_an_error(tmp_path: Path) -> None:
    """A picture that went nowhere must not look as if it was kept."""
    sink = OverlayVideoSink(tmp_path / "o.mp4")
    sink.close()
    with pytest.raises(SinkError, match="closed one"):
        sink.write(frame_record(0, outcome=polyp_mask(0)), _frame(0))


@pytest.mark.verifies("SRS_SINK_011", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_FRAMEID_001")
def test_half_of_a_frame_is_not_drawn(tmp_path: Path) -> None:
    """A queue before the video may leave out one unit's answer: the other's stays away too."""
    sink = OverlayVideoSink(tmp_path / "o.mp4", unit_count=2)
    for index in (0, 0, 1, 2, 2):
        sink.write(frame_record(index), _frame(index))
    sink.close()
    assert sink.undrawn_count == 1
    assert len(_play(tmp_path / "o.mp4")) == 2
