"""Drift of the features weighed by their importance: one number that ignores what the model does not use (MD-04)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.metrics.importances import importance_of
from gpumon.metrics.results import Results
from gpumon.verdicts.reasons import percent

if TYPE_CHECKING:
    from gpumon.metrics import Metric
    from gpumon.profiles.profile import Profile

__all__ = ["weighted"]

DISTANCE = "jensen_shannon"
"""The distance that is weighed: it has one scale for all kinds of columns."""


def weighted(results: Results, metrics: tuple[Metric, ...], reference: Profile) -> Results:
    """The rows of the metrics that weigh judged ``results`` by the reference's importance, for every slice."""
    wanted = [m for m in metrics if not {"weighted_distances", "weighted_verdicts"}.isdisjoint(m.reads)]
    known = importance_of(reference)
    if not wanted or known is None:
        return Results.of([])
    method, of = known
    importance = np.array([*of.values()], np.float64)
    places = {name: i for i, name in enumerate(of)}
    of_columns = {
        m.name
        for m in metrics
        if m.judged and not (m.labelled or m.broken_down or m.by_window or "pairs" in m.reads)
    }
    tables: dict[str, dict[tuple[Any, Any], Any]] = {"weighted_distances": {}, "weighted_verdicts": {}}
    for row in results:
        if row.column not in places:
            continue
        at, place = (row.window, row.segment), places[row.column]
        unknown = np.full(importance.size, np.nan)
        if row.metric == DISTANCE:
            tables["weighted_distances"].setdefault(at, unknown)[place] = row.value
        if row.metric in of_columns and row.threshold == row.threshold:
            drifted = tables["weighted_verdicts"].setdefault(at, unknown)
            drifted[place] = np.nanmax([drifted[place], row.status in {"warn", "alert"}])
    parts = []
    for metric in wanted:
        for (window, segment), drift in tables[metric.reads[0]].items():
            value = metric.formula(drift, importance)
            alert = metric.alert is not None and value > metric.alert
            parts.append(
                {
                    "metric": metric.name,
                    "id": metric.id,
                    "family": metric.family,
                    "window": window,
                    "segment": segment,
                    "value": np.array([value]),
                    "lower": value,
                    "upper": value,
                    "unit": metric.unit,
                    "n": int(np.count_nonzero(~np.isnan(drift))),
                    "threshold": np.nan if metric.alert is None else metric.alert,
                    "status": "alert" if alert else "no_data" if np.isnan(value) else "ok",
                    "method": f"{metric.method}: {method}",
                    "reason": f"{percent(float(value))} of the importance is of columns that drifted"
                    if alert
                    else "no column with any importance was compared"
                    if np.isnan(value)
                    else "",
                }
            )
    return Results.of(parts)
