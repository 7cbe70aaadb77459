"""A repository, a folder for evidence, and a bundle from another machine."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from simulators.evidence_runs import identity_of, lines_of, write_run
from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.selftest.demo import DEMO_FILES, write_demo
from trocar_lab.evidence.store.identity import RunIdentity, locks_sha256, pack_digests
from trocar_lab.evidence.store.intake import Request, import_bundle
from trocar_lab.provenance.code_identity import folder_sha256

NOW: Final = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
COMMITTED: Final = "2026-11-20T08:00:00+00:00"
MODEL: Final = "src/trocar/assets/packs/demo/model.onnx"


class Site(NamedTuple):
    """A repository with a folder for evidence beside it, and what another machine sends.

    Attributes:
        root: Repository.
        folder: Folder of the evidence; not there before the first import.
        bundle: Folder of the bundle; not sealed.
        commit: Its commit.
    """

    root: Path
    folder: Path
    bundle: Path
    commit: str

    def request(self, bundle: Path | None = None, wheel: Path | None = None) -> Request:
        """Return a request for the bundle, or for another one."""
        return Request(
            bundle=bundle or self.bundle,
            folder=self.folder,
            root=self.root,
            operator="Demo Operator",
            wheel=wheel,
            now=NOW,
        )

    def identity(self, platform: str = "agx", **changes: object) -> RunIdentity:
        """Return the identity of a run of this commit on a machine of one platform."""
        values: dict[str, object] = {
            "commit": self.commit,
            "device_sha256": folder_sha256(self.root / "src" / "trocar"),
            "lab_sha256": folder_sha256(self.root / "src" / "trocar_lab"),
            "lock_sha256": locks_sha256(self.root),
            "packs": pack_digests(self.root),
        }
        return identity_of(platform, **{**values, **changes})


def _git(root: Path, *words: str) -> str:
    """Run git and return what it prints."""
    dated = {"GIT_AUTHOR_DATE": COMMITTED, "GIT_COMMITTER_DATE": COMMITTED}
    named = ("-c", "user.name=Demo Author", "-c", "user.email=author@example.org")
    done = subprocess.run(
        ["git", "-C", str(root), *named, *words],
        capture_output=True,
        text=True,
        check=True,
        env={**dated, "PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(root)},
    )
    return done.stdout.strip()


def make_site(tmp_path: Path) -> Site:
    """Make a committed repository and a bundle with one run of it on an edge box."""
    root = tmp_path / "repository"
    write_demo(root, {**DEMO_FILES, MODEL: "weights\n"})
    _git(tmp_path, "init", "-q", "-b", "main", str(root))
    _git(root, "add", ".")
    _git(root, "commit", "-q", "-m", "demo")
    found = Site(root, tmp_path / "evidence", tmp_path / "bundle", _git(root, "rev-parse", "HEAD"))
    write_run(found.bundle, lines_of(identity=found.identity()))
    return found


def _snapshot(folder: Path) -> dict[str, bytes]:
    """Return every file beside the repository and the bundle."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in {"repository", "bundle"}
    }


def refused(request: Request) -> str:
    """Import a bundle that must be refused, see that nothing changed, and return why."""
    above = request.folder.parent
    before, had = _snapshot(above), sorted(path.name for path in above.iterdir())
    with pytest.raises(EvidenceError) as caught:
        import_bundle(request)
    assert _snapshot(above) == before
    assert sorted(path.name for path in above.iterdir()) == had
    return str(caught.value)
