"""What formulas of feature importance read, and how their rows come about: the importances of two profiles.

``importances`` (slices, features) are the mean |φ| of logged attributions, slice by slice; or, where there are none, what the
profiles' facts say ("importance": a method, the rows it was computed on, and a number for each feature), for all rows
together. Importances of different methods are not compared. ``importance_shares`` are each feature's share of the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.profiles.attributions import Attributions
from gpumon.profiles.profile import Key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gpumon.metrics.metric import Metric
    from gpumon.profiles.profile import Profile, Slice
    from gpumon.statistics import Floats

__all__ = ["GIVEN", "LOGGED", "ImportanceReadings", "importance_of"]

LOGGED = "mean |attribution|, logged"
GIVEN = "given"
"""The method of importances that a user gives: they are compared with those of any method."""


def importance_of(profile: Profile) -> tuple[str, dict[str, float]] | None:
    """The method and the importance of every feature of a profile, over all rows; None if it holds none."""
    plan = profile.plan.get(("", "attributions"))
    if isinstance(plan, Attributions):
        state = profile.states.get(Key(None, None, "", "attributions"), plan)
        assert isinstance(state, Attributions)
        if state.n.any():
            return LOGGED, dict(zip(state.features, state.importance.tolist(), strict=True))
    fact = profile.facts.get("importance")
    return None if fact is None else (fact["method"], dict(fact["of"]))


class ImportanceReadings:
    """The importances of two profiles, for the metrics that compare them."""

    def __init__(self, reference: Profile, current: Profile, slices: list[tuple[Slice, Slice]]) -> None:
        plan = reference.plan.get(("", "attributions"))
        self.why = ""
        self.slices: list[tuple[Slice, Slice]] = []
        if isinstance(plan, Attributions) and ("", "attributions") in current.plan:
            self.features, self.method, self.slices = list(plan.features), LOGGED, slices
            sides: list[list[Any]] = [
                [profile.states.get(Key(*pair[side], "", "attributions"), plan) for pair in slices]
                for side, profile in enumerate((reference, current))
            ]
            self.before, self.now = (np.stack([state.importance for state in side]) for side in sides)
            self.n = np.stack([state.n.max(initial=0) for state in sides[1]])
            return
        facts = [profile.facts.get("importance") for profile in (reference, current)]
        if facts[0] is None or facts[1] is None:
            return
        whole = [i for i, (_, at) in enumerate(slices) if at == (None, None)]
        self.slices = [slices[i] for i in whole]
        self.features, self.method = list(facts[0]["of"]), facts[0]["method"]
        self.before = self._vector(facts[0])
        now = facts[1]
        if GIVEN not in {self.method, now["method"]} and now["method"] != self.method:
            self.why = f"importances of two methods are not compared: {self.method}; {now['method']}"
        self.now = self._vector(None if self.why else now)
        self.method = self.method if self.method != GIVEN else now["method"]
        self.n = np.array([now["rows"]] * len(self.slices), np.int64)

    def _vector(self, fact: dict[str, Any] | None) -> Floats:
        """(slices, features), of the features of the reference; NaN for one that is unknown."""
        known = {} if fact is None else fact["of"]
        return np.array([[known.get(name, np.nan) for name in self.features]] * len(self.slices)).reshape(
            len(self.slices), len(self.features)
        )

    def rows(self, metric: Metric, _: float | None) -> list[dict[str, Any]]:
        """The rows of a metric: of the model, or one for every feature; none if a side knows no importances."""
        if not self.slices:
            return []
        nothing = np.full(len(self.slices), np.nan)
        shared: dict[str, Any] = {
            "window": np.array([window for _, (window, _) in self.slices], object),
            "segment": np.array([segment for _, (_, segment) in self.slices], object),
            "n": self.n,
            "p_value": nothing,
            "effect": nothing,
            "noise": nothing,
            "method": ", ".join(part for part in (self.method, metric.method) if part),
        }
        if "importance_shares" in metric.reads:
            was, value = metric.formula(self.before), metric.formula(self.now)
            return [
                shared
                | _valued(value[:, i], was[:, i])
                | {"column": name, "reason": self._reason(value[:, i])}
                for i, name in enumerate(self.features)
            ]
        value = metric.formula(self.before, self.now)
        same = nothing if metric.compares else metric.formula(self.before, self.before)
        part = shared | _valued(value, same) | {"reason": self._reason(value)}
        if metric.judged:
            part |= {"effect": 1 - value, "noise": np.where(np.isnan(value), np.nan, 0.0)}
        return [part]

    def _reason(self, value: Floats) -> NDArray[Any]:
        words = self.why or "the importance of some feature is unknown, or none is above 0"
        return np.where(np.isnan(value), words, "").astype(object)


def _valued(value: Floats, reference: Floats) -> dict[str, Any]:
    return {"value": value, "lower": value, "upper": value, "reference": reference}
