"""The service that recovers a device before a stream starts: the command knows it, systemd too."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from trocar.install.main import build_parser

ROOT: Final = Path(__file__).resolve().parents[2]
SERVICE: Final = ROOT / "deploy" / "trocar-recover.service"
EXPOSURE_MAX: Final = 20
"""Tenths of what ``systemd-analyze security`` shows; 100 is everything open."""


def _directive(name: str) -> str:
    """Return the one value of a directive."""
    lines = SERVICE.read_text(encoding="utf-8").splitlines()
    (value,) = [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]
    return value


def test_service_starts_what_the_installer_knows() -> None:
    """Isolated Python, the provisioned file, the folder that the service may write to."""
    python, isolated, siteless, archive, *words = shlex.split(_directive("ExecStart"))
    assert (python, isolated, siteless) == ("/usr/bin/python3.11", "-I", "-S")
    assert archive == "/usr/local/lib/trocar/trocar-install.pyz"
    options = build_parser().parse_args(words)
    assert options.root == Path(_directive("ReadWritePaths"))


def test_stream_does_not_start_where_nothing_sound_is_left() -> None:
    """A recovery that fails holds the stream back; it comes first in any case."""
    assert _directive("RequiredBy") == _directive("Before") == "trocar-stream.service"
    assert _directive("Type") == "oneshot"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_service_file(tmp_path: Path) -> None:
    """No unknown directive; the hardening is not weakened unseen."""
    text = SERVICE.read_text(encoding="utf-8").replace("/usr/bin/python3.11", "/usr/bin/true")
    unit = tmp_path / SERVICE.name
    unit.write_text(text, encoding="utf-8")
    for words in (
        ["verify", str(unit)],
        ["security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE_MAX}", str(unit)],
    ):
        done = subprocess.run(
            ["systemd-analyze", *words], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout[-500:]
