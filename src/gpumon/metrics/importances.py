"""What formulas of feature importance read, and how their rows come about: the importances of two profiles.

``importances`` (slices, features) are the mean |φ| of logged attributions, slice by slice; or, where there are none, what the
profiles' facts say ("importance": a method, the rows it was computed on, and a number for each feature), for all rows
together. Importances of different methods are not compared. ``importance_shares`` are each feature's share of the whole.
``explained_rows`` (slices, 2) are rows with all attributions, and all rows; ``attribution_checks`` (slices, 3) rows whose
attributions ought to add up, and those in which they do not: to the output, and to its log-odds.

Logged attributions vary from row to row, and so does their mean. Where an importance differs by more than an alert's size,
both sides are drawn anew 400 times from what all rows of both show; given importances have no such noise, and then only
NDCG is judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.profiles.attributions import Attributions
from gpumon.profiles.profile import Key
from gpumon.statistics.importance import resampled_importances
from gpumon.statistics.resampling import Noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gpumon.metrics.metric import Metric
    from gpumon.profiles.profile import Profile, Slice
    from gpumon.statistics import Floats

__all__ = ["GIVEN", "IMPORTANCES", "LOGGED", "ImportanceReadings", "importance_of"]

IMPORTANCES = ("importances", "importance_shares", "explained_rows", "attribution_checks")
"""What :class:`ImportanceReadings` reads."""

DRAWS = 400

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
        self.states: list[list[Any]] = []
        if isinstance(plan, Attributions) and ("", "attributions") in current.plan:
            self.features, self.method, self.slices = list(plan.features), LOGGED, slices
            sides: list[list[Any]] = [
                [profile.states.get(Key(*pair[side], "", "attributions"), plan) for pair in slices]
                for side, profile in enumerate((reference, current))
            ]
            self.states = sides
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

    def rows(self, metric: Metric, level: float | None) -> list[dict[str, Any]]:
        """The rows of a metric: of the model, or one for every feature; none if a side knows no importances."""
        checked = metric.reads[0] in CHECKED
        if not self.slices or (checked and not self.states):
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
        if checked:
            return [shared | self._checks(metric)]
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
        if metric.judged and (self.states or metric.name == "importance_ndcg"):
            part |= {"effect": 1 - value, "noise": np.where(np.isnan(value), np.nan, 0.0)}
            if self.states and level is not None:
                part |= self._noise(metric, 1 - value, level)
        return [part]

    def _noise(self, metric: Metric, effect: Floats, level: float) -> dict[str, Any]:
        """The p-value of effects of an alert's size, and what chance exceeds with probability ``level``."""
        large = np.flatnonzero(effect > (metric.alert or 0.0))
        p, noise = np.full(effect.size, np.nan), np.where(np.isnan(effect), np.nan, 0.0)
        if large.size:
            counted = [[self.states[side][i] for i in large.tolist()] for side in (0, 1)]
            n, sums, squares = (
                np.array([[getattr(state, name) for state in side] for side in counted], np.float64)
                for name in ("n", "sums", "squares")
            )
            rows = np.maximum(n.sum(axis=0), 1)
            sizes = sums.sum(axis=0) / rows
            deviations = np.sqrt(np.maximum(squares.sum(axis=0) / rows - sizes**2, 0.0))
            drawn = [resampled_importances(sizes, deviations, n[side], DRAWS, side) for side in (0, 1)]
            effects = 1 - np.nan_to_num(metric.formula(*drawn), nan=0.0)
            floor = Noise(np.sort(effects, axis=-1), power=1.0)
            p[large], noise[large] = floor.p_value(effect[large]), floor.critical(level)
        return {"p_value": p, "noise": noise}

    def _checks(self, metric: Metric) -> dict[str, Any]:
        """Shares of rows that have attributions, or in which they do not add up."""
        places = CHECKED[metric.reads[0]]
        was, found = (
            metric.formula(np.stack([state.checks[places] for state in side])) for side in self.states
        )
        value = found.value
        part = _valued(value, was.value) | {"ci_lower": found.lower, "ci_upper": found.upper}
        if not metric.judged:
            return part | {"n": np.array([state.checks[0] for state in self.states[1]])}
        output = self.states[1][0].output[0]
        told = [
            "no row has attributions, a base value and an output"
            if np.isnan(share)
            else f"in {100 * share:.3g} % of the rows attributions and base differ from {output} by more than 0.001"
            if share > 0
            else ""
            for share in value.tolist()
        ]
        rows = np.array([state.checks[2] for state in self.states[1]])
        noise = np.where(np.isnan(value), np.nan, 0.0)
        return part | {"n": rows, "effect": value, "noise": noise, "reason": np.array(told, object)}

    def _reason(self, value: Floats) -> NDArray[Any]:
        words = self.why or "the importance of some feature is unknown, or none is above 0"
        return np.where(np.isnan(value), words, "").astype(object)


CHECKED = {"explained_rows": [1, 0], "attribution_checks": [2, 3, 4]}


def _valued(value: Floats, reference: Floats) -> dict[str, Any]:
    return {"value": value, "lower": value, "upper": value, "reference": reference}
