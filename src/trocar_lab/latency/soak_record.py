"""Record a soak: the run in a process of its own, the machine's state beside it, the sums last."""

from __future__ import annotations

import gzip
import os
import tempfile
from pathlib import Path

from trocar import RESEARCH_NOTICE
from trocar.contracts.errors import SinkError, SourceLostError
from trocar_lab.latency.clocks import read_clocks
from trocar_lab.latency.code_under_test import read_code_identity
from trocar_lab.latency.frame_table import COLUMNS, line_of, write_whole
from trocar_lab.latency.record import BundleLog, Tell, now_text, watch, write_sums
from trocar_lab.latency.settings import LOG_NAME, MANIFEST_NAME
from trocar_lab.latency.soak_plan import (
    SOAK_REQUIREMENT_IDS,
    SOAK_RUN,
    SOAK_SCHEMA,
    SoakFacts,
    SoakJob,
    SoakManifest,
    SoakPlan,
)
from trocar_lab.latency.telemetry import to_csv
from trocar_lab.provenance.platform_record import read_platform


# @need-ids: SRS_LATENCY_001
def record_soak(
    folder: Path,
    plan: SoakPlan,
    *,
    pack: Path | None,
    trust: Path | None = None,
    operator: str,
    wheel: Path | None,
    tell: Tell,
) -> str:
    """Record one soak.

    Args:
        folder: Created; must not hold anything yet.
        plan: What to record.
        pack: Folder of the first unit's pack, or None for the one of the release.
        trust: Trust folder of a site, or None for that of the release.
        operator: Who records, and what else runs on the machine.
        wheel: The wheel that is installed, where known.
        tell: Told about begin and end.

    Returns:
        SHA-256 of the sums, which stands for the whole soak.

    Raises:
        SinkError: The folder is not empty.
        SourceLostError: The run failed; the soak stays incomplete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise SinkError(
            f"expected an empty folder, got {folder}", advice="name a folder of its own"
        )
    log = BundleLog(folder / LOG_NAME)
    begin, started_at = read_clocks(), now_text()
    platform, code = read_platform(), read_code_identity(wheel)
    log.write("soak_started", operator=operator, plan=plan.model_dump(mode="json"))
    tell(f"soak of {plan.warm_up_s} s and {plan.timed_s} s, {plan.settings.frame_count} frames")
    facts = _record_run(folder, plan, pack=pack, trust=trust, log=log)
    manifest = SoakManifest(
        schema_name=SOAK_SCHEMA,
        schema_version=1,
        notice=RESEARCH_NOTICE,
        requirement_ids=SOAK_REQUIREMENT_IDS,
        plan=plan,
        code=code,
        platform=platform,
        operator=operator,
        started_at=started_at,
        ended_at=now_text(),
        clock_at_start=begin,
        clock_at_end=read_clocks(),
        facts=facts,
    )
    write_whole(folder / MANIFEST_NAME, (manifest.model_dump_json(indent=2) + "\n").encode())
    log.write("soak_complete")
    return write_sums(folder)


def _record_run(
    folder: Path, plan: SoakPlan, *, pack: Path | None, trust: Path | None, log: BundleLog
) -> SoakFacts:
    """Run the process of the soak and keep its raw files.

    Raises:
        SourceLostError: It failed.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        place = Path(scratch)
        job = SoakJob(
            plan=plan,
            pack=None if pack is None else str(pack.resolve()),
            trust=None if trust is None else str(trust.resolve()),
            rows=str(place / "rows.csv"),
            records=str(place / "results.jsonl"),
            facts=str(place / "facts.json"),
            parent_id=os.getpid(),
        )
        job_file = place / "job.json"
        job_file.write_text(job.model_dump_json(), encoding="utf-8")
        exit_code, telemetry, problem = watch("soak-worker", job_file, place / "stderr")
        write_whole(folder / SOAK_RUN.telemetry_name, to_csv(telemetry))
        if exit_code != 0:
            log.write("soak_failed", exit_code=exit_code, problem=problem)
            raise SourceLostError(
                f"the soak ended with exit code {exit_code}: {problem}",
                advice="the soak stays incomplete; mend the cause and record a fresh one",
            )
        lines = sorted((place / "rows.csv").read_text(encoding="ascii").splitlines(), key=_index_of)
        text = line_of(COLUMNS) + "".join(f"{line}\n" for line in lines)
        write_whole(folder / SOAK_RUN.frames_name, gzip.compress(text.encode("ascii"), mtime=0))
        return SoakFacts.model_validate_json((place / "facts.json").read_bytes())


def _index_of(line: str) -> int:
    """Return the frame index at the begin of a line."""
    return int(line.partition(",")[0])
