"""``python -m trocar_lab.readme``: the accuracy tables of README.md, from the shipped packs."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trocar.contracts.manifest import MANIFEST_NAME, ModelManifest
from trocar_lab.generated_text import is_current, parse_mode, write_texts

__all__ = ["BEGIN", "END", "accuracy_table", "main", "with_accuracy"]

BEGIN: Final = "<!-- accuracy:begin -->"
END: Final = "<!-- accuracy:end -->"

_PACKS: Final = Path("src", "trocar", "assets", "packs")


_BOX_COUNT: Final = re.compile(r", \d+ boxes")
"""What differs from class to class in the data of a figure; the card has it in its table."""


@dataclass(frozen=True)
class _Required:
    """What a requirement asks of a pack's figures.

    Attributes:
        need: Id of the requirement.
        metric: Name of the figure.
        value: At least this.
        lower_95: Lower end of its interval at least this.
    """

    need: str
    metric: str
    value: float
    lower_95: float


_REQUIRED: Final = {
    "polyp_segmentation": _Required("SYS_POLYP_001", "mean Dice", 0.82, 0.78),
    "tool_detection": _Required("SYS_TOOL_001", "AP50, mean", 0.35, 0.20),
}


def accuracy_table(manifest: ModelManifest) -> str:
    """Return the figures of a pack as Markdown, with what its requirement asks for.

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
    sources = dict.fromkeys((_BOX_COUNT.sub("", one.data), one.method) for one in manifest.metrics)
    lines += ["", *(f"Data: {data}. Method: {method}." for data, method in sources)]
    return "\n".join([*lines, "", _requirement_line(manifest)])


def _requirement_line(manifest: ModelManifest) -> str:
    """Return whether a figure meets its requirement: a comparison, not the evidence."""
    required = _REQUIRED[manifest.unit]
    figures = [one for one in manifest.metrics if one.name == required.metric]
    is_met = bool(figures) and all(
        one.value >= required.value and one.lower_95 >= required.lower_95 for one in figures
    )
    return (
        f"Required by {required.need}: {required.metric} at least {required.value:.2f}, lower end "
        f"at least {required.lower_95:.2f}. By these figures it is "
        f"**{'met' if is_met else 'not met'}**."
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
    manifests = [
        ModelManifest.model_validate_json(one.read_bytes())
        for one in sorted((options.root / _PACKS).glob(f"*/{MANIFEST_NAME}"))
    ]
    tables = "\n\n".join(accuracy_table(manifest) for manifest in manifests)
    text = with_accuracy(path.read_text(encoding="utf-8"), tables)
    if options.write:
        write_texts({path: text})
    if not is_current(path, text):
        print(
            "README.md does not show the figures of the packs: python -m trocar_lab.readme --write"
        )
        return 1
    print(f"README.md shows the figures of {', '.join(one.pack_id for one in manifests)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
