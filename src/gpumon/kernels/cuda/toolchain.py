"""Numba CUDA and CuPy, opened here and nowhere else: what compiles a kernel, launches it, and holds its arrays.

In Numba's simulator (``NUMBA_ENABLE_CUDASIM=1``) NumPy stands in for CuPy, so all of :mod:`gpumon.kernels.cuda` runs
on a machine without a GPU, on the same lines. A successor of numba-cuda costs this module and
:mod:`gpumon.kernels.intrinsics`.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import config, cuda, float32, float64, int32, int64, types, uint8, uint16, uint32, uint64

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ARCHITECTURES",
    "KERNELS",
    "SIMULATED",
    "THREADS",
    "Kernel",
    "address",
    "arrays",
    "cuda",
    "device",
    "float32",
    "float64",
    "inline",
    "int32",
    "int64",
    "kernel",
    "stream",
    "to_device",
    "to_host",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]

SIMULATED = bool(config.ENABLE_CUDASIM)

THREADS = 256
"""Threads of a block."""

ARCHITECTURES = ((8, 0), (9, 0), (10, 0))
"""Compute capabilities that every kernel is compiled for in the tests: A100, H100 and H200, B200."""

_LAUNCHING = Lock()  # a kernel is compiled once, whichever thread comes first; launching takes microseconds

KERNELS: dict[str, Kernel] = {}
"""Every kernel by name; a variant of one for a type of values has that in its name."""


def inline(function: Any) -> Any:
    """A function of the device, copied into the kernels that use it."""
    return function if SIMULATED else cuda.jit(device=True, inline="always")(function)


@dataclass(eq=False)
class Kernel:
    """A kernel with its signature. It is compiled at its first launch: importing it touches no device."""

    name: str
    function: Callable[..., None]
    signature: Any
    blocks: int  # of THREADS that must fit a multiprocessor: bounds the registers
    _compiled: Any = field(default=None, init=False)

    def launch(self, grid: tuple[int, ...], *arguments: Any) -> None:
        """Run on the arrays of :func:`arrays`, in the order of the default stream."""
        if 0 in grid:
            return
        with _LAUNCHING:
            if self._compiled is None:
                self._compiled = (
                    cuda.jit(self.function)
                    if SIMULATED
                    else cuda.jit(self.signature, launch_bounds=(THREADS, self.blocks))(self.function)
                )
            self._configured(grid)(*(_argument(x) for x in arguments))

    def _configured(self, grid: tuple[int, ...]) -> Any:
        """The kernel for a grid. Numba warns of one of few blocks: a table of few rows takes no more."""
        warns = config.CUDA_LOW_OCCUPANCY_WARNINGS
        config.CUDA_LOW_OCCUPANCY_WARNINGS = 0
        try:
            return self._compiled[grid, THREADS]
        finally:
            config.CUDA_LOW_OCCUPANCY_WARNINGS = warns


def kernel(name: str, signature: Any, blocks: int = 4) -> Callable[[Callable[..., None]], Kernel]:
    """Decorate a function as a kernel of this signature (types of the arguments)."""

    def keep(function: Callable[..., None]) -> Kernel:
        KERNELS[name] = made = Kernel(name, function, types.void(*signature), blocks)
        return made

    return keep


def _argument(x: Any) -> Any:
    """A CuPy array as Numba takes it, without waiting for its stream: all work is in the order of one stream."""
    return x if SIMULATED or not hasattr(x, "__cuda_array_interface__") else cuda.as_cuda_array(x, sync=False)


@cache
def arrays() -> Any:
    """CuPy, or NumPy in the simulator: the module whose arrays kernels read and write."""
    if SIMULATED:
        return np
    import cupy

    return cupy


def device() -> str:
    """The device that serves, in words; raises whatever CUDA raises where none does."""
    if SIMULATED:
        return "Numba's simulator stands in for a device"
    runtime = arrays().cuda.runtime
    devices = runtime.getDeviceCount()
    name = runtime.getDeviceProperties(runtime.getDevice())["name"].decode()
    return f"{name} answers" if devices == 1 else f"{devices} devices answer, {name} serves"


def stream() -> Any:
    """The default stream as a context: CuPy's and Numba's work stay in one order, whatever the host application set."""
    return nullcontext() if SIMULATED else arrays().cuda.Stream.null


def to_host(x: Any) -> np.ndarray[Any, Any]:
    """A NumPy array with what a device array holds."""
    return np.asarray(x) if SIMULATED else arrays().asnumpy(x)


def to_device(x: Any) -> Any:
    """An array of the device in C order; without a copy where it is one already."""
    if SIMULATED and not isinstance(x, np.ndarray) and hasattr(x, "__cuda_array_interface__"):
        x = _mapped(x.__cuda_array_interface__)
    if SIMULATED and not x.flags.writeable:
        x = x.copy()  # the simulator writes back what no kernel has written
    return arrays().ascontiguousarray(arrays().asarray(x))


def address(x: Any) -> int:
    """Where the first element of a device array is."""
    return int(x.ctypes.data if SIMULATED else x.data.ptr)


def _shared_array(self: Any, shape: Any, dtype: Any, alignment: None = None) -> Any:  # noqa: ARG001
    """The simulator's own looks for an array of this line and makes one: two threads at once may each make theirs."""
    caller = sys._getframe(1)
    with _making:
        place = caller.f_code.co_filename, caller.f_lineno
        if place not in self._allocations:
            self._allocations[place] = np.zeros(shape, as_dtype(dtype))
        return self._allocations[place]


if SIMULATED:
    from numba.cuda.simulator.kernelapi import FakeCUDAShared
    from numba.np.numpy_support import as_dtype

    _making = Lock()
    FakeCUDAShared.array = _shared_array


def _mapped(interface: dict[str, Any]) -> np.ndarray[Any, Any]:
    """The simulator's device memory is the host's: an object that names it by address, as an array."""
    host = type("Memory", (), {"__array_interface__": {**interface, "version": 3}})
    return np.asarray(host())
