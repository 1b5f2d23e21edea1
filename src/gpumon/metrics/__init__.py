"""The catalogue: every metric as a record, and how they are measured."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gpumon.errors import OptionError
from gpumon.metrics.causes import CAUSES
from gpumon.metrics.data_distribution import DATA_DISTRIBUTION
from gpumon.metrics.data_integrity import DATA_INTEGRITY
from gpumon.metrics.fairness import FAIRNESS
from gpumon.metrics.generalisation import GENERALISATION
from gpumon.metrics.importance import IMPORTANCE
from gpumon.metrics.importances import importance_of
from gpumon.metrics.metric import FAMILIES, Metric
from gpumon.metrics.model_drift import MODEL_DRIFT
from gpumon.metrics.over_time import OVER_TIME_METRICS
from gpumon.metrics.performance import PERFORMANCE
from gpumon.metrics.prediction_drift import PREDICTION_DRIFT
from gpumon.metrics.rollups import ROLLUPS
from gpumon.metrics.uncertainty import UNCERTAINTY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpumon.profiles.profile import Profile

__all__ = ["CATALOGUE", "FAMILIES", "Metric", "chosen", "served"]

CATALOGUE: tuple[Metric, ...] = (
    *DATA_DISTRIBUTION,
    *PERFORMANCE,
    *DATA_INTEGRITY,
    *MODEL_DRIFT,
    *PREDICTION_DRIFT,
    *ROLLUPS,
    *GENERALISATION,
    *OVER_TIME_METRICS,
    *UNCERTAINTY,
    *FAIRNESS,
    *CAUSES,
    *IMPORTANCE,
)
"""Every metric, in the order of the specification."""


def chosen(metrics: Iterable[str | Metric] | None) -> tuple[Metric, ...]:
    """The metrics of some names, ids or records; all of the catalogue for None.

    What the catalogue holds for some roles only is for every column if it is asked for by name.
    OptionError names what is near if a name is unknown.
    """
    if metrics is None:
        return CATALOGUE
    if isinstance(metrics, str):
        metrics = metrics.split(",")
    try:
        metrics = list(metrics)
    except TypeError as error:
        raise OptionError(f"metrics must be names, ids or records, not {metrics!r}") from error
    if not metrics:
        raise OptionError("no metric is asked for: leave metrics out for all of them")
    found: list[Metric] = []
    for wanted in metrics:
        if isinstance(wanted, Metric):
            matches = [wanted]
        else:
            asked = str(wanted).strip()
            matches = [metric for metric in CATALOGUE if asked in {metric.name, *metric.ids}]
            matches = [
                replace(metric, by_default=()) if metric.by_default and asked == metric.name else metric
                for metric in matches
            ]
        if not matches:
            from difflib import get_close_matches

            near = get_close_matches(str(wanted), [metric.name for metric in CATALOGUE], 1)
            hint = f"did you mean {near[0]!r}?" if near else "gpumon metrics lists them"
            raise OptionError(f"there is no metric {wanted!r}: {hint}")
        found += [metric for metric in matches if metric not in found]
    # what is read off other results needs them
    found += [of for of in dict.fromkeys(m.of for m in found if m.read_off_results) if of and of not in found]
    return tuple(found)


def served(metrics: Iterable[Metric], reference: Profile) -> tuple[Metric, ...]:
    """The metrics without those of groups, slices and importances that a profile knows nothing of.

    OptionError says what was to be given if none is left.
    """
    known = {aspect for subject, aspect in reference.plan if subject == ""}
    if "costs" in reference.facts:
        known.add("costs")
    if "attributions" in known or importance_of(reference) is not None:
        known.add("importances")
    if getattr(reference.plan.get(("", "attributions")), "output", ()):
        known.add("base value")
    found, needs = [], ""
    for metric in metrics:
        lacking = [NEEDS[name] for name in metric.reads if name in NEEDS and NEEDS[name][0] not in known]
        if lacking:
            needs = needs or f"{metric.name} needs {lacking[0][1]}"
        else:
            found.append(metric)
    if needs and not found:
        raise OptionError(f"nothing is left to measure: {needs}")
    return tuple(found)


NEEDS = dict.fromkeys(("groups", "selected_groups"), ("groups", "sensitive_features and predicted classes"))
NEEDS |= dict.fromkeys(
    ("group_residuals", "group_sizes"), ("group errors", "sensitive_features and predicted quantities")
)
NEEDS |= dict.fromkeys(
    ("group_gaps", "group_gap_bins"), ("calibration of groups", "sensitive_features and a score from 0 to 1")
)
NEEDS["slice_losses"] = "slices", "slices"
NEEDS["prediction_strata"] = "sliced predictions", "slices"
NEEDS |= dict.fromkeys(
    ("importances", "importance_shares", "weighted_distances", "weighted_verdicts"),
    ("importances", "importance, attributions, model or predict"),
)
NEEDS["costs"] = "costs", "costs of a false positive and a false negative"
NEEDS["explained_rows"] = "attributions", "attributions"
NEEDS["attribution_checks"] = "base value", "attributions and base_value"
"""Of readings that a profile has only if they were asked for: the state they are made of, and what was to be given."""
