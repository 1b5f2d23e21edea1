"""What a reader of the report should know of a table, in words."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from gpumon.profiles.groups import SliceLosses
from gpumon.profiles.labels import Confusion, Labelled, Residuals, Scores
from gpumon.profiles.numeric import Numeric
from gpumon.schema import Kind, Role
from gpumon.tables.columns import listed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gpumon.profiles.profile import Profile
    from gpumon.tables.paths import Unreadable
    from gpumon.tables.schema import Differences

__all__ = ["differences", "left_out", "of_labels", "of_slices", "rounded"]

BEYOND_FLOAT = 2**53
MOST_SLICED = 24  # columns of which slices are made: pairs grow with the square
MOST_FILES = 100  # that notes name one by one


def differences(
    name: str, found: Differences, columns: Sequence[str] | None = None, ignored: Collection[str] = ()
) -> list[str]:
    """Columns that only one of the tables has, but for those that are ignored or not asked for."""
    new = [column for column in found.new if column not in ignored and columns is None]
    notes = []
    for names, has, other in ((found.missing, "lacks", "has"), (new, "has", "lacks")):
        if names:
            what = "column" if len(names) == 1 else "columns"
            notes.append(f"{name} {has} {what} {listed(names)}, which the reference {other}")
    return notes


def rounded(counted: Profile, name: str) -> list[str]:
    """Columns of integers too large for a float64, which were counted as the nearest one."""
    large = {
        key.subject
        for key, state in counted.states.items()
        if isinstance(state, Numeric)
        and key.aspect == "values"
        and "int" in counted.schema[key.subject].type
        and max(abs(state.extremes[0]), abs(state.extremes[1])) > BEYOND_FLOAT
        and state.moments[0]
    }
    return [
        f"{name}: column {column!r} holds integers beyond 2^53, counted as the nearest float64"
        for column in sorted(large)
    ]


def left_out(name: str, files: Sequence[Unreadable]) -> list[str]:
    """Files that could not be read and are not in the counts, with the rows that they were to have."""
    notes = [
        f"{name}: a file was skipped, {f'{file.rows:,} rows' if file.rows is not None else 'rows unknown'}: {file.why}"
        for file in files[:MOST_FILES]
    ]
    if len(files) > MOST_FILES:
        notes.append(f"{name}: {len(files) - MOST_FILES:,} more files were skipped")
    return notes


def of_labels(counted: Profile, name: str) -> list[str]:
    """Predictions without any label, classes that are new, scores that are no numbers, or of no one knows which class."""
    notes = []
    scores = counted.schema.of(Role.SCORE)
    if (
        counted.schema.of(Role.TARGET)
        and len(scores) > 1
        and not any(isinstance(state, Scores) for state in counted.plan.values())
    ):
        notes.append(
            f"{name}: the scores {listed(scores)} are only described: say of which class each is, {{class: column}}, or what "
            "their names begin with"
        )
    for aspect, plan in (
        (key[1], state) for key, state in counted.plan.items() if isinstance(state, Labelled)
    ):
        found = [state for key, state in counted.states.items() if key[2:] == ("", aspect)]
        whole = reduce(add, found, plan)
        what = f"{name}: " if aspect in {"confusion", "scores", "residuals"} else f"{name}, {aspect}: "
        if isinstance(whole, Confusion):
            k = len(whole.classes)
            new = int(whole.counts[k].sum() + whole.counts[:, k].sum() - whole.counts[k, k])
            if new:
                notes.append(f"{what}{new:,} rows have classes that the reference lacks, counted as one")
        elif isinstance(whole, Scores):
            lost = int(whole.counts[:, -2].sum())
            if lost:
                notes.append(f"{what}{lost:,} scores are NaN or infinite and were left out")
        if isinstance(whole, Confusion | Residuals) and whole.rows and not whole.labelled:
            target = whole.columns[0]
            notes.append(
                f"{what}no row has a label in {target!r}; are they still to come, or does the key not fit?"
            )
    return notes


def of_slices(counted: Profile, name: str) -> list[str]:
    """Features that make no slices because there are too many of them, if slices of all were asked for."""
    plan = counted.plan.get(("", "slices"))
    if not isinstance(plan, SliceLosses) or len(plan.features) < MOST_SLICED:
        return []
    roles, kinds = {Role.FEATURE, Role.SENSITIVE}, {Kind.NUMERIC, Kind.CATEGORICAL, Kind.BOOLEAN}
    features = [column.name for column in counted.schema if column.role in roles and column.kind in kinds]
    rest = [name for name in features if name not in plan.features]
    if not rest:
        return []
    return [
        f"{name}: slices are made of {MOST_SLICED} columns and not of {listed(rest)}: name those that matter with slices"
    ]
