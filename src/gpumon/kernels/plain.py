"""The kernels in plain NumPy: what each one means, in its shortest form.

Slower by 5 to 50 times than :mod:`gpumon.kernels.cpu`, and equal to it: the tests run both side by side. It serves
where Numba cannot compile, and it is the text to read first.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.kernels import REGISTERS, Comoments
from gpumon.kernels.lookup import cells_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gpumon.kernels import NumericColumn
    from gpumon.kernels.lookup import Dictionary, Guide

NAME = "plain"
DEVICE = False


def numeric(
    columns: Sequence[NumericColumn],
    offsets: NDArray[np.int64],
    places: NDArray[np.int64],
    *,
    cells: bool = False,
) -> list[NDArray[np.uint16]]:
    """Count numeric columns; see :class:`gpumon.kernels.Kernels`."""
    found = []
    for values, valid, guide, into in columns:
        edges = _edges(guide)
        x = values.astype(np.float64) + 0.0  # −0.0 is 0.0
        there = np.ones(x.size, np.bool_) if valid is None else valid
        x[~there] = np.nan
        cell = cells_of(x, edges)
        if cells:
            found.append(cell.astype(np.uint16))
        cell[~there] = edges.size + 4
        for place, (start, stop) in zip(places.tolist(), pairwise(offsets.tolist()), strict=True):
            into.counts[place] += np.bincount(cell[start:stop], minlength=edges.size + 5)
            part = x[start:stop]
            _add_moments(into.moments[place], part[np.isfinite(part)])
            part = part[~np.isnan(part)]
            least, largest = into.extremes[place]
            into.extremes[place] = part.min(initial=least), part.max(initial=largest)
            _raise(into.registers[place], _mixed(part.view(np.uint64)))
    return found


def _add_moments(moments: NDArray[np.float64], finite: NDArray[np.float64]) -> None:
    """Two passes over the values, then Chan's merge."""
    before, mean, m2 = moments
    n = finite.size
    if n:
        with np.errstate(over="ignore", invalid="ignore"):
            own = finite.mean()
            delta = own - mean if before else 0.0
            moments[1] = mean + delta * (n / (before + n)) if before else own
            moments[2] = m2 + np.sum((finite - own) ** 2) + delta * delta * (before * n / (before + n))
        moments[0] = before + n


def codes(codes: NDArray[np.int32], offsets: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Count codes; see :class:`gpumon.kernels.Kernels`."""
    counts = np.zeros((offsets.size - 1, size), np.int64)
    for s in range(offsets.size - 1):
        part = codes[offsets[s] : offsets[s + 1]]
        counts[s] = np.bincount(part[(part >= 0) & (part < size)], minlength=size)
    return counts


def hash_strings(data: NDArray[np.uint8], ends: NDArray[Any]) -> NDArray[np.uint64]:
    """Hash strings, eight bytes at a time; see :class:`gpumon.kernels.Kernels`."""
    padded = np.concatenate((data, np.zeros(8, np.uint8)))
    words = np.ndarray(data.size + 1, np.dtype("<u8"), padded.tobytes(), strides=(1,))  # from every byte on
    lengths = np.diff(ends).astype(np.int64)
    hashes = lengths.astype(np.uint64)
    for offset in range(0, int(lengths.max(initial=0)), 8):
        longer = np.flatnonzero(lengths > offset)
        spare = np.maximum(8 - (lengths[longer] - offset), 0).astype(np.uint64)
        word = words[ends[longer] + offset] & (np.uint64(2**64 - 1) >> (spare * np.uint64(8)))
        h = (hashes[longer] ^ word) * np.uint64(0x9E3779B97F4A7C15)
        hashes[longer] = h ^ (h >> np.uint64(32))
    return _mixed(hashes)


def find_strings(
    data: NDArray[np.uint8], ends: NDArray[Any], hashes: NDArray[np.uint64], vocabulary: Dictionary
) -> NDArray[np.int32]:
    """Find strings in a vocabulary; see :class:`gpumon.kernels.Kernels`."""
    known = _texts(vocabulary.data, vocabulary.ends)
    code = {text: i for i, text in enumerate(known)}
    return np.array([code.get(text, -1) for text in _texts(data, ends)], np.int32).reshape(hashes.shape)


def distinct(hashes: NDArray[np.uint64], offsets: NDArray[np.int64]) -> NDArray[np.uint8]:
    """HyperLogLog registers; see :class:`gpumon.kernels.Kernels`."""
    registers = np.zeros((offsets.size - 1, REGISTERS), np.uint8)
    for s in range(offsets.size - 1):
        _raise(registers[s], hashes[offsets[s] : offsets[s + 1]])
    return registers


def comoments(
    columns: Sequence[tuple[NDArray[Any], NDArray[np.bool_] | None]],
    centre: NDArray[np.float64],
    scale: NDArray[np.float64],
    offsets: NDArray[np.int64],
) -> Comoments:
    """Co-moments of standardised columns; see :class:`gpumon.kernels.Kernels`."""
    x = np.empty((len(columns), int(offsets[-1])))
    for i, (values, valid) in enumerate(columns):
        with np.errstate(over="ignore", invalid="ignore"):
            x[i] = (values.astype(np.float64) - centre[i]) * (1.0 / scale[i])
        x[i, ~np.isfinite(x[i]) if valid is None else ~(np.isfinite(x[i]) & valid)] = np.nan
    return _comoments(x, offsets)


def rank_comoments(
    cells: Sequence[NDArray[np.uint16]], tables: NDArray[np.float64], offsets: NDArray[np.int64]
) -> Comoments:
    """Co-moments of ranks; see :class:`gpumon.kernels.Kernels`."""
    return _comoments(np.array([table[cell] for table, cell in zip(tables, cells, strict=True)]), offsets)


def _comoments(columns: NDArray[np.float64], offsets: NDArray[np.int64]) -> Comoments:
    slices, k = offsets.size - 1, len(columns)
    n = np.zeros((slices, k, k), np.int64)
    s, q, g = (np.zeros((slices, k, k)) for _ in range(3))
    for i in range(slices):
        x = columns[:, offsets[i] : offsets[i + 1]]
        there = (~np.isnan(x)).astype(np.float64)
        x = np.nan_to_num(x, nan=0.0)
        n[i] = there @ there.T
        with np.errstate(over="ignore", invalid="ignore"):
            s[i], q[i], g[i] = x @ there.T, (x * x) @ there.T, x @ x.T
    return Comoments(n, s, q, g)


def _edges(guide: Guide) -> NDArray[np.float64]:
    return np.asarray(guide.edges, np.float64)


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's step and finaliser."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _raise(registers: NDArray[np.uint8], hashes: NDArray[np.uint64]) -> None:
    rest = (hashes & np.uint64(0xFFFFFFFFFFFFF)).astype(np.float64)  # 52 bits: exact
    rank = np.where(rest > 0, 53 - np.frexp(rest)[1], 53).astype(np.uint8)
    np.maximum.at(registers, (hashes >> np.uint64(52)).astype(np.int64), rank)


def _texts(data: NDArray[np.uint8], ends: NDArray[Any]) -> list[bytes]:
    whole = data.tobytes()
    return [whole[start:end] for start, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]
