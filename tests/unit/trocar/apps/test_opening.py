"""Verify, configure, open, replay, build: in this order, and nothing after the first refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.packs import write_tiny_pack
from simulators.trust import trust_of
from simulators.unit import ScriptedUnit
from trocar.apps import opening
from trocar.apps.opening import ASSETS, OpenedUnit, open_pack
from trocar.backends.reference_case import ReferenceCaseReport
from trocar.backends.request import BackendRequest
from trocar.backends.select import open_backend
from trocar.contracts.errors import (
    BackendUnavailableError,
    IncompatiblePackError,
    PackError,
)
from trocar.contracts.manifest import ModelManifest
from trocar.contracts.ports import Backend, Unit
from trocar.packs.verify import VerifiedPack

REQUEST = BackendRequest(thread_count=1, warm_up_count=1)


class _Steps:
    """Opens a pack for a scripted unit and notes what happened in which order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        self.unit = ScriptedUnit()

        def noted(model: bytes, manifest: ModelManifest, request: BackendRequest) -> Backend:
            self.done.append("open")
            return open_backend(model, manifest, request)

        monkeypatch.setattr(opening, "open_backend", noted)

    def configure(self, manifest: ModelManifest) -> float:
        """Note the call; refuse a pack that says it is for another unit."""
        self.done.append("configure")
        if manifest.unit != "polyp_segmentation":
            raise IncompatiblePackError("planted", advice="none")
        return manifest.threshold.value

    def build(self, config: float, backend: Backend, pack: VerifiedPack) -> Unit:
        """Note what the unit would be built of."""
        self.done.append(f"build {config} {backend.info.thread_count} {pack.manifest.pack_id}")
        return self.unit

    def open(self, folder: Path) -> OpenedUnit:
        """Open the pack."""
        return open_pack(
            folder,
            REQUEST,
            configure=self.configure,
            build=self.build,
            trust=trust_of(folder),
        )


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> _Steps:
    """Return the noted steps."""
    return _Steps(monkeypatch)


@pytest.mark.verifies(
    "SRS_PACK_001", "UNIT_APPS_OPENING", extent="partial", technique="requirement"
)
def test_unit_is_built_last_of_what_was_verified(steps: _Steps, tmp_path: Path) -> None:
    """Configuration before engine, comparison before unit; the pack's own values in both."""
    pack = write_tiny_pack(tmp_path / "pack")
    opened = steps.open(tmp_path / "pack")
    assert steps.done == ["configure", "open", "build 0.5 1 tiny 0.0.1"]
    assert opened.unit is steps.unit
    assert opened.pack.digest == pack.digest
    assert isinstance(opened.reference_case, ReferenceCaseReport)
    assert opened.reference_case.is_within_limits


@pytest.mark.verifies("SRS_PACK_001", extent="partial", technique="fault_injection")
def test_altered_pack_configures_nothing(steps: _Steps, tmp_path: Path) -> None:
    """Nothing of a doubtful pack is used, its manifest neither."""
    write_tiny_pack(tmp_path / "pack")
    (tmp_path / "pack" / "card.md").write_text("other", encoding="utf-8")
    with pytest.raises(PackError):
        steps.open(tmp_path / "pack")
    assert steps.done == []


@pytest.mark.verifies("SRS_PACK_002", extent="partial", technique="fault_injection")
def test_pack_that_the_unit_refuses_opens_no_engine(steps: _Steps, tmp_path: Path) -> None:
    """Parsing a model is the dangerous step: a pack of another unit does not get there."""
    write_tiny_pack(tmp_path / "pack", unit="tool_detection")
    with pytest.raises(IncompatiblePackError, match="planted"):
        steps.open(tmp_path / "pack")
    assert steps.done == ["configure"]


@pytest.mark.verifies("SRS_BACKEND_005", extent="partial", technique="fault_injection")
@pytest.mark.controls("RCM_PARITY_001", "RCM_SELFTEST_001")
def test_engine_outside_the_tolerance_builds_nothing(steps: _Steps, tmp_path: Path) -> None:
    """The unit is built after the comparison, so there is none to use by mistake."""
    write_tiny_pack(tmp_path / "pack", parity={"prob_difference_max": 0.0, "mask_dice_min": 1.0})
    with pytest.raises(BackendUnavailableError, match="differs from the reference case"):
        steps.open(tmp_path / "pack")
    assert steps.done == ["configure", "open"]


@pytest.mark.verifies("SRS_INSTALL_001", extent="partial", technique="inspection")
def test_assets_are_those_of_the_installed_package() -> None:
    """Packs and clips come with the wheel and are found from any working directory."""
    assert ASSETS.is_absolute()
    assert (ASSETS / "packs").is_dir()
