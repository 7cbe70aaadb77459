"""``python -m trocar_lab.supply``: locks, device.lock, bill of materials, vulnerability check.

Exit codes: 0 all is well; 1 a fault was found; 2 the question could not be answered.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

from trocar_lab.provenance.code_identity import file_sha256
from trocar_lab.supply.advisories import read_database
from trocar_lab.supply.bill import Subject, bill_of_materials, bill_text
from trocar_lab.supply.contents import Contents, installed_contents, wheel_contents
from trocar_lab.supply.errors import SupplyError
from trocar_lab.supply.left_out import left_out_text
from trocar_lab.supply.lock_check import check_locks, locks_of
from trocar_lab.supply.lock_file import (
    WHEELHOUSE,
    LockedPackage,
    lock_text,
    read_lock,
    requirement_lines,
    selected,
)
from trocar_lab.supply.register import read_register
from trocar_lab.supply.resolving import download, resolved_lock
from trocar_lab.supply.targets import (
    PLATFORMS,
    TARGETS,
    declared_by_extra,
    product_version,
    requirements_of,
    target_of,
)
from trocar_lab.supply.vulnerabilities import AGE_DAYS_MAX, judge, read_policy, record_text

__all__ = ["main"]

_FAULT: Final = 1
_NO_ANSWER: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _COMMANDS[options.command](options)
    except SupplyError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return _NO_ANSWER


def _parser() -> argparse.ArgumentParser:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m trocar_lab.supply", description=__doc__)
    parser.add_argument(
        "--root", type=Path, default=Path(), metavar="DIR", help="repository (here)"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    lock = commands.add_parser("lock", help="check the locks, or resolve them anew")
    mode = lock.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true", help="no network; red when anything differs")
    mode.add_argument("--write", action="store_true", help="resolve and write")
    names = [target.name for target in TARGETS]
    lock.add_argument("--only", choices=names, help="write this lock only")
    device = commands.add_parser("device-lock", help="name==version --hash=sha256:..., one a line")
    _add_lock_options(device)
    device.add_argument("-o", "--output", type=Path, required=True)
    left_out = commands.add_parser("left-out", help="files of the wheels that a device leaves out")
    _add_lock_options(left_out)
    left_out.add_argument("--wheelhouse", type=Path, default=Path(WHEELHOUSE), metavar="DIR")
    left_out.add_argument("-o", "--output", type=Path, required=True)
    fetch = commands.add_parser("fetch", help="bring the wheels of a lock into a folder")
    _add_lock_options(fetch)
    fetch.add_argument("-d", "--directory", type=Path, required=True)
    sbom = commands.add_parser("sbom", help="bill of materials, CycloneDX 1.6")
    about = sbom.add_mutually_exclusive_group(required=True)
    about.add_argument("--device", dest="lock", action="store_const", const="device-cpu")
    about.add_argument("--lab", dest="lock", action="store_const", const="lab-cpu")
    about.add_argument("--lock", choices=names, help="of another lock")
    sbom.add_argument("--platform", choices=tuple(PLATFORMS), default="linux_x86_64")
    sbom.add_argument("--extra", action="append", default=[], help="of the lock, in addition")
    sbom.add_argument("--wheelhouse", type=Path, default=Path(WHEELHOUSE), metavar="DIR")
    sbom.add_argument("--installed", action="store_true", help="look at what is installed instead")
    sbom.add_argument("-o", "--output", type=Path, required=True)
    _add_audit_options(commands.add_parser("audit", help="known vulnerabilities, offline"))
    return parser


def _add_audit_options(parser: argparse.ArgumentParser) -> None:
    """Add what the vulnerability check takes."""
    parser.add_argument(
        "--database", type=Path, required=True, metavar="DIR", help="OSV records: folder or zip"
    )
    parser.add_argument("--max-age-days", type=int, default=AGE_DAYS_MAX, metavar="N")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="record of it, for the release folder"
    )


def _add_lock_options(parser: argparse.ArgumentParser) -> None:
    """Add what names an installation."""
    names = [target.name for target in TARGETS]
    parser.add_argument("--lock", choices=names, default="device-cpu")
    parser.add_argument("--platform", choices=tuple(PLATFORMS), default="linux_x86_64")
    parser.add_argument("--extra", action="append", default=[], help="of the lock, in addition")


def _lock(options: argparse.Namespace) -> int:
    """Check or write the locks."""
    register = read_register(options.root)
    if options.write:
        declared = declared_by_extra(options.root)
        omitted = [o.package for o in register.omitted]
        for target in [target_of(options.only)] if options.only else TARGETS:
            made = resolved_lock(target, declared, omitted=omitted)
            (options.root / target.file_name).write_text(lock_text(made), encoding="utf-8")
            print(f"{target.file_name}: {len(made.packages)} packages")
    found = check_locks(options.root, register)
    for fault in found:
        print(f"lock: {fault}")
    print(f"{len(TARGETS)} locks, {len(found)} faults")
    return _FAULT if found else 0


def _lines(options: argparse.Namespace) -> str:
    """Return the pinned lines that the options name."""
    lock = read_lock(options.root / target_of(options.lock).file_name)
    return requirement_lines(lock, platform=options.platform, extras=options.extra)


def _device_lock(options: argparse.Namespace) -> int:
    """Write device.lock."""
    options.output.write_text(_lines(options), encoding="utf-8")
    return 0


def _left_out(options: argparse.Namespace) -> int:
    """Write device.leftout."""
    lock = read_lock(options.root / target_of(options.lock).file_name)
    text = left_out_text(
        selected(lock, extras=options.extra),
        read_register(options.root).left_out_files,
        platform=options.platform,
        folder=options.wheelhouse,
    )
    options.output.write_text(text, encoding="ascii")
    print(f"{options.output.name}: {len(text.splitlines())} files")
    return 0


def _fetch(options: argparse.Namespace) -> int:
    """Fill a wheelhouse."""
    sources = target_of(options.lock).sources
    folder: Path = options.directory
    download(_lines(options), platform=options.platform, sources=sources, folder=folder)
    return 0


def _sbom(options: argparse.Namespace) -> int:
    """Write a bill of materials."""
    root, target = options.root, target_of(options.lock)
    lock, declared = read_lock(root / target.file_name), declared_by_extra(root)
    roots = requirements_of(target, declared, choices=False)
    roots += tuple(r for extra in options.extra for r in declared.get(extra, ()))
    subject = Subject(
        version=product_version(root),
        lock=target.file_name,
        lock_sha256=file_sha256(root / target.file_name),
        platform=options.platform,
        roots=tuple(sorted({str(canonicalize_name(r.name)) for r in roots})),
        epoch=_epoch(),
    )

    def contents(package: LockedPackage) -> Contents:
        if options.installed:
            return installed_contents(package)
        return wheel_contents(options.wheelhouse, package.wheel_for(options.platform))

    packages = selected(lock, extras=options.extra)
    text = bill_text(bill_of_materials(subject, packages, read_register(root), contents))
    options.output.write_text(text, encoding="utf-8")
    print(f"{options.output.name}: {len(packages)} packages")
    return 0


def _epoch() -> int | None:
    """Return SOURCE_DATE_EPOCH.

    Raises:
        SupplyError: It is no number of seconds.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if text and not re.fullmatch(r"\d{1,11}", text):
        raise SupplyError(f"SOURCE_DATE_EPOCH is {text!r}, not a number of seconds")
    return int(text) if text else None


def _audit(options: argparse.Namespace) -> int:
    """Compare what is locked with a database of known vulnerabilities."""
    policy, locks = read_policy(options.root), locks_of(options.root)
    outcome = judge(
        locks,
        read_database(options.database),
        policy,
        now=dt.datetime.now(tz=dt.UTC),
        age_days_max=options.max_age_days,
    )
    for line in outcome.accepted:
        print(f"accepted: {line}")
    for line in outcome.findings:
        print(f"vulnerable: {line}")
    print(
        f"{outcome.compared} versions of {len(locks)} locks against {outcome.records} records, "
        f"the newest of {outcome.newest:%Y-%m-%d}: {len(outcome.findings)} findings"
    )
    print("not compared: libraries inside wheels, which this database does not name")
    if options.output is not None:
        options.output.write_text(record_text(outcome, options.root), encoding="utf-8")
    return _FAULT if outcome.findings else 0


_COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "audit": _audit,
    "device-lock": _device_lock,
    "fetch": _fetch,
    "left-out": _left_out,
    "lock": _lock,
    "sbom": _sbom,
}
