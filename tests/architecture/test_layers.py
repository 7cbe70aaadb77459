"""The layers hold: by the import graph, by the text of every file, and by what an import loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from architecture.device_imports import IMPORT_RULES
from architecture.exceptions import load_exceptions, unexcused

ROOT: Final = Path(__file__).resolve().parents[2]
ENGINES: Final = frozenset({"onnxruntime", "openvino", "tensorrt"})
HEAVY: Final = frozenset({"av", "cv2", "numpy", "PIL", "pydantic", "scipy", "structlog", "torch"})


def run_import_linter(root: Path, *, cache: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the tree at ``root`` with the contracts of its pyproject.toml."""
    command = [
        *(sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"),
        *("--config", str(root / "pyproject.toml"), "--cache-dir", str(cache)),
    ]
    return subprocess.run(
        command,
        cwd=root,
        env={"PYTHONPATH": str(root / "src"), "PATH": "", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def loaded_by(module: str) -> set[str]:
    """Return the top-level packages that a fresh interpreter holds after importing ``module``."""
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); {code}",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return set(done.stdout.split())


def test_import_contracts_hold(tmp_path: Path) -> None:
    """Lower layers never import higher ones; siblings are blind to each other."""
    done = run_import_linter(ROOT, cache=tmp_path)
    # The exit code alone is not trusted: the summary must say that contracts were kept.
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout
    assert "6 kept" in done.stdout


@pytest.mark.verifies("SRS_SECURITY_001", extent="partial", technique="inspection")
@pytest.mark.parametrize("rule", sorted(IMPORT_RULES))
def test_device_imports_nothing_banned(rule: str) -> None:
    """No toolchain, no pickle, no network, no program started: nowhere, not in a function."""
    exceptions = [entry for entry in load_exceptions() if entry.rule == rule]
    remaining = unexcused(IMPORT_RULES[rule](ROOT), exceptions)
    assert not remaining, "\n" + "\n".join(remaining)


def test_package_import_is_light() -> None:
    """``import trocar`` answers for version and notice at once, on any machine."""
    assert not loaded_by("trocar") & (ENGINES | HEAVY)


@pytest.mark.parametrize(
    "module",
    [
        "trocar.contracts.ports",
        "trocar.contracts.manifest",
        "trocar.units",
        "trocar.backends.select",
    ],
)
def test_import_loads_no_engine(module: str) -> None:
    """An engine is loaded when it is asked for, so that one that is missing harms nobody else."""
    assert not loaded_by(module) & ENGINES
