"""Row → slice: the window of time and the segment that each row belongs to."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyarrow import types

from gpumon.errors import InputError, OptionError, SchemaError
from gpumon.tables.columns import indices, is_text, validity, values_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Slicing"]

MOST_SLICES = 10_000
FEW = 256  # so many values are named whether they occur or not: finding out takes longer
NO_TIMESTAMP = "no timestamp"
MISSING = "∅"
SECONDS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}
MONTHS = {"mo": 1, "y": 12}
TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}  # a second, in the units of timestamps
MONDAY = -3 * 86_400  # weeks are counted from Monday 1969-12-29

Slice = tuple[str | None, str | None]


@dataclass(frozen=True)
class Slicing:
    """How rows are cut: by time, into windows of length ``every``, and by the values of the columns ``by``.

    ``every`` is a number and a unit: s, min, h, d, w, mo or y. Windows are aligned to the calendar in UTC: days begin
    at midnight, weeks on Monday, months on the first; windows of several units are counted from 1970. Times with a
    zone are instants and are shown in UTC; times without a zone and dates are taken as UTC.
    A window is named by its start, "2013-06-01", or "2013-06-01T05:00" if windows can begin at other times than
    midnight; rows without a time are in the window "no timestamp". A segment is named "origin=JFK", or
    "origin=JFK, carrier=AA"; a missing value is "∅".

    >>> Slicing("time", "1h", by=("origin",)).columns
    ('time', 'origin')
    """

    timestamp: str | None = None
    every: str | None = None
    by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.every is not None:
            _length(self.every)
            if self.timestamp is None:
                raise OptionError(
                    f"windows of {self.every!r} need the column that holds the times: give timestamp="
                )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that ``number`` needs."""
        times = () if self.every is None or self.timestamp is None else (self.timestamp,)
        return tuple(dict.fromkeys((*times, *self.by)))

    def number(self, batch: pa.RecordBatch) -> tuple[NDArray[np.int32], list[Slice]]:
        """The number of each row's slice, (rows,), and the slices (window, segment) that the numbers stand for.

        Only slices that occur in ``batch`` are listed, sorted. Without windows and segments all rows are in one
        slice, (None, None). Raises SchemaError if the timestamp column holds no times, InputError if there are more
        than 10,000 slices.
        """
        if not batch.num_rows:
            return np.zeros(0, np.int32), []
        if not self.columns:
            return np.zeros(batch.num_rows, np.int32), [(None, None)]
        codes, slices = self._windows(batch)
        for column in self.by:
            values, words = self._values(batch.column(column))
            codes, present = self._compact(codes * len(words) + values, len(slices) * len(words))
            pairs = ((slices[i // len(words)], words[i % len(words)]) for i in present)
            slices = [(w, f"{s}, {column}={v}" if s else f"{column}={v}") for (w, s), v in pairs]
        codes, present = self._compact(codes, len(slices), few=0)
        slices = [slices[i] for i in present]
        ordered = sorted(set(slices), key=lambda pair: (pair[0] or "", pair[1] or ""))
        place = {pair: i for i, pair in enumerate(ordered)}
        return np.array([place[pair] for pair in slices], np.int32)[codes], ordered

    def _windows(self, batch: pa.RecordBatch) -> tuple[NDArray[np.int64], list[Slice]]:
        """Each row's window as a position in a list, and the list, of slices without a segment."""
        if self.timestamp is None or self.every is None:
            return np.zeros(1, np.int64), [(None, None)]  # broadcasts
        times, known = _instants(batch.column(self.timestamp), self.timestamp)
        if known is not None and not known.any():
            return np.zeros(batch.num_rows, np.int64), [(NO_TIMESTAMP, None)]
        every = _length(self.every)
        numbers = _window_numbers(times, every)
        first, beyond = numbers.min(), numbers.max() + 1
        if known is not None:
            numbers[~known] = beyond
        codes, present = self._compact(numbers - first, int(beyond - first) + 1)
        names = zip(present, _window_names(np.array(present) + first, every), strict=True)
        return codes, [(NO_TIMESTAMP if i == beyond - first else name, None) for i, name in names]

    def _values(self, column: pa.Array) -> tuple[NDArray[np.int64], list[str]]:
        """Each row's value as a position in a list of texts, and that list."""
        coded = column if types.is_dictionary(column.type) else column.dictionary_encode()
        codes = values_of(coded.indices).astype(np.int64)
        valid = validity(coded.indices)
        if valid is not None:
            codes[~valid] = len(coded.dictionary)
        codes, present = self._compact(codes, len(coded.dictionary) + 1)
        entries = coded.dictionary.cast(pa.string()) if types.is_temporal(column.type) else coded.dictionary
        known = [i for i in present if i < len(entries)]
        words = entries.take(indices(np.array(known, np.int64))).to_pylist()
        return codes, [_text(word) for word in words] + [MISSING] * (len(present) - len(known))

    def _compact(
        self, codes: NDArray[np.int64], size: int, few: int = FEW
    ) -> tuple[NDArray[np.int64], Sequence[int]]:
        """``codes``, all below ``size``, as positions in the list of those that occur, and that list, ascending.

        If ``size`` is ``few`` or less, codes stay as they are.
        """
        if size <= few:
            return codes, range(size)
        if size > 4 * len(codes) + 65_536:
            present, codes = np.unique(codes, return_inverse=True)
        else:
            occurs = np.bincount(codes, minlength=size) > 0
            present, codes = np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[codes]
        if len(present) > MOST_SLICES:
            cut = [f"windows of {self.every}"] if self.every else []
            cut += [f"the values of {column!r}" for column in self.by]
            raise InputError(
                f"{' and '.join(cut)} cut {len(codes):,} rows into more than {MOST_SLICES:,} slices, each counted apart; "
                "choose wider windows, or columns with fewer values"
            )
        return codes, present.tolist()


def _length(every: str) -> tuple[int, str]:
    """A length of time such as "15min" as its number and its unit."""
    match = re.fullmatch(r"([1-9]\d{0,5})([a-z]+)", every)
    if not match or match[2] not in (*SECONDS, *MONTHS):
        units = ", ".join((*SECONDS, *MONTHS))
        raise OptionError(
            f"{every!r} is no length of time; write a number and a unit ({units}), such as 15min or 1d"
        )
    return int(match[1]), match[2]


def _clock(every: tuple[int, str]) -> tuple[int, int]:
    """The seconds that a window lasts, and the second since 1970 at which one began."""
    amount, unit = every
    return amount * SECONDS[unit], MONDAY if unit == "w" else 0


def _window_numbers(times: NDArray[np.datetime64], every: tuple[int, str]) -> NDArray[np.int64]:
    """The number of each time's window, counted from 1970."""
    amount, unit = every
    if unit in SECONDS:
        ticks = TICKS[np.datetime_data(times.dtype)[0]]
        step, start = (seconds * ticks for seconds in _clock(every))
        since = times.view(np.int64)
        return np.asarray(np.floor_divide(since - start if start else since, step))
    months = amount * MONTHS[unit]
    first, last = (t.astype("M8[M]").astype(np.int64) // months for t in (times.min(), times.max()))
    starts = (np.arange(first, last + 1) * months).astype("M8[M]").astype(times.dtype)
    return np.asarray(np.searchsorted(starts, times, "right") + (first - 1))


def _window_names(numbers: NDArray[np.int64], every: tuple[int, str]) -> list[str]:
    """The first moment of each window, as short as it can be written."""
    amount, unit = every
    if unit in MONTHS:
        starts, shown = (numbers * (amount * MONTHS[unit])).astype("M8[M]"), "D"
    else:
        step, start = _clock(every)
        starts = (numbers * step + start).astype("M8[s]")
        shown = "s" if step % 60 else "m" if step % 86_400 else "D"
    names: list[str] = starts.astype(f"M8[{shown}]").astype(str).tolist()
    return names


def _instants(column: pa.Array, name: str) -> tuple[NDArray[np.datetime64], NDArray[np.bool_] | None]:
    """The times in UTC, a null one as some other, and whether each is known (None: all are)."""
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if is_text(column.type):
        column = _parsed(column, name)
    if types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    if not types.is_timestamp(column.type):
        raise SchemaError(
            f"column {name!r} is to cut time into windows, but it holds {column.type}; convert it to timestamps, "
            "seconds since 1970 for instance with pandas.to_datetime(column, unit='s', utc=True)"
        )
    known = validity(column)
    if 0 < column.null_count < len(column):
        column = column.fill_null(column.drop_null()[0])
    return values_of(column).view(f"M8[{column.type.unit}]"), known


def _parsed(column: pa.Array, name: str) -> pa.Array:
    """Strings in ISO 8601 as times: all with a zone, or all without."""
    problem = ""
    for unit, zone in (("us", "UTC"), ("us", None), ("ns", "UTC"), ("ns", None)):
        try:
            return column.cast(pa.timestamp(unit, zone))
        except pa.ArrowInvalid as error:
            problem = str(error)
    raise SchemaError(
        f"column {name!r} is to cut time into windows, but its strings are not all times in ISO 8601, such as "
        f"2013-06-01T05:00:00Z, all with a zone or all without ({problem}); convert it to timestamps"
    )


def _text(value: object) -> str:
    if value is None:
        return MISSING
    if isinstance(value, float):
        return MISSING if math.isnan(value) else str(value + 0.0)  # -0.0 is 0.0
    return str(value)
