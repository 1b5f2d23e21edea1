import gzip
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
from pyarrow import csv, feather

from gpumon.errors import InputError, SchemaError
from gpumon.tables import open_table
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
