"""A unit as an operator of NVIDIA Holoscan 4.6: the only module that knows Holoscan.

The package is optional (extra ``holoscan``) and imported when an operator is made. Everything that
can be tried without it lies in ``unit_step``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Final

from trocar.adapters.unit_step import UnitStep
from trocar.contracts.errors import BackendUnavailableError

__all__ = ["INPUT_PORT", "OUTPUT_PORT", "QUEUE_LENGTH", "unit_operator"]

INPUT_PORT: Final = "frame"
"""Port that takes messages of a frame each."""

OUTPUT_PORT: Final = "record"
"""Port that gives the ``FrameRecord`` of each message."""

QUEUE_LENGTH: Final = 1
"""Messages that wait before the operator; a newer one takes the place of the oldest."""

_Untyped = Any
"""Holoscan ships no types."""

_FIELDS: Final = ("frame_index", "captured_at_ns", "media_time_ns")


# @need-ids: SRS_HOLO_001, SRS_HOLO_002
def unit_operator(
    fragment: _Untyped, step: UnitStep, *conditions: _Untyped, name: str = "trocar"
) -> _Untyped:
    """Return an operator that answers each message through a step.

    The step stays with the caller, who reads its account and calls ``require_sound`` once the graph
    has ended. The operator before this one must not wait for it: its output port needs
    ``ConditionType.NONE``, or it is throttled and nothing is ever dropped.

    Args:
        fragment: Holoscan application or fragment.
        step: What answers.
        conditions: Further conditions of Holoscan for the operator.
        name: Name of the operator in the graph.

    Raises:
        BackendUnavailableError: Holoscan cannot be imported.
    """
    core = _import_core()
    members = {"step": step, "newest_wins": core.IOSpec.QueuePolicy.POP}
    kind: _Untyped = type("TrocarUnitOp", (_UnitOperator, core.Operator), members)
    return kind(fragment, *conditions, name=name)


class _UnitOperator:
    """What Holoscan calls: joined with its class of operators when one is made.

    Attributes:
        step: What answers.
        newest_wins: Holoscan's policy of a queue that drops its oldest message.
        metadata: Holoscan's metadata of the message in hand.
    """

    step: UnitStep
    newest_wins: _Untyped
    metadata: _Untyped

    def setup(self, spec: _Untyped) -> None:
        """Declare both ports; the policy is set here and never left to a default."""
        spec.input(INPUT_PORT, size=QUEUE_LENGTH, policy=self.newest_wins)
        spec.output(OUTPUT_PORT)

    def compute(self, op_input: _Untyped, op_output: _Untyped, _context: _Untyped) -> None:
        """Answer one message."""
        received = op_input.receive(INPUT_PORT)
        op_output.emit(self.step.answer(_message(received, self.metadata)), OUTPUT_PORT)


def _import_core() -> _Untyped:
    """Return Holoscan's core.

    Raises:
        BackendUnavailableError: It is not installed, or its libraries are not found.
    """
    try:
        return importlib.import_module("holoscan.core")
    except (ImportError, OSError) as exc:
        raise BackendUnavailableError(
            f"Holoscan cannot be imported: {exc}",
            advice='pip install "trocar[holoscan]"; put the folder of libcudart.so.12 on'
            " LD_LIBRARY_PATH",
        ) from exc


def _message(received: object, metadata: _Untyped) -> dict[str, object]:
    """Return one message: pixels by name or alone, numbers beside them or in the metadata."""
    if not isinstance(received, Mapping):
        fields: dict[str, object] = {"pixels": received}
    elif "pixels" in received or len(received) != 1:
        fields = {str(key): value for key, value in received.items()}
    else:
        # Operators of Holoscan send one tensor under a name of their own, often an empty one.
        fields = {"pixels": next(iter(received.values()))}
    for name in _FIELDS:
        if name not in fields and name in metadata:
            fields[name] = metadata[name]
    return fields
