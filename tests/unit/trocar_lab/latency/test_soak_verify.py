"""The verdict on a soak follows from its raw files and the limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simulators.latency_bundles import edit_json, edit_rows
from simulators.soak_bundles import SoakShape, plan_of, write_soak
from trocar_lab.latency.budgets import load_budgets
from trocar_lab.latency.reports import Verdict
from trocar_lab.latency.settings import LOG_NAME, MANIFEST_NAME, SUMS_NAME
from trocar_lab.latency.soak_plan import SOAK_RUN, SoakPlan
from trocar_lab.latency.soak_text import soak_text
from trocar_lab.latency.soak_verify import SoakReport, verify_soak

MEMORY = pytest.mark.verifies("SRS_LATE_004", extent="full", technique="boundary")
FRAMES = pytest.mark.verifies("SRS_LATE_005", extent="full", technique="fault_injection")
REFUSED = pytest.mark.verifies("SRS_LATE_007", extent="full", technique="fault_injection")


def _verify(folder: Path, **shape: object) -> SoakReport:
    """Write a soak of a shape and verify it against the limits of the repository."""
    return verify_soak(write_soak(folder / "soak", SoakShape(**shape)), load_budgets())  # type: ignore[arg-type]  # words of the shape


def _growing(mib_per_hour: float) -> Callable[[float], float]:
    """Return a memory that grows steadily."""
    return lambda time_s: 400.0 + mib_per_hour * time_s / 3600.0


@MEMORY
@FRAMES
def test_flat_memory_and_whole_account_pass(tmp_path: Path) -> None:
    """An hour, three minutes before it, every frame once."""
    report = _verify(tmp_path)
    assert report.verdict is Verdict.PASS, report.reasons
    assert report.memory is not None
    assert report.memory.mib_per_hour == 0.0
    assert report.frames is not None
    assert (report.frames.planned_count, report.frames.unaccounted_count) == (3780, 0)
    assert report.label == "surrogate: Test CPU"
    assert "0 not accounted for" in soak_text(report)


@MEMORY
@pytest.mark.parametrize(
    ("mib_per_hour", "verdict"),
    [(0.99, Verdict.PASS), (1.01, Verdict.FAIL), (-5.0, Verdict.PASS), (20.0, Verdict.FAIL)],
)
def test_limit_of_the_slope(tmp_path: Path, mib_per_hour: float, verdict: Verdict) -> None:
    """Up to one MiB an hour passes, more fails."""
    assert _verify(tmp_path, rss_mib=_growing(mib_per_hour)).verdict is verdict


@MEMORY
def test_growth_of_the_warm_up_does_not_count(tmp_path: Path) -> None:
    """Caches fill at first; what is judged is what goes on."""
    report = _verify(tmp_path, rss_mib=lambda time_s: 300.0 + min(time_s, 170.0))
    assert report.verdict is Verdict.PASS, report.reasons


@MEMORY
def test_uncertain_slope_is_insufficient(tmp_path: Path) -> None:
    """An interval that holds the limit proves neither side."""
    noise_mib = np.random.default_rng(5).normal(0.0, 3.0, 400)

    def wavy(time_s: float) -> float:
        return 400.0 + 0.9 * time_s / 3600.0 + float(noise_mib[int(time_s) // 10])

    report = _verify(tmp_path, rss_mib=wavy)
    assert report.verdict is Verdict.INSUFFICIENT
    assert "a longer run is needed" in report.reasons[0]


@MEMORY
@pytest.mark.parametrize(
    ("warm_up_s", "timed_s", "words"),
    [(180, 3599, "60 min are needed"), (179, 3600, "3 min are needed"), (180, 30, "too few")],
)
def test_short_soak_is_insufficient(
    tmp_path: Path, warm_up_s: int, timed_s: int, words: str
) -> None:
    """A second less than the limits ask for is no proof."""
    report = _verify(tmp_path, warm_up_s=warm_up_s, timed_s=timed_s)
    assert report.verdict is Verdict.INSUFFICIENT
    assert words in "\n".join(report.reasons)


@FRAMES
def test_dropped_frames_are_accounted_for(tmp_path: Path) -> None:
    """A drop that stands in the ledger is a miss, and no loss of account."""
    report = _verify(tmp_path, age_ms=lambda index: None if index % 50 == 7 else 20.0)
    assert report.verdict is Verdict.PASS, report.reasons
    assert report.frames is not None
    assert report.frames.dropped_count == 76
    assert report.misses is not None
    assert report.misses.dropped_count == report.misses.miss_count == 72


@FRAMES
@pytest.mark.parametrize("shape", [{"line_count_error": -1}, {"received_error": 1}])
def test_counts_of_the_device_that_differ_fail(tmp_path: Path, shape: dict[str, int]) -> None:
    """The record, the account and the rows must say the same."""
    report = _verify(tmp_path, **shape)
    assert report.verdict is Verdict.FAIL
    assert "1 frames are not accounted for" in report.reasons[0]


@FRAMES
@pytest.mark.parametrize("fault", ["missing", "double", "beyond"])
def test_frame_that_is_not_there_once_fails(tmp_path: Path, fault: str) -> None:
    """A row less, a row twice, a row that nobody planned: each is found, sums or not."""
    folder = write_soak(tmp_path / "soak", SoakShape())
    edit_rows(
        folder / SOAK_RUN.frames_name,
        lambda rows: {
            "missing": [*rows[:70], *rows[71:]],
            "double": [*rows[:71], *rows[70:]],
            "beyond": [*rows, replace(rows[-1], frame_index=99_999)],
        }[fault],
    )
    report = verify_soak(folder, load_budgets())
    assert report.verdict is Verdict.FAIL
    assert "not accounted for" in report.reasons[0]


def _remove_sums(folder: Path) -> None:
    """Leave it as a recording that was killed."""
    (folder / SUMS_NAME).unlink()


def _change_a_file(folder: Path) -> None:
    """Change a file and leave its digest."""
    (folder / LOG_NAME).write_text("{}\n", encoding="utf-8")


def _add_a_file(folder: Path) -> None:
    """Put a file there that nobody asked for."""
    (folder / "note.txt").write_text("x", encoding="utf-8")


def _call_it_agx(folder: Path) -> None:
    """Label the host as another class, with fresh sums."""
    edit_json(folder / MANIFEST_NAME, lambda m: m["platform"].update(platform_class="agx"))


def _break_the_manifest(folder: Path) -> None:
    """Take a field out, with fresh sums."""
    edit_json(folder / MANIFEST_NAME, lambda m: m.pop("plan"))


def _swap_the_unit(folder: Path) -> None:
    """Let another unit have run than was asked for."""
    edit_json(folder / MANIFEST_NAME, lambda m: m["plan"]["settings"].update(unit="other"))


def _empty_the_table(folder: Path) -> None:
    """Take every row out, with fresh sums."""
    edit_rows(folder / SOAK_RUN.frames_name, lambda rows: rows[:0])


def _shift_a_row(folder: Path) -> None:
    """Move one frame off its schedule by a nanosecond."""
    edit_rows(
        folder / SOAK_RUN.frames_name,
        lambda rows: [*rows[:-1], replace(rows[-1], t0_ns=rows[-1].t0_ns + 1)],
    )


@REFUSED
@pytest.mark.parametrize(
    "tamper",
    [
        _remove_sums,
        _change_a_file,
        _add_a_file,
        _call_it_agx,
        _break_the_manifest,
        _swap_the_unit,
        _shift_a_row,
    ],
    ids=lambda tamper: tamper.__name__.strip("_"),
)
def test_soak_that_was_changed_is_invalid(tmp_path: Path, tamper: Callable[[Path], None]) -> None:
    """Each change is found, and none of them raises."""
    folder = write_soak(tmp_path / "soak", SoakShape())
    tamper(folder)
    report = verify_soak(folder, load_budgets())
    assert report.verdict is Verdict.INVALID
    assert report.reasons
    assert "INVALID" in soak_text(report)


@REFUSED
def test_soak_without_rows_is_invalid(tmp_path: Path) -> None:
    """There is nothing to judge, and nothing raises."""
    folder = write_soak(tmp_path / "soak", SoakShape())
    _empty_the_table(folder)
    report = verify_soak(folder, load_budgets())
    assert report.verdict is Verdict.INVALID
    assert "no raw frames" in report.reasons
    assert report.misses is None


@MEMORY
def test_plan_refuses_frames_that_are_not_those_of_its_time() -> None:
    """Time and number of frames cannot say different things."""
    plan = plan_of(SoakShape())
    with pytest.raises(ValueError, match="expected 3781 frames, got 3780"):
        SoakPlan(settings=plan.settings, warm_up_s=180, timed_s=3601)
