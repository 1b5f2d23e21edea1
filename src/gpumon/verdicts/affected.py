"""Whom a change of the model meets: the segments, and the slices, that changed themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.metrics.results import Results
from gpumon.verdicts.thresholds import SIGNIFICANCE

if TYPE_CHECKING:
    from gpumon.metrics import Metric

__all__ = ["affected", "affected_segments", "changes"]

TOLD = 5  # segments and slices that are named
SLICES = "loss_contribution"


def changes(metrics: tuple[Metric, ...]) -> dict[str, Metric]:
    """The judged metrics of one change over all windows, by name."""
    return {
        m.name: m for m in metrics if m.judged and not {"errors", "residuals", "means"}.isdisjoint(m.reads)
    }


def affected_segments(results: Results, metric: Metric) -> list[int]:
    """The rows of segments whose own change matters and is no chance, the largest change first.

    ``results`` have q-values over the segments. A change for the better is none.
    """
    mine = (results["metric"] == metric.name) & (results["segment"] != None)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        effect = results["value"] / np.where(metric.relative, results["reference"], 1.0)
        sure = mine & (results["q_value"] < SIGNIFICANCE) & (effect > (metric.warn or 0.0))
    return sorted(np.flatnonzero(sure).tolist(), key=lambda i: -float(results["value"][i]))


def affected(results: Results, metrics: tuple[Metric, ...]) -> Results:
    """The rows that count and name the affected segments; the reason of a change of the whole names them too.

    Where rows were sliced, it names the slices that add most to the change of the loss, if chance does not explain that.
    """
    parts = []
    slices = _slices(results)
    for metric in changes(metrics).values():
        rows = affected_segments(results, metric)
        tested = (
            (results["metric"] == metric.name) & (results["segment"] != None) & ~np.isnan(results["p_value"])
        )
        said = [
            f"{kind}: {words}"
            for kind, words in (("affected segments", _named(results, rows)), ("slices", slices))
            if words
        ]
        whole = (results["metric"] == metric.name) & (results["segment"] == None)
        for i in np.flatnonzero(whole & np.isin(results["status"].astype(str), ["warn", "alert"])).tolist():
            results["reason"][i] = "; ".join((results["reason"][i], *said))
        counting = next(
            (each for each in metrics if "changes_of_segments" in each.reads and each.of == metric), None
        )
        if counting is not None and tested.any():
            parts.append(_part(results, counting, rows, tested))
    return Results.of(parts)


def _part(results: Results, metric: Metric, rows: list[int], tested: Any) -> dict[str, Any]:
    among = int(np.count_nonzero(tested))
    value = float(metric.formula(np.ones(len(rows), np.bool_)))
    return {
        "metric": metric.name,
        "id": metric.id,
        "family": metric.family,
        "value": np.array([value]),
        "lower": value,
        "upper": value,
        "unit": metric.unit,
        "n": int(results["n"][tested].sum()),
        "status": "ok",
        "method": f"of {among}; {metric.method}",
        "reason": _named(results, rows),
    }


def _named(results: Results, rows: list[int]) -> str:
    """Segments and by how much each changed, in words."""
    told = [f"{results['segment'][i]} by {results['value'][i]:.3g}" for i in rows[:TOLD]]
    more = f" and {len(rows) - TOLD} more" if len(rows) > TOLD else ""
    return ", ".join(told) + more


def _slices(results: Results) -> str:
    """The slices of all rows that became worse, in words."""
    with np.errstate(invalid="ignore"):
        sure = (results["p_value"] < SIGNIFICANCE) & (results["value"] > 0)
    mine = (results["metric"] == SLICES) & (results["segment"] == None) & (results["window"] == None)
    return ", ".join(str(results["column"][i]) for i in np.flatnonzero(mine & sure)[:TOLD].tolist())
