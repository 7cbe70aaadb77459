"""Runs mutmut on the code of the risk controls, one module at a time, in a copy of the project.

The working tree is never mutated. mutmut runs, for each mutant, the tests that call the mutated
function, in a process of its own; it refuses to begin when a test fails without a mutant, or when
no test fails although every mutated function raises.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.mutation.results import (
    Measurement,
    Verdicts,
    mangled,
    read_verdicts,
    results_of,
)
from trocar_lab.evidence.source.control_code import ControlCode, Member, read_control_code
from trocar_lab.evidence.source.device_source import read_device_source
from trocar_lab.evidence.source.digests_of_tests import digests_of_tests
from trocar_lab.evidence.source.python_tests import TestFile, scan_tests
from trocar_lab.evidence.store.strength import (
    MUTATION_PATH,
    MemberResult,
    MutationRecord,
    content_digest,
    mutation_text,
    read_mutation,
)

TOOL: Final = "mutmut"
_LEFT_OUT: Final = ("tests/architecture/", "tests/unit/trocar_lab/", "tests/fuzz/")
_NOT_COPIED: Final = frozenset({"out", "runs", "evidence", "build", "dist"})
_SECONDS_MAX: Final = 3600
_TIMEOUT_FACTOR: Final = 6.0
_TIMEOUT_SECONDS: Final = 2.0
_KEPT_LINES: Final = 25
_SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


def members_to_measure(root: Path, again: Sequence[str] = ()) -> dict[str, list[Member]]:
    """Return the functions to measure, by module: those without a present result, and more.

    Args:
        root: Repository root.
        again: Beginnings of module names whose functions are measured in any case; an empty text
            begins every name.
    """
    record = read_record(root)
    codes, _ = read_control_code(root, read_device_source(root).comments)
    members = {m.name: m for code in codes for m in code.members if not m.is_decorated}
    names = {used.name for result in record.functions.values() for used in result.tests}
    digests = digests_of_tests(root, names)
    found: dict[str, list[Member]] = {}
    for name, member in members.items():
        is_wanted = any(name.startswith(beginning) for beginning in again)
        if is_wanted or not _is_present(member, record.functions.get(name), digests):
            found.setdefault(name.partition(":")[0], []).append(member)
    return found


def _is_present(member: Member, result: MemberResult | None, digests: dict[str, str]) -> bool:
    """Return whether a result is about the present function and tests."""
    if result is None or result.digest != member.digest:
        return False
    return all(digests[used.name] == used.digest for used in result.tests)


def measure(
    root: Path, work: Path, *, say: Callable[[str], None], again: Sequence[str] = ()
) -> None:
    """Measure what must be measured and write the record after each module.

    Args:
        root: Repository root.
        work: Empty folder for the copy.
        say: Told what is done.
        again: Beginnings of module names that are measured also where a present result exists.

    Raises:
        EvidenceError: mutmut did not come to an end on a module; the others are measured.
    """
    codes, _ = read_control_code(root, read_device_source(root).comments)
    modules = members_to_measure(root, again)
    known = {m.name for code in codes for m in code.members if not m.is_decorated}
    write_record(root, {n: r for n, r in read_record(root).functions.items() if n in known})
    if not modules:
        say("every function has a present result")
        return
    failed: list[str] = []
    copy = work / "project"
    copy_project(root, copy)
    for number, (module, members) in enumerate(modules.items(), start=1):
        tests = files_for(root, module, codes)
        say(f"{number} of {len(modules)}: {module}, {len(members)} functions, {len(tests)} files")
        try:
            results = _measured(root, copy, members, tests)
        except EvidenceError as exc:
            say(f"  {exc}")
            failed.append(module)
            continue
        write_record(root, {**read_record(root).functions, **results})
        for name, result in results.items():
            noticed = result.killed + result.timeout
            say(f"  {name.partition(':')[2]}: {noticed} of {result.total}")
    if failed:
        raise EvidenceError(f"not measured: {', '.join(failed)}")


def copy_project(root: Path, copy: Path) -> None:
    """Copy a project without what is generated in it and without hidden files."""
    hidden = shutil.ignore_patterns(".*", "__pycache__")
    copy.mkdir()
    for path in root.iterdir():
        if path.name.startswith(".") or path.name in _NOT_COPIED:
            continue
        if path.is_dir():
            shutil.copytree(path, copy / path.name, ignore=hidden)
        else:
            shutil.copy2(path, copy / path.name)


def files_for(root: Path, module: str, codes: Iterable[ControlCode]) -> list[str]:
    """Return the test files that import a module or claim a control that stands in it.

    Tests of the toolchain and of the architecture say nothing about the device and are left out.

    Args:
        root: Repository root.
        module: The module.
        codes: The code of every control.
    """
    controls = {c for code in codes if code.name.startswith(f"{module}:") for c in code.controls}
    functions, _ = scan_tests(root)
    found = {
        function.source_file
        for function in functions
        if any(claim.need_id in controls for claim in function.claims)
    }
    for path in (root / "tests").rglob("test_*.py"):
        name = path.relative_to(root).as_posix()
        if module in TestFile(path.read_text(encoding="utf-8"), name=name).imports:
            found.add(name)
    return sorted(n for n in found if n.startswith("tests/") and not n.startswith(_LEFT_OUT))


def _measured(
    root: Path, copy: Path, members: Sequence[Member], tests: Sequence[str]
) -> dict[str, MemberResult]:
    """Return the results of functions of one module: its own test file first, all for the rest.

    Raises:
        EvidenceError: mutmut did not come to an end.
    """
    module = members[0].name.partition(":")[0]
    *folders, name = module.split(".")
    own = "/".join(["tests", "unit", *folders, f"test_{name}.py"])
    verdicts = Verdicts()
    wanted = [f"{mangled(member.name)}__mutmut_*" for member in members]
    for files in [[own], tests] if own in tests and len(tests) > 1 else [tests]:
        _run(copy, module, wanted, files)
        verdicts = read_verdicts(copy / "mutants", members, verdicts)
        wanted = verdicts.alive
        if not wanted:
            break
    return results_of(copy / "mutants", members, verdicts, measurement=measurement(), root=root)


def _run(copy: Path, module: str, mutants: Sequence[str], tests: Sequence[str]) -> None:
    """Run mutmut on some mutants of one module of the copy.

    Raises:
        EvidenceError: It failed.
    """
    shutil.rmtree(copy / "mutants", ignore_errors=True)
    original = copy / "pyproject.original"
    if not original.is_file():
        shutil.copy(copy / "pyproject.toml", original)
    kept = sorted(p.name for p in copy.iterdir() if p.name not in {"src", "tests", "mutants"})
    table = (
        "\n[tool.mutmut]\n"
        'source_paths = ["src"]\n'
        f'only_mutate = ["src/{module.replace(".", "/")}.py"]\n'
        f"also_copy = {kept!r}\n"
        f"pytest_add_cli_args_test_selection = {list(tests)!r}\n"
        'pytest_add_cli_args = ["-p", "no:cacheprovider"]\n'
        'process_isolation = "forkserver"\n'
        f"timeout_multiplier = {_TIMEOUT_FACTOR}\n"
        f"timeout_constant = {_TIMEOUT_SECONDS}\n"
    )
    text = original.read_text(encoding="utf-8") + table
    tomllib.loads(text)
    (copy / "pyproject.toml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", TOOL, "run", "--max-children", "1", *mutants]
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("COV")},
        "PYTHONPATH": str(copy / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(copy / "hypothesis"),
    }
    try:
        done = subprocess.run(
            command,
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise EvidenceError(f"mutmut on {module} took more than {_SECONDS_MAX} s") from exc
    if done.returncode:
        said = (done.stdout + done.stderr).replace("\r", "\n").splitlines()
        last = "\n".join([line for line in said if line[:1] not in _SPINNER][-_KEPT_LINES:])
        raise EvidenceError(f"mutmut on {module} ended with {done.returncode}:\n{last}")


def measurement() -> Measurement:
    """Return who measures now."""
    return Measurement(
        date=dt.datetime.now(tz=dt.UTC).date(),
        machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        tool=f"{TOOL} {importlib.metadata.version(TOOL)}",
    )


def read_record(root: Path) -> MutationRecord:
    """Return the record of the tree; empty when there is none.

    Raises:
        RecordError: It cannot be read.
    """
    path = root / MUTATION_PATH
    return read_mutation(path.read_text("utf-8")) if path.is_file() else MutationRecord()


def write_record(root: Path, functions: dict[str, MemberResult]) -> None:
    """Write the record."""
    record = MutationRecord(functions=functions)
    path = root / MUTATION_PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    sealed = record.model_copy(update={"digest": content_digest(record)})
    path.write_text(mutation_text(sealed), encoding="utf-8")
