"""Times: the span that a datetime column covers, and at which hours of the week."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gpumon.errors import ProfileError
from gpumon.profiles.state import SUM, State, rule

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["HOURS", "Times"]

HOURS = 168
NEVER = np.array([np.iinfo(np.int64).max, np.iinfo(np.int64).min])


def _span(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.array([min(left[0], right[0]), max(left[1], right[1])])


SPAN = rule(_span, lambda _: NEVER.copy())


@dataclass(frozen=True, eq=False)
class Times(State):
    """A datetime column: earliest and latest, rows by hour of the week (UTC, Monday 0 h first), missing rows."""

    span: NDArray[np.int64] = field(metadata=SPAN)  # (2,), microseconds since 1970-01-01
    hours: NDArray[np.int64] = field(metadata=SUM)  # (168,)
    missing: NDArray[np.int64] = field(metadata=SUM)  # ()

    def __post_init__(self) -> None:
        if (self.span.shape, self.hours.shape, self.missing.shape) != ((2,), (HOURS,), ()):
            raise ProfileError("a state of times has the wrong shape: it is damaged")

    @classmethod
    def on(cls) -> Times:
        """Nothing counted yet."""
        return cls(NEVER.copy(), np.zeros(HOURS, np.int64), np.zeros((), np.int64))

    @property
    def rows(self) -> int:
        """Rows counted, missing ones too."""
        return int(self.hours.sum() + self.missing)


@dataclass(frozen=True, eq=False)
class Rows(State):
    """How many rows a slice has."""

    rows: NDArray[np.int64] = field(metadata=SUM)  # ()

    @classmethod
    def on(cls) -> Rows:
        """Nothing counted yet."""
        return cls(np.zeros((), np.int64))
