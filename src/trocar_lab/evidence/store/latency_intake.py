"""Latency bundles among imported evidence: judged anew, from their raw times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from trocar_lab.evidence.store.commit_content import CommitContent
from trocar_lab.evidence.store.evidence_record import EvidenceRun
from trocar_lab.latency.manifest import SCHEMA_NAME, BundleManifest
from trocar_lab.latency.settings import MANIFEST_NAME, SUMS_NAME

_HEAD_BYTES: Final = 4096


def latency_bundles(folder: Path) -> list[str]:
    """Return the folders below ``folder`` that hold what a latency recording leaves."""
    places = {path.parent for path in folder.rglob(SUMS_NAME)}
    places |= {path.parent for path in folder.rglob(MANIFEST_NAME) if _is_of_latency(path)}
    return sorted(path.relative_to(folder).as_posix() for path in places)


def _is_of_latency(path: Path) -> bool:
    """Return whether a manifest says that it is one of a latency bundle."""
    with path.open("rb") as stream:
        return SCHEMA_NAME.encode() in stream.read(_HEAD_BYTES)


def latency_findings(
    bundle: Path,
    runs: Sequence[EvidenceRun],
    commits: Mapping[str, CommitContent | str],
    *,
    root: Path,
) -> tuple[list[str], str]:
    """Return why a latency bundle is refused, and its verdict, computed now.

    A verdict other than PASS is no reason to refuse: what was measured is brought in as it is.

    Args:
        bundle: Folder of the latency bundle.
        runs: Runs that came with it.
        commits: Content of the commits that they name.
        root: Repository root.
    """
    # Verification brings scipy with it; the other commands of the trace start without.
    from trocar_lab.latency.budgets import BUDGETS_PATH, load_budgets  # noqa: PLC0415 - see above
    from trocar_lab.latency.bundle import read_bundle  # noqa: PLC0415 - see above
    from trocar_lab.latency.reports import Verdict  # noqa: PLC0415 - see above
    from trocar_lab.latency.verify import judge  # noqa: PLC0415 - see above

    own = root / "verification" / "latency" / BUDGETS_PATH.name
    found = read_bundle(bundle)
    report = judge(found, load_budgets(own if own.is_file() else BUDGETS_PATH), repository=root)
    faults = []
    if report.verdict is Verdict.INVALID:
        reasons = (*report.reasons, *(why for arm in report.arms for why in arm.reasons))
        faults = [f"latency: {reason}" for reason in dict.fromkeys(reasons)]
    if found.manifest is not None:
        faults += _identity_faults(found.manifest, runs, commits)
    return faults, f"latency verdict {report.verdict}, recomputed from raw times ({report.label})"


def _identity_faults(
    manifest: BundleManifest,
    runs: Sequence[EvidenceRun],
    commits: Mapping[str, CommitContent | str],
) -> list[str]:
    """Return where the recording is not of the machine, commit and packs of the runs beside it."""
    faults = []
    machine = (manifest.platform.tegra_release, manifest.platform.board_model)
    machines = {
        (facts.tegra_release, facts.board_model)
        for run in runs
        if (facts := run.run.identity.platform.facts) is not None
    }
    if machine not in machines:
        faults.append("recorded on another machine than the runs beside it")
    content = commits.get(manifest.code.commit)
    if not isinstance(content, CommitContent):
        return [*faults, f"commit {manifest.code.commit[:40]} is that of no run beside it"]
    if manifest.code.is_dirty is not False:
        faults.append("the tree was not clean when it was recorded")
    if manifest.code.device_sha256 not in {run.run.identity.device_sha256 for run in runs}:
        faults.append("the device under test is not the one of the runs beside it")
    for one in manifest.runs:
        if one.unit.pack_digest not in content.packs.values():
            faults.append(f"{one.run.name}: the model pack is none of its commit")
        if one.model_sha256 not in content.pack_files:
            faults.append(f"{one.run.name}: the model is none of its commit")
    return list(dict.fromkeys(faults))
