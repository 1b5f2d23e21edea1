"""Logged attributions: which column belongs to which feature, and their sums in a batch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.engines.labels import as_floats
from gpumon.errors import OptionError, SchemaError
from gpumon.profiles.attributions import CHECKS, Attributions
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
    schema: Schema, attributions: Mapping[str, str], name: str, base: float | str | None = None
) -> dict[tuple[str, str], State]:
    """The state of the columns with the role attribution, with nothing counted; none if there are none.

    ``attributions`` are feature → column; a column that is in no such pair belongs to the feature that its name ends with.
    ``base`` is what a prediction is before any feature adds to it, a number or a column.
    """
    named = schema.of(Role.ATTRIBUTION)
    columns = [column for column in named if column != base]
    if not columns:
        return {}
    wrong = [column for column in named if schema[column].kind is not Kind.NUMERIC]
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
    if base is None:
        return {("", "attributions"): Attributions.on(features, columns)}
    output = [each for each in (schema.of(Role.SCORE) or schema.of(Role.PREDICTION)) if each in schema]
    if len(output) != 1 or schema[output[0]].kind is not Kind.NUMERIC:
        raise OptionError(
            f"{name}: attributions and a base value add up to one score or prediction that is a number: say which column that is"
        )
    told: dict[str, Any] = (
        {"base_column": (base,)} if isinstance(base, str) else {"base": np.array([float(base)])}
    )
    return {("", "attributions"): Attributions.on(features, columns, output, **told)}


TOLERANCE = 1e-3
"""By how much Σ φ + base may differ from the output."""


def attributed(state: Attributions, batch: pa.RecordBatch, offsets: NDArray[np.int64]) -> list[Attributions]:
    """The sums of every slice of a batch."""
    there, nothing = set(batch.schema.names), np.full(batch.num_rows, np.nan)
    values = np.array([as_floats(batch.column(c)) if c in there else nothing for c in state.columns])
    known = np.isfinite(values)
    starts = offsets[:-1]  # no slice is empty
    n = np.add.reduceat(known, starts, axis=1, dtype=np.int64)
    sizes = np.abs(np.where(known, values, 0.0))
    with np.errstate(over="ignore"):
        sums, squares = (np.add.reduceat(x, starts, axis=1) for x in (sizes, sizes**2))
    checks = np.zeros((len(CHECKS), batch.num_rows), np.bool_)
    checks[0], checks[1] = True, known.all(axis=0)
    if state.output:
        output, base = (
            as_floats(batch.column(names[0])) if names and names[0] in there else nothing
            for names in (state.output, state.base_column)
        )
        with np.errstate(over="ignore", invalid="ignore"):
            total = values.sum(axis=0) + (state.base[0] if state.base.size else base)
            checks[2] = checks[1] & np.isfinite(total) & np.isfinite(output)
            checks[3] = checks[2] & (np.abs(total - output) > TOLERANCE)
            checks[4] = checks[2] & (np.abs(1 / (1 + np.exp(-total)) - output) > TOLERANCE)
    counted = np.add.reduceat(checks, starts, axis=1, dtype=np.int64)
    return [
        replace(state, **dict(zip(("n", "sums", "squares", "checks"), parts, strict=True)))
        for parts in zip(n.T, sums.T, squares.T, counted.T, strict=True)
    ]
