"""Each way in which a lock can be wrong is found, without a network."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.supply_sites import LEFT_OUT, edit, write_site
from trocar_lab.supply.errors import SupplyError
from trocar_lab.supply.lock_check import check_locks, locks_of
from trocar_lab.supply.register import read_register

ROOT = Path(__file__).resolve().parents[4]
CPU = "pylock.device-cpu.toml"
TOML = "risk/soup.toml"


def _faults(root: Path) -> list[str]:
    """Return what the check finds."""
    return check_locks(root, read_register(root))


@pytest.mark.verifies("SRS_SUP_002", extent="full", technique="fault_injection")
def test_site_that_agrees_has_no_fault(tmp_path: Path) -> None:
    """Otherwise each planted fault below would be found for the wrong reason."""
    assert _faults(write_site(tmp_path)) == []


@pytest.mark.verifies("SRS_SUP_001", extent="partial", technique="inspection")
def test_locks_of_this_repository_have_no_fault() -> None:
    """The locks that devices are installed from agree with project table and register."""
    assert _faults(ROOT) == []


@pytest.mark.verifies("SRS_SUP_002", extent="full", technique="fault_injection")
@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("pyproject.toml", ">=2,<3", ">=3", "Some_Array 2.5 is outside >=3"),
        (CPU, 'version = "2.5"', 'version = "2.6"', "no valid lock"),
        (CPU, 'name = "speed"\nversion = "1"\n', 'name = "speed"\n', "speed: is not pinned"),
        (CPU, "wheelhouse/speed", "elsewhere/speed", "does not lie in wheelhouse/"),
        (CPU, "sha256 = ", "sha512 = ", "has no SHA-256"),
        (CPU, "_aarch64.whl", "_riscv64.whl", "0 wheels for linux_aarch64"),
        (CPU, '"Some_Array[fast]<3,>=2"', '"Some_Array<3,>=2"', "other requirements than those"),
        (CPU, '  "reporter",\n', "", "leaves out other packages"),
        (CPU, '  "linux_aarch64",\n', "", "other platforms or extras"),
        (CPU, "'openvino' in extras", "'holoscan' in extras", "the extra holoscan"),
        (CPU, 'name = "speed"\nv', 'name = "array-core"\nv', "no valid lock"),
        (CPU, "# Written by", "# By", "is not written as"),
        (CPU, '[{ name = "reporter" }]', '[{ name = "gone" }]', "asks for gone, which is neither"),
        (CPU, 'name = "speed" }]', 'name = "array-core" }]', "nothing asks for speed"),
        ("pyproject.toml", '"engine==1.2"', '"engine==1.3"', "engine 1.2 is outside ==1.3"),
        ("pyproject.toml", '"engine==1.2"', '"engine==1.2", "more"', "more is declared in"),
        (TOML, 'package = "reporter"', 'package = "engine"', "engine is locked and left out"),
    ],
)
def test_each_fault_of_a_lock_is_found(
    tmp_path: Path, file: str, old: str, new: str, words: str
) -> None:
    """What a hand edit, a forgotten run or an altered file leaves behind."""
    root = write_site(tmp_path)
    edit(root / file, old, new)
    assert [fault for fault in _faults(root) if words in fault]


def test_address_and_other_source_are_found(tmp_path: Path) -> None:
    """A lock names files and digests; where they lie on the network is of no account."""
    root = write_site(tmp_path)
    path = root / CPU
    text = path.read_text(encoding="utf-8")
    cut = text.index('[[packages]]\nname = "speed"')
    odd = '[[packages]]\nname = "speed"\nversion = "1"\narchive = { url = "https://x.example/s" }\n'
    odd = odd.replace("}\n", f', hashes = {{ sha256 = "{"a" * 64}" }} }}\n')
    path.write_text(text[:cut] + odd + text[text.index("[tool.trocar]") :], encoding="utf-8")
    assert [f for f in _faults(root) if "names archive, not only wheels" in f]


def test_source_archive_for_a_device_is_found(tmp_path: Path) -> None:
    """Building on the device would run what nobody reviewed."""
    root = write_site(tmp_path)
    path = root / CPU
    lines = path.read_text(encoding="utf-8").splitlines()
    at = lines.index('name = "speed"')
    row = lines[at + 3].strip(" ,")
    for platform in ("x86_64", "aarch64"):
        row = row.replace(f"speed-1-cp311-cp311-manylinux_2_28_{platform}.whl", "speed-1.tar.gz")
    lines[at + 2 : at + 6] = [f"sdist = {row}"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert [f for f in _faults(root) if "speed-1.tar.gz is a source archive" in f]


def test_missing_lock_is_a_fault_and_stops_who_needs_it(tmp_path: Path) -> None:
    """The check goes on with the others; a page of all locks cannot be made."""
    root = write_site(tmp_path)
    (root / "pylock.lab-gpu.toml").unlink()
    assert [f for f in _faults(root) if "pylock.lab-gpu.toml is not there" in f]
    with pytest.raises(SupplyError, match="is not there"):
        locks_of(root)


@pytest.mark.verifies("SRS_SUP_005", extent="full", technique="fault_injection")
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('package = "speed"', 'package = "velocity"', "speed: in pylock.device-cpu.toml, no"),
        ('package = "speed"', 'package = "velocity"', "velocity: has an entry, is in no lock"),
        ('reviewed_version = "2.5"', 'reviewed_version = "2.4"', "2.5 is locked, reviewed was 2.4"),
        ('reviewed_version = "2.5"\n', "", "2.5 is locked, reviewed was none"),
        ('reviewed_version = "2.5"', 'not_locked = "x"', "is in a lock, but its entry says"),
        ('not_locked = "of the site"\n', "", "python: has an entry, is in no lock"),
        ('licence = "MIT"', 'licence = "BSD"', "metadata say MIT, reviewed was BSD"),
        ('reason = "reports use"', 'reason = ""', "reporter: left out without a reason"),
        ("tests/test_without.py", "tests/test_nothing.py", "reporter: left out without a reason"),
    ],
)
def test_each_difference_from_the_register_is_found(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    """Nobody reviewed what is locked, or what was reviewed is not what is locked."""
    root = write_site(tmp_path)
    edit(root / TOML, old, new)
    assert [fault for fault in _faults(root) if words in fault]


@pytest.mark.verifies("SRS_SUP_011", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('package = "Engine"', 'package = "torch"', "no device has it"),
        ('reason = "tools and headers"', 'reason = ""', "without patterns, a reason and a test"),
        ('patterns = ["engine/tools/*", "engine/*.h"]', "patterns = []", "without patterns"),
        ('headers"\nproof = "tests/test_without.py', 'headers"\nproof = "no.py', "and a test"),
    ],
)
def test_rule_about_files_has_reason_and_proof(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    """As for a whole package that is left out."""
    root = write_site(tmp_path)
    path = root / TOML
    path.write_text(path.read_text(encoding="utf-8") + LEFT_OUT, encoding="utf-8")
    assert _faults(root) == []
    edit(path, old, new)
    assert [fault for fault in _faults(root) if words in fault]


def test_licence_that_nobody_knows_is_found_and_may_be_read_by_a_person(tmp_path: Path) -> None:
    """Silence of the metadata is no licence; what a person read in the package is one."""
    root = write_site(tmp_path)
    for name in ("lab-cpu", "lab-gpu"):
        path = root / f"pylock.{name}.toml"
        text = path.read_text(encoding="utf-8")
        at = text.index('name = "reporter"\nversion')
        path.write_text(
            text[:at] + text[at:].replace('licence = "MIT"', 'licence = "unknown"', 1),
            encoding="utf-8",
        )
    assert _faults(root) == ["reporter: nobody knows its licence"]
    toml = root / TOML
    row = '\n[[read_licence]]\npackage = "reporter"\nlicence = "ISC, in its LICENSE"\n'
    toml.write_text(toml.read_text(encoding="utf-8") + row, encoding="utf-8")
    assert _faults(root) == []
