"""System verification of endoscopy: the protocols, through the installed command line only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import pytest
from PIL import Image

from trocar.apps.endoscopy import SHIPPED_PACK
from trocar.packs.verify import verify_pack
from trocar_lab.datasets.data_root import DataRootMissingError, require_data_root
from trocar_lab.datasets.kvasir_seg import KvasirItem, load_pair, read_index, select
from trocar_lab.datasets.splits import Split
from trocar_lab.metrics.overlap import MeanInterval, bootstrap_mean, dice

DICE_MIN: Final = 0.82
DICE_LOWER_95_MIN: Final = 0.78
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


@pytest.fixture(scope="module")
def held_out() -> tuple[KvasirItem, ...]:
    """Return the test side, or skip with the reason."""
    try:
        return select(read_index(require_data_root()), Split.TEST)
    except DataRootMissingError as exc:
        pytest.skip(f"accuracy was not measured: {exc}")


@pytest.fixture(scope="module")
def figure(
    held_out: tuple[KvasirItem, ...], tmp_path_factory: pytest.TempPathFactory
) -> MeanInterval:
    """Run the command line on the test side once; return the mean Dice with its interval."""
    folder = tmp_path_factory.mktemp("accuracy")
    inputs = folder / "in"
    inputs.mkdir()
    for item in held_out:
        (inputs / item.image_path.name).symlink_to(item.image_path)
    done = _trocar("run", "polyp_segmentation", inputs, "-o", folder / "out", "--json")
    assert done.returncode == 0, done.stderr
    scores = []
    for item in held_out:
        _, reference = load_pair(item)
        with Image.open(folder / "out" / "masks" / f"{item.item_id}.png") as image:
            mask = np.asarray(image)
        assert mask.shape == reference.shape
        assert set(np.unique(mask)) <= {0, 255}
        scores.append(dice(mask == 255, reference))
    return bootstrap_mean(scores, [item.group for item in held_out])


@pytest.mark.verifies("SRS_CLI_005", "SRS_PACK_005", extent="full", technique="requirement")
def test_card_figure_is_what_the_command_line_gives(
    figure: MeanInterval, record_property: Callable[[str, object], None]
) -> None:
    """The figure in the shipped card is computed again, through the released interface."""
    for name, value in asdict(figure).items():
        record_property(name, value)
    stated = verify_pack(SHIPPED_PACK).manifest.metrics[0]
    assert stated.name == "mean Dice"
    assert figure.item_count == stated.item_count >= 90
    assert figure.mean == pytest.approx(stated.value, abs=0.002)
    assert figure.lower == pytest.approx(stated.lower_95, abs=0.004)


@pytest.mark.case("TC_POLYP_ACCURACY_001")
@pytest.mark.verifies("SRS_POLYP_006", extent="full", technique="statistical")
@pytest.mark.xfail(
    strict=True, reason="ANO_ACCURACY: below the limit in 0.1.0, waived by name until a date"
)
def test_accuracy_on_groups_never_trained_on(figure: MeanInterval) -> None:
    """Mean Dice and the lower end of its interval keep the limits."""
    assert figure.mean >= DICE_MIN, figure
    assert figure.lower >= DICE_LOWER_95_MIN, figure


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
