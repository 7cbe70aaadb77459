"""``trocar stream`` with peers on real sockets: frames come in, results go out, both at once."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from simulators.command_line import UNIT, CommandLine, lines_of
from simulators.igtl_peers import FarEnd, message_bytes
from simulators.source import noise_pixels
from trocar.streaming.openigtlink.image import ImageMessage, image_from_frame
from trocar.streaming.openigtlink.messages import Packet
from trocar.streaming.openigtlink.outgoing import WITHHELD_LEVEL
from trocar.streaming.openigtlink.text import StringMessage

HEIGHT_PX: Final = 64
WIDTH_PX: Final = 96
SENT_AT_NS: Final = 1_795_000_000_000_000_000
PATIENCE_S: Final = 20.0


def _free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        port: int = plug.getsockname()[1]
        return port


def _frame(index: int) -> bytes:
    """Return one IMAGE; every third is damaged on its way, every second has no time."""
    pixels = noise_pixels(index, height_px=HEIGHT_PX, width_px=WIDTH_PX)
    time_ns = SENT_AT_NS + index if index % 2 else None
    data = message_bytes(image_from_frame(pixels), device_name="Tower", timestamp_ns=time_ns)
    if index % 3 == 2:
        data = data[:-7] + bytes([data[-7] ^ 1]) + data[-6:]
    return data


class _Room:
    """A tower that sends frames, and a receiver of results, both in one thread each."""

    def __init__(self, *, frame_count: int) -> None:
        self.results_port = _free_port()
        self.received: list[Packet] = []
        self.problem: BaseException | None = None
        self._frame_count = frame_count
        self._tower = socket.create_server(("127.0.0.1", 0))
        self._tower.settimeout(PATIENCE_S)
        self.tower_port: int = self._tower.getsockname()[1]
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()

    def _play(self) -> None:
        """Wait for the caller, listen for results, send every frame, then stop the command."""
        try:
            with self._tower, self._tower.accept()[0] as plug, self._receiver() as results:
                far = FarEnd(results)
                for index in range(self._frame_count):
                    plug.sendall(_frame(index))
                    self._read_until_answered(far)
        except BaseException as exc:  # noqa: BLE001 - a thread's fault must reach the test
            self.problem = exc
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    def _receiver(self) -> socket.socket:
        """Return a connection to the results, as soon as the command listens."""
        end_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.results_port), timeout=1.0)
            except OSError:
                if time.monotonic() > end_s:
                    raise
                time.sleep(0.02)

    def _read_until_answered(self, far: FarEnd) -> None:
        """Read what is sent for one frame: its last message is the text with the answer."""
        while True:
            packet = far.read()
            self.received.append(packet)
            if isinstance(packet.message, StringMessage) and "frame_index" in packet.message.text:
                return

    def end(self) -> None:
        """Wait for the thread and raise what went wrong in it."""
        self._thread.join(PATIENCE_S)
        if self.problem is not None:
            raise self.problem


@pytest.fixture
def room() -> Iterator[_Room]:
    """A tower with twelve frames."""
    made = _Room(frame_count=12)
    yield made
    made.end()


@pytest.mark.verifies("SRS_IGTL_020", "SRS_CLI_009", extent="partial", technique="requirement")
@pytest.mark.verifies("SRS_CONTRACT_005", extent="full", technique="requirement")
@pytest.mark.controls("RCM_IGTL_001", "RCM_IGTL_011")
def test_stream_from_the_network_to_the_network(
    trocar: CommandLine, tmp_path: Path, room: _Room
) -> None:
    """Each frame is answered once; a damaged one is withheld; an unknown time stays unknown."""
    answer = trocar(
        *("stream", UNIT, "--pack", trocar.pack, "--deadline-ms", 20_000, "--json"),
        *("--source", f"igtl:127.0.0.1:{room.tower_port}?device=Tower"),
        *("--sink", f"jsonl:{tmp_path / 'r.jsonl'}", "--metrics", tmp_path / "m.prom"),
        *("--sink", f"igtl-listen:{room.results_port}"),
    )
    room.end()
    assert answer.code == 130, answer.err
    lines = lines_of(tmp_path / "r.jsonl")
    assert [line["frame_index"] for line in lines] == list(range(12))
    for index, line in enumerate(lines):
        is_damaged = index % 3 == 2
        expected = ("withheld", "frame_corrupt") if is_damaged else ("polyp_mask", None)
        assert (line["outcome"]["kind"], line["outcome"].get("reason")) == expected
        assert line["origin"]["crc"] == ("mismatch" if is_damaged else "verified")
        assert line["origin"]["sender_wall_ns"] in {None, SENT_AT_NS + index}
        assert (line["origin"]["sender_wall_ns"] is None) == (index % 2 == 0)
    assert ": ready" in answer.err
    counted = (tmp_path / "m.prom").read_text(encoding="utf-8")
    assert "trocar_frames_received_total 12\n" in counted
    masks = [packet.message for packet in room.received if isinstance(packet.message, ImageMessage)]
    assert len(masks) == 12
    for index, mask in enumerate(masks):
        levels = set(np.unique(mask.pixels).tolist())
        # A receiver shows the last picture until another one comes: "no result" is one too.
        assert levels == {WITHHELD_LEVEL} if index % 3 == 2 else levels <= {0, 255}


@pytest.mark.verifies("SRS_LIVE_001", "SRS_SINK_011", extent="partial", technique="requirement")
def test_two_units_answer_for_every_frame(trocar: CommandLine, clip: Path, tmp_path: Path) -> None:
    """One line a unit and frame, in the order in which the units were named."""
    answer = trocar(
        *("stream", UNIT, "--also", "tool_tracking", "--as-fast-as-possible"),
        *("--source", f"file:{clip}", "--sink", f"jsonl:{tmp_path / 'r.jsonl'}"),
        *("--sink", f"mp4:{tmp_path / 'o.mp4'}", "--account", tmp_path / "account"),
    )
    assert answer.code == 0, answer.err
    assert "12 frames received, 24 answers of 2 units, 0 withheld" in answer.out
    lines = lines_of(tmp_path / "r.jsonl")
    names = [(line["frame_index"], line["provenance"]["unit"]) for line in lines]
    assert names == [(index, name) for index in range(12) for name in (UNIT, "tool_tracking")]
    assert {line["outcome"]["kind"] for line in lines} == {"polyp_mask", "tool_tracks"}
