"""The hot loops: arrays in, arrays out. Every backend is a module with the names of :class:`Kernels`.

``select`` returns one of them; nothing else in the project asks which it is. All give the same counts bit for bit,
and moments within 1e-12.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from gpumon.errors import BackendError, OptionError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gpumon.kernels.lookup import Dictionary, Guide

__all__ = ["BACKENDS", "REGISTERS", "Kernels", "NumericCounts", "cuda_status", "select"]

BACKENDS = ("auto", "cpu", "cuda", "plain")
REGISTERS = 4096
"""HyperLogLog registers of a column (p = 12): a standard error of 1.04 / 64 = 1.6 %."""


class NumericCounts(NamedTuple):
    """What one column leaves behind, for each slice (first axis)."""

    counts: NDArray[np.int64]  # (slices, m + 5): −inf, below, the bins, above, +inf, NaN, null
    moments: NDArray[np.float64]  # (slices, 3): finite values, their mean, sum of squared deviations
    extremes: NDArray[np.float64]  # (slices, 2): least and largest that is not NaN
    registers: NDArray[np.uint8]  # (slices, REGISTERS)


class Kernels(Protocol):
    """The functions of a backend. Rows come grouped by slice: slice s holds rows offsets[s] … offsets[s + 1] − 1."""

    NAME: str

    def numeric(
        self, values: NDArray[Any], valid: NDArray[np.bool_] | None, offsets: NDArray[np.int64], guide: Guide
    ) -> NumericCounts:
        """Count one numeric column: ``values`` (rows,) of any real dtype, ``valid`` False where null."""
        ...

    def codes(self, codes: NDArray[np.int32], offsets: NDArray[np.int64], size: int) -> NDArray[np.int64]:
        """How often each code 0 … size − 1 stands in each slice, (slices, size); other codes are not counted."""
        ...

    def hash_strings(self, data: NDArray[np.uint8], ends: NDArray[Any]) -> NDArray[np.uint64]:
        """A 64-bit hash of every string: string i is the bytes ``data[ends[i]:ends[i + 1]]``."""
        ...

    def find_strings(
        self, data: NDArray[np.uint8], ends: NDArray[Any], hashes: NDArray[np.uint64], vocabulary: Dictionary
    ) -> NDArray[np.int32]:
        """The code of every string in ``vocabulary``, −1 where it is not one of its values."""
        ...

    def distinct(self, hashes: NDArray[np.uint64], offsets: NDArray[np.int64]) -> NDArray[np.uint8]:
        """HyperLogLog registers of each slice's hashes, (slices, REGISTERS)."""
        ...

    def scores(
        self,
        values: NDArray[Any],
        valid: NDArray[np.bool_] | None,
        guide: Guide,
        table: NDArray[np.float64],
        out: NDArray[np.float64],
    ) -> None:
        """Write ``table`` at the cell of every value to ``out`` (rows,): with mid-ranks, ranks; NaN where missing."""
        ...

    def standardised(
        self,
        values: NDArray[Any],
        valid: NDArray[np.bool_] | None,
        centre: float,
        scale: float,
        out: NDArray[np.float64],
    ) -> None:
        """Write every value less ``centre`` over ``scale`` to ``out`` (rows,), NaN where missing or infinite."""
        ...

    def comoments(
        self, columns: NDArray[np.float64], offsets: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """N, S, Q, G of ``columns`` (k, rows), NaN where missing, over the rows where both of a pair are there.

        Each is (slices, k, k): N[i, j] rows, S[i, j] = Σ xᵢ, Q[i, j] = Σ xᵢ², G[i, j] = Σ xᵢ xⱼ.
        """
        ...


def cuda_status() -> tuple[bool, str]:
    """Whether the CUDA backend can serve, and the reason in words."""
    try:
        module = import_module("gpumon.kernels.cuda")
    except ModuleNotFoundError:
        return False, "this gpumon has no CUDA kernels yet"
    return cast("tuple[bool, str]", module.status())


def select(backend: str = "auto") -> Kernels:
    """The kernels of a backend: ``"cpu"`` (Numba), ``"cuda"``, ``"plain"`` (NumPy alone), or ``"auto"``.

    ``auto`` takes CUDA when a device answers and the CPU otherwise. BackendError if what was asked for does not
    answer, OptionError for any other name.
    """
    if backend not in BACKENDS:
        raise OptionError(f"backend {backend!r} is unknown: use one of {', '.join(BACKENDS)}")
    if backend in {"auto", "cuda"}:
        answers, why = cuda_status()
        if backend == "cuda" and not answers:
            raise BackendError(f"backend 'cuda' was asked for but {why}: use backend='auto' or 'cpu'")
        backend = "cuda" if answers else "cpu"
    return cast("Kernels", import_module(f"gpumon.kernels.{backend}"))
