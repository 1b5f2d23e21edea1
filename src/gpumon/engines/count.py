"""Batches of rows → their profile: the only place where tables, kernels and profiles meet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpumon.engines.attributions import attributed
from gpumon.engines.columns import (
    in_bytes,
    microseconds,
    numbers,
    numbers_in,
    packed,
    pattern_codes,
    string_parts,
    strings,
)
from gpumon.engines.groups import GroupCounter, GroupTally
from gpumon.engines.labels import LabelCounter, LabelTally
from gpumon.errors import BackendError
from gpumon.kernels import NumericColumn, NumericCounts
from gpumon.kernels.lookup import Dictionary, Guide, dictionary, guide
from gpumon.profiles.attributions import Attributions
from gpumon.profiles.categorical import BUCKETS, Categorical, Names
from gpumon.profiles.labels import Labelled
from gpumon.profiles.numeric import Numeric, Sorted
from gpumon.profiles.pairs import Pairs
from gpumon.profiles.profile import Key, Profile
from gpumon.profiles.times import HOURS, Rows, Times
from gpumon.tables.columns import indices, validity, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from gpumon.kernels import Kernels
    from gpumon.profiles.profile import Slice
    from gpumon.profiles.state import State
    from gpumon.tables.slices import Slicing

__all__ = ["Counter"]

FEWEST_ROWS = 4_096  # that the memory of a device must take
LONGEST_NAME = 200  # characters of a value outside the vocabulary that its name keeps
FLAGS = ("false", "true")
HOUR = 3_600_000_000  # microseconds
MONDAY = 3 * 24  # hours from Monday 0 h to the first hour of 1970


@dataclass(frozen=True)
class Counter:
    """Counts batches on the plan of ``like``. Holds the look-up tables, which are made once; threads may share it."""

    like: Profile
    slicing: Slicing
    kernels: Kernels

    def __call__(
        self, batches: Iterable[pa.RecordBatch], progress: Callable[[int], None] = lambda _: None
    ) -> Profile:
        """The profile of some batches, counted one after the other; ``progress`` is called with the rows of each.

        Columns of the plan that a batch lacks leave no state. Of a batch that the memory of a device does not take, halves
        are counted, and halves of these; BackendError if it does not take a few thousand rows.
        """
        if self.kernels.DEVICE:
            total = self.like
            for batch in batches:
                total = total + self._on_device(batch)
                progress(batch.num_rows)
            return total
        tally = _Tally(self)
        for batch in batches:
            tally.add(batch)
            progress(batch.num_rows)
        return tally.profile()

    def _on_device(self, batch: pa.RecordBatch) -> Profile:
        """The profile of a batch; whoever runs out of memory half-way starts anew."""
        tally = _Tally(self)
        try:
            tally.add(batch)
            return tally.profile()
        except MemoryError as error:
            if batch.num_rows < 2 * FEWEST_ROWS:
                raise BackendError(
                    f"the memory of the GPU does not take {batch.num_rows:,} rows of this table: name fewer columns, stop "
                    "what else uses it, or use backend='cpu'"
                ) from error
        del tally  # and with the error all that it held
        half = batch.num_rows // 2
        return self._on_device(batch.slice(0, half)) + self._on_device(batch.slice(half))

    def sliced(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[Slice], NDArray[np.int64]]:
        """The batch with its rows grouped by slice, the slices, and where each begins and ends (slices + 1,)."""
        numbers, slices = self.slicing.number(batch)
        offsets = np.concatenate(([0], np.cumsum(np.bincount(numbers, minlength=len(slices)))))
        if len(slices) > 1 and (np.diff(numbers) < 0).any():
            batch = batch.take(indices(np.argsort(numbers, kind="stable")))
        return batch, slices, offsets

    def numeric(
        self, batch: pa.RecordBatch
    ) -> Iterator[tuple[tuple[str, str], NDArray[Any], NDArray[np.bool_] | None]]:
        """The numeric columns of a batch and the lengths of its texts: their keys, values and validity."""
        for (subject, aspect), state in self.like.plan.items():
            if isinstance(state, Numeric) and subject in batch.schema.names:
                if aspect == "length":
                    yield (subject, aspect), *numbers(pc.utf8_length(strings(batch.column(subject))))
                else:
                    yield (subject, aspect), *numbers_in(batch, subject, device=self.kernels.DEVICE)

    def others(
        self,
        batch: pa.RecordBatch,
        offsets: NDArray[np.int64],
        cells: Mapping[tuple[str, str], NDArray[np.uint16]],
    ) -> Iterator[tuple[tuple[str, str], list[Any]]]:
        """All other states, a list with one for each slice; ``cells`` are those of the numeric columns' values."""
        yield ("", "rows"), [Rows(np.array(n)) for n in np.diff(offsets)]
        there = set(batch.schema.names)
        for (subject, aspect), state in self.like.plan.items():
            if isinstance(state, Pairs):
                if not there.isdisjoint(state.columns):
                    yield (subject, aspect), self._pairs(state, batch, offsets, cells)
            elif isinstance(state, Attributions):
                if not there.isdisjoint(state.columns):
                    yield (subject, aspect), attributed(state, batch, offsets)
            elif isinstance(state, Sorted):
                if subject in there:
                    values, valid = numbers_in(batch, subject, device=self.kernels.DEVICE)
                    ordered = self.kernels.ordered(values, valid, offsets)
                    yield (subject, aspect), [Sorted(each) for each in ordered]
            elif subject in there and not isinstance(
                state, Numeric | Rows | Labelled
            ):  # a column may be called ""
                array = batch.column(subject)
                yield (subject, aspect), self._column(state, (subject, aspect), array, offsets)

    def _column(
        self, state: State, key: tuple[str, str], array: pa.Array, offsets: NDArray[np.int64]
    ) -> list[Any]:
        if isinstance(state, Times):
            return _times(array, offsets)
        assert isinstance(state, Categorical)
        if key[1] == "pattern":
            return self._classes(state, key, pattern_codes(strings(array)), offsets)
        if pa.types.is_boolean(array.type) and state.vocabulary == FLAGS:
            codes, valid = values_of(array).astype(np.int32), validity(array)
            return self._classes(state, key, codes if valid is None else np.where(valid, codes, -1), offsets)
        if isinstance(array, pa.DictionaryArray):
            return self._dictionary(state, key, array, offsets)
        return self._strings(state, key, strings(array), offsets)

    def _strings(
        self, state: Categorical, key: tuple[str, str], array: pa.Array, offsets: NDArray[np.int64]
    ) -> list[Categorical]:
        data, ends = string_parts(array)
        hashes = self.kernels.hash_strings(data, ends)
        codes = self.kernels.find_strings(data, ends, hashes, self._dictionaries[key])
        valid = validity(array)
        if valid is not None:
            codes[~valid] = -2
        counts = self.kernels.codes(codes, offsets, len(state.vocabulary))
        slices = []
        for s, known in enumerate(counts):
            rows = slice(offsets[s], offsets[s + 1])
            unknown = rows.start + np.flatnonzero(codes[rows] == -1)
            found, first, n = np.unique(hashes[unknown], return_index=True, return_counts=True)
            missing = rows.stop - rows.start - int(known.sum()) - unknown.size
            slices.append(self._categorical(state, key, known, missing, found, n, array, unknown[first]))
        return slices

    def _dictionary(
        self, state: Categorical, key: tuple[str, str], array: pa.DictionaryArray, offsets: NDArray[np.int64]
    ) -> list[Categorical]:
        """As ``_strings``, but each value of the dictionary is hashed and found once."""
        values = strings(array.dictionary)
        data, ends = string_parts(values)
        hashes = self.kernels.hash_strings(data, ends)
        codes = self.kernels.find_strings(data, ends, hashes, self._dictionaries[key])
        null = validity(values)
        if null is not None:
            codes[~null] = -2
        indices, valid = numbers(array.indices)
        indices = indices.astype(np.int32) if valid is None else np.where(valid, indices, -1).astype(np.int32)
        slices = []
        for s, n in enumerate(self.kernels.codes(indices, offsets, len(values))):
            known = np.zeros(len(state.vocabulary), np.int64)
            inside = codes >= 0
            np.add.at(known, codes[inside], n[inside])
            unknown = np.flatnonzero((codes == -1) & (n > 0))
            missing = int(offsets[s + 1] - offsets[s] - known.sum() - n[unknown].sum())
            slices.append(
                self._categorical(state, key, known, missing, hashes[unknown], n[unknown], values, unknown)
            )
        return slices

    def _categorical(
        self,
        state: Categorical,
        key: tuple[str, str],
        known: NDArray[np.int64],
        missing: int,
        hashes: NDArray[np.uint64],
        counts: NDArray[np.int64],
        values: pa.Array,
        rows: NDArray[np.int64],
    ) -> Categorical:
        """A state from the counts of the vocabulary and those of other values, which stand in ``values`` at ``rows``."""
        outside = np.zeros(BUCKETS, np.int64)
        np.add.at(outside, (hashes % np.uint64(BUCKETS)).astype(np.int64), counts)
        seen = np.concatenate((self._hashes[key][known > 0], hashes))
        names = Names.none()
        if state.vocabulary and rows.size:
            kept = Names.smallest(hashes)
            texts = [_shortened(text or b"") for text in in_bytes(values.take(indices(rows[kept])))]
            names = Names.of(hashes[kept], counts[kept], texts)
        registers = self.kernels.distinct(seen, np.array([0, seen.size]))[0]
        return Categorical(state.vocabulary, known, outside, np.array(missing, np.int64), names, registers)

    def _classes(
        self, state: Categorical, key: tuple[str, str], codes: NDArray[np.int32], offsets: NDArray[np.int64]
    ) -> list[Categorical]:
        """States of values that are numbered already, by their place in the vocabulary."""
        counts = self.kernels.codes(codes, offsets, len(state.vocabulary))
        nothing, none = np.zeros(0, np.uint64), np.zeros(0, np.int64)
        return [
            self._categorical(state, key, n, int(rows - n.sum()), nothing, none, pa.nulls(0), none)
            for n, rows in zip(counts, np.diff(offsets), strict=True)
        ]

    def _pairs(
        self,
        state: Pairs,
        batch: pa.RecordBatch,
        offsets: NDArray[np.int64],
        cells: Mapping[tuple[str, str], NDArray[np.uint16]],
    ) -> list[Pairs]:
        if state.tables.size:
            tables = self._rank_tables
            missing = np.full(batch.num_rows, tables.shape[1] - 1, np.uint16)
            ranked = [cells.get((name, "values"), missing) for name in state.columns]
            sums = self.kernels.rank_comoments(ranked, tables, offsets)
        else:
            nothing = np.full(batch.num_rows, np.nan, np.float32), None
            there = set(batch.schema.names)
            device = self.kernels.DEVICE
            columns = [
                numbers_in(batch, name, device=device) if name in there else nothing for name in state.columns
            ]
            sums = self.kernels.comoments(columns, state.centre, state.scale, offsets)
        return [
            Pairs(state.columns, state.centre, state.scale, state.tables, *parts)
            for parts in zip(*sums, strict=True)
        ]

    @cached_property
    def labels(self) -> LabelCounter:
        """What counting predictions and labels needs."""
        return LabelCounter(self.like, self.kernels)

    @cached_property
    def groups(self) -> GroupCounter:
        """What counting by groups and slices needs."""
        return GroupCounter(self.like, self.kernels, self.labels)

    @cached_property
    def _rank_tables(self) -> NDArray[np.float64]:
        """The mid-rank of each cell of each ranked column, NaN for the missing: (k, most cells)."""
        state = self.like.plan["", "spearman"]
        assert isinstance(state, Pairs)
        sizes = [self.like.plan[name, "values"].counts.size for name in state.columns]  # type: ignore[attr-defined]
        tables = np.full((len(sizes), max(sizes)), np.nan)
        for row, size, ranks in zip(
            tables, sizes, np.split(state.tables, np.cumsum(sizes)[:-1]), strict=True
        ):
            row[: size - 2] = ranks[:-2]
        return tables

    @cached_property
    def guides(self) -> dict[tuple[str, str], Guide]:
        """The guide table of every numeric column."""
        return {
            key: guide(state.edges) for key, state in self.like.plan.items() if isinstance(state, Numeric)
        }

    @cached_property
    def _hashes(self) -> dict[tuple[str, str], NDArray[np.uint64]]:
        """The hash of every value of every vocabulary."""
        return {
            key: self.kernels.hash_strings(*packed(state.vocabulary))
            for key, state in self.like.plan.items()
            if isinstance(state, Categorical)
        }

    @cached_property
    def _dictionaries(self) -> dict[tuple[str, str], Dictionary]:
        found = {}
        for key, hashes in self._hashes.items():
            state = self.like.plan[key]
            assert isinstance(state, Categorical)
            data, ends = packed(state.vocabulary)
            found[key] = dictionary(data, ends, hashes)
        return found


class _Tally:
    """What the batches counted so far left behind. Numeric columns are added up in place, a row for every slice."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self.places: dict[Slice, int] = {}
        self.numeric: dict[tuple[str, str], NumericCounts] = {}
        self.states: dict[Key, State] = {}
        self.labels = LabelTally(counter.labels)
        self.groups = GroupTally(counter.groups)

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch."""
        counter = self.counter
        batch, slices, offsets = counter.sliced(batch)
        places = np.array([self.places.setdefault(each, len(self.places)) for each in slices], np.int64)
        columns = {
            key: NumericColumn(values, valid, counter.guides[key], self._into(key))
            for key, values, valid in counter.numeric(batch)
        }
        ranked = ("", "spearman") in counter.like.plan
        wanted = ranked or bool(counter.labels.expected)
        found = counter.kernels.numeric(list(columns.values()), offsets, places, cells=wanted)
        cells = dict(zip(columns, found, strict=True)) if wanted else {}
        coded = self.labels.coded(batch)
        self.labels.add(batch, offsets, places, len(self.places), coded, cells)
        self.groups.add(batch, offsets, places, len(self.places), coded)
        for (subject, aspect), counted in counter.others(batch, offsets, cells):
            for (window, segment), state in zip(slices, counted, strict=True):
                key = Key(window, segment, subject, aspect)
                self.states[key] = self.states[key] + state if key in self.states else state

    def _into(self, key: tuple[str, str]) -> NumericCounts:
        """The sums of a column, with a place for every slice."""
        held = self.numeric.get(key)
        if held is None or len(held.counts) < len(self.places):
            state = self.counter.like.plan[key]
            assert isinstance(state, Numeric)
            room = NumericCounts.zeros(
                len(self.places) if held is None else 2 * len(self.places), state.edges.size
            )
            if held is not None:
                for new, old in zip(room, held, strict=True):
                    new[: len(old)] = old  # type: ignore[index, arg-type]
            held = self.numeric[key] = room
        return held

    def profile(self) -> Profile:
        """What was counted."""
        like = self.counter.like
        states = dict(self.states)
        for (subject, aspect), held in self.numeric.items():
            edges = like.plan[subject, aspect].edges  # type: ignore[attr-defined]
            for (window, segment), place in self.places.items():
                if held.counts[place].any():
                    parts = (array[place] for array in held)
                    states[Key(window, segment, subject, aspect)] = Numeric(edges, *parts)
        states |= self.labels.states(self.places) | self.groups.states(self.places)
        return Profile(like.schema, like.plan, states)


def _times(array: pa.Array, offsets: NDArray[np.int64]) -> list[Times]:
    slices = []
    for start, stop in pairwise(offsets.tolist()):
        times = microseconds(array.slice(start, stop - start))
        hours = np.bincount((times // HOUR + MONDAY) % HOURS, minlength=HOURS)
        span = np.array([times.min(), times.max()]) if times.size else Times.on().span
        slices.append(Times(span, hours, np.array(stop - start - times.size)))
    return slices


def _shortened(value: bytes) -> str:
    """A value for a list of names; what is no UTF-8 shows as �."""
    text = value.decode(errors="replace")
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 20]}… ({len(text):,} characters)"
