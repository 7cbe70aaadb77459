"""``trocar-install``: releases put on a device without a network.

Exit codes: 0 done; 2 usage; 66 not signed by a trusted key; 70 a fault of Trocar; 77 refused or not
installed, what ran before still runs; 130 interrupted, what ran before still runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from trocar import RESEARCH_NOTICE, __version__
from trocar.contracts.errors import InstallError, InvariantError, TrocarError
from trocar.install.installation import Installation, Outcome, Tools, verify_release
from trocar.install.slots import SLOTS_NAME

__all__ = ["DEVELOPMENT_NOTICE", "build_parser", "main"]

DEVELOPMENT_NOTICE: Final = "DEVELOPMENT RELEASE - NOT SIGNED FOR PRODUCTION"
"""Shown wherever a release is named that is for development."""

_PYTHON: Final = Path("/usr/bin/python3.11")
_USAGE: Final = 2
_INTERRUPTED: Final = 130
_OPEN_TO_ALL_READERS: Final = 0o022
_Command = Callable[[argparse.Namespace, Tools], None]


# @need-ids: SRS_INST_012
def main(arguments: Sequence[str] | None = None, *, tools: Tools | None = None) -> int:
    """Run one command.

    Args:
        arguments: Words after ``trocar-install``; those of the process when None.
        tools: What it rests on; the real machine when None.

    Returns:
        The exit code.
    """
    _show(RESEARCH_NOTICE)
    try:
        options = build_parser().parse_args(arguments)
    except SystemExit as exc:
        return _USAGE if exc.code else 0
    os.umask(_OPEN_TO_ALL_READERS)
    command: _Command = options.run_command
    try:
        command(options, tools or Tools())
    except TrocarError as exc:
        return _failed(exc)
    except KeyboardInterrupt:
        _show("interrupted; what ran before still runs")
        return _INTERRUPTED
    except Exception as exc:  # noqa: BLE001 - outermost place: a bug must end as an error with a code
        return _failed(
            InvariantError(
                f"unexpected {type(exc).__name__}: {exc}",
                advice="this is a fault of Trocar; run trocar-install recover and report it",
            )
        )
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    parser = argparse.ArgumentParser(
        prog="trocar-install",
        description=f"Install releases of Trocar without a network. {RESEARCH_NOTICE}.",
    )
    parser.add_argument("--version", action="version", version=f"trocar-install {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    development = argparse.ArgumentParser(add_help=False)
    development.add_argument(
        "--allow-development", action="store_true", help="take a release for development too"
    )
    release = argparse.ArgumentParser(add_help=False, parents=[development])
    release.add_argument("folder", type=Path, metavar="FOLDER", help="the release folder")
    release.add_argument(
        "--trust", type=Path, required=True, metavar="KEYS", help="folder of the trusted keys"
    )
    device = argparse.ArgumentParser(add_help=False)
    device.add_argument(
        "--root", type=Path, required=True, metavar="ROOT", help="where releases are installed"
    )
    verify = commands.add_parser(
        "verify", parents=[release], help="check a release, change nothing"
    )
    verify.set_defaults(run_command=_verify)
    install = commands.add_parser(
        "install", parents=[release, device], help="check, install, try and switch to a release"
    )
    install.add_argument(
        "--python", type=Path, default=_PYTHON, metavar="PATH", help=f"full path; {_PYTHON}"
    )
    install.set_defaults(run_command=_install)
    rollback = commands.add_parser(
        "rollback", parents=[development, device], help="return to the release that ran before"
    )
    rollback.set_defaults(run_command=_rollback)
    for name, run_command, what in (
        ("status", _status, "say what runs, and check its files"),
        ("recover", _recover, "bring a device in order after an interruption"),
    ):
        command = commands.add_parser(name, parents=[device], help=what)
        command.set_defaults(run_command=run_command)
    return parser


def _verify(options: argparse.Namespace, tools: Tools) -> None:
    """Check a release."""
    release = verify_release(
        options.folder, options.trust, allow_development=options.allow_development, tools=tools
    )
    facts = release.facts
    if release.is_development:
        _show(DEVELOPMENT_NOTICE)
    _show(f"sound: Trocar {facts.version}, sequence number {facts.sequence}, {facts.grade}")
    _show(f"  {len(release.subjects)} files, signed by {release.signer.key_id[:16]}")
    _show(f"  for Python {facts.python} on {facts.platform}, until {facts.expires}")
    _show(f"  manifest {release.manifest_sha256}")


def _install(options: argparse.Namespace, tools: Tools) -> None:
    """Install a release."""
    installation = Installation(options.root, tools)
    outcome = installation.install(
        options.folder,
        options.trust,
        interpreter=options.python,
        allow_development=options.allow_development,
    )
    _show("installed")
    _show_outcome(options.root, outcome)


def _rollback(options: argparse.Namespace, tools: Tools) -> None:
    """Return to the release before."""
    outcome = Installation(options.root, tools).rollback(
        allow_development=options.allow_development
    )
    _show("returned")
    _show_outcome(options.root, outcome)


def _recover(options: argparse.Namespace, tools: Tools) -> None:
    """Bring a device in order."""
    outcome = Installation(options.root, tools).recover()
    _show_outcome(options.root, outcome)
    _require_running(outcome)


def _status(options: argparse.Namespace, tools: Tools) -> None:
    """Say what runs; a damaged one is an error."""
    outcome = Installation(options.root, tools).status()
    _show_outcome(options.root, outcome)
    _require_running(outcome)
    if outcome.faults:
        raise InstallError(
            f"expected the files that were installed: {outcome.faults[0]} "
            f"({len(outcome.faults)} such files)",
            advice="stop the service, then: trocar-install recover",
        )


def _require_running(outcome: Outcome) -> None:
    """Refuse a device on which something was installed and nothing can run."""
    if outcome.slot is None and outcome.state.sequence_highest is not None:
        raise InstallError(
            "expected a release that can run, there is none left",
            advice=f"install one with a sequence number above {outcome.state.sequence_highest}",
        )


def _show_outcome(root: Path, outcome: Outcome) -> None:
    """Say what holds."""
    for remark in outcome.remarks:
        _show(f"  note: {remark}")
    slot = outcome.slot
    if slot is None:
        _show("  nothing is installed that can run")
        return
    if slot.is_development:
        _show(DEVELOPMENT_NOTICE)
    _show(f"  runs: {slot.name} in {root / SLOTS_NAME / slot.name}")
    _show(f"  manifest {slot.manifest_sha256}, signed by {slot.key_id[:16]}")
    if slot.left_out_files:
        count, size_bytes = slot.left_out_files, slot.left_out_bytes
        _show(f"  left out as signed: {count} files of packages, {size_bytes} bytes")
    if outcome.state.is_rolled_back:
        _show(f"  returned to: number {outcome.state.sequence_highest} was installed before")
    if outcome.previous is not None:
        grade = f" - {DEVELOPMENT_NOTICE}" if outcome.previous.is_development else ""
        _show(f"  before: {outcome.previous.name}{grade}")


def _failed(error: TrocarError) -> int:
    """Show an error once; return its exit code."""
    for line in error.diagnostic_lines():
        _show(line)
    return error.exit_code


def _show(line: str) -> None:
    """Write a line to the screen; characters that would steer a terminal are replaced."""
    shown = "".join(one if one.isprintable() else "?" for one in line)
    sys.stderr.write(f"{shown}\n")
