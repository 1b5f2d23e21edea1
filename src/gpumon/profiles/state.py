"""State: what some rows left behind. Each field says once how it merges; adding, comparing and saving follow from that.

SUM     counts of disjoint rows add
MAX     the larger of each element
PLAN    decided before counting (edges, vocabulary): equal on both sides, or the states do not add
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gpumon.errors import MergeError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAX", "PLAN", "SUM", "State", "equal", "rule"]


def equal(left: Any, right: Any) -> bool:
    """Whether two field values are the same, NaN being equal to NaN."""
    if left is right:
        return True
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        nan = left.dtype.kind == "f"
        return left.dtype == right.dtype and np.array_equal(left, right, equal_nan=nan)
    return type(left) is type(right) and bool(left == right)


def _agree(left: Any, right: Any) -> Any:
    if left is not right and not equal(left, right):
        raise MergeError(
            "these were counted on different plans: profile the second table with like=the first"
        )
    return left


def rule(merge: Any, empty: Any) -> Mapping[str, Any]:
    """Field metadata: how two values merge, and the value that changes nothing."""
    return {"merge": merge, "empty": empty}


def _add(left: Any, right: Any) -> Any:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(left + right)  # of arrays without axes NumPy makes plain numbers


SUM = rule(_add, np.zeros_like)
MAX = rule(np.maximum, np.zeros_like)
PLAN = rule(_agree, lambda value: value)


@cache
def _merges(kind: Any) -> tuple[tuple[str, Any], ...]:
    """The fields of a kind of state, and how their values merge."""
    return tuple((field.name, field.metadata["merge"]) for field in fields(kind))


@dataclass(frozen=True, eq=False)
class State:
    """Base of all states: values that add. ``a + b`` is what counting the rows of both would have left behind.

    ``Child.on(plan fields…)`` gives a state with nothing counted.
    """

    def __add__(self, other: Self) -> Self:
        if type(other) is not type(self):
            raise MergeError(f"a {type(self).__name__} and a {type(other).__name__} do not add")
        kind: Any = type(self)  # looked up once: there may be many slices to add
        return type(self)(
            *(merge(getattr(self, name), getattr(other, name)) for name, merge in _merges(kind))
        )

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(
            equal(getattr(self, field.name), getattr(other, field.name)) for field in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]

    def empty(self) -> Self:
        """The same plan with nothing counted: the zero of ``+``."""
        return type(self)(*(field.metadata["empty"](getattr(self, field.name)) for field in fields(self)))
