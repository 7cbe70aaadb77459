"""The base of every contract, and arrays inside contracts.

A contract is frozen, strict (no silent conversion) and closed (no unknown field). An array inside a
contract is checked for type, number of axes, dtype, fixed sizes, finiteness where asked, and
contiguity, and is held as a read-only view.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

__all__ = ["ArrayOf", "Contract"]


class Contract(BaseModel):
    """Immutable value that is valid from its construction on.

    Two contracts are equal when they are of one type and all fields are, arrays by dtype, shape and
    content.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, strict=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False
    )

    def __eq__(self, other: object) -> bool:
        """Compare field by field; pydantic's own comparison fails on arrays."""
        if type(other) is not type(self):
            return False
        return all(
            _is_equal(getattr(self, name), getattr(other, name)) for name in type(self).model_fields
        )

    __hash__ = BaseModel.__hash__


@dataclass(frozen=True, slots=True)
class ArrayOf:
    """Annotation that makes pydantic check a numpy array.

    Attributes:
        axes: Name of each axis, outermost first; their number is checked.
        dtype: The only accepted dtype.
        sizes: Required size of axes by name; an axis not named may have any size from 1.
        finite: Refuse NaN and infinity (scans the array: use it where the scan is affordable).
    """

    axes: tuple[str, ...]
    dtype: type[np.generic]
    sizes: Mapping[str, int] = field(default_factory=dict)
    finite: bool = False

    def check(self, value: object) -> np.ndarray[Any, Any]:
        """Return a read-only view of a valid array.

        Raises:
            PydanticCustomError: The value is not such an array; the message says what was expected
                and what came.
        """
        if type(value) is not np.ndarray:
            raise _refusal("an array", type(value).__name__)
        if value.dtype != self.dtype:
            raise _refusal(f"dtype {np.dtype(self.dtype)}", str(value.dtype))
        if value.ndim != len(self.axes) or 0 in value.shape:
            raise _refusal(f"axes ({', '.join(self.axes)}), none empty", f"shape {value.shape}")
        for axis, size in self.sizes.items():
            if value.shape[self.axes.index(axis)] != size:
                raise _refusal(f"{size} along {axis}", f"shape {value.shape}")
        if not value.flags.c_contiguous:
            raise _refusal("C-contiguous memory", f"strides {value.strides}")
        if self.finite and not np.isfinite(value).all():
            raise _refusal("finite values", "NaN or infinity")
        view = value.view()
        view.flags.writeable = False
        return view

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Replace pydantic's own handling by ``check``."""
        del source, handler
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the array, so that a unit's contract can be shown."""
        del schema, handler
        shape = [self.sizes.get(axis, axis) for axis in self.axes]
        axes = ", ".join(self.axes)
        return {
            "type": "array",
            "description": f"{np.dtype(self.dtype)} ({axes}), C-contiguous, read-only",
            "x-axes": list(self.axes),
            "x-shape": shape,
            "x-dtype": str(np.dtype(self.dtype)),
            "x-finite": self.finite,
        }


def _is_equal(first: object, second: object) -> bool:
    """Return whether two fields are equal."""
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return first.dtype == second.dtype and np.array_equal(first, second)
    return first == second


def _refusal(expected: str, got: str) -> PydanticCustomError:
    """Return the one form in which an array is refused."""
    return PydanticCustomError(
        "array", "expected {expected}, got {got}", {"expected": expected, "got": got}
    )
