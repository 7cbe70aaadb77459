"""The guards themselves: each rule is broken on purpose in a small tree, and must turn red.

A checker that never fails looks the same as code without faults. So each rule meets a tree that
keeps it (green) and one that breaks it (red, at the right place).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from pydantic import ValidationError

from architecture.device_imports import IMPORT_RULES, UNSAFE
from architecture.exceptions import RuleException, load_exceptions, unexcused
from architecture.exports import EXPORT_RULES
from architecture.tidy import CODE_RULES, Rule, Violation
from architecture.tree_files import FILE_RULES, FRAGMENT_KINDS, candidate_files

RULES: Final[Mapping[str, Rule]] = {**CODE_RULES, **FILE_RULES, **EXPORT_RULES, **IMPORT_RULES}

CLEAN: Final = {
    ".gitignore": "__pycache__/\nout/\n*.tmp\n/top/\n",
    "src/trocar/__init__.py": '"""Device."""\n',
    "src/trocar/units/__init__.py": '"""Units."""\n',
    "src/trocar/units/area.py": '''"""Area."""

import numpy as np

__all__ = ["SIDE_PX", "area"]

SIDE_PX = 2
"""Side of a cell [px]."""


# @need-ids: SRS_POLYP_001, RCM_STALE_001
def area(count: int) -> int:
    """Return the area."""
    return int(np.abs(_squared(count)))  # noqa: ERA001 - the reason stands here


def _squared(count: int) -> int:
    """Return the square."""
    return count * count
''',
    "tests/unit/trocar/units/test_area.py": '"""Tests of area."""\n',
    "changelog.d/polyps.added.md": "Polyps are outlined.\n",
    "changelog.d/README.md": "How to write a fragment\n",
    "docs/images/screen.png": "\x89PNG\r\n\0",
}
"""A tree that keeps every rule."""

AREA: Final = CLEAN["src/trocar/units/area.py"]
LONG_BODY: Final = "\n".join(f"    x{n} = {n}" for n in range(60))
MACHINE: Final = "/" + "home/anna/data"

PLANTS: Final[list[tuple[str, str, str | bytes, int]]] = [
    # rule, file, its content, line at which red is expected
    (
        "function-length",
        "src/trocar/units/area.py",
        f"{AREA}\n\ndef _f() -> None:\n{LONG_BODY}\n",
        22,
    ),
    ("file-length", "benchmarks/b.py", "x = 1\n" * 501, 501),
    ("recursion", "src/trocar/units/area.py", AREA.replace("count * count", "_squared(count)"), 17),
    ("recursion", "src/trocar_lab/a.py", "def f():\n    g()\n\n\ndef g():\n    f()\n", 1),
    ("recursion", "src/trocar/b.py", "class A:\n    def f(self):\n        self.f()\n", 2),
    ("recursion", "src/trocar/b.py", "class A:\n    def f(self):\n        A.f(self)\n", 2),
    ("recursion", "src/trocar/b.py", "def f():\n    def g():\n        g()\n    g()\n", 2),
    ("banned-name", "src/trocar/utils.py", "", 1),
    ("banned-name", "src/trocar/helpers/frame.py", "", 1),
    ("banned-name", "src/trocar/mask_common.py", "", 1),
    ("banned-name", "tests/misc/test_a.py", "", 1),
    ("banned-name", "src/trocar_lab/a.py", "\nclass PackManager:\n    pass\n", 2),
    ("banned-name", "src/trocar_lab/a.py", "class UnitV2:\n    pass\n", 1),
    ("banned-name", "src/trocar_lab/a.py", "class NewFrame:\n    pass\n", 1),
    ("suppression", "src/trocar/b.py", "x = 1  # noqa: E501\n", 1),
    ("suppression", "src/trocar/b.py", "x = 1  # type: ignore[misc]\n", 1),
    ("suppression", "src/trocar/b.py", "x = 1  # pragma: no cover\n", 1),
    ("suppression", "src/trocar/b.py", "x = 1  # noqa: BLE001 - it is easier\n", 1),
    ("need-ids", "src/trocar/units/area.py", AREA.replace("@need-ids: ", "@need-ids "), 11),
    ("need-ids", "src/trocar/units/area.py", AREA.replace("SRS_POLYP_001, ", "SRS_POLYP_001,"), 11),
    ("need-ids", "src/trocar/units/area.py", AREA.replace("SRS_POLYP_001", "UN_POLYP_001"), 11),
    ("need-ids", "src/trocar/units/area.py", AREA.replace("RCM_STALE", "SRS_POLYP"), 11),
    ("need-ids", "src/trocar/units/area.py", AREA.replace("# @need-ids", "# need_ids"), 11),
    ("need-ids", "src/trocar/b.py", "x = 1  # @need-ids: SRS_POLYP_001\n", 1),
    ("need-ids", "src/trocar/b.py", "# @need-ids: SRS_POLYP_001\n\nx = 1\n", 1),
    ("need-ids", "src/trocar/b.py", "# @need-ids: SRS_POLYP_001\n# why\nx = 1\n", 1),
    ("need-ids", "src/trocar/b.py", "# @need-ids: SRS_POLYP_001\n", 1),
    ("mirror", "src/trocar/units/mask.py", '"""Mask."""\n', 1),
    ("mirror", "src/trocar/units/__init__.py", "def f():\n    pass\n", 1),
    ("mirror", "tests/unit/trocar/units/test_gone.py", "", 1),
    ("stray-bound", "src/trocar/units/b.py", "X: int = 1\n_SIDE_MAX: int = 3\n", 2),
    ("stray-bound", "src/trocar/units/b.py", "AGE_MS_DEFAULT = -3 * 10**2\n", 1),
    ("machine-path", "docs/how-to.rst", f"Run\n\n   trocar run {MACHINE}\n", 3),
    ("machine-path", "src/trocar/b.py", f'x = "{"C:" + chr(92)}Users{chr(92)}anna"\n', 1),
    ("patient-file", "docs/case.png", b"", 1),
    ("patient-file", "verification/case.NII.gz", b"", 1),
    ("patient-file", "src/trocar/units/clip.mp4", b"", 1),
    ("patient-file", "tests/replay/case.dat", b"\xff\xd8\xff\xe0", 1),
    ("patient-file", "tests/replay/case", bytes(128) + b"DICM", 1),
    ("encoding", "docs/index.rst", b"Title\nna\xefve\n", 2),
    ("encoding", "docs/index.rst", b"\xef\xbb\xbfTitle\n", 1),
    ("encoding", "docs/index.rst", b"Title\n\r\n", 2),
    ("fragment", "changelog.d/polyps.improved.md", "Polyps are outlined.\n", 1),
    ("fragment", "changelog.d/Polyps.added.rst", "Polyps are outlined.\n", 1),
    ("fragment", "changelog.d/polyps.fixed.md", "\n", 1),
    ("fragment", "changelog.d/polyps.fixed.md", "Polyps\n\nare outlined.\n", 1),
    ("exports", "src/trocar/units/area.py", AREA.replace(', "area"', ""), 12),
    ("exports", "src/trocar/units/area.py", AREA.replace(', "area"', ', "area", "volume"'), 1),
    ("exports", "src/trocar/units/area.py", AREA.replace("__all__ = ", "_all = "), 7),
    ("description", "src/trocar/units/area.py", AREA.replace('"""Side of a cell [px]."""', ""), 7),
    ("description", "src/trocar/units/area.py", AREA.replace('"""Return the area."""', ""), 12),
    ("toolchain-import", "src/trocar/b.py", "def f():\n    import torch.nn\n", 2),
    ("toolchain-import", "src/trocar/b.py", "from trocar_lab import metrics\n", 1),
    (
        "toolchain-import",
        "src/trocar/b.py",
        'import importlib\nimportlib.import_module("cv2")\n',
        2,
    ),
    ("toolchain-import", "src/trocar/b.py", '__import__("scipy.ndimage")\n', 1),
    *[("unsafe-import", "src/trocar/b.py", f"import {name}\n", 1) for name in sorted(UNSAFE)],
    ("unsafe-import", "src/trocar/b.py", "def f():\n    from urllib.request import urlopen\n", 2),
]


def plant(root: Path, changes: Mapping[str, str | bytes]) -> Path:
    """Write the clean tree with some files changed or added, and return its root."""
    for name, content in {**CLEAN, **changes}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("latin-1") if isinstance(content, str) else content)
    return root


@pytest.mark.parametrize("rule", sorted(RULES))
def test_clean_tree_is_green(rule: str, tmp_path: Path) -> None:
    """A rule that is always red would be switched off; the clean tree breaks none."""
    assert RULES[rule](plant(tmp_path, {})) == []


@pytest.mark.parametrize(("rule", "name", "content", "line"), PLANTS)
def test_planted_violation_is_red(
    rule: str, name: str, content: str | bytes, line: int, tmp_path: Path
) -> None:
    """Each rule finds what breaks it, at its file and line, and says what to do."""
    violations = RULES[rule](plant(tmp_path, {name: content}))
    assert [(v.rule, v.path, v.line) for v in violations[:1]] == [(rule, name, line)]
    assert str(violations[0]).startswith(f"{name}:{line}: [{rule}] ")
    assert violations[0].remedy


def test_each_rule_has_a_planted_violation() -> None:
    """A rule added without its guard is not known to work."""
    assert {rule for rule, *_ in PLANTS} == set(RULES)


@pytest.mark.parametrize(
    "body",
    [
        f'    """Say it.\n{chr(10) * 40}    """\n{LONG_BODY.partition(chr(10))[2]}\n',
        LONG_BODY.partition("\n")[2] + "\n",
    ],
    ids=["long-docstring", "exactly-at-the-limit"],
)
def test_function_at_the_limit_is_green(body: str, tmp_path: Path) -> None:
    """The limit itself is allowed, and a docstring never counts."""
    root = plant(tmp_path, {"benchmarks/b.py": f"def f() -> None:\n{body}"})
    assert CODE_RULES["function-length"](root) == []


def test_bound_in_its_place_is_green(tmp_path: Path) -> None:
    """The one module for bounds may hold them, and other modules may hold other constants."""
    changes = {
        "src/trocar/contracts/limits.py": "A_MAX = 1\n",
        "src/trocar/b.py": "MAXIMA = 2\n_DATA_DEFAULT = 'data'\nA_MAX = f(1)\n",
    }
    assert CODE_RULES["stray-bound"](plant(tmp_path, changes)) == []


def test_file_at_the_limit_is_green(tmp_path: Path) -> None:
    """Five hundred lines are allowed, the next one is not."""
    root = plant(tmp_path, {"benchmarks/b.py": "x = 1\n" * 500})
    assert CODE_RULES["file-length"](root) == []


@pytest.mark.parametrize(
    "code",
    [
        "class A:\n    def f(self):\n        self.inner.f()\n",
        "class A:\n    def f(self):\n        super().f()\n",
        "class A:\n    def f(self):\n        f()\n\n\ndef f():\n    pass\n",
        "def f():\n    def g():\n        pass\n    g()\n",
    ],
)
def test_call_of_a_namesake_is_not_recursion(code: str, tmp_path: Path) -> None:
    """Delegation to another object of the same interface is the rule here, not a fault."""
    assert CODE_RULES["recursion"](plant(tmp_path, {"src/trocar/b.py": code})) == []


def test_blind_except_is_allowed_in_the_outermost_loops(tmp_path: Path) -> None:
    """The scheduler and the command line catch everything once, with a reason."""
    code = "x = 1  # noqa: BLE001 - the outermost loop reports and stops\n"
    root = plant(
        tmp_path, {"src/trocar/streaming/scheduler.py": code, "src/trocar/cli/main.py": code}
    )
    assert CODE_RULES["suppression"](root) == []


def test_ignored_files_are_not_candidates(tmp_path: Path) -> None:
    """What never enters the history may hold anything."""
    ignored = {"out/a.rst": MACHINE, "docs/b.tmp": MACHINE, "top/c.rst": MACHINE}
    root = plant(tmp_path, {**ignored, "docs/top/d.rst": MACHINE})
    assert {v.path for v in FILE_RULES["machine-path"](root)} == {"docs/top/d.rst"}
    assert not {root / name for name in ignored} & set(candidate_files(root))


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not on this machine")
def test_ignored_file_that_git_tracks_is_a_candidate(tmp_path: Path) -> None:
    """A file added by force is in the history, whatever the list of ignored files says."""
    root = plant(tmp_path, {"out/case.png": b""})
    for arguments in (["init", "-q"], ["add", "-f", "out/case.png"]):
        subprocess.run(["git", "-C", str(root), *arguments], check=True, timeout=60)
    assert [v.path for v in FILE_RULES["patient-file"](root)] == ["out/case.png"]


@pytest.mark.parametrize("kind", FRAGMENT_KINDS)
def test_each_kind_of_fragment_is_green(kind: str, tmp_path: Path) -> None:
    """The six kinds of the changelog are accepted."""
    root = plant(tmp_path, {f"changelog.d/a_thing-1.{kind}.md": "It is so.\n"})
    assert FILE_RULES["fragment"](root) == []


# ------------------------------------------------------------------------------ exceptions


def _exception(**changes: object) -> RuleException:
    """Return an exception for two places of one rule in one file."""
    facts = {"rule": "recursion", "path": "a.py", "at_most": 2, "reason": "r" * 20, "issue": "#12"}
    return RuleException.model_validate({**facts, **changes})


def _violations(count: int, *, measured: int = 0) -> list[Violation]:
    """Return violations of one rule in one file."""
    return [
        Violation("recursion", "a.py", line, "f", "found", "remedy", measured)
        for line in range(1, count + 1)
    ]


def test_exception_that_fits_excuses() -> None:
    """What is listed, as large as it is listed, passes."""
    assert unexcused(_violations(2), [_exception()]) == []
    assert unexcused(_violations(1, measured=72), [_exception(at_most=72, symbol="f")]) == []


@pytest.mark.parametrize("count", [0, 1])
def test_exception_too_wide_is_red(count: int) -> None:
    """An exception may only shrink: as soon as less is needed, less is allowed."""
    remaining = unexcused(_violations(count), [_exception()])
    assert len(remaining) == 1
    assert remaining[0].endswith("delete the exception" if count == 0 else "lower at_most to 1")


def test_exception_that_grew_is_red() -> None:
    """One more than listed: every place is shown, for nobody knows which one is the new one."""
    assert len(unexcused(_violations(3), [_exception()])) == 3


@pytest.mark.parametrize("changes", [{"rule": "mirror"}, {"path": "b.py"}, {"symbol": "g"}])
def test_exception_for_something_else_does_not_excuse(changes: dict[str, str]) -> None:
    """Rule, file and symbol must all be the ones that are meant."""
    remaining = unexcused(_violations(2), [_exception(**changes)])
    assert len(remaining) == 3


@pytest.mark.parametrize(
    "changes", [{"reason": "because"}, {"issue": ""}, {"at_most": 0}, {"x": 1}]
)
def test_exception_without_reason_is_refused(changes: dict[str, object]) -> None:
    """An exception without reason and issue is not one."""
    with pytest.raises(ValidationError):
        _exception(**changes)


def test_list_of_exceptions_is_read(tmp_path: Path) -> None:
    """The file that is used is read as it is meant; an empty one holds none."""
    path = tmp_path / "exceptions.toml"
    path.write_text("", encoding="utf-8")
    assert load_exceptions(path) == []
    entry = {key: value for key, value in _exception().model_dump().items() if value}
    lines = [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
    path.write_text("\n".join(["[[exception]]", *lines]), encoding="utf-8")
    assert load_exceptions(path) == [_exception()]
