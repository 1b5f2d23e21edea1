"""The noise floor: what a statistic comes to when nothing has changed.

Two samples of the sizes at hand are drawn many times from one distribution, and the statistic is computed on each
pair. What the data then show is compared with that: a p-value, or the value that is exceeded with a given
probability. Sample sizes, empty bins and missing values enter as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from gpumon.statistics.distances import chi_square, psi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import ArrayLike

    from gpumon.statistics import Counts, Floats

__all__ = ["Noise", "critical_from_history", "noise_floor", "noise_floors", "resampled", "wasserstein_binned"]

MANY = 100.0
"""A bin with at least this many expected rows is drawn from a normal, a smaller one from its true distribution."""

IN_TAIL = 10
"""With fewer draws than this at or above a value, its p-value is read off the fitted gamma tail."""

TINY = float(np.finfo(np.float64).tiny)

TIED = 1e-9
"""Draws that are less than the value by no more than this part of it reach it."""

SQUARES = (psi, chi_square)
"""Statistics that are a sum of squares near no change; the others are norms, and their squares are."""


def resampled(counts: Counts, n: ArrayLike, m: ArrayLike, draws: int, seed: int) -> tuple[Floats, Floats]:
    """Counts of ``draws`` pairs of independent samples of n and m rows from the shares of ``counts``.

    ``counts`` (columns, bins); n and m a number or (columns,); both results (columns, draws, bins). Bins where
    100 or more rows are expected are drawn from the normal distribution with the multinomial's means and
    covariances, given the true (multinomial) draw of the rarer ones; each draw adds up to n or m. Every column uses
    the same random numbers, so a column's draws depend on the seed alone and not on the columns beside it. NaN where
    a column has no rows.

    >>> reference, current = resampled(np.array([[600, 400]]), 1000, 50, draws=3, seed=0)
    >>> reference.shape, current.sum(axis=-1)
    ((1, 3, 2), array([[50., 50., 50.]]))
    """
    pairs = list(_pairs(counts, n, m, draws, seed))
    return np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs])


@dataclass(frozen=True, eq=False)
class Noise:
    """A statistic under no change, a row for every column: its sorted draws and a gamma for the tail beyond.

    ``draws`` (columns, draws) ascending. ``power`` is what turns the statistic into a sum of squares, whose tail
    a gamma with the same mean and variance follows (Satterthwaite): closely for PSI, chi-square, Jensen-Shannon and
    Hellinger; for norms that one bin can rule (infinity norm, Wasserstein) it is light, and a limit for 1 in 10,000
    is exceeded about 3 times as often. 1,000 draws leave the tail's probabilities uncertain by a third.
    Source: Satterthwaite (1946), Biometrics 2.
    """

    draws: Floats
    power: float

    @property
    def mean(self) -> Floats:
        """Mean of the statistic under no change, (columns,)."""
        return np.asarray(self.draws.mean(axis=-1))

    @property
    def variance(self) -> Floats:
        """Variance of the statistic under no change, (columns,)."""
        return np.asarray(self.draws.var(axis=-1))

    def p_value(self, values: ArrayLike) -> Floats:
        """Probability of ``values`` (columns,) or (columns, k) or more under no change [0 to 1].

        (k + 1) / (draws + 1) where k ≥ 10 draws reach the value; beyond, the gamma tail scaled to join there.
        0 where all draws are one number and the value exceeds it.
        """
        columns, draws = self.draws.shape
        given = np.asarray(values, np.float64)
        values = np.broadcast_to(given, (columns,) if given.ndim == 0 else given.shape).reshape(columns, -1)
        # of few rows many draws are equal to the value, but for rounding
        least = values * (1 - TIED)
        reached = np.stack([draws - np.searchsorted(*each) for each in zip(self.draws, least, strict=True)])
        joint, level, rest = (np.reshape(part, (-1, 1)) for part in self._joint)
        beyond = level * self._survival(np.maximum(values, joint)) / rest
        p = np.where(values > joint, beyond, (reached + 1) / (draws + 1))
        return np.where(np.isnan(values) | np.isnan(joint), np.nan, p).reshape(given.shape or (columns,))

    def critical(self, level: float) -> Floats:
        """The value that is exceeded with probability ``level`` under no change, (columns,): ``p_value`` inverted."""
        joint, joined, rest = self._joint
        draws = self.draws.shape[-1]
        if level < joined:
            shape, scale = self._gamma
            squares = special.gammainccinv(shape, level / joined * rest) * scale
            return np.asarray(np.maximum(squares ** (1 / self.power), joint))
        position = np.clip(draws - (level * (draws + 1) - 1), 0, draws - 1)
        left, part = int(position), position % 1
        right = min(left + 1, draws - 1)
        return np.asarray(self.draws[..., left] * (1 - part) + self.draws[..., right] * part)

    @cached_property
    def _joint(self) -> tuple[Floats, float, Floats]:
        """Where the draws end and the tail begins, (columns,), the p-value there, and what the gamma says it is."""
        in_tail = min(IN_TAIL, self.draws.shape[-1])
        joint = self.draws[..., -in_tail]
        return (
            joint,
            (in_tail + 1) / (self.draws.shape[-1] + 1),
            np.maximum(self._survival(joint[:, None])[:, 0], TINY),
        )

    @cached_property
    def _gamma(self) -> tuple[Floats, Floats]:
        """Shape and scale of the gamma of the draws to the power; scale 0 where they do not vary."""
        squares = self.draws**self.power
        mean, variance = squares.mean(axis=-1), squares.var(axis=-1)
        varied = variance > 0
        shape = mean**2 / np.where(varied, variance, 1.0)
        return np.where(varied, shape, 1.0), np.where(varied, variance / np.where(varied, mean, 1.0), 0.0)

    def _survival(self, values: Floats) -> Floats:
        """P(X ≥ values) (columns, k) of the gamma; 0 where the draws do not vary."""
        shape, scale = (part[:, None] for part in self._gamma)
        tail = special.gammaincc(shape, values**self.power / np.where(scale > 0, scale, 1.0))
        return np.where(scale > 0, tail, 0.0)


def noise_floor(
    statistic: Callable[..., Floats],
    counts: Counts,
    n: ArrayLike,
    m: ArrayLike,
    draws: int = 1000,
    seed: int = 0,
    **by_column: Floats,
) -> Noise:
    """What ``statistic(reference, current)`` comes to with n and m rows of one distribution, for every column.

    ``counts`` (columns, bins) gives the distribution; n and m a number or (columns,). Further keywords are arrays
    (columns, …) whose rows go to the statistic, such as the ``widths`` of ``wasserstein_binned``. Same seed, same
    result, with or without other columns.

    >>> noise = noise_floor(psi, np.full((1, 10), 5_000), 20_000, 20_000)
    >>> bool(abs(noise.mean[0] / (9 * (1 / 20_000 + 1 / 20_000)) - 1) < 0.05)
    True
    >>> bool(noise.critical(0.001)[0] < 0.01)
    True
    """
    return noise_floors([statistic], counts, n, m, draws, seed, **by_column)[0]


def noise_floors(
    statistics: Sequence[Callable[..., Floats]],
    counts: Counts,
    n: ArrayLike,
    m: ArrayLike,
    draws: int = 1000,
    seed: int = 0,
    **by_column: Floats,
) -> list[Noise]:
    """``noise_floor`` of several statistics from the same samples."""
    found = np.empty((len(statistics), len(counts), draws))
    for column, (reference, current) in enumerate(_pairs(counts, n, m, draws, seed)):
        arguments = {name: array[column] for name, array in by_column.items()}
        for i, statistic in enumerate(statistics):
            found[i, column] = statistic(reference, current, **arguments)
    found.sort(axis=-1)
    plain = [each.func if isinstance(each, partial) else each for each in statistics]
    return [Noise(found[i], power=1.0 if each in SQUARES else 2.0) for i, each in enumerate(plain)]


def wasserstein_binned(reference: Counts, current: Counts, widths: Floats) -> Floats:
    """Earth mover's distance over coarse ordered bins, Σ |F − G|·width [unit of the column].

    Counts (..., bins) without the missing; ``widths[..., i]`` is the step from bin i to bin i + 1, between their
    centres (one for every bin but the last; a last one is of no effect).

    >>> wasserstein_binned(np.array([1, 0, 0]), np.array([0, 0, 1]), np.array([1.0, 2.0]))
    array(3.)
    """
    with np.errstate(invalid="ignore"):
        difference = reference / np.sum(reference, axis=-1, keepdims=True)
        difference = difference - current / np.sum(current, axis=-1, keepdims=True)
    bins, steps = difference.shape[-1], widths.shape[-1]
    lead = difference @ np.tri(bins).T[:, :steps]
    return np.asarray(np.vecdot(np.abs(lead, out=lead), widths))


def critical_from_history(values: Floats, level: float) -> Floats:
    """The value that the next window exceeds with probability ``level``, from a statistic's past windows.

    ``values`` (..., windows), 0 or more, best 8 to 100 of them from a time without change, taken as independent
    draws of one gamma distribution: their cube roots are close to normal, and the limit is Student's prediction
    limit for one more, cubed, so that few windows widen it as they should. NaN for fewer than two windows.
    Source: Krishnamoorthy, Mathew & Mukherjee (2008), Technometrics 50; Wilson & Hilferty (1931).

    >>> critical_from_history(np.array([1.0, 1.2, 0.8, 1.1, 0.9, 1.0, 1.3, 0.7]), 0.05)
    array(1.45079947)
    """
    windows = values.shape[-1]
    if windows < 2:
        return np.full(values.shape[:-1], np.nan)
    roots = np.cbrt(values)
    reach = special.stdtrit(windows - 1, 1 - level) * np.sqrt(1 + 1 / windows)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray((roots.mean(axis=-1) + reach * roots.std(axis=-1, ddof=1)) ** 3)


def _pairs(
    counts: Counts, n: ArrayLike, m: ArrayLike, draws: int, seed: int
) -> Iterator[tuple[Floats, Floats]]:
    """One column after another, so that the arrays at work stay in the cache: ``resampled`` of each."""
    columns, bins = counts.shape
    normal = np.random.default_rng((seed, 0)).standard_normal((2, draws, bins))
    sizes = (np.broadcast_to(np.asarray(size), columns) for size in (n, m))
    for row, reference_size, current_size in zip(counts, *sizes, strict=True):
        rng = np.random.default_rng((seed, 1))
        total = row.sum()
        if total == 0:
            nothing = np.full((draws, bins), np.nan)
            yield nothing, nothing
            continue
        shares = row / total
        yield (
            _sample(shares, int(reference_size), normal[0], rng),
            _sample(shares, int(current_size), normal[1], rng),
        )


def _sample(shares: Floats, size: int, normal: Floats, rng: np.random.Generator) -> Floats:
    """Counts (draws, bins) of samples of ``size`` rows: rare bins multinomial, the others normal given those."""
    many = shares * size >= MANY
    common = shares[many]
    drawn = rng.multinomial(size, [*shares[~many], min(common.sum(), 1.0)], len(normal))
    sample = np.empty_like(normal)
    sample[:, ~many] = drawn[:, :-1]
    if len(common):
        common = common / common.sum()
        rest = drawn[:, -1:].astype(np.float64)
        deviation = normal[:, many] * np.sqrt(common)
        deviation -= np.multiply.outer(deviation.sum(axis=-1), common)
        deviation *= np.sqrt(rest)
        deviation += rest * common
        sample[:, many] = deviation
    return sample
