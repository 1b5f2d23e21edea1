"""Guide tables: from a value to the cell of its edges in one or two reads, the same cell as a binary search would find.

A *grid* cuts the number line into many small pieces by arithmetic that never decreases (IEEE subtraction,
multiplication by a positive number and truncation are monotone), so the pieces are in the order of the values.
``guide[piece]`` says how many edges lie in earlier pieces; what is left is to step over the edges of the same
piece that are not above the value. Exactness does not depend on the grid, only speed does: a linear grid suits
bounded columns, one over the bits of the floating-point number (equal steps of the logarithm, on both sides of
a centre) suits heavy tails. The one with fewer edges a piece is taken. A table is made for the arithmetic of its
values: for float32 the edges are rounded up to float32, which leaves every comparison with a float32 as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = [
    "PIECES",
    "STRIDE",
    "Dictionary",
    "Guide",
    "cells_of",
    "dictionary",
    "guide",
    "limits",
    "pieces_of",
    "rounded_up",
]

PIECES = 32_768
"""Pieces of a grid: two bytes each, so a table stays in a core's second-level cache."""

STRIDE = 16
"""Edges to jump over at a time in a piece that holds more than these."""

GOOD = 1.5  # edges in the piece of an edge; 1 is the least

_MANTISSA_BITS = 10  # of the bit grid: at least 1,024 pieces an octave where the octaves are few


@dataclass(frozen=True, eq=False)
class Guide:
    """What a kernel needs to find cells: ``limits``, ``first`` (pieces + 1,) and the grid's numbers.

    ``limits`` are the m edges between −max and +inf, closed by ``STRIDE + 1`` NaN that stop every search. The grid is linear, ``int((x - origin) * scale)``, or over bits: the upper half of the
    bits of ``x - origin`` (all of them for float32), shifted right by ``shift``, less ``base``, to both sides of the
    middle piece. The type of ``limits`` is that of the arithmetic.
    """

    limits: NDArray[np.floating[Any]]
    first: NDArray[np.uint16]
    linear: bool
    origin: float
    scale: float
    shift: int
    base: int
    stride: int = STRIDE

    @cached_property
    def deep(self) -> bool:
        """Whether a piece holds more than two edges: then two steps do not always find the cell."""
        return bool(np.diff(self.first).max() > 2)

    @property
    def edges(self) -> NDArray[np.floating[Any]]:
        """The edges that the table was made for, in the type of its arithmetic: (m,)."""
        return self.limits[1 : -self.stride - 2]


def limits(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """The edges with −max and +inf around them: cells are the gaps between these, (m + 2,) float64."""
    return np.concatenate(([-np.finfo(np.float64).max], edges, [np.inf]))


def cells_of(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """The cell of every value by binary search, NaN in its own: the definition that every kernel reproduces."""
    return np.where(np.isnan(values), edges.size + 3, np.searchsorted(limits(edges), values, side="right"))


def pieces_of(values: NDArray[np.floating[Any]], grid: Guide) -> NDArray[np.int64]:
    """The piece of ``grid`` that each value falls into, [0, pieces); ``values`` are of the grid's type."""
    real, pieces = grid.limits.dtype.type, grid.first.size - 1
    with np.errstate(over="ignore", invalid="ignore"):
        shifted = values - real(grid.origin) + real(0.0)  # −0.0 is 0.0
        scaled = shifted * real(grid.scale)
    if grid.linear:
        return np.asarray(np.clip(scaled, 0, pieces - 1).astype(np.int64))
    steps = np.clip((_high(shifted) >> grid.shift) - grid.base, 0, pieces // 2 - 1)
    return np.asarray(np.where(np.signbit(shifted), pieces // 2 - 1 - steps, pieces // 2 + steps))


def _high(values: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """The upper 31 bits of a float but for its sign: they grow with its distance from 0."""
    if values.dtype == np.float32:
        return values.view(np.int32).astype(np.int64) & 0x7FFFFFFF
    return (values.view(np.int64) >> 32) & 0x7FFFFFFF


def rounded_up(edges: NDArray[np.float64], real: type[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """The least number of the type ``real`` that is not below each edge: x ≥ edge holds for the same x of that type.

    >>> rounded_up(np.array([0.1, 0.5]), np.float32).tolist()
    [0.10000000149011612, 0.5]
    """
    with np.errstate(over="ignore"):
        near = edges.astype(real)
        return np.where(near.astype(np.float64) < edges, np.nextafter(near, real(np.inf)), near)


def guide(
    edges: NDArray[np.float64],
    pieces: int = PIECES,
    real: type[np.floating[Any]] = np.float64,
    good: float = GOOD,
) -> Guide:
    """The guide table of ``edges`` (m,), on whichever grid leaves fewest edges to step over.

    ``pieces`` (even, below 2¹⁶) is its size, ``real`` (float32 or float64) the type of the values to be found. A grid
    with at most ``good`` edges in the piece of an edge is taken without a look at the others.

    >>> table = guide(np.array([0.0, 1.0, 2.0]))
    >>> int(table.first[pieces_of(np.array([1.5]), table)[0]])
    3
    """
    bounds = rounded_up(limits(edges), real)
    inside = bounds[1:-1][np.isfinite(bounds[1:-1])]
    inside = inside if inside.size else np.zeros(1, real)
    best, least = None, np.inf
    for grid in _grids(inside, bounds, pieces):
        together = _edges_to_step_over(pieces_of(inside, grid))
        if best is None or together < least:
            best, least = grid, together
        if least <= good:
            break
    assert best is not None
    best.first[1:] = np.cumsum(np.bincount(pieces_of(bounds, best), minlength=pieces))
    return best


def _grids(
    edges: NDArray[np.floating[Any]], bounds: NDArray[np.floating[Any]], pieces: int
) -> Iterator[Guide]:
    yield from (_linear(edges, bounds, pieces, trim) for trim in (0.0, 0.01, 0.05))
    yield from (_bits(edges, bounds, pieces, origin) for origin in {0.0, float(edges[edges.size // 2])})


@dataclass(frozen=True, eq=False)
class Dictionary:
    """A vocabulary as kernels read it: bytes, ends, and an open-addressing table from hash to code.

    ``data[ends[i]:ends[i + 1]]`` are the UTF-8 bytes of value i; ``table`` holds code + 1 at the first free place
    from ``hash & (size − 1)`` on, 0 where free; at most half of it is used.
    """

    data: NDArray[np.uint8]
    ends: NDArray[np.int64]
    table: NDArray[np.int32]


def dictionary(data: NDArray[np.uint8], ends: NDArray[np.int64], hashes: NDArray[np.uint64]) -> Dictionary:
    """The table of a vocabulary whose values have these hashes (values are distinct)."""
    size = 16
    while size < 2 * hashes.size:
        size *= 2
    table = np.zeros(size, np.int32)
    for code, start in enumerate((hashes & np.uint64(size - 1)).tolist()):
        place = start
        while table[place]:
            place = (place + 1) % size
        table[place] = code + 1
    return Dictionary(data, ends, table)


def _empty(
    bounds: NDArray[np.floating[Any]],
    pieces: int,
    *,
    linear: bool,
    origin: float,
    scale: float,
    shift: int,
    base: int,
) -> Guide:
    stopped = np.concatenate((bounds, np.full(STRIDE + 1, np.nan, bounds.dtype)))
    return Guide(stopped, np.zeros(pieces + 1, np.uint16), linear, origin, scale, shift, base)


def _linear(
    edges: NDArray[np.floating[Any]], bounds: NDArray[np.floating[Any]], pieces: int, trim: float
) -> Guide:
    """Equal steps between two of the edges; what lies outside shares the first and the last piece."""
    last = edges.size - 1
    low, high = float(edges[round(last * trim)]), float(edges[round(last * (1 - trim))])
    with np.errstate(over="ignore", divide="ignore"):
        scale = float(bounds.dtype.type(np.float64(pieces - 3) / (np.float64(high) - low)))
        if not 0 < scale < np.inf:
            scale = 1.0
        origin = float(
            bounds.dtype.type(low - 1.0 / scale)
        )  # the first piece is of what lies below the edges
    origin = origin if np.isfinite(origin) else low
    return _empty(bounds, pieces, linear=True, origin=origin, scale=scale, shift=0, base=0)


def _bits(
    edges: NDArray[np.floating[Any]], bounds: NDArray[np.floating[Any]], pieces: int, origin: float
) -> Guide:
    """Equal steps of the logarithm of the distance from ``origin``, from the nearest edge to the farthest."""
    real = bounds.dtype.type
    with np.errstate(over="ignore"):
        distance = np.minimum(np.abs(edges - real(origin)), np.finfo(real).max)
    distance = distance[distance > 0]
    ends = np.array([distance.min(), distance.max()], real) if distance.size else np.ones(2, real)
    low, high = _high(ends).tolist()
    shift = (20 if real is np.float64 else 23) - _MANTISSA_BITS
    while (high >> shift) - (low >> shift) >= pieces // 2 - 1:
        shift += 1
    base = (low >> shift) - 1
    return _empty(bounds, pieces, linear=False, origin=origin, scale=1.0, shift=shift, base=base)


def _edges_to_step_over(pieces: NDArray[np.int64]) -> float:
    """Edges sharing the piece of an edge, averaged over the edges (which hold about equal mass)."""
    together = np.unique(pieces, return_counts=True)[1]
    return float(np.sum(together**2) / pieces.size)
