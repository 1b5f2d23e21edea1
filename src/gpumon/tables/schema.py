"""The kind and the role of every column: inferred from a sample, overridden by name, compared between tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from gpumon.errors import InputError, OptionError, SchemaError
from gpumon.schema import Column, Kind, Role, Schema, Skipped
from gpumon.tables.columns import (
    canonical_type,
    is_null,
    is_text,
    listed,
    refuse_column,
    refuse_doubles,
    skipped,
    values_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "Column",
    "Differences",
    "Kind",
    "Role",
    "Schema",
    "Skipped",
    "compatible",
    "infer",
    "telling_names",
]


IGNORE = "ignore"  # in the place of a role: the column is left out

# Names that tell a role by themselves, the surest first; at most one column gets each role this way.
TELLING = {
    Role.TARGET: ("y_true", "target", "label", "ground_truth"),
    Role.PREDICTION: ("y_pred", "prediction", "predicted", "predicted_label"),
    Role.SCORE: (
        "y_pred_proba",
        "y_score",
        "score",
        "probability",
        "predicted_probability",
        "prediction_score",
    ),
}


class Differences(NamedTuple):
    """Columns that only one of two tables has."""

    missing: tuple[str, ...]
    new: tuple[str, ...]


def infer(
    sample: pa.Table,
    *,
    columns: Sequence[str] | None = None,
    roles: Mapping[str, str | Sequence[str]] | None = None,
    kinds: Mapping[str, str] | None = None,
    timestamp: str | None = None,
    without: Sequence[Skipped] = (),
    name: str = "the table",
) -> Schema:
    """The schema of a table, from a sample of its rows.

    ``columns`` restricts the features (columns with a role of their own stay). ``roles`` maps a role to its column or
    columns, ``{"target": "y", "id": ["a", "b"], "ignore": "c"}``; a role that is given is not inferred as well.
    ``kinds`` maps a column to its kind. ``timestamp`` is the column of event times. ``without`` are columns that the
    table has already left out. ``name`` is what messages call the table.

    Roles are inferred only from names that leave no doubt (``TELLING``), and ID from ``id`` or ``*_id`` when all
    values of an integer or string column differ. Strings are TEXT if more than 1,000 values and 20 % of the rows are
    distinct, or if they are long (64 characters on average) and more than half are distinct; else CATEGORICAL.

    Raises SchemaError for a name that the table does not have, OptionError for an unknown role or kind.
    """
    refuse_doubles(sample.schema.names, name)
    left_out = (*without, *skipped(sample.schema))
    usable = [f.name for f in sample.schema if canonical_type(f.type) is not None]

    given = _given_roles(roles or {}, timestamp)
    for asked in (*given, *(kinds or {}), *(columns or ())):
        if asked not in usable:
            refuse_column(asked, usable, name, left_out)
    if columns is not None:
        usable = [n for n in usable if n in columns or n in given]
    usable = [n for n in usable if given.get(n) != IGNORE]

    told = {n: Role(r) for n, r in given.items() if r != IGNORE}
    told |= _telling(sample.select([n for n in usable if n not in told]), {Role(r) for r in told.values()})
    found = (
        _column(sample.schema.field(n), sample[n], told.get(n, Role.FEATURE), (kinds or {}).get(n))
        for n in usable
    )
    return Schema(tuple(found), left_out)


def compatible(reference: Schema, current: pa.Schema, *, name: str = "the current table") -> Differences:
    """The columns that ``current`` lacks, and those that only it has.

    Raises SchemaError where a column changed its kind (numbers that became strings, say; integer, float and decimal
    are all numbers, and a column that is all null fits any kind), InputError if no column is common to both.
    """
    types_now = {f.name: _type_text(f) for f in current if canonical_type(f.type) is not None}
    common = [c for c in reference if c.name in types_now]
    if not common:
        raise InputError(
            f"{name} has no column in common with the reference, which has {listed(reference.names)}; "
            f"it has {listed(current.names)}: check that both are tables of the same model"
        )
    for column in common:
        then, now = _family(column.type), _family(types_now[column.name])
        if then != now and "null" not in (column.type, types_now[column.name]):
            raise SchemaError(
                f"{name}: column {column.name!r} holds {now} ({types_now[column.name]}), in the reference {then} "
                f"({column.type}); convert it to {column.type}, or leave it out with the role 'ignore'"
            )
    missing = tuple(c.name for c in reference if c.name not in types_now)
    return Differences(missing, tuple(n for n in types_now if n not in reference))


def _given_roles(roles: Mapping[str, str | Sequence[str]], timestamp: str | None) -> dict[str, str]:
    """Column → role, from role → columns."""
    if timestamp is not None:
        roles = {**roles, Role.TIMESTAMP: timestamp}
    given: dict[str, str] = {}
    for role, names in roles.items():
        if role not in (*Role, IGNORE):
            raise OptionError(f"there is no role {role!r}; roles are {', '.join((*Role, IGNORE))}")
        for name in [names] if isinstance(names, str) else names:
            if given.setdefault(name, role) != role:
                raise OptionError(
                    f"column {name!r} is given two roles, {str(given[name])!r} and {str(role)!r}; give it one"
                )
    return given


def _telling(sample: pa.Table, taken: set[Role]) -> dict[str, Role]:
    """The roles that names and values tell."""
    lower = {name.lower(): name for name in reversed(sample.column_names)}
    told = {}
    for role, words in TELLING.items():
        for name in (lower[w] for w in words if w in lower and role not in taken):
            if role is not Role.SCORE or _family(_type_text(sample.schema.field(name))) == "numbers":
                told[name] = role
                break
    if Role.ID not in taken:
        told |= {name: Role.ID for name in sample.column_names if _is_id(name, sample[name])}
    return told


def telling_names(names: Sequence[str]) -> dict[str, str]:
    """The role → the column whose name tells it, of target, prediction and score.

    >>> telling_names(["x", "Y_true", "score"])
    {'target': 'Y_true', 'score': 'score'}
    """
    lower = {name.lower(): name for name in reversed(names)}
    found = {
        role.value: next((lower[w] for w in words if w in lower), None) for role, words in TELLING.items()
    }
    return {role: name for role, name in found.items() if name is not None}


def _is_id(name: str, values: pa.ChunkedArray) -> bool:
    if not (name.lower() == "id" or name.lower().endswith("_id")) or len(values) < 2:
        return False
    if types.is_dictionary(values.type):
        values = values.cast(pa.large_string())
    key = types.is_integer(values.type) or is_text(values.type)
    return bool(key and pc.count_distinct(values, mode="all").as_py() == len(values))


def _column(arrow: pa.Field, values: pa.ChunkedArray, role: Role, kind: str | None) -> Column:
    name, text = arrow.name, _type_text(arrow)
    if kind is None:
        found = _kind(values, text)
    elif kind in tuple(Kind):
        found = Kind(kind)
    else:
        raise OptionError(f"there is no kind {kind!r} (column {name!r}); kinds are {', '.join(Kind)}")
    fits = {Kind.NUMERIC: ("numbers", "true or false"), Kind.DATETIME: ("times", "times of day")}
    family = _family(text)
    if text != "null" and family not in fits.get(found, (family,)):
        raise SchemaError(f"column {name!r} holds {family} ({text}) and cannot be {found}; convert it first")
    return Column(name, found, role, text, found is Kind.NUMERIC and _is_discrete(values))


def _kind(values: pa.ChunkedArray, text: str) -> Kind:
    kinds = {
        "numbers": Kind.NUMERIC,
        "true or false": Kind.BOOLEAN,
        "times": Kind.DATETIME,
        "times of day": Kind.DATETIME,
    }
    if text == "string" and _is_text(values):
        return Kind.TEXT
    return kinds.get(_family(text), Kind.CATEGORICAL)


def _is_text(values: pa.ChunkedArray) -> bool:
    words = values.cast(pa.large_string())
    known = len(words) - words.null_count
    distinct = pc.count_distinct(words).as_py()
    if distinct > 1_000 and distinct > known / 5:
        return True
    return bool(distinct > known / 2 and pc.mean(pc.utf8_length(words)).as_py() > 64)


def _is_discrete(values: pa.ChunkedArray) -> bool:
    values = values.cast(canonical_type(values.type), safe=False).drop_null()
    distinct = np.array([])
    for part in (values.slice(0, 2_048), values):  # a few rows tell of most columns that they are not
        distinct = values_of(pc.unique(part))
        if part.type in (pa.float32(), pa.float64()):
            distinct = distinct[~np.isnan(distinct)]
        if len(distinct) > 50 or not (np.isfinite(distinct) & (distinct == np.floor(distinct))).all():
            return False
    return len(distinct) > 0


def _type_text(arrow: pa.Field) -> str:
    """The canonical type as text; one word for every form of strings, so that it does not depend on the source."""
    if is_null(arrow):
        return "null"
    kept = str(canonical_type(arrow.type))
    return "string" if "string" in kept else kept


def _family(text: str) -> str:
    """What values of a type are, in words: types of one family can be compared with one another."""
    families: Iterable[tuple[str, tuple[str, ...]]] = (
        ("numbers", ("int", "uint", "float", "double")),
        ("true or false", ("bool",)),
        ("times", ("timestamp", "date")),
        ("times of day", ("time64",)),
    )
    return next((family for family, starts in families if text.startswith(starts)), "strings")
