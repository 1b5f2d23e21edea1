"""Status, q-value, threshold and reason of every result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.metrics.readings import units
from gpumon.metrics.results import Results
from gpumon.profiles.profile import Key
from gpumon.statistics.significance import benjamini_hochberg
from gpumon.statistics.stuck import stuck_share
from gpumon.statistics.summaries import volume_limits
from gpumon.verdicts.affected import affected, changes
from gpumon.verdicts.calibrate import from_history, key
from gpumon.verdicts.reasons import cluster_in_words, in_words, percent, stuck_in_words
from gpumon.verdicts.rollups import rolled_up
from gpumon.verdicts.rules import apply_in_order, limits, matching
from gpumon.verdicts.suspicion import suspected, suspicions
from gpumon.verdicts.thresholds import SIGNIFICANCE, Thresholds
from gpumon.verdicts.weighted import weighted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gpumon.metrics import Metric
    from gpumon.metrics.measure import Measured
    from gpumon.profiles.profile import Profile
    from gpumon.verdicts.rules import Rule

    Floats = NDArray[np.float64]

__all__ = ["judge", "q_values", "worst"]

SEVERITY = {"ok": 0, "no_data": 1, "warn": 2, "error": 3, "alert": 4}


def worst(statuses: Any) -> str:
    """The gravest of some statuses; "no_data" if there are none."""
    return max(statuses, key=SEVERITY.__getitem__, default="no_data")


def judge(
    measured: Measured,
    metrics: tuple[Metric, ...],
    thresholds: Thresholds,
    reference: Profile,
    current: Profile,
) -> Results:
    """The results with their verdicts, and with the shares of columns that drifted.

    alert: the effect is above the alert threshold and its q-value, over all columns of the same metric and slice, is
    under 0.05; warn likewise; else ok. Both profiles carry their totals.
    """
    results = measured.results
    level = thresholds.level(metrics)
    judged = thresholds.name == "calibrated" and not np.isnan(measured.effect).all()
    history = from_history(reference, metrics, level) if judged else {}
    results["q_value"][:] = q_values(results, metrics)
    warn, alert, ruled = _limits(measured, metrics, thresholds, history)
    results["threshold"][:] = alert
    _set_volume(results, metrics, reference, None if thresholds.name == "conventional" else level)
    real = np.isnan(results["q_value"]) | (results["q_value"] < SIGNIFICANCE)
    with np.errstate(invalid="ignore"):
        status = results["status"]
        status[real & (measured.effect > warn)] = "warn"
        status[real & (measured.effect > alert)] = "alert"
        apply_in_order(measured, ruled, warn, alert, real)
    _explain(results, measured, metrics, reference, current)
    _hush(results, metrics)
    suspected(results, metrics, reference)
    found = affected(results, metrics)
    whole = results + found + _shares(results, metrics) + rolled_up(results, metrics)
    whole = whole + weighted(results, metrics, reference)
    return whole + suspicions(results, metrics, measured.unlabelled, reference, level)


def _hush(results: Results, metrics: tuple[Metric, ...]) -> None:
    """Take the words back that tell of changes over time which are judged and come to nothing, or what a window is held against."""
    told = [metric.name for metric in metrics if metric.judged and (metric.over_time or metric.limit)]
    nothing = np.isin(results["metric"], told) & ~np.isnan(results["threshold"])
    nothing |= np.isin(results["metric"], [metric.name for metric in metrics if metric.by_window])
    results["reason"][nothing & (results["status"] == "ok")] = ""


def q_values(results: Results, metrics: tuple[Metric, ...]) -> Floats:
    """Benjamini–Hochberg over the columns of each metric, window and segment; of changes over time over the segments."""
    q = np.full(len(results), np.nan)
    tested = np.flatnonzero(~np.isnan(results["p_value"]))
    groups: dict[tuple[Any, ...], list[int]] = {}
    names = [results[name] for name in ("metric", "method", "window", "segment")]
    over_time = changes(metrics)
    for i in tested.tolist():
        family = tuple(array[i] for array in names)
        if family[0] in over_time and family[-1] is not None:
            family = (family[0], "segments")
        groups.setdefault(family, []).append(i)
    for members in groups.values():
        q[members] = benjamini_hochberg(results["p_value"][members])
    return q


def _limits(
    measured: Measured, metrics: tuple[Metric, ...], thresholds: Thresholds, history: dict[Any, float]
) -> tuple[Floats, Floats, dict[int, Rule]]:
    """(warn, alert) of every row, NaN where it is not judged; the rows that a user's own rules are for."""
    ruled: dict[int, Rule] = {}
    results = measured.results
    warn, alert = np.full(len(results), np.nan), np.full(len(results), np.nan)
    judged: dict[tuple[str, str], list[int]] = {}
    for i in np.flatnonzero(~np.isnan(measured.effect)).tolist():
        judged.setdefault((results["metric"][i], results["id"][i]), []).append(i)
    for metric in metrics:
        rows = np.array([i for id_ in metric.ids for i in judged.get((metric.name, id_), ())], np.int64)
        if metric.alert is None or rows.size == 0:
            continue
        fixed = thresholds.fixed(metric)
        if fixed is not None:
            warn[rows], alert[rows] = fixed
            continue
        noise = np.nan_to_num(measured.noise[rows], nan=0.0)
        if history:
            windowed = [i for i in range(rows.size) if results["window"][rows[i]] is not None]
            for i in windowed:
                # windows may have fewer rows than those of the history
                noise[i] = max(history.get(key(results, int(rows[i])), 0.0), noise[i])
        warn[rows] = np.maximum(noise, metric.alert if metric.warn is None else metric.warn)
        alert[rows] = np.maximum(noise, metric.alert)
        own = thresholds.given.get(metric.name, ())
        rule_of = matching(own)
        for i in rows.tolist() if own else ():
            rule = rule_of(results["column"][i], results["segment"][i])
            if rule is not None:
                ruled[i] = rule
                chance = float(np.nan_to_num(measured.noise[i], nan=0.0))
                warn[i], alert[i] = limits(rule, chance, windowed=results["window"][i] is not None)
    return warn, alert, ruled


def _set_volume(
    results: Results, metrics: tuple[Metric, ...], reference: Profile, level: float | None
) -> None:
    """Rows of a window against the reference's windows: alert outside what one more of them exceeds with probability
    ``level``; of None, outside the median ± 3 robust standard deviations.
    """
    windows = reference.windows
    named = [metric for metric in metrics if "rows" in metric.reads]
    if not named or len(windows) < 8:
        return
    for segment in {None, *reference.segments}:
        history = np.array([_rows(reference, window, segment) for window in windows], np.float64)
        middle = float(np.median(history))
        reach = 3 * 1.4826 * float(np.median(np.abs(history - middle)))
        lower, upper = middle - reach, middle + reach
        method = "median ± 3 MAD·1.4826 of the reference's windows"
        if level is not None:
            lower, upper = (float(end) for end in volume_limits(history, level))
            method = f"prediction limits of {len(windows)} windows of the reference"
        mine = np.flatnonzero((results["id"] == named[0].id) & (results["segment"] == segment))
        for i in (j for j in mine.tolist() if results["window"][j] is not None):
            results["reference"][i] = middle
            value = float(results["value"][i])
            allowed = upper - middle if value > middle else middle - lower
            results["threshold"][i] = allowed
            results["method"][i] = method
            if abs(value - middle) > max(allowed, 1.0):
                results["status"][i] = "alert"
                results["reason"][i] = f"{value:,.0f} rows where {lower:,.0f} to {upper:,.0f} are usual"


def _rows(profile: Profile, window: str, segment: str | None) -> int:
    state: Any = profile.states.get(Key(window, segment, "", "rows"))
    return 0 if state is None else int(state.rows)


@np.errstate(over="ignore")
def _explain(
    results: Results,
    measured: Measured,
    metrics: tuple[Metric, ...],
    reference: Profile,
    current: Profile,
) -> None:
    """Reasons of the rows that are not ok: for the whole table what happened to the column, else the numbers."""
    repeats = {metric.name for metric in metrics if metric.formula is stuck_share}
    of_clusters = {metric.name for metric in metrics if metric.reads == ("clusters",)}
    directed = {metric.name: metric for metric in metrics if metric.better}
    ordered = {metric.name for metric in metrics if metric.by_window}
    found = {unit.label: unit for unit in units(reference)}
    words: dict[tuple[str, str | None], str] = {}
    segments = set(reference.segments)
    for i in np.flatnonzero((results["status"] == "warn") | (results["status"] == "alert")).tolist():
        beside = results["reason"][i]
        if beside and results["metric"][i] not in ordered:
            continue
        column, window, segment = (results[name][i] for name in ("column", "window", "segment"))
        numbers = f"{measured.effect[i]:.3g} is above {results['threshold'][i]:.3g}"
        if results["status"][i] == "warn":
            numbers = f"{measured.effect[i]:.3g} is near {results['threshold'][i]:.3g}"
        if results["metric"][i] in directed and not np.isnan(results["reference"][i]):
            metric = directed[results["metric"][i]]
            by, limit = (
                f"{100 * x:.3g} %" if metric.relative else f"{x:.3g}"
                for x in (measured.effect[i], results["threshold"][i])
            )
            rose = "down" if metric.better == "higher" else "up"
            results["reason"][i] = (
                f"{metric.name} is {rose} from {results['reference'][i]:.4g} to {results['value'][i]:.4g}, by {by} "
                f"(alert above {limit})"
            )
            continue
        slices = (
            (reference, {"window": None, "segment": segment if segment in segments else None}),
            (current, {"window": window, "segment": segment}),
        )
        if results["metric"][i] in of_clusters:
            states: Any = [side.state("", "clusters", **at) for side, at in slices]
            results["reason"][i] = f"{cluster_in_words(*states)} ({numbers})"
            continue
        if results["metric"][i] in repeats and column in found:
            states = [
                side.state(found[column].column.name, found[column].aspect, **at) for side, at in slices
            ]
            results["reason"][i] = f"{stuck_in_words(*states)} ({numbers})"
            continue
        if beside:
            numbers = f"{numbers}, {beside}"
        if window is None and column in found:
            if (column, segment) not in words:
                unit = found[column]
                at = {"window": None, "segment": segment}
                before = reference.state(
                    unit.column.name, unit.aspect, segment=segment if segment in segments else None
                )
                words[column, segment] = in_words(before, current.state(unit.column.name, unit.aspect, **at))
            numbers = f"{words[column, segment]} ({numbers})"
        results["reason"][i] = numbers


def _shares(results: Results, metrics: tuple[Metric, ...]) -> Results:
    """DD-09 and DI-06: for each slice, the share of columns that drifted."""
    wanted = [metric for metric in metrics if "verdicts" in metric.reads]
    judged = {
        m.name for m in metrics if m.judged and "pairs" not in m.reads and not (m.of_model or m.by_window)
    }
    about = np.array([name in judged for name in results["metric"]], np.bool_)
    rows = np.flatnonzero(about & ~np.isnan(results["threshold"]))
    slices: dict[tuple[Any, Any], dict[str, list[int]]] = {}
    for i in rows.tolist():
        at = results["window"][i], results["segment"][i]
        slices.setdefault(at, {}).setdefault(results["column"][i], []).append(i)
    parts = []
    for metric in wanted:
        for (window, segment), columns in slices.items():
            verdicts = np.array([_verdict(results, members, metric.method) for members in columns.values()])
            value = metric.formula(verdicts)
            status = "alert" if metric.alert is not None and value > metric.alert else "ok"
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
                    "n": len(columns),
                    "threshold": np.nan if metric.alert is None else metric.alert,
                    "status": status,
                    "method": metric.method,
                    "reason": "" if status == "ok" else f"{percent(float(value))} of the columns drifted",
                }
            )
    return Results.of(parts)


def _verdict(results: Results, members: list[int], method: str) -> bool:
    """Whether a column drifted by its verdicts, or by its smallest q-value."""
    if method.startswith("q"):
        q = results["q_value"][members]
        return bool((q[~np.isnan(q)] < SIGNIFICANCE).any())
    return worst(results["status"][members]) in {"warn", "alert"}
