"""Every backend gives the counts that a binary search gives, and all give the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gpumon.errors import BackendError, OptionError
from gpumon.kernels import select
from gpumon.kernels.lookup import PIECES, cells_of, dictionary, guide, limits, pieces_of

BACKENDS = ("cpu", "plain")

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


def split(rows: int, parts: list[int]) -> np.ndarray:
    return np.array([0, *sorted(min(part, rows) for part in parts), rows])


@settings(max_examples=100, deadline=None)
@given(edge_arrays, arrays(np.float64, st.integers(0, 200), elements=numbers))
def test_a_guide_table_never_starts_beyond_the_cell_of_a_value(edges, values):
    table = guide(edges)
    with np.errstate(over="ignore"):
        beside = np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf)
    values = np.concatenate((values[~np.isnan(values)], edges, *beside))
    pieces = pieces_of(values, table)
    assert pieces.min() >= 0
    assert pieces.max() < PIECES
    assert (table.first[pieces] <= cells_of(values, edges)).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(pieces[order]) >= 0).all()
    assert table.first[-1] == limits(edges).size


@settings(max_examples=100, deadline=None)
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
    fast, plain = (select(name).numeric(values, valid, offsets, guide(edges)) for name in BACKENDS)
    assert (fast.counts == plain.counts).all()
    assert (fast.registers == plain.registers).all()
    assert (fast.extremes == plain.extremes).all()
    assert (fast.moments[:, 0] == plain.moments[:, 0]).all()
    scale = np.abs(values[np.isfinite(values)].astype(np.float64)).max(initial=0.0)
    if scale < 1e150:
        assert np.allclose(fast.moments[:, 1], plain.moments[:, 1], rtol=1e-12, atol=1e-13 * scale)
        assert np.allclose(fast.moments[:, 2], plain.moments[:, 2], rtol=1e-11, atol=1e-13 * scale**2)
    there = np.ones(values.size, bool) if valid is None else valid
    for s in range(offsets.size - 1):
        rows = slice(offsets[s], offsets[s + 1])
        expected = np.bincount(
            cells_of(values[rows][there[rows]].astype(np.float64), edges), minlength=edges.size + 5
        )
        expected[-1] += np.count_nonzero(~there[rows])
        assert (fast.counts[s] == expected).all()


@pytest.mark.parametrize(
    "shape", ["normal", "lognormal", "cauchy", "zeros", "integers", "constant", "sorted"]
)
def test_a_large_column_is_counted_as_binary_search_counts_it(kernels, shape):
    rng = np.random.default_rng(1)
    x = {
        "normal": lambda: rng.normal(size=50_000),
        "lognormal": lambda: rng.lognormal(sigma=3, size=50_000),
        "cauchy": lambda: rng.standard_cauchy(50_000),
        "zeros": lambda: np.where(rng.random(50_000) < 0.7, 0.0, rng.lognormal(size=50_000)),
        "integers": lambda: rng.integers(0, 700, 50_000).astype(float),
        "constant": lambda: np.full(50_000, 3.0),
        "sorted": lambda: np.sort(rng.normal(size=50_000)),
    }[shape]()
    edges = np.unique(
        np.concatenate((np.quantile(x, np.linspace(0, 1, 1024)), [x[0], np.nextafter(x[0], np.inf)]))
    )
    got = kernels.numeric(x, None, np.array([0, x.size]), guide(edges))
    assert (got.counts[0] == np.bincount(cells_of(x, edges), minlength=edges.size + 5)).all()
    assert got.moments[0, 1] == pytest.approx(x.mean(), rel=1e-12, abs=1e-12 * x.std())
    assert got.moments[0, 2] == pytest.approx(((x - x.mean()) ** 2).sum(), rel=1e-11, abs=1e-18)
    assert tuple(got.extremes[0]) == (x.min(), x.max())


def test_integers_and_floats_of_the_same_value_leave_the_same_counts(kernels):
    integers = np.array([-3, 0, 5, 7], np.int16)
    edges = np.array([0.0, 5.0, 6.0])
    first = kernels.numeric(integers, None, np.array([0, 4]), guide(edges))
    second = kernels.numeric(integers.astype(np.float32), None, np.array([0, 4]), guide(edges))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def packed(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    encoded = [text.encode() for text in texts]
    return np.frombuffer(b"".join(encoded), np.uint8), np.cumsum([0, *map(len, encoded)])


@settings(max_examples=100, deadline=None)
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
    assert (found["cpu"][0] == found["plain"][0]).all()


@settings(max_examples=50, deadline=None)
@given(
    arrays(np.int32, st.integers(0, 200), elements=st.integers(-2, 9)),
    st.lists(st.integers(0, 200), max_size=3),
)
def test_codes_are_counted_by_slice(codes, parts):
    offsets = split(codes.size, parts)
    first, second = (select(name).codes(codes, offsets, 8) for name in BACKENDS)
    assert (first == second).all()
    assert first.sum() == np.count_nonzero((codes >= 0) & (codes < 8))


def test_distinct_registers_agree_and_do_not_depend_on_order_or_repeats(kernels):
    hashes = np.random.default_rng(0).integers(0, 2**63, 10_000, dtype=np.uint64)
    once = kernels.distinct(hashes, np.array([0, hashes.size]))
    twice = kernels.distinct(np.concatenate((hashes[::-1], hashes)), np.array([0, 2 * hashes.size]))
    assert (once == twice).all()
    assert (once == select("plain").distinct(hashes, np.array([0, hashes.size]))).all()


def test_scores_read_the_table_at_each_cell(kernels):
    edges = np.array([0.0, 1.0, 2.0])
    x = np.array([-np.inf, -1.0, 0.0, 1.5, 2.0, np.inf, np.nan, 0.5])
    valid = np.array([True] * 7 + [False])
    out = np.empty(8)
    kernels.scores(x, valid, guide(edges), np.arange(8.0), out)
    assert np.array_equal(out, [0, 1, 2, 3, 4, 5, np.nan, np.nan], equal_nan=True)


def test_standardised_values_are_missing_where_they_are_no_finite_numbers(kernels):
    out = np.empty(5)
    valid = np.array([True, True, True, True, False])
    kernels.standardised(np.array([5, 3, np.inf, np.nan, 1.0]), valid, 3.0, 2.0, out)
    assert np.array_equal(out, [1.0, 0.0, np.nan, np.nan, np.nan], equal_nan=True)


@pytest.mark.parametrize("missing", [False, True])
def test_comoments_are_sums_over_the_rows_where_both_are_there(kernels, missing):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 20_000))
    if missing:
        x[0, ::7] = np.nan
        x[2, ::11] = np.nan
    offsets = np.array([0, 5000, 20_000])
    n, s, q, g = kernels.comoments(x, offsets)
    for part in range(2):
        rows = x[:, offsets[part] : offsets[part + 1]]
        for i in range(3):
            for j in range(3):
                both = ~np.isnan(rows[i]) & ~np.isnan(rows[j])
                assert n[part, i, j] == both.sum()
                assert s[part, i, j] == pytest.approx(rows[i][both].sum(), rel=1e-9)
                assert q[part, i, j] == pytest.approx((rows[i][both] ** 2).sum())
                assert g[part, i, j] == pytest.approx((rows[i][both] * rows[j][both]).sum(), rel=1e-9)


def test_a_backend_that_does_not_answer_is_one_clear_line():
    with pytest.raises(OptionError, match="'gpu' is unknown: use one of auto, cpu"):
        select("gpu")
    with pytest.raises(BackendError, match=r"asked for but .*: use backend='auto'"):
        select("cuda")


def test_auto_serves_everywhere():
    assert select("auto").NAME == "cpu"
