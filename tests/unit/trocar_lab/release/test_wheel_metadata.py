"""Requirements and versions: the wheel against the project table and every other place."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.release_source import VERSION, small_repository, write_files
from trocar_lab.evidence.signed.release_folder import WheelFacts
from trocar_lab.release.wheel_metadata import requirement_faults, version_faults

REQUIRES = (
    "numpy<3,>=2.2",
    "coverage[toml]<8,>=7.10; extra == 'check'",
    "onnxruntime==1.31.1; extra == 'cpu'",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository with one commit."""
    return small_repository(tmp_path / "repository")


def facts(*, requires: tuple[str, ...] = REQUIRES, version: str = VERSION) -> WheelFacts:
    """Return what a wheel says about itself."""
    return WheelFacts(
        file_name="trocar.whl",
        file_version=version,
        sha256="0" * 64,
        version=version,
        requires=requires,
    )


def test_sound_wheel_has_no_fault(root: Path) -> None:
    """Order of clauses and of lines does not matter; with and without a tag."""
    assert requirement_faults(facts(), root) == []
    assert requirement_faults(facts(requires=REQUIRES[::-1]), root) == []
    assert version_faults(facts(), root, tag="") == []
    assert version_faults(facts(), root, tag=f"v{VERSION}") == []


@pytest.mark.verifies("SRS_REL_003", extent="full", technique="fault_injection")
@pytest.mark.parametrize(
    ("requires", "words"),
    [
        (REQUIRES[1:], ["pyproject.toml asks for numpy <3,>=2.2, METADATA does not"]),
        (
            (*REQUIRES, "evil==1.0"),
            ["METADATA asks for evil ==1.0, pyproject.toml does not"],
        ),
        (
            ("numpy<4,>=2.2", *REQUIRES[1:]),
            ["METADATA asks for numpy <4,>=2.2", "pyproject.toml asks for numpy <3,>=2.2"],
        ),
        (
            (*REQUIRES[:2], "onnxruntime==1.31.1"),
            ["METADATA asks for onnxruntime ==1.31.1, py", "asks for onnxruntime ==1.31.1 (cpu)"],
        ),
        (
            (REQUIRES[0], "coverage<8,>=7.10; extra == 'check'", REQUIRES[2]),
            ["METADATA asks for coverage <8", "asks for coverage[toml] <8"],
        ),
        ((*REQUIRES, "???"), ["METADATA asks for ???"]),
    ],
)
def test_requirements_are_compared_both_ways(
    root: Path, requires: tuple[str, ...], words: list[str]
) -> None:
    """Added, lost, widened, moved out of an extra, without its own extra, unreadable."""
    faults = requirement_faults(facts(requires=requires), root)
    assert len(faults) == len(words)
    assert all(word in fault for word, fault in zip(words, faults, strict=True))


@pytest.mark.verifies("SRS_REL_003", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"CHANGELOG.md": "## [0.2.0] - unreleased\n"}, "CHANGELOG.md names version 0.2.0"),
        ({"CHANGELOG.md": ""}, "CHANGELOG.md names version none"),
        ({"src/trocar/__init__.py": ""}, "src/trocar/__init__.py names version none"),
        ({"README.md": "pip install trocar==0.2.0"}, "README.md names version 0.2.0"),
        ({"docs/how.rst": "trocar-0.2.0-py3-none-any.whl"}, "docs/how.rst names version 0.2.0"),
    ],
)
def test_version_is_one_in_every_place(root: Path, files: dict[str, str], words: str) -> None:
    """A text for users counts as much as a file for tools."""
    write_files(root, files)
    (fault,) = version_faults(facts(), root, tag="")
    assert fault == f"{words}, pyproject.toml {VERSION}"


@pytest.mark.verifies("SRS_REL_003", extent="partial", technique="fault_injection")
def test_version_of_wheel_and_tag_is_that_of_the_project(root: Path) -> None:
    """Name and metadata of the wheel, and the tag; a project table without a version."""
    faults = version_faults(facts(version="0.2.0"), root, tag="v0.2.0")
    assert [fault.split(" names")[0] for fault in faults] == [
        "the name of trocar.whl",
        "METADATA",
        "tag v0.2.0",
    ]
    text = (root / "pyproject.toml").read_text().replace(f'version = "{VERSION}"', "")
    (root / "pyproject.toml").write_text(text)
    assert all("pyproject.toml none" in fault for fault in version_faults(facts(), root, tag=""))
