"""Without a service manager nothing is sent; with one, a notice that fails is said once."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from trocar.streaming.service_notice import ServiceNotice


@pytest.mark.verifies("SRS_LIVE_011", extent="partial", technique="requirement")
@pytest.mark.parametrize("address", [None, ""])
def test_without_a_manager_nothing_happens(address: str | None) -> None:
    """The same program runs by hand."""
    with structlog.testing.capture_logs() as logged, ServiceNotice(address) as notice:
        notice.ready()
        notice.alive()
        notice.status("ready")
    notice.close()
    assert logged == []


@pytest.mark.verifies("SRS_LIVE_011", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("form", ["{}/nobody", "@{}/nobody"])
def test_manager_that_is_gone_is_said_once(tmp_path: Path, form: str) -> None:
    """A run does not end because nobody listens, at a path or at an abstract name."""
    notice = ServiceNotice(form.format(tmp_path))
    with structlog.testing.capture_logs() as logged:
        notice.ready()
        notice.alive()
        notice.close()
    assert [line["event"] for line in logged] == ["service_notice_not_sent"]
