"""Places on disk that a run writes to: made, claimed, and never written over by mistake."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from trocar.contracts.errors import ContractError, SinkError
from trocar.streaming.addresses import earlier_results

__all__ = ["claim", "exists", "make_folder", "refuse_earlier", "refuse_own_input"]

_RUN_OUTPUTS: Final = (
    "results.jsonl",
    "overlay.mp4",
    "latency.json",
    "latency.html",
    "run.json",
    "dropped_frames.csv",
)


# @need-ids: SRS_SINK_006, RCM_OWNRUN_001
def claim(folder: Path, *, masks: Collection[Path], inputs: Sequence[Path], replace: bool) -> None:
    """Make room for a run: no file of an earlier one may be taken for its result.

    Args:
        folder: Where the run will write.
        masks: The mask files that it may write; any other one there belongs to another run.
        inputs: What it reads.
        replace: Whether results of an earlier run are removed.

    Raises:
        ContractError: An output is one of the inputs.
        SinkError: There is an earlier result and it may not be replaced, or cannot be removed.
    """
    refuse_own_input([*masks, *(folder / name for name in _RUN_OUTPUTS)], inputs=inputs)
    found = earlier_results(f"masks:{folder / 'masks'}")
    refuse_earlier(
        [path for path in found if path not in masks],
        advice="choose another folder with -o, or move the masks of the other run away",
    )
    earlier = [*found]
    for name in _RUN_OUTPUTS:
        earlier += earlier_results(f"jsonl:{folder / name}")
    if not replace:
        refuse_earlier(earlier, advice="choose another folder with -o, or add --replace")
    for path in earlier:
        try:
            path.unlink()
        except OSError as exc:
            raise SinkError(
                f"cannot replace {path}: {exc.strerror}", advice="choose another folder with -o"
            ) from exc


def refuse_earlier(earlier: Sequence[Path], *, advice: str) -> None:
    """Refuse a run beside the results of another one.

    Raises:
        SinkError: There is an earlier result.
    """
    if earlier:
        raise SinkError(f"expected no earlier result, got {earlier[0]}", advice=advice)


def refuse_own_input(outputs: Sequence[Path], *, inputs: Sequence[Path]) -> None:
    """Refuse a run that would write over what it reads.

    Raises:
        ContractError: An output is one of the inputs.
    """
    read = {_identity(path) for path in inputs if exists(path)}
    for path in outputs:
        if exists(path) and _identity(path) in read:
            raise ContractError(
                f"expected an output beside the input, got the input itself: {path}",
                advice="name another output; a recording is never written over",
            )


def _identity(path: Path) -> tuple[int, int]:
    """Return what two names of one file have in common."""
    status = path.stat()
    return status.st_dev, status.st_ino


def exists(path: Path) -> bool:
    """Return whether there is something at a path; a name that no file can have is not there."""
    try:
        return path.exists()
    except OSError:
        return False


def make_folder(folder: Path) -> None:
    """Create the output folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise SinkError(
            f"cannot create the folder {folder}: {exc.strerror}",
            advice="choose another folder with -o",
        ) from exc
