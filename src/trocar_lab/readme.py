"""``python -m trocar_lab.readme``: the accuracy table of README.md, from the shipped pack."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from trocar.contracts.manifest import MANIFEST_NAME, ModelManifest
from trocar_lab.generated_text import is_current, parse_mode, write_texts

__all__ = ["BEGIN", "END", "accuracy_table", "main", "with_accuracy"]

BEGIN: Final = "<!-- accuracy:begin -->"
END: Final = "<!-- accuracy:end -->"

_MANIFEST: Final = Path("src", "trocar", "assets", "packs", "polyp_segmentation", MANIFEST_NAME)
_MEAN_DICE_REQUIRED: Final = 0.82
_LOWER_95_REQUIRED: Final = 0.78


def accuracy_table(manifest: ModelManifest) -> str:
    """Return the figures of a pack as Markdown, with what SYS_POLYP_001 asks for.

    Args:
        manifest: Manifest of the pack.
    """
    threshold = manifest.threshold.value
    lines = [
        f"Pack `{manifest.pack_id}` of {manifest.created_on}, threshold {threshold}:",
        "",
        "| metric | value | 95 % interval | images | groups |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.name} | {one.value:.4f} | {one.lower_95:.4f} to {one.upper_95:.4f} "
        f"| {one.item_count} | {one.group_count} |"
        for one in manifest.metrics
    ]
    sources = dict.fromkeys((one.data, one.method) for one in manifest.metrics)
    lines += ["", *(f"Data: {data}. Method: {method}." for data, method in sources)]
    return "\n".join([*lines, "", _requirement_line(manifest)])


def _requirement_line(manifest: ModelManifest) -> str:
    """Return whether the mean Dice meets its requirement: a comparison, not the evidence."""
    dice = [one for one in manifest.metrics if one.name == "mean Dice"]
    is_met = bool(dice) and all(
        one.value >= _MEAN_DICE_REQUIRED and one.lower_95 >= _LOWER_95_REQUIRED for one in dice
    )
    return (
        f"Required by SYS_POLYP_001: mean Dice at least {_MEAN_DICE_REQUIRED}, lower end at least "
        f"{_LOWER_95_REQUIRED}. By these figures it is **{'met' if is_met else 'not met'}**."
    )


def with_accuracy(readme: str, table: str) -> str:
    """Return the text with another table between the marks.

    Raises:
        ValueError: The marks are not there exactly once and in order.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before or END in after:
        msg = f"expected {BEGIN} and then {END}, each once"
        raise ValueError(msg)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the table; return 0 when README.md is current, else 1."""
    options = parse_mode("trocar_lab.readme", __doc__, arguments)
    path = options.root / "README.md"
    manifest = ModelManifest.model_validate_json((options.root / _MANIFEST).read_bytes())
    text = with_accuracy(path.read_text(encoding="utf-8"), accuracy_table(manifest))
    if options.write:
        write_texts({path: text})
    if not is_current(path, text):
        print(
            "README.md does not show the figures of the pack: python -m trocar_lab.readme --write"
        )
        return 1
    print(f"README.md shows the figures of {manifest.pack_id}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
