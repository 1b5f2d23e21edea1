"""What gpumon runs on here, and why: the answers to most questions about a machine."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["findings"]

PACKAGES = ("numpy", "numba", "pyarrow", "scipy", "dask", "pandas", "polars", "cupy-cuda13x", "cudf-cu13")


def findings() -> Iterator[tuple[str, str]]:
    """(what, in words), the most asked first."""
    from gpumon.api.facts import gpumon_version
    from gpumon.kernels import choose, crossover, cuda_status

    kernels, why = choose("auto")
    yield "backend", f"{kernels.NAME}: {why}"
    if cuda_status()[0]:
        yield (
            "crossover",
            f"tables of less than {crossover() / 2**20:,.0f} MiB stay on the CPU (not measured)",
        )
    yield "gpumon", f"{gpumon_version()} at {Path(__file__).parent}"
    yield "python", f"{platform.python_version()} on {platform.platform()}"
    yield "processors", f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} usable"
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    free = os.sysconf("SC_AVPHYS_PAGES") * size
    yield "memory", f"{pages * size / 2**30:.1f} GiB, {free / 2**30:.1f} GiB free"
    yield "gpus", _gpus()
    yield "compiled", _cache()
    yield "packages", ", ".join(f"{name} {_version(name)}" for name in PACKAGES)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _gpus() -> str:
    """What the driver says, without creating a context."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return f"none: {error}"
    try:
        names = []
        for i in range(pynvml.nvmlDeviceGetCount()):
            device = pynvml.nvmlDeviceGetHandleByIndex(i)
            memory = pynvml.nvmlDeviceGetMemoryInfo(device).total / 2**30
            names.append(f"{pynvml.nvmlDeviceGetName(device)}, {memory:.0f} GiB")
        return "; ".join(names) + f"; driver {pynvml.nvmlSystemGetDriverVersion()}"
    finally:
        pynvml.nvmlShutdown()


def _cache() -> str:
    """Where Numba keeps the compiled kernels."""
    from gpumon.kernels import cpu

    return f"kernels are cached in {cpu.cache_folder()}"
