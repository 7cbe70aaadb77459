"""The verdict follows from the raw files and the limits; nothing that was changed gets through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simulators.latency_bundles import (
    agx_platform,
    edit_json,
    edit_rows,
    platform_of,
    settings_of,
    write_bundle,
)
from trocar.contracts.errors import ContractError
from trocar_lab.latency.budgets import Budgets, load_budgets
from trocar_lab.latency.frame_table import FrameRow
from trocar_lab.latency.record import write_sums
from trocar_lab.latency.reports import BundleReport, Verdict
from trocar_lab.latency.settings import Arm
from trocar_lab.latency.verify import verify_bundle

pytestmark = pytest.mark.verifies("SRS_LATENCY_001", extent="full", technique="fault_injection")

FRAMES = "frames-idle-01.csv.gz"
TELEMETRY = "telemetry-idle-01.csv"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a bundle of a surrogate that passes: five runs of 600 frames without a miss."""
    return write_bundle(tmp_path / "bundle", settings_of())


def _verify(folder: Path) -> BundleReport:
    """Verify against the limits of the repository."""
    return verify_bundle(folder, load_budgets())


def _reasons(report: BundleReport) -> str:
    """Return every reason."""
    return "\n".join([*report.reasons, *(reason for arm in report.arms for reason in arm.reasons)])


def test_surrogate_without_a_miss_passes_but_closes_nothing(bundle: Path) -> None:
    """A surrogate may pass its own limits; the row of the AGX class stays open."""
    report = _verify(bundle)
    assert report.verdict is Verdict.PASS
    assert report.label == "surrogate: Test CPU"
    assert not report.closes_agx_row
    misses = report.arms[0].misses
    assert misses is not None
    assert (misses.frame_count, misses.miss_count) == (3000, 0)
    assert misses.upper_one_sided_95 < 1e-3
    age = report.arms[0].age
    assert age is not None
    assert (age.p50_ms, age.observed_max_ms, age.is_p99_9_descriptive) == (20.0, 20.0, True)


def test_too_few_frames_are_insufficient_whatever_they_show(tmp_path: Path) -> None:
    """One run is not five, and 600 frames are not 3,000, with misses or without."""
    few = write_bundle(tmp_path / "few", settings_of(run_count=1))
    assert _verify(few).verdict is Verdict.INSUFFICIENT
    bad = write_bundle(
        tmp_path / "bad", settings_of(run_count=1), age_ms=lambda i: 150.0 if i < 9 else 20.0
    )
    report = _verify(bad)
    assert report.verdict is Verdict.INSUFFICIENT
    assert "already speak against the limit" in _reasons(report)


def test_late_and_dropped_frames_are_both_misses(tmp_path: Path) -> None:
    """Three late and two dropped frames of each run fail, and are counted apart."""
    ages: dict[int, float | None] = {10: 100.1, 50: 100.1, 90: 100.1, 200: None, 201: None}
    folder = write_bundle(
        tmp_path / "b", settings_of(), age_ms=lambda i: ages.get(i, 100.0 if i % 5 == 0 else 20.0)
    )
    report = _verify(folder)
    assert report.verdict is Verdict.FAIL
    misses = report.arms[0].misses
    assert misses is not None
    assert (misses.late_count, misses.dropped_count, misses.longest_run) == (15, 10, 2)
    age = report.arms[0].age
    assert age is not None
    assert age.observed_max_ms is None


def test_one_miss_in_3000_frames_is_undecided(tmp_path: Path) -> None:
    """Neither bound speaks: more frames are needed."""
    settings = settings_of(frame_count=3000, run_count=5)
    folder = write_bundle(
        tmp_path / "b", settings, age_ms=lambda i: None if i in {100, 1000} else 20.0
    )
    report = _verify(folder)
    assert report.verdict is Verdict.INSUFFICIENT
    assert "more frames are needed" in _reasons(report)


def test_agx_closes_its_row_only_with_known_code(tmp_path: Path) -> None:
    """30,000 frames on a module close the row; from a changed tree they do not."""
    settings = settings_of(frame_count=6000, arms=(Arm.IDLE, Arm.IDLE_GAP))
    clean = _verify(write_bundle(tmp_path / "clean", settings, platform=agx_platform()))
    assert (clean.verdict, clean.closes_agx_row) == (Verdict.PASS, True)
    dirty = _verify(
        write_bundle(tmp_path / "dirty", settings, platform=agx_platform(), is_dirty=True)
    )
    assert (dirty.verdict, dirty.closes_agx_row) == (Verdict.PASS, False)


def test_arm_that_decides_but_was_not_recorded_is_insufficient(tmp_path: Path) -> None:
    """An AGX bundle without the idle-gap arm does not pass."""
    folder = write_bundle(tmp_path / "b", settings_of(frame_count=6000), platform=agx_platform())
    report = _verify(folder)
    assert report.verdict is Verdict.INSUFFICIENT
    assert "idle-gap was not recorded" in _reasons(report)


def test_unit_without_a_budget_fails(bundle: Path) -> None:
    """Nobody set a limit, so nothing can keep it."""
    report = verify_bundle(bundle, Budgets(agx={}, surrogate={}, soak=load_budgets().soak))
    assert report.verdict is Verdict.FAIL
    assert "no budget" in _reasons(report)


@pytest.mark.parametrize("change", [{"fps": 25}, {"height_px": 480}, {"deadline_ms": 90}])
def test_other_conditions_than_the_budget_are_insufficient(
    tmp_path: Path, change: dict[str, int]
) -> None:
    """A slower source or a smaller picture proves nothing about the limits."""
    report = _verify(write_bundle(tmp_path / "b", settings_of(**change)))
    assert report.verdict is Verdict.INSUFFICIENT
    assert "the budget is for" in _reasons(report)


def _later(rows: list[FrameRow]) -> list[FrameRow]:
    """Move one arrival, so that the result looks younger."""
    return [replace(rows[0]), replace(rows[1], t0_ns=rows[1].t0_ns + 1), *rows[2:]]


def _verdict_of_other_times(rows: list[FrameRow]) -> list[FrameRow]:
    """Make a late frame look met."""
    return [replace(rows[0], verdict="missed"), *rows[1:]]


def _before_the_last_one(rows: list[FrameRow]) -> list[FrameRow]:
    """Let the unit begin a frame before it has finished the one before."""
    former = rows[4]
    assert former.t2_ns is not None
    moved = replace(rows[5], t0_ns=rows[5].t0_ns, t1_ns=former.t2_ns - 1)
    return [*rows[:5], moved, *rows[6:]]


def _backwards(rows: list[FrameRow]) -> list[FrameRow]:
    """Finish a frame before it began."""
    assert rows[3].t1_ns is not None
    return [*rows[:3], replace(rows[3], t2_ns=rows[3].t1_ns - 1), *rows[4:]]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda rows: rows[:100] + rows[101:], "expected frames 0 to 599"),
        (lambda rows: rows[:-1], "expected frames 0 to 599"),
        (lambda rows: [*rows, rows[-1]], "expected frames 0 to 599"),
        (lambda rows: [rows[1], rows[0], *rows[2:]], "expected frames 0 to 599"),
        (_later, "off its schedule"),
        (_backwards, "times run backwards"),
        (_before_the_last_one, "before the frame before it was finished"),
        (_verdict_of_other_times, "verdict is not that of its times"),
        (
            lambda rows: [replace(rows[0], outcome="withheld:frame_black"), *rows[1:]],
            "was not computed",
        ),
    ],
)
def test_changed_rows_are_invalid_even_with_fresh_sums(
    bundle: Path, edit: Callable[[list[FrameRow]], list[FrameRow]], reason: str
) -> None:
    """The rows of a run hold each other in place."""
    edit_rows(bundle / FRAMES, edit)
    report = _verify(bundle)
    assert report.verdict is Verdict.INVALID
    assert reason in _reasons(report)


@pytest.mark.parametrize(
    "name", [FRAMES, "warmup-idle-02.csv.gz", TELEMETRY, "manifest.json", "log.jsonl"]
)
def test_one_changed_byte_is_invalid(bundle: Path, name: str) -> None:
    """Every file has its digest."""
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(bytes(data))
    assert _verify(bundle).verdict is Verdict.INVALID


def test_changed_digest_is_invalid(bundle: Path) -> None:
    """The sums themselves may not be edited."""
    path = bundle / "SHA256SUMS"
    text = path.read_text(encoding="utf-8")
    path.write_text(("1" if text[0] != "1" else "2") + text[1:], encoding="utf-8")
    report = _verify(bundle)
    assert report.verdict is Verdict.INVALID
    assert "differs from its digest" in _reasons(report)


@pytest.mark.parametrize("name", ["SHA256SUMS", "manifest.json", FRAMES, "log.jsonl"])
def test_missing_file_is_invalid(bundle: Path, name: str) -> None:
    """A bundle is whole or nothing."""
    (bundle / name).unlink()
    assert _verify(bundle).verdict is Verdict.INVALID


def test_extra_file_and_link_are_invalid(bundle: Path) -> None:
    """Nothing may lie beside the plan."""
    (bundle / "notes.txt").write_text("x", encoding="utf-8")
    assert "notes.txt is not listed" in _reasons(_verify(bundle))
    write_sums(bundle)
    assert "does not belong to the plan" in _reasons(_verify(bundle))
    (bundle / "notes.txt").unlink()
    target = bundle / TELEMETRY
    (bundle.parent / "elsewhere").write_bytes(target.read_bytes())
    target.unlink()
    target.symlink_to(bundle.parent / "elsewhere")
    write_sums(bundle)
    assert "not a regular file" in _reasons(_verify(bundle))


def test_wall_clock_step_is_invalid(bundle: Path) -> None:
    """A clock that was set between two samples takes the meaning of the record's date."""
    lines = (bundle / TELEMETRY).read_text(encoding="ascii").splitlines()
    cells = lines[20].split(",")
    cells[1] = str(int(cells[1]) + 60_000_000)
    lines[20] = ",".join(cells)
    (bundle / TELEMETRY).write_text("\n".join(lines) + "\n", encoding="ascii")
    write_sums(bundle)
    report = _verify(bundle)
    assert report.verdict is Verdict.INVALID
    assert "wall clock stepped by 60 ms" in _reasons(report)


def test_throttle_is_invalid(bundle: Path) -> None:
    """A processor that was slowed down did not run under the recorded conditions."""
    path = bundle / TELEMETRY
    head, _, last = path.read_text(encoding="ascii").strip().rpartition("\n")
    path.write_text(f"{head}\n{last.replace(',7.0,', ',9.0,')}\n", encoding="ascii")
    write_sums(bundle)
    assert "throttled 2 times" in _reasons(_verify(bundle))


def test_telemetry_that_ends_early_is_invalid(bundle: Path) -> None:
    """What happened afterwards would be unknown."""
    path = bundle / TELEMETRY
    lines = path.read_text(encoding="ascii").splitlines()
    path.write_text("\n".join(lines[:50]) + "\n", encoding="ascii")
    write_sums(bundle)
    assert "does not cover the run" in _reasons(_verify(bundle))


def test_changed_clock_is_invalid_on_a_module(tmp_path: Path) -> None:
    """Clocks are to be fixed where the budget says so."""
    settings = settings_of(run_count=1)
    folder = write_bundle(tmp_path / "b", settings, platform=agx_platform())
    path = folder / TELEMETRY
    head, _, last = path.read_text(encoding="ascii").strip().rpartition("\n")
    path.write_text(f"{head}\n{last.replace('2000.0', '1200.0')}\n", encoding="ascii")
    write_sums(folder)
    assert "clock of the CPU changed between 1200 and 2000 MHz" in _reasons(_verify(folder))


def _set(*keys: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    """Return an edit that sets one place of a JSON object."""

    def edit(parsed: dict[str, Any]) -> None:
        place: Any = parsed
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_set("platform", "platform_class", value="agx"), "machine's own files say surrogate"),
        (_set("schema_version", value=2), "breaks its schema"),
        (_set("verdict", value="PASS"), "breaks its schema"),
        (_set("settings", "frame_count", value=500), "expected frames 0 to 499"),
        (_set("settings", "seed", value=2), "plan is not the one of the settings"),
        (_set("settings", "thread_count", value=4), "what ran is not what was asked for"),
        (_set("runs", 0, "model_sha256", value="1" * 64), "did not have one model"),
    ],
)
def test_changed_manifest_is_invalid(
    bundle: Path, edit: Callable[[dict[str, Any]], None], reason: str
) -> None:
    """The manifest is held by its schema, by the raw files and by the machine's own texts."""
    edit_json(bundle / "manifest.json", edit)
    report = _verify(bundle)
    assert report.verdict is Verdict.INVALID
    assert reason in _reasons(report)


def test_agx_texts_on_another_machine_are_invalid(tmp_path: Path) -> None:
    """The texts of a module do not fit to another instruction set."""
    forged = platform_of(platform_class="agx", tegra_release="Jetson AGX", board_model="Jetson AGX")
    report = _verify(write_bundle(tmp_path / "b", settings_of(), platform=forged))
    assert report.verdict is Verdict.INVALID


def test_commit_outside_the_history_is_invalid(bundle: Path) -> None:
    """A bundle of unknown code does not count in this repository."""
    report = verify_bundle(bundle, load_budgets(), repository=Path(__file__).parent)
    assert report.verdict is Verdict.INVALID
    assert "not in the history" in _reasons(report)


def test_budgets_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    """No default limit stands in for a file that is missing or wrong."""
    with pytest.raises(ContractError, match="cannot be used"):
        load_budgets(tmp_path / "none.toml")
