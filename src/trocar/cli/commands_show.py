"""Commands that look and check: units, show, pack verify, selftest."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from trocar.backends.request import BackendRequest
from trocar.cli.catalogue import UNITS, UnitEntry, find_unit, need_ids
from trocar.cli.console import Console
from trocar.cli.exit_codes import OK
from trocar.cli.signatures import signature_fields, signature_lines, warning_lines
from trocar.contracts.errors import IncompatiblePackError
from trocar.contracts.limits import DEADLINE_MS_DEFAULT
from trocar.packs.verify import verify_pack

__all__ = ["pack_verify", "selftest", "show", "units"]


def units(options: argparse.Namespace, console: Console) -> int:
    """List the units."""
    del options
    fields = [
        {"unit": entry.name, "application": entry.application, "summary": entry.summary}
        for entry in UNITS
    ]
    lines = [f"{entry.name:20} {entry.application:16} {entry.summary}" for entry in UNITS]
    console.result({"units": fields}, [*lines, f"next: trocar show {UNITS[0].name}"])
    return OK


# @need-ids: SRS_PACK_005, SRS_MAINT_001, RCM_CARD_001
def show(options: argparse.Namespace, console: Console) -> int:
    """Show one unit: contract, requirement and risk ids, model card."""
    entry = find_unit(options.unit)
    pack = verify_pack(options.pack or entry.pack, options.trust)
    if pack.manifest.unit != entry.pack_unit:
        raise IncompatiblePackError(
            f"expected a pack for {entry.pack_unit}, got one for {pack.manifest.unit}",
            advice="name a pack of this unit: the card of another one would be shown",
        )
    ids = need_ids(entry.name)
    fields: dict[str, Any] = {
        "unit": entry.name,
        "application": entry.application,
        "pack": pack.manifest.pack_id,
        "pack_digest": pack.digest,
        "pack_signature": signature_fields(pack),
        **ids,
        "contracts": {
            name: contract.model_json_schema() for name, contract in entry.contracts.items()
        },
        "manifest": json.loads(pack.manifest.model_dump_json()),
        "card": pack.card,
    }
    lines = [
        f"{entry.name} ({entry.application}): {entry.summary}",
        f"pack {pack.manifest.pack_id}, digest {pack.digest}",
        *signature_lines(pack),
        f"requirements  {', '.join(ids['requirements'])}",
        f"risk controls {', '.join(ids['risk_controls'])}",
        "",
        *pack.card.split("\n"),
        "Contracts as JSON Schema: trocar show " + entry.name + " --json",
    ]
    console.result(fields, lines)
    return OK


# @need-ids: SRS_PACK_001, SRS_SIGN_006
def pack_verify(options: argparse.Namespace, console: Console) -> int:
    """Verify one pack."""
    pack = verify_pack(options.place, options.trust)
    manifest = pack.manifest
    console.result(
        {
            "pack": manifest.pack_id,
            "unit": manifest.unit,
            "digest": pack.digest,
            "is_sound": True,
            "signature": signature_fields(pack),
        },
        [
            f"sound: {manifest.pack_id} for {manifest.unit}, digest {pack.digest}",
            *signature_lines(pack),
        ],
    )
    return OK


# @need-ids: SRS_PACK_004
def selftest(options: argparse.Namespace, console: Console) -> int:
    """Verify each unit's pack and replay its reference case on the engine asked for."""
    request: BackendRequest = options.request
    fields, lines, warnings = [], [], []
    for entry in UNITS if options.pack is None else _units_of(options.pack, options.trust):
        opened = entry.open(
            options.pack or entry.pack,
            request,
            frame_age_ms_max=DEADLINE_MS_DEFAULT,
            trust=options.trust,
        )
        report, info = opened.reference_case, opened.unit.info
        fields.append({
            "unit": entry.name,
            "pack": info.pack_id,
            "pack_signature": signature_fields(opened.pack),
            "backend": info.backend.model_dump(),
            "reference_case": report.model_dump(),
        })
        lines.append(
            f"passed: {entry.name}, {info.pack_id} on {info.backend.engine} "
            f"{info.backend.provider} "
            f"{info.backend.precision}: probability within {report.prob_difference_max:.2g} "
            f"(limit {report.prob_difference_limit}), mask Dice {report.mask_dice:.4f} (limit "
            f"{report.mask_dice_limit})"
        )
        warnings += warning_lines(opened.pack)
    console.result({"selftest": fields, "passed": True}, [*lines, *dict.fromkeys(warnings)])
    return OK


def _units_of(place: Path, trust: Path | None) -> list[UnitEntry]:
    """Return the units that a pack is for.

    Raises:
        IncompatiblePackError: There is none in this release.
    """
    unit = verify_pack(place, trust).manifest.unit
    entries = [entry for entry in UNITS if entry.pack_unit == unit]
    if not entries:
        raise IncompatiblePackError(
            f"expected a pack for one of {sorted({entry.pack_unit for entry in UNITS})}, got one "
            f"for {unit}",
            advice="use the release of Trocar that belongs to this pack",
        )
    return entries
