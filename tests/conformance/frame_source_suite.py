"""What every source of frames promises; a subclass names the adapter."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from pathlib import Path

import pytest

from trocar.contracts.errors import TrocarError
from trocar.contracts.frame import RawFrame
from trocar.contracts.limits import SOURCE_ID_LENGTH_MAX
from trocar.contracts.ports import FrameSource

__all__ = ["FrameSourceSuite"]


def never_stop() -> bool:
    """Let the source run to its end."""
    return False


def always_stop() -> bool:
    """End the run before its first frame."""
    return True


class FrameSourceSuite(ABC):
    """Subclass as ``TestMySource`` and return a source; mark the subclass with what it verifies."""

    @abstractmethod
    def make_source(self, folder: Path) -> FrameSource:
        """Return the source under test, of at least three frames; its input may lie in a folder."""

    @abstractmethod
    def frame_count(self) -> int:
        """Return how many frames the source under test delivers."""

    def all_frames(self, folder: Path) -> list[RawFrame]:
        """Return every frame of a fresh source."""
        source = self.make_source(folder)
        try:
            return list(source.frames(never_stop))
        finally:
            source.close()

    def test_every_frame_is_delivered_once_in_order(self, tmp_path: Path) -> None:
        """The index names the frame in every record: from 0, no gap, none used again."""
        frames = self.all_frames(tmp_path)
        assert [frame.frame_index for frame in frames] == list(range(self.frame_count()))

    def test_times_never_run_backwards(self, tmp_path: Path) -> None:
        """Age and order are computed from them."""
        frames = self.all_frames(tmp_path)
        assert all(type(frame.captured_at_ns) is int for frame in frames)
        for earlier, later in itertools.pairwise(frames):
            assert 0 <= earlier.captured_at_ns <= later.captured_at_ns
        media = [frame.media_time_ns for frame in frames if frame.media_time_ns is not None]
        assert media == sorted(media)

    def test_source_has_one_name(self, tmp_path: Path) -> None:
        """The name stands in every record, within the limit of its length."""
        source = self.make_source(tmp_path)
        names = {frame.source_id for frame in source.frames(never_stop)}
        source.close()
        assert names == {source.source_id}
        assert 1 <= len(source.source_id) <= SOURCE_ID_LENGTH_MAX

    def test_count_is_right_or_not_given(self, tmp_path: Path) -> None:
        """A guess would be shown as progress that is not."""
        source = self.make_source(tmp_path)
        assert source.frame_count in {None, self.frame_count()}
        source.close()

    def test_frame_in_hand_is_not_overwritten_by_the_next(self, tmp_path: Path) -> None:
        """A unit still works on a frame while the source decodes on."""
        source = self.make_source(tmp_path)
        kept: list[tuple[RawFrame, bytes]] = [
            (frame, frame.pixels.tobytes()) for frame in source.frames(never_stop)
        ]
        source.close()
        assert all(frame.pixels.tobytes() == content for frame, content in kept)

    def test_stop_before_the_first_frame(self, tmp_path: Path) -> None:
        """A run that was ended delivers nothing more."""
        source = self.make_source(tmp_path)
        assert list(source.frames(always_stop)) == []
        source.close()

    def test_stop_between_frames(self, tmp_path: Path) -> None:
        """After the signal no further frame comes; what came is numbered from 0."""
        source = self.make_source(tmp_path)
        taken: list[RawFrame] = []
        for frame in source.frames(lambda: len(taken) >= 2):
            taken.append(frame)  # noqa: PERF402 - the signal looks at the list while it grows
        source.close()
        assert [frame.frame_index for frame in taken] == [0, 1]

    def test_second_pass_is_refused(self, tmp_path: Path) -> None:
        """Indices would be used again within one run."""
        source = self.make_source(tmp_path)
        list(source.frames(never_stop))
        with pytest.raises(TrocarError):
            list(source.frames(never_stop))
        source.close()

    def test_close_may_be_called_twice_and_before_the_end(self, tmp_path: Path) -> None:
        """The run closes on its way out, whatever happened before."""
        source = self.make_source(tmp_path)
        first = next(iter(source.frames(never_stop)))
        source.close()
        source.close()
        assert first.frame_index == 0

    def test_close_before_the_first_frame(self, tmp_path: Path) -> None:
        """A run may fail between opening and starting."""
        source = self.make_source(tmp_path)
        source.close()
        source.close()
