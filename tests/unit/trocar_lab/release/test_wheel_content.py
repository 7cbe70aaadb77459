"""Content of a wheel against the list, the commit and its own RECORD."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from simulators.release_source import VERSION, add_link, small_repository, wheel_of
from trocar_lab.release import wheel_content
from trocar_lab.release.wheel_content import content_faults, load_allowed, read_members

PRIVATE = b"-----BEGIN EC PRIVATE KEY-----\nx\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository with one commit."""
    return small_repository(tmp_path / "repository")


def test_wheel_of_the_commit_has_no_fault(root: Path, tmp_path: Path) -> None:
    """The file with which each attack below begins."""
    assert content_faults(wheel_of(root, tmp_path), root) == []


@pytest.mark.verifies("SRS_REL_002", extent="full", technique="fault_injection")
@pytest.mark.parametrize(
    "name",
    [
        "trocar/secret.pem",
        "trocar/trace.log",
        "trocar/.env",
        "trocar/.git/config",
        "trocar/assets/trust/mine.pem",
        "trocar/assets/trust/mine.private.pem",
        "trocar/native.so",
        "trocar/__pycache__/x.cpython-311.pyc",
        "trocar/../outside.py",
        "trocar_lab/__init__.py",
        "evil.pth",
        f"trocar-{VERSION}.data/scripts/run",
        f"trocar-{VERSION}.dist-info/RECORD.jws",
        f"trocar-{VERSION}.dist-info/sboms/x.json",
    ],
)
def test_file_that_is_on_no_list_is_refused(root: Path, tmp_path: Path, name: str) -> None:
    """Also where it is committed, so that wheel and commit agree."""
    wheel = wheel_of(root, tmp_path, {name: b"x"})
    assert f"{name} is not on the list of files of the wheel" in content_faults(wheel, root)


@pytest.mark.verifies("SRS_REL_002", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("name", ["trocar/keys.py", "trocar/assets/trust/a.release.pem"])
def test_private_key_under_an_allowed_name_is_refused(
    root: Path, tmp_path: Path, name: str
) -> None:
    """A name says nothing about the content."""
    assert f"{name} holds a private key" in content_faults(
        wheel_of(root, tmp_path, {name: PRIVATE}), root
    )


@pytest.mark.verifies("SRS_REL_002", extent="partial", technique="fault_injection")
def test_link_folder_and_repeated_name_are_refused(root: Path, tmp_path: Path) -> None:
    """A link to a file of the machine, a name that stands twice, an entry that is a folder."""
    wheel = wheel_of(root, tmp_path)
    add_link(wheel, "trocar/passwd.py", "/etc/passwd")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.mkdir("trocar/empty")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("trocar/__init__.py", "")
    faults = content_faults(wheel, root)
    assert "trocar/passwd.py is a link, a folder or a device" in faults
    assert "trocar/empty/ is a link, a folder or a device" in faults
    assert "trocar/__init__.py stands twice in it" in faults


@pytest.mark.verifies("SRS_REL_001", extent="full", technique="fault_injection")
def test_wheel_is_compared_with_the_commit_both_ways(root: Path, tmp_path: Path) -> None:
    """One file too many, one too few, one of other content: allowed names all of them."""
    wheel = wheel_of(root, tmp_path, {"trocar/more.py": b""})
    (root / "src/trocar/lost.py").write_text("")
    (root / "src/trocar/__init__.py").write_text("other")
    assert content_faults(wheel, root) == [
        "trocar/more.py is in the wheel and not in the commit",
        "trocar/lost.py is in the commit and not in the wheel",
        "trocar/__init__.py is not the file of the commit",
    ]


@pytest.mark.verifies("SRS_REL_002", extent="partial", technique="boundary")
def test_size_of_a_wheel_is_bounded(root: Path, tmp_path: Path) -> None:
    """Both sides of the bound; that of the list is 15 000 000 bytes."""
    wheel = wheel_of(root, tmp_path)
    size = wheel.stat().st_size
    rules = load_allowed()
    assert rules.bytes_max == 15_000_000
    assert content_faults(wheel, root, rules.model_copy(update={"bytes_max": size})) == []
    smaller = rules.model_copy(update={"bytes_max": size - 1})
    assert content_faults(wheel, root, smaller) == [
        f"{wheel.name} has {size} bytes; at most {size - 1}"
    ]


@pytest.mark.verifies("SRS_REL_002", extent="partial", technique="fault_injection")
def test_record_is_compared_with_the_files(root: Path, tmp_path: Path) -> None:
    """Installers do not do it: a wrong digest, a file too few, one too many, no RECORD."""
    record = f"trocar-{VERSION}.dist-info/RECORD"
    members, _ = read_members(wheel_of(root, tmp_path))
    lines = members[record].decode().splitlines()
    changed = [
        "trocar/absent.py,sha256=x,1",
        *lines[1:-2],
        lines[-2].replace("sha256=", "sha256=x"),
    ]
    members[record] = "\n".join([*changed, lines[-1]]).encode()
    path = _rewritten(tmp_path / "changed.whl", members)
    first = lines[0].split(",")[0]
    assert content_faults(path, root) == [
        f"RECORD does not list {first}",
        "RECORD lists trocar/absent.py, which is not there",
        f"RECORD has another digest for {lines[-2].split(',')[0]}",
    ]
    del members[record]
    bare = _rewritten(tmp_path / "bare.whl", members)
    assert content_faults(bare, root) == ["expected one RECORD in the wheel, got 0"]


def test_file_that_is_no_wheel_has_a_reason(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No archive, too many files, a file that unpacks to too much, an unknown packing."""
    wheel = wheel_of(root, tmp_path)
    broken = tmp_path / "broken.whl"
    broken.write_bytes(b"x")
    assert "is no wheel that can be read" in content_faults(broken, root)[0]
    content = bytearray(wheel.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1  # "encrypted"
    broken.write_bytes(bytes(content))
    assert "is packed in a way" in content_faults(broken, root)[0]
    monkeypatch.setattr(wheel_content, "_MEMBER_BYTES_MAX", 10)
    assert any("unpacks to" in fault for fault in content_faults(wheel, root))
    monkeypatch.setattr(wheel_content, "_MEMBERS_MAX", 2)
    assert "files; at most 2" in content_faults(wheel, root)[0]


@pytest.mark.verifies("SRS_REL_002", extent="partial", technique="boundary")
def test_sum_of_what_a_wheel_unpacks_to_is_bounded(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many files that are each small enough fill the memory as well; both sides of the bound."""
    wheel = wheel_of(root, tmp_path)
    total = sum(len(content) for content in read_members(wheel)[0].values())
    monkeypatch.setattr(wheel_content, "_TOTAL_BYTES_MAX", total)
    assert read_members(wheel)[1] == []
    monkeypatch.setattr(wheel_content, "_TOTAL_BYTES_MAX", total - 1)
    assert read_members(wheel) == (
        {},
        [f"{wheel.name} unpacks to {total} bytes; at most {total - 1} altogether"],
    )


def _rewritten(path: Path, members: dict[str, bytes]) -> Path:
    """Write members as a wheel."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path
