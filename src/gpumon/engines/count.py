"""One batch of rows → its profile: the only place where tables, kernels and profiles meet."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpumon.engines.columns import (
    in_bytes,
    microseconds,
    numbers,
    packed,
    pattern_codes,
    string_parts,
    strings,
    validity,
)
from gpumon.kernels.lookup import Dictionary, Guide, dictionary, guide
from gpumon.profiles.categorical import BUCKETS, Categorical, Names
from gpumon.profiles.numeric import Numeric, Sorted
from gpumon.profiles.pairs import Pairs
from gpumon.profiles.profile import Key, Profile
from gpumon.profiles.times import HOURS, Rows, Times
from gpumon.tables.columns import indices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gpumon.kernels import Kernels
    from gpumon.profiles.state import State
    from gpumon.tables.slices import Slicing

__all__ = ["Counter"]

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

    def __call__(self, batch: pa.RecordBatch) -> Profile:
        """The profile of one batch. Columns of the plan that the batch lacks leave no state."""
        numbers, slices = self.slicing.number(batch)
        offsets = np.concatenate(([0], np.cumsum(np.bincount(numbers, minlength=len(slices)))))
        if len(slices) > 1 and (np.diff(numbers) < 0).any():
            batch = batch.take(indices(np.argsort(numbers, kind="stable")))
        states: dict[Key, State] = {}
        for (subject, aspect), counted in self._counted(batch, offsets):
            for (window, segment), state in zip(slices, counted, strict=True):
                states[Key(window, segment, subject, aspect)] = state
        return Profile(self.like.schema, self.like.plan, states)

    def _counted(
        self, batch: pa.RecordBatch, offsets: NDArray[np.int64]
    ) -> Iterator[tuple[tuple[str, str], list[Any]]]:
        yield ("", "rows"), [Rows(np.array(n)) for n in np.diff(offsets)]
        there = set(batch.schema.names)
        for (subject, aspect), state in self.like.plan.items():
            if isinstance(state, Pairs):
                if not there.isdisjoint(state.columns):
                    yield (subject, aspect), self._pairs(state, batch, offsets)
            elif subject in there and not isinstance(state, Rows):  # a column may be called ""
                array = batch.column(subject)
                yield (subject, aspect), self._column(state, (subject, aspect), array, offsets)

    def _column(
        self, state: State, key: tuple[str, str], array: pa.Array, offsets: NDArray[np.int64]
    ) -> list[Any]:
        if isinstance(state, Times):
            return _times(array, offsets)
        if isinstance(state, Sorted):
            return _sorted(array, offsets)
        if isinstance(state, Numeric):
            values, valid = numbers(pc.utf8_length(strings(array)) if key[1] == "length" else array)
            counted = self.kernels.numeric(values, valid, offsets, self._guides[key])
            return [Numeric(state.edges, *parts) for parts in zip(*counted, strict=True)]
        assert isinstance(state, Categorical)
        if key[1] == "pattern":
            return self._classes(state, key, pattern_codes(strings(array)), offsets)
        if pa.types.is_boolean(array.type) and state.vocabulary == FLAGS:
            array = pa.DictionaryArray.from_arrays(array.cast(pa.int32()), pa.array(state.vocabulary))
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

    def _pairs(self, state: Pairs, batch: pa.RecordBatch, offsets: NDArray[np.int64]) -> list[Pairs]:
        columns = self._scratch((len(state.columns), batch.num_rows))
        start = 0
        there = set(batch.schema.names)
        for i, name in enumerate(state.columns):
            if name not in there:
                columns[i] = np.nan
                start += self._cells(name) if state.tables.size else 0
                continue
            values, valid = numbers(batch.column(name))
            if state.tables.size:
                table = state.tables[start : start + self._cells(name)]
                self.kernels.scores(values, valid, self._guides[name, "values"], table, columns[i])
                start += table.size
            else:
                centre, scale = float(state.centre[i]), float(state.scale[i])
                self.kernels.standardised(values, valid, centre, scale, columns[i])
        sums = self.kernels.comoments(columns, offsets)
        return [
            Pairs(state.columns, state.centre, state.scale, state.tables, *parts)
            for parts in zip(*sums, strict=True)
        ]

    def _scratch(self, shape: tuple[int, int]) -> NDArray[np.float64]:
        """Memory that a thread uses again for every batch."""
        held: NDArray[np.float64] | None = getattr(self._memory, "held", None)
        if held is None or held.size < shape[0] * shape[1]:
            held = self._memory.held = np.empty(shape[0] * shape[1])
        return held[: shape[0] * shape[1]].reshape(shape)

    @cached_property
    def _memory(self) -> threading.local:
        return threading.local()

    def _cells(self, name: str) -> int:
        state = self.like.plan[name, "values"]
        assert isinstance(state, Numeric)
        return state.counts.size

    @cached_property
    def _guides(self) -> dict[tuple[str, str], Guide]:
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


def _times(array: pa.Array, offsets: NDArray[np.int64]) -> list[Times]:
    slices = []
    for start, stop in pairwise(offsets.tolist()):
        times = microseconds(array.slice(start, stop - start))
        hours = np.bincount((times // HOUR + MONDAY) % HOURS, minlength=HOURS)
        span = np.array([times.min(), times.max()]) if times.size else Times.on().span
        slices.append(Times(span, hours, np.array(stop - start - times.size)))
    return slices


def _sorted(array: pa.Array, offsets: NDArray[np.int64]) -> list[Sorted]:
    values, valid = numbers(array)
    x = values.astype(np.float64) if valid is None else np.where(valid, values, np.nan)
    parts = (x[start:stop] for start, stop in pairwise(offsets.tolist()))
    return [Sorted(np.sort(part[~np.isnan(part)])) for part in parts]


def _shortened(value: bytes) -> str:
    """A value for a list of names; what is no UTF-8 shows as �."""
    text = value.decode(errors="replace")
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 20]}… ({len(text):,} characters)"
