"""How strong the tests are: coverage of each unit (V8), mutants of each risk control (V9)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.rules.rule import Rule, Tally
from trocar_lab.evidence.rules.units import owned_modules
from trocar_lab.evidence.source.control_code import ControlCode, Member
from trocar_lab.evidence.store.strength import (
    COVERAGE_NAME,
    MUTATION_PATH,
    THRESHOLDS_PATH,
    Equivalent,
    MemberResult,
    StrengthRecords,
    Survivor,
)

_NO_THRESHOLDS: Final = f"{THRESHOLDS_PATH} does not exist: nothing says what must be reached"
_OUTDATED: Final = "OUTDATED"
_LISTED_MAX: Final = 8
_RUN_AGAIN: Final = "run tox -e mutation"


class UnitStrength(Frozen):
    """Coverage of the modules of one unit, beside what its safety class asks for.

    Attributes:
        unit: Id of the unit.
        safety_class: Its class.
        statements: Statements in its modules.
        covered_statements: How many of them a test reached.
        branches: Branches in its modules.
        covered_branches: How many of them a test took.
        statements_min: Share of statements that the class asks for.
        branches_min: Share of branches that the class asks for.
        absent: Modules that the record does not hold.
    """

    unit: str
    safety_class: str
    statements: int
    covered_statements: int
    branches: int
    covered_branches: int
    statements_min: float
    branches_min: float
    absent: tuple[str, ...] = ()

    @property
    def statement_share(self) -> float:
        """Return the share of statements that a test reached; all of none is everything."""
        return self.covered_statements / self.statements if self.statements else 1.0

    @property
    def branch_share(self) -> float:
        """Return the share of branches that a test took; all of none is everything."""
        return self.covered_branches / self.branches if self.branches else 1.0


class ListedSurvivor(NamedTuple):
    """A mutant that no test noticed, its function, and why it is equivalent, if someone said so."""

    function: str
    survivor: Survivor
    argued: str


class ControlStrength(Frozen):
    """What became of the mutants of one piece of code that enforces a risk control.

    Attributes:
        control: Id of the risk control.
        code: ``module:name`` of the code.
        state: Whether the record is about the present code and tests.
        reason: Why it is not, if it is not.
        killed: Mutants that a test noticed, those without an end included.
        total: Mutants that were made.
        score_min: Share of killed mutants that is asked for.
        survivors: The others, one by one.
        left_out: Functions that the tool cannot mutate, because a decorator wraps them.
    """

    control: str
    code: str
    state: Literal["measured", "outdated", "not measured"]
    reason: str = ""
    killed: int = 0
    total: int = 0
    score_min: float = 0.0
    survivors: tuple[ListedSurvivor, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def counted(self) -> int:
        """Return how many mutants count: all but those argued to be equivalent."""
        return self.total - sum(bool(listed.argued) for listed in self.survivors)

    @property
    def score(self) -> float:
        """Return the share of the mutants that count that were killed."""
        return self.killed / self.counted if self.counted else float(self.total > 0)


class Strength(Frozen):
    """What is known about the tests of one need: a unit's coverage, a control's mutants."""

    coverage: UnitStrength | None = None
    controls: tuple[ControlStrength, ...] = ()


def strength_of(project: Project, need: Need) -> Strength:
    """Return how strong the tests of a unit or of a risk control are; empty for another need.

    Args:
        project: What a check judges.
        need: The need.
    """
    if need.need_type == "unit":
        return Strength(coverage=unit_strength(project, need))
    if need.need_type == "risk_control":
        codes = (code for code in project.control_code[0] if need.need_id in code.controls)
        return Strength(controls=tuple(_control(project, need.need_id, code) for code in codes))
    return Strength()


def unit_strength(project: Project, unit: Need) -> UnitStrength | None:
    """Return the coverage of a unit; None without a record or without thresholds of its class."""
    record, thresholds = project.strength.coverage, project.strength.thresholds
    safety_class = unit.field("safety_class")
    asked = next(
        (t for k, t in (thresholds.coverage if thresholds else {}).items() if k == safety_class),
        None,
    )
    if record is None or asked is None:
        return None
    modules = owned_modules(project, unit)
    found = [record.modules[name] for name in modules if name in record.modules]
    return UnitStrength(
        unit=unit.need_id,
        safety_class=safety_class,
        statements=sum(one.statements for one in found),
        covered_statements=sum(one.covered_statements for one in found),
        branches=sum(one.branches for one in found),
        covered_branches=sum(one.covered_branches for one in found),
        statements_min=asked.statements,
        branches_min=asked.branches,
        absent=tuple(sorted(modules - set(record.modules))),
    )


def units_are_covered(project: Project, tally: Tally) -> None:
    """V8: statement and branch coverage of each unit reach the threshold of its safety class."""
    record = project.strength.coverage
    faults = [*_faults(project.strength, COVERAGE_NAME), *_other_run(project)]
    for place, reason in faults:
        tally.check(place, reason)
    if project.strength.thresholds is None:
        return
    is_present = not any(reason.startswith(_OUTDATED) for _, reason in faults)
    for unit in project.graph.live("unit"):
        strength = unit_strength(project, unit)
        if record is None:
            tally.leave_open(unit.need_id, "coverage was not recorded")
        elif not is_present:
            tally.leave_open(unit.need_id, "coverage is of another source")
        elif strength is None:
            tally.check(unit.need_id, f"no threshold for class {unit.field('safety_class')!r}")
        else:
            tally.check(unit.need_id, *_coverage_reasons(strength))


def _other_run(project: Project) -> Iterator[tuple[str, str]]:
    """Yield why the coverage record is not about the present source, or not about a known run."""
    record, present = project.strength.coverage, project.proofs.present
    if record is None:
        return
    measured = {
        "device": record.device_sha256 == present.device_sha256,
        "toolchain": record.lab_sha256 == present.lab_sha256,
    }
    other = [name for name, is_same in measured.items() if not is_same]
    if other:
        yield COVERAGE_NAME, f"{_OUTDATED}: measured on another source of {' and '.join(other)}"
    if record.run not in {run.path for run in project.runs}:
        yield COVERAGE_NAME, f"of the run {record.run}, which is not in the evidence"


def _faults(records: StrengthRecords, place: str) -> Iterator[tuple[str, str]]:
    """Yield what cannot be read: the thresholds, and the record that a rule is about."""
    found = [fault for fault in records.faults if fault[0] in {THRESHOLDS_PATH, place}]
    if records.thresholds is None and all(where != THRESHOLDS_PATH for where, _ in found):
        yield THRESHOLDS_PATH, _NO_THRESHOLDS
    yield from found


def _coverage_reasons(strength: UnitStrength) -> Iterator[str | None]:
    """Yield why a unit is not covered enough."""
    if strength.absent:
        yield f"not in the coverage record: {', '.join(strength.absent)}"
    for what, has, total, share, asked in (
        (
            "statements",
            strength.covered_statements,
            strength.statements,
            strength.statement_share,
            strength.statements_min,
        ),
        (
            "branches",
            strength.covered_branches,
            strength.branches,
            strength.branch_share,
            strength.branches_min,
        ),
    ):
        if share < asked:
            yield (
                f"{has} of {total} {what} are reached ({share:.1%}); class"
                f" {strength.safety_class} asks for {asked:.0%}"
            )
    if not strength.statements and not strength.absent:
        yield "its modules hold no statement"


def _control(project: Project, control: str, code: ControlCode) -> ControlStrength:
    """Return what became of the mutants of one piece of code."""
    record, thresholds = project.strength.mutation, project.strength.thresholds
    functions = record.functions if record else {}
    left_out = tuple(m.name for m in code.members if m.is_decorated)
    members = [m for m in code.members if not m.is_decorated]
    missing = [m.name for m in members if m.name not in functions]
    stale = [
        r for m in members if m.name in functions if (r := _stale(project, m, functions[m.name]))
    ]
    if missing or stale or not members:
        reason = (
            f"not measured: {', '.join(missing)}" if missing else f"{_OUTDATED}: {'; '.join(stale)}"
        )
        return ControlStrength(
            control=control,
            code=code.name,
            state="outdated" if stale and not missing else "not measured",
            reason=reason if members else "the tool cannot mutate decorated functions",
            left_out=left_out,
        )
    results = {m.name: functions[m.name] for m in members}
    argued = {(e.function, e.mutant): e.reason for e in _equivalents(project)}
    return ControlStrength(
        control=control,
        code=code.name,
        state="measured",
        killed=sum(r.killed + r.timeout for r in results.values()),
        total=sum(r.total for r in results.values()),
        score_min=thresholds.mutation.score if thresholds else 1.0,
        survivors=tuple(
            ListedSurvivor(name, survivor, argued.get((name, survivor.mutant), ""))
            for name, result in results.items()
            for survivor in result.survivors
        ),
        left_out=left_out,
    )


def _stale(project: Project, member: Member, result: MemberResult) -> str:
    """Return why a result is not about the present code and tests; empty when it is."""
    if result.digest != member.digest:
        return f"{member.name} changed since {result.date}"
    digests = project.used_test_digests
    moved = [used.name for used in result.tests if digests.get(used.name) != used.digest]
    return (
        f"{len(moved)} of its tests changed since {result.date}, first {moved[0]}" if moved else ""
    )


def _equivalents(project: Project) -> tuple[Equivalent, ...]:
    """Return the mutants that are argued to be equivalent."""
    return project.strength.thresholds.equivalent if project.strength.thresholds else ()


def controls_are_tested_hard(project: Project, tally: Tally) -> None:
    """V9: tests notice enough of the small faults put into the code of each risk control."""
    for place, reason in _faults(project.strength, MUTATION_PATH):
        tally.check(place, reason)
    if project.strength.thresholds is None:
        return
    codes, strays = project.control_code
    for stray in strays:
        tally.check(*stray.split(": ", 1))
    for code in codes:
        for control in code.controls:
            _judge(tally, _control(project, control, code))
    record = project.strength.mutation
    if record is None:
        return
    for entry in _equivalents(project):
        result = record.functions.get(entry.function)
        known = {survivor.mutant for survivor in result.survivors} if result else set()
        tally.check(
            f"equivalent {entry.function} {entry.mutant}",
            None if entry.mutant in known else "no such survivor in the record: take the entry out",
            f"dated {entry.date}, in the future" if entry.date > project.today else None,
        )


def _judge(tally: Tally, strength: ControlStrength) -> None:
    """Count one piece of code of one control."""
    key = f"{strength.control} {strength.code}"
    if strength.state != "measured":
        tally.leave_open(key, f"{strength.reason}; {_RUN_AGAIN}")
        return
    if not strength.total:
        tally.check(key, "no mutant could be made of it: nothing was measured")
        return
    reason = None
    if strength.score < strength.score_min:
        free = [listed for listed in strength.survivors if not listed.argued]
        named = [
            f"{one.function.partition(':')[2]} line {one.survivor.line} [{one.survivor.mutant}]"
            f" {one.survivor.change}"
            for one in free[:_LISTED_MAX]
        ]
        more = f" and {len(free) - _LISTED_MAX} more" if len(free) > _LISTED_MAX else ""
        reason = (
            f"{strength.killed} of {strength.counted} mutants noticed ({strength.score:.0%}), asked"
            f" for {strength.score_min:.0%}; survivors not argued: {'; '.join(named)}{more}"
        )
    tally.check(key, reason)


STRENGTH_RULES: Final = (
    Rule("V8", "Units are covered as their safety class asks", units_are_covered),
    Rule("V9", "Tests notice mutants of the risk controls", controls_are_tested_hard),
)
