"""What formulas of change over time read: measures of the model window by window, and how their rows come about.

=======================  =================================================================================
``course``               a measure (windows,); NaN of windows that are immature or without a value
``deviations``           by how many standard errors each known window is worse than the reference, beyond
                         what is allowed (windows,); below 0: better
``means``                a measure (batches,) and its squared standard errors; the first is the reference's
``errors``               batches of the stream of errors: the error rate, rows, Σ (error − rate)² (batches,);
                         the first is the reference. ``residuals`` likewise of |e|; ``stream``: whichever there is
``means_change``         the first window after the likeliest change of the means, and the first and the last
                         window of its interval (3,); ``errors_change``, ``residuals_change`` likewise
``starts``               the start of each window (windows,) [s since 1970]
``changes_of_segments``  a one for each segment whose own change matters (affected,): :mod:`gpumon.verdicts.affected`
``verdicts_of_windows``  whether each window has an alert (windows,): :mod:`gpumon.verdicts.rollups`
=======================  =================================================================================

Windows of less than the share ``maturity`` of labels are left out, and those that have no time. Where the reference
has 8 windows of its own, the variance that they have beyond their rows' is added to that of every window.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import special

from gpumon.metrics.labelled import LabelReadings
from gpumon.profiles.labels import Confusion, Residuals
from gpumon.statistics import batches, over_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gpumon.metrics.metric import Metric
    from gpumon.profiles.profile import Profile

    Floats = NDArray[np.float64]

__all__ = ["HISTORY", "Course", "Courses", "dated"]

HISTORY = 8
"""Windows of the reference from which on their own spread counts."""

LEVEL = 0.95
TWO_SIDED = float(-special.ndtri((1 - LEVEL) / 2))

_Row = dict[str, Any]


def dated(windows: Sequence[str]) -> list[str]:
    """The windows that have a time, in its order."""
    from gpumon.tables.slices import NO_TIMESTAMP

    return sorted(window for window in windows if window != NO_TIMESTAMP)


@dataclass(frozen=True)
class Course:
    """A measure window by window, (windows,) each; NaN where a window is immature or has no value."""

    value: Floats
    error: Floats  # towards the reference
    rows: NDArray[np.int64]
    level: float  # the reference's value, NaN if there is none
    level_error: float
    young: int  # windows left out for want of labels

    @property
    def windows(self) -> int:
        """Windows whose value is known."""
        return int(np.count_nonzero(np.isfinite(self.value)))


class Stream(NamedTuple):
    """Batches of losses, (batches,) each; ``place`` is the number of each one's window, −1 of the reference."""

    mean: Floats
    rows: Floats
    squares: Floats
    place: NDArray[np.int64]
    between: float  # variance of windows beyond that of their rows
    young: int


class Courses:
    """The courses of the measures of two profiles, by segment, and the rows of the metrics that read them."""

    def __init__(self, reference: Profile, current: Profile, predicted: LabelReadings) -> None:
        self.windows = dated(current.windows)
        self.now = predicted
        self.totals = [(of, at) for of, at in predicted.slices if at[0] is None]
        where = {at: i for i, (_, at) in enumerate(predicted.slices)}
        self.places = [
            np.array([where.get((window, segment), -1) for window in self.windows], np.int64)
            for _, (_, segment) in self.totals
        ]
        self.alone = reference is current  # nothing to compare with
        history = [] if self.alone else dated(reference.windows)
        self.history = len(history) if len(history) >= HISTORY else 0
        wholes = list(dict.fromkeys(of for of, _ in self.totals))
        self.wholes = [wholes.index(of) for of, _ in self.totals]
        own = [(of, (window, of[1])) for of in wholes for window in history if self.history]
        self.before = LabelReadings(
            reference, reference, [*((of, of) for of in wholes), *own], predicted.maturity
        )
        self.course, self.stream, self._shifted = cache(self._course), cache(self._stream), cache(self._shift)
        self._whole = cache(_whole)

    def name(self, place: int) -> str:
        """The name of a window by its number."""
        return self.windows[place] if place >= 0 else "the reference"

    def of_reference(self, place: int) -> tuple[int, slice]:
        """Where a segment's reference stands among the slices of ``before``: the whole, and its windows."""
        whole = self.wholes[place]
        first = max(self.wholes) + 1 + whole * self.history
        return whole, slice(first, first + self.history)

    def _course(self, base: Metric, place: int) -> Course | None:
        """The course of a measure in a segment; None where the model has no such measure."""
        now, before = self._whole(self.now, base), self._whole(self.before, base)
        if now is None or before is None:
            return None
        whole, own = self.of_reference(place)
        at = self.places[place]
        young = (now["status"][at] == "no_data") & (at >= 0)
        value, lower, upper = (
            np.where(young | (at < 0), np.nan, now[name][at]) for name in ("value", "ci_lower", "ci_upper")
        )
        level, level_error, between = float(before["value"][whole]), float(_error(before)[whole]), 0.0
        if self.history:
            mature = before["status"][own] != "no_data"
            values = np.where(mature, before["value"][own], np.nan)
            between = float(over_time.between_variance(values, _error(before)[own] ** 2))
            level_error = float(np.hypot(level_error, np.sqrt(between / self.history)))
        if self.alone:
            level, level_error = np.nan, np.nan
        error = np.where(value < level, upper - value, value - lower) / TWO_SIDED
        rows = np.where(np.isfinite(value), now["n"][at], 0)
        return Course(value, np.sqrt(error**2 + between), rows, level, level_error, int(young.sum()))

    def _stream(self, kind: type, place: int) -> Stream | None:
        """The batches of losses of a segment; None where the model has none of the kind."""
        now, before = (_losses(readings, kind) for readings in (self.now, self.before))
        if now is None or before is None:
            return None
        at = self.places[place]
        mean, rows, squares = (np.where(at >= 0, x[at], 0.0) for x in now)
        mature = self.now.coverage[at] >= self.now.maturity
        used = np.flatnonzero((rows > 0) & mature)
        young = int(np.count_nonzero((rows > 0) & ~mature))
        mean, rows, squares = mean[used], rows[used], squares[used]
        between = 0.0
        whole, own = self.of_reference(place)
        if not self.alone and before[1][whole] > 0:
            mean, rows, squares = (
                np.concatenate((x[whole : whole + 1], y))
                for x, y in zip(before, (mean, rows, squares), strict=True)
            )
            used = np.concatenate(([-1], used))
        if self.history:
            means, n, spread = (x[own] for x in before)
            spare = np.where(n > 1, n * (n - 1), np.nan)
            between = float(over_time.between_variance(means, spread / spare))
        return Stream(mean, rows, squares, used, between, young)

    def shift(self, metric: Metric, place: int) -> tuple[batches.Shift, NDArray[np.int64]] | None:
        """The change that a metric of one finds, and the number of each batch's window; once for its size and its time."""
        return self._shifted(metric.reads[0].removesuffix("_change"), metric.of, place)

    def _shift(
        self, kind: str, of: Metric | None, place: int
    ) -> tuple[batches.Shift, NDArray[np.int64]] | None:
        if kind == "means":
            assert of is not None
            course = self.course(of, place)
            if course is None:
                return None
            known = np.flatnonzero(np.isfinite(course.value) & (course.error > 0))
            means = np.concatenate(([course.level], course.value[known]))
            errors = np.concatenate(([course.level_error], course.error[known]))
            return batches.change_of_means(means, errors**2), np.concatenate(([-1], known))
        stream = self.stream(STREAMS[kind][0], place)
        if stream is None:
            return None
        found = batches.change(stream.mean, stream.rows, stream.squares, stream.between)
        return found, stream.place


def _whole(readings: LabelReadings, base: Metric) -> _Row | None:
    """The values of a measure of the model as a whole, of every slice; None where it has no such measure."""
    parts = [part for part in readings.rows(base, None) if part["column"] is None]
    return parts[-1] if parts else None


def _error(part: _Row) -> Floats:
    """Standard errors, from 95 % intervals."""
    return np.asarray((part["ci_upper"] - part["ci_lower"]) / (2 * TWO_SIDED))


def _losses(readings: LabelReadings, kind: type) -> tuple[Floats, Floats, Floats] | None:
    """Mean loss, rows, Σ (loss − mean)² of every slice: of errors, or of |e|; 0 rows where there are none."""
    for _, state, (_, now), _ in readings.aspects:
        if type(state) is kind:
            parts = [STREAM_OF[kind](block) for block in now.blocks]
            moments = np.nan_to_num(np.concatenate(parts))
            return moments[:, 1], moments[:, 0], moments[:, 2]
    return None


def _errors(side: Any) -> Floats:
    """Moments of errors (slices, 3) from a confusion."""
    confusion = side["confusion"]
    rows = confusion.sum(axis=(-1, -2))
    wrong = rows - np.trace(confusion, axis1=-2, axis2=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = wrong / rows
    return np.stack((rows, rate, rows * rate * (1 - rate)), axis=-1)


STREAM_OF: dict[type, Callable[[Any], Floats]] = {
    Confusion: _errors,
    Residuals: lambda side: side["absolute"],
}
STREAMS: dict[str, tuple[type, ...]] = {
    "errors": (Confusion,),
    "residuals": (Residuals,),
    "stream": (Confusion, Residuals),
}
