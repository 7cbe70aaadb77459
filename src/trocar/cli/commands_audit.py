"""Commands on an audit log: verify and show."""

from __future__ import annotations

import argparse
from typing import Any

from trocar.audit.record import Record
from trocar.audit.report import LogReport, read_log
from trocar.cli.console import Console
from trocar.cli.exit_codes import OK, PARTIAL

__all__ = ["show", "verify"]


# @need-ids: SRS_AUDIT_003, SRS_AUDIT_010
def verify(options: argparse.Namespace, console: Console) -> int:
    """Check each record and the chain of all of them; name what the check does not cover."""
    report = read_log(options.files, heads=options.head)
    head = report.head
    fields: dict[str, Any] = {
        **head.as_fields(),
        "first_part": report.first_part,
        "record_count": len(report.records),
        "torn_bytes": report.torn_bytes,
        "events": dict(report.event_counts),
        "anchored": [
            {"head": one.digest, "seq": one.seq, "later_count": one.later_count}
            for one in report.anchored
        ],
        "is_sound": True,
    }
    lines = [
        f"sound: log {head.log_id}, records {report.records[0].seq} to {head.seq}",
        f"head {head.digest}",
        f"events {', '.join(f'{name} {count}' for name, count in report.event_counts.items())}",
        *(
            f"anchored up to record {one.seq}; {one.later_count} later records are not"
            for one in report.anchored
        ),
        *_limits_of(report),
    ]
    console.result({"audit": fields}, lines)
    return _code(report)


def show(options: argparse.Namespace, console: Console) -> int:
    """List the records of a log that holds."""
    report = read_log(options.files)
    records = [
        {
            "seq": one.seq,
            "utc": one.utc,
            "event": one.event,
            "fields": dict(one.fields),
            "digest": one.digest,
        }
        for one in report.records
    ]
    console.result(
        {"audit": {**report.head.as_fields(), "records": records}},
        [*map(_line, report.records), *_limits_of(report)],
    )
    return _code(report)


def _line(record: Record) -> str:
    """Return one record for people."""
    fields = " ".join(
        f"{name}={','.join(value) if isinstance(value, tuple) else value}"
        for name, value in record.fields.items()
    )
    return f"{record.seq:6} {record.utc} {record.event:15} {fields}"


def _limits_of(report: LogReport) -> list[str]:
    """Say what a sound log does not prove."""
    lines = []
    if report.first_part > 1:
        lines.append(f"not looked at: the files before part {report.first_part}")
    if report.torn_bytes:
        lines.append(
            f"{report.torn_bytes} bytes of a record that was not written to its end: the next "
            "command that writes to the log cuts them off"
        )
    if not report.anchored:
        lines.append("without --head: a cut end, or a log written anew, would not be seen")
    return lines


def _code(report: LogReport) -> int:
    """Return the exit code of a log that holds."""
    return PARTIAL if report.torn_bytes else OK
