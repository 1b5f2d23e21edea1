"""What one task counts, and the order in which such parts are added: the same whoever counts, and whoever is first."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import add
from threading import Lock
from typing import TYPE_CHECKING, Any

from gpumon.errors import InputError
from gpumon.profiles import files
from gpumon.tables.gpu import decoded_there

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa

    from gpumon.engines.count import Counter
    from gpumon.profiles.profile import Profile
    from gpumon.tables.paths import Unreadable
    from gpumon.tables.table import Partition

__all__ = ["GROUP", "Outcome", "Part", "Tree", "Work", "counted", "merged", "widths"]

GROUP = 8
"""Neighbours that are added together, at every level of the tree."""


DEVICE_ROWS = 2**22
"""Rows of a host's table that go to a device at a time: a launch takes any number, and each has its price."""


@dataclass(frozen=True)
class Work:
    """What was done, by whom. Adds."""

    rows: int = 0
    nbytes: int = 0  # decoded
    seconds: float = 0.0  # of all tasks together
    devices: frozenset[tuple[str, str]] = frozenset()  # (who, backend)

    def __add__(self, other: Work) -> Work:
        return Work(
            self.rows + other.rows,
            self.nbytes + other.nbytes,
            self.seconds + other.seconds,
            self.devices | other.devices,
        )


@dataclass(frozen=True, eq=False)
class Part:
    """What one task, or several, counted.

    Within a process the profile stays as it is; to another it travels as Arrow bytes, without the plan, which every
    process has (``profile``). ``missing`` are the numbers of partitions that are not in it, as files of theirs cannot
    be read; if such files were to be skipped, their partitions are in it without them.
    """

    counts: Profile | bytes
    work: Work = field(default_factory=Work)
    unreadable: tuple[Unreadable, ...] = ()
    missing: tuple[int, ...] = ()

    def profile(self, like: Profile) -> Profile:
        """What was counted, on the plan of ``like``."""
        return files.unpack(self.counts, like) if isinstance(self.counts, bytes) else self.counts

    def __reduce__(self) -> tuple[Any, ...]:
        packed = self.counts if isinstance(self.counts, bytes) else files.pack(self.counts)
        return Part, (packed, self.work, self.unreadable, self.missing)

    def __sizeof__(self) -> int:
        """Bytes, by which Dask decides where to put it."""
        if isinstance(self.counts, bytes):
            return len(self.counts)
        arrays = (value for state in self.counts.states.values() for value in vars(state).values())
        return sum(int(getattr(value, "nbytes", 0)) for value in arrays)


def counted(
    partition: Partition,
    number: int,
    count: Counter,
    *,
    skip: bool = False,
    who: str = "",
    progress: Callable[[int, int], None] = lambda _rows, _nbytes: None,
    each: Callable[[Callable[[pa.RecordBatch], Profile], Iterable[pa.RecordBatch]], Iterable[Profile]]
    | None = None,
) -> Part:
    """What partition ``number`` leaves behind, its batches added in order.

    Batches are counted one after the other, or by ``each``, a ``map`` with threads. Rows of files that cannot be read
    are not counted at all: with ``skip`` the others are counted again without them; else the whole partition is missing.
    ``progress`` is called with the rows and bytes of every batch, with less than 0 to take them back.
    """
    start = time.perf_counter()
    how: tuple[int, ...] = ()
    if count.kernels.DEVICE:
        partition, how = decoded_there(partition), (DEVICE_ROWS,)
    unreadable: list[Unreadable] = []
    while True:
        done = _Done(progress)
        try:
            if each is None:
                profile = count(done.watched(partition.batches(*how)))
            else:
                profile = reduce(add, each(partial(done.one, count), partition.batches(*how)), count.like)
        except InputError:
            progress(-done.rows, -done.nbytes)
            bad = partition.unreadable()
            if not bad:  # it is not the file
                raise
            unreadable += bad
            if not skip:
                return Part(count.like, unreadable=tuple(unreadable), missing=(number,))
            partition = partition.without({file.path for file in bad})
        else:
            devices = frozenset(((who, count.kernels.NAME),))
            work = Work(done.rows, done.nbytes, time.perf_counter() - start, devices)
            return Part(profile, work, tuple(unreadable))


class _Done:
    """Rows and bytes of the batches that were counted, by one thread or several."""

    def __init__(self, progress: Callable[[int, int], None]) -> None:
        self.rows = self.nbytes = 0
        self._progress = progress
        self._lock = Lock()

    def watched(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches, each added once the next is asked for."""
        for batch in batches:
            yield batch
            self._add(batch)

    def one(self, count: Counter, batch: pa.RecordBatch) -> Profile:
        """The profile of a batch alone."""
        profile = count([batch])
        self._add(batch)
        return profile

    def _add(self, batch: pa.RecordBatch) -> None:
        with self._lock:
            self.rows += batch.num_rows
            self.nbytes += batch.nbytes
            self._progress(batch.num_rows, batch.nbytes)


def merged(parts: Iterable[Part], like: Profile) -> Part:
    """The sum of neighbouring parts, from the first to the last."""
    profile, work = like, Work()
    unreadable: tuple[Unreadable, ...] = ()
    missing: tuple[int, ...] = ()
    for part in parts:
        profile = profile + part.profile(like)
        work = work + part.work
        unreadable += part.unreadable
        missing += part.missing
    return Part(profile, work, unreadable, missing)


def widths(n: int) -> list[int]:
    """How many parts each level of the tree has: ``n`` partitions, their groups, …, 1."""
    found = [n]
    while found[-1] > 1:
        found.append(-(-found[-1] // GROUP))
    return found


@dataclass
class Outcome:
    """What an engine counted, and why it stopped if it did before the end."""

    profile: Profile
    work: Work
    unreadable: tuple[Unreadable, ...]
    missing: list[int]  # numbers of the partitions that are not in the profile
    error: BaseException | None = None


class Tree:
    """Adds the parts of partitions ``numbers``: in groups of 8 neighbours, then 8 groups, and so on.

    Parts may come in any order, and as sums of 8, 64 … made elsewhere (``level`` 1, 2 …): the sums are always of the
    same parts in the same order, so floating-point results do not depend on timing.
    """

    def __init__(self, numbers: Sequence[int], like: Profile) -> None:
        self._numbers = numbers
        self._like = like
        self._widths = widths(len(numbers))
        self._done = bytearray(len(numbers))
        self._sums: dict[
            tuple[int, int], tuple[int, Part]
        ] = {}  # of each group: how many are in it, their sum
        self._early: dict[tuple[int, int], Part] = {}  # parts that came before their turn

    def put(self, place: int, part: Part, level: int = 0) -> None:
        """Add the part at ``place`` of ``level``: of the partitions ``numbers[place · 8^level:(place + 1) · 8^level]``."""
        reach = GROUP**level
        first, last = place * reach, min((place + 1) * reach, len(self._numbers))
        self._done[first:last] = bytes([1]) * (last - first)
        self._early[level, place] = part
        while (level, place) in self._early:
            group = place // GROUP
            full = min(GROUP, self._widths[level] - group * GROUP)
            have, total = self._sums.pop((level, group), (0, None))
            while have < full and (part_next := self._early.pop((level, group * GROUP + have), None)):
                total = part_next if total is None else merged((total, part_next), self._like)
                have += 1
            if total is None:
                return
            if have < full or level == len(self._widths) - 1:
                self._sums[level, group] = have, total
                return
            level, place = level + 1, group
            self._early[level, place] = total

    def outcome(self, error: BaseException | None = None) -> Outcome:
        """The sum of all that came."""
        held = [(place * GROUP**level, part) for (level, place), part in self._early.items()]
        held += [(group * GROUP ** (level + 1), part) for (level, group), (_, part) in self._sums.items()]
        total = merged((part for _, part in sorted(held, key=lambda item: item[0])), self._like)
        absent = [number for number, done in zip(self._numbers, self._done, strict=True) if not done]
        return Outcome(
            total.profile(self._like), total.work, total.unreadable, sorted({*absent, *total.missing}), error
        )
