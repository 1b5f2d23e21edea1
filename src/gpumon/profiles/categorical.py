"""Categorical columns: exact counts of the reference's vocabulary, and a bounded, order-free account of everything else."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from gpumon.errors import ProfileError
from gpumon.profiles.numeric import REGISTERS
from gpumon.profiles.state import MAX, PLAN, SUM, State, rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["BUCKETS", "MOST_CATEGORIES", "MOST_NAMES", "Categorical", "Names"]

MOST_CATEGORIES = 10_000
"""Values of the reference that are counted one by one: the most frequent ones."""

MOST_NAMES = 1_000
"""Values outside the vocabulary that are kept by name."""

BUCKETS = 256


@dataclass(frozen=True, eq=False)
class Names(State):
    """Counts by name for the values of smallest hash, at most ``MOST_NAMES`` of them.

    Which values are kept depends on their hashes alone, and one that is kept in the whole was kept in every part:
    so the counts are exact and the order of merging does not matter. With fewer than ``MOST_NAMES`` the list is
    complete; a full one is a uniform sample of the distinct values. (Two values with the same 64-bit hash would
    be taken for one.)
    """

    hashes: NDArray[np.uint64]  # (k,), increasing
    counts: NDArray[np.int64]  # (k,)
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.hashes.shape == self.counts.shape == (len(self.values),):
            raise ProfileError("names without counts: the state is damaged")

    @classmethod
    def none(cls) -> Names:
        """No names."""
        return cls(np.zeros(0, np.uint64), np.zeros(0, np.int64), ())

    @staticmethod
    def smallest(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Where the names to keep stand among distinct ``hashes``."""
        if hashes.size <= MOST_NAMES:
            return np.arange(hashes.size)
        return np.argpartition(hashes, MOST_NAMES)[:MOST_NAMES]

    @classmethod
    def of(cls, hashes: NDArray[np.uint64], counts: NDArray[np.int64], values: Sequence[str]) -> Names:
        """The names of smallest hash, equal hashes being one value."""
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        starts = np.flatnonzero(
            np.concatenate((np.ones(min(1, ordered.size), np.bool_), ordered[1:] != ordered[:-1]))
        )
        if starts.size == 0:
            return cls.none()
        sums = np.add.reduceat(counts[order], starts)[:MOST_NAMES]
        starts = starts[:MOST_NAMES]
        return cls(ordered[starts], sums, tuple(values[i] for i in order[starts].tolist()))

    def __add__(self, other: Names) -> Names:
        if not other.values:
            return self
        if not self.values:
            return other
        return Names.of(
            np.concatenate((self.hashes, other.hashes)),
            np.concatenate((self.counts, other.counts)),
            self.values + other.values,
        )

    def empty(self) -> Names:
        """No names."""
        return Names.none()

    @property
    def complete(self) -> bool:
        """Whether every value outside the vocabulary is here."""
        return len(self.values) < MOST_NAMES

    def items(self) -> list[tuple[str, int]]:
        """Values and their counts, most frequent first."""
        return sorted(
            zip(self.values, self.counts.tolist(), strict=True), key=lambda item: (-item[1], item[0])
        )


NAMES = rule(add, Names.empty)


@dataclass(frozen=True, eq=False)
class Categorical(State):
    """A categorical or boolean column (or the pattern class of a text column).

    A value that is not in the vocabulary is counted in one of 256 buckets by its hash: no such value stands more
    often than its bucket's count says, so ``outside.max()`` certifies what the vocabulary may have missed.
    """

    vocabulary: tuple[str, ...] = field(metadata=PLAN)  # (k,), most frequent in the reference first
    counts: NDArray[np.int64] = field(metadata=SUM)  # (k,)
    outside: NDArray[np.int64] = field(metadata=SUM)  # (256,), by hash
    missing: NDArray[np.int64] = field(metadata=SUM)  # ()
    names: Names = field(metadata=NAMES)  # of values outside the vocabulary
    registers: NDArray[np.uint8] = field(metadata=MAX)  # (4096,), HyperLogLog

    def __post_init__(self) -> None:
        shapes = (self.counts.shape, self.outside.shape, self.missing.shape, self.registers.shape)
        if shapes != ((len(self.vocabulary),), (BUCKETS,), (), (REGISTERS,)):
            raise ProfileError(f"a categorical state of shapes {shapes} is damaged")

    @classmethod
    def on(cls, vocabulary: Sequence[str]) -> Categorical:
        """Nothing counted yet, on this vocabulary."""
        return cls(
            tuple(vocabulary),
            np.zeros(len(vocabulary), np.int64),
            np.zeros(BUCKETS, np.int64),
            np.zeros((), np.int64),
            Names.none(),
            np.zeros(REGISTERS, np.uint8),
        )

    @property
    def rows(self) -> int:
        """Rows counted, missing ones too."""
        return int(self.counts.sum() + self.outside.sum() + self.missing)
