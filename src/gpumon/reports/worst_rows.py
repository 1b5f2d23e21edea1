"""The rows of largest error as a table, to be looked at or labelled again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from gpumon.errors import OptionError
from gpumon.profiles.files import write
from gpumon.profiles.worst_rows import WorstRows

if TYPE_CHECKING:
    from pathlib import Path

    from gpumon.profiles.profile import Profile

__all__ = ["save", "worst_rows"]


def worst_rows(counted: Profile, window: str | None = None, segment: str | None = None) -> pa.Table:
    """The rows of largest error of a profile, or of one window or segment of it, largest first.

    The columns are that of the ids (as text), ``error``, ``window`` and ``segment``. OptionError if no rows were kept, or
    there is no such slice.
    """
    plan = counted.plan.get(("", "worst rows"))
    if not isinstance(plan, WorstRows):
        raise OptionError("no rows were kept: give worst_rows, how many of each window and segment")
    slices = [
        at
        for at in counted.slices
        if (at[0] is None) == (not counted.windows) and (at[1] is None) == (not counted.segments)
    ]
    for wanted, there, what in ((window, counted.windows, "window"), (segment, counted.segments, "segment")):
        if wanted is not None and wanted not in there:
            raise OptionError(f"there is no {what} {wanted!r}: there are {', '.join(there[:5]) or 'none'}")
    found = []
    for at in slices:
        if window in {None, at[0]} and segment in {None, at[1]}:
            state = counted.state("", "worst rows", window=at[0], segment=at[1])
            assert isinstance(state, WorstRows)
            found += [(-error, row, *at) for error, row in zip(state.errors.tolist(), state.ids, strict=True)]
    found.sort(key=lambda row: (row[:2], *(text or "" for text in row[2:])))
    found = found[: int(plan.most[0])]
    named = plan.identity[0] if plan.identity[0] not in {"error", "window", "segment"} else "id"
    columns = [
        pa.array([row[1] for row in found], pa.string()),
        pa.array([-row[0] for row in found], pa.float64()),
        *(pa.array([row[i] for row in found], pa.string()) for i in (2, 3)),
    ]
    return pa.table(columns, [named, "error", "window", "segment"])


def save(rows: pa.Table, path: str | Path) -> None:
    """Write rows as a CSV file, whole or not at all."""
    from pyarrow import csv

    sink = pa.BufferOutputStream()
    csv.write_csv(rows, sink)
    write(path, bytes(sink.getvalue()))
