"""Concept drift before the labels come: it cannot be seen, and is at most suspected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.metrics.readings import units
from gpumon.metrics.results import Results
from gpumon.schema import Role
from gpumon.verdicts.reasons import percent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpumon.metrics import Metric
    from gpumon.profiles.profile import Profile, Slice

__all__ = ["suspicions"]

PREDICTED = {Role.SCORE, Role.PREDICTION}
DISTANCE = "jensen_shannon"
ODDS = "label_odds_shift"
NAMED = 3  # inputs that are named


def suspicions(
    results: Results,
    metrics: tuple[Metric, ...],
    unlabelled: Mapping[Slice, float],
    reference: Profile,
    level: float,
) -> Results:
    """A row for every slice that has predictions and too few labels: suspected (warn), or cannot be seen (no_data).

    ``results`` have their verdicts; ``unlabelled`` is the share of labels of those slices. Suspected is what moves the
    predictions but none of the inputs, and a shift of the labels that have come, at equal scores, that matters and that
    chance exceeds with a probability under ``level``.
    """
    wanted = [metric for metric in metrics if "evidence" in metric.reads]
    if not wanted or not unlabelled:
        return Results.of([])
    roles = {unit.label: unit.column.role for unit in units(reference) if unit.comparable}
    judged: dict[Slice, list[int]] = {}
    for i in np.flatnonzero(results["metric"] == DISTANCE).tolist():
        judged.setdefault((results["window"][i], results["segment"][i]), []).append(i)
    shifts: dict[Slice, int] = {
        (results["window"][i], results["segment"][i]): i
        for i in np.flatnonzero(results["metric"] == ODDS).tolist()
    }
    matters = next((metric.alert for metric in metrics if metric.name == ODDS), None)
    parts = []
    for metric in wanted:
        for at, share in unlabelled.items():
            rows = judged.get(at, [])
            predictions = [i for i in rows if roles.get(results["column"][i]) in PREDICTED]
            inputs = [i for i in rows if roles.get(results["column"][i]) is Role.FEATURE]
            turned = _turned(results, shifts.get(at), matters, level)
            suspected, reason = _words(results, predictions, inputs, turned, share)
            values = results["value"][predictions]
            value = float(np.max(values, initial=-np.inf, where=~np.isnan(values))) if predictions else np.nan
            value = value if np.isfinite(value) else np.nan
            parts.append(
                {
                    "metric": metric.name,
                    "id": metric.id,
                    "family": metric.family,
                    "window": at[0],
                    "segment": at[1],
                    "value": np.array([value]),
                    "lower": value,
                    "upper": value,
                    "unit": metric.unit,
                    "n": int(max((results["n"][i] for i in predictions), default=0)),
                    "threshold": float(results["threshold"][predictions[0]]) if predictions else np.nan,
                    "status": "warn" if suspected else "no_data",
                    "method": metric.method,
                    "reason": reason,
                }
            )
    return Results.of(parts)


def _turned(results: Results, row: int | None, matters: float | None, level: float) -> float:
    """The shift of the labels that have come, at equal scores [nats]; 0 if chance may explain it or it is small."""
    if row is None or matters is None:
        return 0.0
    value, p = float(results["value"][row]), float(results["p_value"][row])
    return value if abs(value) > matters and p < level else 0.0


def _words(
    results: Results, predictions: list[int], inputs: list[int], turned: float, share: float
) -> tuple[bool, str]:
    """Whether concept drift is suspected, and why, or why it cannot be seen."""
    moved, changed = ([i for i in rows if _moved(results, i)] for rows in (predictions, inputs))
    if turned:
        what = "more" if turned > 0 else "less"
        return True, (
            f"suspected: of the {percent(share)} of the rows that have labels, positives are {what} frequent than before at "
            f"equal scores ({turned:.3g} nats)"
        )
    told = ", ".join(f"{results['column'][i]} by {results['value'][i]:.3g}" for i in moved[:NAMED])
    if moved and inputs and not changed:
        return True, (
            f"suspected: the predictions moved ({told}) and none of {len(inputs)} inputs did: the model, what prepares its "
            "inputs, or an input that is not counted has changed"
        )
    cannot: Any = (
        "cannot be seen without labels"
        if share == 0
        else f"cannot be seen with {percent(share)} of the labels"
    )
    if not predictions:
        return False, f"{cannot}: predictions are not compared"
    if not moved:
        return False, f"{cannot}: the predictions have not moved, which says nothing of what is true"
    if not inputs:
        return False, f"{cannot}: the predictions moved ({told}), and no inputs are counted beside them"
    named = ", ".join(str(results["column"][i]) for i in changed[:NAMED])
    return False, f"{cannot}: the predictions moved ({told}), as inputs did ({named})"


def _moved(results: Results, row: int) -> bool:
    return results["status"][row] in {"warn", "alert"}
