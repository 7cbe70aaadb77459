"""Digests of test bodies move with meaning only; claims are read from every place of a marker."""

from __future__ import annotations

from pathlib import Path

import pytest

from trocar_lab.evidence.source.python_tests import TestFile, scan_tests

BASE = '''
import pytest

LIMIT = 3
pytestmark = pytest.mark.verifies("SRS_A_001")


@pytest.fixture
def frame():
    """A frame."""
    return LIMIT


class Base:
    def test_shared(self, frame):
        assert frame


@pytest.mark.controls("RCM_A_001")
class TestOne(Base):
    @pytest.mark.verifies("SRS_A_002", extent="full")
    def test_own(self, frame):
        """Says why."""
        assert frame == 3


def unused():
    return 1
'''


def _digest(text: str) -> str | None:
    """Return the digest of the one method."""
    return TestFile(text, name="t.py").digest("TestOne.test_own")


@pytest.mark.verifies("SRS_TRACE_007", extent="partial", technique="property")
@pytest.mark.parametrize(
    ("old", "new", "is_same"),
    [
        ("Says why.", "Says something else.", True),
        ("assert frame == 3", "assert  frame == 3  # comment", True),
        ("return 1", "return 2", True),
        ("assert frame == 3", "assert frame", False),
        ("LIMIT = 3", "LIMIT = 4", False),
        ("return LIMIT", "return 3", False),
        ('extent="full"', 'extent="partial"', False),
        ("RCM_A_001", "RCM_A_002", False),
        ('"SRS_A_001"', '"SRS_A_009"', False),
    ],
)
def test_digest_moves_with_meaning_only(old: str, new: str, *, is_same: bool) -> None:
    """A weakened assertion, fixture or constant outdates evidence; a comment does not."""
    assert old in BASE
    assert (_digest(BASE) == _digest(BASE.replace(old, new, 1))) is is_same


def test_function_that_is_gone_has_no_digest() -> None:
    """Then its evidence is about nothing."""
    assert TestFile(BASE, name="t.py").digest("gone") is None


def test_claims_come_from_function_class_module_and_base(tmp_path: Path) -> None:
    """An inherited test claims what its class claims."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(BASE, encoding="utf-8")
    (tmp_path / "tests" / "test_b.py").write_text("def broken(:\n", encoding="utf-8")
    functions, faults = scan_tests(tmp_path)
    claims = {f.function.split("::", 1)[1]: {c.need_id for c in f.claims} for f in functions}
    assert claims == {
        "TestOne::test_own": {"SRS_A_001", "SRS_A_002", "RCM_A_001"},
        "TestOne::test_shared": {"SRS_A_001", "RCM_A_001"},
    }
    assert len(faults) == 1


@pytest.mark.verifies(
    "SRS_TRACE_010", "SRS_TRACE_017", extent="partial", technique="fault_injection"
)
@pytest.mark.parametrize("marker", ["verifies(NAME)", "verifies", "verifies(*IDS)", "verifies()"])
def test_marker_that_cannot_be_read_from_the_source_is_a_fault(tmp_path: Path, marker: str) -> None:
    """The check reads tests without importing them, so ids are literals."""
    (tmp_path / "tests").mkdir()
    text = f"import pytest\n\n@pytest.mark.{marker}\ndef test_a(): pass\n"
    (tmp_path / "tests" / "test_a.py").write_text(text, encoding="utf-8")
    functions, _ = scan_tests(tmp_path)
    assert functions[0].faults
