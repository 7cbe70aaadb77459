"""``python -m trocar_lab.release``: build and verify a release, its change log and checklist."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from trocar_lab.evidence.commands.judged import add_judged, judged
from trocar_lab.evidence.commands.options import Commands
from trocar_lab.evidence.errors import TraceError
from trocar_lab.evidence.rules.clauses import clause_tables
from trocar_lab.generated_text import is_current, write_texts
from trocar_lab.release.assembly import Given
from trocar_lab.release.build import Order, ReleaseMade, build_release
from trocar_lab.release.changelog import known_anomalies, read_fragments, release_changelog
from trocar_lab.release.checklist import PAGE, checklist_page, state_lines
from trocar_lab.release.errors import NotReleasableError
from trocar_lab.release.verification import verify_release

__all__ = ["main", "make_parser"]


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(prog="python -m trocar_lab.release", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="repository")
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build, check, assemble and sign a release folder")
    what = build.add_mutually_exclusive_group()
    what.add_argument("--tag", default="", help="build this tag")
    what.add_argument("--commit", default="", help="build this commit (HEAD)")
    build.add_argument(
        "--grade", choices=("development", "production"), default="development", help="what for"
    )
    build.add_argument("--wheelhouse", type=Path, metavar="DIR", help="wheels of the packages")
    build.add_argument("--evidence", type=Path, metavar="DIR", help="evidence files to include")
    build.add_argument("--needs", type=Path, metavar="FILE", help="needs.json, for the verdict")
    build.add_argument("--report", type=Path, metavar="DIR", help="report to include")
    build.add_argument(
        "--lab-wheelhouse", type=Path, metavar="DIR", help="wheels of the toolchain, for its list"
    )
    build.add_argument(
        "--advisories", type=Path, metavar="DIR", help="database of known vulnerabilities (OSV)"
    )
    build.add_argument(
        "--pack", type=Path, action="append", default=[], metavar="DIR", help="one more pack"
    )
    build.add_argument("--drill", type=Path, metavar="FILE", help="record of a restore")
    build.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="a new folder"
    )
    build.set_defaults(run=_build)
    verify = commands.add_parser("verify", help="check a release folder from its bytes")
    verify.add_argument("folder", type=Path, metavar="FOLDER")
    verify.add_argument(
        "--trust", type=Path, required=True, metavar="KEYS", help="folder of public keys"
    )
    verify.set_defaults(run=_verify)
    _add_texts(commands)
    return parser


def _add_texts(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the commands that write texts."""
    log = commands.add_parser("changelog", help="move the news fragments under a dated heading")
    log.add_argument("--version", help="version to release")
    log.add_argument("--date", type=dt.date.fromisoformat, help="day of the release, YYYY-MM-DD")
    log.add_argument("--check", action="store_true", help="write nothing; are they in order?")
    log.set_defaults(run=_changelog)
    checklist = commands.add_parser("checklist", help="clauses 5.8 and 8 with rules and state")
    mode = checklist.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", action="store_true", help="write the page where it is stale")
    mode.add_argument("--check", action="store_true", help="red when the page is stale")
    mode.add_argument("--evidence", type=Path, metavar="DIR", help="print how each row stands")
    checklist.add_argument("--needs", type=Path, metavar="FILE", help="needs.json")
    checklist.set_defaults(run=_checklist)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 when it did what was asked and all is sound."""
    options = make_parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except NotReleasableError as exc:
        for reason in exc.reasons:
            print(f"refused: {reason}", file=sys.stderr)
        return 1
    except TraceError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    return status


def _build(options: argparse.Namespace) -> int:
    """Build a release and verify it as a receiver would."""
    begin = time.monotonic()
    made = build_release(
        Order(
            root=options.root,
            out=options.output,
            tag=options.tag,
            commit=options.commit,
            grade=options.grade,
            given=Given(
                wheelhouse=options.wheelhouse,
                evidence=options.evidence,
                report=options.report,
                needs=options.needs,
                drill=options.drill,
                lab_wheelhouse=options.lab_wheelhouse,
                advisories=options.advisories,
                packs=tuple(options.pack),
            ),
        )
    )
    print(_text(made, time.monotonic() - begin))
    trust = made.trust or options.root / "verification" / "keys"
    return _told(made.folder, trust)


def _verify(options: argparse.Namespace) -> int:
    """Verify a release folder."""
    return _told(options.folder, options.trust)


def _changelog(options: argparse.Namespace) -> int:
    """Check the fragments, or move them."""
    if options.check:
        fragments, faults = read_fragments(options.root)
        if faults:
            raise NotReleasableError(*faults)
        known = known_anomalies(options.root)
        print(f"{len(fragments)} fragments in order, {len(known)} anomalies known")
        return 0
    if not options.version or options.date is None:
        raise NotReleasableError("name --version and --date, or --check")
    moved = release_changelog(options.root, version=options.version, day=options.date)
    print(f"{len(moved)} fragments moved under {options.version}; read it before you commit it")
    return 0


def _checklist(options: argparse.Namespace) -> int:
    """Write or check the page, or print how each row stands."""
    if options.evidence is not None:
        words = ["check", "--root", str(options.root), "--evidence", str(options.evidence)]
        words += ["--needs", str(options.needs)] if options.needs else []
        parser = argparse.ArgumentParser()
        add_judged(parser.add_subparsers(), "check", "the trace")
        project, outcome = judged(parser.parse_args(words))
        print("\n".join(state_lines(clause_tables(project.graph, outcome))))
        return 0
    path, text = options.root / PAGE, checklist_page()
    if options.write:
        write_texts({path: text})
        return 0
    if not is_current(path, text):
        raise NotReleasableError(f"{PAGE} is stale; run it with --write")
    return 0


def _told(folder: Path, trust: Path) -> int:
    """Print the verdict on a folder; return the exit code."""
    verdict = verify_release(folder, trust, today=dt.datetime.now(tz=dt.UTC).date())
    for note in verdict.notes:
        print(f"note: {note}")
    for fault in verdict.faults:
        print(f"fault: {fault}", file=sys.stderr)
    if verdict.faults or verdict.signed is None:
        print(f"{folder}: NOT SOUND")
        return 1
    said = verdict.signed.predicate
    print(
        f"{folder}: sound, version {said.version}, sequence {said.sequence}, {said.grade}, until"
        f" {said.expires}, signed by {verdict.signed.key.key_id[:12]}"
        f" ({verdict.signed.key.grade}); {len(verdict.signed.subjects)} files"
    )
    return 0


def _text(made: ReleaseMade, seconds: float) -> str:
    """Return what was built as text."""
    lines = [
        f"{made.wheel.name}: {made.wheel_bytes} bytes, sha256 {made.wheel_sha256}",
        "built twice in other surroundings: the same bytes",
        f"signed with {made.key.key_id[:12]} ({made.key.grade} key, {made.key.origin})",
        f"{seconds:.1f} s",
        *(f"missing: {text}" for text in made.missing),
    ]
    if made.trust is not None:
        lines.append(f"public half of the key, for trying out: {made.trust}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
