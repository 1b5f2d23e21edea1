"""Logged attributions: which column belongs to which feature, and their sums in a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.engines.labels import as_floats
from gpumon.errors import OptionError, SchemaError
from gpumon.profiles.attributions import Attributions
from gpumon.schema import Kind, Role
from gpumon.tables.columns import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from gpumon.profiles.state import State
    from gpumon.schema import Schema

__all__ = ["attributed", "attribution_columns", "attribution_states"]


def attribution_columns(given: Any, names: Sequence[str], name: str) -> dict[str, str]:
    """Feature → column of its attributions, from a mapping of that form or from what the names of such columns begin with."""
    if isinstance(given, str):
        found = {each.removeprefix(given): each for each in names if each.startswith(given) and each != given}
        if not found:
            raise SchemaError(
                f"{name} has no column whose name begins with {given!r}: attributions are what such columns are called, or a "
                "mapping from feature to column"
            )
        return found
    return {str(feature): str(column) for feature, column in given.items()}


def attribution_states(
    schema: Schema, attributions: Mapping[str, str], name: str
) -> dict[tuple[str, str], State]:
    """The state of the columns with the role attribution, with nothing counted; none if there are none.

    ``attributions`` are feature → column; a column that is in no such pair belongs to the feature that its name ends with.
    """
    columns = schema.of(Role.ATTRIBUTION)
    if not columns:
        return {}
    wrong = [column for column in columns if schema[column].kind is not Kind.NUMERIC]
    if wrong:
        raise SchemaError(f"{name}: attributions are numbers, and {listed(wrong)} hold none; convert them")
    of = {column: feature for feature, column in attributions.items()}
    known = sorted(schema.of(Role.FEATURE), key=len, reverse=True)
    features = [
        of.get(column) or next((each for each in known if column.endswith(each)), column)
        for column in columns
    ]
    if len(set(features)) < len(features):
        raise OptionError(
            f"{name}: two columns are attributions of one feature; give a mapping from feature to column"
        )
    return {("", "attributions"): Attributions.on(features, columns)}


def attributed(state: Attributions, batch: pa.RecordBatch, offsets: NDArray[np.int64]) -> list[Attributions]:
    """The sums of every slice of a batch."""
    there, nothing = set(batch.schema.names), np.full(batch.num_rows, np.nan)
    sizes = np.abs([as_floats(batch.column(c)) if c in there else nothing for c in state.columns])
    known = np.isfinite(sizes)
    starts = offsets[:-1]  # no slice is empty
    n = np.add.reduceat(known, starts, axis=1, dtype=np.int64)
    sums = np.add.reduceat(np.where(known, sizes, 0.0), starts, axis=1)
    return [Attributions(state.features, state.columns, *parts) for parts in zip(n.T, sums.T, strict=True)]
