"""Predictions with the labels that came later: a table of both, joined on a key as it is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpumon.errors import InputError, OptionError, SchemaError
from gpumon.tables.columns import indices, is_text, values_of
from gpumon.tables.table import BATCH_ROWS, Table
from gpumon.tables.widened import Widened, WidenedPart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from gpumon.tables.table import Partition

    Digest = Callable[[pa.Array], NDArray[np.uint64]]

__all__ = ["MOST_SENT", "Index", "Joined", "JoinedPart", "Lookup", "joined"]

MOST_SENT = 1 << 30  # bytes of labels and index that may go to the workers of a cluster, which hold them all
DUPLICATES = ("raise", "last")
DENSE = 4  # a table by number is kept where the keys' range is at most so many times their number


def joined(
    predictions: Table,
    labels: Table,
    on: str,
    columns: Sequence[str],
    digest: Digest,
    duplicates: str = "raise",
) -> Joined:
    """A table of the rows of ``predictions`` with ``columns`` of ``labels`` beside them, null where there is none yet.

    ``on`` is a column of both, integers or strings; the order of the rows does not matter. The labels are held in memory with
    an index, the predictions pass by in batches. ``digest`` hashes strings to 64 bits. A key that stands twice among
    the labels raises an InputError, or with ``duplicates="last"`` the last one holds. Several predictions of one key
    all get its label.
    """
    if duplicates not in DUPLICATES:
        raise OptionError(f"duplicates {duplicates!r} is unknown: use raise or last")
    predictions.chosen([on])
    labels.chosen([on, *columns])
    kinds = [_kind(table, on) for table in (predictions, labels)]
    if kinds[0] != kinds[1]:
        raise SchemaError(
            f"column {on!r} holds {kinds[0]} in {predictions.name} and {kinds[1]} in {labels.name}: convert one of them, "
            "so that the keys can be compared"
        )
    wanted = list(dict.fromkeys((on, *columns)))
    parts = [batch for part in labels.partitions(wanted, threads=True) for batch in part.batches()]
    held = pa.Table.from_batches(parts, labels.chosen(wanted)).unify_dictionaries().combine_chunks()
    known = pc.is_valid(held[on])
    held = held.filter(known)
    key = _one(held[on])
    index = Index.of(key, digest, f"{labels.name}, column {on!r}", last=duplicates == "last")
    values = held.select([c for c in columns if c != on])
    return Joined(predictions, labels.name, Lookup(on, values, index, digest))


@dataclass(frozen=True, eq=False)
class Index:
    """Where each key stands: by number if the keys are integers close to each other, else by a sorted list.

    ``doubled`` counts the keys that stood more than once.
    """

    first: int  # of a dense index: the least key
    table: NDArray[np.int64]  # dense: (range,), −1 where there is none; sorted: (keys,), where they stand
    keys: NDArray[np.uint64] | None  # sorted; None of a dense index
    doubled: int

    @classmethod
    def of(cls, key: pa.Array, digest: Digest, name: str, *, last: bool) -> Index:
        """The index of the keys of a column; InputError if one stands twice, unless the ``last`` holds."""
        if not len(key):
            return cls(0, np.zeros(0, np.int64), np.zeros(0, np.uint64), 0)
        if pa.types.is_integer(key.type):
            numbers = values_of(key).astype(np.int64)
            low, high = int(numbers.min()), int(numbers.max())
            if high - low < DENSE * len(key) + 65_536:
                place = np.full(high - low + 1, -1, np.int64)
                place[numbers - low] = np.arange(len(key))  # of equal keys the last stays
                single = int(np.count_nonzero(place >= 0))
                if single < len(key) and not last:
                    counts = np.bincount(numbers - low, minlength=1)
                    _refuse_doubled(int(np.argmax(counts)) + low, int(counts.max()), name)
                return cls(low, place, None, len(key) - single)
        hashes = _hashed(key, digest)
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        final = np.concatenate((ordered[1:] != ordered[:-1], [True]))
        if not final.all() and not last:
            at = order[np.flatnonzero(~final)[0]]
            same = int(np.count_nonzero(hashes == hashes[at]))
            _refuse_doubled(key[int(at)].as_py(), same, name)
        return cls(0, order[final], ordered[final], len(key) - int(final.sum()))

    def find(self, key: pa.Array, digest: Digest) -> NDArray[np.int64]:
        """Where each key of a batch stands among the labels, −1 where it does not."""
        valid = np.asarray(values_of(pc.is_valid(key)), np.bool_)
        if not len(key) or not self.table.size:
            return np.full(len(key), -1, np.int64)
        if self.keys is None:
            numbers = values_of(key).astype(np.int64) - self.first
            inside = valid & (numbers >= 0) & (numbers < self.table.size)
            return np.where(inside, self.table[np.where(inside, numbers, 0)], -1)
        hashes = _hashed(key, digest)
        order = np.argsort(hashes, kind="stable")  # in order, a search finds most of its way in the cache
        place = np.empty(len(key), np.int64)
        place[order] = np.searchsorted(self.keys, hashes[order])
        place = np.minimum(place, self.keys.size - 1)
        return np.where(valid & (self.keys[place] == hashes), self.table[place], -1)


@dataclass(frozen=True, eq=False)
class Lookup:
    """All labels: the column of the keys among the predictions, the labels' columns, and where each key stands."""

    on: str
    values: pa.Table
    index: Index
    digest: Digest

    @property
    def nbytes(self) -> int:
        """Bytes of the labels and their index."""
        keys = self.index.keys
        return int(self.values.nbytes + self.index.table.nbytes + (0 if keys is None else keys.nbytes))

    def only(self, columns: Sequence[str]) -> Lookup:
        """The lookup of some of the labels' columns."""
        return replace(self, values=self.values.select([c for c in columns if c in self.values.schema.names]))

    def beside(self, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        """A batch of predictions with what is known of each row, in the columns of ``schema``."""
        found = self.index.find(_one(batch.column(self.on)), self.digest)
        places = indices(found)
        if (found < 0).any():
            places = pc.if_else(pa.array(found >= 0), places, pa.scalar(None, pa.int64()))
        labels = {name: _one(self.values[name]).take(places) for name in self.values.schema.names}
        columns = [labels[f.name] if f.name in labels else batch.column(f.name) for f in schema]
        return pa.RecordBatch.from_arrays(columns, schema=schema)


class Joined(Widened):
    """Predictions, and beside them the labels of their keys.

    Workers of a cluster read the predictions themselves and get the labels once; with labels above MOST_SENT all is
    counted in this process.
    """

    def __init__(self, predictions: Table, labels: str, lookup: Lookup) -> None:
        super().__init__(predictions)
        self.labels = labels
        self.lookup = lookup
        values = lookup.values.schema
        own = [field for field in predictions.schema if field.name not in values.names]
        self.schema = pa.schema([*own, *values])
        self.here = predictions.here or lookup.nbytes > MOST_SENT

    @property
    def doubled(self) -> int:
        """How many labels were not the last of their key."""
        return self.lookup.index.doubled

    def nbytes(self, columns: Sequence[str] | None = None) -> int | None:
        """About how many bytes ``columns`` take when decoded."""
        size = self._table.nbytes(self._own(columns))
        return None if size is None else size + int(self.lookup.values.nbytes)

    def partitions(
        self, columns: Sequence[str] | None = None, *, threads: bool = False
    ) -> Sequence[Partition]:
        """Those of the predictions, each with its labels."""
        wanted = self.chosen(columns)
        lookup = self.lookup.only(wanted.names)
        parts = self._table.partitions(self._own(columns), threads=threads)
        return [JoinedPart(part, wanted, lookup) for part in parts]

    def _own(self, columns: Sequence[str] | None) -> list[str]:
        """The columns of the predictions that are to be read, the key among them."""
        names = [name for name in self.chosen(columns).names if name not in self.lookup.values.schema.names]
        return list(dict.fromkeys((*names, self.lookup.on)))


@dataclass(frozen=True, eq=False)
class JoinedPart(WidenedPart):
    """A partition of predictions, and all labels; without them (None) on its way to a worker that is given them."""

    lookup: Lookup | None

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The predictions in their order, with what is known of each."""
        assert self.lookup is not None
        for batch in self.part.batches(rows):
            yield self.lookup.beside(batch, self.schema)


def _kind(table: Table, on: str) -> str:
    """What keys are, in words; SchemaError if they are nothing that can be looked up."""
    kind = table.schema.field(on).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind):
        return "integers"
    if is_text(kind):
        return "strings"
    raise SchemaError(
        f"{table.name}: column {on!r} holds {kind}, which is no key; give a column of integers or strings"
    )


def _one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column in one piece, dictionaries as their values."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column


def _hashed(key: pa.Array, digest: Digest) -> NDArray[np.uint64]:
    if pa.types.is_integer(key.type):
        return values_of(key).astype(np.int64).view(np.uint64)
    return digest(key)


def _refuse_doubled(key: Any, times: int, name: str) -> None:
    raise InputError(
        f"{name}: the key {key!r} stands {times} times, so its label is not known for sure; leave one row of each key, "
        "or give duplicates='last' to take the last"
    )
