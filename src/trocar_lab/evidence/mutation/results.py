"""Results that mutmut left in its folder, as results of single functions."""

from __future__ import annotations

import ast
import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.mutation.changes import change_of
from trocar_lab.evidence.source.control_code import Member
from trocar_lab.evidence.source.digests_of_tests import digests_of_tests
from trocar_lab.evidence.store.strength import MemberResult, Survivor, UsedTest

STATS: Final = "mutmut-stats.json"
_CLASS: Final = "ǁ"  # how mutmut 3 joins class and method
_ORIGINAL: Final = "orig"
_KILLED: Final = frozenset({1, 3, -6, -11})  # a test failed, or the process of the tests crashed
_TIMEOUT: Final = frozenset({24, 36, 152, 255, -24})
_WORDS: Final = {0: "survived", 5: "no tests", 33: "no tests"}


class Measurement(NamedTuple):
    """Who measured, where and when."""

    date: dt.date
    machine: str
    tool: str


def mangled(member: str) -> str:
    """Return the name that mutmut gives to ``module:function`` or ``module:Class.method``."""
    module, _, name = member.partition(":")
    owner, _, own = name.rpartition(".")
    return f"{module}.x{_CLASS}{owner}{_CLASS}{own}" if owner else f"{module}.x_{own}"


def read_results(
    folder: Path, members: list[Member], measurement: Measurement, *, root: Path
) -> dict[str, MemberResult]:
    """Return the result of each member of one module.

    Args:
        folder: The ``mutants`` folder of a finished run.
        members: Functions of one module.
        measurement: Who measured.
        root: Repository root, for the digests of the tests.

    Raises:
        EvidenceError: A mutant was not judged.
    """
    module = members[0].name.partition(":")[0]
    path = folder / "src" / (module.replace(".", "/") + ".py")
    codes: Mapping[str, int | None] = _json(path.with_name(path.name + ".meta"))["exit_code_by_key"]
    stats = _json(folder / STATS)["tests_by_mangled_function_name"]
    definitions = _definitions(path)
    found = {}
    for member in members:
        key = mangled(member.name)
        used = {name.partition("[")[0] for name in stats.get(key, [])}
        own = {name: code for name, code in codes.items() if name.rpartition("__mutmut_")[0] == key}
        if None in own.values():
            raise EvidenceError(f"mutmut left mutants of {member.name} without a verdict")
        judged = {n.removeprefix(f"{module}."): int(code or 0) for n, code in own.items()}
        found[member.name] = _result(member, judged, definitions).model_copy(
            update={
                **measurement._asdict(),
                "tests": tuple(
                    UsedTest(name=name, digest=digest)
                    for name, digest in sorted(digests_of_tests(root, used).items())
                ),
            }
        )
    return found


def _result(
    member: Member, judged: Mapping[str, int], definitions: Mapping[str, ast.AST]
) -> MemberResult:
    """Return the counts and survivors of one function; a mutant that changes nothing is none."""
    killed = timeout = 0
    survivors: list[Survivor] = []
    for name, code in judged.items():
        stem = name.rpartition("__mutmut_")[0]
        change = change_of(definitions[f"{stem}__mutmut_{_ORIGINAL}"], definitions[name])
        if change is None:
            continue
        if code in _KILLED:
            killed += 1
        elif code in _TIMEOUT:
            timeout += 1
        else:
            survivors.append(
                Survivor(
                    mutant=change.mutant,
                    line=member.line + change.line,
                    operator=change.operator,
                    change=change.text,
                    outcome=_WORDS.get(code, f"exit status {code}"),
                )
            )
    return MemberResult(
        digest=member.digest,
        date=dt.date.min,
        machine="",
        tool="",
        tests=(),
        killed=killed,
        timeout=timeout,
        survivors=tuple(sorted(survivors, key=lambda one: (one.line, one.mutant))),
    )


def _definitions(path: Path) -> dict[str, ast.AST]:
    """Return every function of the file that mutmut wrote, by its own name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name: node for node in ast.walk(tree) if isinstance(node, functions)}


def _json(path: Path) -> dict[str, Any]:
    """Return one JSON file of mutmut.

    Raises:
        EvidenceError: It is not there, so that mutmut did not come to an end.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise EvidenceError(f"mutmut left no {path.name}: {exc}") from exc
    return found
