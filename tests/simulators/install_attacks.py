"""Attacks on an installation, each as a change of a sound release, its medium or the device."""

from __future__ import annotations

import base64
import datetime as dt
import errno
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from simulators.install_programs import FakePrograms
from simulators.release_folders import (
    BROKEN,
    ENVELOPE,
    TODAY,
    Release,
    payload_of,
    trust_folder,
    wheel,
)
from simulators.signing import (
    check_signature,
    public_pem,
    signed,
    throwaway_key,
    write_trust_folder,
)
from trocar.contracts.errors import InstallError
from trocar.install.files import SystemFiles
from trocar.install.installation import Installation, Outcome, Tools
from trocar.install.openssl import OpenSSLCheck
from trocar.install.programs import Ended, Program

SPARSE_BYTES: Final = 20 * 1024**3
PART: Final = "wheelhouse/tiny_part-2.0-py3-none-any.whl"
_STRANGER: Final = 99


class FullDisk(SystemFiles):
    """A disk without room for one more file."""

    def write(self, path: Path, content: bytes) -> None:
        """Refuse."""
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


@dataclass
class Scene:
    """A device with one release, a medium with the next one, and what surrounds them.

    Attributes:
        folder: Holds all of it.
        release: The next release.
        programs: What the installer starts.
        tools: What it rests on.
    """

    folder: Path
    release: Release = field(default_factory=lambda: Release().after(2))
    programs: FakePrograms = field(default_factory=FakePrograms)
    tools: Tools = field(init=False)
    root: Path = field(init=False)
    trust: Path = field(init=False)

    def __post_init__(self) -> None:
        """Install the first release and write the second one."""
        self.root = self.folder / "device"
        self.trust = trust_folder(self.folder / "etc" / "trust")
        self.tools = Tools(run=self.programs, check=check_signature, today=lambda: TODAY)
        first = Release().write(self.folder / "first")
        self._install(first)
        self.usb = self.write(self.release)

    def write(self, release: Release) -> Path:
        """Write another release onto the medium."""
        usb = self.folder / "usb"
        if usb.exists():
            SystemFiles().remove(usb)
        return release.write(usb)

    def told(self, predicate: Mapping[str, Any]) -> None:
        """Write the next release with another predicate."""
        self.write(replace(self.release, predicate=predicate))

    def holds(self, files: Mapping[str, bytes]) -> None:
        """Write the next release with other files."""
        self.write(replace(self.release, files=files))

    def signed_by(self, number: int) -> None:
        """Write the next release, signed by another key."""
        self.write(replace(self.release, key=throwaway_key(number)))

    def payload(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Sign another statement about the same files."""
        fields = payload_of(self.usb)
        change(fields)
        self.envelope(signed(json.dumps(fields).encode("utf-8")))

    def envelope(self, content: bytes) -> None:
        """Put another signed list on the medium."""
        (self.usb / ENVELOPE).write_bytes(content)

    def envelope_fields(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the unsigned fields of the list."""
        fields = json.loads((self.usb / ENVELOPE).read_bytes())
        change(fields)
        self.envelope(json.dumps(fields).encode("utf-8"))

    def install(self) -> Outcome:
        """Try to install what lies on the medium."""
        return self._install(self.usb)

    def rollback(self) -> Outcome:
        """Return to the release before."""
        return Installation(self.root, self.tools).rollback()

    def _install(self, folder: Path) -> Outcome:
        """Install a release."""
        return Installation(self.root, self.tools).install(
            folder, self.trust, interpreter=Path("/usr/bin/python3"), allow_development=False
        )


Attack = Callable[[Scene], object]


def _flip(scene: Scene) -> None:
    path = scene.usb / PART
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)


def _truncate(scene: Scene) -> None:
    path = scene.usb / PART
    path.write_bytes(path.read_bytes()[:-1])


def _symlink(path: Path) -> None:
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    elsewhere.rename(path.parents[2] / "elsewhere")
    path.symlink_to(path.parents[2] / "elsewhere")


def _folder_symlink(scene: Scene) -> None:
    (scene.usb / "wheelhouse").rename(scene.folder / "elsewhere")
    (scene.usb / "wheelhouse").symlink_to(scene.folder / "elsewhere")


def _fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _edit_lock(scene: Scene) -> None:
    path = scene.usb / "device.lock"
    path.write_text(path.read_text().replace("2.0", "2.1"))


def _lock(scene: Scene, text: str) -> None:
    """Sign a release with another lock."""
    scene.holds({"device.lock": text.encode()})


def _sparse(scene: Scene) -> None:
    with (scene.usb / "big.bin").open("wb") as stream:
        stream.truncate(SPARSE_BYTES)
    scene.payload(
        lambda fields: fields["subject"].append({
            "name": "big.bin",
            "digest": {"sha256": "0" * 64},
        })
    )


def _subject(scene: Scene, name: str) -> None:
    """Sign a further name, of a file that is nowhere."""
    scene.payload(
        lambda fields: fields["subject"].append({"name": name, "digest": {"sha256": "0" * 64}})
    )


def _key_id(scene: Scene, text: str) -> None:
    scene.envelope_fields(lambda fields: fields["signatures"][0].update(keyid=text))


def _same_subject_twice(scene: Scene) -> None:
    scene.payload(lambda fields: fields["subject"].append(fields["subject"][0]))


def _payload_bit(scene: Scene) -> None:
    def change(fields: dict[str, Any]) -> None:
        raw = bytearray(base64.b64decode(fields["payload"]))
        raw[raw.index(b"0.2.0")] ^= 1
        fields["payload"] = base64.b64encode(raw).decode("ascii")

    scene.envelope_fields(change)


def _double_key(scene: Scene) -> None:
    raw = json.dumps(payload_of(scene.usb)).replace('"sequence": 2', '"sequence": 1, "sequence": 2')
    scene.envelope(signed(raw.encode("utf-8")))


def _development_key(scene: Scene) -> None:
    stranger = throwaway_key(_STRANGER)
    path = scene.trust / "own.development.pem"
    path.write_bytes(public_pem(stranger))
    scene.signed_by(_STRANGER)


def _swap(scene: Scene, kind: str) -> None:
    """Change a file of the medium when a program of that kind is about to start."""
    scene.programs.before = lambda now: _flip(scene) if now == kind else None


def _wheel_with(
    scene: Scene, name: str, files: Mapping[str, str], *, recorded: Mapping[str, str] | None = None
) -> None:
    """Sign a release whose lock names a further wheel."""
    content = wheel(name, "1.0", files, recorded=recorded)
    lock = scene.release.content()["device.lock"].decode()
    line = f"{name.replace('_', '-')}==1.0 --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"
    scene.holds({
        f"wheelhouse/{name}-1.0-py3-none-any.whl": content,
        "device.lock": (lock + line).encode(),
    })


def _left_out(scene: Scene, text: str) -> None:
    scene.holds({"device.leftout": text.encode()})


def _edit_left_out(scene: Scene) -> None:
    _left_out(scene, "")
    (scene.usb / "device.leftout").write_text("tiny_part/__init__.py\n")


def _dishonest_record(scene: Scene) -> None:
    _wheel_with(scene, "odd", {"odd.py": "ANSWER = 42\n"}, recorded={"odd.py": "ANSWER = 41\n"})


def _after_pip(scene: Scene, program: Program, name: str, text: str) -> Ended:
    """Let pip do its work, and change a file behind its back."""
    played = FakePrograms()._pip(program)
    environment = Path(program.words[program.words.index("--python") + 1]).parents[1]
    path = environment / "lib" / "python3.11" / "site-packages" / name
    path.write_text(text)
    return played


def _planted(scene: Scene, name: str) -> None:
    scene.programs.replies["pip"] = lambda program: _after_pip(scene, program, name, "import os\n")


def _no_openssl(scene: Scene) -> None:
    scene.tools = replace(scene.tools, check=OpenSSLCheck(scene.folder / "openssl"))


def _clock_set_back(scene: Scene) -> None:
    """The device has seen a later day than the last one of this release."""
    scene.told({"expires": "2026-11-20"})
    scene.tools = replace(scene.tools, today=lambda: dt.date(2000, 1, 1))


def _hang(_: Program) -> Ended:
    raise InstallError("expected the program to end within 300 s, it did not", advice="look")


def _own_trust(scene: Scene) -> None:
    scene.trust = write_trust_folder(scene.usb / "keys", throwaway_key())


def _trust_beside(scene: Scene) -> None:
    scene.trust = write_trust_folder(scene.folder / "usb.trust", throwaway_key())


def _installing_from(scene: Scene, path: str) -> None:
    (scene.folder / "environment").mkdir(mode=0o755)
    (scene.folder / "environment" / "pyvenv.cfg").touch()
    (scene.folder / "link").symlink_to(scene.root)
    scene.root = scene.folder / path


REFUSED: Final[dict[str, tuple[Attack, str]]] = {
    "byte of a wheel changed": (_flip, "its content differs"),
    "wheel cut short": (_truncate, "its content differs"),
    "wheel added": (
        lambda scene: (scene.usb / "wheelhouse" / "evil-1.0-py3-none-any.whl").write_bytes(b"x"),
        "was not signed",
    ),
    "wheel renamed": (
        lambda scene: (scene.usb / PART).rename(scene.usb / PART.replace("2.0", "2.1")),
        "expected exactly the",
    ),
    "file missing": (lambda scene: (scene.usb / "SOUP.md").unlink(), "is missing"),
    "lock edited": (_edit_lock, "its content differs"),
    "report edited": (
        lambda scene: (scene.usb / "report" / "index.html").write_bytes(b"<p>TRACE</p>\n"),
        "its content differs",
    ),
    "link in place of a wheel": (lambda scene: _symlink(scene.usb / PART), "is a link, a pipe"),
    "link in place of a folder": (_folder_symlink, "is a link, a pipe"),
    "pipe in place of a wheel": (lambda scene: _fifo(scene.usb / PART), "is a link, a pipe"),
    "pipe in place of the list": (lambda scene: _fifo(scene.usb / ENVELOPE), "is a link, a pipe"),
    "pipe added": (lambda scene: _fifo(scene.usb / "pipe"), "is a link, a pipe"),
    "hard link": (
        lambda scene: (scene.folder / "second").hardlink_to(scene.usb / PART),
        "hard links",
    ),
    "empty folder added": (lambda scene: (scene.usb / "empty").mkdir(), "no empty folder"),
    "hidden file added": (
        lambda scene: (scene.usb / ".git").write_bytes(b"x"),
        "expected plain relative names",
    ),
    "names that differ in case": (
        lambda scene: scene.holds({"soup.MD": b"other"}),
        "differ by more than case",
    ),
    "signed name that leaves the folder": (
        lambda scene: _subject(scene, "../trust/evil.release.pem"),
        "expected plain relative names",
    ),
    "signed absolute name": (
        lambda scene: _subject(scene, "/etc/passwd"),
        "expected plain relative names",
    ),
    "file of 20 GB without content": (_sparse, "expected at most"),
    "no list": (lambda scene: (scene.usb / ENVELOPE).unlink(), "cannot read"),
    "empty list": (lambda scene: scene.envelope(b""), "strict JSON"),
    "list cut short": (
        lambda scene: scene.envelope((scene.usb / ENVELOPE).read_bytes()[:-20]),
        "strict JSON",
    ),
    "bit of the list changed": (_payload_bit, "signed by a trusted key"),
    "list signed by another key": (
        lambda scene: scene.signed_by(_STRANGER),
        "signed by a trusted key",
    ),
    "key name forged": (lambda scene: _key_id(scene, "f" * 64), "it names another"),
    "key name that is a path": (
        lambda scene: _key_id(scene, "../../trust/test_1.release.pem"),
        "it names another",
    ),
    "two signatures": (
        lambda scene: scene.envelope_fields(
            lambda fields: fields["signatures"].append(fields["signatures"][0])
        ),
        "exactly one signature",
    ),
    "file listed twice": (_same_subject_twice, "each subject"),
    "field written twice": (_double_key, "repeated"),
    "signature of a pack as list": (
        lambda scene: scene.payload(
            lambda fields: fields.update(predicateType="https://model_signing/signature/v1.0")
        ),
        "another kind of statement",
    ),
    "unknown field": (lambda scene: scene.told({"requires": "more"}), "differs in"),
    "older sequence number": (
        lambda scene: scene.write(replace(scene.release, sequence=1, version="0.0.9")),
        "above 1",
    ),
    "sequence number far ahead": (
        lambda scene: scene.write(replace(scene.release, sequence=1002)),
        "up to 1001",
    ),
    "expired": (lambda scene: scene.told({"expires": "2026-11-20"}), "expired on 2026-11-20"),
    "expired, with the clock set back": (_clock_set_back, "expired on 2026-11-20"),
    "for development": (lambda scene: scene.told({"grade": "development"}), "is for development"),
    "for production by a development key": (_development_key, "expected a release key"),
    "for another Python": (
        lambda scene: scene.told({"device": {"python": "3.12", "platform": "linux_x86_64"}}),
        "Python 3.12",
    ),
    "for another machine": (
        lambda scene: scene.told({"device": {"python": "3.11", "platform": "linux_riscv64"}}),
        "linux_riscv64",
    ),
    "lock without a digest": (
        lambda scene: _lock(scene, "tiny-part==2.0\n"),
        "name==version --hash",
    ),
    "lock with an option of pip": (
        lambda scene: _lock(scene, "--index-url https://example.invalid\n"),
        "name==version --hash",
    ),
    "lock names a wheel that is not there": (
        lambda scene: _lock(scene, f"tiny-part==2.0 --hash=sha256:{'0' * 64}\n"),
        "does not hold it",
    ),
    "list of what is left out leaves the folder": (
        lambda scene: _left_out(scene, "../trocar.pth\n"),
        "expected plain relative names in device.leftout",
    ),
    "list of what is left out with an absolute path": (
        lambda scene: _left_out(scene, "/etc/passwd\n"),
        "expected plain relative names in device.leftout",
    ),
    "list of what is left out names a file of Trocar": (
        lambda scene: _left_out(scene, "trocar/__init__.py\n"),
        "expected no file of Trocar",
    ),
    "list of what is left out names the record of a package": (
        lambda scene: _left_out(scene, "tiny_part-2.0.dist-info/RECORD\n"),
        "no record of a package",
    ),
    "list of what is left out names a file twice": (
        lambda scene: _left_out(scene, "tiny_part/__init__.py\n" * 2),
        "each file once",
    ),
    "list of what is left out names a file that is not installed": (
        lambda scene: _left_out(scene, "tiny_part/more.py\n"),
        "which is none",
    ),
    "list of what is left out edited": (
        _edit_left_out,
        "its content differs",
    ),
    "file changed between check and copy": (lambda scene: _swap(scene, "facts"), "differs"),
    "wheel with a .pth file": (
        lambda scene: _wheel_with(scene, "sly", {"sly.pth": "import os\n"}),
        "run at each start",
    ),
    "wheel with sitecustomize": (
        lambda scene: _wheel_with(scene, "sly", {"sitecustomize.py": "import os\n"}),
        "run at each start",
    ),
    "wheel with sitecustomize as a package": (
        lambda scene: _wheel_with(scene, "sly", {"sitecustomize/__init__.py": "import os\n"}),
        "run at each start",
    ),
    "wheel with sitecustomize as bytecode": (
        lambda scene: _wheel_with(scene, "sly", {"sitecustomize.pyc": "code"}),
        "run at each start",
    ),
    "wheel with usercustomize as a compiled module": (
        lambda scene: _wheel_with(
            scene, "sly", {"usercustomize.cpython-311-x86_64-linux-gnu.so": "code"}
        ),
        "run at each start",
    ),
    "wheel whose record does not fit": (_dishonest_record, "not what its package records"),
    "file planted during the installation": (
        lambda scene: _planted(scene, "evil.py"),
        "belongs to no package",
    ),
    ".pth planted during the installation": (
        lambda scene: _planted(scene, "evil.pth"),
        "belongs to no package",
    ),
    "two wheels with one file": (
        lambda scene: _wheel_with(scene, "sly", {"trocar/__main__.py": "import os\n"}),
        "is in two",
    ),
    "self-test fails": (
        lambda scene: scene.programs.replies.update(selftest=lambda _: Ended(1, "", BROKEN)),
        "self-test",
    ),
    "self-test hangs": (
        lambda scene: scene.programs.replies.update(selftest=_hang),
        "did not",
    ),
    "self-test says nothing": (
        lambda scene: scene.programs.replies.update(selftest=lambda _: Ended(0, "{}")),
        "gave none",
    ),
    "disk full": (
        lambda scene: setattr(scene, "tools", replace(scene.tools, files=FullDisk())),
        "the disk is full",
    ),
    "no OpenSSL": (_no_openssl, "expected OpenSSL"),
    "trusted keys on the medium": (_own_trust, "lie inside the release"),
    "trusted keys beside the release": (_trust_beside, "lie beside the release"),
    "trusted keys that a group may write": (
        lambda scene: scene.trust.chmod(0o775),
        "others may change",
    ),
    "trusted keys that anybody may write": (
        lambda scene: (scene.trust / "test_1.release.pem").chmod(0o666),
        "others may change",
    ),
    "environment in place of the folder to install into": (
        lambda scene: _installing_from(scene, "environment"),
        "it is an environment of Python",
    ),
    "link in place of the folder to install into": (
        lambda scene: _installing_from(scene, "link"),
        "it is a link",
    ),
}
"""What is refused, by the name that the documentation gives it, with words of the error."""
