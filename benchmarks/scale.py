"""How gpumon scales on a cluster: measured on one and two workers here, and a model of many held against it.

    python benchmarks/generate.py --large             # the pair of 10,000,000 rows × 50 columns, if it is not there
    python benchmarks/scale.py --machine 2-core       # all of it; writes 3 GB into benchmarks/data/scale first
    python benchmarks/scale.py --only tasks merge     # some of it, stored nowhere

Every measure is a process of its own; they take turns, round after round, and medians are reported. Workers have one
thread, are processes of their own, and have counted something before the clock starts. ``docs/scale.md`` explains.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from drift import surroundings
from generate import mixed_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).resolve().parent
DATA = HERE / "data"
FILES, ROWS = 10_000, 1_000  # of the table of many files
TINY = 100_000  # files of ten rows, hard links to a hundred


def write_many(folder: Path) -> None:
    """10,000 files of 1,000 rows × 24 columns, and 100,000 names of 100 files of 10 rows × 4 columns."""
    many, tiny = folder / "many", folder / "tiny"
    table = mixed_table(0, 1_000_000)
    if not many.exists():
        many.mkdir(parents=True)
        for i in range(FILES):
            pq.write_table(table.slice(i * ROWS % table.num_rows, ROWS), many / f"{i:06}.parquet")
    if not tiny.exists():
        tiny.mkdir()
        few = table.select(["normal_1", "lognormal_1", "integers_1", "category_5"])
        for i in range(TINY):
            path = tiny / f"{i:06}.parquet"
            if i < 100:
                pq.write_table(few.slice(10 * i, 10), path)
            else:
                os.link(tiny / f"{i % 100:06}.parquet", path)


@contextmanager
def cluster(workers: int) -> Iterator[Any]:
    """A client of ``workers`` processes of one thread that have compiled or loaded all kernels; None for 0 workers."""
    import gpumon

    warm = str(DATA / "scale" / "many" / "00000[0-9].parquet")
    if not workers:
        gpumon.scan(warm, warm, engine="local")
        yield None
        return
    from distributed import Client

    command = [sys.executable, __file__, "--cluster", str(workers)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            with Client(process.stdout.readline().strip(), set_as_default=False) as client:
                gpumon.scan(warm, warm, engine=client)
                client.run(_warm, warm)
                yield client
        finally:
            process.stdin.close()


def serve(workers: int) -> None:
    """A cluster in a process of its own, until its input ends; prints its address."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as started:
        print(started.scheduler_address, flush=True)
        sys.stdin.read()


def _warm(path: str) -> None:
    import gpumon

    gpumon.profile(path, engine="local")


def scanned(
    workers: int, threads: int, work: Callable[..., Any], first_file: Path | None = None
) -> dict[str, Any]:
    """Seconds of ``work``, to its first tick too, and the largest memory of this process.

    With ``first_file``, on the plan of that file.
    """
    import gpumon

    if threads:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    with cluster(workers) as client:
        engine = "local" if client is None else client
        if first_file is not None:
            work = partial(work, like=gpumon.profile(str(first_file), engine=engine))
        first: list[float] = []
        start = time.perf_counter()
        counted = work(
            engine=engine,
            progress=lambda *_: first or first.append(time.perf_counter() - start),
        )
        seconds = time.perf_counter() - start
    facts = counted.facts.get("work", counted.facts)
    return {
        "seconds": seconds,
        "first_tick": first[0],
        "peak_memory": _peak_memory(),
        "task_seconds": facts.get("task_seconds"),
        "engine": facts.get("engine", facts.get("Engine")),
    }


def _peak_memory() -> int:
    """Bytes of this process at most: ``ru_maxrss`` would have those of whoever started it."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


def pair(workers: int, threads: int = 0) -> dict[str, Any]:
    """The scan of the large pair."""
    import gpumon

    reference, current = (str(DATA / f"large_{side}.parquet") for side in ("reference", "current"))
    return scanned(workers, threads, lambda **how: gpumon.scan(current, reference, **how))


def profiled(pattern: str, workers: int, threads: int = 0) -> dict[str, Any]:
    """The profile of a table on the plan of its first file."""
    import gpumon

    path = str(DATA / pattern)
    first = DATA / pattern if pattern.endswith(".parquet") and "*" not in pattern else None
    first = first or min(DATA.glob(pattern if "*" in pattern else f"{pattern}/*"))
    return scanned(workers, threads, partial(gpumon.profile, path), first)


def unfused(workers: int) -> dict[str, Any]:
    """The same as ``tiny`` with a task for every file, of 1,000 files: what a task costs."""
    from gpumon.tables import parquet

    parquet.PARTITION_FILES = 1
    return profiled("scale/tiny/000*.parquet", workers) | {"tasks": 1000}


def tasks(workers: int) -> dict[str, Any]:
    """Tasks a second that the scheduler hands out, of 20,000 that do nothing."""
    with cluster(workers) as client:
        n = 20_000
        start = time.perf_counter()
        client.gather(client.map(_nothing, range(n), pure=False, batch_size=1_000))
        return {"seconds": time.perf_counter() - start, "tasks": n}


def _nothing(_: int) -> None:
    pass


def merge(columns: int) -> dict[str, Any]:
    """Seconds of adding two parts of ``columns`` numeric columns, of packing and unpacking one, and its bytes."""
    import pickle

    import gpumon
    from gpumon.engines.part import Part, merged

    rng = np.random.default_rng(0)
    table = {f"x{i}": rng.normal(size=20_000) for i in range(columns)}
    counted = gpumon.profile(table, engine="local")
    like = counted.empty()
    part = Part(counted)
    sent = pickle.dumps(part)
    took = {"columns": columns, "bytes": len(sent)}
    for name, work in (
        ("pack", lambda: pickle.dumps(part)),
        ("unpack", lambda: pickle.loads(sent).profile(like)),
        ("add", lambda: merged((part, part), like)),
    ):
        times = []
        for _ in range(7):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        took[name] = statistics.median(times)
    return took | {"seconds": took["pack"] + took["unpack"] + took["add"]}


MEASURES: dict[str, Callable[[], dict[str, Any]]] = {
    "pair_local_1": lambda: pair(0, 1),
    "pair_local_2": lambda: pair(0),
    "pair_dask_1": lambda: pair(1),
    "pair_dask_2": lambda: pair(2),
    "weak_dask_1": lambda: profiled("large_reference.parquet", 1),
    "weak_dask_2": lambda: profiled("large_*.parquet", 2),
    "many_local_2": lambda: profiled("scale/many", 0),
    "many_dask_2": lambda: profiled("scale/many", 2),
    "tiny_dask_2": lambda: profiled("scale/tiny", 2),
    "unfused_dask_2": lambda: unfused(2),
    "tasks": lambda: tasks(2),
    "merge_24": lambda: merge(24),
    "merge_100": lambda: merge(100),
    "merge_199": lambda: merge(199),
}


def model(
    found: dict[str, dict[str, Any]], gpus: int, rows: float = 1e9, columns: int = 100
) -> dict[str, float]:
    """A scan of float32 Parquet on ``gpus`` workers: each part's seconds by itself, from what was measured here.

    What no GPU has measured is in ASSUMED. Parts overlap, so the longest is the least that a run can take.
    """
    partition = min(1_048_576, 256 * 2**20 // (4 * columns))
    n = rows / partition
    merges, came = n / 7, n / (8 if n <= 4096 else 64)
    part = found["merge_100"]
    per_task = found["tasks"]["seconds"] / found["tasks"]["tasks"]
    return {
        "partitions": n,
        "merge_depth": float(np.ceil(np.log(max(n, 2)) / np.log(8))),
        "count_seconds": rows * columns * 4 / ASSUMED["bytes_per_second_gpu"] / gpus,
        "storage_seconds": rows * columns * 4 / ASSUMED["bytes_per_second_storage"],
        "scheduler_seconds": (n + merges) * per_task,
        "merge_seconds": 8 * merges * (part["pack"] + part["unpack"] + part["add"]) / gpus,
        "client_seconds": came * (part["unpack"] + part["add"]),
        "client_bytes": came * part["bytes"],
        "scheduler_tasks_per_second": 1 / per_task,
    }


ASSUMED = {
    "bytes_per_second_gpu": 10e9,  # decoded, of Parquet read by cuDF: not measured here
    "bytes_per_second_storage": 200e9,  # of a parallel file system, all nodes together
}


def held_against(found: dict[str, dict[str, Any]]) -> dict[str, float]:
    """What the model says of two workers here, beside what they took: 10,000,000 × 50 twice.

    The scheduler's shares are of the time that 100,000 files took, fused into partitions and with a task for each.
    """
    from gpumon.tables.parquet import PARTITION_FILES

    one, two = found["pair_dask_1"]["seconds"], found["pair_dask_2"]["seconds"]
    n = 2 * 10_000_000 / 1_048_576
    part, tiny = found["merge_24"], found["tiny_dask_2"]
    per_task = found["tasks"]["seconds"] / found["tasks"]["tasks"]
    overhead = n * 8 / 7 * per_task
    overhead += n * (part["pack"] + part["unpack"] + part["add"]) * 50 / 24
    unfused = found["unfused_dask_2"]
    return {
        "predicted_2_workers": (one - overhead) / 2 + overhead,
        "measured_2_workers": two,
        "efficiency_2_workers": one / (2 * two),
        "dask_2_over_local_2": two / found["pair_local_2"]["seconds"],
        "weak_efficiency": found["weak_dask_1"]["seconds"] / found["weak_dask_2"]["seconds"],
        "seconds_per_task": per_task,
        "scheduler_share_of_tiny": TINY / PARTITION_FILES * 8 / 7 * per_task / tiny["seconds"],
        "scheduler_share_of_unfused": unfused["tasks"] * 8 / 7 * per_task / unfused["seconds"],
        "counting_share_of_tiny": tiny["task_seconds"] / (2 * tiny["seconds"]),
    }


def taken(key: str) -> dict[str, Any]:
    """One measure, in a process of its own."""
    ran = subprocess.run(
        [sys.executable, __file__, "--one", key], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        sys.exit(f"{key} failed:\n{ran.stderr}")
    return json.loads(ran.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machine", default="2-core", help="names the result file (default: 2-core)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=(), metavar="KEY", help=", ".join(MEASURES))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--cluster", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cluster:
        serve(options.cluster)
        return
    if options.one:
        print(json.dumps(MEASURES[options.one]()))
        return
    result = surroundings(options.machine)
    write_many(DATA / "scale")
    rounds: dict[str, list[dict[str, Any]]] = {key: [] for key in options.only or MEASURES}
    for number in range(options.rounds):
        for key, took in rounds.items():
            took.append(taken(key))
            print(f"round {number + 1}: {key}: {took[-1]}", file=sys.stderr, flush=True)
    found = {
        key: {
            **took[-1],
            **{
                name: statistics.median(each[name] for each in took)
                for name in ("seconds", "first_tick", "task_seconds", "peak_memory", "pack", "unpack", "add")
                if isinstance(took[-1].get(name), float | int)
            },
            "repeats": [each["seconds"] for each in took],
        }
        for key, took in rounds.items()
    }
    if options.only:
        print(json.dumps(found, indent=1))
        return
    result |= {"measured": found, "model_here": held_against(found), "assumed": ASSUMED}
    result["model"] = {str(gpus): model(found, gpus) for gpus in (8, 64, 1000)}
    file = HERE / "results" / f"scale-{options.machine}.json"
    file.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["model_here"], indent=1))
    print(f"written: {file}")


if __name__ == "__main__":
    main()
