"""P-values and critical values; all broadcast, NaN in gives NaN out, and nothing is reduced but by Benjamini-Hochberg.

A p-value qualifies an effect size and does not replace it: with a million rows every p is near 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from gpumon.statistics.summaries import mean, variance

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gpumon.statistics import Floats

__all__ = [
    "benjamini_hochberg",
    "chi_square_critical",
    "chi_square_p",
    "fallen_share_critical",
    "fallen_share_p",
    "fisher_z_p",
    "greater_mean_critical",
    "greater_mean_p",
    "jensen_shannon_chance",
    "kolmogorov_critical",
    "kolmogorov_p",
    "two_proportion_p",
    "welch_p",
]


def kolmogorov_p(d: ArrayLike, n: ArrayLike, m: ArrayLike) -> Floats:
    """Two-sided p-value of a Kolmogorov-Smirnov distance between samples of n and m rows [0 to 1].

    Asymptotic with N = nm / (n + m) rounded, as in ``scipy.stats.ks_2samp(method="asymp")``, and the corrections of
    order 1/√N and 1/N of Vrbik: P(K ≥ x + 1/(6√N) + (x − 1)/(4N)) with x = d·√N. Within 3e-4 of scipy for N ≥ 50
    (2e-4 from 100, 4e-5 from 500, 5e-6 from 5,000); for p between 0.001 and 0.1 within 6 % (3 %, 0.6 %, 0.06 %).
    Source: Vrbik (2018), Pioneer J. Theor. Appl. Stat. 15.

    >>> kolmogorov_p(0.1, 500, 500)
    array(0.01255743)
    """
    d = np.asarray(d, np.float64)
    size = _effective(n, m)
    x = d * np.sqrt(size)
    p = special.kolmogorov(np.maximum(x + 1 / (6 * np.sqrt(size)) + (x - 1) / (4 * size), 0.0))
    return np.where(d <= 0, 1.0, np.where(d > 1, 0.0, p))


def kolmogorov_critical(level: float | Floats, n: ArrayLike, m: ArrayLike) -> Floats:
    """The Kolmogorov-Smirnov distance whose ``kolmogorov_p`` is ``level``, at most 1.

    >>> kolmogorov_critical(0.05, 500, 500)
    array(0.0852...)
    """
    size = _effective(n, m)
    x = (special.kolmogi(level) - 1 / (6 * np.sqrt(size)) + 1 / (4 * size)) / (1 + 1 / (4 * size))
    return np.asarray(np.clip(x / np.sqrt(size), 0.0, 1.0))


def jensen_shannon_chance(
    dof: ArrayLike, n: ArrayLike, m: ArrayLike, rarity: ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """Mean and standard deviation of a Jensen-Shannon distance of samples of one distribution [0 to 1].

    ``dof`` is the number of bins that have rows, less one; n and m are the rows. Near no change the divergence is
    χ²·(1/n + 1/m) / (8 ln 2) bits, with the two samples' chi-square statistic: so the distance is a chi variable times
    √((1/n + 1/m) / (8 ln 2)). Needs some five rows a bin. With ``rarity``, Σ 1/share over those bins, the mean of the divergence
    is right to the second order too: 1 % more for 20 rows a bin. Source: Lin (1991), IEEE Trans. Inf. Theory 37; Johnson,
    Kotz & Balakrishnan (1994), Continuous Univariate Distributions 1, ch. 18, for the moments of chi; Harris (1975),
    Colloq. Math. Soc. János Bolyai 16, for the second order of an entropy.

    >>> [round(float(x), 4) for x in jensen_shannon_chance(9, 1000, 1000)]
    [0.0554, 0.0132]
    """
    dof, n, m = (np.asarray(x, np.float64) for x in (dof, n, m))
    with np.errstate(divide="ignore", invalid="ignore"):
        once, twice = 1 / n + 1 / m, 1 / n**2 + 1 / m**2
        scale = np.sqrt(once / (8 * np.log(2)))
        mean = np.sqrt(2) * np.exp(special.gammaln((dof + 1) / 2) - special.gammaln(dof / 2))
        more: Floats = np.zeros(())
        if (
            rarity is not None
        ):  # of the entropy of both together, less those of each; in parts of the first order
            r = np.asarray(rarity, np.float64)
            second = (r - 3 * dof - 1) * twice / 48 - (r - 2 * dof - 1) * once**2 / 64 + (r - 1) * twice / 24
            more = np.where(dof > 0, second / (dof * once / 8), 0.0)
    mean = np.where(dof > 0, mean, 0.0)
    deviation = scale * np.sqrt(np.maximum(dof - mean**2, 0.0))
    return np.asarray(scale * mean * np.sqrt(1 + more)), np.asarray(deviation)


def chi_square_p(x: ArrayLike, dof: ArrayLike) -> Floats:
    """Upper tail of the chi-square distribution, P(X ≥ x) [0 to 1]; 1 with 0 degrees of freedom.

    >>> chi_square_p(3.841458820694124, 1)
    array(0.05)
    """
    x, dof = np.asarray(x, np.float64), np.asarray(dof, np.float64)
    return np.where(
        dof == 0, np.where(np.isnan(x), np.nan, 1.0), special.chdtrc(np.where(dof > 0, dof, np.nan), x)
    )


def chi_square_critical(level: float | Floats, dof: ArrayLike) -> Floats:
    """The value that a chi-square variable exceeds with probability ``level``; 0 with 0 degrees of freedom.

    >>> chi_square_critical(0.05, 1)
    array(3.84145882)
    """
    dof = np.asarray(dof, np.float64)
    return np.where(dof == 0, 0.0, special.chdtri(np.where(dof > 0, dof, np.nan), level))


def welch_p(reference_moments: Floats, current_moments: Floats) -> Floats:
    """Two-sided p-value of Welch's t test for equal means, from moments (..., 3) [0 to 1].

    Equals ``scipy.stats.ttest_ind(equal_var=False)``, save that two constant columns of one value give 1 (scipy:
    NaN). NaN where a side has fewer than two rows. Source: Welch (1947), Biometrika 34.

    >>> welch_p(np.array([10.0, 0.0, 9.0]), np.array([20.0, 1.0, 38.0]))
    array(0.03473375)
    """
    n, m = reference_moments[..., 0], current_moments[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = variance(reference_moments) / n, variance(current_moments) / m
        scale = np.maximum(a, b)
        a_part, b_part = a / scale, b / scale
        dof = (a_part + b_part) ** 2 / (a_part**2 / (n - 1) + b_part**2 / (m - 1))
        difference = mean(current_moments) - mean(reference_moments)
        p = 2 * special.stdtr(dof, -np.abs(difference) / np.sqrt(a + b))
    return np.where(scale == 0, np.where(difference == 0, 1.0, 0.0), p)


def greater_mean_p(reference_moments: Floats, current_moments: Floats) -> Floats:
    """One-sided p-value that the mean of a quantity of 0 or more is not greater now, from moments (..., 3) [0 to 1].

    Few rows of a loss do not have the mean of a normal variable: their mean is taken for a gamma variable with the mean μ
    and the variance σ²·(1/n + 1/m) of both sides together, so with the skewness that such losses have. Exact for
    exponential losses beside a large reference; normal for many rows. NaN where a side has no rows, or all rows are 0.

    >>> greater_mean_p(np.array([1e9, 1.0, 1e9]), np.array([4.0, 3.0, 9.0]))
    array(0.002291...)
    """
    shape, middle, difference = _gamma(reference_moments, current_moments)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = special.gammaincc(shape, shape * np.maximum(1 + difference / middle, 0.0))
    return np.asarray(np.where(np.isinf(shape), np.where(difference > 0, 0.0, 1.0), p))


def greater_mean_critical(level: float, reference_moments: Floats, current_moments: Floats) -> Floats:
    """The difference of the means whose ``greater_mean_p`` is ``level`` [unit of the quantity].

    >>> greater_mean_critical(0.00229179, np.array([1e9, 1.0, 1e9]), np.array([4.0, 3.0, 9.0])).round(3)
    np.float64(2.0)
    """
    shape, middle, _ = _gamma(reference_moments, current_moments)
    with np.errstate(divide="ignore", invalid="ignore"):
        critical = middle * (special.gammainccinv(shape, level) / shape - 1)
    return np.asarray(np.where(np.isinf(shape), 0.0, critical))


def fallen_share_p(reference: ArrayLike, error: ArrayLike, ratio: ArrayLike, current: ArrayLike) -> Floats:
    """One-sided p-value that a measure of 0 to 1, where 1 is best, has not fallen from ``reference`` to ``current`` [0 to 1].

    ``error`` is the standard error of ``reference``, ``ratio`` how many times the rows it has that the current one rests on. A few
    rows know their own error badly, and what they lack of 1 is skewed: it is taken for a gamma variable with the
    reference's mean 1 − reference and the variance error²·(1 + ratio). NaN where one of them is.

    >>> fallen_share_p(0.9, 0.01, 24.0, 0.7)
    array(0.002291...)
    """
    lacking, shape = _lacking(reference, error, ratio)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = special.gammaincc(shape, shape * (1 - np.asarray(current, np.float64)) / lacking)
    return np.asarray(np.where(np.isinf(shape), np.nan, p))


def fallen_share_critical(level: float, reference: ArrayLike, error: ArrayLike, ratio: ArrayLike) -> Floats:
    """How far a measure must fall for its ``fallen_share_p`` to be ``level`` [above 0; more than all of it where rows are few].

    >>> fallen_share_critical(0.00229179, 0.9, 0.01, 24.0).round(3)
    np.float64(0.2)
    """
    lacking, shape = _lacking(reference, error, ratio)
    with np.errstate(divide="ignore", invalid="ignore"):
        critical = lacking * (special.gammainccinv(shape, level) / shape - 1)
    return np.asarray(np.where(np.isinf(shape), np.nan, critical))


def _lacking(reference: ArrayLike, error: ArrayLike, ratio: ArrayLike) -> tuple[Floats, Floats]:
    """What the reference lacks of 1, and the shape of the gamma variable; of a perfect one as much as its error."""
    value, error, ratio = (np.asarray(x, np.float64) for x in (reference, error, ratio))
    lacking = np.maximum(1 - value, error)
    with np.errstate(divide="ignore", invalid="ignore"):
        return lacking, lacking**2 / (error**2 * (1 + ratio))


def two_proportion_p(k1: ArrayLike, n1: ArrayLike, k2: ArrayLike, n2: ArrayLike) -> Floats:
    """Two-sided p-value of the pooled z test that k1 of n1 and k2 of n2 are the same share [0 to 1].

    1 where all or none of both are counted; NaN where n1 or n2 is 0. Equals
    ``statsmodels.stats.proportion.proportions_ztest``.

    >>> two_proportion_p(30, 100, 45, 100)
    array(0.0284...)
    """
    k1, n1, k2, n2 = (np.asarray(x, np.float64) for x in (k1, n1, k2, n2))
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (k1 + k2) / (n1 + n2)
        difference = k1 / n1 - k2 / n2
        z = difference / np.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    return np.where(difference == 0, 1.0, _two_sided(z))


def fisher_z_p(r1: ArrayLike, n1: ArrayLike, r2: ArrayLike, n2: ArrayLike) -> Floats:
    """Two-sided p-value that two independent Pearson correlations are equal, by Fisher's z [0 to 1].

    z = (artanh r1 − artanh r2) / √(1/(n1 − 3) + 1/(n2 − 3)); NaN where n1 or n2 is 3 or less.
    Source: Fisher (1921), Metron 1.

    >>> fisher_z_p(0.5, 103, 0.2, 103)
    array(0.01426004)
    """
    r1, n1, r2, n2 = (np.asarray(x, np.float64) for x in (r1, n1, r2, n2))
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(1 / np.where(n1 > 3, n1 - 3, np.nan) + 1 / np.where(n2 > 3, n2 - 3, np.nan))
        z = np.where(r1 == r2, 0.0, np.arctanh(r1) - np.arctanh(r2)) / error
    return _two_sided(z)


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """False discovery rate q of every p-value, over the last axis [0 to 1].

    The smallest rate at which the Benjamini-Hochberg procedure rejects; NaN stays NaN and is not counted. Equals
    ``scipy.stats.false_discovery_control``. Source: Benjamini & Hochberg (1995), J. R. Stat. Soc. B 57.

    >>> benjamini_hochberg([0.01, np.nan, 0.02, 0.9])
    array([0.03, nan, 0.03, 0.9 ])
    """
    p = np.asarray(p, np.float64)
    tests = np.count_nonzero(~np.isnan(p), axis=-1, keepdims=True)
    order = np.argsort(p, axis=-1)
    scaled = np.take_along_axis(p, order, axis=-1) * tests / np.arange(1, p.shape[-1] + 1)
    smallest = np.minimum(np.fmin.accumulate(scaled[..., ::-1], axis=-1)[..., ::-1], 1.0)
    q = np.empty_like(p)
    np.put_along_axis(q, order, smallest, axis=-1)
    return np.where(np.isnan(p), np.nan, q)


def _effective(n: ArrayLike, m: ArrayLike) -> Floats:
    """The size nm / (n + m), rounded, at least 1; NaN where a side has no rows."""
    n, m = np.asarray(n, np.float64), np.asarray(m, np.float64)
    with np.errstate(invalid="ignore"):
        size = np.maximum(np.rint(n * m / (n + m)), 1.0)
    return np.where((n > 0) & (m > 0), size, np.nan)


def _two_sided(z: Floats) -> Floats:
    """P(|Z| ≥ |z|) of the standard normal distribution."""
    return np.asarray(special.erfc(np.abs(z) * np.sqrt(0.5)))


def _gamma(reference: Floats, current: Floats) -> tuple[Floats, Floats, Floats]:
    """Shape of the gamma variable, the mean of both sides, and the difference of their means."""
    n, m = reference[..., 0], current[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = m / (n + m)
        difference = current[..., 1] - reference[..., 1]
        middle = reference[..., 1] + share * difference
        squares = reference[..., 2] + current[..., 2] + difference**2 * n * share
        spread = squares / (n + m) * (1 / n + 1 / m)
        shape = np.where((n > 0) & (m > 0) & (middle > 0), middle**2 / spread, np.nan)
    return shape, middle, difference
