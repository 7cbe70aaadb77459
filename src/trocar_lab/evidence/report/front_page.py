"""The first page: identity, verdict, boundary, what is not proven, what was not run, hazards."""

from __future__ import annotations

from typing import Final

from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.proof.verdicts import Finding, Verdict
from trocar_lab.evidence.report.facts import Facts
from trocar_lab.evidence.report.markup import (
    GOOD,
    MARKS,
    NONE,
    NOTHING,
    OPEN,
    RED,
    esc,
    facts_table,
    link,
    ref,
    row,
    state,
    table,
)
from trocar_lab.evidence.report.not_proven import totals
from trocar_lab.evidence.report.platform_proofs import RANK
from trocar_lab.evidence.report.release_identity import PRODUCT

RESEARCH_ONLY: Final = "Research use only; not cleared"
BOUNDARY: Final = (
    "Trocar is not a medical device and is not cleared by any authority for clinical use.",
    "No clinician has reviewed it.",
    (
        "A rule that holds shows that a record exists, is linked, is about the present text, and"
        " that its tests passed on this tree."
    ),
    "It does not show that a requirement is right, that a test is strong or that a model is safe.",
    "A link is not a proof. A rule with nothing to look at is red unless a dated record says why.",
    (
        "The hash chain of an evidence file shows damage and careless edits. Whoever can write the"
        " file can write a new chain: evidence counts for others only once it is signed."
    ),
    (
        "Risk estimates and the words of the clause tables are those of the authors, who did not"
        " have the licensed texts of the standards."
    ),
)


def identity(facts: Facts) -> str:
    """Return verdict, self-test and the identity of what was judged."""
    outcome = facts.outcome
    colour, sign = (GOOD, "✔") if outcome.is_green else (RED, "✘")
    sound = state(GOOD, "✔", "sound") if facts.selftest.is_sound else state(RED, "✘", "not sound")
    mode = "release: nothing may be open" if outcome.release else "development: rows may be open"
    tested = f'<a href="#tool-validation">Self-test of the gate</a>: {sound}'
    return (
        f'<p class="v {colour}"><strong>{sign} {esc(outcome.verdict_line)}</strong>'
        f"<span>{link('not-proven', totals(outcome))} Mode: {mode}. Checked on"
        f" {facts.project.today.isoformat()}.</span></p>"
        f"<p>{tested}, {esc(facts.selftest.line)}.</p>"
        + facts_table("Release identity", _identity_rows(facts))
    )


def _identity_rows(facts: Facts) -> list[tuple[str, str]]:
    """Return names and values of the identity."""
    about = facts.identity
    dirty = "" if about.is_clean else " " + state(OPEN, "○", "the tree holds uncommitted changes")
    commit = f"<code>{about.commit}</code>{dirty}" if about.commit else NONE
    tag = f"<code>{esc(about.tag)}</code>" if about.tag else "none: this is not a release"
    wheel = f"<code>{about.wheel_sha256}</code>" if about.wheel_sha256 else "none named"
    signers = esc(", ".join(about.signers)) or "nobody yet"
    normative = [n for n in facts.project.graph.live() if _is_normative(facts, n)]
    approved = sum(facts.project.approvals.of(need.need_id) is not None for need in normative)
    counts: dict[str, int] = {"host": 0, "agx": 0}
    for run in facts.project.runs:
        counts[run.platform] = counts.get(run.platform, 0) + 1
    platforms = ", ".join(
        f"{esc(name)}: {count} run{'' if count == 1 else 's'}" for name, count in counts.items()
    )
    packs = [
        f"<code>{esc(name)}</code> <code>{esc(digest)}</code>"
        for name, digest in facts.project.proofs.present.packs.items()
    ]
    models = [
        f"{ref(need.need_id)} <code>{esc(need.field('digest'))}</code>"
        for need in facts.live("model")
    ]
    return [
        ("Version", f"{PRODUCT} {esc(about.version)}" if about.version else NONE),
        ("Release tag", tag),
        ("Commit", commit),
        ("Wheel, SHA-256", wheel),
        ("Signature", f"{esc(about.signature)}; signed by: {signers}"),
        ("Approvals", f"{approved} of {len(normative)} needs that a person must approve"),
        ("Device source", f"<code>{about.device_sha256}</code>"),
        ("Lock", f"<code>{about.lock_sha256}</code>" if about.lock_sha256 else "no pylock.*.toml"),
        ("Needs", f"{len(facts.needs):,}, digest <code>{about.graph_sha256}</code>"),
        ("Model packs, manifest", "<br>".join(packs) or NOTHING),
        ("Models", "<br>".join(models) or NOTHING),
        ("Platforms of the evidence", platforms),
        ("Seal of the evidence", esc(about.seal)),
    ]


def _is_normative(facts: Facts, need: Need) -> bool:
    """Return whether a person must approve a need."""
    return facts.project.model.type[need.need_type].normative


def boundary() -> str:
    """Return what the report does not show."""
    lines = "".join(f"<li>{esc(line)}" for line in BOUNDARY)
    return f"<div class=b><ul>{lines}</ul></div>"


def suites_not_run(facts: Facts) -> str:
    """Return the folders of tests that the evidence saw nothing of, or only a part."""
    lost = [suite for suite in facts.suites if suite.seen < suite.files]
    files = sum(suite.files for suite in facts.suites)
    seen = sum(suite.seen for suite in facts.suites)
    rows = []
    for suite in lost:
        word = state(OPEN, "○", "not run") if not suite.seen else state(OPEN, "◐", "in part")
        rows.append(
            row(f"<code>{esc(suite.folder)}</code>", word, f"{suite.seen} of {suite.files}")
        )
    words = (
        f"<p>The evidence saw {seen:,} of {files:,} test files of the repository. A suite that was"
        " not run proves nothing here, whatever it did elsewhere.</p>"
    )
    return words + table(
        "Suites that were not run in this evidence",
        ("Folder", "State", "Files seen"),
        rows,
        empty=f"every one of the {files:,} test files was collected",
        widths=(50, 25, 25),
    )


def hazard_list(facts: Facts) -> str:
    """Return one line a hazard: worst residual level and both worst verdicts."""
    rows = []
    for hazard in facts.live("hazard"):
        situations = facts.sources(hazard.need_id, "arises_from")
        controls = controls_of(facts, situations)
        rows.append(
            row(
                ref(hazard.need_id),
                esc(hazard.title),
                str(len(situations)),
                str(len(controls)),
                worst_level(facts, situations),
                worst_mark([facts.controls[c].built for c in controls]),
                worst_mark([facts.controls[c].works for c in controls]),
            )
        )
    head = (
        "Hazard",
        "Title",
        "Situations",
        "Controls",
        "Worst residual risk",
        "Controls built",
        "Controls work",
    )  # fmt: skip - one row of titles
    return table(
        "Hazards with the worst of their residual risks and verdicts",
        head,
        rows,
        empty="0 hazards: the risk file is empty, which is red",
        widths=(20, 24, 9, 8, 13, 13, 13),
        wide=True,
    )


def controls_of(facts: Facts, situations: tuple[str, ...]) -> list[str]:
    """Return the controls of some situations, each once, in order of id."""
    return sorted({control for name in situations for control in facts.sources(name, "reduces")})


def worst_level(facts: Facts, situations: tuple[str, ...]) -> str:
    """Return the worst residual level of some situations as HTML."""
    names = facts.project.model.risk.level.names
    found = [facts.risks[name].after for name in situations]
    if not found or any(estimate is None for estimate in found):
        return state(RED, "∅", "not estimated")
    worst = max((e for e in found if e is not None), key=lambda e: names.index(e.level))
    return level_mark(worst.level, acceptable=worst.acceptable)


def level_mark(level: str, *, acceptable: bool) -> str:
    """Return a risk level with its sign; colour repeats it."""
    if acceptable:
        return state(GOOD, "✔", f"{esc(level)}, acceptable")
    return state(OPEN, "▲", f"{esc(level)}, above the line")


def worst_mark(findings: list[Finding]) -> str:
    """Return the worst of some verdicts with how many of them pass; none at all is a hole."""
    if not findings:
        return NONE
    worst = max(findings, key=lambda finding: RANK[finding.verdict])
    passed = sum(finding.verdict is Verdict.PASS for finding in findings)
    return f"{MARKS[worst.verdict]} {passed} of {len(findings)}"
