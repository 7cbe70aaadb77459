"""The accuracy that a stranger reads first is the accuracy of the pack that ships."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from trocar.contracts.manifest import ModelManifest
from trocar_lab import readme

ROOT: Final = Path(__file__).resolve().parents[3]
MANIFEST: Final = Path("src", "trocar", "assets", "packs", "polyp_segmentation", "manifest.json")


def _manifest(*, value: float, lower: float) -> ModelManifest:
    """Return the shipped manifest with another mean Dice."""
    shipped = ModelManifest.model_validate_json((ROOT / MANIFEST).read_bytes())
    figures = {"value": value, "lower_95": lower, "upper_95": 1.0}
    metrics = (shipped.metrics[0].model_copy(update=figures), *shipped.metrics[1:])
    return shipped.model_copy(update={"metrics": metrics})


@pytest.mark.parametrize(
    ("value", "lower", "is_met"),
    [(0.82, 0.78, True), (0.8199, 0.78, False), (0.82, 0.7799, False), (0.9, 0.85, True)],
)
def test_table_says_whether_the_requirement_is_met(
    value: float, lower: float, *, is_met: bool
) -> None:
    """Both ends decide: a good mean with a wide interval must not look like success."""
    manifest = _manifest(value=value, lower=lower)
    table = readme.accuracy_table(manifest)
    assert ("**met**" in table, "**not met**" in table) == (is_met, not is_met)
    assert (
        f"| mean Dice | {value:.4f} | {lower:.4f} to 1.0000 | {manifest.metrics[0].item_count} |"
        in table
    )


@pytest.mark.parametrize("unit", ["polyp_segmentation", "tool_detection"])
def test_limits_are_those_of_the_requirement(unit: str) -> None:
    """Two copies of a limit drift apart unless they are compared."""
    words = (ROOT / "requirements_spec" / "system.rst").read_text(encoding="utf-8")
    manifest = _manifest(value=0.5, lower=0.4).model_copy(update={"unit": unit})
    table = readme.accuracy_table(manifest)
    required = table[table.index("Required by") :]
    need = required.split()[2].rstrip(":")
    block = words[words.index(f":id: {need}") :].partition(".. sys_req::")[0]
    limits = [float(one) for one in re.findall(r"at least (0\.\d+)", required)]
    stated = [float(one) for one in re.findall(r"at\s+least\s+(0\.\d+)", block)]
    assert limits == stated
    assert len(limits) == 2


@pytest.mark.parametrize(
    "text",
    ["", readme.BEGIN, f"{readme.END}{readme.BEGIN}", f"{readme.BEGIN * 2}{readme.END}"],
)
def test_marks_must_be_there_once_and_in_order(text: str) -> None:
    """A table that is written to the wrong place would stay stale in the right one."""
    with pytest.raises(ValueError, match="each once"):
        readme.with_accuracy(text, "table")


def test_write_mends_what_check_finds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An old table is red and says what to do; the text around it is kept."""
    (tmp_path / MANIFEST).parent.mkdir(parents=True)
    (tmp_path / MANIFEST).write_bytes((ROOT / MANIFEST).read_bytes())
    path = tmp_path / "README.md"
    path.write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n", encoding="utf-8")
    assert readme.main(["--check", "--root", str(tmp_path)]) == 1
    assert "--write" in capsys.readouterr().out
    assert readme.main(["--write", "--root", str(tmp_path)]) == 0
    assert readme.main(["--check", "--root", str(tmp_path)]) == 0
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{readme.BEGIN}\nPack `")
    assert text.endswith(f"{readme.END}\nafter\n")
    assert "\nold\n" not in text


def test_this_repository_is_current() -> None:
    """A pack that was replaced without its figures must not pass unnoticed."""
    assert readme.main(["--check", "--root", str(ROOT)]) == 0
