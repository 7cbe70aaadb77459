"""The account of a run says what was read; what cannot be read has no identity."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import NoReturn

import pytest
import structlog

from trocar.cli import play


@pytest.mark.verifies("SRS_SINK_007", "SRS_LOG_001", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_INPUT_001")
def test_input_that_cannot_be_read_has_no_identity_and_a_line_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a digest would name another recording; why there is none must be found later."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"recording")

    def broken(*_: object) -> NoReturn:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("trocar.cli.play.hashlib.file_digest", broken)
    with structlog.testing.capture_logs() as logged:
        identity = play._identity_of(path)
    assert identity["name"]
    assert (identity["size_bytes"], identity["sha256"]) == (None, None)
    assert logged == [
        {
            "event": "input_not_identified",
            "problem": "Input/output error",
            "log_level": "warning",
        }
    ]


@pytest.mark.verifies("SRS_SINK_007", extent="partial", technique="boundary")
def test_what_is_no_file_has_a_name_and_no_identity(tmp_path: Path) -> None:
    """A recording that was taken away meanwhile must not get the digest of nothing."""
    identity = play._identity_of(tmp_path / "gone.mp4")
    assert identity == {"name": "gone.mp4", "size_bytes": None, "sha256": None}
