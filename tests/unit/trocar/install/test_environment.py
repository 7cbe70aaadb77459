"""A fresh environment: how each program is called, and what happens when one fails."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from simulators.install_programs import FakePrograms
from simulators.release_folders import wheel
from trocar.contracts.errors import InstallError
from trocar.contracts.limits import INSTALL_SELFTEST_MS_MAX
from trocar.install.device_lock import LockedWheel
from trocar.install.environment import Builder, Interpreter
from trocar.install.left_out import LeftOut
from trocar.install.programs import Ended, Program

PYTHON = Path("/usr/bin/python3")
WHEELS = (LockedWheel("tiny-part", "2.0", "a" * 64, "wheelhouse/tiny_part-2.0.whl"),)


def _builder(tmp_path: Path, programs: FakePrograms) -> Builder:
    """Return a builder with played programs."""
    (tmp_path / "scratch").mkdir()
    return Builder(PYTHON, tmp_path / "scratch", programs)


def _store(tmp_path: Path) -> Path:
    """Return a folder with one wheel."""
    store = tmp_path / "wheels"
    store.mkdir()
    content = wheel("tiny_part", "2.0", {"tiny_part/__init__.py": ""})
    (store / "tiny_part-2.0-py3-none-any.whl").write_bytes(content)
    return store


def _answer(ended: Ended, _: Program) -> Ended:
    """Answer the same to every call."""
    return ended


def _call(programs: FakePrograms, kind: str) -> Program:
    """Return the one call of a kind."""
    (found,) = [program for one, program in programs.started if one == kind]
    return found


@pytest.mark.verifies("SRS_INST_004", extent="partial", technique="requirement")
@pytest.mark.verifies("SRS_INST_005", extent="partial", technique="requirement")
def test_pip_is_told_to_use_the_store_and_nothing_else(tmp_path: Path) -> None:
    """No index, no dependencies, digests required, no source, no settings, no cache."""
    programs = FakePrograms()
    builder = _builder(tmp_path, programs)
    builder.build(tmp_path / "venv", WHEELS, _store(tmp_path))
    assert programs.kinds == ["venv", "has_pip", "pip_version", "pip", "compile"]
    pip = _call(programs, "pip")
    assert pip.words[:5] == (str(PYTHON), "-I", "-m", "pip", "--isolated")
    assert {
        *("--no-index", "--no-deps", "--require-hashes", "--no-compile", "--no-cache-dir"),
        *("--only-binary=:all:", "--no-input"),
    } <= set(pip.words)
    assert pip.environment["PIP_CONFIG_FILE"] == "/dev/null"
    assert not {"PATH", "HOME", "PYTHONPATH"} & set(pip.environment)
    assert (tmp_path / "scratch" / "requirements.txt").read_text() == (
        f"tiny-part==2.0 --hash=sha256:{'a' * 64}\n"
    )
    for _, program in programs.started:
        assert "-I" in program.words


@pytest.mark.verifies("SRS_INST_014", extent="partial", technique="requirement")
def test_files_are_left_out_before_bytecode_is_written(tmp_path: Path) -> None:
    """A module that does not stay gets no bytecode."""
    there: list[bool] = []
    module = tmp_path / "venv" / "lib/python3.11/site-packages/tiny_part/__init__.py"
    programs = FakePrograms(before=lambda _: there.append(module.exists()))
    builder = _builder(tmp_path, programs)
    said = builder.build(tmp_path / "venv", WHEELS, _store(tmp_path), ("tiny_part/__init__.py",))
    assert said == LeftOut(1, 0)
    assert programs.kinds[-1] == "compile"
    assert there[-1] is False


@pytest.mark.verifies("SRS_INST_006", extent="partial", technique="requirement")
@pytest.mark.parametrize("kind", ["folder", "link"])
def test_nothing_is_installed_into_what_exists(tmp_path: Path, kind: str) -> None:
    """Also not behind a link that leads nowhere."""
    if kind == "folder":
        (tmp_path / "venv").mkdir()
    else:
        (tmp_path / "venv").symlink_to("/nowhere")
    programs = FakePrograms()
    with pytest.raises(InstallError, match="something is there"):
        _builder(tmp_path, programs).build(tmp_path / "venv", WHEELS, _store(tmp_path))
    assert programs.started == []


@pytest.mark.parametrize(
    "replies",
    [
        {"has_pip": Ended(1, "")},
        {"pip_version": Ended(0, "pip 22.2.9 from x\n")},
        {"pip_version": Ended(1, "")},
    ],
)
def test_pip_of_the_interpreter_is_replaced_where_it_cannot_do_it(
    tmp_path: Path, replies: dict[str, Ended]
) -> None:
    """The one that the interpreter brings along is unpacked into a throwaway environment."""
    programs = FakePrograms()
    programs.replies = {kind: partial(_answer, ended) for kind, ended in replies.items()}
    _builder(tmp_path, programs).build(tmp_path / "venv", WHEELS, _store(tmp_path))
    bundled = tmp_path / "scratch" / "pip-environment"
    assert _call(programs, "bundled").words[-1] == str(bundled)
    assert _call(programs, "pip").words[0] == str(bundled / "bin" / "python")


def test_no_pip_anywhere_is_an_error(tmp_path: Path) -> None:
    """The advice names the package of the system."""
    programs = FakePrograms()
    programs.replies = {"has_pip": lambda _: Ended(1, ""), "bundled": lambda _: Ended(1, "no")}
    with pytest.raises(InstallError, match=r"expected pip 22\.3 or newer") as caught:
        _builder(tmp_path, programs).build(tmp_path / "venv", WHEELS, _store(tmp_path))
    assert "python3-venv" in caught.value.advice


@pytest.mark.parametrize("kind", ["venv", "pip"])
def test_failure_of_a_program_is_told(tmp_path: Path, kind: str) -> None:
    """With the end of what it said."""
    programs = FakePrograms(replies={kind: lambda _: Ended(2, "", "hash mismatch")})
    with pytest.raises(InstallError, match="ended with 2: hash mismatch"):
        _builder(tmp_path, programs).build(tmp_path / "venv", WHEELS, _store(tmp_path))


def test_environment_without_a_folder_of_packages_is_refused(tmp_path: Path) -> None:
    """Another kind of interpreter; nothing could be checked there."""
    programs = FakePrograms(replies={"venv": lambda _: Ended(0, "")})
    with pytest.raises(InstallError, match="one folder of packages"):
        _builder(tmp_path, programs).build(tmp_path / "venv", WHEELS, _store(tmp_path))


def test_interpreter_is_asked_what_it_is(tmp_path: Path) -> None:
    """Version and machine, in the spelling of releases."""
    programs = FakePrograms(platform="linux-x86_64")
    assert _builder(tmp_path, programs).inspect() == Interpreter("3.11", "linux_x86_64")


@pytest.mark.parametrize("said", ["", "pypy 3.11 linux-x86_64", "cpython 3", "cpython 3.11 a b"])
def test_other_interpreter_is_refused(tmp_path: Path, said: str) -> None:
    """The wheels are for CPython."""
    programs = FakePrograms(replies={"facts": lambda _: Ended(0, said)})
    with pytest.raises(InstallError, match="expected CPython"):
        _builder(tmp_path, programs).inspect()


@pytest.mark.verifies("SRS_INST_007", extent="full", technique="equivalence")
@pytest.mark.parametrize(
    "ended",
    [
        *(Ended(1, '{"selftest": [1]}'), Ended(0, ""), Ended(0, "[]"), Ended(0, "{}")),
        Ended(0, '{"selftest": []}'),
    ],
)
def test_self_test_has_to_end_well_and_say_so(tmp_path: Path, ended: Ended) -> None:
    """A product that ends with 0 and says nothing was not tried."""
    programs = FakePrograms(replies={"selftest": lambda _: ended})
    with pytest.raises(InstallError, match="self-test"):
        _builder(tmp_path, programs).self_test(tmp_path / "venv")


@pytest.mark.verifies("SRS_INST_007", extent="partial", technique="requirement")
def test_self_test_runs_isolated_and_for_a_bounded_time(tmp_path: Path) -> None:
    """In the new environment, without the modules of user and folder, and without bytecode."""
    programs = FakePrograms()
    _builder(tmp_path, programs).self_test(tmp_path / "venv")
    call = _call(programs, "selftest")
    assert call.words[:4] == (str(tmp_path / "venv" / "bin" / "python"), "-I", "-B", "-m")
    assert call.time_ms == INSTALL_SELFTEST_MS_MAX
