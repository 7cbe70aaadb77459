"""The installer as one file, on a machine without network: a real interpreter, pip and OpenSSL."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from simulators.release_folders import Release, trust_folder
from trocar import RESEARCH_NOTICE
from trocar.install.main import DEVELOPMENT_NOTICE
from trocar.install.openssl import OPENSSL
from trocar_lab.release.installer_archive import write_installer

ROOT: Final = Path(__file__).resolve().parents[2]
UNSHARE: Final = Path("/usr/bin/unshare")
BASE: Final = Path(sys.base_prefix, "bin", f"python{sysconfig.get_python_version()}")
SECONDS_MAX: Final = 240
LARGE_BYTES: Final = 24_000_000


def _why_not() -> str:
    """Return why this machine cannot run the installer without a network; empty where it can."""
    if not OPENSSL.is_file():
        return f"no OpenSSL at {OPENSSL}"
    if not UNSHARE.is_file():
        return f"no {UNSHARE}, with which the network is taken away"
    if not BASE.is_file():
        return f"no interpreter at {BASE}"
    tried = subprocess.run([UNSHARE, "-rn", "/bin/true"], check=False, capture_output=True)
    return "" if tried.returncode == 0 else "namespaces without network are not permitted here"


WHY_NOT: Final = _why_not()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")


@dataclass(frozen=True)
class Machine:
    """A machine that has an interpreter, OpenSSL and nothing else.

    Attributes:
        folder: Holds the installer, the media and the device.
    """

    folder: Path

    @property
    def root(self) -> Path:
        """Where releases are installed."""
        return self.folder / "device"

    def __call__(
        self, *words: object, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the installer without network."""
        return subprocess.run(
            [
                *(UNSHARE, "-rn", BASE, "-I", "-S", self.folder / "trocar-install.pyz"),
                *(str(word) for word in words),
            ],
            cwd=self.folder,
            env=environment or {},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS_MAX,
        )

    def install(
        self, usb: str, *words: str, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Install from a medium."""
        return self(
            *("install", self.folder / usb, "--root", self.root),
            *("--trust", self.folder / "etc/trust", "--python", BASE, *words),
            environment=environment,
        )

    def product(self) -> str:
        """Return what the installed product says when it runs."""
        done = subprocess.run(
            [self.root / "current" / "venv" / "bin" / "python", "-I", "-m", "trocar"],
            capture_output=True,
            text=True,
            check=True,
            timeout=SECONDS_MAX,
        )
        return done.stdout.strip()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a bare machine with the installer, trusted keys and two media."""
    write_installer(ROOT / "src", tmp_path / "trocar-install.pyz")
    trust_folder(tmp_path / "etc" / "trust")
    Release().write(tmp_path / "usb1")
    Release().after(2).write(tmp_path / "usb2")
    return Machine(tmp_path)


def _traps(folder: Path) -> dict[str, str]:
    """Return the environment of a caller in which everything is a trap."""
    programs, home = folder / "bin", folder / "home"
    evil = folder / "evil" / "trocar"
    for made in (programs, home / ".config" / "pip", evil):
        made.mkdir(parents=True)
    for name in ("openssl", "python", "python3", "python3.11", "pip"):
        (programs / name).write_text(f"#!/bin/sh\ntouch {folder}/sprung\nexit 0\n")
        (programs / name).chmod(0o755)
    (evil / "__init__.py").write_text(f"open({str(folder / 'sprung')!r}, 'w')\n")
    (folder / "evil" / "sitecustomize.py").write_text(f"open({str(folder / 'sprung')!r}, 'w')\n")
    target = f"target = {folder}/elsewhere\n"
    (home / ".config" / "pip" / "pip.conf").write_text(f"[install]\n{target}no-deps = false\n")
    return {
        "PATH": str(programs),
        "HOME": str(home),
        "PYTHONPATH": str(folder / "evil"),
        "PYTHONHOME": str(folder / "evil"),
        "PIP_TARGET": str(folder / "elsewhere"),
        "PIP_NO_BINARY": ":all:",
        "PIP_CONFIG_FILE": str(home / ".config" / "pip" / "pip.conf"),
        "OPENSSL_CONF": str(folder / "evil"),
    }


@pytest.mark.verifies("SRS_INST_004", extent="full", technique="requirement")
@pytest.mark.verifies("SRS_INST_007", extent="partial", technique="requirement")
@pytest.mark.verifies("SRS_INST_011", extent="partial", technique="requirement")
@pytest.mark.verifies("SRS_INST_012", extent="full", technique="requirement")
@pytest.mark.verifies("IFC_INSTALL_STATEMENTS", extent="full", technique="requirement")
@pytest.mark.verifies("IFC_INSTALL_AUDIT", extent="full", technique="requirement")
def test_release_is_installed_updated_and_returned_to(machine: Machine) -> None:
    """Two releases from two media; each time the product that runs is the one that was said."""
    first = machine.install("usb1")
    assert first.returncode == 0, first.stderr
    assert first.stderr.splitlines()[0] == RESEARCH_NOTICE
    assert machine.product() == "tiny 0.1.0"
    second = machine.install("usb2")
    assert second.returncode == 0, second.stderr
    assert machine.product() == "tiny 0.2.0"
    returned = machine("rollback", "--root", machine.root)
    assert returned.returncode == 0, returned.stderr
    assert machine.product() == "tiny 0.1.0"
    again = machine.install("usb2")
    assert (again.returncode, "above 2" in again.stderr) == (77, True)
    lines = (machine.root / "audit.jsonl").read_text(encoding="ascii").splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert events == [
        *("log_started", "installed", "switched", "installed", "switched", "rolled_back"),
        "verify_refused",
    ]


@pytest.mark.verifies("SRS_INST_005", extent="full", technique="fault_injection")
@pytest.mark.verifies("SRS_INST_006", extent="partial", technique="fault_injection")
def test_nothing_of_the_caller_has_a_say(machine: Machine, tmp_path: Path) -> None:
    """Programs on the path, settings of pip, modules on the path of Python: none is looked at."""
    environment = _traps(tmp_path / "traps")
    done = machine.install("usb1", environment=environment)
    assert done.returncode == 0, done.stderr
    assert machine.product() == "tiny 0.1.0"
    assert not (tmp_path / "traps" / "sprung").exists()
    assert not (tmp_path / "traps" / "elsewhere").exists()


@pytest.mark.proves_effect(
    "RCM_INST_007",
    measure="files of an altered package of the same version that are there after an installation",
    acceptance="0",
)
def test_altered_package_of_the_same_version_is_not_kept(machine: Machine) -> None:
    """The real pip would call it satisfied; it never sees an environment that was there."""
    assert machine.install("usb1").returncode == 0
    old = machine.root / "slots" / "0.1.0-1"
    evil = machine.root / "slots" / "0.2.0-2"
    shutil.copytree(old, evil, symlinks=True)
    (evil / "slot.json").unlink()
    (module,) = evil.glob("venv/lib/python*/site-packages/tiny_part/__init__.py")
    module.write_text("ANSWER = 0\n")
    done = machine.install("usb2")
    assert done.returncode == 0, done.stderr
    assert "was left over and was removed" in done.stderr
    assert module.read_text() == "ANSWER = 42\n"


def test_release_for_development_says_so_on_every_screen(machine: Machine) -> None:
    """It is refused unless asked for, and then each command that names it says what it is."""
    Release(predicate={"grade": "development"}).write(machine.folder / "usb3")
    refused = machine.install("usb3")
    assert (refused.returncode, "is for development" in refused.stderr) == (77, True)
    for done in (
        machine.install("usb3", "--allow-development"),
        machine("status", "--root", machine.root),
        machine("recover", "--root", machine.root),
    ):
        assert done.returncode == 0, done.stderr
        assert DEVELOPMENT_NOTICE in done.stderr


@pytest.mark.verifies("SRS_INST_008", extent="partial", technique="fault_injection")
def test_disk_that_gets_full_while_pip_works_leaves_the_old_release(machine: Machine) -> None:
    """On a real file system of 40 MB: the copy fits, what pip unpacks of it does not."""
    large = {"trocar/large.txt": "x" * LARGE_BYTES}
    Release(version="0.3.0", sequence=3, extra=large).write(machine.folder / "usb3")
    words = f"{BASE} -I -S {machine.folder}/trocar-install.pyz"
    options = f"--root {machine.root} --trust {machine.folder}/etc/trust --python {BASE}"
    lines = (
        f"mkdir {machine.root} && mount -t tmpfs -o size=40m,mode=755 tmpfs {machine.root}",
        f"{words} install {machine.folder}/usb1 {options} || exit 3",
        f"{words} install {machine.folder}/usb3 {options} && exit 4",
        f"{words} status --root {machine.root} && ls {machine.root} {machine.root}/slots",
    )
    done = subprocess.run(
        [UNSHARE, "-rnm", "/bin/sh", "-c", "\n".join(lines)],
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stderr
    assert "runs: 0.1.0-1" in done.stderr
    shown = done.stdout.split()
    assert "0.3.0-3" not in shown
    assert "staging" not in shown


def test_installer_that_was_killed_leaves_the_folder_free(machine: Machine) -> None:
    """The system lets go of the lock; the next installer removes what the killed one has left."""
    slow = "import time\ntime.sleep(20)\n"
    Release(main=slow).write(machine.folder / "usb3")
    words: list[str | Path] = [
        *(BASE, "-I", "-S", machine.folder / "trocar-install.pyz", "install"),
        *(machine.folder / "usb3", "--root", machine.root, "--trust", machine.folder / "etc/trust"),
        *("--python", BASE),
    ]
    with subprocess.Popen(words, env={}, stderr=subprocess.DEVNULL) as process:
        pattern = "slots/0.1.0-1/venv/lib/python*/site-packages/trocar/__pycache__/__main__*"
        while not list(machine.root.glob(pattern)):
            assert process.poll() is None
            time.sleep(0.05)
        busy = machine("status", "--root", machine.root)
        process.kill()
    assert (busy.returncode, "another installer" in busy.stderr) == (77, True)
    done = machine.install("usb1")
    assert done.returncode == 0, done.stderr
    assert machine.product() == "tiny 0.1.0"


def test_installer_runs_with_the_standard_library_alone(machine: Machine) -> None:
    """No module comes from anywhere but the interpreter and the one file."""
    archive = machine.folder / "trocar-install.pyz"
    code = (
        f"import sys; sys.path.insert(0, {str(archive)!r}); import trocar.install.main; "
        "print(*{m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)},"
        "sep='\\n')"
    )
    done = subprocess.run(
        [BASE, "-I", "-S", "-c", code], capture_output=True, text=True, check=True, env={}
    )
    library = sysconfig.get_path("stdlib")
    strangers = [
        path
        for path in done.stdout.splitlines()
        if not path.startswith((str(archive), library)) or "site-packages" in path
    ]
    assert strangers == []
