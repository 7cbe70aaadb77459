"""The service file starts what the command accepts, and systemd accepts the file."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from trocar.backends.choices import Engine, Precision
from trocar.cli.catalogue import find_unit
from trocar.cli.main import build_parser
from trocar.contracts import errors
from trocar.contracts.errors import TrocarError
from trocar.contracts.limits import WATCHDOG_PERIOD_MS_MAX

ROOT: Final = Path(__file__).resolve().parents[2]
SERVICE: Final = ROOT / "deploy" / "trocar-stream.service"
SETTINGS: Final = ROOT / "deploy" / "stream.env"
COMMAND: Final = "/opt/trocar/bin/trocar"
USAGE: Final = 2
MAY_BE_MENDED: Final = {"SOURCE_LOST", "PROTOCOL", "SOURCE", "INVARIANT", "TROCAR", "BACKEND"}
"""Errors after which another start is worth while: the peer may be back, or the fault was ours."""


def _directives() -> dict[str, list[str]]:
    """Return the values of each directive of the service file."""
    text = SERVICE.read_text(encoding="utf-8").replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found.setdefault(name, []).append(value.strip())
    return found


def _settings() -> dict[str, str]:
    """Return the example settings."""
    lines = SETTINGS.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {name: value for name, value in pairs}  # noqa: C416 - dict() loses the types of the pairs


def _words() -> list[str]:
    """Return the command line as systemd would start it."""
    values = {**_settings(), "STATE_DIRECTORY": "/var/lib/trocar", "INVOCATION_ID": "0" * 32}
    (line,) = _directives()["ExecStart"]
    filled = re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], line)
    return shlex.split(filled)


def _errors(kind: type[TrocarError] = TrocarError) -> Iterator[type[TrocarError]]:
    """Yield every class of error of the device."""
    yield kind
    for below in kind.__subclasses__():
        yield from _errors(below)


def test_command_line_of_the_service_is_one_that_the_command_knows() -> None:
    """Every option exists and takes the example's value; unit and engine exist."""
    command, *words = _words()
    assert command == COMMAND
    options = build_parser().parse_args(words)
    settings = _settings()
    assert (options.unit, options.source) == (settings["STREAM_UNIT"], settings["STREAM_SOURCE"])
    assert find_unit(options.unit).pack.name == settings["STREAM_UNIT"]
    assert (options.engine, options.precision) == (Engine.ONNXRUNTIME_CPU, Precision.FP32)
    addresses = [options.source, *options.sink]
    schemes = {address.partition(":")[0] for address in addresses}
    assert schemes == {"rtsp", "jsonl", "igtl-listen"}


def test_restart_is_for_what_may_mend_itself() -> None:
    """A wrong pack, engine or folder would be tried for ever; a lost source may come back."""
    (codes,) = _directives()["RestartPreventExitStatus"]
    prevented = {int(code) for code in codes.split()}
    expected = {kind.exit_code for kind in _errors() if kind.code not in MAY_BE_MENDED}
    assert prevented == expected | {USAGE}
    assert errors.SourceLostError.exit_code not in prevented


def test_watchdog_of_the_manager_is_slower_than_the_signs_of_life() -> None:
    """Several signs may be lost before the service is ended."""
    (seconds,) = _directives()["WatchdogSec"]
    assert int(seconds) * 1000 >= 4 * WATCHDOG_PERIOD_MS_MAX
    assert _directives()["Type"] == ["notify"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_service_file(tmp_path: Path) -> None:
    """No unknown directive, no value out of range; the hardening is not weakened unseen."""
    text = SERVICE.read_text(encoding="utf-8").replace(COMMAND, "/usr/bin/true")
    unit = tmp_path / SERVICE.name
    unit.write_text(text, encoding="utf-8")
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=20", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout[-500:]
