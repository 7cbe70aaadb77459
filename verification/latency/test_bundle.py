"""A small real bundle: recorded through the shipped pack, verified, tampered with."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from scipy.stats import beta

from simulators.latency_bundles import edit_json, edit_rows
from trocar.apps.endoscopy import SHIPPED_PACK
from trocar_lab.latency.__main__ import main
from trocar_lab.latency.record import write_sums

FRAME_COUNT: Final = 150
FRAMES: Final = "frames-idle-01.csv.gz"
TELEMETRY: Final = "telemetry-idle-01.csv"
INSUFFICIENT: Final = 3
INVALID: Final = 4

pytestmark = [
    pytest.mark.case("TC_LATENCY_SURROGATE_001"),
    pytest.mark.verifies("SRS_LATENCY_001", extent="full", technique="fault_injection"),
]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record once: one run of the idle arm, far too few frames for any proof."""
    if not (SHIPPED_PACK / "manifest.json").is_file():
        pytest.skip("no bundle was recorded: this build ships no pack")
    folder = tmp_path_factory.mktemp("latency") / "bundle"
    words = f"record --arms idle --runs 1 --frames {FRAME_COUNT} -o {folder}"
    warm_up = "--warm-up-frames 30 --warm-up-block 15 --warm-up-blocks-max 4"
    assert main([*words.split(), *warm_up.split()]) == 0
    return folder


@pytest.fixture
def bundle(recorded: Path, tmp_path: Path) -> Path:
    """Return a copy to tamper with."""
    return Path(shutil.copytree(recorded, tmp_path / "bundle"))


def _report(bundle: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Verify through the command line; return the report, with the exit code in it."""
    capsys.readouterr()
    exit_code = main(["verify", str(bundle), "--json"])
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return {**report, "exit_code": exit_code}


def test_few_frames_on_a_host_prove_nothing(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The verdict is never PASS, the label is surrogate, and each frame is in the bundle once."""
    report = _report(bundle, capsys)
    assert report["verdict"] == "INSUFFICIENT", report["reasons"]
    assert report["exit_code"] == INSUFFICIENT
    assert report["label"].startswith("surrogate: ")
    assert report["closes_agx_row"] is False
    assert report["arms"][0]["misses"]["frame_count"] == FRAME_COUNT


def test_numbers_agree_with_code_that_shares_nothing(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Misses, bound and percentiles, computed here from the raw file alone."""
    arm = _report(bundle, capsys)["arms"][0]
    with gzip.open(bundle / FRAMES, "rt", encoding="ascii") as stream:
        rows = list(csv.DictReader(stream))
    ages = np.array([int(r["t3_ns"]) - int(r["t0_ns"]) for r in rows if r["t3_ns"]])
    miss_count = FRAME_COUNT - int((ages <= 100_000_000).sum())
    assert arm["misses"]["miss_count"] == miss_count
    hit_count = FRAME_COUNT - miss_count
    bound = 1.0 if hit_count == 0 else float(beta.ppf(0.95, miss_count + 1, hit_count))
    assert arm["misses"]["upper_one_sided_95"] == pytest.approx(bound, abs=1e-9)
    assert arm["age_answered"]["count"] == len(ages)
    median_ms = float(np.quantile(ages, 0.5, method="inverted_cdf")) / 1e6
    assert arm["age_answered"]["p50_ms"] == pytest.approx(median_ms, abs=1e-3)
    assert arm["age_answered"]["observed_max_ms"] == pytest.approx(ages.max() / 1e6, abs=1e-3)


def _change_one_number(bundle: Path) -> None:
    """Make one frame look one nanosecond younger, and write fresh sums."""
    edit_rows(
        bundle / FRAMES, lambda rows: [*rows[:-1], replace(rows[-1], t0_ns=rows[-1].t0_ns + 1)]
    )


def _remove_a_row(bundle: Path) -> None:
    """Take one frame out, and write fresh sums."""
    edit_rows(bundle / FRAMES, lambda rows: [*rows[:70], *rows[71:]])


def _edit_a_hash(bundle: Path) -> None:
    """Change one digit of one digest."""
    path = bundle / "SHA256SUMS"
    text = path.read_text(encoding="ascii")
    path.write_text(("0" if text[0] != "0" else "1") + text[1:], encoding="ascii")


def _edit_a_file(bundle: Path) -> None:
    """Change one file and leave its digest."""
    with (bundle / TELEMETRY).open("a", encoding="ascii") as stream:
        stream.write("\n")


def _step_the_clock(bundle: Path) -> None:
    """Let the wall clock jump by one second in the middle of the run, and write fresh sums."""
    path = bundle / TELEMETRY
    lines = path.read_text(encoding="ascii").splitlines()
    for number in range(len(lines) // 2, len(lines)):
        cells = lines[number].split(",")
        cells[1] = str(int(cells[1]) + 1_000_000_000)
        lines[number] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    write_sums(bundle)


def _call_it_agx(bundle: Path) -> None:
    """Label the host as the class that the requirement is about, and write fresh sums."""
    edit_json(bundle / "manifest.json", lambda m: m["platform"].update(platform_class="agx"))


def _break_it_off(bundle: Path) -> None:
    """Leave it as a recording that was killed."""
    (bundle / "SHA256SUMS").unlink()


@pytest.mark.parametrize(
    "tamper",
    [
        _change_one_number,
        _remove_a_row,
        _edit_a_hash,
        _edit_a_file,
        _step_the_clock,
        _call_it_agx,
        _break_it_off,
    ],
    ids=lambda tamper: tamper.__name__.strip("_"),
)
def test_tampered_bundle_is_invalid(
    bundle: Path, capsys: pytest.CaptureFixture[str], tamper: Callable[[Path], None]
) -> None:
    """Each change is found, whether or not the sums were written afresh."""
    tamper(bundle)
    report = _report(bundle, capsys)
    assert report["verdict"] == "INVALID"
    assert report["exit_code"] == INVALID
    assert report["closes_agx_row"] is False
