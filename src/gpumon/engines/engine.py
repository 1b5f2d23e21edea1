"""Which engine counts: this process, a cluster that is started for it, or one that is there."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from gpumon.engines import local
from gpumon.engines.count import Counter
from gpumon.engines.energy import counters
from gpumon.errors import OptionError
from gpumon.kernels import select
from gpumon.tables.frames import open_table
from gpumon.tables.table import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from gpumon.engines.energy import Counters
    from gpumon.engines.part import Outcome, Work
    from gpumon.profiles.profile import Profile
    from gpumon.tables.slices import Slicing
    from gpumon.tables.table import Each, Table

__all__ = ["ENGINES", "Engine", "Local", "opened"]

ENGINES = ("auto", "local", "dask")


class Engine(Protocol):
    """Who opens tables and counts them."""

    NAME: str

    def each(self, work: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        """``map(work, items)``, by whoever counts; in order."""

    def table(self, source: Any, *, name: str | None, skip: bool, each: Each) -> Table:
        """``open_table``, also of what only this engine knows."""

    def count(
        self,
        table: Table,
        columns: Sequence[str],
        like: Profile,
        slicing: Slicing,
        backend: str,
        *,
        skip: bool,
        only: Sequence[int] | None,
        progress: Callable[[int, int], None],
    ) -> Outcome:
        """The profile of ``table`` on the plan of ``like``. An error that ends it early is in the outcome."""

    def described(self, work: Work) -> str:
        """Who it is, and who did ``work``, in words."""

    def energy(self) -> Counters:
        """The energy counters of its GPUs."""


class Local:
    """The threads of this process."""

    NAME = "local"

    def each(self, work: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        """In threads."""
        return in_threads(work, items)

    def table(self, source: Any, *, name: str | None, skip: bool, each: Each) -> Table:
        """A table of anything; of a Dask collection, one partition after the other is computed here."""
        return collection(source, name, None) or open_table(source, name=name, skip=skip, each=each)

    def count(
        self,
        table: Table,
        columns: Sequence[str],
        like: Profile,
        slicing: Slicing,
        backend: str,
        *,
        skip: bool,
        only: Sequence[int] | None,
        progress: Callable[[int, int], None],
    ) -> Outcome:
        """In threads."""
        count = Counter(like, slicing, select(backend))
        return local.run(table, columns, count, skip=skip, only=only, progress=progress)

    def described(self, work: Work) -> str:  # noqa: ARG002
        """The threads."""
        return f"local, {len(os.sched_getaffinity(0))} threads"

    def energy(self) -> Counters:
        """Those of this machine."""
        return counters()


def collection(source: Any, name: str | None, client: Any) -> Table | None:
    """A table of a Dask collection, or of a list of delayed frames or futures; None of anything else."""
    if "dask" not in sys.modules:  # then it cannot be one
        return None
    from gpumon.engines.dask.collection import Collection

    return Collection(source, name or "the table", client) if Collection.fits(source) else None


@contextmanager
def opened(engine: Any = "auto", workers: int | None = None) -> Iterator[Engine]:
    """The engine that is asked for, closed at the end if it was started here.

    "auto" is the active ``distributed.Client`` of this process, else "local". "dask" starts a cluster on this machine: a
    worker for every GPU that answers, else ``workers`` processes of one thread, as many as there are processors by
    default. An address (``tcp://``, ``tls://`` …) or the path of a scheduler file connects to a running cluster; a
    ``distributed.Client`` is used as it is.
    """
    if not isinstance(engine, str | os.PathLike) and hasattr(engine, "described"):
        yield engine  # it is open
        return
    if workers is not None and workers < 1:
        raise OptionError(f"workers must be a whole number above 0, not {workers!r}")
    if workers is not None and engine != "dask":
        raise OptionError("workers are started with engine='dask' only: leave workers out")
    if engine == "local" or (engine == "auto" and "distributed" not in sys.modules):
        yield Local()
        return
    from gpumon.engines.dask import cluster

    with cluster.connected(engine, workers) as client:
        if client is None:
            yield Local()
        else:
            from gpumon.engines.dask.scan import Dask

            yield Dask(client)
