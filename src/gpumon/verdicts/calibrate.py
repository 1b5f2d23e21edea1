"""Thresholds from history: how far the reference's own windows stray from the whole of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpumon.metrics.measure import measure
from gpumon.statistics.resampling import critical_from_history

if TYPE_CHECKING:
    from gpumon.metrics import Metric
    from gpumon.metrics.results import Results
    from gpumon.profiles.profile import Profile

__all__ = ["FEWEST_WINDOWS", "from_history", "key"]

FEWEST_WINDOWS = 8


def key(row: Results, i: int) -> tuple[str, str, str | None, str | None]:
    """What a threshold of history belongs to: metric, method, column, segment."""
    return row["metric"][i], row["method"][i], row["column"][i], row["segment"][i]


def from_history(
    reference: Profile, metrics: tuple[Metric, ...], level: float
) -> dict[tuple[str, str, str | None, str | None], float]:
    """For each metric, column and segment the effect that the next window exceeds with probability ``level``.

    ``reference`` carries its totals. Every window of it is measured against the whole reference, and a tail is fitted to what they show.
    Empty where the reference has fewer than 8 windows: then chance alone is the yardstick. What they show may widen what
    chance explains, and never narrows it: the current windows may have fewer rows.
    """
    if len(reference.windows) < FEWEST_WINDOWS:
        return {}
    judged = tuple(
        metric for metric in metrics if (metric.judged or "rows" in metric.reads) and not metric.over_time
    )
    measured = measure(reference, reference, judged, level=None)
    windowed = np.array([window is not None for window in measured.results["window"]], np.bool_)
    rows = measured.results.where(windowed)
    effect = measured.effect[windowed]
    groups: dict[tuple[str, str, str | None, str | None], list[int]] = {}
    for i in range(len(rows)):
        if not np.isnan(effect[i]):
            groups.setdefault(key(rows, i), []).append(i)
    return {
        name: float(critical_from_history(effect[members], level))
        for name, members in groups.items()
        if len(members) >= FEWEST_WINDOWS
    }
