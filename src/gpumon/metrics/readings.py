"""What formulas read: the states of many columns and slices, side by side in arrays.

====================  ======================================================================  ==================
reading               of each side, leading axes (columns, slices)                            columns
====================  ======================================================================  ==================
``cells``             counts on the fine cells (..., m + 5)                                   numeric
``moments``           finite values, mean, Σ (x − mean)² (..., 3)                             numeric
``extremes``          least and largest value (..., 2)                                        numeric
``bins``              counts on coarse bins, the missing last (..., bins)                     numeric, categorical
``steps``             finite values between the points at which earth is weighed (..., 17)    numeric
``registers``         HyperLogLog (..., 4096)                                                 numeric, categorical, text
``missing``           missing rows and all rows (..., 2)                                      all
``present``           rows that are not missing (...)                                         all
``span``              earliest and latest, µs since 1970 (..., 2)                             datetime
``unseen``            rows of values the reference lacks: at least, at most; all (..., 3)     categorical
``rare``              values that stand once, those that stand twice, present rows (..., 3)   categorical
``vanished``          values of the reference that are gone: at least, at most (..., 2)       categorical
====================  ======================================================================  ==================

Shared by both sides: ``edges`` (columns, 1, m), ``widths`` (columns, slices or 1, 16), what |F − G| at those points
counts for in an earth mover's distance, and ``scale`` (columns, slices or 1), the reference's standard deviation.

Coarse bins are the conventions of PSI and its kin. Numeric columns: deciles of the reference (fine cells merged at the
nearest edges), values outside the reference's range in the first and the last. Discrete columns and categories: a bin
for each of the 128 most frequent values, and one for all others. Most frequent means in both sides together, of the
values of which the reference should show at least 5 rows: had the reference alone the choice, the values of which it
happens to have many would be chosen, and the other side would seem to lack them.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gpumon.profiles.categorical import Categorical
from gpumon.profiles.numeric import REGISTERS, Numeric, Sorted
from gpumon.profiles.profile import Key
from gpumon.profiles.times import Times
from gpumon.schema import Column, Kind, Role
from gpumon.statistics.ecdf import boundaries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from gpumon.profiles.profile import Profile, Slice
    from gpumon.profiles.state import State

__all__ = ["DECILES", "MOST_BINS", "Readings", "Unit", "blocks", "units"]

DECILES = 10
MOST_BINS = 128
LIKELY = 5  # rows of the reference: a value with fewer may be missing there by chance
POINTS = 16
BLOCK_CELLS = 4_000_000  # of the fine cells of one side: 32 MB

SIDED = {
    Numeric: {"cells", "moments", "extremes", "bins", "steps", "registers", "missing", "present"},
    Categorical: {"bins", "registers", "missing", "present", "unseen", "vanished", "rare"},
    Times: {"span", "missing", "present"},
}
SHARED = {"edges", "widths", "scale"}


class Unit(NamedTuple):
    """What has rows of its own in the report: a column, or the lengths or the patterns of a text column."""

    label: str
    column: Column
    aspect: str
    kinds: frozenset[str]  # see Metric.on

    @property
    def comparable(self) -> bool:
        """Ids and times differ by nature."""
        return self.column.role not in {Role.ID, Role.TIMESTAMP} and self.kinds.isdisjoint(
            {"datetime", "text"}
        )


def units(profile: Profile) -> Iterator[Unit]:
    """The units of a profile, in the order of its columns."""
    for column in profile.schema:
        if column.kind is Kind.TEXT:
            yield Unit(column.name, column, "values", frozenset({"text"}))
            yield Unit(f"{column.name} · length", column, "length", frozenset({"numeric"}))
            yield Unit(f"{column.name} · pattern", column, "pattern", frozenset({"categorical"}))
        elif column.kind is Kind.NUMERIC:
            kinds = {"numeric", "discrete"} if column.discrete else {"numeric"}
            yield Unit(column.name, column, "values", frozenset(kinds))
        elif column.kind is Kind.DATETIME:
            yield Unit(column.name, column, "values", frozenset({"datetime"}))
        else:
            yield Unit(column.name, column, "values", frozenset({"categorical"}))


def blocks(
    reference: Profile, current: Profile, slices: Sequence[tuple[Slice, Slice]]
) -> Iterator[tuple[list[Unit], Readings]]:
    """Units whose readings fit together in arrays, at most so many that they take a bounded memory."""
    alike: dict[tuple[object, ...], list[Unit]] = {}
    for unit in units(reference):
        state = reference.plan[unit.column.name, unit.aspect]
        cells = 2 ** int(state.counts.size).bit_length() if isinstance(state, Numeric) else REGISTERS
        alike.setdefault((type(state), unit.aspect, unit.kinds, unit.comparable, cells), []).append(unit)
    for (*_, cells), group in alike.items():
        most = max(1, BLOCK_CELLS // max(1, int(cells) * len(slices)))  # type: ignore[call-overload]
        for start in range(0, len(group), most):
            part = group[start : start + most]
            yield part, Readings(part, reference, current, slices)


class Readings:
    """The arrays of some units, by the names above; what is not asked for is not made."""

    def __init__(
        self,
        units: Sequence[Unit],
        reference: Profile,
        current: Profile,
        slices: Sequence[tuple[Slice, Slice]],
    ) -> None:
        self.units = units
        self._sides = (
            [[_state(reference, unit, of) for of, _ in slices] for unit in units],
            [[_state(current, unit, at) for _, at in slices] for unit in units],
        )
        self._plain = len({of for of, _ in slices}) == 1  # one baseline serves all slices
        place = {at: i for i, (_, at) in enumerate(slices)}
        self.whole = [place.get((None, of[1]), i) for i, (of, _) in enumerate(slices)]
        """For each slice the one that holds all that is compared with its baseline."""
        self._made: dict[str, Any] = {}
        self.kind = type(self._sides[0][0][0])

    def has(self, name: str) -> bool:
        """Whether these units have such a reading."""
        return name in SIDED.get(self.kind, ()) or (name in SHARED and self.kind is Numeric)

    def __getitem__(self, name: str) -> Any:
        """(reference, current) of a reading, or the one array of a shared reading."""
        if name not in self._made:
            self._made[name] = getattr(self, f"_{name}")()
        return self._made[name]

    def arguments(self, reads: Sequence[str], side: int | None = None) -> list[Any]:
        """The arguments of a formula that compares, or, given a side (0: reference), that describes it."""
        found: list[Any] = []
        for name in reads:
            reading = self[name]
            found += [reading] if name in SHARED else list(reading) if side is None else [reading[side]]
        return found

    def sorted_values(self, side: int, unit: int, at: int) -> NDArray[np.float64] | None:
        """The values kept by ``exact=True``, if they were."""
        exact = self._exact[side]
        return None if exact is None else exact[unit][at]

    @cached_property
    def _exact(self) -> list[list[list[NDArray[np.float64]]] | None]:
        return [None, None]

    def keep_sorted(
        self, reference: Profile, current: Profile, slices: Sequence[tuple[Slice, Slice]]
    ) -> bool:
        """Take the sorted values of both sides in, if both have them for every unit."""
        keys = [(unit.column.name, "sorted") for unit in self.units]
        if self.kind is not Numeric or any(unit.aspect != "values" for unit in self.units):
            return False
        if not all(key in reference.plan and key in current.plan for key in keys):
            return False
        for side, profile in enumerate((reference, current)):
            self._exact[side] = [[_values(profile, key, pair[side]) for pair in slices] for key in keys]
        return True

    def _stack(self, name: str, pad_to: int | None = None) -> tuple[Any, Any]:
        """A field of the states of both sides, (columns, slices, ...); one slice where all have one baseline."""
        sides = []
        for side, rows in enumerate(self._sides):
            used = [row[:1] for row in rows] if side == 0 and self._plain else rows
            arrays = [[getattr(state, name) for state in row] for row in used]
            if pad_to is not None:
                arrays = [[_padded(array, pad_to) for array in row] for row in arrays]
            sides.append(np.array(arrays))
        return sides[0], sides[1]

    def _cells(self) -> tuple[Any, Any]:
        return self._stack("counts", self._most_edges + 5)

    def _moments(self) -> tuple[Any, Any]:
        return self._stack("moments")

    def _extremes(self) -> tuple[Any, Any]:
        return self._stack("extremes")

    def _registers(self) -> tuple[Any, Any]:
        return self._stack("registers")

    def _span(self) -> tuple[Any, Any]:
        return self._stack("span")

    @cached_property
    def _most_edges(self) -> int:
        return int(max(row[0].edges.size for row in self._sides[1]))

    def _edges(self) -> NDArray[np.float64]:
        edges = np.full((len(self.units), 1, self._most_edges), np.inf)
        for i, row in enumerate(self._sides[1]):
            edges[i, 0, : row[0].edges.size] = row[0].edges
        return edges

    def _missing(self) -> tuple[Any, ...]:
        if self.kind is Numeric:
            return tuple(np.stack((c[..., -2:].sum(axis=-1), c.sum(axis=-1)), axis=-1) for c in self["cells"])
        rows, missing = self._stack("rows"), self._stack("missing")
        return tuple(np.stack((missing[side], rows[side]), axis=-1) for side in (0, 1))

    def _present(self) -> tuple[Any, ...]:
        return tuple(x[..., 1] - x[..., 0] for x in self["missing"])

    def _bins(self) -> tuple[Any, ...]:
        if self._cut:
            missing = (cells[..., -2:].sum(axis=-1, keepdims=True) for cells in self["cells"])
            ordered = (_between(cells[..., :-2], self._ends) for cells in self["cells"])
            return tuple(np.concatenate(parts, axis=-1) for parts in zip(ordered, missing, strict=True))
        most = self._most_kept
        sides = []
        for side, rows in enumerate(self._sides):
            used = [row[:1] for row in rows] if side == 0 and self._plain else rows
            sides.append(
                np.array(
                    [
                        [
                            _value_bins(state, values[0 if self._plain else s], most)
                            for s, state in enumerate(row)
                        ]
                        for row, values in zip(used, self._kept, strict=True)
                    ]
                )
            )
        return sides[0], sides[1]

    @property
    def _cut(self) -> bool:
        """Whether bins are parts of the number line, and not values."""
        return self.kind is Numeric and "discrete" not in self.units[0].kinds

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        """The last cell of every decile (columns, slices or 1, 10)."""
        return _deciles(self["cells"][0][..., :-2])

    @cached_property
    def _kept(self) -> list[list[NDArray[np.int64]]]:
        """The values that have a bin of their own, by column and slice, or one for all slices."""
        return [
            [_likely(r, c[self.whole[s]]) for s, r in enumerate(rs[:1] if self._plain else rs)]
            for rs, c in zip(*self._sides, strict=True)
        ]

    @property
    def _most_kept(self) -> int:
        return max(values.size for row in self._kept for values in row)

    def binned(self, unit: int, at: int, state: Any) -> NDArray[np.int64]:
        """Any other state of a unit on the bins that it has in a slice (bins,)."""
        place = 0 if self._plain else at
        if not self._cut:
            return _value_bins(state, self._kept[unit][place], self._most_kept)
        cells = _padded(state.counts, self._most_edges + 5)
        return np.append(_between(cells[:-2], self._ends[unit, place]), cells[-2:].sum())

    def together(self, name: str, at: int) -> NDArray[np.int64]:
        """A baseline's counts and those of all that is compared with it (columns, …), for a slice among these."""
        reference, current = self[name]
        return np.asarray(reference[:, 0 if reference.shape[1] == 1 else at] + current[:, self.whole[at]])

    @cached_property
    def _weighing(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The cells at whose ends an earth mover's distance is weighed (..., 16), and the weights there.

        Under no change the mean of |F − G| is proportional to √(F (1 − F)), here of both sides together. The points
        cut its integral into parts of one size, so a far tail with few rows has the part that is its due.
        """
        wholes = self.whole[:1] if self._plain else self.whole
        together = self["cells"][0] + self["cells"][1][:, wholes]
        before, now = (np.where(np.isfinite(x), x, np.nan) for x in self["extremes"])
        now = now[:, wholes]
        extremes = np.stack(
            (np.fmin(before[..., 0], now[..., 0]), np.fmax(before[..., 1], now[..., 1])), axis=-1
        )
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            width = np.diff(boundaries(self["edges"], extremes), axis=-1)
            level = np.cumsum(together[..., 1:-3], axis=-1)
            level = level[..., :-1] / level[..., -1:]
            spread = np.sqrt(level * (1 - level))
            earth = np.cumsum(spread * (width[..., :-1] + width[..., 1:]) / 2, axis=-1)
            part = earth[..., -1:] / POINTS
            at = np.stack(
                [np.sum(earth < (k + 0.5) * part[..., 0, None], axis=-1) for k in range(POINTS)], axis=-1
            )
            at = np.minimum(at, spread.shape[-1] - 1)
            widths = part / np.take_along_axis(spread, at, axis=-1)
        return at, np.nan_to_num(widths, nan=0.0, posinf=0.0)

    def _steps(self) -> tuple[Any, ...]:
        at = self._weighing[0]
        ends = np.concatenate((at, np.full((*at.shape[:-1], 1), self._most_edges)), axis=-1)
        return tuple(_between(cells[..., 1:-3], ends) for cells in self["cells"])

    def _widths(self) -> NDArray[np.float64]:
        return self._weighing[1]

    def _scale(self) -> NDArray[np.float64]:
        moments = self["moments"][0]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.sqrt(moments[..., 2] / np.maximum(moments[..., 0] - 1, 1)))

    def _unseen(self) -> tuple[Any, Any]:
        return self._by_names(_unseen)

    def _rare(self) -> tuple[Any, Any]:
        sides = (np.array([[_rare(state) for state in row] for row in rows]) for rows in self._sides)
        return tuple(sides)  # type: ignore[return-value]

    def _vanished(self) -> tuple[Any, Any]:
        return self._by_names(_vanished)

    def _by_names(self, compare: Any) -> tuple[Any, Any]:
        reference, current = self._sides
        found = np.array(
            [
                [compare(r, c) for r, c in zip(rs, cs, strict=True)]
                for rs, cs in zip(reference, current, strict=True)
            ]
        )
        before = found.copy()
        before[..., :2] = 0
        return before, found


def _state(profile: Profile, unit: Unit, at: Slice) -> Any:
    return profile.states.get(
        Key(*at, unit.column.name, unit.aspect), profile.plan[unit.column.name, unit.aspect]
    )


def _values(profile: Profile, key: tuple[str, str], at: Slice) -> NDArray[np.float64]:
    state: State = profile.states.get(Key(*at, *key), profile.plan[key])
    assert isinstance(state, Sorted)
    return state.values


def _padded(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Counts with empty bins before the last four cells, ``size`` in all."""
    if counts.size == size:
        return counts
    return np.concatenate((counts[:-4], np.zeros(size - counts.size, np.int64), counts[-4:]))


def _between(cells: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of the cells up to each of ``ends`` (..., k), less those up to the end before."""
    total = np.cumsum(cells, axis=-1)
    ends = np.broadcast_to(ends, (*total.shape[:-1], ends.shape[-1]))
    return np.diff(np.take_along_axis(total, ends, axis=-1), axis=-1, prepend=0)


def _deciles(ordered: NDArray[np.int64]) -> NDArray[np.int64]:
    """The last cell of every decile: each cell goes to the one that its middle rank lies in."""
    total = np.cumsum(ordered, axis=-1)
    middle = (total - ordered / 2) / np.maximum(total[..., -1:], 1)
    group = np.clip((middle * DECILES).astype(np.int64), 0, DECILES - 1)
    ends = np.stack([np.sum(group <= i, axis=-1) - 1 for i in range(DECILES - 1)], axis=-1)
    last = np.full((*ends.shape[:-1], 1), ordered.shape[-1] - 1)
    return np.concatenate((np.maximum(ends, 0), last), axis=-1)


def _value_counts(state: Numeric | Categorical) -> NDArray[np.int64]:
    """Rows by value: of the cells of a discrete column, or of the vocabulary."""
    return state.counts[:-2] if isinstance(state, Numeric) else state.counts


def _likely(reference: Numeric | Categorical, current: Numeric | Categorical) -> NDArray[np.int64]:
    """The values that have a bin of their own."""
    together = _value_counts(reference) + _value_counts(current)
    n, m = (state.rows - _value_missing(state) for state in (reference, current))
    likely = np.flatnonzero(together * n >= LIKELY * (n + m) * (n > 0))
    if likely.size <= MOST_BINS:
        return likely
    # of equally frequent values not those that the reference has more of, which come first in its vocabulary
    names = np.array(reference.vocabulary)[likely] if isinstance(reference, Categorical) else likely
    return likely[np.lexsort((names, -together[likely]))[:MOST_BINS]]


def _value_missing(state: Numeric | Categorical) -> int:
    return int(state.counts[-2:].sum() if isinstance(state, Numeric) else state.missing)


def _value_bins(state: Numeric | Categorical, values: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Rows of the given values (padded to ``most``), of all others, and the missing."""
    head = np.zeros(most, np.int64)
    head[: values.size] = _value_counts(state)[values]
    missing = _value_missing(state)
    return np.concatenate((head, (state.rows - missing - head.sum(), missing)))


def _unseen(reference: Categorical, current: Categorical) -> tuple[int, int, int]:
    """Rows of the current side whose value the reference lacks, at least and at most, and all its present rows."""
    outside = int(current.outside.sum())
    present = int(current.counts.sum()) + outside
    gone = int(
        current.counts[reference.counts == 0].sum()
    )  # of the vocabulary, but not in this slice's reference
    if not reference.outside.any():
        return gone + outside, gone + outside, present
    known = set(reference.names.values)
    named = dict(current.names.items())
    familiar = sum(n for value, n in named.items() if value in known)
    strange = sum(n for value, n in named.items() if value not in known) if reference.names.complete else 0
    in_empty_buckets = int(current.outside[reference.outside == 0].sum())
    return gone + max(strange, in_empty_buckets), gone + outside - familiar, present


def _rare(state: Categorical) -> tuple[int, int, int]:
    """Values that stand once, those that stand twice, and all present rows."""
    once, twice = (
        int(np.count_nonzero(state.counts == n) + np.count_nonzero(state.names.counts == n)) for n in (1, 2)
    )
    return once, twice, int(state.counts.sum() + state.outside.sum())


def _vanished(reference: Categorical, current: Categorical) -> tuple[int, int]:
    """Values of the reference that the current side lacks, at least and at most."""
    if not current.rows:
        return 0, 0
    gone = int(np.count_nonzero((reference.counts > 0) & (current.counts == 0)))
    named = set(current.names.values)
    unnamed = sum(value not in named for value in reference.names.values)
    surely = unnamed if current.names.complete else 0
    return gone + surely, gone + unnamed
