"""A second item of the demo project that imports the first, and its classes of defect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from trocar_lab.evidence.selftest.demo_process import PROCESS_FILES
from trocar_lab.evidence.selftest.demo_strength import STRENGTH_FILES
from trocar_lab.evidence.source.defect_classes import FILE

_PLAN: Final = "docs/process/development.rst"
_COVERAGE: Final = "out/coverage-report.json"
_PLAYER: Final = "src/trocar/demo_player.py"
_UNIT: Final = """\
Player
======

.. unit:: Player
   :id: UNIT_DEMO_PLAYER
   :symbol: trocar.demo_player
   :safety_class: B
   :part_of: ITEM_DEMO_STREAM
   :implements: SRS_DEMO_002

   Hands the newest frame to the unit.
"""
_CODE: Final = '''\
"""The player."""


def play(frames: list[list[int]], age_ms: int) -> list[int] | None:
    """Return the answer to the newest frame."""
    from trocar.demo import Segmenter

    return Segmenter().run(frames[-1], age_ms)
'''
_TESTS: Final = '''\
"""Unit tests of the player."""

import pytest

from trocar.demo_player import play


@pytest.mark.verifies("UNIT_DEMO_PLAYER")
def test_newest_frame_is_answered() -> None:
    """The answer is that of the last frame."""
    assert play([[0], [1]], 0) == [1]
'''
_CLASSES: Final = """\
[[class]]
name = "mask of another size than its frame"
what = "A mask lies beside the structure that it was made for"
tests = ["tests/unit/test_demo.py::test_mask_has_size_of_frame"]
"""
_LISTED: Final = """
.. list-table::
   :header-rows: 1

   * - Class
     - Avoided by
   * - mask of another size than its
       frame
     - one mask value for each pixel
"""


def _with_player(report: str) -> str:
    """Return a coverage report in which the player is covered as well."""
    document: dict[str, Any] = json.loads(report)
    covered = {
        "num_statements": 3,
        "covered_lines": 3,
        "num_branches": 0,
        "covered_branches": 0,
    }
    document["files"][_PLAYER] = {"summary": covered}
    return json.dumps(document)


COMPLETENESS_FILES: Final[Mapping[str, str]] = {
    "docs/architecture/demo_player.rst": _UNIT,
    _PLAN: PROCESS_FILES[_PLAN] + _LISTED,
    _COVERAGE: _with_player(STRENGTH_FILES[_COVERAGE]),
    _PLAYER: _CODE,
    "tests/unit/test_demo_player.py": _TESTS,
    FILE: _CLASSES,
}
