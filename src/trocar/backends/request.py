"""What is asked of an engine, and the checks that every adapter shares."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trocar.backends.choices import ENGINE_DEFAULT, USUAL_THREAD_COUNT, Engine, Precision
from trocar.backends.tensorrt_progress import BuildListener, BuildProgress
from trocar.contracts.base import Contract
from trocar.contracts.errors import BackendUnavailableError, ContractError
from trocar.contracts.limits import THREAD_COUNT_MAX, WARM_UP_COUNT_MAX
from trocar.contracts.manifest import ModelManifest, PackPrecision, TensorSpec

__all__ = ["BackendRequest", "DerivedEngine", "check_batch", "check_output", "precision_of"]


def _ignore(progress: BuildProgress) -> None:
    """Take a progress that nobody wants to see."""


@runtime_checkable
class DerivedEngine(Protocol):
    """A backend whose engine may lie in a folder, from which a bad one has to go."""

    def discard_engine(self, reason: str) -> str:
        """Remove the stored engine.

        Args:
            reason: Why it may not be used, for the log.

        Returns:
            What was removed and what follows, for the person at the screen; empty where nothing
            was stored.
        """
        ...


class BackendRequest(Contract):
    """What must run; an adapter that would run anything else refuses.

    Attributes:
        engine: Engine and provider.
        precision: Precision of the arithmetic; None for the pack's own.
        thread_count: Threads inside one call; fixed, so that latency does not depend on the
            machine's load.
        warm_up_count: Calls before the first frame.
        engine_cache: Folder for engines that are built here; None to build at each start.
        on_build: Is told how far the build of an engine is.
    """

    engine: Engine = ENGINE_DEFAULT
    precision: Precision | None = None
    thread_count: int = Field(default=USUAL_THREAD_COUNT, ge=1, le=THREAD_COUNT_MAX)
    warm_up_count: int = Field(default=3, ge=1, le=WARM_UP_COUNT_MAX)
    engine_cache: Path | None = None
    on_build: BuildListener = Field(default=_ignore, exclude=True, repr=False)


# @need-ids: SRS_OPT_002, RCM_OPT_002
def precision_of(request: BackendRequest, manifest: ModelManifest) -> Precision:
    """Return the precision that must run: the one asked for, or the pack's own.

    Raises:
        BackendUnavailableError: The pack cannot compute in the precision asked for: whole numbers
            are made when a pack is made, not when it is opened, and are not widened again.
    """
    own = Precision(manifest.precision.value)
    wanted = own if request.precision is None else request.precision
    if wanted is not own and PackPrecision.INT8.value in {wanted.value, own.value}:
        raise BackendUnavailableError(
            f"expected {wanted} of {manifest.pack_id}, its model computes in {own}",
            advice=f"leave the precision out or ask for {own}, or name a pack made for {wanted}",
        )
    return wanted


# @need-ids: SRS_BACKEND_004
def check_batch(batch: NDArray[Any], spec: TensorSpec) -> None:
    """Check an input against the manifest.

    Raises:
        ContractError: Shape or dtype differ, or the memory is not contiguous.
    """
    if batch.shape != spec.shape or batch.dtype != spec.dtype.value or not batch.flags.c_contiguous:
        raise ContractError(
            f"expected input {spec.name} {spec.dtype} {spec.shape}, contiguous; got {batch.dtype} "
            f"{batch.shape}",
            advice="run the unit's preprocessing, or use the pack that fits it",
        )


def check_output(output: NDArray[Any], spec: TensorSpec) -> NDArray[np.float32]:
    """Return the output once it has the manifest's shape and dtype.

    Raises:
        ContractError: The model gives another shape or dtype than its manifest says.
    """
    if output.shape != spec.shape or output.dtype != spec.dtype.value:
        raise ContractError(
            f"expected output {spec.name} {spec.dtype} {spec.shape}, got {output.dtype} "
            f"{output.shape}",
            advice="the pack's manifest and model disagree: use another pack",
        )
    return output
