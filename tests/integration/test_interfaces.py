"""What crosses each interface between software items, with the real adapters on both sides."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.command_line import UNIT, CommandLine, lines_of
from simulators.media import decoded, square, write_clip
from simulators.packs import tiny_reference, write_tiny_pack
from simulators.sink import RecordingSink
from simulators.trust import trust_of
from trocar.apps import opening
from trocar.apps.endoscopy import open_unit
from trocar.apps.opening import OpenedUnit
from trocar.backends.choices import Engine, Precision
from trocar.backends.request import BackendRequest
from trocar.backends.select import open_backend
from trocar.cli import catalogue, commands_run, commands_show, commands_stream, play
from trocar.contracts.errors import (
    BackendUnavailableError,
    ContractError,
    HashMismatchError,
    IncompatiblePackError,
    InferenceError,
    SourceLostError,
    TrocarError,
)
from trocar.contracts.findings import Finding, PolypMask
from trocar.contracts.frame import Frame
from trocar.contracts.manifest import ModelManifest
from trocar.contracts.outcome import Reason, Withheld
from trocar.contracts.ports import Backend, Sink, Unit
from trocar.contracts.record import FrameRecord
from trocar.imaging.resize import RgbResizer
from trocar.packs.verify import VerifiedPack, verify_pack
from trocar.streaming.addresses import open_source
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.overlay_video import OverlayVideoSink
from trocar.streaming.pacing import Pacing
from trocar.streaming.scheduler import run_stream
from trocar.streaming.summary import EndedBecause, StreamConfig, StreamSummary
from trocar.units.polyp_segmentation.contract import PolypSegmentationConfig
from trocar.units.polyp_segmentation.unit import PolypSegmenter

FAST: Final = StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE)
REQUEST: Final = BackendRequest(thread_count=1, warm_up_count=1)
AGE_MS_MAX: Final = 60_000


def _open(
    pack: Path, request: BackendRequest = REQUEST, age_ms_max: int = AGE_MS_MAX
) -> OpenedUnit:
    """Open the unit on a pack of the simulators."""
    return open_unit(pack, request, frame_age_ms_max=age_ms_max, trust=trust_of(pack))


@pytest.fixture
def opened(tiny_pack: Path) -> OpenedUnit:
    """Return the unit on the tiny pack and a real engine."""
    return _open(tiny_pack)


class _WatchedBackend:
    """A real engine whose calls are kept; the n-th one may fail."""

    def __init__(self, inner: Backend, *, fails_at: int | None = None) -> None:
        self._inner = inner
        self._fails_at = fails_at
        self.info = inner.info
        self.calls: list[tuple[NDArray[np.uint8], NDArray[np.float32]]] = []

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the real engine."""
        output = self._inner.infer(batch)
        self.calls.append((batch.copy(), output))
        if len(self.calls) - 1 == self._fails_at:
            raise InferenceError("planted", advice="none")
        return output

    def close(self) -> None:
        """Close the real engine."""
        self._inner.close()


class _WatchedUnit:
    """A real unit whose frames and answers are kept."""

    def __init__(self, inner: Unit) -> None:
        self._inner = inner
        self.info = inner.info
        self.calls: list[tuple[Frame, Finding | Withheld]] = []

    def run(self, frame: Frame, *, now_ns: int) -> Finding | Withheld:
        """Run the real unit."""
        assert not frame.pixels.flags.writeable
        assert now_ns >= frame.captured_at_ns
        outcome = self._inner.run(frame, now_ns=now_ns)
        self.calls.append((frame, outcome))
        return outcome


def _unit_on(pack: VerifiedPack, backend: Backend) -> PolypSegmenter:
    """Return the real unit on a backend."""
    config = PolypSegmentationConfig.from_manifest(pack.manifest, frame_age_ms_max=AGE_MS_MAX)
    return PolypSegmenter(config, backend, pack_id=pack.manifest.pack_id, pack_digest=pack.digest)


def _play(clip: Path, unit: Unit, sinks: Sequence[Sink]) -> StreamSummary:
    """Run a clip through the real loop."""
    clock = MonotonicClock()
    source = open_source(f"file:{clip}", pacing=FAST.pacing, clock=clock)
    return run_stream(source, [unit], sinks, clock=clock, config=FAST, stop=lambda: False)


def _frame(pixels: NDArray[np.uint8]) -> Frame:
    """Return one frame."""
    return Frame(pixels=pixels, frame_index=0, captured_at_ns=0, source_id="test")


@pytest.mark.verifies("IFC_UNIT_PORT", extent="full", technique="requirement")
def test_loop_and_unit_exchange_frames_and_answers_of_the_same_index(
    opened: OpenedUnit, tmp_path: Path
) -> None:
    """Decoder, admission, loop, unit and sink joined: answer n is that of picture n."""

    def blinking(index: int) -> NDArray[np.uint8]:
        pixels = square(index)
        return pixels if index % 2 else pixels[::-1].copy()

    clip = write_clip(tmp_path / "clip.mkv", blinking, codec="ffv1", pixel_format="bgr0")
    unit, sink = _WatchedUnit(opened.unit), RecordingSink()
    summary = _play(clip, unit, [sink])
    assert summary.answered_count == len(unit.calls) == 12
    for index, (frame, outcome) in enumerate(unit.calls):
        assert isinstance(outcome, PolypMask)
        assert frame.frame_index == outcome.frame_index == sink.records[index].frame_index == index
        np.testing.assert_array_equal(frame.pixels, blinking(index))
        assert outcome.mask.pixels[:16, :16].all() == bool(index % 2)
        assert sink.records[index].unit == opened.unit.info


@pytest.mark.verifies("IFC_UNIT_PORT", extent="partial", technique="fault_injection")
def test_black_frame_is_answered_without_the_unit(opened: OpenedUnit, tmp_path: Path) -> None:
    """What health refuses does not cross the interface."""

    def one_black(index: int) -> NDArray[np.uint8]:
        return square(index) * np.uint8(index != 5)

    clip = write_clip(tmp_path / "clip.mkv", one_black, codec="ffv1", pixel_format="bgr0")
    unit, sink = _WatchedUnit(opened.unit), RecordingSink()
    _play(clip, unit, [sink])
    assert [frame.frame_index for frame, _ in unit.calls] == [i for i in range(12) if i != 5]
    outcome = sink.records[5].outcome
    assert isinstance(outcome, Withheld)
    assert outcome.reason is Reason.FRAME_BLACK


@pytest.mark.verifies("IFC_BACKEND_PORT", extent="full", technique="requirement")
@pytest.mark.parametrize("engine", [Engine.ONNXRUNTIME_CPU, Engine.OPENVINO_CPU])
def test_unit_and_engine_exchange_the_tensors_of_the_manifest(
    tiny_pack: Path, engine: Engine
) -> None:
    """uint8 in, float32 out, of the manifest's shapes; the output is the caller's own memory."""
    pack = verify_pack(tiny_pack, trust_of(tiny_pack))
    request = BackendRequest(engine=engine, thread_count=1)
    backend = _WatchedBackend(open_backend(pack.model, pack.manifest, request))
    unit = _unit_on(pack, backend)
    kept = []
    for index in range(3):
        outcome = unit.run(_frame(square(index)), now_ns=0)
        assert isinstance(outcome, PolypMask)
        kept.append((outcome, outcome.mask.prob.copy()))
    for batch, output in backend.calls:
        assert batch.shape == pack.manifest.input.shape
        assert batch.dtype == np.uint8
        assert output.shape == pack.manifest.output.shape
        assert output.dtype == np.float32
    for outcome, prob in kept:
        np.testing.assert_array_equal(outcome.mask.prob, prob)


@pytest.mark.verifies("IFC_BACKEND_PORT", extent="partial", technique="fault_injection")
def test_engine_failure_costs_one_frame_of_the_stream(tiny_pack: Path, clip: Path) -> None:
    """``InferenceError`` crosses the interface and becomes a reason."""
    pack = verify_pack(tiny_pack, trust_of(tiny_pack))
    inner = open_backend(pack.model, pack.manifest, REQUEST)
    summary = _play(clip, _unit_on(pack, _WatchedBackend(inner, fails_at=4)), [])
    assert summary.finding_count == 11
    assert summary.withheld_counts == {Reason.INFERENCE_FAILED: 1}


@pytest.mark.verifies("IFC_BACKEND_PORT", extent="partial", technique="fault_injection")
def test_tensor_of_another_shape_does_not_cross(tiny_pack: Path) -> None:
    """The engine refuses what the manifest does not describe."""
    pack = verify_pack(tiny_pack, trust_of(tiny_pack))
    backend = open_backend(pack.model, pack.manifest, REQUEST)
    with pytest.raises(ContractError, match="expected input frame"):
        backend.infer(np.zeros((1, 32, 32, 3), np.uint8))


@pytest.mark.verifies("IFC_RESIZE", extent="full", technique="requirement")
def test_model_sees_the_resized_frame_upright(tiny_pack: Path) -> None:
    """Row 0 stays the top and column 0 the left, in colour, from a frame of another shape."""
    pack = verify_pack(tiny_pack, trust_of(tiny_pack))
    backend = _WatchedBackend(open_backend(pack.model, pack.manifest, REQUEST))
    pixels = np.full((128, 256, 3), 20, np.uint8)
    pixels[:64, :128] = (200, 100, 50)
    _unit_on(pack, backend).run(_frame(pixels), now_ns=0)
    ((batch, _),) = backend.calls
    height_px, width_px = pack.manifest.input.shape[1:3]
    own = RgbResizer(height_px=height_px, width_px=width_px).resize(pixels)
    np.testing.assert_array_equal(batch[0], own)
    np.testing.assert_allclose(batch[0, 5, 5], (200, 100, 50), atol=1)
    np.testing.assert_allclose(batch[0, -5, -5], (20, 20, 20), atol=1)


@pytest.mark.verifies("IFC_DRAWING", extent="full", technique="requirement")
def test_overlay_draws_on_a_copy_and_at_the_place_of_the_mask(
    opened: OpenedUnit, tmp_path: Path
) -> None:
    """The loop's frame stays as it was; the drawn one shows the outline around the square."""

    def picture(index: int) -> NDArray[np.uint8]:
        return square(index, height_px=480, width_px=640)

    clip = write_clip(
        tmp_path / "clip.mkv", picture, frame_count=3, codec="ffv1", pixel_format="bgr0"
    )
    sink = RecordingSink()
    _play(clip, opened.unit, [OverlayVideoSink(tmp_path / "o.mp4"), sink])
    for index, frame in enumerate(sink.frames):
        assert frame is not None
        np.testing.assert_array_equal(frame.pixels, picture(index))
    drawn = decoded(tmp_path / "o.mp4")
    assert len(drawn) == 3
    top = (drawn[0].shape[0] - 480) // 2
    edge = drawn[1][top + 100 : top + 200, 317:320].astype(np.float64).mean(axis=(0, 1))
    inside = drawn[1][top + 100 : top + 200, 100:200].astype(np.float64).mean(axis=(0, 1))
    # Sky blue: far more blue than red, while the square itself is grey.
    assert edge[2] - edge[0] > 60
    assert abs(inside[2] - inside[0]) < 40


@pytest.mark.verifies("IFC_PACK", extent="full", technique="fault_injection")
def test_application_runs_the_bytes_that_were_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is swapped right after the check changes nothing: no path crosses."""
    folder = tmp_path / "pack"
    write_tiny_pack(folder)
    models: list[bytes] = []
    real_verify, real_open = verify_pack, open_backend

    def swapped(path: Path, trust: Path) -> VerifiedPack:
        pack = real_verify(path, trust)
        shutil.rmtree(path)
        return pack

    def noted(model: bytes, manifest: ModelManifest, request: BackendRequest) -> Backend:
        models.append(model)
        return real_open(model, manifest, request)

    monkeypatch.setattr(opening, "verify_pack", swapped)
    monkeypatch.setattr(opening, "open_backend", noted)
    opened = _open(folder)
    assert models == [opened.pack.model]
    assert isinstance(opened.unit.run(_frame(square(0)), now_ns=0), PolypMask)


@pytest.mark.verifies("IFC_ENGINE", extent="full", technique="requirement")
@pytest.mark.parametrize("engine", [Engine.ONNXRUNTIME_CPU, Engine.OPENVINO_CPU])
def test_application_gets_the_engine_that_it_asked_for(tiny_pack: Path, engine: Engine) -> None:
    """Engine, precision and threads stand in the provenance, and the reference case agrees."""
    request = BackendRequest(engine=engine, thread_count=1)
    opened = _open(tiny_pack, request)
    info = opened.unit.info.backend
    assert info.engine.startswith(engine.value.split("-")[0])
    assert (info.precision, info.thread_count) == ("fp32", 1)
    assert opened.reference_case.mask_dice == 1.0


@pytest.mark.verifies("IFC_ENGINE", extent="partial", technique="fault_injection")
def test_application_gets_no_other_engine(tiny_pack: Path) -> None:
    """A request that cannot be met is an error, not another engine."""
    with pytest.raises(BackendUnavailableError):
        _open(tiny_pack, BackendRequest(precision=Precision.BF16))


@pytest.mark.verifies("IFC_UNIT_BUILD", extent="full", technique="requirement")
def test_unit_is_built_from_manifest_and_application(tmp_path: Path) -> None:
    """Threshold and size from the pack, the age limit from the application, nothing by default."""
    write_tiny_pack(tmp_path / "pack", threshold={"value": 0.85, "chosen_by": "tests"})
    opened = _open(tmp_path / "pack", REQUEST, 40)
    bright = opened.unit.run(_frame(square(0)), now_ns=40_000_000)
    late = opened.unit.run(_frame(square(0)), now_ns=40_000_001)
    assert isinstance(bright, PolypMask)
    assert bright.mask.prob_threshold == 0.85
    assert bright.mask.pixels.shape == tiny_reference()[1].shape[2:]
    assert isinstance(late, Withheld)


@pytest.mark.verifies("IFC_UNIT_BUILD", extent="partial", technique="fault_injection")
def test_pack_of_another_unit_builds_nothing(tmp_path: Path) -> None:
    """An intact pack of another unit is refused."""
    write_tiny_pack(tmp_path / "pack", unit="tool_detection")
    with pytest.raises(IncompatiblePackError):
        _open(tmp_path / "pack", REQUEST, 40)


@pytest.mark.verifies("IFC_RUN", extent="full", technique="requirement")
def test_command_shows_the_account_that_the_loop_gave(
    trocar: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is printed, what is in run.json and what the loop returned are one account."""
    accounts: list[StreamSummary] = []
    real = run_stream

    def noted(*arguments: object, **settings: object) -> StreamSummary:
        accounts.append(real(*arguments, **settings))  # type: ignore[arg-type]
        return accounts[-1]

    monkeypatch.setattr(play, "run_stream", noted)
    clip = write_clip(tmp_path / "clip.mp4")
    answer = trocar.run(clip, tmp_path / "out", "--json")
    (account,) = accounts
    stored = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["summary"]
    assert answer.fields["runs"][0]["summary"] == stored == json.loads(account.model_dump_json())
    assert account.received_count == account.answered_count + account.displaced_count == 12


@pytest.mark.verifies("IFC_RUN", extent="partial", technique="fault_injection")
def test_account_is_given_when_the_run_fails(
    trocar: CommandLine, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error crosses too, and the sinks are closed before it does."""
    real = open_source

    def lost(address: str, **settings: object) -> object:
        source = real(address, **settings)  # type: ignore[arg-type]
        frames = source.frames

        def some(stop: object) -> object:
            for raw in frames(stop):  # type: ignore[arg-type]
                if raw.frame_index == 7:
                    raise SourceLostError("cable out", advice="plug it in")
                yield raw

        monkeypatch.setattr(source, "frames", some)
        return source

    monkeypatch.setattr(commands_run, "open_source", lost)
    trocar.run(clip, tmp_path).require_clean_error(74, "SOURCE_LOST")
    summary = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["summary"]
    assert summary["ended_because"] == EndedBecause.FAILED
    assert summary["error_code"] == "SOURCE_LOST"
    assert summary["answered_count"] == 7 == len(lines_of(tmp_path / "results.jsonl"))
    assert len(decoded(tmp_path / "overlay.mp4")) == 7


@pytest.mark.verifies("IFC_OPEN_UNIT", extent="full", technique="requirement")
def test_command_opens_its_unit_through_the_application(
    trocar: CommandLine, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pack, request and age limit of the command line arrive as they were typed."""
    seen: list[tuple[Path, BackendRequest, int, Path]] = []

    def noted(
        pack: Path, request: BackendRequest, *, frame_age_ms_max: int, trust: Path
    ) -> OpenedUnit:
        seen.append((pack, request, frame_age_ms_max, trust))
        return open_unit(pack, request, frame_age_ms_max=frame_age_ms_max, trust=trust)

    entry = catalogue.find_unit(UNIT)
    monkeypatch.setattr(
        commands_stream, "find_unit", lambda _: type(entry)(**{**vars(entry), "open": noted})
    )
    answer = trocar(
        *("stream", UNIT, "--source", f"file:{clip}", "--sink", f"jsonl:{tmp_path / 'r.jsonl'}"),
        *("--pack", trocar.pack, "--deadline-ms", 777, "--threads", 1),
    )
    assert answer.code == 0, answer.err
    ((pack, request, age_ms_max, trust),) = seen
    assert (pack, age_ms_max, trust) == (trocar.pack, 777, trust_of(trocar.pack))
    assert request.model_dump() == BackendRequest(thread_count=1).model_dump()
    digest = verify_pack(trocar.pack, trust_of(trocar.pack)).digest
    for line in lines_of(tmp_path / "r.jsonl"):
        assert line["provenance"]["pack_digest"] == digest


@pytest.mark.verifies("IFC_OPEN_UNIT", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    "error",
    [
        HashMismatchError("planted", advice="a"),
        IncompatiblePackError("planted", advice="a"),
        BackendUnavailableError("planted", advice="a"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_error_of_the_application_is_shown_once(
    trocar: CommandLine,
    clip: Path,
    tmp_path: Path,
    *,
    error: TrocarError,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each becomes its exit code; nothing is written."""

    def failing(*_: object, **__: object) -> OpenedUnit:
        raise error

    entry = catalogue.find_unit(UNIT)
    monkeypatch.setattr(
        commands_run, "find_unit", lambda _: type(entry)(**{**vars(entry), "open": failing})
    )
    answer = trocar.run(clip, tmp_path / "out")
    answer.require_clean_error(error.exit_code, error.code)
    assert answer.err.count("planted") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.verifies("IFC_ENGINE_REQUEST", extent="full", technique="equivalence")
@pytest.mark.parametrize(
    ("words", "engine", "thread_count"),
    [
        ((), "onnxruntime", 2),
        (("--threads", "1"), "onnxruntime", 1),
        (("--engine", "openvino-cpu", "--threads", "1"), "openvino", 1),
    ],
    ids=str,
)
def test_request_of_the_command_line_is_what_runs(
    trocar: CommandLine, words: tuple[str, ...], engine: str, thread_count: int
) -> None:
    """From the word that was typed to the engine that reports itself."""
    answer = trocar("selftest", "--pack", trocar.pack, "--json", *words)
    assert answer.code == 0, answer.err
    backend = answer.fields["selftest"][0]["backend"]
    assert backend["engine"].startswith(engine)
    assert backend["thread_count"] == thread_count


@pytest.mark.verifies("IFC_ENGINE_REQUEST", extent="partial", technique="fault_injection")
def test_request_that_cannot_be_met_is_an_error(trocar: CommandLine) -> None:
    """ONNX Runtime would ignore the precision; the request does not."""
    answer = trocar("selftest", "--pack", trocar.pack, "--precision", "bf16")
    answer.require_clean_error(69, "BACKEND_UNAVAILABLE")
    assert "offers fp32" in answer.err


@pytest.mark.verifies("IFC_PACK_COMMANDS", extent="full", technique="requirement")
def test_commands_print_what_was_verified(
    trocar: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card that is swapped after the check is not the one that is printed."""
    folder = tmp_path / "pack"
    digest = write_tiny_pack(folder).digest

    def swapped(path: Path, trust: Path) -> VerifiedPack:
        pack = verify_pack(path, trust)
        (path / "card.md").write_text("no limits at all", encoding="utf-8")
        return pack

    monkeypatch.setattr(commands_show, "verify_pack", swapped)
    shown = trocar("show", UNIT, "--pack", folder)
    assert "# Tiny" in shown.out
    assert "no limits" not in shown.out
    assert digest in shown.out
    trocar("pack", "verify", folder).require_clean_error(66, "PACK_HASH")


@pytest.mark.verifies("IFC_UNIT_CATALOGUE", extent="full", technique="requirement")
def test_catalogue_shows_name_and_contracts_of_the_unit(
    trocar: CommandLine, opened: OpenedUnit
) -> None:
    """The name is that of unit and pack; schema and need ids are those of the unit's source."""
    listed = trocar("units", "--json").fields["units"][0]
    assert listed["unit"] == opened.unit.info.unit == opened.pack.manifest.unit
    shown = trocar("show", listed["unit"], "--pack", trocar.pack, "--json").fields
    assert shown["contracts"]["configuration"] == PolypSegmentationConfig.model_json_schema()
    assert "SRS_POLYP_001" in shown["requirements"]


@pytest.mark.verifies("SRS_PROVENANCE_001", extent="partial", technique="requirement")
def test_record_of_a_run_names_model_and_engine(opened: OpenedUnit, clip: Path) -> None:
    """Each record alone can be traced to the bytes of the model."""
    sink = RecordingSink()
    _play(clip, opened.unit, [sink])
    records: list[FrameRecord] = sink.records
    assert {record.unit.pack_digest for record in records} == {opened.pack.digest}
    assert {record.unit.backend.provider for record in records} == {"CPUExecutionProvider"}
