"""Installing, returning to the release before, and telling what runs.

One sequence: verify, copy, build, check, try, seal, switch. Until its one step that counts, the
switch, whatever ran before still runs.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from trocar.contracts.errors import InstallError, TrocarError
from trocar.install.audit_trail import AuditTrail
from trocar.install.environment import Builder, Interpreter
from trocar.install.files import Files, SystemFiles
from trocar.install.inventory import take_inventory
from trocar.install.left_out import LEFT_OUT_NAME, read_left_out
from trocar.install.openssl import check_p256
from trocar.install.programs import Run, run_program
from trocar.install.root_folder import held, is_full
from trocar.install.slots import SLOTS_NAME, Slot, State, read_state, slot_faults
from trocar.install.switching import STAGING_NAME, Recovery, Switch
from trocar.install.verification import (
    Device,
    Release,
    admit,
    check_contents,
    read_release,
    refuse_beside,
    stage,
    trusted_keys,
)
from trocar.statements.statement import SignatureCheck

__all__ = ["Installation", "Outcome", "Tools", "verify_release"]

_ENVIRONMENT: Final = "venv"
_OPEN_TO_READERS: Final = 0o755
_NOTHING_BEFORE: Final = "install a release; there is none to return to"


def _today() -> dt.date:
    """Return the date of the device, in UTC."""
    return dt.datetime.now(tz=dt.UTC).date()


@dataclass(frozen=True)
class Tools:
    """What an installation rests on; tests hand in others.

    Attributes:
        files: The file system.
        run: Starts programs.
        check: Checks signatures.
        today: Says what day it is.
    """

    files: Files = field(default_factory=SystemFiles)
    run: Run = run_program
    check: SignatureCheck = check_p256
    today: Callable[[], dt.date] = _today


@dataclass(frozen=True)
class Outcome:
    """What holds after a command.

    Attributes:
        slot: What runs; None where nothing does.
        previous: What ran before.
        state: What the device remembers.
        remarks: What is worth saying.
        faults: How the slot that runs differs from what was installed.
    """

    slot: Slot | None
    previous: Slot | None
    state: State
    remarks: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


def verify_release(
    folder: Path, trust: Path, *, allow_development: bool, tools: Tools | None = None
) -> Release:
    """Check a release folder as far as it can be checked without a device.

    Args:
        folder: The release.
        trust: The trusted keys.
        allow_development: Whether a release for development is taken.
        tools: What it rests on.

    Raises:
        SignatureError: It is not signed by a trusted key.
        InstallError: It is not whole, or no device may take it today.
    """
    tools = tools or Tools()
    refuse_beside(trust, folder, allow_development=allow_development)
    release = read_release(folder, trusted_keys(trust, folder), tools.check)
    anywhere = Device(tools.today(), None, release.facts.python, release.facts.platform)
    admit(release, anywhere, allow_development=allow_development)
    check_contents(release)
    return release


@dataclass(frozen=True)
class Installation:
    """The releases of one device.

    Attributes:
        root: Where they are installed, a full path.
        tools: What it rests on.
    """

    root: Path
    tools: Tools = field(default_factory=Tools)

    # @need-ids: SRS_INST_008
    def install(
        self, folder: Path, trust: Path, *, interpreter: Path, allow_development: bool
    ) -> Outcome:
        """Install a release and let it run; at any failure, what ran before still runs.

        Args:
            folder: The release.
            trust: The trusted keys.
            interpreter: Full path of the Python that will run it.
            allow_development: Whether a release for development is taken.

        Raises:
            SignatureError: It is not signed by a trusted key.
            InstallError: It was refused, or a step failed.
            AuditError: The audit log is not what was written to it.
        """
        release: Release | None = None
        with self._held(is_new=True) as recovery, self._staging() as staging:
            self._trail().require_sound()
            try:
                self._require_memory(recovery)
                refuse_beside(trust, folder, allow_development=allow_development)
                release = read_release(folder, trusted_keys(trust, folder), self.tools.check)
                builder = Builder(interpreter, staging / "scratch", self.tools.run)
                state = recovery.state
                device = self._device(builder.inspect(), state)
                remarks = admit(release, device, allow_development=allow_development)
                slot = self._build(release, builder, staging, _slot_of(release, state, device))
            except TrocarError as exc:
                self._refused(exc, release)
                raise
            after = replace(
                state,
                current=slot.name,
                previous=state.current,
                sequence_highest=slot.sequence,
                floor=slot.floor,
                date_latest=device.today,
                is_rolled_back=False,
            )
            self._switch().switch(after)
            before = recovery.slots.get(state.current or "")
            remarks += self._trail().switched(slot, before)
        return Outcome(slot, before, after, (*recovery.remarks, *remarks))

    # @need-ids: SRS_INST_011, RCM_INST_010
    def rollback(self, *, allow_development: bool = False) -> Outcome:
        """Return to the release that ran before, if it is whole and no release has ruled it out.

        Args:
            allow_development: Whether a release for development may follow one for production.

        Raises:
            InstallError: There is none, it is damaged, it was ruled out or is for development.
        """
        with self._held() as recovery:
            state = recovery.state
            try:
                slot = self._before(recovery, allow_development=allow_development)
            except TrocarError as exc:
                self._refused(exc, recovery.slots.get(state.previous or ""))
                raise
            after = replace(
                state,
                current=slot.name,
                previous=state.current,
                is_rolled_back=slot.sequence != state.sequence_highest,
            )
            self._switch().switch(after)
            before = recovery.slots.get(state.current or "")
            remarks = self._trail().switched(slot, before)
        return Outcome(slot, before, after, (*recovery.remarks, *remarks))

    def recover(self) -> Outcome:
        """Bring a device in order after an interruption; each file of the slots is checked.

        Raises:
            InstallError: The disk cannot be read or written.
        """
        with self._held(is_deep=True) as recovery:
            return self._outcome(recovery.state, recovery.remarks, recovery.slots)

    # @need-ids: SRS_INST_012
    def status(self) -> Outcome:
        """Return what runs, and how it differs from what was installed.

        Raises:
            InstallError: The disk cannot be read or written.
        """
        with self._held() as recovery:
            outcome = self._outcome(recovery.state, recovery.remarks, recovery.slots)
            if outcome.slot is None:
                return outcome
            return replace(outcome, faults=slot_faults(self.root, outcome.slot))

    def _before(self, recovery: Recovery, *, allow_development: bool) -> Slot:
        """Return the slot that may be returned to."""
        state, slots = recovery.state, recovery.slots
        slot, present = slots.get(state.previous or ""), slots.get(state.current or "")
        if slot is None:
            raise InstallError(
                "expected a release to return to, there is none", advice=_NOTHING_BEFORE
            )
        if slot.sequence < state.floor:
            raise InstallError(
                f"expected a release from sequence number {state.floor} on, {slot.name} was "
                "ruled out by a later one",
                advice="install a newer release",
            )
        is_for_production = present is None or not present.is_development
        if slot.is_development and is_for_production and not allow_development:
            raise InstallError(
                f"expected a production release to return to, {slot.name} is for development",
                advice="use --allow-development on a device that never sees a patient",
            )
        if faults := slot_faults(self.root, slot):
            raise InstallError(
                f"expected {slot.name} as it was installed: {faults[0]} ({len(faults)} such files)",
                advice="install a newer release",
            )
        return slot

    def _require_memory(self, recovery: Recovery) -> None:
        """Refuse to go on where it is no longer known which releases may not come back."""
        if recovery.is_forgotten:
            raise InstallError(
                f"expected a record of what was installed in {self.root}, none can be read: an "
                "older release could not be told from a newer one",
                advice="move the folder away, keep it, and set the device up anew with the newest "
                "release",
            )

    def _refused(self, error: TrocarError, what: Release | Slot | None) -> None:
        """Record what was refused; where that fails, the error says so too."""
        error.advice = "; ".join((error.advice, *self._trail().refused(error.code, what)))

    def _build(self, release: Release, builder: Builder, staging: Path, slot: Slot) -> Slot:
        """Fill a slot, check it, try it, make it whole; remove it where that fails."""
        folder = self.root / SLOTS_NAME / slot.name
        environment = folder / _ENVIRONMENT
        try:
            wheels = stage(release, staging)
            self.tools.files.make_folder(folder)
            listed = read_left_out(staging / "records" / LEFT_OUT_NAME)
            done = builder.build(environment, wheels, staging / "wheels", listed)
            slot = replace(slot, left_out_files=done.files, left_out_bytes=done.size_bytes)
            builder.self_test(environment)
            for name in ("packs", "records"):
                shutil.copytree(staging / name, folder / name, copy_function=shutil.copyfile)
                (folder / name).chmod(_OPEN_TO_READERS)
            sealed = self._switch().seal(slot, take_inventory(folder))
            self._trail().installed(sealed)
        except BaseException:
            self.tools.files.remove(folder)
            raise
        return sealed

    def _device(self, found: Interpreter, state: State) -> Device:
        """Return what is known about the device; its date never runs backwards."""
        today = max(self.tools.today(), state.date_latest)
        return Device(today, state.sequence_highest, found.python, found.platform)

    def _told(self, recovery: Recovery, before: State | None) -> Recovery:
        """Tell the audit log where an interruption, or its repair, has changed what runs."""
        slot, name = recovery.slots.get(recovery.state.current or ""), before and before.current
        if slot is None or slot.name == name:
            return recovery
        remarks = self._trail().switched(slot, recovery.slots.get(name or ""))
        return replace(recovery, remarks=(*recovery.remarks, *remarks))

    def _trail(self) -> AuditTrail:
        """Return the audit log of this folder."""
        return AuditTrail(self.root)

    @contextlib.contextmanager
    def _held(self, *, is_deep: bool = False, is_new: bool = False) -> Iterator[Recovery]:
        """Hold the folder and bring it in order; errors of the disk become errors of ours."""
        try:
            with held(self.root, is_new=is_new):
                self.tools.files.make_folder(self.root / SLOTS_NAME)
                before = read_state(self.root)
                recovery = self._switch().recover(is_deep=is_deep)
                yield self._told(recovery, before)
        except OSError as exc:
            what = "the disk is full" if is_full(exc) else f"{exc.strerror} ({exc.filename})"
            raise InstallError(
                f"cannot go on in {self.root}: {what}",
                advice="what ran before still runs; mend the disk and run trocar-install recover",
            ) from exc

    @contextlib.contextmanager
    def _staging(self) -> Iterator[Path]:
        """Give a private folder for a release on its way, and remove it in the end."""
        staging = self.root / STAGING_NAME
        staging.mkdir(mode=0o700)
        try:
            (staging / "scratch").mkdir(mode=0o700)
            yield staging
        finally:
            self.tools.files.remove(staging)

    def _switch(self) -> Switch:
        """Return the steps on this folder."""
        return Switch(self.root, self.tools.files)

    def _outcome(self, state: State, remarks: tuple[str, ...], slots: dict[str, Slot]) -> Outcome:
        """Return what holds, with the slots themselves."""
        slot, previous = slots.get(state.current or ""), slots.get(state.previous or "")
        return Outcome(slot, previous, state, remarks)


def _slot_of(release: Release, state: State, device: Device) -> Slot:
    """Return the record of the slot that a release will have."""
    facts = release.facts
    return Slot(
        version=facts.version,
        sequence=facts.sequence,
        floor=max(facts.minimum_sequence, state.floor),
        is_development=release.is_development,
        key_id=release.signer.key_id,
        manifest_sha256=release.manifest_sha256,
        installed=device.today,
        inventory_sha256="0" * 64,
    )
