"""The wheel, built twice in surroundings that differ in all that must not matter.

The pinned backend runs in a process of its own, without network and without isolation: it must be
installed in the very version that ``pyproject.toml`` names. SOURCE_DATE_EPOCH is always taken away,
so that the time in the archive is the backend's own constant and anybody who builds the tag with
the pinned backend gets the same bytes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Final

from trocar_lab.release.errors import NotReleasableError

__all__ = ["FIRST", "SECOND", "Surroundings", "build_wheel", "check_backend"]

_SECONDS_MAX: Final = 300
_BACKEND: Final = "hatchling"


@dataclass(frozen=True)
class Surroundings:
    """What differs from one build to the other.

    Attributes:
        folder: Name of the folder with the source; of another length in the second build.
        umask: Mode bits that new files do not get.
        backwards: Files are created in the opposite order.
        variables: Environment, beside PATH and HOME.
    """

    folder: str
    umask: int
    backwards: bool
    variables: Mapping[str, str] = field(default_factory=dict)


FIRST: Final = Surroundings(
    folder="source",
    umask=0o022,
    backwards=False,
    variables={"TZ": "UTC", "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
)
SECOND: Final = Surroundings(
    folder="another folder/with blanks and a longer name",
    umask=0o077,
    backwards=True,
    variables={"TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "4711", "LC_ALL": "C"},
)


def check_backend(tree: Path, *, installed: str | None = None) -> str:
    """Return the version of the build backend, when it is the pinned one.

    Args:
        tree: Source with pyproject.toml.
        installed: Version; asked of this environment when left out.

    Raises:
        NotReleasableError: It is not installed, not pinned, or of another version.
    """
    table = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))
    required: Sequence[str] = table.get("build-system", {}).get("requires", [])
    pins = [line.partition("==") for line in required]
    if [name.strip() for name, _, _ in pins] != [_BACKEND] or not all(pin for _, _, pin in pins):
        raise NotReleasableError(f"pyproject.toml must require {_BACKEND}==VERSION and no more")
    pinned = pins[0][2].strip()
    try:
        present = metadata.version(_BACKEND) if installed is None else installed
    except metadata.PackageNotFoundError:
        present = "nothing"
    if present != pinned:
        raise NotReleasableError(
            f"the build needs {_BACKEND}=={pinned}, installed is {present}; use tox -e release"
        )
    return pinned


def build_wheel(tree: Path, out: Path, around: Surroundings) -> Path:
    """Return the one wheel that the backend makes of a source tree.

    Args:
        tree: Unpacked source.
        out: Folder for the wheel; made here, empty.
        around: Surroundings of this build.

    Raises:
        NotReleasableError: The backend failed or took too long.
    """
    out = out.resolve()  # the backend runs in another folder
    out.mkdir(parents=True)
    home = out.parent / f"{out.name}-home"
    home.mkdir()
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "PYTHONDONTWRITEBYTECODE": "1",
        **around.variables,
    }
    command = [sys.executable, "-P", "-s", "-m", _BACKEND, "build", "-t", "wheel", "-d", str(out)]
    try:
        subprocess.run(
            command,
            cwd=tree,
            env=environment,
            umask=around.umask,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_SECONDS_MAX,
        )
    except subprocess.CalledProcessError as exc:
        said = exc.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise NotReleasableError(f"the wheel was not built: {' '.join(said)}") from exc
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise NotReleasableError(f"the wheel was not built: {exc}") from exc
    wheels = sorted(out.iterdir())
    if len(wheels) != 1 or wheels[0].suffix != ".whl":
        raise NotReleasableError(f"expected one wheel, got {[path.name for path in wheels]}")
    return wheels[0]
