"""Codes and strings on the device: counts by code, hashes, look-ups in a vocabulary."""

from __future__ import annotations

from gpumon.kernels.cuda.numbers import mixed
from gpumon.kernels.cuda.toolchain import THREADS, cuda, inline, int32, int64, kernel, uint8, uint32, uint64

__all__ = ["SHARED_CODES", "count_codes", "find_strings", "hash_strings"]

SHARED_CODES = 8192
"""Codes up to which a block counts in shared memory; beyond, in the memory of the device."""

WORK = int64[:, ::1]


@kernel("codes", (int32[::1], WORK, int32, int64[:, ::1]))
def count_codes(codes, work, size, counts):
    """Add the codes 0 … size − 1 of a chunk to ``counts`` (slices, size). Blocks: items of ``work``."""
    own = cuda.shared.array(SHARED_CODES, int32)
    t = int32(cuda.threadIdx.x)
    item = cuda.blockIdx.x
    shared = size <= SHARED_CODES
    i = t
    while shared and i < size:
        own[i] = 0
        i = int32(i + THREADS)
    cuda.syncthreads()
    s = work[item, 2]
    row = work[item, 0] + t
    while row < work[item, 1]:
        code = codes[row]
        if code >= 0 and code < size:
            if shared:
                cuda.atomic.add(own, uint32(code), 1)
            else:
                cuda.atomic.add(counts, (s, code), int64(1))
        row += THREADS
    cuda.syncthreads()
    i = t
    while shared and i < size:
        if own[i] != 0:
            cuda.atomic.add(counts, (s, i), int64(own[i]))
        i = int32(i + THREADS)


@inline
def word_of(data, start, length):
    """Up to eight bytes from byte ``start`` on as a little-endian word, the rest zero."""
    word = uint64(0)
    k = int64(0)
    while k < min(length, int64(8)):
        word = uint64(word | uint64(uint64(data[start + k]) << uint64(8 * k)))
        k += 1
    return word


@kernel("hash strings", (uint8[::1], int64[::1], uint64[::1]))
def hash_strings(data, ends, hashes):
    """The hash of every string, a thread for each: string i is the bytes ends[i] … ends[i + 1] − 1."""
    i = cuda.grid(1)
    if i >= hashes.size:
        return
    start = ends[i]
    length = ends[i + 1] - start
    h = uint64(length)
    offset = int64(0)
    while offset < length:
        h = uint64((h ^ word_of(data, start + offset, length - offset)) * uint64(0x9E3779B97F4A7C15))
        h = uint64(h ^ uint64(h >> uint64(32)))
        offset += 8
    hashes[i] = mixed(h)


@kernel("find strings", (uint8[::1], int64[::1], uint64[::1], uint8[::1], int64[::1], int32[::1], int32[::1]))
def find_strings(data, ends, hashes, known, known_ends, table, found):
    """The code of every string, −1 where it is none of the vocabulary: see ``gpumon.kernels.lookup.Dictionary``."""
    i = cuda.grid(1)
    if i >= hashes.size:
        return
    start = ends[i]
    length = ends[i + 1] - start
    last = uint64(table.size - 1)
    place = uint64(hashes[i] & last)
    code = int32(table[place] - 1)
    searching = True
    while searching and code >= 0:
        same = known_ends[code + 1] - known_ends[code] == length
        k = int64(0)
        while same and k < length:
            same = data[start + k] == known[known_ends[code] + k]
            k += 1
        if same:
            searching = False
        else:
            place = uint64(uint64(place + uint64(1)) & last)
            code = int32(table[place] - 1)
    found[i] = code
