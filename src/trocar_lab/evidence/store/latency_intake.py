"""Latency bundles among imported evidence: judged anew, from their raw times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from trocar_lab.evidence.store.commit_content import CommitContent
from trocar_lab.evidence.store.evidence_record import EvidenceRun
from trocar_lab.latency.manifest import SCHEMA_NAME, BundleManifest, CodeIdentity, UnitFacts
from trocar_lab.latency.settings import MANIFEST_NAME, SUMS_NAME
from trocar_lab.latency.soak_plan import SOAK_SCHEMA, SoakManifest
from trocar_lab.provenance.platform_record import PlatformRecord

_HEAD_BYTES: Final = 4096


def latency_bundles(folder: Path) -> list[str]:
    """Return the folders below ``folder`` that hold what a latency recording leaves."""
    places = {path.parent for path in folder.rglob(SUMS_NAME)}
    places |= {path.parent for path in folder.rglob(MANIFEST_NAME) if _is_of_latency(path)}
    return sorted(path.relative_to(folder).as_posix() for path in places)


def _is_of_latency(path: Path) -> bool:
    """Return whether a manifest says that it is one of a latency bundle."""
    return _names_schema(path, SCHEMA_NAME) or _names_schema(path, SOAK_SCHEMA)


def _names_schema(path: Path, schema: str) -> bool:
    """Return whether a manifest begins with the name of a format."""
    with path.open("rb") as stream:
        return schema.encode() in stream.read(_HEAD_BYTES)


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
    manifest = bundle / MANIFEST_NAME
    if manifest.is_file() and _names_schema(manifest, SOAK_SCHEMA):
        return _soak_findings(bundle, runs, commits, root=root)
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


def _soak_findings(
    bundle: Path,
    runs: Sequence[EvidenceRun],
    commits: Mapping[str, CommitContent | str],
    *,
    root: Path,
) -> tuple[list[str], str]:
    """Return why a soak is refused, and its verdict, computed now."""
    from trocar_lab.latency.budgets import BUDGETS_PATH, load_budgets  # noqa: PLC0415 - see above
    from trocar_lab.latency.reports import Verdict  # noqa: PLC0415 - see above
    from trocar_lab.latency.soak_verify import verify_soak  # noqa: PLC0415 - see above

    own = root / "verification" / "latency" / BUDGETS_PATH.name
    report = verify_soak(bundle, load_budgets(own if own.is_file() else BUDGETS_PATH))
    faults = []
    if report.verdict is Verdict.INVALID:
        faults = [f"soak: {reason}" for reason in report.reasons]
    else:
        manifest = SoakManifest.model_validate_json((bundle / MANIFEST_NAME).read_bytes())
        faults += _code_faults(manifest.platform, manifest.code, runs, commits)
        for unit in manifest.facts.units:
            faults += _model_faults("soak", unit, commits.get(manifest.code.commit))
    return faults, f"soak verdict {report.verdict}, recomputed from raw files ({report.label})"


def _identity_faults(
    manifest: BundleManifest,
    runs: Sequence[EvidenceRun],
    commits: Mapping[str, CommitContent | str],
) -> list[str]:
    """Return where the recording is not of the machine, commit and packs of the runs beside it."""
    faults = _code_faults(manifest.platform, manifest.code, runs, commits)
    content = commits.get(manifest.code.commit)
    for one in manifest.runs:
        first = UnitFacts(
            info=one.unit,
            model_sha256=one.model_sha256,
            reference_difference_max=one.reference_difference_max,
        )
        for unit in (first, *one.beside):
            faults += _model_faults(one.run.name, unit, content)
    return list(dict.fromkeys(faults))


def _code_faults(
    platform: PlatformRecord,
    code: CodeIdentity,
    runs: Sequence[EvidenceRun],
    commits: Mapping[str, CommitContent | str],
) -> list[str]:
    """Return where a recording is not of the machine and commit of the runs beside it."""
    faults = []
    machine = (platform.tegra_release, platform.board_model)
    machines = {
        (facts.tegra_release, facts.board_model)
        for run in runs
        if (facts := run.run.identity.platform.facts) is not None
    }
    if machine not in machines:
        faults.append("recorded on another machine than the runs beside it")
    if not isinstance(commits.get(code.commit), CommitContent):
        return [*faults, f"commit {code.commit[:40]} is that of no run beside it"]
    if code.is_dirty is not False:
        faults.append("the tree was not clean when it was recorded")
    if code.device_sha256 not in {run.run.identity.device_sha256 for run in runs}:
        faults.append("the device under test is not the one of the runs beside it")
    return faults


def _model_faults(name: str, unit: UnitFacts, content: CommitContent | str | None) -> list[str]:
    """Return where a unit ran on a pack or model that is none of the commit."""
    if not isinstance(content, CommitContent):
        return []
    faults = []
    if unit.info.pack_digest not in content.packs.values():
        faults.append(f"{name}: the model pack is none of its commit")
    if unit.model_sha256 is not None and unit.model_sha256 not in content.pack_files:
        faults.append(f"{name}: the model is none of its commit")
    return faults
