"""Predictions and labels: how batches are counted, on the states that :mod:`gpumon.engines.label_plan` plans."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.engines import predicted_intervals
from gpumon.engines.coding import Coder
from gpumon.engines.columns import as_floats, numbers, numbers_in, string_parts, strings
from gpumon.engines.expected_losses import Expecting
from gpumon.engines.worst_rows import Largest, errors_of
from gpumon.kernels import (
    ClusterCounts,
    ConfidenceCounts,
    ConfusionCounts,
    RankedCounts,
    ResidualCounts,
    ScoreCounts,
    on_host,
    select,
)
from gpumon.kernels.expected_losses import ExpectedCounts
from gpumon.kernels.lookup import Guide, guide
from gpumon.kernels.predicted_intervals import IntervalCounts
from gpumon.profiles.clusters import Clusters
from gpumon.profiles.confidence import Confidence
from gpumon.profiles.expected_losses import ExpectedLosses
from gpumon.profiles.intervals import Intervals
from gpumon.profiles.labels import (
    Confusion,
    Labelled,
    Residuals,
    Scores,
    SortedScores,
)
from gpumon.profiles.profile import Key
from gpumon.profiles.ranked_classes import RankedClasses
from gpumon.profiles.worst_rows import WorstRows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from gpumon.kernels import Kernels
    from gpumon.profiles.groups import Groups, SliceLosses, SlicePredictions
    from gpumon.profiles.profile import Profile, Slice
    from gpumon.profiles.state import State

__all__ = [
    "Coded",
    "LabelCounter",
    "LabelTally",
    "as_floats",
    "digest",
    "predicted_classes",
    "weights_of",
]

Coded = Callable[[tuple[str, ...], str], "NDArray[np.int32]"]
"""From classes and a column to the class numbers of a batch."""


def digest(key: pa.Array) -> NDArray[np.uint64]:
    """A 64-bit hash of every string of a column."""
    return select("cpu").hash_strings(*string_parts(strings(key)))


class LabelCounter:
    """What counting needs beside the plan; made once, and shared by threads."""

    def __init__(self, like: Profile, kernels: Kernels) -> None:
        self.kernels = kernels
        own = (
            Confusion
            | Scores
            | Confidence
            | Residuals
            | SortedScores
            | Intervals
            | ExpectedLosses
            | WorstRows
            | RankedClasses
            | Clusters
        )
        self.states: dict[tuple[str, str], Labelled] = {
            key: state for key, state in like.plan.items() if isinstance(state, own)
        }
        self.coders: dict[tuple[str, ...], Coder] = {}
        self.guides: dict[tuple[str, str], tuple[Guide, ...]] = {}
        self.expected: dict[tuple[str, str], Expecting] = {}
        for key, state in self.states.items():
            if isinstance(state, Scores | Confidence | RankedClasses):
                self.guides[key] = (guide(state.edges),)
            elif isinstance(state, Residuals):
                self.guides[key] = tuple(guide(each) for each in (state.edges, state.sizes, state.steps))
            elif isinstance(state, ExpectedLosses):
                self.expected[key] = Expecting(state, like, kernels)

    def coder(self, classes: tuple[str, ...]) -> Coder:
        """The coder of some classes."""
        return self.coders.setdefault(classes, Coder(classes, self.kernels))


class LabelTally:
    """What the batches counted so far left behind, a place for every slice."""

    def __init__(self, counter: LabelCounter) -> None:
        self.counter = counter
        self.held: dict[tuple[str, str], Any] = {}
        self.sorted: dict[tuple[str, str], dict[tuple[int, int], list[NDArray[np.float64]]]] = {}
        self.worst: dict[tuple[str, str], Largest] = {}

    def coded(self, batch: pa.RecordBatch) -> Coded:
        """The class numbers of the columns of a batch, each made once."""
        there = set(batch.schema.names)
        codes: dict[tuple[tuple[str, ...], str], NDArray[np.int32]] = {}

        def coded(classes: tuple[str, ...], column: str) -> NDArray[np.int32]:
            if (classes, column) not in codes:
                missing = np.full(batch.num_rows, len(classes) + 1, np.int32)
                coder = self.counter.coder(classes)
                codes[classes, column] = coder.of_column(batch, column) if column in there else missing
            return codes[classes, column]

        return coded

    def add(
        self,
        batch: pa.RecordBatch,
        offsets: NDArray[np.int64],
        places: NDArray[np.int64],
        size: int,
        coded: Coded,
        cells: Mapping[tuple[str, str], NDArray[np.uint16]],
    ) -> None:
        """Count a batch whose rows are grouped by slice; ``size`` places are needed, ``coded`` is of this batch.

        ``cells`` are those of the numeric columns' values, if expected losses are counted.
        """
        there = set(batch.schema.names)
        for key, state in self.counter.states.items():
            if there.isdisjoint(state.columns[1:]):
                continue
            if isinstance(state, SortedScores):
                self._keep(key, batch, self._labels(state, coded), offsets, places)
                continue
            if isinstance(state, WorstRows):
                self._look(key, state, batch, coded, offsets, places)
                continue
            weights = weights_of(state, batch)
            into = self._into(key, state, size)
            if isinstance(state, Confusion):
                actual = coded(state.classes, state.columns[0])
                predicted = predicted_classes(state, batch, coded)
                self.counter.kernels.confusion(actual, predicted, weights, offsets, places, into)
            elif isinstance(state, Scores):
                labels = self._labels(state, coded)
                score = numbers_in(batch, state.columns[1], device=self.counter.kernels.DEVICE)
                (table_of_cells,) = self.counter.guides[key]
                self.counter.kernels.scored(score, labels, weights, offsets, places, table_of_cells, into)
            elif isinstance(state, Residuals):
                y, p = (
                    as_floats(batch.column(name)) if name in there else np.full(batch.num_rows, np.nan)
                    for name in state.columns
                )
                guides: Any = self.counter.guides[key]
                centre = float(state.centre[0])
                self.counter.kernels.residuals(y, p, weights, centre, offsets, places, guides, into)
            elif isinstance(state, Confidence):
                scores = scores_of(state.columns[1:], batch)
                confusion: Any = self.counter.states["", "confusion"]  # its classes are those of the scores
                actual = coded(confusion.classes, state.columns[0])
                predicted = predicted_classes(confusion, batch, coded)
                (table_of_cells,) = self.counter.guides[key]
                host = on_host(self.counter.kernels)
                host.confidences(scores, actual, predicted, weights, offsets, places, table_of_cells, into)
            elif isinstance(state, RankedClasses):
                actual = coded(state.classes, state.columns[0])
                host, (table_of_cells,) = on_host(self.counter.kernels), self.counter.guides[key]
                for i, name in enumerate(state.columns[1:]):
                    if name in there:
                        scores = as_floats(batch.column(name))
                        host.ranked(scores, actual, i, offsets, places, table_of_cells, into.counts)
            elif isinstance(state, Clusters):
                z = state.standardised(scores_of(state.columns, batch))
                host = on_host(self.counter.kernels)
                host.clustered(z, state.places, state.edges, offsets, places, into)
            elif isinstance(state, Intervals):
                predicted_intervals.count(state, batch, offsets, places, into)
            elif isinstance(state, ExpectedLosses):
                self.counter.expected[key](batch, cells, weights, offsets, places, into)

    def _look(
        self,
        key: tuple[str, str],
        state: WorstRows,
        batch: pa.RecordBatch,
        coded: Coded,
        offsets: NDArray[np.int64],
        places: NDArray[np.int64],
    ) -> None:
        """Look for the rows of largest error."""
        labels = None
        if len(state.classes) == 1:
            labels = self._labels(state, coded)
        elif state.classes:
            labels = coded(state.classes, state.columns[0])
        (identity,) = state.identity
        ids = batch.column(identity) if identity in batch.schema.names else None
        errors = errors_of(state, batch, labels)
        self.worst.setdefault(key, Largest(state)).add(errors, ids, offsets, places)

    def _labels(self, state: Scores | SortedScores | WorstRows, coded: Any) -> NDArray[np.int32]:
        """0 (negative), 1 (positive) or 2 (unlabelled) for every row."""
        known = self._classes(state)
        at = known.index(state.positive[0])
        labels: NDArray[np.int32] = coded(known, state.columns[0])
        if len(known) == 2 and at == 1 and not (labels > 1).any():
            return labels
        table = np.zeros(len(known) + 2, np.int32)
        table[at], table[-1] = 1, 2
        return np.asarray(table[labels])

    def _keep(
        self,
        key: tuple[str, str],
        batch: pa.RecordBatch,
        labels: NDArray[np.int32],
        offsets: NDArray[np.int64],
        places: NDArray[np.int64],
    ) -> None:
        """Keep the scores of every slice by label."""
        scores = as_floats(batch.column(self.counter.states[key].columns[1]))
        held = self.sorted.setdefault(key, {})
        for place, start, stop in zip(places.tolist(), offsets[:-1], offsets[1:], strict=True):
            part, of = scores[start:stop], labels[start:stop]
            known = np.isfinite(part)
            for label in (0, 1):
                held.setdefault((place, label), []).append(part[known & (of == label)])

    def _classes(self, state: Scores | SortedScores | WorstRows) -> tuple[str, ...]:
        """The classes of the confusion of the same target, so that labels are coded once."""
        confusion = self.counter.states.get(("", "confusion"))
        if isinstance(confusion, Confusion) and state.positive[0] in confusion.classes:
            return confusion.classes
        return state.positive

    def _into(self, key: tuple[str, str], state: State, size: int) -> Any:
        """The sums of a state, with a place for every slice."""
        held = self.held.get(key)
        if held is None or len(held[0]) < size:
            kind, names = _FIELDS[type(state)]
            places = size if held is None else 2 * size
            room = kind(*(np.repeat(getattr(state.empty(), name)[None], places, axis=0) for name in names))
            if held is not None:
                for new, old in zip(room, held, strict=True):
                    new[: len(old)] = old
            held = self.held[key] = room
        return held

    def states(self, places: Mapping[Slice, int]) -> dict[Key, State]:
        """What was counted, by key."""
        found: dict[Key, State] = {}
        for (subject, aspect), held in self.held.items():
            state = self.counter.states[subject, aspect]
            _, names = _FIELDS[type(state)]
            for (window, segment), place in places.items():
                if place < len(held[0]):
                    counted = {name: array[place] for name, array in zip(names, held, strict=True)}
                    found[Key(window, segment, subject, aspect)] = _with(state, counted)
        for key, worst in self.worst.items():
            for (window, segment), state in worst.states(places):
                found[Key(window, segment, *key)] = state
        for key, parts in self.sorted.items():
            state = self.counter.states[key]
            for (window, segment), place in places.items():
                sides = [parts.get((place, label)) for label in (0, 1)]
                if sides[0] is not None and sides[1] is not None:
                    negatives, positives = (
                        np.sort(np.concatenate(side)) for side in sides if side is not None
                    )
                    kept = {"negatives": negatives, "positives": positives}
                    found[Key(window, segment, *key)] = _with(state, kept)
        return found


def weights_of(state: Labelled, batch: pa.RecordBatch) -> NDArray[np.float64] | None:
    """The weights of the rows, None if they have none; a missing or negative one counts nothing."""
    if not state.weight:
        return None
    if state.weight[0] not in batch.schema.names:
        return np.zeros(batch.num_rows)
    w = as_floats(batch.column(state.weight[0]))
    return np.where(np.isfinite(w) & (w > 0), w, 0.0)


def predicted_classes(
    state: Confusion | Groups | SliceLosses | SlicePredictions, batch: pa.RecordBatch, coded: Coded
) -> NDArray[np.int32]:
    """The number of the class that is predicted for every row, as ``coded`` numbers them."""
    k = len(state.classes)
    if state.threshold.size:
        p, valid = numbers(batch.column(state.columns[1]))
        codes: NDArray[np.int32] = (p >= state.threshold[0]).astype(np.int32)
        missing = ~np.isfinite(p) if p.dtype.kind == "f" else np.zeros(p.size, np.bool_)
        if valid is not None:
            missing |= ~valid
        if missing.any():
            codes[missing] = k + 1
        return codes
    if len(state.columns) > 2:
        scores = scores_of(state.columns[1:], batch)
        known = np.isfinite(scores).all(axis=0)
        return np.where(known, np.argmax(np.nan_to_num(scores), axis=0), k + 1).astype(np.int32)
    return coded(state.classes, state.columns[1])


def scores_of(columns: Sequence[str], batch: pa.RecordBatch) -> NDArray[np.float64]:
    """Columns of scores side by side, (columns, rows); NaN where missing, or where the batch lacks the column."""
    there, nothing = set(batch.schema.names), np.full(batch.num_rows, np.nan)
    return np.stack([as_floats(batch.column(name)) if name in there else nothing for name in columns])


_FIELDS: dict[type, tuple[Any, tuple[str, ...]]] = {
    Confusion: (ConfusionCounts, ConfusionCounts._fields),
    Scores: (ScoreCounts, ScoreCounts._fields),
    Confidence: (ConfidenceCounts, ConfidenceCounts._fields),
    Residuals: (ResidualCounts, ResidualCounts._fields),
    RankedClasses: (RankedCounts, RankedCounts._fields),
    Clusters: (ClusterCounts, ClusterCounts._fields),
    Intervals: (IntervalCounts, IntervalCounts._fields),
    ExpectedLosses: (ExpectedCounts, ExpectedCounts._fields),
}


def _with(state: State, counted: Mapping[str, Any]) -> State:
    from dataclasses import replace

    return replace(state, **counted)
