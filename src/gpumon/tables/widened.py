"""What a table is like that has the rows of another one, and more columns."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from gpumon.tables.table import Table

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pyarrow as pa

    from gpumon.tables.paths import File, Unreadable

__all__ = ["Widened", "WidenedPart"]


class Widened(Table):
    """The rows of ``table``; which columns there are beside them, a class of this one says."""

    def __init__(self, table: Table) -> None:
        self.name = table.name
        self.skipped = table.skipped
        self.unreadable = table.unreadable
        self.here = table.here
        self._table = table

    @property
    def files(self) -> Sequence[File]:
        """The files of the rows."""
        return self._table.files

    @property
    def rows(self) -> int | None:
        """The number of rows, if known."""
        return self._table.rows

    def without(self, paths: Collection[str]) -> Self:
        """The table without some of the files."""
        other = copy(self)
        other._table = self._table.without(paths)
        return other


@dataclass(frozen=True, eq=False)
class WidenedPart:
    """The rows of a partition ``part``, in the columns of ``schema``."""

    part: Any
    schema: pa.Schema

    @property
    def rows(self) -> int | None:
        """How many there are, if known."""
        return self.part.rows  # type: ignore[no-any-return]

    @property
    def nbytes(self) -> int | None:
        """About how many bytes ``part`` takes when decoded, if known."""
        return self.part.nbytes  # type: ignore[no-any-return]

    @property
    def threads(self) -> bool:
        """Whether the rows are decoded with threads."""
        return bool(self.part.threads)

    @property
    def paths(self) -> Sequence[str]:
        """The files of the rows."""
        return self.part.paths  # type: ignore[no-any-return]

    def unreadable(self) -> Sequence[Unreadable]:
        """Those that cannot be decoded."""
        return self.part.unreadable()  # type: ignore[no-any-return]

    def without(self, paths: Collection[str]) -> Self:
        """The rows of other files."""
        return replace(self, part=self.part.without(paths))
