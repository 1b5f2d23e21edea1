"""The engine counts what a loop over the rows would count, in every cut and on every backend."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpumon
from gpumon.engines import local
from gpumon.engines.columns import PATTERNS, microseconds, numbers, pattern_codes, strings, validity
from gpumon.engines.count import Counter
from gpumon.kernels import select
from gpumon.profiles.categorical import Categorical
from gpumon.profiles.numeric import Numeric
from gpumon.profiles.times import Times
from gpumon.tables.frames import open_table
from gpumon.tables.slices import Slicing


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    rng = np.random.default_rng(0)
    n = 20_000
    words = np.array(["red", "green", "blue", "", "ünï", "a much longer name than eight bytes"])
    return pa.table(
        {
            "normal": pa.array(rng.normal(size=n), mask=rng.random(n) < 0.05),
            "small": rng.integers(-5, 5, n).astype(np.int8),
            "single": rng.lognormal(size=n).astype(np.float32),
            "flag": pa.array(rng.random(n) < 0.3, mask=rng.random(n) < 0.1),
            "word": pa.array(rng.choice(words, n), mask=rng.random(n) < 0.1),
            "coded": pa.array(rng.choice(words, n)).dictionary_encode(),
            "when": np.datetime64("2026-03-01") + rng.integers(0, 10**6, n).astype("timedelta64[s]"),
            "text": [f"order {i} of {i % 97}" for i in range(n)],
        }
    )


def test_counts_agree_with_a_loop_over_the_rows(rows):
    counted = gpumon.profile(rows)
    x = rows["normal"].to_pandas()
    state = counted.state("normal")
    assert isinstance(state, Numeric)
    assert state.counts[-1] == rows["normal"].null_count
    assert state.moments[1] == pytest.approx(x.mean(), rel=1e-12)
    assert state.extremes.tolist() == [x.min(), x.max()]
    for name in ("word", "coded"):
        state = counted.state(name)
        assert isinstance(state, Categorical)
        expected = rows[name].to_pandas().astype(object).value_counts()
        assert dict(zip(state.vocabulary, state.counts.tolist(), strict=True)) == expected.to_dict()
        assert int(state.missing) == rows[name].null_count
    flag = counted.state("flag")
    assert dict(zip(flag.vocabulary, flag.counts.tolist(), strict=True)) == {
        "true": rows["flag"].to_pandas().eq(True).sum(), "false": rows["flag"].to_pandas().eq(False).sum(),
    }  # fmt: skip
    when = counted.state("when")
    assert isinstance(when, Times)
    times = rows["when"].to_pandas()
    assert when.span.tolist() == [times.min().value // 1000, times.max().value // 1000]
    assert (
        when.hours.tolist() == np.bincount(times.dt.day_of_week * 24 + times.dt.hour, minlength=168).tolist()
    )
    lengths = counted.state("text", "length")
    assert lengths.moments[1] == pytest.approx(rows["text"].to_pandas().str.len().mean())


@pytest.mark.parametrize("backend", ["cpu", "plain"])
def test_every_backend_and_every_source_leave_one_profile(rows, backend, tmp_path):
    expected = gpumon.profile(rows)
    path = str(tmp_path / "rows.parquet")
    pq.write_table(rows, path, row_group_size=3000)
    for source in (rows, path, rows.to_pandas(), rows.to_reader(max_chunksize=777)):
        found = gpumon.profile(source, like=expected, backend=backend)
        for key, state in expected.states.items():
            other = found.states[key]
            for name in ("counts", "registers", "extremes", "missing", "outside", "hours", "span"):
                if hasattr(state, name):
                    mine, its = getattr(state, name), getattr(other, name)
                    if name == "counts" and isinstance(state, Numeric):  # pandas knows NaN alone
                        mine, its = (np.append(x[:-2], x[-2:].sum()) for x in (mine, its))
                    assert np.array_equal(mine, its), (key, name)
            if hasattr(state, "moments"):
                assert np.allclose(state.moments, other.moments, rtol=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(1, 20_000))
def test_threads_and_sizes_of_batches_do_not_show(threads, size):
    rng = np.random.default_rng(size)
    table = pa.table({"x": rng.normal(size=20_000), "word": rng.choice(["a", "b"], 20_000)})
    plan = gpumon.profile(table)
    count = Counter(plan.empty(), Slicing(None, None, ()), select("cpu"))
    pieces = pa.Table.from_batches(table.to_batches(max_chunksize=size))
    found = local.run(open_table(pieces), table.column_names, count, threads=threads).profile
    assert np.array_equal(found.state("x").counts, plan.state("x").counts)
    assert np.array_equal(found.state("x").registers, plan.state("x").registers)
    assert found.state("word") == plan.state("word")


def test_two_runs_are_identical_bit_for_bit(rows, tmp_path):
    path = str(tmp_path / "rows.parquet")
    pq.write_table(rows, path, row_group_size=2000)
    assert gpumon.profile(path) == gpumon.profile(path)


def test_a_failing_batch_is_heard_and_nothing_hangs(rows):
    def broken(batches):
        raise ZeroDivisionError

    broken.like = gpumon.profile(rows).empty()
    broken.kernels = select("cpu")
    outcome = local.run(open_table(rows), rows.column_names, broken, threads=2)
    assert isinstance(outcome.error, ZeroDivisionError)
    assert outcome.missing == [0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([None, 0, 1, -7, 2**40]), max_size=30), st.integers(0, 9), st.integers(0, 9))
def test_numbers_and_validity_respect_slices_of_arrow_arrays(items, start, length):
    array = pa.array(items, pa.int64()).slice(start, length)
    values, valid = numbers(array)
    there = np.ones(len(array), bool) if valid is None else valid
    assert [int(v) if ok else None for v, ok in zip(values, there, strict=True)] == array.to_pylist()
    assert validity(array.cast(pa.string())) is None or len(validity(array)) == len(array)


def test_times_of_every_unit_are_microseconds():
    for unit in ("s", "ms", "us", "ns"):
        array = pa.array([0, None, 1], pa.int64()).cast(pa.timestamp(unit))
        assert microseconds(array)[0] == 0
        assert microseconds(array).size == 2
    assert microseconds(pa.array([1], pa.int32()).cast(pa.date32())).tolist() == [86_400_000_000]


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("", "empty"), ("  ", "empty"), ("0042", "digits"), ("-1.5e3", "number"), ("2026-01-02", "date or time"),
        ("2026-01-02T03:04:05Z", "date or time"), ("a@b.org", "e-mail"), ("https://x.org/a?b", "URL"),
        ("123e4567-e89b-12d3-a456-426614174000", "UUID"), ("Straße", "word"), ("AB-12_c", "code"),
        ("two words", "words"), ("§$%", "other"),
    ],
)  # fmt: skip
def test_texts_are_classed_by_their_pattern(text, pattern):
    assert list(PATTERNS)[pattern_codes(pa.array([text]))[0]] == pattern
    assert pattern_codes(pa.array([None], pa.string()))[0] == -1


def test_dictionaries_with_unused_and_doubled_values_are_counted_by_value():
    array = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None, 0]), pa.array(["a", "b", "a"]))
    assert strings(array).to_pylist() == ["a", "b", "a", None, "a"]
    plan = gpumon.profile({"c": ["a", "b", "z"] * 5})
    state = gpumon.profile(pa.table({"c": array}), like=plan).state("c")
    assert dict(zip(state.vocabulary, state.counts.tolist(), strict=True)) == {"a": 3, "b": 1, "z": 0}
    assert int(state.missing) == 1


def test_categories_that_the_sample_missed_join_the_vocabulary():
    words = np.array(["common"] * 100_000, object)
    words[[7, 50_001, 99_999]] = ["rare", "rare", "once"]
    counted = gpumon.profile({"c": words})
    state = counted.state("c")
    assert dict(zip(state.vocabulary, state.counts.tolist(), strict=True)) == {
        "common": 99_997,
        "rare": 2,
        "once": 1,
    }
    assert not state.outside.any()
    assert not state.names.values
    sliced = gpumon.profile({"c": words, "half": np.arange(100_000) > 50_000}, by="half")
    first, second = (sliced.state("c", segment=segment) for segment in sliced.segments)
    assert (first.rows, second.rows) == (50_001, 49_999)
    assert first.vocabulary == second.vocabulary
    assert sliced.rollup().state("c") == state
