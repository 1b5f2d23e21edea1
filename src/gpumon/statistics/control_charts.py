"""Control charts of shares: p charts, and Laney's p′ charts of windows that differ by more than their rows explain.

Windows stand on the last axis, in the order of time. ``counts`` of ``rows`` of each window are of a kind, such as predicted
to be of a class; ``centre`` is the share that is usual. They may be weighted (float).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gpumon.statistics import Floats

__all__ = ["PChart", "laney_spread", "p_chart", "p_chart_critical", "p_chart_p"]

MOVING_RANGE = 2 / np.sqrt(np.pi)
"""The mean of |a − b| of two standard normals, d₂ of ranges of two."""

EFFICIENCY = 0.605
"""Of a mean moving range beside the standard deviation: it is worth that part of the degrees of freedom (Hoel 1946)."""


class PChart(NamedTuple):
    """A p chart: the deviation of each window from the centre [sigma], and its control limits [0 to 1]; (..., windows)."""

    z: Floats
    lower: Floats
    upper: Floats


def p_chart(
    counts: ArrayLike, rows: ArrayLike, centre: ArrayLike, spread: ArrayLike = 1.0, sigmas: float = 3.0
) -> PChart:
    """Shewhart's p chart of shares with limits for each window's rows, or with a ``spread`` Laney's p′ chart.

    Sigma is spread·√(c (1 − c) / rows), z = (share − c) / sigma, and the limits are c ± ``sigmas``·sigma, cut off at 0 and
    1. ``centre`` and ``spread`` are (...) or (..., 1). With spread 1, z is that of ``statsmodels.stats.proportion.proportions_ztest
    (counts, rows, value=c, prop_var=c)``. NaN where there are no rows. Source: Shewhart (1931); Laney (2002), Qual. Eng. 14.

    >>> chart = p_chart([12, 40], [100, 100], 0.2)
    >>> chart.z, chart.lower, chart.upper
    (array([-2.,  5.]), array([0.08, 0.08]), array([0.32, 0.32]))
    """
    k, n, c, s = (np.asarray(x, np.float64) for x in (counts, rows, centre, spread))
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(n > 0, n, np.nan)
        sigma = s * np.sqrt(c * (1 - c) / size)
        change = k / size - c
        z = np.where(change == 0, 0.0, change / sigma)
    lower, upper = (np.clip(c + side * sigmas * sigma, 0.0, 1.0) for side in (-1, 1))
    return PChart(np.asarray(z), np.asarray(lower), np.asarray(upper))


def laney_spread(z: Floats) -> Floats:
    """Laney's σ_z of windows that are in control, from their ``p_chart`` z (..., windows) [sigma, 0 or more].

    The mean of |z − z of the window before| over 2/√π; NaN windows are left out, NaN of fewer than two. About 1 where the
    rows explain how the windows differ, more where days differ by themselves. Source: Laney (2002), Qual. Eng. 14.

    >>> round(float(laney_spread(np.array([1.0, -1.0, 1.0, np.nan, -1.0]))), 3)
    1.772
    """
    z = np.asarray(z, np.float64)
    known = np.isfinite(z)
    order = np.argsort(~known, axis=-1, kind="stable")  # those that are known first, in time
    ordered = np.take_along_axis(np.where(known, z, 0.0), order, axis=-1)
    windows = np.count_nonzero(known, axis=-1)
    steps = np.abs(np.diff(ordered, axis=-1))
    used = np.arange(steps.shape[-1]) < windows[..., None] - 1
    mean = np.sum(steps, axis=-1, where=used) / np.where(windows > 1, windows - 1, 1)
    return np.asarray(np.where(windows > 1, mean / MOVING_RANGE, np.nan))


def p_chart_critical(
    level: float,
    rows: ArrayLike,
    centre: ArrayLike,
    reference_rows: ArrayLike = np.inf,
    spread: ArrayLike = 1.0,
    windows: ArrayLike = 0,
) -> Floats:
    """The |z| of a p′ chart of max(``spread``, 1) that an unchanged window exceeds with a probability of about ``level`` [sigma].

    The quantile of the normal, corrected for the skewness of a share of few rows (Cornish & Fisher 1938) and for a centre that
    is the share of ``reference_rows`` rows; or, where that is more, ``spread`` times Student's, if the spread was
    estimated from so many ``windows`` (``EFFICIENCY``·(windows − 1) degrees of freedom), with the skewness of a negative
    binomial of that spread. Up to four times as often where the reference has five rows of the kind. All broadcast.
    Source: Cornish & Fisher (1938), Rev. Inst. Int. Stat. 5; Hoel (1946), Ann. Math. Stat. 17.

    >>> p_chart_critical(0.0027, [1_000_000, 50], 0.1).round(2)
    array([3.  , 3.5])
    >>> float(p_chart_critical(0.0027, 1_000_000, 0.1, spread=2.0, windows=30).round(2))
    3.51
    """
    n, c, total, s, k = (np.asarray(x, np.float64) for x in (rows, centre, reference_rows, spread, windows))
    reach = float(-special.ndtri(level / 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(n > 0, n, np.nan)
        skewness = np.abs(1 - 2 * c) / np.sqrt(size * c * (1 - c))
        unsure = np.sqrt(1 + size / total)
        own = reach * unsure + (reach**2 - 1) * skewness / 6
        dof = EFFICIENCY * (k - 1)
        student = -special.stdtrit(np.where(dof > 0, dof, np.nan), level / 2)
        more = np.fmax(s, 1.0) ** 2
        skewness = skewness * (2 * more - 1) / np.sqrt(more)
        between = np.where(k > 1, s * (student * unsure + (student**2 - 1) * skewness / 6), 0.0)
        return np.asarray(np.maximum(own, between) / np.fmax(s, 1.0))


def p_chart_p(
    z: ArrayLike,
    rows: ArrayLike,
    reference_rows: ArrayLike = np.inf,
    spread: ArrayLike = 1.0,
    windows: ArrayLike = 0,
) -> Floats:
    """Two-sided p-value of the z of a p′ chart of max(``spread``, 1) [0 to 1].

    The larger of that of the rows (normal) and that of the ``windows`` that the spread was estimated from (Student); see
    ``p_chart_critical``, which also looks at the skewness of few rows.

    >>> round(float(p_chart_p(3.0, 100)), 4)
    0.0027
    """
    z, n, total, s, k = (np.asarray(x, np.float64) for x in (z, rows, reference_rows, spread, windows))
    scaled = np.abs(z) * np.fmax(s, 1.0) / np.sqrt(1 + n / total)
    dof = EFFICIENCY * (k - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        student = np.where(k > 1, special.stdtr(np.where(dof > 0, dof, np.nan), -scaled / s), 0.0)
    return np.asarray(np.where(np.isnan(scaled), np.nan, 2 * np.fmax(special.ndtr(-scaled), student)))
