"""System verification of endoscopy: the protocols, through the installed command line only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import av
import pytest

from trocar.apps.endoscopy import SHIPPED_PACK
from trocar.packs.verify import verify_pack
from trocar_lab.datasets.data_root import DataRootMissingError, require_data_root
from trocar_lab.datasets.kvasir_seg import DATASET_ID, KvasirItem, read_registered, select
from trocar_lab.datasets.registered import registered_digest
from trocar_lab.datasets.splits import Split
from trocar_lab.metrics.overlap import MeanInterval, bootstrap_mean
from trocar_lab.polyp.evaluate import score_mask_files

DICE_MIN: Final = 0.82
DICE_LOWER_95_MIN: Final = 0.78
DICE_POOR: Final = 0.5
IMAGE_COUNT: Final = 97
BOOTSTRAP_SEED: Final = 20261121
BOOTSTRAP_COUNT: Final = 10_000
CASE_SECONDS_MAX: Final = 600


def _trocar(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "trocar", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=CASE_SECONDS_MAX,
        check=False,
        env={**os.environ, "TROCAR_DATA": ""},
    )


def _records(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a JSONL result."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class BelowLimitError(AssertionError):
    """The figure was measured as the protocol says, and is below a limit."""


@dataclass(frozen=True)
class Accuracy:
    """What protocol 01 reports.

    Attributes:
        figure: Mean Dice with its interval.
        poor_count: Images with Dice below 0.5.
        withheld_count: Images without a result; each counts with Dice 0.
        pack_digest: Digest of the pack in every record.
    """

    figure: MeanInterval
    poor_count: int
    withheld_count: int
    pack_digest: str

    def report(self, record_property: Callable[[str, object], None]) -> None:
        """Leave everything in the evidence, with the card's figures beside it."""
        stated = verify_pack(SHIPPED_PACK).manifest.metrics[0]
        fields = {
            **asdict(self.figure),
            "poor_count": self.poor_count,
            "withheld_count": self.withheld_count,
            "pack_digest": self.pack_digest,
            "data_digest": registered_digest(DATASET_ID),
            "card_mean": stated.value,
            "card_lower": stated.lower_95,
            "card_upper": stated.upper_95,
        }
        for name, value in fields.items():
            record_property(name, value)


@pytest.fixture(scope="module")
def held_out() -> tuple[KvasirItem, ...]:
    """Return the test side of the registered data, or skip with the reason; others are an error."""
    try:
        return select(read_registered(require_data_root()), Split.TEST)
    except DataRootMissingError as exc:
        pytest.skip(f"accuracy was not measured: {exc}")


@pytest.fixture(scope="module")
def accuracy(
    held_out: tuple[KvasirItem, ...], tmp_path_factory: pytest.TempPathFactory
) -> Accuracy:
    """Run the command line on the test side once; return what came out."""
    folder = tmp_path_factory.mktemp("accuracy")
    inputs = folder / "in"
    inputs.mkdir()
    for item in held_out:
        (inputs / item.image_path.name).symlink_to(item.image_path)
    engine = ("--engine", "onnxruntime-cpu", "--precision", "fp32", "--threads", "2")
    done = _trocar("run", "polyp_segmentation", inputs, "-o", folder / "out", "--json", *engine)
    assert done.returncode == 0, done.stderr
    scored = score_mask_files(folder / "out" / "masks", held_out)
    records = _records(folder / "out" / "results.jsonl")
    assert len(records) == len(held_out)
    withheld = {
        Path(record["source_id"]).stem
        for record in records
        if record["outcome"]["kind"] == "withheld"
    }
    # A mask that is missing for another reason than a withheld result would be a lost answer.
    assert {one.item.item_id for one in scored if one.is_missing} == withheld
    (pack_digest,) = {record["provenance"]["pack_digest"] for record in records}
    figure = bootstrap_mean(
        [one.dice for one in scored],
        [one.item.group for one in scored],
        seed=BOOTSTRAP_SEED,
        replicate_count=BOOTSTRAP_COUNT,
    )
    return Accuracy(
        figure=figure,
        poor_count=sum(one.dice < DICE_POOR for one in scored),
        withheld_count=len(withheld),
        pack_digest=pack_digest,
    )


@pytest.mark.verifies("SRS_CLI_005", "SRS_PACK_005", extent="full", technique="requirement")
def test_card_figure_is_what_the_command_line_gives(
    accuracy: Accuracy, record_property: Callable[[str, object], None]
) -> None:
    """The figure in the shipped card is computed again, through the released interface."""
    accuracy.report(record_property)
    figure = accuracy.figure
    stated = verify_pack(SHIPPED_PACK).manifest.metrics[0]
    assert stated.name == "mean Dice"
    assert figure.item_count == stated.item_count >= 90
    assert figure.mean == pytest.approx(stated.value, abs=0.002)
    assert figure.lower == pytest.approx(stated.lower_95, abs=0.004)
    assert accuracy.pack_digest == verify_pack(SHIPPED_PACK).digest


@pytest.mark.case("TC_POLYP_ACCURACY_001")
@pytest.mark.verifies("SRS_POLYP_006", extent="full", technique="statistical")
@pytest.mark.xfail(
    strict=True,
    raises=BelowLimitError,
    reason="ANO_ACCURACY: below the limit in 0.1.0, waived by name until a date",
)
def test_accuracy_on_groups_never_trained_on(
    accuracy: Accuracy, record_property: Callable[[str, object], None]
) -> None:
    """Mean Dice and the lower end of its interval keep the limits.

    Nothing but a figure below a limit is expected here: other data, a lost mask or a failed run are
    errors.
    """
    accuracy.report(record_property)
    figure = accuracy.figure
    assert figure.item_count == figure.group_count == IMAGE_COUNT
    if not (figure.mean >= DICE_MIN and figure.lower >= DICE_LOWER_95_MIN):
        raise BelowLimitError(accuracy)


@pytest.mark.case("TC_DEMO_001")
@pytest.mark.verifies(
    "SRS_CLI_003", "SRS_SINK_001", "SRS_SINK_002", extent="full", technique="requirement"
)
def test_demo_accounts_for_every_frame(tmp_path: Path) -> None:
    """The demo ends well, its overlay plays, and no frame of the clip is unaccounted for."""
    done = _trocar("demo", "-o", tmp_path / "demo", "--json")
    assert done.returncode == 0, done.stderr
    assert "RESEARCH USE ONLY" in done.stderr
    result = json.loads(done.stdout)
    clip = result["runs"][0]
    summary = clip["summary"]
    assert summary["received_count"] > 100
    assert summary["received_count"] == (
        summary["answered_count"] + summary["displaced_count"] + summary["undelivered_count"]
    )
    records = _records(Path(clip["folder"]) / "results.jsonl")
    assert len(records) == summary["answered_count"]
    digests = {record["provenance"]["pack_digest"] for record in records}
    assert len(digests) == 1
    with av.open(str(Path(clip["folder"]) / "overlay.mp4")) as container:
        shown = sum(1 for _ in container.decode(video=0))
    assert shown > 0
    assert (Path(clip["folder"]) / "latency.html").stat().st_size > 1000


@pytest.mark.verifies("SRS_CLI_003", "SRS_PACK_004", extent="full", technique="requirement")
def test_selftest_of_the_shipped_pack_passes() -> None:
    """What ships gives on this machine what it gave where it was made."""
    done = _trocar("selftest", "--json")
    assert done.returncode == 0, done.stderr
    case = json.loads(done.stdout)["selftest"][0]["reference_case"]
    assert case["mask_pixel_count"] > 0
    assert case["mask_dice"] >= case["mask_dice_limit"]
