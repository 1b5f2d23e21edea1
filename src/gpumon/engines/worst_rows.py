"""The rows of largest error: what is planned for them, and how batches are looked through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.engines.columns import as_floats, in_bytes, strings
from gpumon.errors import OptionError
from gpumon.profiles.labels import Residuals, Scores
from gpumon.profiles.worst_rows import WorstRows
from gpumon.tables.columns import indices

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from gpumon.profiles.state import State

__all__ = ["LONGEST_ID", "Largest", "errors_of", "planned"]

LONGEST_ID = 1_000
"""Characters of an id that are kept."""


def planned(
    states: Mapping[tuple[str, str], State], identity: Sequence[str], most: int, name: str
) -> WorstRows:
    """The state for the ``most`` worst rows beside the others of predictions and labels; OptionError if none can be."""
    if not identity:
        raise OptionError(f"{name}: worst_rows needs a column that says which row it is: give it the role id")
    residuals, score = states.get(("", "residuals")), states.get(("", "scores"))
    columns: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    if isinstance(residuals, Residuals):
        columns = residuals.columns
    elif isinstance(score, Scores):
        columns, classes = score.columns, score.positive
    else:
        found = [
            state
            for (_, aspect), state in states.items()
            if isinstance(state, Scores) and aspect.startswith("scores ")
        ]
        if found:
            columns = (found[0].columns[0], *(state.columns[1] for state in found))
            classes = tuple(state.positive[0] for state in found)
    if not columns:
        raise OptionError(
            f"{name}: worst_rows needs scores, or predicted quantities: predicted classes are right or wrong, and none "
            "more than another"
        )
    return WorstRows.on(columns, (), identity[:1], classes, np.array([most]))


def errors_of(
    state: WorstRows, batch: pa.RecordBatch, labels: NDArray[np.int32] | None
) -> NDArray[np.float64]:
    """The error of every row, NaN where there is no label, no prediction, or no probability.

    ``labels`` of a single score are 0 (negative), 1 (positive) or 2 (none); of several their places among the classes,
    then any other class, then none.
    """
    there = set(batch.schema.names)
    nothing = np.full(batch.num_rows, np.nan)

    def column(name: str) -> NDArray[np.float64]:
        return as_floats(batch.column(name)) if name in there else nothing

    if labels is None:
        y, p = (column(name) for name in state.columns)
        with np.errstate(invalid="ignore", over="ignore"):
            e = np.abs(p - y)
        return np.where(np.isfinite(y) & np.isfinite(p), e, np.nan)
    if len(state.classes) == 1:
        p = column(state.columns[1])
        e = np.where(labels == 1, 1 - p, p)
        known = labels < 2
    else:
        p = np.full(batch.num_rows, np.nan)
        for i, name in enumerate(state.columns[1:]):
            mine = np.flatnonzero(labels == i)
            p[mine] = column(name)[mine]
        p[labels == len(state.classes)] = 0.0  # a class that the model does not know
        e, known = 1 - p, labels <= len(state.classes)
    with np.errstate(invalid="ignore"):
        return np.where(known & (p >= 0) & (p <= 1), e, np.nan)


class Largest:
    """The largest errors of every slice so far."""

    def __init__(self, state: WorstRows) -> None:
        self.state = state
        self.held: dict[int, WorstRows] = {}
        self.limits = np.zeros(0)  # what an error must not be below, by place

    def add(
        self,
        errors: NDArray[np.float64],
        ids: pa.Array | None,
        offsets: NDArray[np.int64],
        places: NDArray[np.int64],
    ) -> None:
        """Look through a batch whose rows are grouped by slice; without ``ids`` its rows cannot be told."""
        if ids is None:
            return
        most = int(self.state.most[0])
        missing = int(places.max(initial=-1)) + 1 - self.limits.size
        if missing > 0:
            self.limits = np.concatenate((self.limits, np.full(missing, -np.inf)))
        limits = self.limits[places]
        each = limits[0] if len(limits) == 1 else np.repeat(limits, np.diff(offsets))
        rows = np.flatnonzero(errors >= each)
        if not rows.size:
            return
        cuts = np.searchsorted(rows, offsets)
        kept: list[tuple[int, NDArray[np.int64]]] = []
        for i in np.flatnonzero(np.diff(cuts)).tolist():
            mine = rows[cuts[i] : cuts[i + 1]]
            if mine.size > most:
                of = errors[mine]
                mine = mine[of >= np.partition(of, of.size - most)[of.size - most]]
            kept.append((int(places[i]), mine))
        texts = _texts(ids, np.concatenate([mine for _, mine in kept]))
        for place, mine in kept:
            told = [next(texts) for _ in range(mine.size)]
            found = self.held.get(place, self.state).joined(errors[mine], told)
            self.held[place] = found
            if len(found.ids) == most:
                self.limits[place] = found.errors[-1]

    def states(self, places: Mapping[Any, int]) -> Iterator[tuple[Any, WorstRows]]:
        """What was found, by slice."""
        for at, place in places.items():
            if place in self.held:
                yield at, self.held[place]


def _texts(ids: pa.Array, rows: NDArray[np.int64]) -> Iterator[str]:
    """The ids of some rows as texts; a missing one is empty, what is no UTF-8 shows as �."""
    for value in in_bytes(strings(ids.take(indices(rows)))):
        yield (value or b"").decode(errors="replace")[:LONGEST_ID]
