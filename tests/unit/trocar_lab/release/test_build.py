"""From a commit to a signed folder, on a repository of a few files."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from simulators.release_source import NUMBERS, SOURCE, VERSION, commit, git, small_repository
from simulators.signing import throwaway_key, write_trust_folder
from trocar_lab.evidence.signed.release_folder import read_release_folder
from trocar_lab.evidence.signed.release_statement import KEYS, read_release_keys, signed_release
from trocar_lab.release import build
from trocar_lab.release.assembly import Assembly, Given, assemble
from trocar_lab.release.build import Order, build_release
from trocar_lab.release.errors import NotReleasableError
from trocar_lab.release.gate import TRUST
from trocar_lab.release.verification import verify_release
from trocar_lab.signing.keys import FileKey

NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository with one commit."""
    return small_repository(tmp_path / "repository")


@pytest.fixture
def order(root: Path, tmp_path: Path) -> Order:
    """Return the order for a development release."""
    return Order(
        root=root,
        out=tmp_path / "out" / "release",
        environment={"XDG_CONFIG_HOME": str(tmp_path)},
        now=NOW,
    )


@pytest.mark.verifies("SRS_REL_004", "SRS_REL_005", extent="partial", technique="equivalence")
def test_release_says_what_it_is_and_where_it_is_from(order: Order, root: Path) -> None:
    """Version, number, days, commit; the second build; the provenance; what is missing."""
    made = build_release(order)
    head = git(root, "rev-parse", "HEAD")
    folder = read_release_folder(made.folder)
    assert made.trust is not None
    assert folder.envelope.value is not None
    signed = signed_release(folder.envelope.value, read_release_keys(made.trust))
    said = signed.predicate
    assert (said.version, said.sequence, said.grade, said.commit) == (
        VERSION,
        7,
        "development",
        head,
    )
    assert said.expires == dt.date(2027, 2, 19)
    assert folder.rebuild.value is not None
    assert folder.rebuild.value.sha256 == folder.rebuild.value.rebuilt_sha256 == made.wheel_sha256
    assert folder.rebuild.value.commit == head
    provenance = json.loads((made.folder / "provenance.json").read_text())
    assert provenance["subject"] == [
        {"name": made.wheel.name, "digest": {"sha256": made.wheel_sha256}}
    ]
    missing = (made.folder / "MISSING.md").read_text()
    assert all(text in missing for text in made.missing)
    assert set(signed.subjects) == set(folder.files) - {"release.dsse.json"}
    assert sorted(path.name for path in order.out.parent.iterdir()) == [
        "release",
        "release.trust",
    ]


@pytest.mark.verifies("SRS_REL_001", extent="partial", technique="fault_injection")
def test_working_tree_does_not_reach_the_wheel(order: Order, root: Path) -> None:
    """A key, an ignored log and a link that nobody committed: the same bytes as without them."""
    clean = build_release(order)
    (root / "src/trocar/secret.pem").write_text("x")
    (root / "src/trocar/trace.log").write_text("x")
    (root / "src/trocar/passwd.py").symlink_to("/etc/passwd")
    order_again = Order(
        root=root, out=order.out.with_name("again"), environment=order.environment, now=NOW
    )
    assert build_release(order_again).wheel_sha256 == clean.wheel_sha256


@pytest.mark.verifies("SRS_REL_002", "SRS_REL_007", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"src/trocar/secret.pem": "x"}, "trocar/secret.pem is not on the list"),
        ({"src/trocar/a.py": "-----BEGIN PRIVATE KEY-----"}, "a.py holds a private key"),
        ({"src/trocar/.env": "x"}, r"trocar/\.env is not on the list"),
        ({"CHANGELOG.md": "## [0.2.0] - unreleased"}, r"CHANGELOG\.md names version 0\.2\.0"),
        ({NUMBERS: '[[release]]\nversion = "0.2.0"\nsequence = 6\n'}, "no sequence number for"),
        ({NUMBERS: SOURCE[NUMBERS].replace("7", "5")}, "not above 6 of 0.2.0"),
    ],
)
def test_commit_that_is_not_releasable_leaves_nothing_behind(
    order: Order, root: Path, files: dict[str, str], words: str
) -> None:
    """Committed this time; the folder of the release is not made, nor a part of it."""
    commit(root, files)
    with pytest.raises(NotReleasableError, match=words):
        build_release(order)
    assert not list(order.out.parent.iterdir())


def test_folder_that_is_there_is_never_written_into(order: Order) -> None:
    """A release is made once; a file of an earlier one could stay in it."""
    order.out.mkdir(parents=True)
    with pytest.raises(NotReleasableError, match="is there already"):
        build_release(order)


@pytest.mark.verifies("SRS_REL_006", extent="partial", technique="fault_injection")
def test_production_release_is_refused_with_each_reason(
    order: Order, root: Path, tmp_path: Path
) -> None:
    """First what is known before the build, then the trust folder, then what is missing."""

    def refused(environment: dict[str, str]) -> tuple[str, ...]:
        production = Order(
            root=root, out=order.out, grade="production", environment=environment, now=NOW
        )
        with pytest.raises(NotReleasableError) as caught:
            build_release(production)
        return tuple(caught.value.reasons)

    assert len(refused(dict(order.environment))) == 2  # no tag, no release key
    key = throwaway_key()
    private = tmp_path / "key.pem"
    private.write_bytes(FileKey(key).private_pem())
    private.chmod(0o600)
    named = {"TROCAR_SIGNING_KEY": str(private)}
    write_trust_folder(root / KEYS, key)
    commit(root)
    git(root, "tag", f"v{VERSION}")
    reasons = refused(named)
    assert any(reason.startswith(f"{TRUST} trusts development key") for reason in reasons)
    git(root, "tag", "--delete", f"v{VERSION}")
    (root / TRUST / "test_1.development.pem").rename(root / TRUST / "test_1.release.pem")
    commit(root)
    git(root, "tag", f"v{VERSION}")
    reasons = refused(named)
    assert all(reason.startswith("missing: ") for reason in reasons)
    assert "missing: evidence/" in " ".join(reasons)


@pytest.mark.verifies("SRS_REL_006", extent="partial", technique="equivalence")
def test_production_release_needs_verdict_and_release_key(
    order: Order, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All parts taken as there: a red verdict stops it, a green one gives two years."""
    key = throwaway_key()
    private = tmp_path / "key.pem"
    private.write_bytes(FileKey(key).private_pem())
    private.chmod(0o600)
    write_trust_folder(root / KEYS, key)
    (root / TRUST / "test_1.development.pem").rename(root / TRUST / "test_1.release.pem")
    commit(root)
    git(root, "tag", f"v{VERSION}")

    def complete(made: Assembly, wheel: Path, given: Given) -> None:
        assemble(made, wheel, given)
        made.missing.clear()

    monkeypatch.setattr(build, "assemble", complete)
    production = Order(
        root=root,
        out=order.out,
        tag=f"v{VERSION}",
        grade="production",
        environment={"TROCAR_SIGNING_KEY": str(private)},
        now=NOW,
    )
    with pytest.raises(NotReleasableError, match="the verdict of the trace is not known"):
        build_release(production)
    assert not order.out.exists()
    monkeypatch.setattr(build, "verdict_reasons", lambda *_: [])
    made = build_release(production)
    assert made.trust is None
    found = verify_release(made.folder, root / KEYS, today=NOW.date())
    assert found.faults == ()
    assert found.signed is not None
    assert found.signed.predicate.grade == "production"
    assert found.signed.predicate.expires == dt.date(2028, 11, 20)
    assert not (made.folder / "MISSING.md").exists()
