"""A study is written whole: record, tables, picture and the very models that were measured."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from simulators.variant_study import SCALE, drawn_study
from trocar_lab.optimise.report import MODELS, STUDY_FILE, TABLE_FILE, markdown, write_study
from trocar_lab.optimise.study import Study


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """Return a study of the twin model."""
    return drawn_study(tmp_path / "pack", monkeypatch)[0]


@pytest.mark.verifies("SRS_OPT_005", extent="partial", technique="equivalence")
def test_record_names_the_calibration_frames_and_the_models(study: Study, tmp_path: Path) -> None:
    """Whoever reads it can repeat the study and check each file."""
    write_study(study, SCALE, tmp_path / "out")
    record = json.loads((tmp_path / "out" / STUDY_FILE).read_text(encoding="utf-8"))
    ids = record["calibration"]["ids"]
    text = "".join(f"{one}\n" for one in ids)
    assert record["calibration"]["digest"] == hashlib.sha256(text.encode()).hexdigest()
    for row in record["variants"]:
        stored = (tmp_path / "out" / MODELS / f"{row['name']}.onnx").read_bytes()
        assert hashlib.sha256(stored).hexdigest() == row["sha256"]
        assert len(stored) == row["size_bytes"]
    assert record["pack"]["digest"] == study.pack.digest
    assert {"tradeoff.svg", "tradeoff.png", TABLE_FILE} <= {
        one.name for one in (tmp_path / "out").iterdir()
    }


@pytest.mark.verifies("SRS_OPT_006", "SRS_OPT_007", extent="partial", technique="equivalence")
def test_tables_hold_every_row(study: Study) -> None:
    """Each measurement is one line; what does not run stands with its reason."""
    text = markdown(study)
    assert sum(line.startswith("| ") for line in text.splitlines()) == (
        len(study.timed) + len(study.judged) + 2
    )
    assert "- openvino-cpu fp16: no fp16 here" in text
    for final in study.finals:
        assert f"- {final.variant}, {final.engine}, {final.precision}:" in text
