"""Counting on a cluster: tasks that are named ``read``, ``profile`` and ``merge``, submitted as room for them appears.

A task counts one partition with the function that the local engine uses; the sum of 8 neighbours is a task too. Sums of 8
(of 64, where there are many) come to this process as they are ready and are added here: what they say is not lost when the
cluster is. Only a window of tasks is known to the scheduler at a time, so neither it nor this process grows with the table.
"""

from __future__ import annotations

import math
import signal
import time
from asyncio import CancelledError
from concurrent.futures import CancelledError as Cancelled
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from inspect import signature
from queue import Empty, SimpleQueue
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import dask
from dask.utils import parse_timedelta
from distributed import Client, KilledWorker, get_worker

from gpumon.engines import engine, local
from gpumon.engines.count import Counter
from gpumon.engines.dask.collection import Chunk
from gpumon.engines.energy import counters
from gpumon.engines.part import GROUP, Outcome, Part, Tree, Work, counted, merged, widths
from gpumon.errors import EngineError, GpumonError, OptionError
from gpumon.kernels import BACKENDS, select
from gpumon.profiles import files
from gpumon.tables.frames import open_table
from gpumon.tables.joining import MOST_SENT, JoinedPart
from gpumon.tables.table import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from distributed import Future

    from gpumon.engines.energy import Counters
    from gpumon.profiles.profile import Profile
    from gpumon.tables.joining import Lookup
    from gpumon.tables.slices import Slicing
    from gpumon.tables.table import Each, Partition, Table

__all__ = ["TIMEOUT", "Dask"]

TIMEOUT = "5m"
"""Without a finished task for this long, workers count as hung: ``gpumon.timeout`` in Dask's configuration."""

LOOK_AT_WORKERS = 5.0  # seconds between looks at how many there are
LOOK = 1.0  # seconds between looks at the clock while nothing happens
ALL_WORKERS = {"n_workers": -1} if "n_workers" in signature(Client.scheduler_info).parameters else {}
ANSWER = 5.0  # seconds in which workers tell what their GPUs have drawn
FEW = 4  # items of ``each`` up to which asking the cluster costs more than it saves
MANY = 4096  # partitions from which sums of 64 come here, not of 8


class Dask:
    """A cluster, through its client."""

    NAME = "dask"

    def __init__(self, client: Client) -> None:
        self.client = client
        self.threads = 0

    def _wait(self) -> None:
        """EngineError if there is no worker and none comes."""
        try:
            self.client.wait_for_workers(1, timeout=_timeout())
        except TimeoutError as error:
            raise EngineError(f"{self._place()} has no worker: start some (dask worker ADDRESS)") from error

    def each(self, work: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        """On the workers, in order."""
        if len(items) <= FEW:
            yield from in_threads(work, items)
            return
        self._wait()
        token = uuid4().hex[:12]
        futures: list[Future] = []
        try:
            keys = [f"read-{token}-{i}" for i in range(len(items))]
            futures = self.client.map(_whole, items, work=work, key=keys)
            for i, future in enumerate(futures):
                yield _result(future).content
                futures[i] = None  # the workers may forget it
        finally:
            self.client.cancel([future for future in futures if future is not None])

    def table(self, source: Any, *, name: str | None, skip: bool, each: Each) -> Table:
        """A table of anything, also of a Dask collection."""
        found = engine.collection(source, name, self.client)
        return found or open_table(source, name=name, skip=skip, each=each)

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
        """On the workers; rows that are in the memory of this process are counted here."""
        if backend not in BACKENDS:
            raise OptionError(f"backend {backend!r} is unknown: use one of {', '.join(BACKENDS)}")
        if table.here:
            count = Counter(like, slicing, select(backend))
            return local.run(table, columns, count, skip=skip, only=only, progress=progress)
        self._wait()
        partitions = table.partitions(columns)
        numbers = range(len(partitions)) if only is None else only
        tree = Tree(numbers, like)
        run = Run(self.client, Task(slicing, backend, skip), partitions, numbers, tree, progress)
        try:
            run(files.dumps(like.empty()))
        except BaseException as error:  # noqa: BLE001 (whoever called keeps what was counted, then raises it)
            run.cancel()
            return tree.outcome(error)
        self.threads = max(self.threads, run.threads)
        return tree.outcome()

    def described(self, work: Work) -> str:
        """The cluster, and how many workers and GPUs took part."""
        workers = len({who for who, _ in work.devices if who})
        gpus = sum(backend == "cuda" for _, backend in work.devices)
        told = [_several(workers, "worker"), *([_several(gpus, "GPU")] if gpus else ())]
        return f"dask, {', '.join(told)}, {_several(self.threads, 'thread')} at {self._place()}"

    def energy(self) -> Counters:
        """Those of all machines that have workers; none if they do not answer at once."""
        found: Counters = {}

        def ask() -> None:
            for some in self.client.run(counters, on_error="ignore").values():
                found.update(some)

        asking = Thread(target=ask, daemon=True)  # a worker that hangs does not hold up the report
        asking.start()
        asking.join(ANSWER)
        return {} if asking.is_alive() else found

    def _place(self) -> str:
        scheduler = self.client.scheduler
        return f"the scheduler {scheduler.address if scheduler is not None else ''}".rstrip()


@dataclass(frozen=True, slots=True)
class Whole:
    """What a task gave: the items of a plain list are sent one by one, and what they share as often."""

    content: Any


def _whole(item: Any, work: Callable[[Any], Any]) -> Whole:
    return Whole(work(item))


@dataclass(frozen=True)
class Task:
    """What is the same for all tasks of a run, but for the plan."""

    slicing: Slicing
    backend: str
    skip: bool

    def counter(self, plan: bytes) -> Counter:
        """The counter of this process, made once."""
        return _counter(plan, self.slicing, self.backend)

    def profile(
        self, number: int, partition: Partition, frame: Any, labels: Lookup | None, plan: bytes
    ) -> Part:
        """Count one partition: the task ``profile``. ``frame`` is the content of a Chunk, ``labels`` are of a JoinedPart."""
        count = self.counter(plan)
        if isinstance(partition, JoinedPart):
            part = partition.part
            part = part.holding(frame) if isinstance(part, Chunk) else part
            partition = replace(partition, part=part, lookup=labels)
        elif isinstance(partition, Chunk):
            partition = partition.holding(frame, device=count.kernels.DEVICE)
        return counted(partition, number, count, skip=self.skip, who=get_worker().address)

    def merge(self, parts: list[Part], plan: bytes) -> Part:
        """Add neighbours: the task ``merge``."""
        return merged(parts, self.counter(plan).like)


@lru_cache(maxsize=4)
def _counter(plan: bytes, slicing: Slicing, backend: str) -> Counter:
    return Counter(files.loads(plan), slicing, select(backend))


def _same(shared: Any) -> Any:
    """What all tasks need (plan, labels) as the result of a task: if the worker that holds it is lost, it is made again."""
    return shared


class Run:
    """One scan: submits tasks, takes sums as they are ready."""

    def __init__(
        self,
        client: Client,
        task: Task,
        partitions: Sequence[Partition],
        numbers: Sequence[int],
        tree: Tree,
        progress: Callable[[int, int], None],
    ) -> None:
        self.client = client
        self.task = task
        self.partitions = partitions
        self.numbers = numbers
        self.tree = tree
        self.progress = progress
        self.token = uuid4().hex[:12]
        self.widths = widths(len(numbers))
        self.taken = 2 if len(numbers) > MANY else 1  # the level of the sums that come here
        self.events: SimpleQueue[Future | None] = SimpleQueue()  # tasks that are done; None: Ctrl-C
        self.pending: dict[
            str, tuple[int, int, Future]
        ] = {}  # level and place of every task that is not done
        self.sums: dict[tuple[int, int], dict[int, Future]] = {}  # done, waiting for their neighbours
        self.told = 0  # rows that were reported
        self.plan: Any = None
        self.lookup: Future | None = None  # the labels of JoinedParts
        self.threads = 0
        self.looked = -math.inf

    def __call__(self, plan: bytes) -> None:
        """Run to the end."""
        if not self.numbers:
            return
        self.plan = self.client.submit(_same, plan, key=f"plan-{self.token}")
        first = self.partitions[self.numbers[0]]
        if isinstance(first, JoinedPart):
            with dask.config.set({"distributed.admin.large-graph-warning-threshold": MOST_SENT}):
                self.lookup = self.client.submit(_same, first.lookup, key=f"labels-{self.token}")
        groups = iter(range(self.widths[1] if len(self.widths) > 1 else 1))
        with _interruptible(self.events):
            self._work(groups)

    def _work(self, groups: Iterator[int]) -> None:
        while True:
            ahead = self._ahead()
            while len(self.pending) < ahead and (group := next(groups, None)) is not None:
                self._submit(range(group * GROUP, min((group + 1) * GROUP, len(self.numbers))))
            if not self.pending:
                return
            future = self._next()
            level, place, _ = self.pending.pop(future.key)
            if future.status != "finished":
                _result(future)  # raises
            self._done(level, place, future)

    def _ahead(self) -> int:
        """How many tasks may be known to the scheduler: workers come and go."""
        if time.monotonic() - self.looked > LOOK_AT_WORKERS:
            self.threads = int(sum(self.client.nthreads().values()))
            self.looked = time.monotonic()
        return max(2 * GROUP, 4 * self.threads)

    def cancel(self) -> None:
        """Forget all tasks, as far as the cluster still listens."""
        futures = [future for *_, future in self.pending.values()]
        futures += [future for some in self.sums.values() for future in some.values()]
        if self.client.status == "running":
            self.client.cancel(futures, force=True)
        self.pending.clear()
        self.sums.clear()

    def _submit(self, places: range) -> None:
        numbers = [self.numbers[place] for place in places]
        partitions = [self.partitions[number] for number in numbers]
        keys = [f"profile-{self.token}-{number}" for number in numbers]
        sent = [_without_content(part) for part in partitions]
        frames = [_frame(part) for part in partitions]
        if frames[0] is not None:
            # a task that depends on a task of the collection: where its partition is, or will be made
            futures = self.client.compute(
                [
                    dask.delayed(self.task.profile, pure=False)(
                        number, part, frame, self.lookup, self.plan, dask_key_name=key
                    )
                    for number, part, frame, key in zip(numbers, sent, frames, keys, strict=True)
                ]
            )
        else:
            futures = self.client.map(
                self.task.profile,
                numbers,
                sent,
                frames,
                labels=self.lookup,
                plan=self.plan,
                key=keys,
                pure=False,
            )
        for place, future in zip(places, futures, strict=True):
            self._watch(0, place, future)

    def _watch(self, level: int, place: int, future: Future) -> None:
        self.pending[future.key] = level, place, future
        future.add_done_callback(self.events.put)

    def _done(self, level: int, place: int, future: Future) -> None:
        """A sum of ``level`` is ready: take it, or add it to its neighbours once they are all ready."""
        if level == 0:
            rows, nbytes = (
                self.partitions[self.numbers[place]].rows,
                self.partitions[self.numbers[place]].nbytes,
            )
            if rows is not None:
                self.told += rows
                self.progress(rows, nbytes or 0)
        if level == min(self.taken, len(self.widths) - 1):
            part: Part = _result(future)
            if part.work.rows and not self.told:  # rows are not known before
                self.progress(part.work.rows, part.work.nbytes)
            self.tree.put(place, part, level)
            return
        group = place // GROUP
        some = self.sums.setdefault((level, group), {})
        some[place] = future
        if len(some) == min(GROUP, self.widths[level] - group * GROUP):
            del self.sums[level, group]
            if len(some) == 1:
                self._done(level + 1, group, future)
                return
            ordered = [some[i] for i in sorted(some)]
            key = f"merge-{self.token}-{level + 1}-{group}"
            # before tasks that wait: what is merged is small, and can be taken
            whole = self.client.submit(self.task.merge, ordered, self.plan, key=key, pure=False, priority=1)
            self._watch(level + 1, group, whole)

    def _next(self) -> Future:
        """The next task that is done; hung workers are taken out of the cluster."""
        timeout = _timeout()
        start, tried = time.monotonic(), 0
        while True:
            try:
                future = self.events.get(timeout=min(LOOK, timeout))
                if future is None:
                    raise KeyboardInterrupt
            except Empty:
                if self.client.status not in {"running", "connecting"}:
                    raise EngineError("the cluster was closed while it counted") from None
            else:
                return future
            if time.monotonic() - start > timeout:
                if tried == 2:
                    raise EngineError(
                        f"no task was done for {3 * timeout:g} s: see the workers' logs, or let gpumon.timeout in "
                        "Dask's configuration be longer"
                    )
                self._drop_hung(timeout)
                start, tried = time.monotonic(), tried + 1

    def _drop_hung(self, timeout: float) -> None:
        """Take out workers that gave no sign of life, or that work on our tasks while others have nothing to do.

        The scheduler then gives their tasks to others, as if they had died. What is left of them is not asked.
        """
        workers = self.client.scheduler_info(**ALL_WORKERS)["workers"]
        now = max((about["last_seen"] for about in workers.values()), default=0.0)
        hung = {address for address, about in workers.items() if now - about["last_seen"] > min(timeout, 30)}
        if not hung:
            busy = self.client.processing()
            hung = {
                address for address, keys in busy.items() if any(str(key) in self.pending for key in keys)
            }
        if not workers or hung == set(workers):
            return
        for address in hung:
            self.client.sync(
                self.client.scheduler.unregister, address=address, stimulus_id=f"gpumon-hung-{time.time()}"
            )


def _without_content(partition: Partition) -> Partition:
    """A partition as it is sent: without the frame of a Chunk, without labels."""
    if isinstance(partition, JoinedPart):
        return replace(partition, part=_without_content(partition.part), lookup=None)
    return partition.empty() if isinstance(partition, Chunk) else partition


def _frame(partition: Partition) -> Any:
    """What makes the frame of a Chunk; None for other partitions."""
    part = partition.part if isinstance(partition, JoinedPart) else partition
    return part.frame if isinstance(part, Chunk) else None


@contextmanager
def _interruptible(events: SimpleQueue[Any]) -> Iterator[None]:
    """Ctrl-C becomes an event: raised wherever the process happens to be, in a ``__del__``, it would be lost.

    A second one is raised there all the same.
    """
    usual = signal.default_int_handler
    if current_thread() is not main_thread() or signal.getsignal(signal.SIGINT) is not usual:
        yield
        return

    def heard(*_: Any) -> None:
        signal.signal(signal.SIGINT, usual)
        events.put(None)

    signal.signal(signal.SIGINT, heard)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def _several(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _timeout() -> float:
    return float(parse_timedelta(dask.config.get("gpumon.timeout", TIMEOUT)))


def _result(future: Future) -> Any:
    """The result of a task; its failure as an EngineError, or as it is if it is ours."""
    try:
        return future.result()
    except GpumonError:
        raise
    except KilledWorker as error:
        raise EngineError(
            f"the task {future.key} ended {error.allowed_failures + 1} workers: they may need more memory (see their logs)"
        ) from error
    except (CancelledError, Cancelled, OSError, TimeoutError) as error:
        raise EngineError("the scheduler went away while it counted: start it, and run again") from error
    except ModuleNotFoundError as error:
        raise EngineError(f"the workers lack a package ({error}): install gpumon there as here") from error
