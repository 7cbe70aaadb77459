"""Records of how strong the tests are: coverage of one run, and mutants of the risk controls."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import Field, ValidationError

from trocar_lab.evidence.errors import RecordError
from trocar_lab.evidence.graph.metamodel import Frozen

COVERAGE_NAME: Final = "coverage.json"
MUTATION_PATH: Final = "verification/strength/mutation.json"
THRESHOLDS_PATH: Final = "verification/strength.toml"
_T = TypeVar("_T")
_Share = Annotated[float, Field(ge=0.0, le=1.0)]
_Count = Annotated[int, Field(ge=0)]
_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ClassThreshold(Frozen):
    """What a unit of one safety class must reach; ``reason`` says why it is this much."""

    statements: _Share
    branches: _Share
    reason: Annotated[str, Field(min_length=20)]


class Equivalent(Frozen):
    """Why one surviving mutant behaves like the code itself, so that no test can tell them apart.

    Attributes:
        function: ``module:name`` of the mutated function.
        mutant: Identifier of the mutant in the record.
        reason: Why every input gives the same behaviour.
        name: Who says so.
        date: Since when.
    """

    function: str
    mutant: str
    reason: Annotated[str, Field(min_length=20)]
    name: Annotated[str, Field(pattern=r"^\S+ \S+")]
    date: dt.date


class MutationThreshold(Frozen):
    """Which share of the mutants of a control must be killed; ``reason`` says why this much."""

    score: _Share
    reason: Annotated[str, Field(min_length=20)]


class Thresholds(Frozen):
    """What the tests must reach, and the mutants that count as equivalent."""

    coverage: Mapping[Literal["A", "B", "C"], ClassThreshold]
    mutation: MutationThreshold
    equivalent: tuple[Equivalent, ...] = ()


class ModuleCoverage(Frozen):
    """Statements and branches of one module, and how many a test reached."""

    statements: _Count
    covered_statements: _Count
    branches: _Count
    covered_branches: _Count


class CoverageRecord(Frozen):
    """Coverage of one run of the tests.

    Attributes:
        recorded: When it was recorded, UTC.
        tool: Name and version of what measured.
        run: Name of the evidence file of the same run.
        device_sha256: Digest of the device that was measured.
        lab_sha256: Digest of the toolchain that was measured.
        modules: Coverage of each module.
        digest: SHA-256 of everything else.
    """

    recorded: str
    tool: str
    run: str
    device_sha256: _Sha256
    lab_sha256: _Sha256
    modules: Mapping[str, ModuleCoverage]
    digest: str = ""


class Survivor(Frozen):
    """One mutant that no test killed.

    Attributes:
        mutant: Identifier: it stays the same as long as the function does.
        line: Line in the file when it was measured.
        operator: What kind of change it is.
        change: The code before and after.
        outcome: ``survived``, or ``no tests`` where no test calls the function.
    """

    mutant: str
    line: int
    operator: str
    change: str
    outcome: str


class UsedTest(Frozen):
    """One test that ran against the mutants, with the digest of its body at that time."""

    name: str
    digest: str


class MemberResult(Frozen):
    """What became of the mutants of one function.

    Attributes:
        digest: Digest of the function that was mutated.
        date: Day of the measurement.
        machine: System, processor and interpreter.
        tool: Name and version of what mutated.
        tests: The tests that call the function.
        killed: Mutants with which a test failed, or with which the process of the tests crashed.
        timeout: Mutants with which the tests did not come to an end; a test notices these too.
        survivors: Mutants that no test noticed.
    """

    digest: _Sha256
    date: dt.date
    machine: str
    tool: str
    tests: tuple[UsedTest, ...]
    killed: _Count
    timeout: _Count
    survivors: tuple[Survivor, ...] = ()

    @property
    def total(self) -> int:
        """Return how many mutants were made."""
        return self.killed + self.timeout + len(self.survivors)


class MutationRecord(Frozen):
    """Results by function, ``module:name``; ``digest`` is the SHA-256 of everything else."""

    functions: Mapping[str, MemberResult] = Field(default_factory=dict)
    digest: str = ""


class StrengthRecords(Frozen):
    """What is known about the strength of the tests.

    Attributes:
        thresholds: What must be reached; None when there is no such file.
        coverage: Coverage of a run, or None.
        mutation: Mutants of the controls, or None.
        faults: Place and reason of records that cannot be read or were changed by hand.
    """

    thresholds: Thresholds | None = None
    coverage: CoverageRecord | None = None
    mutation: MutationRecord | None = None
    faults: tuple[tuple[str, str], ...] = ()


def read_strength(root: Path, evidence: Path) -> StrengthRecords:
    """Return the thresholds and both records; what cannot be read is a fault that the rules show.

    Args:
        root: Repository root.
        evidence: Folder with evidence files.
    """
    faults: list[tuple[str, str]] = []
    thresholds = _read(root / THRESHOLDS_PATH, THRESHOLDS_PATH, read_thresholds, faults)
    coverage = _read(evidence / COVERAGE_NAME, COVERAGE_NAME, read_coverage, faults)
    mutation = _read(root / MUTATION_PATH, MUTATION_PATH, read_mutation, faults)
    for place, record in ((COVERAGE_NAME, coverage), (MUTATION_PATH, mutation)):
        if record is not None and record.digest != content_digest(record):
            faults.append((place, "does not match its own digest: it was changed by hand"))
    return StrengthRecords(
        thresholds=thresholds, coverage=coverage, mutation=mutation, faults=tuple(faults)
    )


def _read(
    path: Path, place: str, read: Callable[[str], _T], faults: list[tuple[str, str]]
) -> _T | None:
    """Return one record; None when there is none or when it cannot be read, which is a fault."""
    if not path.is_file():
        return None
    try:
        return read(path.read_text(encoding="utf-8"))
    except (RecordError, UnicodeDecodeError) as exc:
        faults.append((place, str(exc)))
        return None


def read_thresholds(text: str) -> Thresholds:
    """Return the thresholds in the text of ``verification/strength.toml``.

    Raises:
        RecordError: It is no TOML, or an entry is incomplete.
    """
    try:
        return Thresholds.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as exc:
        raise RecordError(f"cannot be read: {exc}") from exc


def read_coverage(text: str) -> CoverageRecord:
    """Return a coverage record.

    Raises:
        RecordError: It is not one.
    """
    try:
        return CoverageRecord.model_validate_json(text)
    except ValidationError as exc:
        raise RecordError(f"cannot be read: {exc}") from exc


def coverage_text(record: CoverageRecord) -> str:
    """Return a coverage record as text, with its digest."""
    sealed = record.model_copy(update={"digest": content_digest(record)})
    return sealed.model_dump_json(indent=1) + "\n"


def coverage_of(
    measured: Mapping[str, Any], *, run: str, device_sha256: str, lab_sha256: str, recorded: str
) -> CoverageRecord:
    """Return the record of a coverage.py JSON report.

    Args:
        measured: The report, with branches.
        run: Name of the evidence file of the same run.
        device_sha256: Digest of the device of that run.
        lab_sha256: Digest of the toolchain of that run.
        recorded: Now, UTC.

    Raises:
        RecordError: It is no such report, or it holds no branches.
    """
    try:
        meta = measured["meta"]
        if not meta["branch_coverage"]:
            raise RecordError("the coverage report holds no branches: measure with branch = true")
        modules = {
            _module_of(name): ModuleCoverage(
                statements=file["summary"]["num_statements"],
                covered_statements=file["summary"]["covered_lines"],
                branches=file["summary"]["num_branches"],
                covered_branches=file["summary"]["covered_branches"],
            )
            for name, file in measured["files"].items()
        }
        return CoverageRecord(
            recorded=recorded,
            tool=f"coverage {meta['version']}",
            run=run,
            device_sha256=device_sha256,
            lab_sha256=lab_sha256,
            modules=dict(sorted(modules.items())),
        )
    except (KeyError, TypeError, ValidationError) as exc:
        raise RecordError(f"not a JSON report of coverage.py: {exc!r}") from exc


def _module_of(name: str) -> str:
    """Return the module of a file in a coverage report, whose names may be absolute."""
    parts = Path(name).with_suffix("").parts
    last = len(parts) - 1 - parts[::-1].index("src") if "src" in parts else -1
    return ".".join(parts[last + 1 :]).removesuffix(".__init__")


def read_mutation(text: str) -> MutationRecord:
    """Return a mutation record.

    Raises:
        RecordError: It is not one.
    """
    try:
        raw = json.loads(text)
        lines = [line.partition(" ") for line in raw.pop("tests")]
        for row in raw["functions"].values():
            used = [lines[int(number)] for number in row["tests"].split()]
            row["tests"] = [{"name": name, "digest": digest} for digest, _, name in used]
        return MutationRecord.model_validate(raw)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as exc:
        raise RecordError(f"cannot be read: {exc}") from exc


def mutation_text(record: MutationRecord) -> str:
    """Return a mutation record as text, with its digest.

    Each used test stands in it once; a function names its tests by their numbers.
    """
    numbers: dict[tuple[str, str], int] = {}
    functions: dict[str, Any] = {}
    for name, result in sorted(record.functions.items()):
        used = [numbers.setdefault((t.name, t.digest), len(numbers)) for t in result.tests]
        row = result.model_dump(mode="json")
        functions[name] = {**row, "tests": " ".join(map(str, sorted(used)))}
    sealed = {
        "digest": content_digest(record),
        "tests": [f"{digest} {name}" for name, digest in numbers],
        "functions": functions,
    }
    return json.dumps(sealed, indent=1, ensure_ascii=False) + "\n"


def content_digest(record: CoverageRecord | MutationRecord) -> str:
    """Return the SHA-256 of a record without its digest, in one order of its keys."""
    content = record.model_dump(mode="json", exclude={"digest"})
    if isinstance(record, MutationRecord):
        for row in content["functions"].values():
            row["tests"] = sorted((test["name"], test["digest"]) for test in row["tests"])
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
