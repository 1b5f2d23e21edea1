"""Whether the model says another thing of the same: P(prediction | feature) against the reference, without labels (PD-05).

``prediction_strata`` are the rows by bin of a feature, side and predicted part, for every feature that was sliced. For a
fixed model P(prediction | feature) changes only if other features moved, or rows within the bins: so a change is a
suspicion that the model or what feeds it is another one, and no change says nothing of what is true.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from gpumon.profiles.groups import SlicePredictions
from gpumon.profiles.profile import Key
from gpumon.statistics import concept

if TYPE_CHECKING:
    from gpumon.metrics.metric import Metric
    from gpumon.profiles.profile import Profile, Slice
    from gpumon.statistics import Counts, Floats

__all__ = ["ASPECT", "PredictionReadings", "labels"]

ASPECT = "sliced predictions"


def labels(state: SlicePredictions) -> list[str]:
    """What the rows of every feature are called, such as "score | age": predictions at equal values of it."""
    return [f"{_predicted(state)} | {feature}" for feature in state.features]


def _judged(value: Floats, told: list[str]) -> dict[str, Any]:
    """The fields of values that are judged by their size."""
    return {
        "value": value,
        "lower": value,
        "upper": value,
        "effect": np.abs(value),
        "noise": np.full(value.shape, np.nan),
        "reason": np.array(told, object),
    }


def _predicted(state: SlicePredictions) -> str:
    """The column of predictions; that of the classes where each has one of its own."""
    return state.columns[1] if len(state.columns) == 2 else state.columns[0]


class PredictionReadings:
    """The predictions of two profiles by the bins of features, for the metrics that compare them."""

    def __init__(self, reference: Profile, current: Profile, slices: list[tuple[Slice, Slice]]) -> None:
        self.slices = slices
        plan = reference.plan.get(("", ASPECT))
        self.plan = plan if isinstance(plan, SlicePredictions) and ("", ASPECT) in current.plan else None
        if self.plan is not None:
            self.before, self.now = (
                np.stack(
                    [
                        profile.states.get(Key(*pair[side], "", ASPECT), self.plan).counts  # type: ignore[attr-defined]
                        for pair in slices
                    ]
                )
                for side, profile in enumerate((reference, current))
            )

    def rows(self, metric: Metric, level: float | None) -> list[dict[str, Any]]:
        """A row for every slice, a part for every feature; none if the profiles hold no predictions by slice."""
        if self.plan is None:
            return []
        return [
            self._rows(metric, level, place, start, stop)
            for place, (start, stop) in enumerate(pairwise(self.plan.starts.tolist()))
        ]

    def _rows(self, metric: Metric, level: float | None, place: int, start: int, stop: int) -> dict[str, Any]:
        assert self.plan is not None
        name = self.plan.features[place]
        tables = self._tables(slice(start, stop - 1))  # what lacks the feature is alike in nothing
        part: dict[str, Any] = {"column": labels(self.plan)[place], "n": tables[..., 1, :].sum(axis=(-1, -2))}
        if metric.formula is concept.conditional_cramers_v:
            return part | self._any(concept.conditional_cramers_v(tables), name, level)
        return part | self._shift(metric.formula(tables, ordered=not self.plan.classes), name, level)

    def _shift(self, found: concept.PredictionShift, name: str, level: float | None) -> dict[str, Any]:
        """What shifted one way in all strata."""
        value = found.shift.value
        told = [self._told(name, int(i), float(x)) for i, x in zip(found.part, value, strict=True)]
        part = _judged(value, told) | {"ci_lower": found.shift.lower, "ci_upper": found.shift.upper}
        if level is not None:
            reach = -special.ndtri(level / (2 * np.maximum(found.parts, 1)))
            part |= {"p_value": found.p, "noise": reach * found.error}
        return part

    def _any(self, found: concept.ConditionalV, name: str, level: float | None) -> dict[str, Any]:
        """What changed, whichever way in each stratum."""
        words = f"at equal {name}, what is predicted differs by Cramér's V of "
        told = ["too few rows are alike" if np.isnan(x) else f"{words}{x:.3g}" for x in found.value.tolist()]
        part = _judged(found.value, told)
        if level is not None:
            part |= {"p_value": found.p, "noise": found.critical(level)}
        return part

    def _tables(self, strata: slice) -> Counts:
        """Rows by slice, stratum, side and predicted part; without other classes where there are none."""
        assert self.plan is not None
        kept = self.plan.predicted
        if self.plan.classes and not (self.before[..., kept - 1].any() or self.now[..., kept - 1].any()):
            kept -= 1
        return np.stack((self.before[:, strata, :kept], self.now[:, strata, :kept]), axis=-2)

    def _told(self, feature: str, part: int, shift: float) -> str:
        """What shifted, and by how much."""
        assert self.plan is not None
        if np.isnan(shift):
            return "fewer than 10 rows of either side are predicted either way"
        ratio = float(np.exp(shift))
        return f"at equal {feature}, odds of {self._named(part)} are {ratio:.3g} times what they were"

    def _named(self, part: int) -> str:
        """The predictions that a dichotomy sets against the others."""
        assert self.plan is not None
        state = self.plan
        if not state.classes:
            return f"{state.columns[1]} ≥ {state.cuts[part]:.4g}"
        if state.threshold.size:
            return f"{state.columns[1]} ≥ {state.threshold[0]:.4g}"
        if self._tables(slice(0, 1)).shape[-1] == 2:
            part = 1  # of two the second alone is looked at
        return f"{_predicted(state)}={(*state.classes, 'another')[part]}"
