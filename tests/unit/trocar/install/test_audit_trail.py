"""What the audit log says about installations."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simulators.release_folders import Release, trust_folder
from simulators.signing import check_signature
from trocar.contracts.errors import SinkError
from trocar.install.audit_trail import AUDIT_NAME, AuditTrail
from trocar.install.slots import Slot
from trocar.install.verification import read_release, trusted_keys

SLOT = Slot(
    version="0.2.0",
    sequence=2,
    floor=0,
    is_development=False,
    key_id="a" * 64,
    manifest_sha256="b" * 64,
    installed=dt.date(2026, 11, 21),
    inventory_sha256="c" * 64,
)
BEFORE = replace(SLOT, version="0.1.0", sequence=1, is_development=True)


def _records(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return events and fields but those of the log itself."""
    lines = (folder / AUDIT_NAME).read_text(encoding="ascii").splitlines()[1:]
    return [(record["event"], record["fields"]) for record in map(json.loads, lines)]


@pytest.mark.verifies("SRS_INST_012", extent="partial", technique="requirement")
def test_installations_are_recorded(tmp_path: Path) -> None:
    """Which release, by which key, after which one."""
    trail = AuditTrail(tmp_path)
    trail.installed(SLOT)
    assert trail.switched(SLOT, BEFORE) == ()
    assert trail.switched(BEFORE, SLOT) == ()
    assert trail.switched(BEFORE, None) == ()
    records = _records(tmp_path)
    events = [event for event, _ in records]
    assert events == ["installed", "switched", "rolled_back", "switched"]
    assert records[1][1]["previous_sequence"] == 1
    assert (records[2][1]["grade"], records[1][1]["grade"]) == ("development", "release")
    assert "previous_sequence" not in records[3][1]


@pytest.mark.verifies("SRS_INST_012", extent="partial", technique="requirement")
def test_refusal_names_the_release_only_where_it_was_signed(tmp_path: Path) -> None:
    """What a stranger wrote does not get into the log."""
    usb = Release().write(tmp_path / "usb")
    keys = trusted_keys(trust_folder(tmp_path / "trust"), usb)
    trail = AuditTrail(tmp_path)
    assert trail.refused("SIGNATURE", None) == ()
    assert trail.refused("INSTALL", read_release(usb, keys, check_signature)) == ()
    assert trail.refused("INSTALL", BEFORE) == ()
    development = Release(predicate={"grade": "development"}).write(tmp_path / "usb2")
    assert trail.refused("INSTALL", read_release(development, keys, check_signature)) == ()
    (first, second, third, fourth) = _records(tmp_path)
    assert (third[1]["sequence"], third[1]["grade"]) == (1, "development")
    assert (second[1]["grade"], fourth[1]["grade"]) == ("release", "development")
    assert first == ("verify_refused", {"code": "SIGNATURE"})
    assert second[1]["sequence"] == 1


def test_log_that_cannot_be_written_stops_only_what_has_not_happened(tmp_path: Path) -> None:
    """An installation is not made; a switch or a refusal that was made is said to be untold."""
    trail = AuditTrail(tmp_path / "nowhere")
    with pytest.raises(SinkError):
        trail.installed(SLOT)
    assert "does not tell this" in trail.switched(SLOT, None)[0]
    assert "does not tell this" in trail.refused("INSTALL", None)[0]
