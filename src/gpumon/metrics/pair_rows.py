"""Correlations of all pairs of columns, and how they have changed, as rows of results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from gpumon.profiles.numeric import Numeric
from gpumon.profiles.pairs import Pairs
from gpumon.profiles.profile import Key, Profile
from gpumon.statistics.association import correlation, frobenius
from gpumon.statistics.significance import fisher_z_p
from gpumon.statistics.summaries import kurtosis

if TYPE_CHECKING:
    from gpumon.metrics.metric import Metric
    from gpumon.profiles.profile import Slice
    from gpumon.statistics import Floats

__all__ = ["pair_rows"]

RANKS = 1.06  # the variance of Fisher's z of a rank correlation over that of Pearson's (Fieller et al. 1957, Biometrika 44)


def pair_rows(
    metric: Metric,
    reference: Profile,
    current: Profile,
    slices: list[tuple[Slice, Slice]],
    level: float | None,
) -> list[dict[str, Any]]:
    """Changes of correlation, pair by pair, and the Frobenius norm of them all; ``metric.method`` names the kind.

    Fields of results, as in ``Results.of``, but for those that say which metric and slices they are of.
    """
    plan = reference.plan.get(("", metric.method))
    if not isinstance(plan, Pairs):
        return []
    sides = []
    for side, profile in enumerate((reference, current)):
        states = [profile.states.get(Key(*pair[side], "", metric.method), plan) for pair in slices]
        sums = [
            np.array([getattr(state, name) for state in states])
            for name in ("n", "sums", "squares", "products")
        ]
        sides.append((sums[0], correlation(*sums)))
    (n, before), (m, after) = sides
    delta = metric.formula(before, after)
    spread = _spread(plan, reference, current, slices) if metric.method == "pearson" else np.array(RANKS)
    rows, columns = np.triu_indices(len(plan.columns), 1)
    names = [f"{plan.columns[i]} ~ {plan.columns[j]}" for i, j in zip(rows, columns, strict=True)]
    rows_of_normals = [3 + (size - 3) / spread for size in (n, m)]  # that would be as sure
    p = fisher_z_p(before, rows_of_normals[0], after, rows_of_normals[1])
    noise = _correlation_noise(level or 0.5, before, *rows_of_normals)
    parts = []
    for name, i, j in zip(names, rows, columns, strict=True):
        value = delta[:, i, j]
        parts.append(
            {
                "column": name,
                "value": value,
                "lower": value,
                "upper": value,
                "n": m[:, i, j],
                "reference": before[:, i, j],
                "p_value": p[:, i, j],
                "effect": np.abs(value) if metric.judged else np.nan,
                "noise": noise[:, i, j],
            }
        )
    whole = np.where(np.isnan(delta[:, rows, columns]).all(axis=-1), np.nan, frobenius(delta))
    parts.append(
        {
            "value": whole,
            "lower": whole,
            "upper": whole,
            "n": m.max(axis=(-1, -2)),
            "effect": np.nan,
            "noise": np.nan,
            "method": f"{metric.method}, Frobenius norm of all pairs",
        }
    )
    return parts


def _spread(plan: Pairs, reference: Profile, current: Profile, slices: list[tuple[Slice, Slice]]) -> Floats:
    """By how much the variance of a correlation exceeds that of normal columns, (slices, k, k), at least 1.

    1 + κ with 3 κ the excess kurtosis, the result for elliptical distributions (Muirhead 1982, ch. 5), here of the
    column of longer tails, of the rows of both sides together.
    """
    tails = {}
    for of in {of for of, _ in slices}:
        found = np.ones(len(plan.columns))
        for i, name in enumerate(plan.columns):
            both = reference.state(name, window=of[0], segment=of[1]) + current.state(name, segment=of[1])
            if isinstance(both, Numeric):
                found[i] = kurtosis(both.counts, both.edges, both.extremes) / 3
        tails[of] = np.fmax(1.0, np.maximum.outer(found, found))
    return np.array([tails[of] for of, _ in slices])


def _correlation_noise(level: float, r: Floats, n: Floats, m: Floats) -> Floats:
    """The change of a correlation that chance exceeds with probability ``level``, by Fisher's z."""
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(1 / np.where(n > 3, n - 3, np.nan) + 1 / np.where(m > 3, m - 3, np.nan))
        z = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))
    reach = float(-special.ndtri(level / 2)) * error
    return np.asarray(np.maximum(np.tanh(z + reach) - np.tanh(z), np.tanh(z) - np.tanh(z - reach)))
