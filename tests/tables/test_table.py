from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
from hypothesis import given

from gpumon.tables.table import evenly_spaced, rebatched, sampled

sizes = st.lists(st.integers(0, 50), max_size=12)


def in_batches(sizes):
    whole = pa.record_batch({"n": np.arange(sum(sizes)), "w": pa.array(np.arange(sum(sizes)).astype(str))})
    starts = np.cumsum([0, *sizes])
    return [whole.slice(start, size) for start, size in zip(starts, sizes, strict=False)]


SCHEMA = pa.schema([("n", pa.int64()), ("w", pa.string())])


@given(sizes, st.integers(1, 60))
def test_batches_are_cut_and_joined_without_losing_a_row(sizes, rows):
    batches = list(rebatched(in_batches(sizes), rows))
    assert [n for b in batches for n in b["n"].to_pylist()] == list(range(sum(sizes)))
    assert all(0 < b.num_rows <= rows for b in batches)
    assert all(a.num_rows + b.num_rows > rows / 2 for a, b in pairwise(batches))


@given(st.integers(0, 10**6), st.integers(0, 5000))
def test_positions_are_distinct_and_evenly_spaced(rows, k):
    positions = evenly_spaced(rows, k)
    assert len(positions) == min(rows, k)
    if len(positions) > 1:
        gaps = np.diff(positions)
        assert gaps.min() >= 1
        assert np.ptp(gaps) <= 1
        assert positions[0] == 0
        assert positions[-1] < rows


@given(sizes, st.integers(1, 40))
def test_a_sample_does_not_depend_on_the_batches(sizes, k):
    total = sum(sizes)
    known = sampled(in_batches(sizes), SCHEMA, k, total)
    assert known["n"].to_pylist() == evenly_spaced(total, k).tolist()
    assert known["w"].to_pylist() == [str(n) for n in known["n"].to_pylist()]
    unknown = sampled(in_batches(sizes), SCHEMA, k, None)
    assert unknown.equals(sampled(in_batches([total]), SCHEMA, k, None))
    assert len(unknown) == min(total, k)


@given(sizes, st.integers(1, 40))
def test_a_sample_of_a_stream_is_evenly_spaced(sizes, k):
    places = sampled(in_batches(sizes), SCHEMA, k, None)["n"].to_numpy()
    stride = next(2**i for i in range(20) if -(-sum(sizes) // 2**i) <= 2 * k)
    assert set(np.diff(places)) <= {stride, 2 * stride}
