"""The hot loops: arrays in, arrays out. Every backend is a module with the names of :class:`Kernels`.

``choose`` returns one of them; nothing else in the project asks which it is. All give the same counts bit for bit,
and moments within 1e-12.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import numpy as np

from gpumon.errors import BackendError, OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gpumon.kernels.expected_losses import Forest
    from gpumon.kernels.lookup import Dictionary, Guide

__all__ = [
    "BACKENDS",
    "LEAST_PROBABILITY",
    "REGISTERS",
    "TOTAL_OFF",
    "Bitmask",
    "Comoments",
    "ConfidenceCounts",
    "ConfusionCounts",
    "HostKernels",
    "Kernels",
    "LossCounts",
    "NumericColumn",
    "NumericCounts",
    "ResidualCounts",
    "ScoreCounts",
    "choose",
    "crossover",
    "cuda_status",
    "on_host",
    "select",
]

BACKENDS = ("auto", "cpu", "cuda", "plain")
REGISTERS = 4096
"""HyperLogLog registers of a column (p = 12): a standard error of 1.04 / 64 = 1.6 %."""
LEAST_PROBABILITY = 1e-15
"""The least probability of what happened whose logarithm is taken: a sure mistake costs 34.5 nats and not infinitely many."""
TOTAL_OFF = 0.1
"""How far the probabilities of all classes may be from 1 in total: that much comes from rounding those of a thousand."""

CROSSOVER = 256 * 2**20
SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") == "1"  # for tests: far too slow for data


class NumericCounts(NamedTuple):
    """What numeric columns leave behind: arrays that kernels add to, a place (first axis) for every slice."""

    counts: NDArray[np.int64]  # (places, m + 5): −inf, below, the bins, above, +inf, NaN, null
    moments: NDArray[np.float64]  # (places, 3): finite values, their mean, sum of squared deviations
    extremes: NDArray[np.float64]  # (places, 2): least and largest that is not NaN
    registers: NDArray[np.uint8]  # (places, REGISTERS)

    @classmethod
    def zeros(cls, places: int, edges: int) -> NumericCounts:
        """Nothing counted yet, on so many edges."""
        return cls(
            np.zeros((places, edges + 5), np.int64),
            np.zeros((places, 3)),
            np.tile(np.array([np.inf, -np.inf]), (places, 1)),
            np.zeros((places, REGISTERS), np.uint8),
        )


class Bitmask(NamedTuple):
    """Validity as Arrow and cuDF keep it: row r is there if bit (offset + r) % 8 of byte (offset + r) // 8 is set.

    A backend that reads columns of a device takes it in the place of flags.
    """

    bits: Any  # (bytes,) uint8
    offset: int


class NumericColumn(NamedTuple):
    """One numeric column of a batch, and what its rows are added to."""

    values: NDArray[Any]  # (rows,), of any real dtype
    valid: NDArray[np.bool_] | None  # (rows,), False where null; a Bitmask where values are on a device
    guide: Guide
    into: NumericCounts


class Comoments(NamedTuple):
    """Sums over the rows where both columns i and j of a pair are there, each (slices, k, k)."""

    n: NDArray[np.int64]  # rows
    sums: NDArray[np.float64]  # Σ xᵢ
    squares: NDArray[np.float64]  # Σ xᵢ²
    products: NDArray[np.float64]  # Σ xᵢ xⱼ


class ConfusionCounts(NamedTuple):
    """What true and predicted classes leave behind, a place for every slice; see ``profiles.labels.Confusion``."""

    counts: NDArray[np.int64]  # (places, k + 2, k + 2)
    mass: NDArray[np.float64]  # (places, 2, k + 2, k + 2), or without elements where there are no weights


class ScoreCounts(NamedTuple):
    """What scores leave behind by label, a place for every slice; see ``profiles.labels.Scores``."""

    counts: NDArray[np.int64]  # (places, 3, m + 5)
    mass: NDArray[np.float64]  # the same, or without elements
    probability: NDArray[np.float64]  # (places, 3, m + 5)
    errors: NDArray[np.float64]  # (places, 3, 7)
    outside: NDArray[np.int64]  # (places, 3)


class ResidualCounts(NamedTuple):
    """What residuals leave behind, a place for every slice; see ``profiles.labels.Residuals``."""

    counts: NDArray[np.int64]  # (places, m + 5)
    absolute: NDArray[np.int64]  # (places, k + 5)
    extremes: NDArray[np.float64]  # (places, 2, 2)
    sums: NDArray[np.float64]  # (places, 16)
    at_step: NDArray[np.int64]  # (places, j + 5)
    errors: NDArray[np.float64]  # (places, j + 5, 4)
    missing: NDArray[np.int64]  # (places, 3)


class ConfidenceCounts(NamedTuple):
    """What probabilities of classes leave behind, a place for every slice; see ``profiles.confidence.Confidence``."""

    counts: NDArray[np.int64]  # (places, 3, m + 5)
    mass: NDArray[np.float64]  # the same, or without elements where there are no weights
    sums: NDArray[np.float64]  # (places, 8)
    outside: NDArray[np.int64]  # (places, 2)
    missing: NDArray[np.int64]  # (places, 1)
    outcomes: NDArray[np.int64]  # (places, 2, m + 5)
    weighed: NDArray[np.float64]  # (places, 3, m + 5)
    losses: NDArray[np.float64]  # (places, 6)


class RankedCounts(NamedTuple):
    """What scores of classes leave behind by true class, a place for every slice."""

    counts: NDArray[
        np.int64
    ]  # (places, columns, classes, cells); see ``profiles.ranked_classes.RankedClasses``


class ClusterCounts(NamedTuple):
    """What rows leave behind by their nearest centre, a place for every slice; see ``profiles.clusters.Clusters``."""

    counts: NDArray[np.int64]  # (places, centres, cells)
    missing: NDArray[np.int64]  # (places, 1)


class LossCounts(NamedTuple):
    """What losses leave behind by the bins of columns, a place for every slice; see ``profiles.groups.SliceLosses``."""

    n: NDArray[np.int64]  # (places, cells)
    sums: NDArray[np.float64]  # (places, cells, 2)
    mass: NDArray[np.float64]  # (places, cells, 2), or (places, 0, 0) where there are no weights


class Kernels(Protocol):
    """The functions of a backend. Rows come grouped by slice: slice s holds rows offsets[s] … offsets[s + 1] − 1."""

    NAME: str
    DEVICE: bool
    """Whether it reads columns in the memory of a device where they are; results are NumPy arrays all the same."""

    def numeric(
        self,
        columns: Sequence[NumericColumn],
        offsets: NDArray[np.int64],
        places: NDArray[np.int64],
        *,
        cells: bool = False,
    ) -> list[NDArray[np.uint16]]:
        """Count numeric columns: the rows of slice s are added at ``places[s]`` of each column's ``into``.

        With ``cells``, returns the cell of every value of each column, (rows,): nulls are in that of NaN. They are
        for ``rank_comoments`` of the same backend, may be in the memory of its device, and hold until the next call
        from the same thread.
        """
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

    def ordered(
        self, values: NDArray[Any], valid: NDArray[np.bool_] | None, offsets: NDArray[np.int64]
    ) -> list[NDArray[np.float64]]:
        """The values of each slice that are not missing as float64, from the least to the largest."""
        ...

    def comoments(
        self,
        columns: Sequence[tuple[NDArray[Any], NDArray[np.bool_] | None]],
        centre: NDArray[np.float64],
        scale: NDArray[np.float64],
        offsets: NDArray[np.int64],
    ) -> Comoments:
        """Co-moments of the finite values (v − centre) / scale of k columns, given as values and validity."""
        ...

    def rank_comoments(
        self, cells: Sequence[NDArray[np.uint16]], tables: NDArray[np.float64], offsets: NDArray[np.int64]
    ) -> Comoments:
        """Co-moments of k columns whose values are read off ``tables`` (k, cells), NaN where missing."""
        ...

    def classes(
        self, values: NDArray[Any], valid: NDArray[np.bool_] | None, known: NDArray[np.float64]
    ) -> NDArray[np.int32]:
        """The place of every number in ``known`` (k,), increasing; k where it is none of them, k + 1 where missing."""
        ...

    def confusion(
        self,
        actual: NDArray[np.int32],
        predicted: NDArray[np.int32],
        weights: NDArray[np.float64] | None,
        offsets: NDArray[np.int64],
        places: NDArray[np.int64],
        into: ConfusionCounts,
    ) -> None:
        """Add every pair of classes, each 0 … k + 1, to ``into``, at the place of its slice."""
        ...

    def scored(
        self,
        scores: tuple[NDArray[Any], NDArray[np.bool_] | None],
        labels: NDArray[np.int32],
        weights: NDArray[np.float64] | None,
        offsets: NDArray[np.int64],
        places: NDArray[np.int64],
        guide: Guide,
        into: ScoreCounts,
    ) -> None:
        """Add scores (values and validity) with labels 0 (negative), 1 (positive), 2 (unlabelled) to ``into``."""
        ...

    def residuals(
        self,
        target: NDArray[np.float64],
        prediction: NDArray[np.float64],
        weights: NDArray[np.float64] | None,
        centre: float,
        offsets: NDArray[np.int64],
        places: NDArray[np.int64],
        guides: tuple[Guide, Guide, Guide],
        into: ResidualCounts,
    ) -> None:
        """Add residuals to ``into``; NaN where missing. Guides: of the residuals, their sizes, the predictions."""
        ...

    def expected(
        self,
        cells: Sequence[NDArray[np.integer]],
        groups: Sequence[NDArray[np.int64]],
        forests: Sequence[Forest],
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The value of every row by each forest, (forests, rows), and whether it has a cell that is unsupported.

        ``cells`` are of columns, as ``numeric`` gives them, and ``groups`` their codes; see ``kernels.expected_losses``.
        """
        ...


class HostKernels(Kernels, Protocol):
    """What only the backends have that count in the memory of the host: the others count such states through them."""

    def ready(self) -> None:
        """Do now, while something else is waited for, what the first call would have to do before it counts."""
        ...

    def binned(
        self, values: NDArray[Any], valid: NDArray[np.bool_] | None, limits: NDArray[np.float64]
    ) -> NDArray[np.uint8]:
        """How many of the increasing ``limits`` (k,), k < 255, are not above each value; k + 1 where it is NaN or null."""
        ...

    def losses(
        self,
        codes: NDArray[np.uint8],
        starts: NDArray[np.int64],
        loss: NDArray[np.float64],
        weights: NDArray[np.float64] | None,
        offsets: NDArray[np.int64],
        places: NDArray[np.int64],
        into: LossCounts,
    ) -> None:
        """Add losses to the cells of every column and of every pair of columns.

        ``codes`` (columns, rows) are the bins of the rows, ``starts`` (columns + pairs + 1,) where the cells of each
        column, then of each pair begin; ``loss`` is finite.
        """
        ...

    def ranked(
        self,
        scores: NDArray[np.float64],
        actual: NDArray[np.int32],
        column: int,
        offsets: NDArray[np.int64],
        places: NDArray[np.int64],
        guide: Guide,
        counts: NDArray[np.int64],
    ) -> None:
        """Add the cells of one column of scores to ``counts`` (places, columns, classes, cells), by true class.

        Rows count whose score is finite and whose class is known; the first cell is below all edges.
        """
        ...

    def clustered(
        self,
        values: NDArray[np.float64],
        centroids: NDArray[np.float64],
        edges: NDArray[np.float64],
        offsets: NDArray[np.int64],
        places: NDArray[np.int64],
        into: ClusterCounts,
    ) -> None:
        """Add rows of ``values`` (d, rows) to ``into``, by the nearest of ``centroids`` (C, d) and the squared distance to it.

        The first of equally near ones; a row with a NaN is missing. Cells are between ``edges``, the first below all.
        """
        ...

    def confidences(
        self,
        scores: NDArray[np.float64],
        actual: NDArray[np.int32],
        predicted: NDArray[np.int32],
        weights: NDArray[np.float64] | None,
        offsets: NDArray[np.int64],
        places: NDArray[np.int64],
        guide: Guide,
        into: ConfidenceCounts,
    ) -> None:
        """Add how sure ``scores`` (classes, rows) are of every row to ``into``: the largest, the margin, the entropy.

        NaN where missing; a row whose total is further from 1 than ``TOTAL_OFF`` has no probabilities. ``actual`` and
        ``predicted`` are numbers of classes, as ``confusion`` takes them: of labelled rows, whether the prediction is
        right, and what the probabilities cost.
        """
        ...


@cache
def cuda_status() -> tuple[bool, str]:
    """Whether the CUDA backend can serve, and the reason in words. Creates no context on a device."""
    for package, name in (("numba_cuda", "numba-cuda"), ("cupy", "CuPy")):
        if find_spec(package) is None and not (package == "cupy" and SIMULATED):
            return False, f"{name} is not installed (pip install 'gpumon[cu13]', or cu12 for CUDA 12)"
    try:
        return True, str(import_module("gpumon.kernels.cuda").device())
    except Exception as error:  # noqa: BLE001 (of many packages, and none of them is to stop a scan on the CPU)
        return False, f"no CUDA device answers ({type(error).__name__}: {' '.join(str(error).split())[:200]})"


def crossover() -> int:
    """Bytes of a table from which ``auto`` takes a GPU: ``GPUMON_CROSSOVER_BYTES`` if that is set, else 256 MiB.

    The default is arithmetic, not a measurement: what a GPU gains on so much exceeds what it takes to start.
    """
    text = os.environ.get("GPUMON_CROSSOVER_BYTES", "")
    if not text:
        return CROSSOVER
    if not text.isdecimal():
        raise OptionError(f"GPUMON_CROSSOVER_BYTES must be a number of bytes, not {text!r}")
    return int(text)


def choose(backend: str = "auto", nbytes: int | None = None, *, device: bool = False) -> tuple[Kernels, str]:
    """The kernels of a backend for a table of about ``nbytes``, and why these: in words, for the report.

    ``"cpu"`` is Numba, ``"plain"`` NumPy alone. ``"auto"`` takes CUDA when a device answers and the table is worth
    the transfer: if it is on a ``device`` already, or of :func:`crossover` bytes or more, or of unknown size.
    BackendError if what was asked for does not answer, OptionError for any other name.
    """
    if backend not in BACKENDS:
        raise OptionError(f"backend {backend!r} is unknown: use one of {', '.join(BACKENDS)}")
    why = "as asked for"
    if backend in {"auto", "cuda"}:
        answers, status = cuda_status()
        if backend == "cuda" and not answers:
            raise BackendError(f"backend 'cuda' was asked for but {status}: use backend='auto' or 'cpu'")
        why = status
        if backend == "auto":
            small = not device and nbytes is not None and nbytes < crossover()
            if answers and small:
                why = f"the table takes {_size(nbytes or 0)}, and a GPU is taken from {_size(crossover())} on"
            backend = "cuda" if answers and not small and not SIMULATED else "cpu"
    return cast("Kernels", import_module(f"gpumon.kernels.{backend}")), why


def select(backend: str = "auto") -> Kernels:
    """The kernels of a backend, whatever is to be counted: see :func:`choose`."""
    return choose(backend)[0]


def on_host(kernels: Kernels) -> HostKernels:
    """The kernels themselves, or those of the CPU beside them if they count on a device."""
    return cast("HostKernels", select("cpu") if kernels.DEVICE else kernels)


def _size(nbytes: int) -> str:
    return f"{nbytes / 2**20:,.0f} MiB"
