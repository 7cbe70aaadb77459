"""What is locked: for each environment its requirements and platforms."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from trocar_lab.supply.errors import SupplyError

__all__ = [
    "PLATFORMS",
    "TARGETS",
    "Target",
    "declared_by_extra",
    "product_version",
    "requirements_of",
    "target_of",
]

PLATFORMS: Final[Mapping[str, str]] = {"linux_x86_64": "x86_64", "linux_aarch64": "aarch64"}
"""Platform -> what ``platform_machine`` says on it."""


@dataclass(frozen=True)
class Target:
    """One environment that has a lock.

    Attributes:
        name: Name in the file name of the lock.
        extras: Extras that are always installed.
        choices: Extras that an installation may ask for.
        platforms: Platforms that each package must have a wheel for.
        is_device: Whether it is installed on a device.
        sources: Packages that have no wheel, only a source archive; a device has none.
        builds: Which build of a package is meant where its supplier has several of one version.
        about: What it is for, in words.
    """

    name: str
    extras: tuple[str, ...]
    choices: tuple[str, ...]
    platforms: tuple[str, ...]
    is_device: bool
    about: str
    sources: tuple[str, ...] = ()
    builds: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """Return the name of the lock at the root of the repository."""
        return f"pylock.{self.name}.toml"


TARGETS: Final = (
    Target(
        name="device-cpu",
        extras=("cpu",),
        choices=("openigtlink", "openvino"),
        platforms=("linux_x86_64", "linux_aarch64"),
        is_device=True,
        about="device without a GPU",
    ),
    Target(
        name="device-gpu",
        extras=("gpu",),
        choices=("openigtlink",),
        platforms=("linux_x86_64", "linux_aarch64"),
        is_device=True,
        about="device with a GPU of NVIDIA; driver, CUDA, cuDNN and TensorRT are the system's",
    ),
    Target(
        name="lab-cpu",
        extras=("cpu", "openvino", "openigtlink", "lab", "docs", "check", "build"),
        choices=(),
        platforms=("linux_x86_64",),
        is_device=False,
        about="toolchain, tests and documentation without a GPU",
        sources=("crcmod",),
        builds=("torch==2.13.0+cpu",),
    ),
    Target(
        name="lab-gpu",
        extras=("gpu", "lab"),
        choices=(),
        platforms=("linux_x86_64",),
        is_device=False,
        about="toolchain on a GPU: training and measuring only",
        builds=("torch!=2.13.0+cpu",),
    ),
)


def target_of(name: str) -> Target:
    """Return a target by its name.

    Raises:
        SupplyError: There is none of that name.
    """
    for target in TARGETS:
        if target.name == name:
            return target
    raise SupplyError(f"no lock is called {name}; known: {', '.join(t.name for t in TARGETS)}")


def declared_by_extra(root: Path) -> dict[str, tuple[Requirement, ...]]:
    """Return what pyproject.toml asks for: by extra, ``""`` for the wheel, ``build`` for hatchling.

    Args:
        root: Repository.

    Raises:
        SupplyError: pyproject.toml cannot be read.
    """
    table = _project_table(root)
    try:
        project: Mapping[str, Any] = table["project"]
        lines = {
            "": project["dependencies"],
            **project.get("optional-dependencies", {}),
            "build": table["build-system"]["requires"],
        }
        return {extra: tuple(Requirement(x) for x in texts) for extra, texts in lines.items()}
    except (KeyError, InvalidRequirement) as exc:
        raise SupplyError(f"pyproject.toml cannot be read: {exc!r}") from exc


def product_version(root: Path) -> str:
    """Return the version of the product; empty when pyproject.toml names none.

    Args:
        root: Repository.

    Raises:
        SupplyError: pyproject.toml cannot be read.
    """
    return str(_project_table(root).get("project", {}).get("version", ""))


def _project_table(root: Path) -> Mapping[str, Any]:
    """Return pyproject.toml."""
    try:
        return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise SupplyError(f"pyproject.toml cannot be read: {exc}") from exc


def requirements_of(
    target: Target, declared: Mapping[str, tuple[Requirement, ...]], *, choices: bool = True
) -> tuple[Requirement, ...]:
    """Return what a target asks for, once each, in the order of names.

    Args:
        target: The target.
        declared: What pyproject.toml asks for, by extra.
        choices: Whether what may be asked for in addition is meant too.
    """
    extras = ("", *target.extras, *(target.choices if choices else ()))
    found = {str(r): r for extra in extras for r in declared.get(extra, ())}
    found |= {text: Requirement(text) for text in target.builds}
    return tuple(sorted(found.values(), key=lambda r: (canonicalize_name(r.name), str(r))))
