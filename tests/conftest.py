"""Hypothesis without deadlines, as a busy machine is no failure; Numba's simulator in small blocks, where it is asked for.

``HYPOTHESIS_PROFILE=ci`` tries the same examples every time, so that a change is judged by what it changes; without
it each run tries others.
"""

from __future__ import annotations

import os
import sys
from threading import Barrier, BrokenBarrierError

import numpy as np
import pytest
from hypothesis import settings

from gpumon.kernels import SIMULATED

settings.register_profile("gpumon", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gpumon"))

collect_ignore = ["kernels/cuda/compile_kernels.py"]  # a command, and it needs numba-cuda


@pytest.fixture(scope="session", autouse=SIMULATED)
def small_blocks():
    """The CUDA kernels are tested in the simulator too (``NUMBA_ENABLE_CUDASIM=1``), a thread of Python for each of theirs."""
    from gpumon.kernels.cuda import categories, numbers, pairs, predictions, toolchain

    sizes = {"THREADS": 32, "CHUNK": 200, "PIECES": 256, "HALF": 128, "TABLE": 257}
    sizes |= {"EDGES": 300, "LIMITS": 302, "CELLS": 305, "SHARED_CODES": 6, "SUMS_AT_ONCE": 600}
    sizes |= {"TILE": 8, "SIDE": 2, "ROWS": 16, "WIDE": 9, "BESIDE": 144, "WHOLE": 288, "PRODUCTS": 64}
    sizes |= {"ACROSS": 8}
    with pytest.MonkeyPatch.context() as patch:
        for module in (
            toolchain,
            numbers,
            categories,
            pairs,
            predictions,
            sys.modules["gpumon.kernels.cuda"],
        ):
            for name, size in sizes.items():
                if hasattr(module, name):
                    patch.setattr(module, name, size)
        wait_at_barriers(patch)
        yield


def wait_at_barriers(patch):
    """Let simulated threads wait for each other: the simulator looks at them in a busy loop, which takes 20 times as long."""
    from numba.cuda.simulator import kernel

    def run(self, place, *arguments):
        threads = [
            kernel.BlockThread(lambda: self._f(*arguments), self, place, each, self._debug)
            for each in np.ndindex(*self._block_dim)
        ]
        self.barrier = Barrier(len(threads))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        failed = [thread.exception for thread in threads if thread.exception]
        for error, trace in failed:
            if not isinstance(error, BrokenBarrierError):
                raise error.with_traceback(trace)
        assert not failed, "threads of a block left while others waited for them"

    def start(self):
        try:
            kernel.threading.Thread.run(self)
        except Exception as error:  # noqa: BLE001 (whatever a kernel raises)
            self.exception = (error, error.__traceback__)
            self._manager.barrier.abort()

    patch.setattr(kernel.BlockManager, "run", run)
    patch.setattr(kernel.BlockThread, "run", start)
    patch.setattr(kernel.BlockThread, "syncthreads", lambda self: self._manager.barrier.wait() and None)
