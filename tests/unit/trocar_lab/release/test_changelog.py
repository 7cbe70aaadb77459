"""The change log of a version: fragments by kind, then what is known not to work."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from simulators.release_source import write_files
from trocar_lab.release.changelog import (
    Fragment,
    known_anomalies,
    read_fragments,
    release_changelog,
    with_release,
)
from trocar_lab.release.errors import NotReleasableError

DAY = dt.date(2026, 12, 1)
TEXT = "# Changelog\n\n## [0.2.0] - unreleased\n\nSee.\n\n## [0.1.0] - 2026-01-01\n\nFirst.\n"
ANOMALY = """\
.. anomaly:: {title}
   :id: ANO_{name}
   :anomaly_state: {state}
   :criticality: {criticality}
   :impact: it does {name}
   :risk_evaluation: None is worse by it
   :rationale: It may stay
   :owner: Somebody
   :problem_type: corrective
   :affected_versions: 0.1.0
   :reported: 2026-11-01

   More words.

"""
RISK = "Known anomalies\n===============\n\n" + "".join(
    ANOMALY.format(title=f"About {name.lower()}", name=name, state=state, criticality=criticality)
    for name, state, criticality in (
        ("SMALL", "open", "minor"),
        ("GONE", "closed", "critical"),
        ("GREAT", "open", "major"),
    )
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository with fragments of three kinds."""
    write_files(
        tmp_path,
        {
            "CHANGELOG.md": TEXT,
            "risk/anomalies.rst": RISK,
            "changelog.d/README.md": "# How",
            "changelog.d/b.added.md": "It can\nfly.\n",
            "changelog.d/a.fixed.md": "It no longer falls (ANO_GONE).\n",
            "changelog.d/c.safety.md": "It stays low.\n",
        },
    )
    return tmp_path


@pytest.mark.verifies("SRS_REL_009", extent="full", technique="equivalence")
def test_fragments_move_under_the_dated_heading(root: Path) -> None:
    """Kinds in the order of importance, open anomalies the gravest first, older text untouched."""
    assert release_changelog(root, version="0.2.0", day=DAY) == (
        "a.fixed.md",
        "b.added.md",
        "c.safety.md",
    )
    assert (root / "CHANGELOG.md").read_text() == (
        "# Changelog\n\n## [0.2.0] - 2026-12-01\n\n"
        "### Safety\n\n* It stays low.\n\n"
        "### Added\n\n* It can fly.\n\n"
        "### Fixed\n\n* It no longer falls (ANO_GONE).\n\n"
        "### Known anomalies\n\n"
        "* **About great** (major, ANO_GREAT): it does GREAT.\n"
        "* **About small** (minor, ANO_SMALL): it does SMALL.\n\n"
        "## [0.1.0] - 2026-01-01\n\nFirst.\n"
    )
    assert [path.name for path in (root / "changelog.d").iterdir()] == ["README.md"]


@pytest.mark.verifies("SRS_REL_009", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("x.fixed.md", "It is gone.", "names no ANO_ id"),
        ("x.fixed.md", "It is gone (ANO_UNKNOWN).", "there is no ANO_UNKNOWN"),
        ("x.added.md", "It flies", "is not a sentence"),
        ("x.added.md", "", "is not a sentence"),
        ("x.improved.md", "It flies.", "the name is not"),
        ("x.md", "It flies.", "the name is not"),
        ("X.added.md", "It flies.", "the name is not"),
    ],
)
def test_fragment_that_is_not_in_order_stops_the_release(
    root: Path, name: str, text: str, words: str
) -> None:
    """Nothing is written and nothing removed."""
    write_files(root, {f"changelog.d/{name}": text})
    _, faults = read_fragments(root)
    assert len(faults) == 1
    assert f"{name}: {words}" in faults[0]
    with pytest.raises(NotReleasableError, match=words):
        release_changelog(root, version="0.2.0", day=DAY)
    assert (root / "CHANGELOG.md").read_text() == TEXT
    assert (root / "changelog.d/b.added.md").is_file()


@pytest.mark.parametrize(
    "text",
    [
        "# Changelog\n",
        "## [0.2.0] - 2026-11-30\n\nOut.\n",
        "## [0.3.0] - unreleased\n\n## [0.2.0] - unreleased\n",
        "## [0.2.0]\n\nOut.\n",
    ],
)
def test_only_the_newest_unreleased_heading_is_filled(text: str) -> None:
    """No heading, one that is out already, one of another version, one without a day."""
    with pytest.raises(NotReleasableError, match="must be"):
        with_release(text, version="0.2.0", day=DAY, fragments=(), known=())


def test_version_without_known_anomalies_says_so() -> None:
    """Silence would not be told from a list that was forgotten."""
    news = (Fragment("a.soup.md", "soup", "Another engine."),)
    text = with_release(
        "## [0.2.0] - unreleased\n", version="0.2.0", day=DAY, fragments=news, known=()
    )
    assert "### Software of others\n\n* Another engine.\n" in text
    assert text.endswith("### Known anomalies\n\nNone is known.\n")


def test_release_without_news_and_damaged_risk_file_are_refused(root: Path) -> None:
    """An empty folder is no release; a risk file that cannot be read hides anomalies."""
    for path in (root / "changelog.d").glob("*.*.md"):
        path.unlink()
    with pytest.raises(NotReleasableError, match="holds no fragment"):
        release_changelog(root, version="0.2.0", day=DAY)
    write_files(root, {"risk/anomalies.rst": RISK.replace(":anomaly_state: open", ":remark: x", 1)})
    with pytest.raises(NotReleasableError, match="anomalies"):
        known_anomalies(root)


@pytest.mark.verifies("SRS_REL_009", extent="partial", technique="fault_injection")
def test_what_is_missing_is_no_pass(root: Path) -> None:
    """An empty folder has no news and no anomalies; that is not the same as none being known."""
    (root / "risk/anomalies.rst").unlink()
    with pytest.raises(NotReleasableError, match=r"there is no risk/anomalies\.rst"):
        known_anomalies(root)
    with pytest.raises(NotReleasableError, match=r"there is no risk/anomalies\.rst"):
        read_fragments(root)
    write_files(root, {"risk/anomalies.rst": RISK})
    shutil.rmtree(root / "changelog.d")
    found, faults = read_fragments(root)
    assert found == ()
    assert [fault.split(" in ")[0] for fault in faults] == ["there is no changelog.d"]
    with pytest.raises(NotReleasableError, match=r"there is no changelog\.d"):
        release_changelog(root, version="0.2.0", day=DAY)
