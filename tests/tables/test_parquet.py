import pickle
from decimal import Decimal

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from gpumon.errors import InputError, SchemaError
from gpumon.tables import open_table, parquet
from gpumon.tables.columns import WORDS


def write(path, rows=10, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns or {"x": np.arange(rows)}), path)
    return path


def rows_of(table, columns=None):
    return pa.Table.from_batches(b for part in table.partitions(columns) for b in part.batches())


def test_globs_and_folders_are_read_in_the_order_of_their_paths(tmp_path):
    for name, value in [("b.parquet", 2), ("a.parquet", 1), ("deep/er/c.parquet", 3)]:
        write(tmp_path / name, x=[value])
    for name in ["_tmp/d.parquet", ".hidden.parquet", "_metadata", "notes.txt"]:
        write(tmp_path / name, x=[9])
    assert rows_of(open_table(tmp_path))["x"].to_pylist() == [1, 2, 3]
    assert rows_of(open_table(f"{tmp_path}/*.parquet"))["x"].to_pylist() == [1, 2]
    assert rows_of(open_table(tmp_path / "**" / "*.parquet"))["x"].to_pylist() == [1, 2, 3]
    assert open_table(tmp_path).name == str(tmp_path)
    assert open_table(tmp_path, name="the reference table").name == "the reference table"


def test_a_path_with_the_signs_of_a_glob_is_read_as_it_stands(tmp_path):
    assert open_table(write(tmp_path / "what[1]*?.parquet")).rows == 10


def test_a_file_without_an_ending_is_known_by_its_first_bytes(tmp_path):
    assert open_table(write(tmp_path / "part-0")).rows == 10


def test_folders_named_key_value_become_columns(tmp_path):
    for month, origin in [("01", "JFK"), ("02", "__HIVE_DEFAULT_PARTITION__"), ("12", "a%2Fb %C3%A9")]:
        write(tmp_path / f"month={month}" / f"origin={origin}" / "part.parquet", x=[float(month)])
    table = open_table(tmp_path)
    assert rows_of(table).to_pydict() == {
        "x": [1.0, 2.0, 12.0],
        "month": [1, 2, 12],
        "origin": ["JFK", None, "a/b é"],
    }
    assert rows_of(table, ["origin"]).to_pydict() == {"origin": ["JFK", None, "a/b é"]}
    assert table.schema.types == [pa.float64(), pa.int64(), WORDS]
    assert rows_of(open_table(f"{tmp_path}/month=*/*/*.parquet"), ["month"])["month"].to_pylist() == [
        1,
        2,
        12,
    ]
    assert open_table(f"{tmp_path}/month=01/origin=JFK/*.parquet").schema.names == ["x"]


def test_a_column_in_the_file_wins_over_its_folder(tmp_path):
    write(tmp_path / "year=2013" / "a.parquet", year=[1999])
    assert rows_of(open_table(tmp_path)).to_pydict() == {"year": [1999]}


def test_a_file_outside_of_the_folders_has_no_value(tmp_path):
    write(tmp_path / "a.parquet", x=[1])
    write(tmp_path / "year=2013" / "b.parquet", x=[2])
    assert rows_of(open_table(tmp_path)).to_pydict() == {"x": [1, 2], "year": [None, 2013]}


def test_folders_of_a_remote_filesystem(tmp_path):
    for year in ("2012", "2013"):
        with fsspec.open(f"memory://{tmp_path}/year={year}/a.parquet", "wb") as file:
            pq.write_table(pa.table({"x": [1]}), file)
    expected = {"x": [1, 1], "year": [2012, 2013]}
    assert rows_of(open_table(f"memory://{tmp_path}")).to_pydict() == expected
    assert rows_of(open_table(f"memory://{tmp_path}/*/*.parquet")).to_pydict() == expected


def test_every_type_of_column_comes_through(tmp_path):
    source = pa.table(
        {
            "word": ["a", None, "b"],
            "large": pa.array(["a", None, "b"], pa.large_string()),
            "category": pa.array(["a", None, "b"]).dictionary_encode(),
            "code": pa.array([1, 2, 2]).dictionary_encode(),
            "price": [Decimal("1.25"), None, Decimal("-3.50")],
            "big": [2**53 + 1, -(2**63), None],
            "unsigned": pa.array([2**64 - 1, 0, 1], pa.uint64()),
            "zero": [-0.0, float("nan"), None],
            "time": pa.array([0, 1, None], pa.timestamp("ns", "Europe/Berlin")),
            "void": pa.nulls(3),
            "Größe [€]\n<b>": [1, 2, 3],
            "a.b": [1, 2, 3],
            "a": [4, 5, 6],
        }
    )
    pq.write_table(source, tmp_path / "t.parquet")
    table = open_table(tmp_path / "t.parquet")
    read = rows_of(table).to_pydict()
    assert read.pop("price") == [1.25, None, -3.5]
    assert repr(read) == repr(source.drop(["price"]).to_pydict())
    assert rows_of(table, ["a", "word", "a.b"]).to_pydict() == {
        "a": [4, 5, 6],
        "word": ["a", None, "b"],
        "a.b": [1, 2, 3],
    }


def test_strings_come_as_dictionaries_if_they_repeat(tmp_path):
    few, many = [f"shop {i % 100}" for i in range(5_000)], [f"user {i}" for i in range(5_000)]
    columns = {"few": few, "many": many, "category": pa.array(many).dictionary_encode()}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=1_000)
    pq.write_table(pa.table(columns), tmp_path / "b.parquet", use_dictionary=False)
    table = open_table(tmp_path)
    assert table.schema.types == [WORDS, pa.string(), WORDS]
    assert rows_of(table, ["few", "many"]).to_pydict() == {"few": 2 * few, "many": 2 * many}
    assert 2 * 5_000 * 10 < table.nbytes(["many"]) < 2 * 5_000 * 20
    assert table.nbytes(["few"]) == 2 * 5_000 * 4


def test_nested_and_binary_columns_are_skipped(tmp_path):
    write(tmp_path / "t.parquet", x=[1], nested=[[1]], struct=[{"x": 1}], raw=[b"a"])
    table = open_table(tmp_path)
    assert table.schema.names == ["x"]
    assert [s.name for s in table.skipped] == ["nested", "struct", "raw"]
    assert rows_of(table).to_pydict() == {"x": [1]}


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.int64(), pa.float64(), pa.float64()),
        (pa.uint64(), pa.int8(), pa.float64()),
        (pa.float32(), pa.decimal128(5, 2), pa.float64()),
        (pa.null(), pa.int16(), pa.int16()),
        (pa.string(), pa.null(), pa.string()),
        (pa.large_string(), pa.string(), pa.large_string()),
        (pa.large_string(), pa.dictionary(pa.int8(), pa.string()), WORDS),
        (pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("us")),
    ],
    ids=str,
)
def test_numbers_of_files_are_widened_to_hold_both(first, second, both, tmp_path):
    for name, kind in (("a", first), ("b", second)):
        pq.write_table(pa.table({"x": pa.array([None], kind)}), tmp_path / f"{name}.parquet")
    table = open_table(tmp_path)
    assert table.schema.field("x").type == both
    assert rows_of(table).to_pydict() == {"x": [None, None]}


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"x": [1]}, {"x": ["1"]}, r"column 'x' is int64 in .*a.parquet, but string in .*b.parquet; write both with"),
        ({"x": [1]}, {"x": [True]}, r"column 'x' is int64 in .*a.parquet, but bool in .*b.parquet"),
        ({"x": [1]}, {"x": [[1]]}, r"column 'x' is int64 in .*a.parquet, but list<.*> in .*b.parquet"),
        ({"x": [1], "y": [1]}, {"x": [1]}, r"b.parquet has no column 'y', but .*a.parquet has it; write both with"),
        ({"x": [1]}, {"x": [1], "y": [1]}, r"a.parquet has no column 'y', but .*b.parquet has it"),
        ({"x": pa.array([1], pa.timestamp("us"))}, {"x": pa.array([1], pa.timestamp("us", "UTC"))}, r"timestamp\[us\] in .* but timestamp\[us, tz=UTC\]"),
    ],
)  # fmt: skip
def test_files_that_disagree_are_refused_with_both_names(first, second, said, tmp_path):
    write(tmp_path / "a.parquet", **first)
    write(tmp_path / "b.parquet", **second)
    with pytest.raises(SchemaError, match=said):
        open_table(tmp_path)


def test_the_order_of_columns_may_differ_between_files(tmp_path):
    write(tmp_path / "a.parquet", x=[1], y=["a"])
    write(tmp_path / "b.parquet", y=["b"], x=[2])
    assert rows_of(open_table(tmp_path)).to_pydict() == {"x": [1, 2], "y": ["a", "b"]}


def test_doubled_columns_are_refused(tmp_path):
    pq.write_table(pa.table([[1], [2]], names=["x", "x"]), tmp_path / "t.parquet")
    with pytest.raises(SchemaError, match=r"t.parquet: more than one column is called 'x'"):
        open_table(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"the file is empty \(0 bytes\); write it again"),
        (b"a,b\n1,2\n", r"this is not a Parquet file, it begins with b'a,b\\n'; check the path"),
        (
            b"PAR1" + bytes(100),
            r"the file is cut short, its 104 bytes do not end in a footer; write or copy it again",
        ),
        (b"PAR1" + bytes(100) + b"\x30\0\0\0PAR1", r"cannot be read as Parquet: .*; write or copy it again"),
    ],
)
def test_damaged_files_are_refused_with_what_is_wrong(content, said, tmp_path):
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(InputError, match=f"{tmp_path}/t.parquet: {said}"):
        open_table(tmp_path / "t.parquet")


def test_a_damaged_page_is_refused_while_it_is_read(tmp_path):
    path = write(tmp_path / "t.parquet", rows=10_000)
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"t.parquet: cannot be read as Parquet"):
        rows_of(open_table(path))


def test_a_file_that_vanished_since_it_was_opened(tmp_path):
    table = open_table(write(tmp_path / "t.parquet"))
    (tmp_path / "t.parquet").unlink()
    with pytest.raises(
        InputError, match=r"t.parquet: there is no such file; check the path, or whether it was removed"
    ):
        table.sample()


def test_a_file_without_permission(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    path = write(tmp_path / "t.parquet")
    monkeypatch.setattr(pa, "OSFile", refuse)
    with pytest.raises(InputError, match=r"t.parquet: no permission to read it; ask its owner"):
        open_table(path)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nowhere.parquet", "there is no such file"),
        ("*.parquet", r"there is no file whose name ends in .parquet, .*csv"),
        ("", r"there is no file whose name ends in .parquet"),
        ("notes.txt", r"neither a Parquet nor an Arrow file; if it is CSV, let its name end in .csv"),
    ],
)
def test_paths_that_lead_nowhere(path, said, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match=said):
        open_table(tmp_path / path)


def test_a_folder_of_mixed_formats(tmp_path):
    write(tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text("x\n1\n")
    with pytest.raises(
        InputError, match=r"mixes formats, .*a.parquet and .*b.csv for instance; name one with a glob"
    ):
        open_table(tmp_path)


def test_a_url_that_nobody_knows():
    with pytest.raises(
        InputError, match=r"^nosuch://x/y.parquet: .*nosuch.*; accepted are a local path and a URL"
    ):
        open_table("nosuch://x/y.parquet")


def test_a_remote_filesystem_that_fails_in_its_own_way(tmp_path, monkeypatch):
    class NoCredentialsError(Exception):
        pass

    def fail(*_, **__):
        raise NoCredentialsError("Unable to locate credentials")

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "isfile", fail)
    with pytest.raises(
        InputError, match="NoCredentialsError: Unable to locate credentials; check the URL and the cred"
    ):
        open_table("memory://x.parquet")


def test_small_row_groups_are_grouped_and_large_ones_are_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "PARTITION_ROWS", 100)
    for i in range(6):
        pq.write_table(pa.table({"x": np.arange(30) + 30 * i}), tmp_path / f"{i}.parquet", row_group_size=20)
    write(tmp_path / "7.parquet", rows=250)
    table = open_table(tmp_path)
    parts = table.partitions()
    assert [part.rows for part in parts] == [90, 90, 250]
    assert [part.nbytes for part in parts] == [8 * 90, 8 * 90, 8 * 250]
    assert table.nbytes() == 8 * 430
    assert [b.num_rows for b in parts[0].batches(64)] == [60, 30]
    assert rows_of(table)["x"].to_pylist() == [*range(180), *range(250)]


def test_partitions_hold_no_more_than_their_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "PARTITION_BYTES", 1_000)
    pq.write_table(
        pa.table({"x": np.zeros(400), "w": ["abcd"] * 400}), tmp_path / "t.parquet", row_group_size=50
    )
    table = open_table(tmp_path)
    assert [part.rows for part in table.partitions(["x"])] == [100] * 4
    assert [part.rows for part in table.partitions(["x", "w"])] == [50] * 8


def test_a_pickled_partition_is_small_and_reads_the_same(tmp_path):
    columns = {f"column {i}": np.arange(1000.0) for i in range(50)}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet", row_group_size=10)
    (part,) = open_table(tmp_path).partitions()
    sent = pickle.dumps(part)
    assert len(sent) < 4_000
    again = pickle.loads(sent)
    assert again == part
    assert pa.Table.from_batches(again.batches()).equals(pa.Table.from_batches(part.batches()))


def test_the_batches_of_a_row_group_are_bounded(tmp_path):
    write(tmp_path / "t.parquet", x=np.arange(10_000), w=np.arange(10_000).astype(str))
    (part,) = open_table(tmp_path).partitions()
    assert [b.num_rows for b in part.batches(4096)] == [4096, 4096, 1808]
    assert [b["w"].to_pylist() for b in part.batches(9_999)][1] == ["9999"]


def test_sampling_reads_32_of_many_row_groups_of_a_large_table(tmp_path, monkeypatch):
    monkeypatch.setattr("gpumon.tables.parquet.SMALL", 6400 * 8 - 1)
    pq.write_table(pa.table({"x": np.arange(6400)}), tmp_path / "t.parquet", row_group_size=10)
    read = []
    whole = pq.ParquetFile.iter_batches
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *a, **k: read.extend(a[2]) or whole(*a, **k))
    sample = open_table(tmp_path).sample(rows=64)
    assert sorted(read) == list(range(0, 640, 20))
    assert sample["x"].to_pylist() == sorted([*range(0, 6400, 200), *range(5, 6400, 200)])
    monkeypatch.setattr("gpumon.tables.parquet.SMALL", 6400 * 8)
    table = open_table(tmp_path)
    assert table.sample(rows=64).equals(table.load().sample(rows=64))


def test_a_file_without_rows(tmp_path):
    table = open_table(write(tmp_path / "t.parquet", rows=0))
    assert table.rows == 0
    assert table.nbytes() == 0
    assert table.sample().num_rows == table.load().rows == 0
    assert [b for part in table.partitions() for b in part.batches()] == []


def test_a_dataset_agrees_with_the_folder_it_is_made_of(tmp_path):
    source = pa.table({"x": np.arange(100), "k": np.arange(100) % 3})
    ds.write_dataset(source, tmp_path, format="parquet", partitioning=["k"], partitioning_flavor="hive")
    ours, theirs = rows_of(open_table(tmp_path)), ds.dataset(tmp_path, partitioning="hive").to_table()
    assert ours["x"].to_pylist() == theirs["x"].to_pylist()
    assert ours["k"].to_pylist() == theirs["k"].to_pylist()


def test_a_folder_without_permission(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("gpumon.tables.paths.os.scandir", refuse)
    with pytest.raises(InputError, match="no permission to read it; ask its owner"):
        open_table(tmp_path)


def test_a_link_to_a_file_is_a_file_and_one_to_nowhere_or_to_a_folder_is_passed_over(tmp_path):
    write(tmp_path / "real" / "t.parquet", rows=10)
    folder = tmp_path / "links"
    folder.mkdir()
    (folder / "a.parquet").symlink_to(tmp_path / "real" / "t.parquet")
    (folder / "b.parquet").symlink_to(tmp_path / "gone.parquet")
    (folder / "c").symlink_to(folder, target_is_directory=True)  # without end, if it were followed
    assert [path.rsplit("/", 1)[1] for path in (file.path for file in open_table(folder).files)] == [
        "a.parquet"
    ]
    assert open_table(folder).rows == 10


def test_the_home_of_the_user_may_be_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "t.parquet")
    assert rows_of(open_table("~/t.parquet")).num_rows == 10
