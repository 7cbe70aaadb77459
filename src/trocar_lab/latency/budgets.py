"""Limits of each platform class and unit, from ``verification/latency/budgets.toml``."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError

from trocar.contracts.base import Contract
from trocar.contracts.errors import ContractError
from trocar_lab.latency.settings import Arm

BUDGETS_PATH: Final = Path(__file__).parents[3] / "verification" / "latency" / "budgets.toml"


class Budget(Contract):
    """What one unit must keep on one platform class.

    Attributes:
        fps: Rate of the source [frames/s].
        height_px: Height of a frame.
        width_px: Width of a frame.
        deadline_ms: Age above which a frame is a miss [ms].
        miss_ratio_max: Limit of the one-sided 95 % upper bound of the miss ratio.
        frames_min: Timed frames of an arm, over all its runs.
        runs_min: Fresh processes of an arm.
        warm_up_frames_min: Frames before the timed ones.
        arms_required: Arms that decide; the others are shown beside them.
        clock_change_ratio_max: Largest change of a processor's clock in a run; None: not judged.
    """

    fps: int = Field(ge=1)
    height_px: int = Field(ge=1)
    width_px: int = Field(ge=1)
    deadline_ms: int = Field(ge=1)
    miss_ratio_max: float = Field(gt=0.0, lt=1.0)
    frames_min: int = Field(ge=1)
    runs_min: int = Field(ge=1)
    warm_up_frames_min: int = Field(ge=1)
    arms_required: tuple[Arm, ...] = Field(min_length=1)
    clock_change_ratio_max: float | None = None


class SoakBudget(Contract):
    """What every unit must keep over a soak, on any machine.

    Attributes:
        minutes_min: Time after the warm-up [min].
        warm_up_minutes_min: Time before, which the slope leaves out [min].
        slope_mib_per_hour_max: Limit of the upper end of the 95 % interval of the slope of resident
            memory [MiB/h].
    """

    minutes_min: int = Field(ge=1)
    warm_up_minutes_min: int = Field(ge=1)
    slope_mib_per_hour_max: float = Field(gt=0.0)


class Budgets(Contract):
    """Every budget, by platform class and by unit, or by units joined with ``+``."""

    agx: Mapping[str, Budget]
    surrogate: Mapping[str, Budget]
    soak: SoakBudget

    def find(self, platform_class: str, unit: str) -> Budget | None:
        """Return the budget of a unit on a platform class; None where nobody set one."""
        table = self.agx if platform_class == "agx" else self.surrogate
        return table.get(unit)


def load_budgets(path: Path = BUDGETS_PATH) -> Budgets:
    """Read the limits.

    Raises:
        ContractError: The file is missing or breaks its contract.
    """
    try:
        parsed = tomllib.loads(path.read_text(encoding="utf-8"))
        return Budgets.model_validate_json(json.dumps(parsed))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as exc:
        raise ContractError(
            f"the limits in {path} cannot be used: {exc}",
            advice="name verification/latency/budgets.toml of the repository with --budgets",
        ) from exc
