"""The early warning of predictions that drift: the course of a column's distance to the reference over windows (PD-07)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gpumon.metrics.courses import HISTORY, dated
from gpumon.metrics.readings import Readings, units
from gpumon.statistics.distances import jensen_shannon
from gpumon.statistics.over_time import excess_limit
from gpumon.statistics.significance import jensen_shannon_chance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gpumon.metrics.metric import Metric
    from gpumon.metrics.readings import Unit
    from gpumon.profiles.profile import Profile, Slice

    Floats = NDArray[np.float64]

__all__ = ["warning_rows"]

FEWEST = 5.0
"""Rows of a bin from which on the mean of a distance by chance is known to the second order."""


class _Distances(NamedTuple):
    """Distances of slices to the reference, with their mean and deviation by chance alone; (slices,) each."""

    value: Floats
    usual: Floats
    deviation: Floats
    dof: Floats
    rows: Floats
    reference_rows: Floats


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
            found = _distances(unit, reference, current, of, at)
            if history:
                own = _distances(
                    unit, reference, reference, of, [(window, of[1]) for window in history]
                ).value
                found = found._replace(
                    usual=np.fmax(found.usual, np.nanmean(own)),
                    deviation=np.fmax(found.deviation, np.nanstd(own, ddof=1)),
                )
            parts.append(
                _row(metric, unit, [window for window, _ in at], found, level)
                | {"segment": segment, "n": int(found.rows.sum())}
            )
    return parts


def _row(
    metric: Metric,
    unit: Unit,
    windows: list[str | None],
    found: _Distances,
    level: float | None,
) -> dict[str, Any]:
    """The row of one column and segment; not known where a limit is not."""
    mean, _ = metric.formula(found.value, found.usual, found.deviation)
    known = np.isfinite(found.value) & (found.deviation > 0)
    limit = np.zeros(mean.shape)
    if level is not None and metric.limit is not None:
        reach = metric.limit(max(known.sum(), 1) / level)
        deviation = np.where(known, found.deviation, np.nan)
        limit = excess_limit(reach, found.dof, found.rows, found.reference_rows, found.usual, deviation)
    value, noise, reason = np.nan, np.nan, "no window has rows enough"
    if known.any():
        peak = int(np.argmax(np.where(known, mean - limit, -np.inf)))
        value, noise = float(mean[peak]), float(limit[peak])
        beyond = np.flatnonzero(known & (mean > limit))
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
) -> _Distances:
    """The distance of each slice, and what it is by chance alone."""
    readings = Readings([unit], reference, current, [(of, each) for each in at])
    before, now = (side[0].astype(np.float64) for side in readings["bins"])
    n, m = before.sum(axis=-1), now.sum(axis=-1)
    both = np.atleast_2d(before + now)
    dof = np.count_nonzero(both, axis=-1) - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        # of bins with fewer rows than chance is told for, no second order is known
        shares = np.maximum(both / (n + m)[..., None], FEWEST / np.minimum(n, m)[..., None])
        rarity = np.sum(np.where(both > 0, 1 / shares, 0.0), axis=-1)
    usual, deviation = jensen_shannon_chance(dof, n, m, rarity)
    there = m > 0
    distances = np.where(there, jensen_shannon(before, now), np.nan)
    return _Distances(
        distances,
        np.broadcast_to(usual, m.shape),
        np.where(there, deviation, np.nan),
        np.broadcast_to(dof, m.shape),
        m,
        np.broadcast_to(n, m.shape),
    )
