"""A model of the loss of single rows, for direct loss estimation: boosted regression trees on binned features.

``codes`` (rows, features) uint8 are the bins of every feature in ascending order (missing values as a bin of their
own, categories in any order); a tree finds its splits in histograms of at most 256 bins a feature, so the fit takes
time in rows · features · depth · trees and needs no library. A sample of 100,000 reference rows is enough.
Source: Friedman (2001), Ann. Stat. 29; packed integer histograms after the idea of Shi et al. (2022), NeurIPS 35.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gpumon.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gpumon.statistics import Floats

    Tree = tuple[NDArray[np.int64], NDArray[np.uint8], Floats]  # features, thresholds, leaves

__all__ = ["LossModel", "fit", "predict", "rounded"]

BINS = 256
FEWEST = 20
"""Rows that a leaf must have."""

SHRINKAGE = 0.1
PATIENCE = 25
"""Trees without any gain after which no more are tried."""

HELD_OUT = 5
"""Every fifth row is held out to choose the number of trees and to measure the residual variance."""

BITS = 52
"""Of the whole number in a float64, which holds the rows and the sum of residuals of a bin at once."""


class LossModel(NamedTuple):
    """Complete binary trees of one depth as plain arrays; a node without a split sends all rows to its first child."""

    base: float
    """Mean loss, which the trees correct."""
    feature: NDArray[np.int64]
    """(trees, 2^depth − 1): which feature a node looks at, breadth first."""
    threshold: NDArray[np.uint8]
    """(trees, 2^depth − 1): rows whose code is above go to the second child."""
    value: Floats
    """(trees, 2^depth): what a leaf adds [unit of the loss]."""
    residual_variance: float
    """Mean square of loss less prediction, on rows that were held out [unit²]; NaN if there were none."""


@np.errstate(over="ignore", invalid="ignore")  # of losses near the largest float
def fit(codes: NDArray[np.uint8], loss: Floats, trees: int = 150, depth: int = 5) -> LossModel:
    """Learn the expected loss from ``codes`` (rows, features) and the ``loss`` (rows,) of labelled rows.

    Least squares with shrinkage 0.1. Every fifth row is held out to find how many trees, of ``trees`` at most, predict
    it best, and what variance they leave; so many are then fitted to all rows. The search ends where 25 trees have not
    bettered the best. The same rows in the same order give the same model, bit for bit. Raises InputError
    where codes and losses do not fit each other, or there are no rows, or a loss is not finite.

    >>> rng = np.random.default_rng(0)
    >>> codes = rng.integers(0, 8, (4_000, 3)).astype(np.uint8)
    >>> model = fit(codes, np.where(codes[:, 1] > 3, 5.0, 1.0))
    >>> predict(model, np.array([[0, 2, 0], [0, 6, 0]], np.uint8)).round(3)
    array([1., 5.])
    """
    codes, loss = np.asarray(codes), np.asarray(loss, np.float64)
    if codes.ndim != 2 or codes.dtype != np.uint8 or loss.shape != codes.shape[:1]:
        raise InputError(
            f"a loss model needs uint8 codes (rows, features) and a loss for each row, "
            f"not {codes.dtype} {codes.shape} and {loss.shape}: bin the features first"
        )
    if len(loss) == 0 or codes.shape[1] == 0:
        raise InputError(
            "a loss model needs rows and features, and there are none: give labelled reference rows"
        )
    if not np.all(np.isfinite(loss)):
        row = int(np.argmin(np.isfinite(loss)))
        raise InputError(
            f"the loss of row {row} is {loss[row]}: leave out rows without a finite label and prediction"
        )
    held = np.arange(len(loss)) % HELD_OUT == HELD_OUT - 1
    kept, residual_variance = trees, np.nan
    if held.any():
        left = loss[held] - np.mean(loss[~held])
        fresh = codes[held]
        errors = [float(np.mean(left**2))]
        for feature, threshold, value in _trees(codes[~held], loss[~held], trees, depth):
            left -= value[_leaves(feature, threshold, fresh)]
            errors.append(float(np.mean(left**2)))
            if len(errors) - 1 - int(np.argmin(errors)) >= PATIENCE:
                break
        kept = int(np.argmin(errors))
        residual_variance = errors[kept]
    found = list(_trees(codes, loss, kept, depth))
    nodes = 2**depth - 1
    return LossModel(
        float(np.mean(loss)),
        np.array([feature for feature, _, _ in found], np.int64).reshape(kept, nodes),
        np.array([threshold for _, threshold, _ in found], np.uint8).reshape(kept, nodes),
        np.array([value for _, _, value in found], np.float64).reshape(kept, nodes + 1),
        residual_variance,
    )


def predict(model: LossModel, codes: NDArray[np.uint8]) -> Floats:
    """Expected loss of every row of ``codes`` (rows, features), float64 (rows,) [unit of the loss].

    Single rows may come out below 0; their mean is what counts.
    """
    found = np.full(len(codes), model.base)
    for feature, threshold, value in zip(model.feature, model.threshold, model.value, strict=True):
        found += value[_leaves(feature, threshold, codes)]
    return found


def rounded(model: LossModel, bits: int = 22) -> LossModel:
    """The model with base and leaves as whole multiples of a power of two [unit of the loss].

    The unit is 2^−``bits`` of the largest loss that the trees can give, or a little more: then the predictions of up to
    2^(53 − ``bits``) rows add without any rounding, so their sum is the same in every order.

    >>> model = fit(np.repeat(np.arange(2, dtype=np.uint8), 50)[:, None], np.repeat([1.0, 1.1], 50), 3, 1)
    >>> float(np.max(np.abs(rounded(model).value - model.value))) < 1e-6
    True
    """
    largest = abs(model.base) + float(np.sum(np.max(np.abs(model.value), axis=-1, initial=0.0)))
    if largest == 0:
        return model
    unit = 2.0 ** (np.ceil(np.log2(largest)) - bits)
    return model._replace(
        base=float(np.rint(model.base / unit) * unit), value=np.rint(model.value / unit) * unit
    )


def _trees(codes: NDArray[np.uint8], loss: Floats, trees: int, depth: int) -> Iterator[Tree]:
    """So many trees, each fitted to what those before it and the mean leave."""
    columns = np.ascontiguousarray(codes.T)
    residual = loss - np.mean(loss)
    for _ in range(trees):
        feature, threshold, leaf = _grow(columns, residual, depth)
        rows = np.maximum(np.bincount(leaf, minlength=2**depth), 1)
        value = SHRINKAGE * np.bincount(leaf, residual, minlength=2**depth) / rows
        residual -= value[leaf]
        yield feature, threshold, value


def _leaves(
    feature: NDArray[np.int64], threshold: NDArray[np.uint8], codes: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """Which leaf of a tree every row comes to."""
    rows = np.arange(len(codes))
    node = np.zeros(len(codes), np.int64)
    while node.size and node[0] < len(feature):
        node = 2 * node + 1 + (codes[rows, feature[node]] > threshold[node])
    return node - len(feature)


def _grow(
    columns: NDArray[np.uint8], residual: Floats, depth: int
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]:
    """One tree, level by level: features and thresholds of its nodes, and the leaf of every row.

    Of two children the smaller one is counted and the other is what their parent has left: exact, as all are whole numbers.
    """
    features, rows = columns.shape
    feature = np.zeros(2**depth - 1, np.int64)
    threshold = np.full(2**depth - 1, BINS - 1, np.uint8)
    packed, unit, shift = _packed(residual)
    node = np.zeros(rows, np.int64)  # within its level
    histogram = _histogram(columns, node, packed, 1)
    for level in range(depth):
        nodes = 2**level
        split, at = _best_splits(histogram, unit, shift)
        first = nodes - 1
        feature[first : first + nodes], threshold[first : first + nodes] = split, at
        above = columns[split[node], np.arange(rows)] > at[node]
        if level < depth - 1:
            above_rows = np.bincount(node, above, minlength=nodes)
            second = 2 * above_rows <= np.bincount(node, minlength=nodes)  # it is the smaller one
            few = np.flatnonzero(above == second[node])
            counted = _histogram(columns[:, few], node[few], packed[few], nodes)
            both = np.stack((histogram - counted, counted), axis=2)
            both[:, ~second] = both[:, ~second, ::-1]
            histogram = both.reshape(features, 2 * nodes, BINS)
        node = 2 * node + above
    return feature, threshold, node


def _histogram(columns: NDArray[np.uint8], node: NDArray[np.int64], packed: Floats, nodes: int) -> Floats:
    """Sums of ``packed`` by node and code of every feature, (features, nodes, bins)."""
    offset, size = node * BINS, nodes * BINS
    found = np.empty((len(columns), nodes, BINS))
    for number, codes in enumerate(columns):
        found[number] = np.bincount(offset + codes, packed, minlength=size).reshape(nodes, BINS)
    return found


def _packed(residual: Floats) -> tuple[Floats, float, float]:
    """Every row as one whole number, 2^k + residual in units: sums of it hold rows and residuals, exactly."""
    bits = len(residual).bit_length()
    largest = float(np.max(np.abs(residual), initial=0.0))
    steps = 2.0 ** (BITS - 2 * bits - 1)
    unit = largest / steps if largest > 0 else 1.0
    shift = 2.0 ** (BITS - bits)
    return np.rint(residual / unit) + shift, unit, shift


def _best_splits(histogram: Floats, unit: float, shift: float) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Feature and threshold that take most of the squares off, for every node of (features, nodes, bins)."""
    left = np.cumsum(histogram, axis=-1)
    n_left = np.rint(left / shift)
    sum_left = (left - n_left * shift) * unit
    n, total = n_left[..., -1:], sum_left[..., -1:]
    n_right, sum_right = n - n_left, total - sum_left
    allowed = (n_left >= FEWEST) & (n_right >= FEWEST)
    gain = sum_left**2 / np.maximum(n_left, 1) + sum_right**2 / np.maximum(n_right, 1)
    gain = gain - total**2 / np.maximum(n, 1)
    gain = np.where(allowed & np.isfinite(gain), gain, 0.0)
    nodes = gain.shape[1]
    flat = np.moveaxis(gain, 0, 1).reshape(nodes, -1)
    best = np.argmax(flat, axis=-1)
    worth = flat[np.arange(nodes), best] > 0
    feature, at = np.divmod(best, BINS)
    return np.where(worth, feature, 0), np.where(worth, at, BINS - 1).astype(np.uint8)
