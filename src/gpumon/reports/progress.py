"""A bar while tables are counted: rows, rows a second, gigabytes a second, time left; on a terminal and in a notebook."""

from __future__ import annotations

from contextlib import contextmanager
from time import monotonic as _now
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

__all__ = ["bar"]


@contextmanager
def bar(console: Console | None = None) -> Iterator[Callable[[str, int, int | None, int], None]]:
    """A bar for each stage; gives what ``progress=`` takes.

    Rates are of the whole stage so far, from its first tick; bytes are of the decoded rows.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    shown = Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} {task.fields[unit]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    tasks: dict[str, Any] = {}
    started: dict[str, float] = {}
    with shown:

        def tick(stage: str, done: int, of: int | None, nbytes: int = 0) -> None:
            now = _now()
            if stage not in tasks:
                name, _, unit = stage.partition(": ")
                started[stage] = now
                tasks[stage] = shown.add_task(name, total=of, unit=unit or "rows", rate="")
            seconds = now - started[stage]
            shown.update(tasks[stage], completed=done, total=of, rate=_rate(done, nbytes, seconds))

        yield tick


def _rate(done: int, nbytes: int, seconds: float) -> str:
    """What was done a second; nothing before there is a second to speak of.

    >>> _rate(3_000_000, 1_200_000_000, 2.0)
    '1,500,000/s 0.60 GB/s'
    """
    if seconds < 0.1:
        return ""
    return f"{done / seconds:,.0f}/s" + (f" {nbytes / seconds / 1e9:.2f} GB/s" if nbytes else "")
