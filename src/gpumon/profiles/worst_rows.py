"""The rows of largest error, by name: few, and the same ones whatever the order of merging."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from gpumon.errors import MergeError, ProfileError
from gpumon.profiles.labels import Labelled
from gpumon.profiles.state import PLAN, rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["MOST_ROWS", "WorstRows", "largest"]

MOST_ROWS = 10_000
"""Rows of a slice that may be kept."""


def largest(
    errors: NDArray[np.float64], ids: Sequence[str], most: int
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The ``most`` largest errors, largest first, and their ids; of equal errors those whose ids come first.

    >>> largest(np.array([1.0, 3.0, 3.0]), ["a", "c", "b"], 2)
    (array([3., 3.]), ('b', 'c'))
    """
    order = np.argsort(-errors, kind="stable")
    ordered = errors[order]
    if (ordered[1:] == ordered[:-1]).any():
        order = np.array(sorted(range(len(ids)), key=lambda i: (-errors[i], ids[i])), np.int64)
    order = order[:most]
    return errors[order], tuple(ids[i] for i in order.tolist())


@dataclass(frozen=True, eq=False)
class WorstRows(Labelled):
    """The rows of largest error e, at most ``most``: of quantities e = |prediction − target|, of classes 1 − p(true class).

    ``classes`` is empty of quantities, the one class that a single score is of, or the classes of the columns of scores.
    Two are added by the largest of both, so any parts in any order give the same rows.
    """

    identity: tuple[str, ...] = field(metadata=PLAN)  # (1,): the column that says which row it is
    classes: tuple[str, ...] = field(metadata=PLAN)
    most: NDArray[np.int64] = field(metadata=PLAN)  # (1,)
    errors: NDArray[np.float64] = field(metadata=rule(None, lambda errors: errors[:0]))  # (n,), descending
    ids: tuple[str, ...] = field(metadata=rule(None, lambda _: ()))  # (n,)

    def __post_init__(self) -> None:
        good = self.errors.shape == (len(self.ids),) and len(self.ids) <= self.most[0]
        if not good or not (self.errors[1:] <= self.errors[:-1]).all() or not (self.errors >= 0).all():
            raise ProfileError("a state of the rows of largest error is damaged")

    @classmethod
    def on(
        cls,
        columns: Sequence[str],
        weight: Sequence[str],
        identity: Sequence[str],
        classes: Sequence[str],
        most: NDArray[np.int64],
    ) -> WorstRows:
        """No rows yet."""
        if most.shape != (1,) or not 1 <= most[0] <= MOST_ROWS or len(identity) != 1:
            raise ProfileError(
                f"of the rows of largest error 1 to {MOST_ROWS:,} are kept, with one column of ids"
            )
        if len(columns) != 1 + max(1, len(classes)):
            raise ProfileError("the rows of largest error have a target and a column of each class, or one")
        return cls(tuple(columns), tuple(weight), tuple(identity), tuple(classes), most, np.zeros(0), ())

    def __add__(self, other: Self) -> Self:
        if type(other) is not type(self):
            raise MergeError(f"a {type(self).__name__} and a {type(other).__name__} do not add")
        for item in fields(self):
            if item.metadata == PLAN:
                item.metadata["merge"](getattr(self, item.name), getattr(other, item.name))
        return self.joined(other.errors, other.ids) if other.ids else self

    def joined(self, errors: NDArray[np.float64], ids: Sequence[str]) -> Self:
        """These and other rows, the largest of both."""
        both = np.concatenate((self.errors, errors))
        errors, ids = largest(both, (*self.ids, *ids), int(self.most[0]))
        return replace(self, errors=errors, ids=ids)

    @property
    def positive(self) -> tuple[str, ...]:
        """The class that a single score is of."""
        return self.classes

    @property
    def sources(self) -> tuple[str, ...]:
        """All columns that it is counted from."""
        return (*self.columns, *self.weight, *self.identity)
