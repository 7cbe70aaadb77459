"""System verification of tool detection: the protocol, through the installed command line only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import pytest

from trocar.apps.surgical_tools import SHIPPED_PACK
from trocar.packs.verify import verify_pack
from trocar_lab.datasets.cholect50 import (
    DATASET_ID,
    LABELS,
    ToolFrameItem,
    read_registered,
    select,
)
from trocar_lab.datasets.data_root import DataRootMissingError, require_data_root
from trocar_lab.datasets.registered import registered_digest
from trocar_lab.metrics.average_precision import ClassFigure
from trocar_lab.tool_detection.evaluate import read_results, summarise

TEST_PROCEDURE: Final = "VID73"
FRAME_COUNT: Final = 160
MEAN_AP50_MIN: Final = 0.35
MEAN_AP50_LOWER_95_MIN: Final = 0.20
CASE_SECONDS_MAX: Final = 600
ROUNDING: Final = 0.01


class BelowLimitError(AssertionError):
    """The figure was measured as the protocol says, and is below a limit."""


@dataclass(frozen=True)
class ToolAccuracy:
    """What the protocol reports.

    Attributes:
        figures: Average precision of each class and their mean, with intervals.
        withheld_count: Frames without a result; each counts as nothing found.
        pack_digest: Digest of the pack in every record.
    """

    figures: Mapping[str, ClassFigure]
    withheld_count: int
    pack_digest: str

    def report(self, record_property: Callable[[str, object], None]) -> None:
        """Leave everything in the evidence, with the card's figures beside it."""
        stated = {one.name: one.value for one in verify_pack(SHIPPED_PACK).manifest.metrics}
        for name, one in self.figures.items():
            record_property(f"ap50_{name}", one.ap50)
            record_property(f"ap50_{name}_interval", list(one.ap50_interval))
            record_property(f"ap50_95_{name}", one.ap50_95)
            record_property(f"ap50_95_{name}_interval", list(one.ap50_95_interval))
            record_property(f"box_count_{name}", one.box_count)
            record_property(f"card_ap50_{name}", stated[f"AP50, {name}"])
        record_property("withheld_count", self.withheld_count)
        record_property("pack_digest", self.pack_digest)
        record_property("data_digest", registered_digest(DATASET_ID))


@pytest.fixture(scope="module")
def unseen() -> tuple[ToolFrameItem, ...]:
    """Return the test procedure of the registered data, or skip with the reason."""
    try:
        return select(read_registered(require_data_root()), [TEST_PROCEDURE])
    except (DataRootMissingError, FileNotFoundError) as exc:
        pytest.skip(f"accuracy was not measured: {exc}")


@pytest.fixture(scope="module")
def accuracy(
    unseen: tuple[ToolFrameItem, ...], tmp_path_factory: pytest.TempPathFactory
) -> ToolAccuracy:
    """Run the command line on the test procedure once; return what came out."""
    folder = tmp_path_factory.mktemp("tool_accuracy")
    inputs = folder / "in"
    inputs.mkdir()
    for item in unseen:
        (inputs / f"{item.item_id}.jpg").symlink_to(item.image_path)
    engine = ("--engine", "onnxruntime-cpu", "--precision", "fp32", "--threads", "2")
    words = ("run", "tool_detection", inputs, "-o", folder / "out", "--json", *engine)
    done = subprocess.run(
        [sys.executable, "-m", "trocar", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=CASE_SECONDS_MAX,
        check=False,
        env={**os.environ, "TROCAR_DATA": ""},
    )
    assert done.returncode == 0, done.stderr
    results = folder / "out" / "results.jsonl"
    judged = read_results(results, unseen)
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    (pack_digest,) = {line["provenance"]["pack_digest"] for line in lines}
    return ToolAccuracy(
        figures=summarise(judged),
        withheld_count=sum(one.is_withheld for one in judged),
        pack_digest=pack_digest,
    )


@pytest.mark.verifies("SRS_TOOL_028", extent="partial", technique="requirement")
def test_card_figures_are_what_the_command_line_gives(accuracy: ToolAccuracy) -> None:
    """Each figure of the shipped manifest is computed again, through the released interface.

    The record rounds scores and boxes, so that ties and overlaps at a limit may fall the other way.
    """
    stated = {one.name: one for one in verify_pack(SHIPPED_PACK).manifest.metrics}
    assert set(accuracy.figures) == {*LABELS, "mean"}
    for name, one in accuracy.figures.items():
        assert stated[f"AP50, {name}"].value == pytest.approx(one.ap50, abs=ROUNDING)
        assert stated[f"AP50:95, {name}"].value == pytest.approx(one.ap50_95, abs=ROUNDING)
    assert accuracy.pack_digest == verify_pack(SHIPPED_PACK).digest


@pytest.mark.verifies("SRS_TOOL_020", extent="partial", technique="statistical")
def test_lower_end_on_an_unseen_procedure_keeps_the_limit_of_the_system(
    accuracy: ToolAccuracy,
) -> None:
    """The limit of the system requirement is kept also where that of the release is missed."""
    assert accuracy.figures["mean"].ap50_interval[0] >= MEAN_AP50_LOWER_95_MIN


@pytest.mark.case("TC_TOOL_ACCURACY_001")
@pytest.mark.verifies("SRS_TOOL_020", extent="full", technique="statistical")
@pytest.mark.xfail(
    strict=True,
    raises=BelowLimitError,
    reason="ANO_TOOL_ACCURACY: mean AP50 below the limit in 0.1.0",
)
def test_accuracy_on_a_procedure_never_trained_on(
    accuracy: ToolAccuracy, record_property: Callable[[str, object], None]
) -> None:
    """Mean AP50 and the lower end of its interval keep the limits.

    Nothing but a figure below a limit is expected here: other data, a lost line or a failed run are
    errors.
    """
    accuracy.report(record_property)
    mean = accuracy.figures["mean"]
    assert mean.frame_count == FRAME_COUNT
    if not (mean.ap50 >= MEAN_AP50_MIN and mean.ap50_interval[0] >= MEAN_AP50_LOWER_95_MIN):
        raise BelowLimitError(accuracy)
