"""The early warning of predictions that drift: the course of a column's distance to the reference over windows (PD-07)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.metrics.courses import HISTORY, dated
from gpumon.metrics.readings import Readings, units
from gpumon.statistics.distances import jensen_shannon
from gpumon.statistics.significance import jensen_shannon_chance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gpumon.metrics.metric import Metric
    from gpumon.metrics.readings import Unit
    from gpumon.profiles.profile import Profile, Slice

    Floats = NDArray[np.float64]

__all__ = ["warning_rows"]


def warning_rows(
    metric: Metric,
    reference: Profile,
    current: Profile,
    totals: list[tuple[Slice, Slice]],
    level: float | None,
) -> list[dict[str, Any]]:
    """One row of each column of the metric's roles, for each total: all rows, or a segment.

    ``level`` is the probability that the row's ``noise`` belongs to, or None.
    """
    windows = dated(current.windows)
    if not windows or reference is current:
        return []
    history = dated(reference.windows)
    history = history if len(history) >= HISTORY else []
    parts = []
    for unit in units(reference):
        if unit.column.role not in metric.roles or not unit.comparable:
            continue
        for of, (_, segment) in totals:
            at = [(window, segment) for window in windows if (window, segment) in set(current.slices)]
            if not at:
                continue
            values, usual, deviation, rows = _distances(unit, reference, current, of, at)
            if history:
                own = _distances(unit, reference, reference, of, [(window, of[1]) for window in history])
                usual = np.fmax(usual, np.nanmean(own[0]))
                deviation = np.fmax(deviation, np.nanstd(own[0], ddof=1))
            parts.append(
                _row(metric, unit, [window for window, _ in at], values, usual, deviation, level)
                | {"segment": segment, "n": int(rows.sum())}
            )
    return parts


def _row(
    metric: Metric,
    unit: Unit,
    windows: list[str | None],
    values: Floats,
    usual: Floats,
    deviation: Floats,
    level: float | None,
) -> dict[str, Any]:
    """The row of one column and segment; not known where a limit is not."""
    mean, error = metric.formula(values, usual, deviation)
    known = np.isfinite(values) & (deviation > 0)
    limit = 0.0 if level is None or metric.limit is None else metric.limit(max(known.sum(), 1) / level)
    value, noise, reason = np.nan, np.nan, "no window has rows enough"
    if known.any():
        peak = int(np.argmax(np.where(known, mean - limit * error, -np.inf)))
        value, noise = float(mean[peak]), limit * float(error[peak])
        beyond = np.flatnonzero(known & (mean > limit * error))
        reason = (
            f"{unit.label} strays from the reference more than its chunks do since {windows[beyond[0]]}, most at "
            f"{windows[peak]}"
            if beyond.size
            else ""
        )
    return {
        "metric": metric.name,
        "id": metric.id,
        "family": metric.family,
        "unit": metric.unit,
        "method": metric.method,
        "column": unit.label,
        "value": np.array([value]),
        "lower": value,
        "upper": value,
        "effect": np.array([value]),
        "noise": np.array([noise if level is not None else np.nan]),
        "reason": reason,
    }


def _distances(
    unit: Unit, reference: Profile, current: Profile, of: Slice, at: Sequence[Slice]
) -> tuple[Floats, Floats, Floats, Floats]:
    """The distance of each slice, its mean and standard deviation by chance alone, and the slice's rows."""
    readings = Readings([unit], reference, current, [(of, each) for each in at])
    before, now = (side[0].astype(np.float64) for side in readings["bins"])
    n, m = before.sum(axis=-1), now.sum(axis=-1)
    usual, deviation = jensen_shannon_chance(np.count_nonzero(before + now, axis=-1) - 1, n, m)
    there = m > 0
    distances = np.where(there, jensen_shannon(before, now), np.nan)
    return distances, np.broadcast_to(usual, m.shape), np.where(there, deviation, np.nan), m
