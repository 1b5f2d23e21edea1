"""Prediction intervals: what is planned for them from a sample of the reference, and how batches are counted."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from gpumon.engines.columns import as_floats
from gpumon.errors import SchemaError
from gpumon.kernels.predicted_intervals import IntervalCounts, intervals
from gpumon.profiles.intervals import Intervals
from gpumon.profiles.numeric import edges_of
from gpumon.schema import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from gpumon.schema import Schema

__all__ = ["count", "ends", "planned", "promise"]


def ends(schema: Schema, name: str) -> tuple[str, ...]:
    """The columns of the lower and the upper ends, or of predictions and their std; none if there are no intervals."""
    found = schema.of(Role.LOWER), schema.of(Role.UPPER)
    std = schema.of(Role.STD)
    if std:
        predictions = schema.of(Role.PREDICTION)
        if found != ((), ()) or len(std) > 1 or not predictions:
            raise SchemaError(
                f"{name}: std is one column, of how unsure each prediction is: it needs a column of predictions, and stands in "
                "the place of lower and upper"
            )
        return predictions[0], std[0]
    if [len(columns) for columns in found] not in ([0, 0], [1, 1]):
        raise SchemaError(
            f"{name}: prediction intervals have one column of lower and one of upper ends; give one for each of both "
            "roles, lower and upper"
        )
    return (*found[0], *found[1])


def promise(schema: Schema, nominal: float) -> NDArray[np.float64]:
    """The coverage that intervals promise; and, of a std, how many of it they reach if errors are normal."""
    reach = [NormalDist().inv_cdf((1 + nominal) / 2)] if schema.of(Role.STD) else []
    return np.array([nominal, *reach])


def planned(
    sample: pa.Table, columns: Sequence[str], weight: Sequence[str], nominal: NDArray[np.float64]
) -> Intervals:
    """Nothing counted yet, on edges for the widths that a sample has; ``columns``: the target, and ``ends``."""
    lower, upper = _ends([as_floats(sample[name]) for name in columns[1:]], nominal)
    with np.errstate(invalid="ignore", over="ignore"):
        width = upper - lower
        return Intervals.on(columns, weight, nominal, edges_of(width[width >= 0]))


def count(
    state: Intervals,
    batch: pa.RecordBatch,
    offsets: NDArray[np.int64],
    places: NDArray[np.int64],
    into: IntervalCounts,
) -> None:
    """Count a batch whose rows are grouped by slice; a column that it lacks is missing in all its rows."""
    there = set(batch.schema.names)
    target, *given = (
        as_floats(batch.column(name)) if name in there else np.full(batch.num_rows, np.nan)
        for name in state.columns
    )
    lower, upper = _ends(given, state.nominal)
    intervals(lower, upper, target, float(state.nominal[0]), offsets, places, state.edges, into)


def _ends(
    given: Sequence[NDArray[np.float64]], nominal: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lower and the upper ends, as they stand or prediction ∓ reach · std; a negative std makes ends that cross."""
    first, second = given
    if nominal.size == 1:
        return first, second
    with np.errstate(invalid="ignore", over="ignore"):
        away = nominal[1] * second
        return first - away, first + away
