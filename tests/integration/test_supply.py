"""The supply chain on real packages: what is left out is not needed, what is inside is listed."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

import pytest
from PIL import Image

from trocar_lab.supply.bill import Subject, bill_of_materials, bill_text
from trocar_lab.supply.contents import Contents, installed_contents, wheel_contents
from trocar_lab.supply.errors import SupplyError
from trocar_lab.supply.left_out import matching
from trocar_lab.supply.lock_check import locks_of, register_faults
from trocar_lab.supply.lock_file import Lock, LockedPackage, requirement_lines, selected
from trocar_lab.supply.register import read_register, review_faults

ROOT: Final = Path(__file__).resolve().parents[2]
WHEELHOUSE: Final = os.environ.get("TROCAR_WHEELHOUSE", "")
IMPORT_NAMES: Final = {
    "flatbuffers": "flatbuffers",
    "openvino-telemetry": "openvino_telemetry",
    "packaging": "packaging",
    "protobuf": "google.protobuf",
    "pycparser": "pycparser",
}
"""Package that is left out -> what it is imported as."""
LOOKED_INTO: Final = ("av", "numpy", "onnxruntime", "opencv-python-headless", "pillow")
_WITHOUT: Final = """\
import importlib.abc, sys
MISSING = {missing!r}
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if any(name == m or name.startswith(m + ".") for m in MISSING):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Finder())
from trocar.cli.main import main
code = main({words!r})
assert not [m for m in MISSING if sys.modules.get(m) is not None], "imported all the same"
sys.exit(code)
"""
needs_wheelhouse = pytest.mark.skipif(
    not WHEELHOUSE, reason="TROCAR_WHEELHOUSE names no folder of wheels (`tox -e supply` makes one)"
)


@pytest.mark.verifies("SRS_SUP_004", extent="full", technique="fault_injection")
@pytest.mark.parametrize(
    "words", [["selftest"], ["selftest", "--engine", "openvino-cpu"], ["demo"]], ids=" ".join
)
def test_device_runs_without_what_is_left_out(tmp_path: Path, words: list[str]) -> None:
    """Self-test and demonstration pass where each import of a package left out would fail."""
    omitted = {o.package for o in read_register(ROOT).omitted}
    assert omitted == set(IMPORT_NAMES)
    arguments = [*words, "-o", str(tmp_path / "out")] if words == ["demo"] else words
    program = _WITHOUT.format(missing=sorted(IMPORT_NAMES.values()), words=arguments)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-2000:]


def _device_without_left_out_files(folder: Path) -> tuple[Path, set[str]]:
    """Make an environment of what is installed here, without the files that a device leaves out.

    Returns:
        Its interpreter, and what is not in it.
    """
    venv.create(folder, with_pip=False)
    site = next((folder / "lib").glob("python3.*/site-packages"))
    rules = {rule.package: rule for rule in read_register(ROOT).left_out_files}
    gone: set[str] = set()
    for package in locks_of(ROOT)["device-cpu"].packages:
        files = importlib.metadata.distribution(package.name).files or []
        kept = [file for file in files if ".." not in file.parts and file.suffix != ".pyc"]
        names = {file.as_posix(): Path(str(file.locate())) for file in kept}
        if rule := rules.pop(package.name, None):
            gone.update(matching(rule, [*names]))
        for name in names.keys() - gone:
            if names[name].is_file():
                (site / name).parent.mkdir(parents=True, exist_ok=True)
                (site / name).symlink_to(names[name].resolve())
    assert not rules
    (site / "trocar.pth").write_text(f"{ROOT / 'src'}\n", encoding="utf-8")
    return folder / "bin" / "python", gone


def _write_stills(folder: Path) -> int:
    """Write a still in each format that the device opens; return how many."""
    suffixes = (".bmp", ".jpg", ".png", ".ppm", ".tif", ".webp")
    folder.mkdir()
    for suffix in suffixes:
        Image.new("RGB", (320, 256), (120, 40, 30)).save(folder / f"{suffix[1:]}{suffix}")
    return len(suffixes)


@pytest.mark.verifies("SRS_SUP_011", extent="partial", technique="fault_injection")
def test_device_runs_without_files_that_are_left_out(tmp_path: Path) -> None:
    """Self-test with both engines, demonstration, and a still of each format."""
    python, gone = _device_without_left_out_files(tmp_path / "device")
    assert {"numpy/_core/_simd", "PIL/_avif", "onnxruntime/capi/libonnxruntime"} <= {
        name.partition(".")[0] for name in gone
    }
    stills = _write_stills(tmp_path / "stills")
    program = "import sys; from trocar.cli.main import main; sys.exit(main(sys.argv[1:]))"
    for words in (
        ["selftest"],
        ["selftest", "--engine", "openvino-cpu"],
        ["demo", "-o", str(tmp_path / "demo")],
        ["run", "polyp_segmentation", str(tmp_path / "stills"), "-o", str(tmp_path / "out")],
    ):
        done = subprocess.run(
            [python, "-I", "-B", "-c", program, *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
    assert len(list((tmp_path / "out" / "masks").iterdir())) == stills


@pytest.mark.verifies("SRS_SUP_005", extent="partial", technique="inspection")
def test_register_of_this_repository_has_no_gap() -> None:
    """Each locked package of a device was reviewed in that version, within a year."""
    register, today = read_register(ROOT), dt.datetime.now(tz=dt.UTC).date()
    assert [f for e in register.reviewed for f in review_faults(e, today=today)] == []
    assert register_faults(locks_of(ROOT), register, root=ROOT) == []


def _lab() -> Lock:
    """Return the lock of the laboratory on a CPU, which holds what the device has, and more."""
    return locks_of(ROOT)["lab-cpu"]


def _bill(packages: list[LockedPackage], *, folder: Path | None = None) -> dict[str, object]:
    """Return a bill of materials of some packages, from what is installed or from wheels."""
    subject = Subject("0", "pylock.lab-cpu.toml", "0" * 64, "linux_x86_64", ())

    def contents(package: LockedPackage) -> Contents:
        if folder is None:
            return installed_contents(package)
        return wheel_contents(folder, package.wheel_for("linux_x86_64"))

    document: dict[str, object] = json.loads(
        bill_text(bill_of_materials(subject, packages, read_register(ROOT), contents))
    )
    return document


def _as_installed(name: str) -> LockedPackage:
    """Return a package of the lock; skip where another version is installed."""
    package = next(p for p in _lab().packages if p.name == name)
    try:
        installed_contents(package)
    except SupplyError as exc:
        pytest.skip(f"{exc}; the locked one is judged in `tox -e supply`")
    return package


@pytest.mark.verifies("SRS_SUP_008", extent="full", technique="equivalence")
@pytest.mark.parametrize("name", LOOKED_INTO)
def test_each_shared_object_of_a_real_package_is_a_component(name: str) -> None:
    """Found a second way: by the names of what is installed."""
    package = _as_installed(name)
    files = importlib.metadata.distribution(name).files or []
    shared = {str(f) for f in files if re.search(r"\.so(\.[\w.]+)?$", f.name)}
    assert shared
    document = _bill([package])
    components = document["components"]
    assert isinstance(components, list)
    nested = components[0]["components"]
    paths = {
        row["value"]
        for part in nested
        for row in part["properties"]
        if row["name"] == "trocar:path"
    }
    assert shared <= paths


@pytest.mark.verifies("SRS_SUP_008", extent="partial", technique="example")
@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("av", "FFmpeg"),
        ("numpy", "OpenBLAS"),
        ("opencv-python-headless", "OpenSSL"),
        ("cryptography", "OpenSSL"),
    ],
)
def test_known_library_is_found_inside_a_real_package(name: str, library: str) -> None:
    """Libraries that were found by hand have to be found by the program, with a version."""
    document = _bill([_as_installed(name)])
    components = document["components"]
    assert isinstance(components, list)
    found = {c["version"] for c in components[0]["components"] if c["name"] == library}
    assert found, f"{library} is not in the bill of {name}"


@needs_wheelhouse
@pytest.mark.verifies("SRS_SUP_010", extent="partial", technique="equivalence")
def test_wheels_and_what_is_installed_from_them_give_the_same_bill() -> None:
    """Two ways to the same files, the same bytes."""
    packages = [_as_installed(name) for name in ("numpy", "pillow", "pydantic-core")]
    assert _bill(packages, folder=Path(WHEELHOUSE)) == _bill(packages)


@needs_wheelhouse
@pytest.mark.verifies("SRS_SUP_004", extent="partial", technique="example")
def test_device_installed_from_the_lock_runs(tmp_path: Path, record_property: object) -> None:
    """A fresh environment with the locked wheels and nothing else passes its self-test."""
    lock = locks_of(ROOT)["device-cpu"]
    lines = tmp_path / "device.lock"
    lines.write_text(requirement_lines(lock, platform="linux_x86_64"), encoding="utf-8")
    venv.create(tmp_path / "device", with_pip=False)
    python = tmp_path / "device" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--isolated"]
    pip += ["--no-index", "--no-deps", "--no-compile", "--require-hashes"]
    wheels = ["--find-links", WHEELHOUSE, "-r", str(lines)]
    subprocess.run([*pip, *wheels], check=True)
    site = next((tmp_path / "device" / "lib").glob("python3.*/site-packages"))
    (site / "trocar.pth").write_text(f"{ROOT / 'src'}\n", encoding="utf-8")
    program = "import sys; from trocar.cli.main import main; sys.exit(main(sys.argv[1:]))"
    for words in (["selftest"], ["demo", "-o", str(tmp_path / "out")]):
        done = subprocess.run(
            [str(python), "-I", "-B", "-c", program, *words],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
    size = sum(f.stat().st_size for f in site.rglob("*") if f.is_file() and not f.is_symlink())
    names = {d.metadata["Name"].lower() for d in importlib.metadata.distributions(path=[str(site)])}
    assert len(names) == len(selected(lock))
    if callable(record_property):
        record_property("device_install_bytes", size)
