"""What the windows show together, for every view: is the model still right, and since when is it not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gpumon.metrics.over_time import FOLLOWED
from gpumon.verdicts.judge import worst

if TYPE_CHECKING:
    from gpumon.metrics.results import Result
    from gpumon.reports.report import Report

__all__ = ["CHANGES", "When", "change_of", "over_time", "since"]

CHANGES = ("error_rate", "absolute_error", "concept")
DETECTORS = ("adwin", "page_hinkley", "ddm")
ROLLED = ("psi", "jensen_shannon", "kolmogorov_smirnov", "hellinger")
PARTS = ("breaches", "cusum", "ewma", "trend")


class When(NamedTuple):
    """The first window after a change, and the first and the last of its 95 % interval."""

    at: str
    first: str
    last: str


def over_time(report: Report) -> dict[str, list[dict[str, Any]]]:
    """The rows of measures, changes, detectors, early warnings and roll-ups over columns; of the table as a whole."""
    rows = {(row.metric, row.column): row for row in report.results.where(window=None, segment=None)}
    return {
        "measures": [_measure(base.name, rows) for base in FOLLOWED if (f"{base.name}_trend", None) in rows],
        "changes": [
            _change(report, name, rows[f"{name}_change", None])
            for name in CHANGES
            if (f"{name}_change", None) in rows
        ],
        "detectors": [
            {
                "name": name,
                "value": row.value,
                "status": row.status,
                "reason": row.reason,
                "method": row.method,
            }
            for name in DETECTORS
            if (row := rows.get((name, None))) is not None
        ],
        "early": [
            {
                "name": row.column,
                "value": row.value,
                "threshold": row.threshold,
                "status": row.status,
                "reason": row.reason,
            }
            for row in rows.values()
            if row.metric == "jensen_shannon_ewma"
        ],
        "rolled": [
            {
                "name": name,
                "columns": rows[f"{name}_max", None].n,
                "largest": rows[f"{name}_max", None].reason.removeprefix("in "),
                **{part: rows[f"{name}_{part}", None].value for part in ("max", "mean")},
                **{
                    part: rows[f"{name}_{part}_share", None].value
                    for part in ("warn", "alert", "significant")
                },
            }
            for name in ROLLED
            if all((f"{name}_{part}", None) in rows for part in ("max", "mean"))
            and all((f"{name}_{part}_share", None) in rows for part in ("warn", "alert", "significant"))
            and rows[f"{name}_max", None].n
        ],
    }


def change_of(report: Report, name: str) -> When | None:
    """When a change came that has a verdict, or that is sure; None if there is none."""
    found = {row.metric: row for row in report.results.where(window=None, segment=None, column=None)}
    change, time = found.get(f"{name}_change"), found.get(f"{name}_change_time")
    if change is None or time is None or not _tells(change):
        return None
    return _when(report, time)


def since(report: Report) -> str:
    """In a sentence since when the model errs more, or why its concept cannot be seen; empty if neither is so."""
    rows = {row.metric: row for row in report.results.where(window=None, segment=None, column=None)}
    told = []
    for name in CHANGES[:2]:
        row = rows.get(f"{name}_change")
        if row is not None and row.status in {"alert", "warn"}:
            told.append(f"The {row.reason.partition(' (95 %')[0]}.")
    unseen = rows.get("suspected_concept_drift")
    if unseen is not None:
        told.append(f"Concept drift {'is ' * (unseen.status == 'warn')}{unseen.reason.partition(':')[0]}.")
    return " ".join(told)


def _measure(name: str, rows: dict[tuple[str, str | None], Result]) -> dict[str, Any]:
    parts = {part: rows.get((f"{name}_{part}", None)) for part in PARTS}
    there = [row for row in parts.values() if row is not None]
    told = [row for row in there if row.status in {"alert", "warn"} and row.reason]
    if parts["cusum"] in told and parts["ewma"] in told:  # both say the same
        told.remove(parts["ewma"])
    told.sort(key=lambda row: row.status != "alert")
    silent = [row.reason for row in there if row.status == "no_data" and row.reason]
    reasons = dict.fromkeys([row.reason for row in told] or silent[:1])
    left_out = next((row.method.rpartition("; ")[2] for row in there if "immature" in row.method), "")
    return {
        "name": name,
        "status": worst([row.status for row in there if row.status != "no_data"] or ["no_data"]),
        **{part: _numbers(row) for part, row in parts.items()},
        "reason": "; ".join([*reasons, *([left_out] if left_out else [])]),
    }


def _numbers(row: Result | None) -> dict[str, float]:
    if row is None:
        return dict.fromkeys(("value", "lower", "upper", "threshold", "p"), math.nan)
    return {
        "value": row.value,
        "lower": row.ci_lower,
        "upper": row.ci_upper,
        "threshold": row.threshold,
        "p": row.p_value,
    }


def _tells(change: Result) -> bool:
    """Whether a change is worth a mark: by its verdict, or if there is no verdict by its p-value."""
    judged = change.threshold == change.threshold
    return change.status in {"alert", "warn"} if judged else change.p_value < 0.05


def _change(report: Report, name: str, row: Result) -> dict[str, Any]:
    time = next(iter(report.results.where(metric=f"{name}_change_time", window=None, segment=None)), None)
    return {
        "name": f"{name} change",
        "status": row.status,
        "value": row.value,
        "interval": None if math.isnan(row.ci_lower) else (row.ci_lower, row.ci_upper),
        "before": row.reference,
        "p": row.p_value,
        "when": None if time is None or row.value != row.value else _when(report, time),
        "reason": row.reason if row.status != "ok" or row.threshold != row.threshold else "",
        "method": row.method,
    }


def _when(report: Report, time: Result) -> When | None:
    from gpumon.metrics.courses import dated

    names = {float(np.datetime64(name, "s").astype(np.int64)): name for name in dated(report.current.windows)}
    places = [names[x] for x in (time.value, time.ci_lower, time.ci_upper) if x in names]
    return When(*places) if len(places) == 3 else None
