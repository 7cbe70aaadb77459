"""Each adapter of the device offers its port: every member, with the port's own parameters."""

from __future__ import annotations

import inspect
from typing import Final

import pytest

from trocar.backends.onnxruntime import OnnxRuntimeBackend
from trocar.backends.openvino import OpenVinoBackend
from trocar.contracts.ports import Backend, Clock, FrameSource, Sink, Unit
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.image_files import ImageFilesSource
from trocar.streaming.jsonl import JsonlSink
from trocar.streaming.latency_summary import LatencySummarySink
from trocar.streaming.mask_files import MaskFilesSink
from trocar.streaming.overlay_video import OverlayVideoSink
from trocar.streaming.sink_queue import QueuedSink
from trocar.streaming.video_file import VideoFileSource
from trocar.units.polyp_segmentation.unit import PolypSegmenter

ADAPTERS: Final[tuple[tuple[type, type], ...]] = (
    (Clock, MonotonicClock),
    (Backend, OnnxRuntimeBackend),
    (Backend, OpenVinoBackend),
    (Unit, PolypSegmenter),
    (FrameSource, VideoFileSource),
    (FrameSource, ImageFilesSource),
    (Sink, JsonlSink),
    (Sink, LatencySummarySink),
    (Sink, MaskFilesSink),
    (Sink, OverlayVideoSink),
    (Sink, QueuedSink),
)


def _members(port: type) -> list[str]:
    """Return the public members that a port declares."""
    return [name for name in vars(port) if not name.startswith("_")]


@pytest.mark.verifies("UNIT_CONTRACTS_PORTS", extent="partial", technique="conformance")
@pytest.mark.parametrize(
    ("port", "adapter"), ADAPTERS, ids=[adapter.__name__ for _, adapter in ADAPTERS]
)
def test_adapter_has_every_member_with_the_same_parameters(port: type, adapter: type) -> None:
    """The type checker sees this only where an adapter is handed over; here it is seen for all."""
    assert _members(port)
    for name in _members(port):
        declared, offered = vars(port)[name], inspect.getattr_static(adapter, name)
        assert isinstance(offered, type(declared)), name
        if inspect.isfunction(declared) and inspect.isfunction(offered):
            expected = inspect.signature(declared).parameters.values()
            got = inspect.signature(offered).parameters.values()
            assert [(p.name, p.kind, p.default) for p in got] == [
                (p.name, p.kind, p.default) for p in expected
            ], name
