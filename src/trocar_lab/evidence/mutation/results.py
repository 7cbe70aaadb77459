"""Results that mutmut left in its folder, as results of single functions."""

from __future__ import annotations

import ast
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.mutation.changes import change_of
from trocar_lab.evidence.source.control_code import Member
from trocar_lab.evidence.source.digests_of_tests import digests_of_tests
from trocar_lab.evidence.store.strength import MemberResult, Survivor, UsedTest

STATS: Final = "mutmut-stats.json"
_CLASS: Final = "ǁ"  # how mutmut 3 joins class and method
_MARK: Final = "__mutmut_"
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


@dataclass
class Verdicts:
    """What became of the mutants of some functions of one module, over one or more runs.

    Attributes:
        codes: Exit status of the tests by name of the mutant, the last run's.
        tests: The tests that call each function.
    """

    codes: dict[str, int] = field(default_factory=dict)
    tests: dict[str, set[str]] = field(default_factory=dict)

    @property
    def alive(self) -> list[str]:
        """Return the mutants that no test noticed."""
        noticed = _KILLED | _TIMEOUT
        return sorted(name for name, code in self.codes.items() if code not in noticed)


def read_verdicts(folder: Path, members: Sequence[Member], before: Verdicts) -> Verdicts:
    """Return the verdicts of a run, added to those of the runs before it.

    Args:
        folder: The ``mutants`` folder of a finished run.
        members: Functions of one module.
        before: Verdicts of earlier runs on the same code.

    Raises:
        EvidenceError: mutmut did not come to an end.
    """
    codes = _json(_mutated(folder, members).with_suffix(".py.meta"))["exit_code_by_key"]
    stats = _json(folder / STATS)["tests_by_mangled_function_name"]
    keys = {mangled(member.name) for member in members}
    judged = {n: c for n, c in codes.items() if c is not None and n.rpartition(_MARK)[0] in keys}
    tests = {
        key: {name.partition("[")[0] for name in stats.get(key, [])} | before.tests.get(key, set())
        for key in keys
    }
    return Verdicts(codes={**before.codes, **judged}, tests=tests)


def results_of(
    folder: Path,
    members: Sequence[Member],
    verdicts: Verdicts,
    *,
    measurement: Measurement,
    root: Path,
) -> dict[str, MemberResult]:
    """Return the result of each function of one module.

    Args:
        folder: The ``mutants`` folder of the last run.
        members: The functions.
        verdicts: The verdicts of all runs.
        measurement: Who measured.
        root: Repository root, for the digests of the tests.

    Raises:
        EvidenceError: A mutant was not judged.
    """
    path = _mutated(folder, members)
    definitions = _definitions(path)
    made = _json(path.with_suffix(".py.meta"))["exit_code_by_key"]
    found = {}
    for member in members:
        key = mangled(member.name)
        own = [name for name in made if name.rpartition(_MARK)[0] == key]
        if set(own) - set(verdicts.codes):
            raise EvidenceError(f"mutmut left mutants of {member.name} without a verdict")
        judged = {name.rpartition(".")[2]: verdicts.codes[name] for name in own}
        digests = digests_of_tests(root, verdicts.tests[key])
        found[member.name] = _result(member, judged, definitions).model_copy(
            update={
                **measurement._asdict(),
                "tests": tuple(UsedTest(name=n, digest=d) for n, d in sorted(digests.items())),
            }
        )
    return found


def _mutated(folder: Path, members: Sequence[Member]) -> Path:
    """Return the file that mutmut wrote for the module of some functions."""
    module = members[0].name.partition(":")[0]
    return folder / "src" / (module.replace(".", "/") + ".py")


def _result(
    member: Member, judged: Mapping[str, int], definitions: Mapping[str, ast.AST]
) -> MemberResult:
    """Return the counts and survivors of one function; a mutant that changes nothing is none."""
    killed = timeout = 0
    survivors: list[Survivor] = []
    for name, code in judged.items():
        stem = name.rpartition(_MARK)[0]
        change = change_of(definitions[f"{stem}{_MARK}{_ORIGINAL}"], definitions[name])
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
