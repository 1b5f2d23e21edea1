import datetime as dt
import re
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given

import gpumon
from gpumon.errors import InputError, OptionError, SchemaError
from gpumon.tables import Slicing, open_table

FLIGHTS = Path(gpumon.__file__).parent / "data" / "flights.parquet"
PERIODS = {"1d": "D", "1w": "W-SUN", "1mo": "M", "3mo": "Q", "1y": "Y"}

moments = st.lists(
    st.none() | st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1)), min_size=1, max_size=40
)


def sliced(slicing, **columns):
    """The slice of every row."""
    codes, slices = slicing.number(pa.record_batch(columns))
    assert codes.dtype == np.int32
    assert sorted(set(codes.tolist())) == list(range(len(slices)))
    assert slices == sorted(slices, key=lambda s: (s[0] or "", s[1] or ""))
    return [slices[code] for code in codes]


def in_pandas(times, every):
    """The start of the window of each time, as pandas has it."""
    if every in PERIODS:
        return times.to_period(PERIODS[every]).start_time.strftime("%Y-%m-%d").tolist()
    return times.floor(every).strftime("%Y-%m-%dT%H:%M").tolist()


@pytest.mark.parametrize("every", ["15min", "1h", "6h", *PERIODS])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_windows_agree_with_pandas(every, unit):
    seconds = np.random.default_rng(7).integers(-(10**9), 2 * 10**9, 5_000)
    times = pd.DatetimeIndex(seconds.astype("M8[s]"))
    got = sliced(Slicing("t", every), t=pa.array(times, pa.timestamp(unit)))
    assert [window for window, _ in got] == in_pandas(times, every)


@pytest.mark.parametrize("every", ["30s", "7min", "90min", "36h", "1d", "2w", "5mo", "2y"])
@given(moments)
def test_each_time_is_in_its_window(every, times):
    windows = [window for window, _ in sliced(Slicing("t", every), t=pa.array(times, pa.timestamp("us")))]
    for time, window in zip(times, windows, strict=True):
        if time is None:
            assert window == "no timestamp"
            continue
        start = dt.datetime.fromisoformat(window)
        amount, unit = re.fullmatch(r"(\d+)(\w+)", every).groups()
        step = {"s": 1 / 60, "min": 1, "h": 60, "d": 1440, "w": 10080, "mo": 44640, "y": 527040}[unit] * int(
            amount
        )
        assert start <= time < start + dt.timedelta(minutes=step)
    known = sorted((t, w) for t, w in zip(times, windows, strict=True) if t is not None)
    assert [w for _, w in known] == sorted(w for _, w in known)  # names sort as times do


def test_flights_by_month_and_origin_agree_with_groupby():
    frame = pd.read_parquet(FLIGHTS)
    expected = frame.groupby([frame["time_hour"].dt.strftime("%Y-%m-01"), "origin"]).size()
    slicing = Slicing("time_hour", "1mo", ("origin",))
    got = dict.fromkeys(((w, f"origin={o}") for w, o in expected.index), 0)
    for part in open_table(FLIGHTS).partitions(slicing.columns):
        for batch in part.batches():
            codes, slices = slicing.number(batch)
            for one, rows in zip(slices, np.bincount(codes).tolist(), strict=True):
                got[one] += rows
    assert list(got.values()) == expected.tolist()


def test_weeks_begin_on_monday():
    days = pa.array(
        [
            dt.date(2013, 6, 2),
            dt.date(2013, 6, 3),
            dt.date(2013, 6, 9),
            dt.date(2013, 6, 10),
            dt.date(1969, 12, 28),
        ]
    )
    assert [w for w, _ in sliced(Slicing("t", "1w"), t=days)] == [
        "2013-05-27",
        "2013-06-03",
        "2013-06-03",
        "2013-06-10",
        "1969-12-22",
    ]


def test_times_with_a_zone_are_cut_in_utc():
    times = pd.DatetimeIndex(["2013-06-01T01:30", "2013-06-01T03:30"]).tz_localize("Europe/Berlin")
    assert sliced(Slicing("t", "1d"), t=pa.array(times)) == [("2013-05-31", None), ("2013-06-01", None)]


@pytest.mark.parametrize(
    "times",
    [
        ["2013-06-01T05:10:00Z", None, "2013-06-01T08:10:00+02:00"],
        ["2013-06-01 05:10:00", None, "2013-06-01T06:10"],
        ["2013-06-01T05:10:00.123456789", None, "2013-06-01T06:10:00"],
    ],
)
@pytest.mark.parametrize("encode", [lambda a: a, pa.Array.dictionary_encode])
def test_strings_in_iso_8601_are_times(times, encode):
    windows = [w for w, _ in sliced(Slicing("t", "1h"), t=encode(pa.array(times)))]
    assert windows == ["2013-06-01T05:00", "no timestamp", "2013-06-01T06:00"]


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (
            ["yesterday"],
            r"column 't' is to cut time into windows, but its strings are not all times in ISO 8601",
        ),
        (
            ["2013-06-01T05:00Z", "2013-06-01T05:00"],
            r"all with a zone or all without .*; convert it to timestamps",
        ),
        (
            [1370044800],
            r"holds int64; convert it to timestamps, .* pandas.to_datetime\(column, unit='s', utc=True\)",
        ),
        ([1.5], r"holds double; convert it"),
        ([True], r"holds bool; convert it"),
        ([dt.time(5)], r"holds time64\[us\]; convert it"),
    ],
)
def test_columns_that_hold_no_times(times, said):
    with pytest.raises(SchemaError, match=said):
        Slicing("t", "1d").number(pa.record_batch({"t": pa.array(times)}))


@pytest.mark.parametrize(
    "every", ["", "d", "0d", "-1d", "1m", "1M", "1 d", "1.5h", "daily", "1dd", "10000000d"]
)
def test_lengths_that_make_no_sense(every):
    with pytest.raises(
        OptionError, match=r"is no length of time; write a number and a unit \(s, min, h, d, w, mo, y\)"
    ):
        Slicing("t", every)


def test_windows_need_a_column_of_times():
    with pytest.raises(
        OptionError, match="windows of '1d' need the column that holds the times: give timestamp="
    ):
        Slicing(every="1d")


def test_segments_name_the_values_of_their_columns():
    origins = pa.array(["JFK", None, "JFK", "∅"]).dictionary_encode()
    numbers = pa.array([1.0, -0.0, float("nan"), None])
    flags = pa.array([True, False, None, True])
    days = pa.array([dt.date(2013, 6, 1)] * 4)
    slicing = Slicing(by=("origin", "n", "flag", "day"))
    assert slicing.columns == ("origin", "n", "flag", "day")
    assert [segment for _, segment in sliced(slicing, origin=origins, n=numbers, flag=flags, day=days)] == [
        "origin=JFK, n=1.0, flag=True, day=2013-06-01",
        "origin=∅, n=0.0, flag=False, day=2013-06-01",
        "origin=JFK, n=∅, flag=∅, day=2013-06-01",
        "origin=∅, n=∅, flag=True, day=2013-06-01",
    ]


def test_a_dictionary_with_unused_doubled_and_null_entries():
    words = pa.DictionaryArray.from_arrays(
        pa.array([0, 1, 2, 3, None], pa.int8()), ["b", "a", "b", None, "unused"]
    )
    assert [s for _, s in sliced(Slicing(by=("w",)), w=words)] == ["w=b", "w=a", "w=b", "w=∅", "w=∅"]


@given(st.lists(st.tuples(moments.map(lambda m: m[0]), st.none() | st.text(st.characters(exclude_categories=["Cs"])), st.none() | st.integers(-5, 5)), min_size=1, max_size=60))  # fmt: skip
def test_slices_of_the_parts_are_slices_of_the_whole(rows):
    times, words, numbers = zip(*rows, strict=True)
    columns = {
        "t": pa.array(times, pa.timestamp("us")),
        "w": pa.array(words, pa.string()),
        "n": pa.array(numbers, pa.int64()),
    }
    slicing = Slicing("t", "1y", ("w", "n"))
    whole = sliced(slicing, **columns)
    assert whole == [
        s for i in range(len(rows)) for s in sliced(slicing, **{k: v.slice(i, 1) for k, v in columns.items()})
    ]


def test_without_windows_and_segments_there_is_one_slice():
    assert Slicing().columns == Slicing("t").columns == ()
    codes, slices = Slicing().number(pa.record_batch({"x": [1, 2, 3]}))
    assert codes.tolist() == [0, 0, 0]
    assert slices == [(None, None)]


def test_a_batch_without_rows_has_no_slices():
    codes, slices = Slicing("t", "1d", ("w",)).number(
        pa.record_batch({"t": pa.array([], pa.timestamp("s")), "w": pa.array([], pa.string())})
    )
    assert codes.tolist() == slices == []


def test_times_that_are_all_missing():
    assert sliced(Slicing("t", "1d"), t=pa.nulls(2, pa.timestamp("s"))) == [("no timestamp", None)] * 2
    assert sliced(Slicing("t", "1d"), t=pa.nulls(2, pa.string())) == [("no timestamp", None)] * 2


def test_times_far_apart_need_no_memory_for_the_windows_between():
    times = pa.array([dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)], pa.timestamp("s"))
    assert [w for w, _ in sliced(Slicing("t", "1s"), t=times)] == [
        "0001-01-01T00:00:00",
        "9999-12-31T00:00:00",
    ]


@pytest.mark.parametrize(
    ("slicing", "said"),
    [
        (Slicing(by=("id",)), "the values of 'id' cut 20,000 rows into more than 10,000 slices"),
        (Slicing("t", "1s"), "windows of 1s cut 20,000 rows"),
        (
            Slicing("t", "1min", ("few",)),
            "windows of 1min and the values of 'few' cut 20,000 rows .*; choose wider windows",
        ),
    ],
)
def test_too_many_slices_are_refused(slicing, said):
    n = np.arange(20_000)
    batch = pa.record_batch({"id": n.astype(str), "few": n % 50, "t": n.astype("M8[s]")})
    with pytest.raises(InputError, match=said):
        slicing.number(batch)
