"""Clusters of rows by features and predictions: what is planned for them from a sample of the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpumon.engines.columns import as_floats
from gpumon.errors import OptionError, SchemaError
from gpumon.profiles.clusters import MOST_CLUSTERED, REACH, Clusters
from gpumon.profiles.numeric import edges_of
from gpumon.schema import Kind, Role
from gpumon.tables.columns import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from gpumon.schema import Schema

__all__ = ["planned"]

NUMBER = 8
STARTS = 4
ROUNDS = 30
CELLS = 256
NORMAL = 1.349  # interquartile range of a normal distribution, in standard deviations


def planned(schema: Schema, sample: pa.Table, features: bool | Sequence[str], name: str) -> Clusters:
    """Centres of the sample's rows, with nothing counted; ``features`` are columns of numbers, True for all.

    OptionError if there are too many or too few, SchemaError if one holds no numbers.
    """
    named = features if not isinstance(features, bool) else _numbers(schema)
    columns = list(dict.fromkeys([*_predictions(schema), *named]))
    for column in columns:
        if schema[column].kind is not Kind.NUMERIC:
            raise SchemaError(
                f"{name}: clusters are of columns of numbers, and {column!r} holds {schema[column].type}"
            )
    if not 2 <= len(columns) <= MOST_CLUSTERED:
        raise OptionError(
            f"{name}: clusters are of 2 to {MOST_CLUSTERED} columns of numbers, features and predictions together, and "
            f"these are {len(columns)}: {listed(columns) or 'none'}; name the features that matter with clusters"
        )
    values = np.stack([as_floats(sample[column]) for column in columns])
    values = values[:, np.isfinite(values).all(axis=0)]
    if values.shape[1] < 2:
        raise OptionError(f"{name}: no two rows of its sample have a value in each of {listed(columns)}")
    centre, scale = _location(values)
    with np.errstate(over="ignore"):
        z = np.clip((values - centre[:, None]) / scale[:, None], -REACH, REACH).T
    centroids = _centroids(z)
    nearest = np.min(_squares(z, centroids), axis=1)
    return Clusters.on(columns, (), centre, scale, centroids.ravel(), edges_of(nearest, CELLS))


def _numbers(schema: Schema) -> list[str]:
    """The features that are numbers."""
    return [column for column in schema.of(Role.FEATURE) if schema[column].kind is Kind.NUMERIC]


def _predictions(schema: Schema) -> list[str]:
    """Scores, else predicted quantities; none of predicted classes."""
    scores, predicted = schema.of(Role.SCORE), schema.of(Role.PREDICTION)
    return [column for column in scores or predicted if schema[column].kind is Kind.NUMERIC]


def _location(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and scale of each column: of its quartiles, of a column of few values its standard deviation, else 1."""
    low, centre, high = np.quantile(values, (0.25, 0.5, 0.75), axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        quartiles, deviation = (high - low) / NORMAL, np.std(values, axis=1)
    scale = np.where(quartiles > 0, quartiles, deviation)
    return centre, np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)


def _centroids(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """k-means of rows (n, d), begun by k-means++ and the best of some starts; fewer than 8 where rows are few or alike."""
    from scipy.cluster.vq import ClusterError, kmeans2

    distinct = np.unique(z, axis=0)
    if len(distinct) <= NUMBER:
        return distinct
    best, least = distinct[:1], np.inf
    rng = np.random.default_rng(0)
    for _ in range(STARTS):
        try:
            found, labels = kmeans2(z, NUMBER, iter=ROUNDS, minit="++", seed=rng, missing="raise")
        except ClusterError:  # a centre lost all its rows: another start
            continue
        spread = float(np.sum((z - found[labels]) ** 2))
        if spread < least:
            best, least = found, spread
    return best[np.lexsort(best.T[::-1])]


def _squares(z: NDArray[np.float64], centroids: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distances of rows (n, d) to centres (C, d): (n, C)."""
    return np.stack([np.sum((z - each) ** 2, axis=1) for each in centroids], axis=1)
