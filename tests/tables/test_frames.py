import pickle
from decimal import Decimal

import fsspec
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from pyarrow import feather

from gpumon.errors import InputError, SchemaError
from gpumon.tables import SAMPLE_ROWS, open_table
from gpumon.tables.columns import canonical_schema


class Capsule:
    """Nothing but the PyCapsule interface."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def parquet(table, path):
    pq.write_table(table, path / "t.parquet", row_group_size=7)
    return path / "t.parquet"


def parquet_folder(table, path):
    (path / "folder").mkdir()
    for i in range(0, max(len(table), 1), 5):
        pq.write_table(table.slice(i, 5), path / "folder" / f"{i:06}.parquet")
    return path / "folder"


def remote(table, path):
    with fsspec.open(f"memory://{path}/t.parquet", "wb") as file:
        pq.write_table(table, file)
    return f"memory://{path}/t.parquet"


def arrow_file(table, path):
    with pa.ipc.new_file(path / "t.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    return path / "t.arrow"


def arrow_stream(table, path):
    with pa.ipc.new_stream(path / "s.arrow", table.schema) as writer:
        writer.write_table(table)
    return path / "s.arrow"


def feather_file(table, path):
    feather.write_feather(table, path / "t.feather")  # compressed
    return path / "t.feather"


SOURCES = {
    "parquet": parquet,
    "parquet folder": parquet_folder,
    "parquet by URL": remote,
    "file URL": lambda t, p: f"file://{parquet(t, p)}",
    "arrow file": arrow_file,
    "arrow stream": arrow_stream,
    "feather": feather_file,
    "table": lambda t, _: t,
    "sliced table": lambda t, _: pa.concat_tables([t, t, t]).slice(len(t), len(t)),
    "record batch": lambda t, _: t.combine_chunks().to_batches()[0],
    "reader": lambda t, _: t.to_reader(max_chunksize=4),
    "dataset": lambda t, _: ds.dataset(t),
    "parquet dataset": lambda t, p: ds.dataset(parquet(t, p)),
    "pandas": lambda t, _: t.to_pandas(),
    "pandas with Arrow types": lambda t, _: t.to_pandas(types_mapper=pd.ArrowDtype),
    "polars": lambda t, _: pl.from_arrow(t),
    "lazy polars": lambda t, _: pl.from_arrow(t).lazy(),
    "dict of arrays": lambda t, _: {n: t[n].to_numpy() for n in t.column_names},
    "dict of lists": lambda t, _: t.to_pydict(),
    "capsule": lambda t, _: Capsule(t),
}


def words_as_text(table):
    """The table with missing floats as null and every form of strings as strings: what sources may differ in."""
    fields = [(f.name, pa.string() if "string" in str(f.type) else f.type) for f in table.schema]
    columns = [
        pa.array(table[f.name].to_pylist(), t, from_pandas=True)
        for f, t in zip(table.schema, dict(fields).values(), strict=True)
    ]
    return pa.table(columns, schema=pa.schema(fields))


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1)
columns = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=11, max_size=11).map(lambda v: pa.array(v, pa.int64())),
    st.lists(st.floats(width=32), min_size=11, max_size=11).map(lambda v: pa.array(v, pa.float32())),
    st.lists(st.floats(), min_size=11, max_size=11).map(lambda v: pa.array(v, pa.float64())),
    st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), min_size=10, max_size=10).map(lambda v: pa.array(["a", *v], pa.string())),
    st.lists(st.datetimes(min_value=pd.Timestamp(1700, 1, 1), max_value=pd.Timestamp(2200, 1, 1)), min_size=11, max_size=11).map(lambda v: pa.array(v, pa.timestamp("us"))),
    st.lists(st.booleans(), min_size=11, max_size=11).map(lambda v: pa.array(v, pa.bool_())),
)  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
@given(drawn=st.dictionaries(names, columns, min_size=1, max_size=4))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_source_gives_the_same_rows(source, drawn, tmp_path_factory):
    expected = pa.table(drawn)
    table = open_table(SOURCES[source](expected, tmp_path_factory.mktemp("source")))
    assert table.schema.names == expected.column_names
    assert table.rows in (11, None)
    batches = [b for part in table.partitions() for b in part.batches(rows=4)]
    assert all(0 < b.num_rows <= 4 for b in batches)
    assert all(b.schema == canonical_schema(b.schema) == table.schema for b in batches)
    assert repr(words_as_text(pa.Table.from_batches(batches)).to_pydict()) == repr(
        words_as_text(expected).to_pydict()
    )


PLAIN = pa.table(
    {
        "x": np.arange(1000) * 0.25,
        "n": np.arange(1000),
        "word": np.array(["JFK", "LGA", "EWR"])[np.arange(1000) % 3],
        "odd": pa.array([None if i % 7 == 0 else i % 2 == 0 for i in range(1000)]),
    }
)


@pytest.mark.parametrize("source", SOURCES)
def test_samples_are_the_same_evenly_spaced_rows_for_every_source(source, tmp_path):
    table = open_table(SOURCES[source](PLAIN, tmp_path))
    sample = table.sample(["n", "word"], rows=10)
    assert sample.column_names == ["n", "word"]
    if source in ("parquet", "parquet folder", "file URL"):  # more than 32 row groups: from 32 of them
        assert len(sample) == 10
        assert np.abs(sample["n"].to_numpy() - np.arange(0, 1000, 100)).max() < 40
    else:
        assert sample["n"].to_pylist() == list(range(0, 1000, 100))
    assert table.sample(["n", "word"], rows=10).equals(sample)
    assert sample["word"].to_pylist() == [["JFK", "LGA", "EWR"][i % 3] for i in sample["n"].to_pylist()]


@pytest.mark.parametrize("source", sorted(set(SOURCES) - {"reader"}))
def test_loading_keeps_all_rows_and_only_the_columns_asked_for(source, tmp_path):
    table = open_table(SOURCES[source](PLAIN, tmp_path), name="mine")
    loaded = table.load(["odd", "n"])
    assert loaded.name == "mine"
    assert loaded.rows == 1000
    assert loaded.schema.names == ["odd", "n"]
    assert loaded.nbytes() <= 9 * 1000 + 1000
    rows = pa.Table.from_batches(b for part in loaded.partitions() for b in part.batches())
    assert rows.to_pydict() == PLAIN.select(["odd", "n"]).to_pydict()


@pytest.mark.parametrize("source", sorted(set(SOURCES) - {"dataset"}))
def test_partitions_survive_pickling(source, tmp_path):
    for part in open_table(SOURCES[source](PLAIN, tmp_path)).partitions(["n"]):
        again = pickle.loads(pickle.dumps(part))
        assert [b.to_pydict() for b in again.batches()] == [b.to_pydict() for b in part.batches()]


def test_a_pickled_slice_does_not_carry_the_whole_table():
    big = pa.table({"x": np.zeros(1_000_000)})
    parts = open_table(big).partitions()
    assert [part.rows for part in parts] == [262_144, 262_144, 262_144, 213_568]
    assert len(pickle.dumps(parts[-1])) < 2_000_000


def test_numbers_of_pandas_are_not_copied_and_its_index_is_no_column():
    values = np.array([1.0, np.nan, -0.0])
    frame = pd.DataFrame({"x": values}, index=pd.Index([5, 6, 7], name="id"), copy=False)
    table = open_table(frame)
    assert table.schema.names == ["x"]
    ((batch,),) = (list(part.batches()) for part in table.partitions())
    assert batch["x"].to_numpy().__array_interface__["data"][0] == values.__array_interface__["data"][0]
    assert batch["x"].null_count == 0


def test_pandas_columns_of_every_dtype():
    frame = pd.DataFrame(
        {
            "Int64": pd.array([1, None], "Int64"),
            "Float64": pd.array([1.5, None], "Float64"),
            "boolean": pd.array([True, None], "boolean"),
            "category": pd.Categorical(["a", None], categories=["z", "a"]),
            "codes": pd.Categorical([3, 3]),
            "str": pd.Series(["a", None], dtype="str"),
            "string": pd.array(["a", None], "string[python]"),
            "object": pd.Series(["a", np.nan], dtype=object),
            "flags": pd.Series([True, None], dtype=object),
            "whole": pd.Series([1, pd.NA], dtype=object),
            "decimal": pd.Series([Decimal("1.5"), None], dtype=object),
            "zoned": pd.to_datetime(["2013-06-01T05:00", None]).tz_localize("Europe/Berlin"),
            "delta": pd.to_timedelta(["1s", None]).astype("timedelta64[s]"),
            "sparse": pd.arrays.SparseArray([0.0, 2.0]),
            "half": np.array([1, 2], np.float16),
            "void": pd.Series([None, None], dtype=object),
            7: [1, 2],
        }
    )
    table = open_table(frame)
    ((batch,),) = (list(part.batches()) for part in table.partitions())
    values = batch.to_pydict()
    assert str(values.pop("zoned")[0]) == "2013-06-01 05:00:00+02:00"
    assert values == {
        "Int64": [1, None], "Float64": [1.5, None], "boolean": [True, None], "category": ["a", None], "codes": [3, 3],
        "str": ["a", None], "string": ["a", None], "object": ["a", None], "flags": [True, None], "whole": [1, None],
        "decimal": [1.5, None], "delta": [1, None], "sparse": [0.0, 2.0], "half": [1.0, 2.0], "void": [None, None],
        "7": [1, 2],
    }  # fmt: skip
    assert str(batch.schema.field("category").type) == "dictionary<values=string, indices=int32, ordered=0>"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1, "a"], r"column 'x' mixes int and str; convert it to one type"),
        ([1.5, np.nan, "a"], r"mixes float and str"),
        (["a", b"a"], r"mixes bytes and str"),
        ([True, 1], r"mixes bool and int"),
        ([pd.Timestamp(2013, 6, 1), pd.Timestamp(2013, 6, 1).date()], r"mixes Timestamp and date"),
        ([{"a": 1}, [1]], r"mixes dict and list"),
        ([2**70, 1], r"integers beyond 64 bits; convert it to float"),
        (["\ud800"], r"cannot be used \(.*surrogates not allowed\)"),
        ([object()], r"cannot be used"),
        ([1 + 2j], r"cannot be used"),
    ],
)
@pytest.mark.parametrize(
    "make", [lambda v: pd.DataFrame({"x": pd.Series(v, dtype=object)}), lambda v: {"x": v}]
)
def test_columns_that_cannot_be_typed_are_refused_by_name(make, values, said):
    with pytest.raises(SchemaError, match=f"the reference table: .*{said}"):
        open_table(make(values), name="the reference table")


def test_missing_values_do_not_make_a_column_mixed():
    table = open_table({"x": [None, "a", float("nan"), pd.NA, pd.NaT]})
    assert table.sample()["x"].to_pylist() == [None, "a", None, None, None]


@pytest.mark.parametrize(
    "source",
    [
        pd.DataFrame([[1, 2, 3, 4]], columns=["a", "b", "a", "b"]),
        pd.DataFrame([[1, 2, 3, 4]], columns=["a", "b", "a", "b"]).rename(columns={"a": 1, "b": "1"}).rename(columns={1: "a", "1": "b"}),
        pa.table([[1], [2], [3], [4]], names=["a", "b", "a", "b"]),
        pa.table([[1], [2], [3], [4]], names=["a", "b", "a", "b"]).to_reader(),
    ],
    ids=["pandas", "pandas renamed", "arrow", "reader"],
)  # fmt: skip
def test_doubled_names_are_refused(source):
    with pytest.raises(SchemaError, match="more than one column is called 'a', 'b'; rename or drop"):
        open_table(source)


def test_names_that_are_equal_as_text_are_doubled():
    with pytest.raises(SchemaError, match="more than one column is called '1'"):
        open_table({1: [1], "1": [2]})


@pytest.mark.parametrize("source", [3, None, [1, 2], np.zeros((2, 2)), object()])
def test_what_is_no_table_is_refused_with_what_would_be(source):
    with pytest.raises(
        InputError, match=r"is not a table; accepted are a path, folder, glob or URL .* pandas"
    ):
        open_table(source)


def test_a_series_is_no_table():
    with pytest.raises(InputError, match="Series"):
        open_table(pd.Series([1, 2]))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"a": [1, 2], "b": [1]}, "the columns differ in length \\('a' 2, 'b' 1\\)"),
        ({"a": 3}, "column 'a' is a single int"),
        ({"a": "word"}, "column 'a' is a single str"),
        ({"a": np.zeros((2, 2))}, "column 'a' cannot be used \\(only handle 1-dimensional arrays\\)"),
    ],
)
def test_a_dict_that_is_no_table_is_refused(source, said):
    with pytest.raises(InputError, match=said):
        open_table(source)


def test_a_dict_takes_arrays_of_any_library():
    table = open_table({"numpy": np.array([1, 2]), "arrow": pa.array([1, 2]), "chunks": pa.chunked_array([[1], [2]]),
                        "polars": pl.Series([1, 2]), "pandas": pd.Series([1, 2]), "range": range(1, 3), "tuple": (1, 2)})  # fmt: skip
    assert set(map(tuple, table.sample().to_pydict().values())) == {(1, 2)}


def test_a_masked_array_has_nulls():
    assert open_table({"x": np.ma.array([1, 2], mask=[0, 1])}).sample()["x"].to_pylist() == [1, None]


def test_polars_categories_are_dictionaries():
    frame = pl.DataFrame({"c": pl.Series(["u", None], dtype=pl.Categorical), "e": pl.Series(["u", "v"], dtype=pl.Enum(["v", "u"])),
                          "text": ["a", None], "nested": [[1], [2]]})  # fmt: skip
    table = open_table(frame)
    assert [str(t) for t in table.schema.types] == [
        "dictionary<values=string, indices=int32, ordered=0>"
    ] * 2 + ["large_string"]
    assert table.sample().to_pydict() == {"c": ["u", None], "e": ["u", "v"], "text": ["a", None]}
    assert [s.name for s in table.skipped] == ["nested"]


def test_an_object_with_only_the_dataframe_protocol():
    class Old:
        def __dataframe__(self, nan_as_null=False, allow_copy=True):
            return PLAIN.select(["x", "n"]).__dataframe__(nan_as_null, allow_copy)

    assert open_table(Old()).sample(rows=3).to_pydict() == {"x": [0.0, 83.25, 166.5], "n": [0, 333, 666]}


def test_asking_for_a_column_that_is_not_there_or_nested():
    table = open_table(pa.table({"origin": ["JFK"], "nested": [[1]]}), name="flights")
    for ask in (table.partitions, table.sample, table.load, table.nbytes):
        with pytest.raises(SchemaError, match="flights has no column 'orgin'; did you mean 'origin'"):
            ask(["orgin"])
        with pytest.raises(
            SchemaError, match=r"flights: column 'nested' cannot be used, its type is list<.*>; leave it out"
        ):
            ask(["nested"])


def test_a_long_reader_is_streamed_once():
    batch = pa.record_batch({"x": np.arange(400_000), "nested": [[1]] * 400_000})
    reader = pa.RecordBatchReader.from_batches(batch.schema, iter([batch] * 4))
    table = open_table(reader, name="the stream")
    assert table.rows is None
    assert table.nbytes() is None
    assert len(table.sample(["x"])) == SAMPLE_ROWS
    parts = table.partitions(["x"])
    read = np.concatenate([b["x"].to_numpy() for part in parts for b in part.batches(50_000)])
    assert np.array_equal(read, np.tile(np.arange(400_000), 4))
    with pytest.raises(InputError, match="the stream is a stream and was read before; open it again"):
        table.load()


def test_a_reader_that_fails_is_an_input_error():
    def batches():
        yield pa.record_batch({"x": [1]})
        raise OSError("connection lost")

    reader = pa.RecordBatchReader.from_batches(pa.schema([("x", pa.int64())]), batches())
    with pytest.raises(InputError, match=r"the table: cannot be read: .*connection lost"):
        open_table(reader)


def test_a_filtered_dataset_gives_the_rows_that_it_keeps(tmp_path):
    dataset = ds.dataset(parquet(PLAIN, tmp_path)).filter(ds.field("n") >= 990)
    table = open_table(dataset)
    assert table.rows == 10
    assert table.sample(["n"]).to_pydict() == {"n": list(range(990, 1000))}


def test_a_partitioned_dataset_has_its_folders_as_columns(tmp_path):
    ds.write_dataset(PLAIN, tmp_path, format="parquet", partitioning=["word"], partitioning_flavor="hive")
    table = open_table(ds.dataset(tmp_path, partitioning="hive"))
    assert sorted(table.sample(["word"])["word"].to_pylist()) == sorted(PLAIN["word"].to_pylist())


def test_tables_without_rows():
    table = open_table(PLAIN.slice(0, 0))
    assert table.rows == 0
    assert [*table.partitions()] == []
    assert table.sample().num_rows == 0
