"""The kernels in plain NumPy: what each one means, in its shortest form.

Slower by 5 to 50 times than :mod:`gpumon.kernels.cpu`, and equal to it: the tests run both side by side. It serves
where Numba cannot compile, and it is the text to read first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.kernels import REGISTERS, NumericCounts
from gpumon.kernels.lookup import STRIDE, cells_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gpumon.kernels.lookup import Dictionary, Guide

NAME = "plain"


def numeric(
    values: NDArray[Any], valid: NDArray[np.bool_] | None, offsets: NDArray[np.int64], guide: Guide
) -> NumericCounts:
    """Count one numeric column; see :class:`gpumon.kernels.Kernels`."""
    edges = _edges(guide)
    slices, cells = offsets.size - 1, edges.size + 5
    counts = np.zeros((slices, cells), np.int64)
    moments = np.zeros((slices, 3))
    extremes = np.tile(np.array([np.inf, -np.inf]), (slices, 1))
    registers = np.zeros((slices, REGISTERS), np.uint8)
    for s in range(slices):
        rows = slice(offsets[s], offsets[s + 1])
        there = np.ones(rows.stop - rows.start, np.bool_) if valid is None else valid[rows]
        x = values[rows][there].astype(np.float64) + 0.0  # −0.0 is 0.0
        counts[s] = np.bincount(cells_of(x, edges), minlength=cells)
        counts[s, -1] = np.count_nonzero(~there)
        finite = x[np.isfinite(x)]
        if finite.size:
            with np.errstate(over="ignore", invalid="ignore"):
                mean = finite.mean()
                moments[s] = finite.size, mean, np.sum((finite - mean) ** 2)
        x = x[~np.isnan(x)]
        if x.size:
            extremes[s] = x.min(), x.max()
        _raise(registers[s], _mixed(x.view(np.uint64)))
    return NumericCounts(counts, moments, extremes, registers)


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


def scores(
    values: NDArray[Any],
    valid: NDArray[np.bool_] | None,
    guide: Guide,
    table: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Each value's entry in a table by cell; see :class:`gpumon.kernels.Kernels`."""
    x = values.astype(np.float64)
    missing = np.isnan(x) if valid is None else np.isnan(x) | ~valid
    out[:] = np.where(missing, np.nan, table[np.where(missing, 0, cells_of(x, _edges(guide)))])


def standardised(
    values: NDArray[Any],
    valid: NDArray[np.bool_] | None,
    centre: float,
    scale: float,
    out: NDArray[np.float64],
) -> None:
    """Values less a centre over a scale; see :class:`gpumon.kernels.Kernels`."""
    with np.errstate(over="ignore", invalid="ignore"):
        x = (values.astype(np.float64) - centre) * (1.0 / scale)
    out[:] = np.where(np.isfinite(x) if valid is None else np.isfinite(x) & valid, x, np.nan)


def comoments(
    columns: NDArray[np.float64], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Co-moments; see :class:`gpumon.kernels.Kernels`."""
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
    return n, s, q, g


def _edges(guide: Guide) -> NDArray[np.float64]:
    return guide.limits[1 : -STRIDE - 2]


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
