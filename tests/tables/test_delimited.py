import bz2
import gzip
import pickle

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from gpumon.errors import InputError, SchemaError
from gpumon.tables import delimited, open_table

TEXT = "n,x,word,flag,day,time\n1,0.5,JFK,true,2013-06-01,2013-06-01T05:00:00Z\n2,,NA,,,\n3,nan,é,false,2013-06-02,2013-06-01T06:00:00Z\n"


def write(path, text=TEXT, opener=open):
    with opener(path, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    return path


def rows_of(table, columns=None):
    return pa.Table.from_batches(b for part in table.partitions(columns) for b in part.batches())


@pytest.mark.parametrize(
    ("name", "opener"), [("t.csv", open), ("t.csv.gz", gzip.open), ("T.CSV.BZ2", bz2.open)]
)
def test_a_csv_file_plain_or_compressed(name, opener, tmp_path):
    table = open_table(write(tmp_path / name, opener=opener))
    assert [str(t) for t in table.schema.types] == [
        "int64",
        "double",
        "string",
        "bool",
        "date32[day]",
        "timestamp[s, tz=UTC]",
    ]
    rows = rows_of(table).to_pydict()
    assert rows["n"] == [1, 2, 3]
    assert rows["x"] == [0.5, None, None]
    assert rows["word"] == ["JFK", None, "é"]
    assert rows["flag"] == [True, None, False]
    assert str(rows["time"][0]) == "2013-06-01 05:00:00+00:00"
    assert table.rows is None
    assert rows_of(table, ["word", "n"]).column_names == ["word", "n"]
    assert rows_of(table.load(["x"])).to_pydict() == {"x": [0.5, None, None]}
    assert table.nbytes() > 0


def test_a_csv_file_by_url(tmp_path):
    with fsspec.open(f"memory://{tmp_path}/t.csv", "wt") as file:
        file.write(TEXT)
    assert rows_of(open_table(f"memory://{tmp_path}/t.csv"), ["n"])["n"].to_pylist() == [1, 2, 3]


def test_several_files_are_partitions_that_can_be_pickled(tmp_path):
    write(tmp_path / "b.csv", "x,y\n3,c\n")
    write(tmp_path / "a.csv", "y,x\n,1\nb,2\n")
    parts = open_table(tmp_path).partitions(["x", "y"])
    assert [b.to_pydict() for p in parts for b in pickle.loads(pickle.dumps(p)).batches()] == [
        {"x": [1, 2], "y": [None, "b"]},
        {"x": [3], "y": ["c"]},
    ]


def test_batches_are_bounded_and_samples_evenly_spaced(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK", 1000)
    csv.write_csv(pa.table({"n": np.arange(10_000)}), tmp_path / "t.csv")
    table = open_table(tmp_path / "t.csv")
    (part,) = table.partitions()
    sizes = [b.num_rows for b in part.batches(1_500)]
    assert max(sizes) <= 1_500
    assert sum(sizes) == 10_000
    gaps = np.diff(table.sample(rows=100)["n"].to_numpy())
    assert len(gaps) == 99
    assert set(gaps) <= {64, 128}  # the 157 rows of every 64th, thinned to 100
    assert table.sample(rows=8_000)["n"].to_pylist() == [i * 10_000 // 8_000 for i in range(8_000)]


def test_a_column_that_is_empty_at_first_holds_strings(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK", 30)
    table = open_table(write(tmp_path / "t.csv", "x,y\n" + "1,\n" * 30 + "2,late\n"))
    assert rows_of(table)["y"].to_pylist() == [None] * 30 + ["late"]


@pytest.mark.parametrize("threads", [False, True])
@pytest.mark.parametrize(
    ("last", "said"),
    [
        (
            "a,1",
            r"column 'n' begins as int64, but line 42 does not fit, invalid value 'a'; give the column one type",
        ),
        ("1.5,1", r"column 'n' begins as int64, but line 42 does not fit, invalid value '1.5'"),
        ("1,\xff", r"column 'w' begins as string, but line 42 does not fit, invalid UTF8 data"),
        ("1,2,3", r"cannot be read as CSV: .*Row #42: Expected 2 columns, got 3: 1,2,3; mend that line"),
    ],
)
def test_a_line_that_does_not_fit_is_named(last, said, threads, tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK", 40)
    path = write(tmp_path / "t.csv", b"n,w\n" + b"1,x\n" * 40 + last.encode("latin-1") + b"\n")
    (part,) = open_table(path).partitions(["w", "n"], threads=threads)
    with pytest.raises(InputError, match=rf"t.csv: {said}"):
        list(part.batches())


@pytest.mark.parametrize(
    ("text", "said"),
    [("", r"the file has no header; write the names"), (b"\0\1\2", r"the file has no header|cannot be read as CSV"), ("a,b,a\n1,2,3\n", r"more than one column is called 'a'")],
)  # fmt: skip
def test_files_that_are_no_table(text, said, tmp_path):
    with pytest.raises(InputError, match=rf"t.csv: {said}"):
        open_table(write(tmp_path / "t.csv", text))


def test_a_damaged_compressed_file(tmp_path):
    path = write(tmp_path / "t.csv.gz", "x\n" + "1\n" * 1000, gzip.open)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError, match=r"t.csv.gz: cannot be read as CSV"):
        rows_of(open_table(path))


def test_files_with_other_columns_are_refused(tmp_path):
    write(tmp_path / "a.csv", "x,y\n1,2\n")
    write(tmp_path / "b.csv", "x,z\n1,2\n")
    with pytest.raises(SchemaError, match=r"b.csv has no column 'y', but .*a.csv has it"):
        open_table(tmp_path)


def test_a_header_without_rows(tmp_path):
    table = open_table(write(tmp_path / "t.csv", "x,y\n"))
    assert table.schema.names == ["x", "y"]
    assert table.sample().num_rows == table.load().rows == 0
