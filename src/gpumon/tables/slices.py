"""Row → slice: the window of time and the segment that each row belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyarrow import types

from gpumon.errors import InputError, OptionError, SchemaError
from gpumon.tables.columns import is_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Slicing"]

MOST_SLICES = 10_000
NO_TIMESTAMP = "no timestamp"
MISSING = "∅"
SECONDS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}
MONTHS = {"mo": 1, "y": 12}
MONDAY = -3 * 86_400  # weeks are counted from Monday 1969-12-29

Slice = tuple[str | None, str | None]


@dataclass(frozen=True)
class Slicing:
    """How rows are cut: by time, into windows of length ``every``, and by the values of the columns ``by``.

    ``every`` is a number and a unit: s, min, h, d, w, mo or y. Windows are aligned to the calendar in UTC (times with
    a zone are instants and need no conversion, times without one are read as UTC): days begin at midnight, weeks on
    Monday, months on the first; several days or hours are counted from 1970-01-01, several months from January.
    A window is named by its start, "2013-06-01", or "2013-06-01T05:00" for windows that do not begin at midnight;
    rows without a time are in the window "no timestamp". A segment is named "origin=JFK" or "origin=JFK, carrier=AA";
    a missing value is ∅.

    >>> Slicing("time", "1mo", ("origin",)).columns
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
        codes, slices = self._windows(batch)
        for column in self.by:
            values, words = self._values(batch.column(column))
            codes, present = self._compact(codes * len(words) + values, len(slices) * len(words))
            pairs = ((slices[i // len(words)], words[i % len(words)]) for i in present.tolist())
            slices = [
                (w, f"{column}={word}" if s is None else f"{s}, {column}={word}") for (w, s), word in pairs
            ]
        ordered = sorted(set(slices), key=lambda pair: (pair[0] or "", pair[1] or ""))
        place = {pair: i for i, pair in enumerate(ordered)}
        return np.array([place[pair] for pair in slices], np.int32)[codes], ordered

    def _windows(self, batch: pa.RecordBatch) -> tuple[NDArray[np.int64], list[Slice]]:
        """Each row's window as a position in a list, and the list, of slices without a segment."""
        if self.timestamp is None or self.every is None:
            return np.zeros(batch.num_rows, np.int64), [(None, None)]
        times, known = _instants(batch.column(self.timestamp), self.timestamp)
        if not known.any():
            return np.zeros(batch.num_rows, np.int64), [(NO_TIMESTAMP, None)]
        every = _length(self.every)
        numbers = _window_numbers(times, every)
        first, last = numbers[known].min(), numbers[known].max()
        codes, present = self._compact(np.where(known, numbers, last + 1) - first, int(last - first) + 2)
        names = _window_names(present + first, every)
        return codes, [
            (NO_TIMESTAMP if n == last + 1 - first else name, None) for n, name in zip(present, names)
        ]

    def _values(self, column: pa.Array) -> tuple[NDArray[np.int64], list[str]]:
        """Each row's value as a position in a list of texts, and that list."""
        coded = column if types.is_dictionary(column.type) else column.dictionary_encode()
        entries = coded.dictionary.cast(pa.string()) if types.is_temporal(column.type) else coded.dictionary
        codes = coded.indices.fill_null(len(entries)).to_numpy(zero_copy_only=False)
        codes, present = self._compact(codes.astype(np.int64), len(entries) + 1)
        words = entries.take(pa.array(present, mask=present == len(entries)))
        return codes, [_text(word) for word in words.to_pylist()]

    def _compact(self, codes: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """``codes``, at most ``size``, as positions in the sorted array of those that occur, and that array."""
        if size > 4 * len(codes) + 65_536:
            present, codes = np.unique(codes, return_inverse=True)
        else:
            occurs = np.bincount(codes, minlength=size) > 0
            present, codes = np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[codes]
        if len(present) > MOST_SLICES:
            by = " and ".join([*([f"windows of {self.every}"] if self.every else []), *map(repr, self.by)])
            raise InputError(
                f"{by} cut {len(codes):,} rows into more than {MOST_SLICES:,} slices, each of which is counted apart; "
                "choose wider windows, or columns with fewer values"
            )
        return codes, present


def _length(every: str) -> tuple[int, str]:
    """A length such as "15min" as its number and its unit."""
    match = re.fullmatch(r"(\d*)([a-z]+)", every)
    if not match or match[2] not in (*SECONDS, *MONTHS) or match[1].strip("0") == "" != match[1]:
        units = ", ".join((*SECONDS, *MONTHS))
        raise OptionError(
            f"{every!r} is not a length of time; write a number and a unit ({units}), such as 15min or 1d"
        )
    return int(match[1] or 1), match[2]


def _window_numbers(times: NDArray[np.datetime64], every: tuple[int, str]) -> NDArray[np.int64]:
    """The number of each time's window, counted from 1970."""
    amount, unit = every
    if unit in SECONDS:
        step, start = (np.array(s, "m8[s]").astype(times.dtype.str.replace("M", "m")) for s in _clock(every))
        return np.floor_divide(times.view(np.int64) - start.view(np.int64), step.view(np.int64))
    months = amount * MONTHS[unit]
    first, last = (t.astype("M8[M]").astype(np.int64) // months for t in (times.min(), times.max()))
    starts = (np.arange(first, last + 1) * months).astype("M8[M]").astype(times.dtype)
    return np.searchsorted(starts, times, "right") - 1 + first


def _window_names(numbers: NDArray[np.int64], every: tuple[int, str]) -> list[str]:
    """The first moment of each window, as short as it can be written."""
    amount, unit = every
    if unit in MONTHS:
        return np.datetime_as_string((numbers * amount * MONTHS[unit]).astype("M8[M]"), unit="D").tolist()
    step, start = _clock(every)
    shown = "D" if step % 86_400 == 0 else "m" if step % 60 == 0 else "s"
    return np.datetime_as_string((numbers * step + start).astype("M8[s]"), unit=shown).tolist()


def _clock(every: tuple[int, str]) -> tuple[int, int]:
    """The seconds that a window lasts, and the second since 1970 at which one began."""
    amount, unit = every
    return amount * SECONDS[unit], MONDAY if unit == "w" else 0


def _instants(column: pa.Array, name: str) -> tuple[NDArray[np.datetime64], NDArray[np.bool_]]:
    """The times in UTC, null as some other one of them, and whether each is known."""
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if is_text(column.type):
        column = _parsed(column, name)
    if types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    if not types.is_timestamp(column.type):
        mend = "convert it, from seconds since 1970 with pandas.to_datetime(column, unit='s', utc=True) for instance"
        raise SchemaError(f"column {name!r} is to cut time into windows, but it holds {column.type}; {mend}")
    known = (
        np.ones(len(column), np.bool_)
        if column.null_count == 0
        else column.is_valid().to_numpy(zero_copy_only=False)
    )
    if 0 < column.null_count < len(column):
        column = column.fill_null(column.drop_null()[0])
    times = column.view(pa.int64()).to_numpy(zero_copy_only=False)
    return times.astype(np.int64, copy=False).view(f"M8[{column.type.unit}]"), known


def _parsed(column: pa.Array, name: str) -> pa.Array:
    """Strings in ISO 8601 as times: all with a zone, or all without."""
    problem: Exception | None = None
    for unit, zone in (("us", "UTC"), ("us", None), ("ns", "UTC"), ("ns", None)):
        try:
            return column.cast(pa.timestamp(unit, zone))
        except pa.ArrowInvalid as error:
            problem = problem or error
    mend = "write it as 2013-06-01T05:00:00Z or convert it to timestamps"
    raise SchemaError(
        f"column {name!r} is to cut time into windows, but not all of it is a time in ISO 8601 ({problem}); {mend}"
    )


def _text(value: object) -> str:
    if value is None or value != value:  # noqa: PLR0124  (NaN is missing too)
        return MISSING
    return str(value + 0.0 if isinstance(value, float) else value)  # -0.0 is 0.0
