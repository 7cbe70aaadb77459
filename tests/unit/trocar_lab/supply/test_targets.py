"""What is locked is what pyproject.toml asks for, no more and no less."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.supply_sites import edit, write_site
from trocar_lab.supply.errors import SupplyError
from trocar_lab.supply.targets import (
    TARGETS,
    declared_by_extra,
    product_version,
    requirements_of,
    target_of,
)

ROOT = Path(__file__).resolve().parents[4]


def test_each_target_names_extras_that_the_repository_has() -> None:
    """An extra that is misspelt would lock nothing and look complete."""
    declared = declared_by_extra(ROOT)
    for target in TARGETS:
        assert {*target.extras, *target.choices} <= set(declared), target.name


def test_requirements_of_a_target_are_those_of_its_extras(tmp_path: Path) -> None:
    """Choices are part of the lock, but not of every installation."""
    declared = declared_by_extra(write_site(tmp_path))
    target = target_of("device-cpu")
    assert [str(r) for r in requirements_of(target, declared)] == [
        "engine==1.2",
        "other-engine==4",
        "Some_Array[fast]<3,>=2",
    ]
    always = requirements_of(target, declared, choices=False)
    assert "other-engine==4" not in map(str, always)


def test_build_of_torch_is_named(tmp_path: Path) -> None:
    """Without it the laboratory without a GPU would be locked with CUDA."""
    declared = declared_by_extra(write_site(tmp_path))
    assert "torch==2.13.0+cpu" in map(str, requirements_of(target_of("lab-cpu"), declared))
    assert "torch!=2.13.0+cpu" in map(str, requirements_of(target_of("lab-gpu"), declared))


def test_unknown_target_is_refused() -> None:
    """A name that is misspelt must not lock something else."""
    with pytest.raises(SupplyError, match="no lock is called lab-tpu"):
        target_of("lab-tpu")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[project]", "[project"),
        ('"engine==1.2"', '"engine=1.2"'),
        ("dependencies =", "wishes ="),
    ],
)
def test_damaged_project_table_is_refused(tmp_path: Path, old: str, new: str) -> None:
    """A table that cannot be read asks for nothing, which is no answer."""
    root = write_site(tmp_path)
    edit(root / "pyproject.toml", old, new)
    with pytest.raises(SupplyError, match=r"pyproject\.toml"):
        declared_by_extra(root)


def test_version_is_that_of_the_project_table(tmp_path: Path) -> None:
    """The bill of materials is about this version."""
    assert product_version(write_site(tmp_path)) == "1.2.3"
