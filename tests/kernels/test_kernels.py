"""Every backend gives the counts that a binary search gives, and all give the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gpumon.errors import BackendError, OptionError
from gpumon.kernels import SIMULATED, NumericColumn, NumericCounts, choose, crossover, cuda_status, select
from gpumon.kernels.lookup import PIECES, cells_of, dictionary, guide, limits, pieces_of

BACKENDS = ("cpu", "plain", *(["cuda"] if cuda_status()[0] else []))
EXAMPLES = 6 if SIMULATED else 100  # a simulated thread is a thread of Python


def rows(n: int) -> int:
    """How many rows a test takes of ``n``: few in the simulator."""
    return n // 50 if SIMULATED else n


numbers = st.one_of(
    st.floats(width=64),
    st.sampled_from([0.0, -0.0, 1.0, 2.0, np.inf, -np.inf, np.nan, 1e308, -1e308, 5e-324]),
    st.integers(-5, 5).map(float),
)
finite = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5).map(float)
edge_arrays = st.lists(finite, min_size=2, max_size=40, unique_by=lambda x: x + 0.0).map(
    lambda x: np.array(sorted(x)) + 0.0
)


@pytest.fixture(params=BACKENDS)
def kernels(request):
    return select(request.param)


def counted(kernels, values, valid, offsets, edges, *, into=None, places=None):
    """One column, counted by slice."""
    into = NumericCounts.zeros(offsets.size - 1, edges.size) if into is None else into
    places = np.arange(offsets.size - 1) if places is None else places
    (cells,) = kernels.numeric(
        [NumericColumn(values, valid, guide(edges), into)], offsets, places, cells=True
    )
    return into, cells.get() if hasattr(cells, "get") else cells  # CuPy's go to the host


def split(rows: int, parts: list[int]) -> np.ndarray:
    return np.array([0, *sorted(min(part, rows) for part in parts), rows])


@settings(max_examples=150, deadline=None)
@given(
    edge_arrays,
    arrays(np.float64, st.integers(0, 200), elements=numbers),
    st.sampled_from([PIECES, 4096, 64]),
    st.sampled_from([np.float64, np.float32]),
)
def test_a_guide_table_never_starts_beyond_the_cell_of_a_value(edges, values, pieces, real):
    table = guide(edges, pieces, real)
    with np.errstate(over="ignore"):
        beside = np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf)
        values = np.concatenate((values[~np.isnan(values)], edges, *beside)).astype(real)
    place = pieces_of(values, table)
    assert place.min() >= 0
    assert place.max() < pieces
    cells = cells_of(values.astype(np.float64), edges)
    assert (table.first[place] <= cells).all()
    assert (table.first[place + 1] >= cells).all()
    assert (np.searchsorted(table.limits[: edges.size + 2], values, side="right") == cells).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(place[order]) >= 0).all()
    assert table.first[-1] == limits(edges).size


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    edge_arrays,
    arrays(np.float64, st.integers(0, 300), elements=numbers),
    st.lists(st.integers(0, 300), max_size=3),
    st.sampled_from([np.float64, np.float32]),
    st.booleans(),
)
def test_all_backends_count_a_numeric_column_alike(edges, values, parts, dtype, nulls):
    with np.errstate(over="ignore"):
        values = values.astype(dtype)
    valid = np.random.default_rng(0).random(values.size) < 0.8 if nulls else None
    offsets = split(values.size, parts)
    plain, plain_cells = counted(select("plain"), values, valid, offsets, edges)
    scale = np.abs(values[np.isfinite(values)].astype(np.float64)).max(initial=0.0)
    for name in BACKENDS:
        fast, cells = counted(select(name), values, valid, offsets, edges)
        assert (cells == plain_cells).all(), name
        assert (fast.counts == plain.counts).all(), name
        assert (fast.registers == plain.registers).all(), name
        assert (fast.extremes == plain.extremes).all(), name
        assert (fast.moments[:, 0] == plain.moments[:, 0]).all(), name
        if scale < 1e150:
            assert np.allclose(fast.moments[:, 1], plain.moments[:, 1], rtol=1e-12, atol=1e-13 * scale), name
            assert np.allclose(fast.moments[:, 2], plain.moments[:, 2], rtol=1e-11, atol=1e-13 * scale**2), (
                name
            )
    there = np.ones(values.size, bool) if valid is None else valid
    for s in range(offsets.size - 1):
        part = slice(offsets[s], offsets[s + 1])
        expected = np.bincount(
            cells_of(values[part][there[part]].astype(np.float64), edges), minlength=edges.size + 5
        )
        expected[-1] += np.count_nonzero(~there[part])
        assert (plain.counts[s] == expected).all()


@pytest.mark.parametrize(
    "shape", ["normal", "lognormal", "cauchy", "zeros", "integers", "constant", "sorted"]
)
def test_a_large_column_is_counted_as_binary_search_counts_it(kernels, shape):
    rng = np.random.default_rng(1)
    n = rows(50_000)
    x = {
        "normal": lambda: rng.normal(size=n),
        "lognormal": lambda: rng.lognormal(sigma=3, size=n),
        "cauchy": lambda: rng.standard_cauchy(n),
        "zeros": lambda: np.where(rng.random(n) < 0.7, 0.0, rng.lognormal(size=n)),
        "integers": lambda: rng.integers(0, 700, n).astype(float),
        "constant": lambda: np.full(n, 3.0),
        "sorted": lambda: np.sort(rng.normal(size=n)),
    }[shape]()
    edges = np.unique(
        np.concatenate((np.quantile(x, np.linspace(0, 1, 1024)), [x[0], np.nextafter(x[0], np.inf)]))
    )
    got, cells = counted(kernels, x, None, np.array([0, x.size]), edges)
    assert (cells == cells_of(x, edges)).all()
    assert (got.counts[0] == np.bincount(cells_of(x, edges), minlength=edges.size + 5)).all()
    assert got.moments[0, 1] == pytest.approx(x.mean(), rel=1e-12, abs=1e-12 * x.std())
    assert got.moments[0, 2] == pytest.approx(((x - x.mean()) ** 2).sum(), rel=1e-11, abs=1e-18)
    assert tuple(got.extremes[0]) == (x.min(), x.max())


@pytest.mark.parametrize(
    "dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "M8[us]", "m8[ns]"]
)
def test_every_type_of_numbers_is_counted_as_float64(kernels, dtype):
    rng = np.random.default_rng(3)
    n = rows(20_000)
    limits = {"f": (-50, 50), "i": (-128, 128), "u": (0, 256), "?": (0, 2), "M": (-(10**6), 10**6)}
    x = rng.integers(*limits.get(dtype[0], limits["M"]), n)
    if dtype in {"i8", "u8"}:
        x = x * 2**55 + 3  # beyond what a float64 can hold
    x = x.astype(np.uint64 if dtype == "u8" else np.int64).astype(dtype)
    numbers = (x.view(np.int64) if x.dtype.kind in "mM" else x).astype(np.float64)
    edges = np.unique(np.concatenate((np.quantile(numbers, np.linspace(0, 1, 200)), [numbers[0], 1e6])))
    valid = rng.random(n) < 0.9
    column, mask = x[1:], valid[1:]  # not at the beginning of their memory
    into, cells = counted(kernels, column, mask, np.array([0, 7, n - 1]), edges)
    expected, expected_cells = counted(select("plain"), numbers[1:], mask, np.array([0, 7, n - 1]), edges)
    assert (cells == expected_cells).all()
    for name in ("counts", "extremes", "registers"):
        assert (getattr(into, name) == getattr(expected, name)).all(), name
    assert np.allclose(into.moments, expected.moments, rtol=1e-12, atol=1e-12 * np.abs(numbers).max())


def test_many_columns_of_many_types_are_counted_at_once(kernels):
    rng = np.random.default_rng(4)
    n = rows(10_000)
    types = ("f4", "f8", "i2", "f4", "u1", "f8", "f4")
    values = [(rng.normal(size=n) * 50 + 90).clip(0, 250).astype(dtype) for dtype in types]
    edges = [np.linspace(0, 250, 5 * m) for m in range(2, 9)]
    columns = [
        NumericColumn(x, None, guide(each), NumericCounts.zeros(1, each.size))
        for x, each in zip(values, edges, strict=True)
    ]
    assert not kernels.numeric(columns, np.array([0, n]), np.array([0]))
    for column, x, each in zip(columns, values, edges, strict=True):
        alone, _ = counted(select("plain"), x, None, np.array([0, n]), each)
        assert (column.into.counts == alone.counts).all()
        assert (column.into.registers == alone.registers).all()


def test_integers_and_floats_of_the_same_value_leave_the_same_counts(kernels):
    integers = np.array([-3, 0, 5, 7], np.int16)
    edges = np.array([0.0, 5.0, 6.0])
    first, _ = counted(kernels, integers, None, np.array([0, 4]), edges)
    second, _ = counted(kernels, integers.astype(np.float32), None, np.array([0, 4]), edges)
    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def packed(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    encoded = [text.encode() for text in texts]
    return np.frombuffer(b"".join(encoded), np.uint8), np.cumsum([0, *map(len, encoded)])


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.lists(st.text(max_size=6), max_size=60),
    st.lists(st.text(max_size=6), min_size=1, max_size=30, unique=True),
)
def test_strings_are_found_in_the_vocabulary_and_hashed_alike(texts, vocabulary):
    found = {}
    for name in BACKENDS:
        kernels = select(name)
        data, ends = packed(vocabulary)
        known = dictionary(data, ends, kernels.hash_strings(data, ends))
        data, ends = packed(texts)
        hashes = kernels.hash_strings(data, ends)
        found[name] = (hashes, kernels.find_strings(data, ends, hashes, known))
        codes = found[name][1]
        assert [vocabulary[code] if code >= 0 else None for code in codes] == [
            text if text in vocabulary else None for text in texts
        ]
    assert all((found[name][0] == found["plain"][0]).all() for name in BACKENDS)


@settings(max_examples=EXAMPLES // 2, deadline=None)
@given(
    arrays(np.int32, st.integers(0, 200), elements=st.integers(-2, 9)),
    st.lists(st.integers(0, 200), max_size=3),
)
def test_codes_are_counted_by_slice(codes, parts):
    offsets = split(codes.size, parts)
    first, *others = (select(name).codes(codes, offsets, 8) for name in BACKENDS)
    assert all((first == other).all() for other in others)
    assert first.sum() == np.count_nonzero((codes >= 0) & (codes < 8))


def test_distinct_registers_agree_and_do_not_depend_on_order_or_repeats(kernels):
    hashes = np.random.default_rng(0).integers(0, 2**63, rows(10_000), dtype=np.uint64)
    once = kernels.distinct(hashes, np.array([0, hashes.size]))
    twice = kernels.distinct(np.concatenate((hashes[::-1], hashes)), np.array([0, 2 * hashes.size]))
    assert (once == twice).all()
    assert (once == select("plain").distinct(hashes, np.array([0, hashes.size]))).all()


def test_batches_add_up_at_their_slices_places(kernels):
    rng = np.random.default_rng(2)
    edges = np.quantile(rng.normal(size=5000), np.linspace(0, 1, 300))
    into = NumericCounts.zeros(3, edges.size)
    first, n = rows(3000), rows(7000)
    values = rng.normal(size=(6, n))
    for batch in values:
        counted(kernels, batch, None, np.array([0, first, n]), edges, into=into, places=np.array([2, 0]))
    for place, part in ((2, values[:, :first].ravel()), (0, values[:, first:].ravel())):
        whole, _ = counted(select("plain"), part, None, np.array([0, part.size]), edges)
        assert (into.counts[place] == whole.counts[0]).all()
        assert (into.registers[place] == whole.registers[0]).all()
        assert (into.extremes[place] == whole.extremes[0]).all()
        assert into.moments[place] == pytest.approx(whole.moments[0], rel=1e-11)
    assert not into.counts[1].any()


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u8"])
def test_ordered_sorts_what_is_there_slice_by_slice(kernels, dtype):
    rng = np.random.default_rng(5)
    values = rng.integers(0, 200, 1000).astype(dtype)
    if dtype[0] == "f":
        values[::9] = np.nan
        values[5] = np.inf
    valid = rng.random(1000) < 0.7
    offsets = np.array([0, 0, 350, 1000])
    for there in (valid, None):
        found = kernels.ordered(values, there, offsets)
        for part, start, stop in zip(found, offsets[:-1], offsets[1:], strict=True):
            kept = [
                float(v)
                for v, ok in zip(values[start:stop], valid[start:stop], strict=True)
                if ok or there is None
            ]
            assert part.dtype == np.float64
            assert part.tolist() == sorted(v for v in kept if v == v)


def oracle(x, offsets):
    """Sums over the rows where both of a pair are there, one pair at a time: (slices, k, k) each."""
    k = len(x)
    found = np.zeros((4, offsets.size - 1, k, k))
    for part in range(offsets.size - 1):
        rows = x[:, offsets[part] : offsets[part + 1]]
        for i in range(k):
            for j in range(k):
                both = ~np.isnan(rows[i]) & ~np.isnan(rows[j])
                a, b = rows[i][both], rows[j][both]
                found[:, part, i, j] = both.sum(), a.sum(), (a**2).sum(), (a * b).sum()
    return found


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("k", [3, 6])
def test_comoments_are_sums_over_the_rows_where_both_are_there(kernels, missing, dtype, k):
    rng = np.random.default_rng(0)
    n = rows(20_000)
    values = rng.normal(size=(k, n)).astype(dtype)
    valid = rng.random((k, n)) < 0.9
    if missing:
        values[0, ::7] = np.nan
        values[1, ::13] = np.inf
    centre, scale = rng.normal(size=k), rng.uniform(0.5, 2, k)
    offsets = np.array([0, n // 8, n // 8, n - n // 40, n])
    columns = [
        (x, there if missing and i % 2 else None)
        for i, (x, there) in enumerate(zip(values, valid, strict=True))
    ]
    got = kernels.comoments(columns, centre, scale, offsets)
    x = np.where(np.isfinite(values), (values.astype(np.float64) - centre[:, None]) / scale[:, None], np.nan)
    if missing:
        x[1::2][~valid[1::2]] = np.nan
    for sums, expected in zip(got, oracle(x, offsets), strict=True):
        assert sums == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_comoments_of_more_columns_than_a_tile(kernels):
    """And of slices without rows: first, between, last."""
    rng = np.random.default_rng(2)
    k, n = (9, 16) if SIMULATED else (70, 5_000)
    x = rng.normal(size=(k, n))
    offsets = np.array([0, 0, n // 4, n // 4, n, n])
    for missing in (False, True):
        x[3, 5::9] = np.nan if missing else 0.0
        x[k - 1, 1:7] = np.nan if missing else 1.0
        got = kernels.comoments([(column, None) for column in x], np.zeros(k), np.ones(k), offsets)
        for sums, expected in zip(got, oracle(x, offsets), strict=True):
            assert sums == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_rank_comoments_read_the_tables_at_the_cells(kernels):
    rng = np.random.default_rng(0)
    tables = rng.uniform(-0.5, 0.5, (3, 20))
    tables[:, 18:] = np.nan
    n = rows(20_000)
    cells = [rng.integers(0, high, n).astype(np.uint16) for high in (18, 19, 20)]
    offsets = np.array([0, n // 3, n])
    got = kernels.rank_comoments(cells, tables, offsets)
    x = np.array([table[cell] for table, cell in zip(tables, cells, strict=True)])
    for sums, expected in zip(got, oracle(x, offsets), strict=True):
        assert sums == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_a_backend_that_is_unknown_is_one_clear_line():
    with pytest.raises(OptionError, match="'gpu' is unknown: use one of auto, cpu"):
        select("gpu")


@pytest.mark.skipif(cuda_status()[0], reason="a CUDA backend answers here")
def test_a_backend_that_does_not_answer_is_one_clear_line():
    with pytest.raises(BackendError, match=r"asked for but .*: use backend='auto'"):
        select("cuda")
    assert choose("auto", device=True)[0].NAME == "cpu"


def test_auto_says_why():
    kernels, why = choose("auto", 10**9)
    assert (kernels.NAME, why) == ("cpu" if SIMULATED or not cuda_status()[0] else "cuda", cuda_status()[1])
    assert choose("cpu")[1] == "as asked for"


def test_small_tables_stay_on_the_cpu_and_the_crossover_can_be_moved(monkeypatch):
    monkeypatch.setattr("gpumon.kernels.cuda_status", lambda: (True, "a device answers"))
    kernels, why = choose("auto", 50 * 2**20)
    assert (kernels.NAME, why) == ("cpu", "the table takes 50 MiB, and a GPU is taken from 256 MiB on")
    monkeypatch.setenv("GPUMON_CROSSOVER_BYTES", str(2**20))
    assert crossover() == 2**20
    assert choose("auto", 2**19)[1] == "the table takes 0 MiB, and a GPU is taken from 1 MiB on"
    monkeypatch.setenv("GPUMON_CROSSOVER_BYTES", "much")
    with pytest.raises(OptionError, match="must be a number of bytes, not 'much'"):
        choose("auto", 2**19)
