"""What is read off results and their verdicts: distances over all columns, windows in breach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.metrics.courses import dated
from gpumon.metrics.metric import OF_COLUMNS
from gpumon.metrics.results import Results
from gpumon.verdicts.thresholds import SIGNIFICANCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gpumon.metrics import Metric

__all__ = ["rolled_up"]

TOLD = 5  # windows that are named


def rolled_up(results: Results, metrics: tuple[Metric, ...]) -> Results:
    """The rows of metrics that read others' results: one for each slice of columns, one for each segment of windows."""
    parts = []
    groups: dict[tuple[str, frozenset[str]], dict[tuple[Any, ...], NDArray[np.int64]]] = {}
    for metric in metrics:
        if metric.of is None or not metric.read_off_results or "changes_of_segments" in metric.reads:
            continue
        if "verdicts_of_windows" in metric.reads:
            parts += _breaches(results, metric, metric.of)
            continue
        key = metric.of.name, frozenset(metric.of.ids)
        if key not in groups:
            named = np.flatnonzero((results["metric"] == key[0]) & np.isin(results["id"], list(key[1])))
            found = _rows_by(results, named, "window", "segment")
            known = ~np.isnan(results["value"])
            groups[key] = {
                at: np.array([i for i in rows if known[i]], np.int64) for at, rows in found.items()
            }
        if groups[key]:
            parts.append(_over_columns(results, metric, groups[key]))
    return Results.of(parts)


READ: dict[str, Callable[[Results], NDArray[Any]]] = {
    "columns": lambda rows: rows["value"],
    "columns_warned": lambda rows: np.isin(rows["status"].astype(str), ["warn", "alert"]),
    "columns_alerted": lambda rows: rows["status"] == "alert",
    "columns_significant": lambda rows: rows["q_value"] < SIGNIFICANCE,
}
assert READ.keys() == OF_COLUMNS


def _rows_by(results: Results, rows: NDArray[np.int64], *names: str) -> dict[tuple[Any, ...], list[int]]:
    """Row numbers by what stands in some fields."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    arrays = [results[name] for name in names]
    for i in rows.tolist():
        groups.setdefault(tuple(array[i] for array in arrays), []).append(i)
    return groups


def _over_columns(
    results: Results, metric: Metric, groups: dict[tuple[Any, ...], NDArray[np.int64]]
) -> dict[str, Any]:
    """One row for each slice: ``groups`` are the rows with a value of its columns."""
    own, columns = results["value"], results["column"]
    named = np.concatenate([*groups.values(), np.zeros(0, np.int64)])
    read = np.full(len(results), np.nan, np.float64)
    read[named] = READ[metric.reads[0]](results.where(named))
    value = np.array([float(metric.formula(read[rows])) for rows in groups.values()])
    peaks = [rows[np.argmax(own[rows])] if rows.size else -1 for rows in groups.values()]
    reasons = [
        f"in {columns[i]}" if i >= 0 and v == own[i] else "" for i, v in zip(peaks, value, strict=True)
    ]
    return _part(metric, value, [len(rows) for rows in groups.values()]) | {
        "window": np.array([window for window, _ in groups], object),
        "segment": np.array([segment for _, segment in groups], object),
        "status": np.where(np.isnan(value), "no_data", "ok").astype(object),
        "reason": np.array(reasons, object),
    }


def _breaches(results: Results, metric: Metric, base: Metric) -> list[dict[str, Any]]:
    mine = (results["metric"] == base.name) & (results["column"] == None)
    there = {window for window in results["window"][mine].tolist() if window is not None}
    windows = {window: i for i, window in enumerate(dated(list(there)))}
    rows = np.flatnonzero(mine & np.isin(results["window"], list(windows)))
    parts = []
    for (segment,), members in _rows_by(results, rows, "segment").items():
        members.sort(key=lambda i: windows[str(results["window"][i])])
        judged = [i for i in members if not np.isnan(results["threshold"][i])]
        immature = sum(str(results["reason"][i]).startswith("immature") for i in members)
        alarms = [i for i in judged if results["status"][i] == "alert"]
        value = float(metric.formula(results["status"][judged] == "alert")) if judged else np.nan
        named = ", ".join(str(results["window"][i]) for i in alarms[:TOLD])
        more = f" and {len(alarms) - TOLD} more" if len(alarms) > TOLD else ""
        reason = f"{len(alarms)} of {len(judged)} windows: {named}{more}" if alarms else ""
        parts.append(
            _part(metric, np.array([value]), int(results["n"][judged].sum()))
            | {
                "window": None,
                "segment": segment,
                "status": "no_data"
                if not judged
                else "ok"
                if not alarms
                else "alert"
                if alarms[-1] == judged[-1]
                else "warn",
                "reason": reason if judged else "no window has labels enough to be judged",
                "method": f"{immature} immature windows left out" if immature else "",
            }
        )
    return parts


def _part(metric: Metric, value: NDArray[np.float64], n: Any) -> dict[str, Any]:
    return {
        "metric": metric.name,
        "id": metric.id,
        "family": metric.family,
        "value": value,
        "lower": value,
        "upper": value,
        "unit": metric.unit,
        "n": n,
        "method": metric.method,
    }
