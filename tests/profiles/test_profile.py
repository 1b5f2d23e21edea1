"""Profiles are values that add: in any order, over any partition, and back again through roll-ups."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpumon
from gpumon.errors import MergeError, OptionError
from gpumon.profiles.categorical import MOST_NAMES, Categorical, Names
from gpumon.profiles.numeric import Numeric, chan, edges_of
from gpumon.profiles.profile import Key

words = st.sampled_from(["a", "b", "c", "", "ü", None])
values = st.one_of(st.none(), st.floats(width=32), st.integers(-3, 3).map(float))


def table(rows: list[tuple[float | None, str | None, bool | None]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    kinds = (pa.float64(), pa.string(), pa.bool_())
    return pa.table(
        {
            name: pa.array(column, kind)
            for name, column, kind in zip(("x", "word", "flag"), columns, kinds, strict=True)
        }
    )


rows = st.lists(st.tuples(values, words, st.sampled_from([True, False, None])), max_size=40)
PLAN = gpumon.profile(table([(float(x), word, x % 2 == 0) for x in range(-3, 4) for word in "ab"]))


def close(left: gpumon.Profile, right: gpumon.Profile) -> bool:
    """Equal bit for bit but for moments and co-moments, which are equal within rounding."""
    if left.states.keys() != right.states.keys():
        return False
    for key, state in left.states.items():
        other = right.states[key]
        for name in state.__dataclass_fields__:
            a, b = getattr(state, name), getattr(other, name)
            if name in {"moments", "sums", "squares", "products"}:
                if not np.allclose(
                    a, b, rtol=1e-11, atol=1e-9 * (1 + np.nanmax(np.abs(a), initial=0)), equal_nan=True
                ):
                    return False
            elif not (np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b):
                return False
    return True


@settings(max_examples=60, deadline=None)
@given(rows, st.integers(0, 40), st.integers(0, 40))
def test_a_profile_is_the_sum_of_the_profiles_of_any_parts(data, first, second):
    first, second = sorted((min(first, len(data)), min(second, len(data))))
    whole = gpumon.profile(table(data), like=PLAN)
    parts = [
        gpumon.profile(table(part), like=PLAN) for part in (data[:first], data[first:second], data[second:])
    ]
    together = parts[0] + parts[1] + parts[2]
    assert close(together, parts[2] + (parts[0] + parts[1])) or not data
    assert together.rows == whole.rows == len(data)
    if data:
        assert close(together, whole)


@settings(max_examples=40, deadline=None)
@given(rows)
def test_the_empty_profile_changes_nothing(data):
    counted = gpumon.profile(table(data), like=PLAN)
    assert counted + counted.empty() == counted
    assert counted.empty() + counted == counted
    assert counted.empty().rows == 0


def test_profiles_of_different_plans_do_not_add():
    other = gpumon.profile({"x": [1.0, 2.0], "word": ["a", "z"], "flag": [True, False]})
    with pytest.raises(MergeError, match="like=the first"):
        _ = PLAN + other
    with pytest.raises(MergeError, match="different columns"):
        _ = PLAN + gpumon.profile({"y": [1.0]})


def test_windows_and_segments_roll_up_to_the_whole():
    rng = np.random.default_rng(0)
    n = 5000
    data = {
        "x": rng.normal(size=n),
        "where": rng.choice(["north", "south"], n),
        "t": np.datetime64("2026-01-01T00:00") + rng.integers(0, 10 * 24 * 60, n).astype("timedelta64[m]"),
    }
    plan = gpumon.profile(data)
    whole = gpumon.profile(data, like=plan)
    sliced = gpumon.profile(data, like=plan, timestamp="t", every="1d", by="where")
    assert len(sliced.windows) == 10
    assert sliced.segments == ["where=north", "where=south"]
    assert close(sliced.rollup(), whole)
    assert close(sliced.with_totals().rollup(), whole)
    assert sliced.with_totals().rows == n
    one = sliced.select(window="2026-01-03", segment="where=north")
    mask = (data["t"].astype("datetime64[D]") == np.datetime64("2026-01-03")) & (data["where"] == "north")
    assert close(one, gpumon.profile({name: column[mask] for name, column in data.items()}, like=plan))
    with pytest.raises(OptionError, match="no window '2027'"):
        sliced.select(window="2027")


def test_days_add_up_to_a_month_without_reading_a_row_again():
    rng = np.random.default_rng(1)
    days = [{"x": rng.normal(size=300)} for _ in range(30)]
    plan = gpumon.profile({"x": np.concatenate([day["x"] for day in days])})
    month = plan.empty()
    for day in days:
        month = month + gpumon.profile(day, like=plan)
    assert close(month, plan)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), max_size=30), st.lists(st.floats(-1e6, 1e6), max_size=30))
def test_moments_merge_as_if_counted_together(left, right):
    def moments(x):
        x = np.array(x)
        return np.array([x.size, x.mean(), ((x - x.mean()) ** 2).sum()]) if x.size else np.zeros(3)

    merged = chan(moments(left), moments(right))
    assert np.allclose(merged, moments(left + right), rtol=1e-9, atol=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(), min_size=0, max_size=60))
def test_edges_are_finite_and_increasing_whatever_the_values(sample):
    edges = edges_of(np.array(sample, np.float64))
    Numeric.on(edges)
    finite = {x + 0.0 for x in sample if np.isfinite(x)}
    assert finite <= set(edges.tolist()) | {np.finfo(np.float64).max}


def test_many_values_get_bins_of_about_equal_mass_and_heavy_ones_their_own():
    rng = np.random.default_rng(0)
    x = np.where(rng.random(100_000) < 0.3, 7.0, rng.normal(size=100_000))
    edges = edges_of(x)
    assert edges.size <= 1024
    assert {7.0, np.nextafter(7.0, 8)} <= set(edges.tolist())
    counts = np.histogram(x[x != 7.0], edges)[0]
    assert counts.max() <= 3 * (x != 7.0).sum() / edges.size


def test_a_million_categories_stay_small_and_certified():
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 1_000_000, 300_000)
    texts = pa.array([f"user {i}" for i in ids])
    counted = gpumon.profile({"user": texts}, roles={"id": "user"})
    state = counted.state("user")
    assert isinstance(state, Categorical)
    assert len(state.names.values) <= MOST_NAMES
    assert state.rows == 300_000
    categories = gpumon.profile(pa.table({"user": texts.slice(0, 200_000)}), like=_as_categories())
    state = categories.state("user")
    heaviest = max(np.unique(ids[:200_000], return_counts=True)[1])
    assert state.outside.sum() == 200_000
    assert state.outside.max() >= heaviest
    assert len(state.names.values) == MOST_NAMES
    assert not state.names.complete
    counts = dict(zip(*np.unique([f"user {i}" for i in ids[:200_000]], return_counts=True), strict=True))
    assert all(counts[name] == n for name, n in state.names.items())


def _as_categories() -> gpumon.Profile:
    return gpumon.profile({"user": ["a", "b"] * 10})


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 5)), max_size=3000), st.integers(0, 3000))
def test_names_of_smallest_hash_do_not_depend_on_the_partition(items, cut):
    def names(part):
        hashes = np.array([h * 2654435761 % 2**32 for h, _ in part], np.uint64)
        return Names.of(hashes, np.array([n for _, n in part], np.int64), [str(h) for h, _ in part])

    assert names(items[:cut]) + names(items[cut:]) == names(items)
    assert names(items[cut:]) + names(items[:cut]) == names(items)


def test_a_profile_says_what_it_is():
    assert repr(PLAN).startswith("<Profile of the table: 14 rows, 3 columns")
    assert PLAN.columns == ("x", "word", "flag")
    assert Key(None, None, "x", "values") in PLAN.states
    with pytest.raises(KeyError):
        PLAN.state("nothing")
