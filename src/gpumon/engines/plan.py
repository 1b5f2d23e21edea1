"""The plan of a profile: edges, vocabularies and centres taken from (a sample of) the reference, with nothing counted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpumon.engines import clusters, worst_rows
from gpumon.engines.attributions import attribution_states
from gpumon.engines.columns import PATTERNS, as_floats, in_bytes, strings
from gpumon.engines.groups import group_states
from gpumon.engines.label_plan import label_states
from gpumon.kernels.lookup import cells_of
from gpumon.profiles.categorical import MOST_CATEGORIES, Categorical, Names
from gpumon.profiles.numeric import Numeric, Sorted, edges_of
from gpumon.profiles.pairs import Pairs
from gpumon.profiles.profile import Profile
from gpumon.profiles.times import Rows, Times
from gpumon.schema import Kind, Role
from gpumon.tables.columns import values_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from gpumon.engines.label_plan import Labelling
    from gpumon.profiles.state import State
    from gpumon.schema import Column, Schema

__all__ = ["MOST_CORRELATED", "plan", "settled"]

MOST_CORRELATED = 200
"""Numeric columns up to which the co-moments of all pairs are kept (their number grows with the square)."""

LONGEST_NAME = 256  # bytes: a longer value is counted by its hash, not by name


def plan(
    schema: Schema,
    sample: pa.Table,
    *,
    pairs: bool = True,
    exact: bool = False,
    labelling: Labelling | None = None,
    attributions: Mapping[str, str] | None = None,
    base_value: float | str | None = None,
    name: str = "the table",
) -> Profile:
    """An empty profile whose edges, vocabularies and centres fit ``sample``, rows of the reference.

    ``pairs`` keeps the co-moments of the numeric columns, for correlations; ``exact`` keeps every numeric value;
    ``labelling`` says how predictions are to be read, ``attributions`` which column holds those of a feature, and
    ``base_value`` what they start from; ``name`` is what messages call the table.
    """
    values = {
        column.name: as_floats(sample.column(column.name))
        for column in schema
        if column.kind is Kind.NUMERIC and column.name in sample.column_names
    }
    states: dict[tuple[str, str], State] = {("", "rows"): Rows.on()}
    with ThreadPoolExecutor() as pool:  # sorting leaves the interpreter's lock
        for found in pool.map(lambda column: _states(column, sample, values), schema):
            states |= found
        if exact:
            states |= {(name, "sorted"): Sorted.on() for name in values}
        if pairs:
            states |= _pairs(schema, values, states, pool)
    predicted = label_states(schema, sample, labelling, name, exact=exact)
    states |= predicted
    if labelling is not None and labelling.worst:
        states["", "worst rows"] = worst_rows.planned(states, schema.of(Role.ID), labelling.worst, name)
    if labelling is not None and labelling.clusters and predicted:
        states["", "clusters"] = clusters.planned(schema, sample, labelling.clusters, name)
    states |= group_states(schema, sample, states, labelling, name)
    states |= attribution_states(schema, attributions or {}, name, base_value)
    return Profile(schema, states)


def settled(counted: Profile) -> Profile:
    """The profile of a reference with the categories that its sample missed moved into the vocabularies.

    A column is left as it is where they are too many to be all known by name, or not known in full.
    """
    plan, states = dict(counted.plan), dict(counted.states)
    for (subject, aspect), state in counted.plan.items():
        if not isinstance(state, Categorical):
            continue
        keys = [key for key in counted.states if key[2:] == (subject, aspect)]
        found = [each for key in keys if isinstance(each := counted.states[key], Categorical)]
        names = reduce(add, (each.names for each in found), Names.none())
        values = [value for value, _ in names.items()]
        most = MOST_CATEGORIES - len(state.vocabulary)
        if not values or not names.complete or len(values) > most or not all(map(_in_full, values)):
            continue
        vocabulary = state.vocabulary + tuple(values)
        plan[subject, aspect] = Categorical.on(vocabulary)
        for key, each in zip(keys, found, strict=True):
            known = dict(each.names.items())
            counts = np.concatenate((each.counts, [known.get(value, 0) for value in values]))
            states[key] = Categorical(
                vocabulary, counts, np.zeros_like(each.outside), each.missing, Names.none(), each.registers
            )
    return Profile(counted.schema, plan, states, counted.facts)


def _in_full(name: str) -> bool:
    """Whether a name is surely the value itself, not shortened and not mended."""
    return len(name) < LONGEST_NAME // 2 and "\N{REPLACEMENT CHARACTER}" not in name


def _states(
    column: Column, sample: pa.Table, values: Mapping[str, NDArray[np.float64]]
) -> dict[tuple[str, str], State]:
    name = column.name
    if column.kind is Kind.NUMERIC:
        return {(name, "values"): Numeric.on(edges_of(values[name]))}
    if column.kind is Kind.DATETIME:
        return {(name, "values"): Times.on()}
    if column.kind is Kind.BOOLEAN:
        return {(name, "values"): Categorical.on(("false", "true"))}
    array = sample.column(name).combine_chunks() if name in sample.column_names else pa.nulls(0)
    if column.kind is Kind.CATEGORICAL:
        return {(name, "values"): Categorical.on(_vocabulary(array))}
    lengths = values_of(pc.drop_null(pc.utf8_length(strings(array))))
    return {
        (name, "values"): Categorical.on(()),
        (name, "length"): Numeric.on(edges_of(lengths.astype(np.float64))),
        (name, "pattern"): Categorical.on(tuple(PATTERNS)),
    }


def _vocabulary(array: pa.Array) -> tuple[str, ...]:
    """The distinct values, most frequent first, equal ones in the order of the alphabet."""
    counted = pc.value_counts(pc.drop_null(strings(array)))
    pairs = zip(
        map(_name, in_bytes(counted.field("values"))), counted.field("counts").to_pylist(), strict=True
    )
    named = ((name, n) for name, n in pairs if name is not None)
    return tuple(name for name, _ in sorted(named, key=lambda pair: (-pair[1], pair[0]))[:MOST_CATEGORIES])


def _name(value: bytes | None) -> str | None:
    """A value as text; None if it is too long for a vocabulary, or no UTF-8."""
    if value is None or len(value) > LONGEST_NAME:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _pairs(
    schema: Schema,
    values: Mapping[str, NDArray[np.float64]],
    states: Mapping[tuple[str, str], State],
    pool: Executor,
) -> dict[tuple[str, str], State]:
    others = {Role.ID, Role.TIMESTAMP, Role.ATTRIBUTION}
    names = [c.name for c in schema if c.kind is Kind.NUMERIC and c.role not in others]
    if not 2 <= len(names) <= MOST_CORRELATED:
        return {}
    centre, scale = np.array([*pool.map(lambda name: _centre_and_scale(values[name]), names)]).T
    ranks = pool.map(lambda name: _mid_ranks(values[name], states[name, "values"]), names)
    zeros, ones = np.zeros(len(names)), np.ones(len(names))
    return {
        ("", "pearson"): Pairs.on(names, centre.copy(), scale.copy(), np.zeros(0)),
        ("", "spearman"): Pairs.on(names, zeros, ones, np.concatenate([*ranks])),
    }


def _centre_and_scale(values: NDArray[np.float64]) -> tuple[float, float]:
    """The median, and half of what lies between the 5 % at either end; 0 and 1 where that says nothing.

    Never below the smallest normal number, whose reciprocal is still finite.
    """
    x = values[np.isfinite(values)]
    if not x.size:
        return 0.0, 1.0
    low, middle, high = np.quantile(x, (0.05, 0.5, 0.95), method="nearest")
    spread = high / 2 - low / 2  # halves, as the whole may be beyond the largest float
    return float(middle), float(max(spread, np.finfo(np.float64).tiny)) if spread > 0 else 1.0


def _mid_ranks(values: NDArray[np.float64], state: State) -> NDArray[np.float64]:
    """The middle of each cell's ranks as a share of the rows, less one half; for the missing, 0."""
    assert isinstance(state, Numeric)
    counts = np.bincount(cells_of(values, state.edges), minlength=state.counts.size)
    ordered = counts[:-2]
    ranks = (np.cumsum(ordered) - ordered / 2) / max(int(ordered.sum()), 1) - 0.5
    return np.concatenate((ranks, (0.0, 0.0)))
