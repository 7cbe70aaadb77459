"""Commands that run a unit on recorded input: demo and run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final

from trocar.cli.catalogue import UnitEntry, find_unit
from trocar.cli.console import Console
from trocar.cli.places import claim, exists, make_folder
from trocar.cli.play import Play, exit_code, open_for, play_through, run_fields, run_lines
from trocar.contracts.errors import ContractError
from trocar.contracts.findings import PolypMask, ToolTracks
from trocar.contracts.limits import DEADLINE_MS_DEFAULT, UNTIMED_AGE_MS_MAX
from trocar.streaming.addresses import latency_sink, open_source, overlay_sink
from trocar.streaming.clock import MonotonicClock
from trocar.streaming.image_files import ImageFilesSource, is_image_name, list_images
from trocar.streaming.jsonl import JsonlSink
from trocar.streaming.ledger import DropLedger
from trocar.streaming.mask_files import MaskFilesSink
from trocar.streaming.pacing import Pacing, StreamKind
from trocar.streaming.summary import EndedBecause, StreamConfig
from trocar.units.polyp_segmentation.contract import UNIT_NAME

__all__ = ["demo", "run"]

_DATA_VARIABLE: Final = "TROCAR_DATA"
_DATA_BESIDE: Final = Path("..") / "shared" / "data"
_REAL_CLIPS: Final = Path("polyp_segmentation") / "stream_smoke"


# @need-ids: SRS_CLI_003
def demo(options: argparse.Namespace, console: Console) -> int:
    """Run a unit on its rendered clip in real time; polyps also on real clips, if any."""
    entry = find_unit(options.unit)
    clips = [("rendered", entry.demo_clip, Pacing.REALTIME)]
    if entry.name == UNIT_NAME:
        clips += [(clip.stem, clip, Pacing.AS_FAST_AS_POSSIBLE) for clip in _real_clips()]
    opened = open_for(entry, options, age_ms_max=DEADLINE_MS_DEFAULT)
    slow = opened
    if len(clips) > 1:
        slow = open_for(entry, options, age_ms_max=UNTIMED_AGE_MS_MAX)
    fields, lines, codes = [], [], []
    for name, clip, pacing in clips:
        folder = options.output / name
        play = _video_play(clip, folder, pacing=pacing, title=name, kind="demo")
        unit = opened if pacing is Pacing.REALTIME else slow
        summary = play_through(play, [unit], console, options)
        fields.append(run_fields(name, folder, summary))
        lines += run_lines(f"{name} clip", folder, summary)
        codes.append(exit_code(summary))
        if summary.ended_because is EndedBecause.STOPPED:
            break
    console.result(
        {"runs": fields},
        [*lines, f"next: trocar run {entry.name} FOLDER_OR_FILE -o OUT"],
    )
    return max(codes)


# @need-ids: SRS_CLI_005, SRS_POLYP_008
def run(options: argparse.Namespace, console: Console) -> int:
    """Run a unit on every frame of an input, without deadlines and without drops."""
    path: Path = options.input
    if not exists(path):
        raise ContractError(
            f"expected an image, a folder or a video, {path} is not there", advice="check the path"
        )
    entry = find_unit(options.unit)
    are_stills = path.is_dir() or is_image_name(path.name)
    if are_stills and entry.contracts["finding"] is ToolTracks:
        raise ContractError(
            f"expected a video, since {entry.name} follows what moves, got stills: {path}",
            advice="name a video, or run tool_detection on the stills",
        )
    opened = open_for(entry, options, age_ms_max=UNTIMED_AGE_MS_MAX)
    if are_stills:
        play = _stills_play(path, options.output, entry=entry, replace=options.replace)
    else:
        play = _video_play(
            path,
            options.output,
            pacing=Pacing.AS_FAST_AS_POSSIBLE,
            title=path.name,
            kind="file",
            replace=options.replace,
        )
    summary = play_through(play, [opened], console, options)
    console.result(
        {"runs": [run_fields(path.name, options.output, summary)]},
        run_lines(path.name, options.output, summary),
    )
    return exit_code(summary)


def _stills_play(path: Path, folder: Path, *, entry: UnitEntry, replace: bool) -> Play:
    """Return a run on unrelated pictures: the record, and masks from a unit that gives some."""
    images = list_images(path) if path.is_dir() else (path,)
    make_folder(folder)
    source = ImageFilesSource(images, clock=MonotonicClock())
    masks = folder / "masks"
    claim(
        folder,
        masks={masks / f"{image.stem}.png" for image in images},
        inputs=images,
        replace=replace,
    )
    gives_masks = entry.contracts["finding"] is PolypMask
    mask_sinks = [MaskFilesSink(masks, source_ids=source.source_ids)] if gives_masks else []
    return Play(
        title=path.name,
        source=source,
        sinks=[*mask_sinks, JsonlSink(folder / "results.jsonl", replace=replace)],
        config=StreamConfig(pacing=Pacing.AS_FAST_AS_POSSIBLE, kind=StreamKind.STILLS),
        ledger=DropLedger(),
        folder=folder,
        inputs=images,
        source_kind="stills",
    )


def _video_play(
    path: Path, folder: Path, *, pacing: Pacing, title: str, kind: str, replace: bool = True
) -> Play:
    """Return a run on a video with all sinks in one folder."""
    source = open_source(f"file:{path}", pacing=pacing, clock=MonotonicClock())
    make_folder(folder)
    claim(folder, masks=frozenset(), inputs=[path], replace=replace)
    config, ledger = StreamConfig(pacing=pacing), DropLedger()
    return Play(
        title=title,
        source=source,
        sinks=[
            JsonlSink(folder / "results.jsonl", replace=replace),
            latency_sink(folder, deadline_ms=config.deadline_ms, ledger=ledger),
            overlay_sink(folder / "overlay.mp4", pacing),
        ],
        config=config,
        ledger=ledger,
        folder=folder,
        inputs=[path],
        source_kind=kind,
    )


def _real_clips() -> list[Path]:
    """Return the real clips under the data root, where there is one."""
    configured = os.environ.get(_DATA_VARIABLE)
    root = Path(configured) if configured is not None else _DATA_BESIDE
    return sorted((root / _REAL_CLIPS).glob("*.mp4")) if configured != "" else []
