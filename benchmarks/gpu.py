"""Measure the CUDA kernels on a GPU, beside a copy of the same memory, CuPy's histogram and cuDF, and write JSON.

    python benchmarks/gpu.py [--rows 268435456] [--json benchmarks/results/gpu-NAME.json] [--only PART …]
    NUMBA_ENABLE_CUDASIM=1 python benchmarks/gpu.py --check      # the same lines on a few rows, without a GPU

Needs CuPy and numba-cuda; what needs pyarrow or cuDF is left out, and said so, where they are not installed. A part
that fails is written down as failed, and the others go on. Times are medians of CUDA events after a warm-up; a
kernel's TB/s counts what it reads, the copy's what it reads and writes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gpumon.kernels import SIMULATED, Bitmask, NumericColumn, NumericCounts, cuda_status, select
from gpumon.kernels import cuda as kernels
from gpumon.kernels.cuda import toolchain
from gpumon.kernels.lookup import guide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHAPES = ("uniform", "normal", "lognormal", "70 % zeros", "constant", "sorted", "nullable")
DTYPES = ("float32", "float64", "int32")
EDGES = (64, 256, 1023)
COLUMNS = (1, 10, 100, 1000)
PACKAGES = (
    "gpumon",
    "numpy",
    "numba",
    "numba-cuda",
    "cupy-cuda13x",
    "cupy-cuda12x",
    "cudf-cu13",
    "cudf-cu12",
    "pyarrow",
)

xp = toolchain.arrays()


class Sizes:
    """How much is measured."""

    def __init__(self, rows: int | None, *, check: bool) -> None:
        self.rows = rows or (400 if check else 2**28)
        self.narrow = 50 if check else 100_000  # rows of each of many columns
        self.wide = (1, 3) if check else COLUMNS
        self.scan = (400, 3) if check else (100_000_000, 30)
        self.predictions = self.rows if check else 100_000_000
        self.repeats = 1 if check else 7
        self.energy = 0.0 if check else 2.0  # seconds


class Clock:
    """The device's time of every kernel, by name, in seconds.

    A launch takes the host a fraction of a millisecond. So that this is not in the time, the device is given copies to
    make before each: it comes to the first event when the kernel is waiting behind it.
    """

    def __init__(self) -> None:
        self.spans: dict[str, list[Any]] = {}
        self.busy = [xp.zeros(1 if SIMULATED else 2**30, np.uint8) for _ in range(2)]

    def __enter__(self) -> Self:
        self.launch = launch = toolchain.Kernel.launch
        spans = self.spans

        def timed(kernel: toolchain.Kernel, grid: tuple[int, ...], *arguments: Any) -> None:
            for _ in range(0 if SIMULATED else 4):
                xp.copyto(*self.busy)
            start = now()
            launch(kernel, grid, *arguments)
            spans.setdefault(kernel.name, []).append((start, now()))

        toolchain.Kernel.launch = timed
        return self

    def __exit__(self, *_: object) -> None:
        toolchain.Kernel.launch = self.launch

    def seconds(self) -> dict[str, float]:
        return {name: sum(between(*span) for span in spans) for name, spans in self.spans.items()}


def now() -> Any:
    if SIMULATED:
        return time.perf_counter()
    event = xp.cuda.Event()
    event.record(xp.cuda.Stream.null)
    return event


def between(start: Any, end: Any) -> float:
    if SIMULATED:
        return end - start
    end.synchronize()
    return xp.cuda.get_elapsed_time(start, end) / 1000


def median(work: Callable[[], Any], repeats: int) -> float:
    """Seconds of the device between the beginning and the end of ``work``."""
    work()
    spans = []
    for _ in range(repeats):
        start = now()
        work()
        spans.append(between(start, now()))
    return statistics.median(spans)


def values(shape: str, dtype: str, rows: int, seed: int = 0) -> tuple[Any, Bitmask | None]:
    rng = np.random.default_rng(seed) if SIMULATED else xp.random.default_rng(seed)
    if shape == "uniform":
        x = rng.random(rows)
    elif shape == "constant":
        x = xp.full(rows, 1.5)
    else:
        x = rng.standard_normal(rows)
    if shape == "lognormal":
        x = xp.exp(x)
    elif shape == "70 % zeros":
        x = xp.where(rng.random(rows) < 0.7, 0.0, x)
    elif shape == "sorted":
        x = xp.sort(x)
    x = (x * 1000 if dtype.startswith("int") else x).astype(dtype)
    if shape != "nullable":
        return x, None
    return x, Bitmask(xp.packbits(rng.random(rows) < 0.9, bitorder="little"), 0)


def edges_of(x: Any, m: int) -> np.ndarray:
    sample = toolchain.to_host(x[:: max(len(x) // 32_768, 1)]).astype(np.float64)
    edges = np.unique(np.quantile(sample, np.linspace(0, 1, m)))
    return edges if edges.size > 1 else np.array([edges[0], np.nextafter(edges[0], np.inf)])


def column(x: Any, valid: Bitmask | None, edges: np.ndarray) -> NumericColumn:
    return NumericColumn(x, valid, guide(edges), NumericCounts.zeros(1, edges.size))


def counted(columns: list[NumericColumn], *, cells: bool = False) -> None:
    kernels.numeric(columns, np.array([0, len(columns[0].values)]), np.array([0]), cells=cells)


def copy(sizes: Sizes) -> Iterator[dict[str, Any]]:
    x = xp.zeros(sizes.rows, np.float32)
    y = xp.empty_like(x)
    seconds = median(lambda: xp.copyto(y, x), sizes.repeats)
    yield {"what": "copy", "seconds": seconds, "TB/s": 2 * x.nbytes / seconds / 1e12}


def one_column(sizes: Sizes) -> Iterator[dict[str, Any]]:
    """Each kernel on each shape, type and number of edges; and whether two runs and the CPU agree bit for bit."""
    cases = [(shape, "float32", 1023) for shape in SHAPES]
    cases += [("normal", dtype, 1023) for dtype in DTYPES[1:]] + [
        ("normal", "float32", m) for m in EDGES[:-1]
    ]
    for shape, dtype, m in cases:
        x, valid = values(shape, dtype, sizes.rows)
        edges = edges_of(x, m)
        for cells in (False, True) if (shape, dtype, m) == ("normal", "float32", 1023) else (False,):
            counted([column(x, valid, edges)], cells=cells)
            runs: dict[str, list[float]] = {}
            for _ in range(sizes.repeats):
                with Clock() as clock:
                    counted([column(x, valid, edges)], cells=cells)
                for name, seconds in clock.seconds().items():
                    runs.setdefault(name, []).append(seconds)
            for name, spans in runs.items():
                seconds = statistics.median(spans)
                yield {
                    "what": name, "shape": shape, "type": dtype, "edges": m, "cells": cells, "seconds": seconds,
                    "values/s": len(x) / seconds, "TB/s": x.nbytes / seconds / 1e12,
                }  # fmt: skip
        yield {"what": "agreement", "shape": shape, "type": dtype, "edges": m, **agreement(x, valid, edges)}


def agreement(x: Any, valid: Bitmask | None, edges: np.ndarray) -> dict[str, bool]:
    """Two runs on the device, and the CPU, on the first rows."""
    x = x[: 2**22]
    first, second, here = (column(x, valid, edges) for _ in range(3))
    counted([first])
    counted([second])
    flags = None
    if valid is not None:
        flags = np.unpackbits(toolchain.to_host(valid.bits), bitorder="little")[: len(x)].view(np.bool_)
    host = here._replace(values=toolchain.to_host(x), valid=flags)
    select("cpu").numeric([host], np.array([0, len(x)]), np.array([0]))
    same = [np.array_equal(a, b) for a, b in zip(first.into, second.into, strict=True)]
    exact = [
        np.array_equal(getattr(first.into, n), getattr(here.into, n))
        for n in ("counts", "extremes", "registers")
    ]
    near = np.allclose(first.into.moments, here.into.moments, rtol=1e-12, atol=1e-12 * np.abs(edges).max())
    return {
        "two runs": all(same),
        "counts, extremes, registers of the CPU": all(exact),
        "moments within 1e-12": near,
    }


def many_columns(sizes: Sizes) -> Iterator[dict[str, Any]]:
    for n in sizes.wide:
        matrix = [values("normal", "float32", sizes.narrow, seed)[0] for seed in range(n)]
        edges = edges_of(matrix[0], 1023)
        columns = [column(x, None, edges) for x in matrix]
        seconds = median(lambda columns=columns: counted(columns), sizes.repeats)
        yield {
            "what": "whole call", "columns": n, "rows": sizes.narrow, "seconds": seconds,
            "values/s": n * sizes.narrow / seconds,
        }  # fmt: skip


def other_kernels(sizes: Sizes) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(0) if SIMULATED else xp.random.default_rng(0)
    offsets = np.array([0, sizes.rows])
    for size in (2, 100, 10_000):
        codes = rng.integers(0, size, sizes.rows, dtype=np.int32)
        seconds = median(lambda codes=codes, size=size: kernels.codes(codes, offsets, size), sizes.repeats)
        yield {"what": "codes", "categories": size, "seconds": seconds, "values/s": sizes.rows / seconds}
    rows = sizes.rows // 8
    columns = [(values("normal", "float32", rows, seed)[0], None) for seed in range(2 if SIMULATED else 8)]
    centre, scale = np.zeros(len(columns)), np.ones(len(columns))
    parts = np.array([0, rows])
    seconds = median(lambda: kernels.comoments(columns, centre, scale, parts), sizes.repeats)
    yield {"what": "comoments", "columns": len(columns), "rows": rows, "seconds": seconds}
    x, _ = values("normal", "float32", sizes.rows)
    seconds = median(lambda: xp.sort(x), sizes.repeats)
    yield {"what": "sort", "seconds": seconds, "values/s": len(x) / seconds}


def competitors(sizes: Sizes) -> Iterator[dict[str, Any]]:
    x, _ = values("normal", "float32", sizes.rows)
    for m in EDGES:
        edges = xp.asarray(edges_of(x, m).astype(np.float32))
        seconds = median(lambda edges=edges: xp.histogram(x, bins=edges), sizes.repeats)
        yield {
            "what": f"{xp.__name__}.histogram",
            "edges": m,
            "seconds": seconds,
            "values/s": len(x) / seconds,
        }
    matrix = xp.stack([values("normal", "float32", sizes.rows // 8, seed)[0] for seed in range(8)])
    seconds = median(lambda: xp.corrcoef(matrix, dtype=np.float64), sizes.repeats)
    yield {"what": f"{xp.__name__}.corrcoef", "columns": 8, "rows": sizes.rows // 8, "seconds": seconds}
    if find_spec("cudf") is None:
        yield {"what": "cuDF describe, value_counts", "left out": "cuDF is not installed"}
        return
    import cudf

    frame = cudf.DataFrame({"x": x})
    seconds = median(frame["x"].describe, sizes.repeats)
    yield {"what": "cuDF describe", "seconds": seconds, "values/s": len(x) / seconds}
    words = cudf.Series(xp.random.default_rng(0).integers(0, 100, sizes.rows, dtype=np.int32))
    seconds = median(words.value_counts, sizes.repeats)
    yield {
        "what": "cuDF value_counts",
        "categories": 100,
        "seconds": seconds,
        "values/s": len(words) / seconds,
    }


def scan(sizes: Sizes) -> Iterator[dict[str, Any]]:
    """Every data-distribution metric of resident columns, the reference's profile ready, as a user waits for it."""
    if find_spec("pyarrow") is None:
        yield {"what": "scan", "left out": "pyarrow is not installed"}
        return
    import gpumon

    rows, n = sizes.scan
    table = {f"x{i}": values("normal", "float32", rows, i)[0] for i in range(n)}
    held = table if not SIMULATED else {name: Told(x) for name, x in table.items()}
    reference = gpumon.profile(held, backend="cuda")
    metrics = [metric for metric in gpumon.CATALOGUE if metric.family == "data distribution"]
    spans = []
    for _ in range(sizes.repeats + 1):
        start = time.perf_counter()
        gpumon.scan(held, reference, backend="cuda", metrics=metrics)
        spans.append(time.perf_counter() - start)
    with Clock() as clock:
        gpumon.scan(held, reference, backend="cuda", metrics=metrics)
    seconds = statistics.median(spans[1:])
    yield {
        "what": "scan", "rows": rows, "columns": n, "seconds": seconds, "values/s": rows * n / seconds,
        "kernels": clock.seconds(),
    }  # fmt: skip
    without = [metric for metric in metrics if "correlation" not in metric.id]
    spans = []
    for _ in range(sizes.repeats + 1):
        start = time.perf_counter()
        gpumon.scan(held, reference, backend="cuda", metrics=without)
        spans.append(time.perf_counter() - start)
    seconds = statistics.median(spans[1:])
    yield {
        "what": "scan without correlations", "rows": rows, "columns": n, "seconds": seconds,
        "values/s": rows * n / seconds,
    }  # fmt: skip


def predictions(sizes: Sizes) -> Iterator[dict[str, Any]]:
    """Every measure of resident predictions and labels, as a user waits for it; and the time of each kernel in it."""
    if find_spec("pyarrow") is None:
        yield {"what": "evaluate", "left out": "pyarrow is not installed"}
        return
    import gpumon

    rng = np.random.default_rng(1) if SIMULATED else xp.random.default_rng(1)
    rows = sizes.predictions
    p = rng.random(rows).astype(np.float32)
    y = (rng.random(rows) < p).astype(np.int32)
    offer = values("lognormal", "float32", rows)[0]
    tables = {
        "binary": ({"y": y, "p": p}, {"target": "y", "score": "p"}),
        "regression": ({"y": offer + p, "p": offer}, {"target": "y", "prediction": "p"}),
        "multiclass": (
            {"y": (p * 10).astype(np.int32), "p": (p * 10 + y).astype(np.int32)},
            {"target": "y", "prediction": "p"},
        ),
    }
    for task, (table, roles) in tables.items():
        held = table if not SIMULATED else {name: Told(x) for name, x in table.items()}
        spans = []
        for _ in range(min(sizes.repeats, 3) + 1):
            start = time.perf_counter()
            gpumon.evaluate(held, task=task, backend="cuda", **roles)
            spans.append(time.perf_counter() - start)
        with Clock() as clock:
            gpumon.evaluate(held, task=task, backend="cuda", **roles)
        seconds = statistics.median(spans[1:])
        yield {
            "what": f"evaluate {task}", "rows": rows, "seconds": seconds, "rows/s": rows / seconds,
            "kernels": clock.seconds(),
        }  # fmt: skip


class Told:
    """In the simulator: an array that tells where it is, as those of a device do."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.dtype = array, array.dtype
        self.__cuda_array_interface__ = {**array.__array_interface__, "version": 3}


def parquet(sizes: Sizes) -> Iterator[dict[str, Any]]:
    if find_spec("cudf") is None or find_spec("pyarrow") is None:
        yield {"what": "Parquet", "left out": "cuDF is not installed"}
        return
    import cudf
    import pyarrow as pa
    import pyarrow.parquet as pq

    import gpumon

    rows, n = sizes.rows // 16, 20
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/rows.parquet"
        table = {f"x{i}": toolchain.to_host(values("normal", "float32", rows, i)[0]) for i in range(n)}
        pq.write_table(pa.table(table), path, row_group_size=2**22)
        reference = gpumon.profile(path, backend="cuda")
        read = median(lambda: cudf.read_parquet(path), 3)
        spans = []
        for _ in range(4):
            start = time.perf_counter()
            gpumon.profile(path, like=reference, backend="cuda")
            spans.append(time.perf_counter() - start)
        size, seconds = 4 * rows * n, statistics.median(spans[1:])
        yield {"what": "cuDF read_parquet", "seconds": read, "GB/s": size / read / 1e9}
        yield {"what": "profile of Parquet", "seconds": seconds, "GB/s": size / seconds / 1e9}


def energy(sizes: Sizes) -> Iterator[dict[str, Any]]:
    """Seconds of a GPU and joules that a billion values take, by the energy counter of the driver."""
    if SIMULATED:
        yield {"what": "energy", "left out": "the simulator takes none"}
        return
    import pynvml

    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    x, _ = values("normal", "float32", sizes.rows)
    columns = [column(x, None, edges_of(x, 1023))]
    counted(columns)
    start, joules, n = time.perf_counter(), pynvml.nvmlDeviceGetTotalEnergyConsumption(handle), 0
    while time.perf_counter() - start < sizes.energy:
        counted(columns)
        n += len(x)
    seconds = time.perf_counter() - start
    joules = (pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) - joules) / 1000
    yield {"what": "energy", "seconds a billion": seconds / n * 1e9, "joules a billion": joules / n * 1e9}


PARTS = {
    "copy": copy, "one column": one_column, "many columns": many_columns, "other kernels": other_kernels,
    "scan": scan, "competitors": competitors, "predictions": predictions, "parquet": parquet, "energy": energy,
}  # fmt: skip


def machine() -> dict[str, Any]:
    told: dict[str, Any] = {
        "device": cuda_status()[1],
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if not SIMULATED:
        runtime = xp.cuda.runtime
        properties = runtime.getDeviceProperties(0)
        told |= {
            "gpu": properties["name"].decode(), "multiprocessors": properties["multiProcessorCount"],
            "memory": properties["totalGlobalMem"], "driver": runtime.driverGetVersion(),
            "runtime": runtime.runtimeGetVersion(),
        }  # fmt: skip
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    versions = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "absent"
    return {**told, "commit": commit.stdout.strip() or "unknown", "versions": versions}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, help="of a column (default: 2^28, or 400 with --check)")
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS)
    )
    parser.add_argument("--check", action="store_true", help="a few rows: whether all of it runs")
    options = parser.parse_args(arguments)
    if SIMULATED and not options.check:
        parser.error("the simulator measures nothing: add --check, or unset NUMBA_ENABLE_CUDASIM")
    sizes = Sizes(options.rows, check=options.check)
    results: dict[str, Any] = {"machine": machine(), "rows": sizes.rows, "parts": {}}
    failed = 0
    for name in options.only:
        rows = results["parts"][name] = []
        try:
            for row in PARTS[name](sizes):
                rows.append(row)
                print(name, json.dumps(row, ensure_ascii=False, default=float), flush=True)
        except Exception as error:
            failed += 1
            rows.append({"failed": f"{type(error).__name__}: {error}"})
            print(name, rows[-1], file=sys.stderr, flush=True)
            if options.check:
                raise
        if options.json:  # after every part: what was measured is kept
            options.json.write_text(
                json.dumps(results, indent=1, ensure_ascii=False, default=float) + "\n", "utf-8"
            )
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
