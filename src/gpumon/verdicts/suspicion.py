"""Concept drift before the labels come: it cannot be seen, and is at most suspected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.metrics.readings import units
from gpumon.metrics.results import Results
from gpumon.metrics.slice_predictions import ASPECT, labels
from gpumon.profiles.groups import SlicePredictions
from gpumon.schema import Role
from gpumon.verdicts.reasons import percent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpumon.metrics import Metric
    from gpumon.profiles.profile import Profile, Slice

__all__ = ["suspected", "suspicions"]

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


def suspected(results: Results, metrics: tuple[Metric, ...], reference: Profile) -> None:
    """Make the verdicts on P(prediction | feature) what they can be: suspected (warn), or nothing that could be known (no_data)."""
    strata = [metric.name for metric in metrics if "prediction_strata" in metric.reads]
    rows = np.flatnonzero(np.isin(results["metric"], strata))
    if not rows.size:
        return
    plan = reference.plan["", ASPECT]
    assert isinstance(plan, SlicePredictions)
    of = dict(zip(labels(plan), plan.features, strict=True))
    features = {unit.label for unit in units(reference) if unit.column.role is Role.FEATURE}
    inputs: dict[Slice, list[int]] = {}
    for i in np.flatnonzero(results["metric"] == DISTANCE).tolist():
        if results["column"][i] in features:
            inputs.setdefault((results["window"][i], results["segment"][i]), []).append(i)
    status, reason = results["status"], results["reason"]
    for i in rows.tolist():
        if status[i] in {"warn", "alert"}:
            at = inputs.get((results["window"][i], results["segment"][i]), [])
            status[i] = "warn"
            reason[i] = f"suspected: {reason[i]}: {_explained(results, at, of[results['column'][i]])}"
        elif status[i] == "ok":
            status[i] = "no_data"
            reason[i] = (
                "cannot be seen without labels: predictions have not moved at equal values, which says nothing of what is true"
            )


def _explained(results: Results, inputs: list[int], feature: str) -> str:
    """What else may be why predictions moved at equal values of a feature."""
    moved = [str(results["column"][i]) for i in inputs if _moved(results, i)]
    others = [name for name in moved if name != feature]
    known = len({results["column"][i] for i in inputs} - {feature})
    within = ", or its rows within the bins" if feature in moved else ""
    if others:
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        return f"{', '.join(others[:NAMED])}{more} moved, which a model that is the same may follow{within}"
    of_others = f"none of {known} other features moved" if known else "other features are not compared"
    return f"{of_others}; the model, what prepares its inputs, or a feature that is not counted may have changed{within}"


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
