"""What cannot be used is refused at the door: one line with the file, the column and the mend, and exit code 3."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gpumon
from gpumon import cli
from gpumon.errors import GpumonError, InputError, MergeError, OptionError, SchemaError

N = 400
rng = np.random.default_rng(0)
X = rng.normal(size=N)
TIMES = np.datetime64("2026-01-01T00:00:00") + np.arange(N).astype("timedelta64[h]")


def rows(**columns: object) -> pa.Table:
    whole = {"x": X, "word": np.array(["a", "b"] * (N // 2)), "t": TIMES, **columns}
    return pa.table({name: column for name, column in whole.items() if column is not None})


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    for name, table in {
        "good": rows(),
        "far": rows(x=X + 1),
        "empty": rows().slice(0, 0),
        "other": pa.table({"z": X}),
        "words": rows(x=pa.array([str(x) for x in X])),
        "nested": rows(tags=pa.array([[1]] * N)),
        "nested_only": pa.table({"tags": [[1]] * 3}),
        "narrow": rows(word=None),
        "wide": rows(extra=X),
    }.items():
        pq.write_table(table, folder / f"{name}.parquet")
    whole = (folder / "good.parquet").read_bytes()
    (folder / "zero.parquet").touch()
    (folder / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (folder / "noise.parquet").write_bytes(rng.bytes(5000))
    (folder / "spoilt.parquet").write_bytes(whole[:8] + bytes(800) + whole[808:])
    (folder / "text.txt").write_text("hello")
    (folder / "zero.csv").touch()
    (folder / "drift.csv").write_text("x\n" + "1\n" * 2_200_000 + "one\n")
    (folder / "cut.csv.gz").write_bytes(gzip.compress(b"x\n" + rng.bytes(9000).hex().encode())[:2000])
    (folder / "cut.arrow").write_bytes(b"ARROW1\0\0" + bytes(50))
    (folder / "folder").mkdir()
    doubled = pa.table([X, X], ["x", "x"])
    pq.write_table(doubled, folder / "doubled.parquet")
    gpumon.profile(rows()).save(folder / "good.gpumon")
    gpumon.profile(rows(x=X * 3)).save(folder / "other.gpumon")
    saved = (folder / "good.gpumon").read_bytes()
    (folder / "cut.gpumon").write_bytes(saved[:500])
    (folder / "damaged.gpumon").write_bytes(saved[:500] + b"\0" + saved[501:])
    (folder / "fake.gpumon").write_text("a profile, honestly")
    return folder


@pytest.fixture
def run(tables, monkeypatch, capsys):
    """The command line, run in the folder of the tables: (exit code, output, errors)."""
    monkeypatch.chdir(tables)

    def invoke(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gpumon", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return invoke


WINDOWS = ("--timestamp", "t", "--every", "1d")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        # files
        ("good none.parquet", ["none.parquet", "no such file", "check the path"]),
        ("none.parquet good", ["none.parquet", "no such file"]),
        ("good zero.parquet", ["zero.parquet", "empty (0 bytes)", "write it again"]),
        ("good cut.parquet", ["cut.parquet", "cut short", "write or copy it again"]),
        ("good noise.parquet", ["noise.parquet", "not a Parquet file", "check the path"]),
        ("good spoilt.parquet", ["spoilt.parquet", "cannot be read as Parquet", "again"]),
        ("good text.txt", ["text.txt", "neither a Parquet nor an Arrow file"]),
        ("good folder", ["folder", "there is no file whose name ends in .parquet", "check the path"]),
        ("good nothing*.parquet", ["nothing*.parquet", "check the path"]),
        ("good zero.csv", ["zero.csv", "has no header", "write the names"]),
        ("good cut.csv.gz", ["cut.csv.gz", "again"]),
        ("good cut.arrow", ["cut.arrow", "again"]),
        ("drift.csv drift.csv", ["drift.csv", "column 'x'", "begins as int64", "line 2200002", "one type throughout"]),
        ("good nowhere://a.parquet", ["nowhere", "accepted are"]),
        # rows and columns
        ("empty good", ["empty.parquet has no rows", "nothing to compare with", "check"]),
        ("empty empty", ["empty.parquet has no rows"]),
        ("good other", ["other.parquet has no column in common", "'z'", "check that both"]),
        ("good words", ["words.parquet", "column 'x'", "holds strings", "convert it to double"]),
        ("words good", ["good.parquet", "column 'x'", "holds numbers", "convert it to string"]),
        ("doubled good", ["doubled.parquet", "called 'x'", "rename or drop"]),
        ("good doubled", ["doubled.parquet", "called 'x'", "rename or drop"]),
        ("nested_only good", ["nested_only.parquet has no column that can be profiled", "give it columns"]),
        ("nested good --columns tags", ["nested.parquet", "'tags'", "its type is list", "leave it out"]),
        ("nested nested --by tags", ["nested.parquet", "'tags'", "its type is list"]),
        ("good good --columns x,zz", ["good.parquet has no column 'zz'", "'word'"]),
        ("good good --columns wrd", ["good.parquet has no column 'wrd'", "did you mean 'word'?"]),
        ("good good --columns ,", ["no column that can be profiled", "name others"]),
        ("good good --by zz", ["good.parquet has no column 'zz'"]),
        ("good narrow --by word", ["narrow.parquet has no column 'word'"]),
        ("good good --timestamp zz --every 1d", ["good.parquet has no column 'zz'"]),
        ("good good --timestamp x --every 1d", ["column 'x'", "holds double", "convert it to timestamps"]),
        ("good good --timestamp t", ["timestamp and every go together"]),
        ("good good --every 1d", ["timestamp and every go together"]),
        ("good good --timestamp t --every 1fortnight", ["'1fortnight' is no length of time", "such as 15min"]),
        ("good good --timestamp t --every 0d", ["'0d' is no length of time"]),
        ("good good --role nonsense=x", ["there is no role 'nonsense'", "target"]),
        ("good good --role target=zz", ["good.parquet has no column 'zz'"]),
        ("good good --role target", ["is no ROLE=COLUMN", "target=y"]),
        ("good good --role target=x --role id=x", ["column 'x' is given two roles", "give it one"]),
        ("good good --role ignore=x,word,t", ["no column that can be profiled"]),
        ("good good --metrics pzi", ["there is no metric 'pzi'", "did you mean 'psi'"]),
        ("good good --budget 0", ["budget 0.0 must be between 0 and 1"]),
        ("good good --budget nan", ["budget nan must be between 0 and 1"]),
        ("good good --budget cheap", ["'cheap' is not a valid float"]),
        ("good good --thresholds strict", ["thresholds 'strict' are unknown", "conventional"]),
        ("good good --backend abacus", ["backend 'abacus' is unknown", "plain"]),
        ("good good --engine abacus", ["engine 'abacus' is unknown", "local"]),
        # profiles
        ("none.gpumon good", ["none.gpumon cannot be read", "check the path"]),
        ("good cut.gpumon", ["cut.gpumon is not a gpumon profile, or its end is missing"]),
        ("damaged.gpumon good", ["damaged.gpumon is damaged", "write it again with gpumon profile"]),
        ("fake.gpumon good", ["fake.gpumon is not a gpumon profile"]),
        ("good.gpumon other.gpumon", ["other.gpumon was counted on another plan", "gpumon profile --like"]),
        ("far good.gpumon", ["good.gpumon was counted on another plan", "gpumon profile --like"]),
        ("good.gpumon other", ["other.parquet has no column in common"]),
        ("good.gpumon words", ["words.parquet", "column 'x'", "holds strings"]),
        ("good.gpumon good --columns zz", ["good.gpumon has no column 'zz'"]),
        ("good.gpumon good --role target=zz", ["good.gpumon has no column 'zz'"]),
        ("good.gpumon good --role target=x", ["good.gpumon", "'x'", "the role 'feature', not 'target'", "again"]),
        ("good.gpumon good --role ignore=x,word,t", ["good.gpumon has no column left"]),
        ("good.gpumon good --exact", ["good.gpumon does not hold the values", "again with exact"]),
        ("good.gpumon good.gpumon --by word", ["good.gpumon was counted without segments", "with by"]),
        ("good.gpumon good.gpumon --timestamp t --every 1d", ["good.gpumon was counted without windows"]),
        # files to write
        ("good far --html none/r.html", ["no folder 'none'", "make it first"]),
        ("good far --json r.html", ["'r.html' must end in .json"]),
        ("good far --parquet far.parquet", ["far.parquet is a table to read", "choose another name"]),
        ("good far --parquet folder/../good.parquet", ["a table to read"]),
        ("good far --html folder", ["folder"]),
    ],
)  # fmt: skip
def test_a_scan_that_cannot_be_is_refused_in_one_line(run, tables, arguments, told):
    before = sorted(tables.rglob("*"))
    arguments = [f"{a}.parquet" if (Path(tables) / f"{a}.parquet").exists() else a for a in arguments.split()]
    code, out, err = run("scan", *arguments)
    assert code == 3
    assert out == ""
    assert err.startswith("gpumon: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert [part for part in told if part not in err] == [], err
    assert sorted(tables.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("profile good.parquet", ["Missing option '-o'"]),
        ("profile good.parquet -o p.txt", ["'p.txt' must end in .gpumon"]),
        ("profile good.parquet -o none/p.gpumon", ["no folder 'none'"]),
        ("profile good.gpumon -o good.gpumon", ["a table to read"]),
        ("profile good.parquet -o p.gpumon --like none.gpumon", ["none.gpumon cannot be read"]),
        (
            "profile words.parquet -o p.gpumon --like good.gpumon",
            ["words.parquet", "column 'x'", "holds strings"],
        ),
        ("show none.gpumon", ["none.gpumon cannot be read", "check the path"]),
        ("show good.parquet", ["good.parquet is not a gpumon profile"]),
        ("show none.json", ["none.json cannot be read"]),
        ("metrics nothing", ["there is no metric 'nothing'"]),
        ("scan", ["Missing argument 'REFERENCE'"]),
        ("scan a b --nonsense", ["No such option", "--nonsense"]),
        ("nonsense", ["No such command 'nonsense'"]),
    ],
)
def test_other_commands_refuse_in_one_line_too(run, tables, arguments, told):
    code, out, err = run(*arguments.split())
    assert (code, out) == (3, "")
    assert err.startswith("gpumon: ")
    assert err.count("\n") == 1
    assert [part for part in told if part not in err] == [], err
    assert not (tables / "p.gpumon").exists()


def test_without_a_command_the_help_is_printed_line_by_line_and_a_scheduler_hears_of_it(run):
    code, out, err = run()
    assert (code, err) == (3, "")
    assert out.startswith("Usage: gpumon")
    assert out.count("\n") > 10


def test_without_rows_there_is_no_data_and_the_report_is_written(run, tmp_path):
    code, out, err = run("scan", "good.parquet", "empty.parquet", "--json", tmp_path / "r.json")
    assert (code, err) == (3, "")
    assert "The current table has no rows." in out
    assert "empty.parquet has no rows" in out
    assert (tmp_path / "r.json").exists()


def test_columns_of_one_side_are_noted_and_have_no_data(run):
    _, out, err = run("scan", "good.parquet", "narrow.parquet")
    assert err == ""
    assert "note: narrow.parquet lacks column 'word', which the reference has" in out
    code, out, err = run("scan", "good.parquet", "wide.parquet")
    assert (code, err) == (0, "")
    assert "note: wide.parquet has column 'extra', which the reference lacks" in out
    report = gpumon.scan(rows(word=None), rows())
    assert {row.status for row in report.results.where(column="word")} == {"no_data"}
    assert report.columns["word"] == "no_data"
    assert report.columns["x"] == "ok"


def test_columns_that_cannot_be_counted_are_skipped_and_named(run):
    code, out, _ = run("scan", "nested.parquet", "nested.parquet")
    assert code == 0
    assert "note: nested.parquet: column 'tags' was left out (its type is list<" in out
    odd = pa.table(
        {
            "x": X[:2],
            "b": [b"\0", b"\1"],
            "s": [{"a": 1}] * 2,
            "m": pa.array([[("k", 1)]] * 2, pa.map_("string", "int8")),
        }
    )
    report = gpumon.scan(odd, odd)
    assert list(report.columns) == ["x"]
    assert sum("was left out" in note for note in report.notes) == 6


def test_a_table_is_compared_with_itself(run):
    for one, other in [
        ("good.parquet", "good.parquet"),
        ("good.gpumon", "good.parquet"),
        ("good.gpumon", "good.gpumon"),
    ]:
        code, out, err = run("scan", one, other)
        assert (code, err) == (0, "")
        assert "None of 3 columns drifted." in out


def test_a_profile_stands_in_for_a_table_with_fewer_columns_and_metrics_too():
    saved = gpumon.profile(rows())
    report = gpumon.scan(rows(), saved, columns=["x"])
    assert list(report.columns) == ["x"]
    assert set(gpumon.scan(rows(), saved, roles={"ignore": ["x", "absent"]}).columns) == {"word", "t"}
    assert set(gpumon.scan(saved, rows(), metrics=["psi"]).columns) == set(saved.columns)
    exact = gpumon.profile(rows(), exact=True)
    assert gpumon.scan(rows(), exact, exact=True).status == "ok"
    assert gpumon.scan(saved, gpumon.profile(rows(), exact=True)).status == "ok"
    report = gpumon.scan(gpumon.profile(rows(), like=saved, columns=["x"]), saved)
    assert report.columns["x"] == "ok"
    one = gpumon.profile({"x": X}, like=saved)
    assert gpumon.scan(one, saved).columns["x"] == "ok"
    with pytest.raises(InputError, match="no column in common"):
        gpumon.scan(gpumon.profile({"z": X}), saved)
    with pytest.raises(MergeError, match="the current profile was counted on another plan"):
        gpumon.scan(gpumon.profile(rows(x=X + 1)), saved)


@pytest.mark.parametrize(
    ("options", "kind", "told"),
    [
        ({"columns": 3}, OptionError, "columns must be the name of a column or a list of names, not 3"),
        ({"columns": ["x", 3]}, OptionError, "not 3"),
        ({"by": [None]}, OptionError, "by must be the name of a column"),
        ({"by": {"word": 1}, "columns": "zz"}, SchemaError, "no column 'zz'"),
        ({"roles": ["x"]}, OptionError, "roles must be a mapping"),
        ({"roles": {"target": 3}}, OptionError, "the role 'target' must be the name of a column"),
        ({"roles": {"target": None}}, OptionError, "the role 'target' must be the name of a column"),
        ({"timestamp": "t", "every": 5}, OptionError, "such as 'time' and '1d', not 5"),
        ({"timestamp": 5, "every": "1d"}, OptionError, "not 5"),
        ({"thresholds": 3}, OptionError, "thresholds must be a name or a mapping"),
        ({"thresholds": {"nonsense": 1}}, OptionError, "nonsense"),
        ({"thresholds": {"psi": "much"}}, OptionError, "'much'"),
        ({"thresholds": {"psi": (1, 2, 3)}}, OptionError, "a pair"),
        ({"budget": 1.0}, OptionError, "between 0 and 1"),
        ({"columns": []}, SchemaError, "no column that can be profiled"),
    ],
)
def test_arguments_of_the_wrong_type_are_refused_by_name(options, kind, told):
    with pytest.raises(kind) as caught:
        gpumon.scan(rows(), rows(), **options)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_like_is_a_profile_and_not_its_path(tables):
    with pytest.raises(OptionError, match=r"gpumon\.Profile\.load"):
        gpumon.profile(rows(), like=str(tables / "good.gpumon"))


@pytest.mark.parametrize(
    "source", [None, 3, X, "", b"x", ["x"], object()], ids=lambda source: f"{source!r:.7}"
)
def test_what_is_no_table_is_an_error_of_gpumon(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GpumonError):
        gpumon.scan(source, rows())


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ([1, "one"], "column 'a' mixes int and str; convert it to one type"),
        ([1, [2]], "column 'a' mixes int and list"),
        ([2**70, 1], "column 'a' holds integers beyond 64 bits; convert it to float"),
        (["a", "\ud800"], "column 'a' cannot be used"),
        ("abc", "column 'a' is a single str"),
        (3, "column 'a' is a single int"),
    ],
    ids=["mixed", "nested", "beyond 64 bits", "half a character", "text", "number"],
)
def test_columns_of_objects_are_looked_at_closely(column, told):
    with pytest.raises(SchemaError) as caught:
        gpumon.scan({"a": column}, {"a": [1, 2]})
    assert told in str(caught.value)
    if isinstance(column, list):
        with pytest.raises(SchemaError, match="column 'a'"):
            gpumon.scan(pd.DataFrame({"a": pd.Series(column, dtype=object)}), {"a": [1, 2]})


def test_columns_of_different_lengths_are_told_with_their_lengths():
    with pytest.raises(InputError, match="'a' 2, 'b' 3"):
        gpumon.profile({"a": [1, 2], "b": [1, 2, 3]})


def test_integers_beyond_2_to_the_53_are_noted():
    large = {"a": np.array([2**60 + i for i in range(N)]), "b": np.arange(N)}
    report = gpumon.scan(large, large)
    assert report.status == "ok"
    assert sum("column 'a' holds integers beyond 2^53" in note for note in report.notes) == 2
    assert not any("'b'" in note for note in report.notes)
    beyond = {"a": np.array([2**64 - 1, 0] * 9, np.uint64)}
    assert gpumon.profile(beyond).state("a").extremes.tolist() == [0, 2.0**64]


def test_decimals_are_numbers_and_times_have_zones():
    prices = pa.array([Decimal("1.5"), Decimal("2.25"), None], pa.decimal128(9, 2))
    assert gpumon.profile(pa.table({"p": prices})).state("p").moments[1] == 1.875
    instants = pa.array([0, 10**9], pa.timestamp("s", "UTC"))
    spans = [
        gpumon.profile(pa.table({"t": instants.cast(pa.timestamp(unit, zone))})).state("t").span.tolist()
        for unit, zone in [
            ("s", "UTC"),
            ("ms", "Asia/Tokyo"),
            ("ns", "Europe/Berlin"),
            ("us", "America/New_York"),
        ]
    ]
    assert all(span == [0, 10**15] for span in spans)


def test_times_too_far_off_stop_at_the_last_that_can_be_told():
    for kind, ticks in [
        (pa.timestamp("s"), 2**63 - 1),
        (pa.timestamp("ms"), 2**63 - 1),
        (pa.date32(), 2**31 - 1),
    ]:
        whole = pa.int32() if pa.types.is_date(kind) else pa.int64()
        first, last = (
            gpumon.profile({"t": pa.array([-ticks, ticks], whole).cast(kind)}).state("t").span.tolist()
        )
        assert -(2**63) <= first < -(2**62)
        assert 2**62 < last < 2**63


@pytest.mark.parametrize(
    "then",
    [["u", "v"] * 9, [1.5, 2] * 9, [True, False] * 9, [pd.Timestamp("2026-01-01")] * 18, [None] * 18],
    ids=str,
)
@pytest.mark.parametrize("side", ["reference", "current"])
def test_a_column_that_is_all_null_fits_any_kind(then, side):
    one, other = ({"a": [None] * 18, "k": [1, 2] * 9}, {"a": then, "k": [1, 2] * 9})
    report = gpumon.scan(one, other) if side == "current" else gpumon.scan(other, one)
    assert set(report.columns) == {"a", "k"}
    assert report.columns["k"] == "ok"
    (missing,) = report.results.where(column="a", metric="missing_rate")
    assert missing.value == (1.0 if side == "current" else float(then[0] is None))


@pytest.mark.parametrize(
    "value", [0.0, -0.0, np.nan, np.inf, -np.inf, 1e308, 5e-324, True, "same", ""], ids=repr
)
def test_a_constant_column_is_fine(value):
    report = gpumon.scan({"a": np.full(300, value)}, {"a": np.full(200, value)})
    assert report.columns == {"a": "ok"}
    assert set(report.results["status"]) <= {"ok", "no_data"}


def test_negative_zero_is_zero_and_infinities_are_counted_apart():
    state = gpumon.profile({"a": np.array([-0.0, 0.0, np.inf, -np.inf, np.nan])}).state("a")
    assert state.moments[0] == 2
    assert state.counts[0] == 1
    assert state.counts[-3:].tolist() == [1, 1, 0]
    assert gpumon.profile({"a": np.array([-0.0])}) == gpumon.profile({"a": np.array([0.0])})


@pytest.mark.parametrize(
    "table",
    [{"id": np.arange(50)}, {"t": TIMES}, {"x": [1.0]}, {"word": ["a"]}, {"flag": [True]}, {"x": [None]}, {"t": TIMES[:1]}],
    ids=lambda table: f"{next(iter(table))} {len(next(iter(table.values())))}",
)  # fmt: skip
def test_a_table_of_one_row_or_with_nothing_but_an_id_or_times_is_fine(table):
    report = gpumon.scan(table, table)
    assert report.status in {"ok", "no_data"}
    assert len(report.columns) == 1


def test_columns_and_segments_named_twice_count_once():
    report = gpumon.scan(rows(), rows(), columns=["x", "x"], by=["word", "word"])
    assert list(report.columns) == ["x"]
    assert report.current.segments == ["word=a", "word=b"]


def process(*arguments: object, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gpumon", *map(str, arguments)],
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


def test_a_reader_that_has_seen_enough_costs_neither_files_nor_verdict(tables, tmp_path):
    page = tmp_path / "r.html"
    with process("scan", tables / "good.parquet", tables / "far.parquet", "--html", page) as scan:
        scan.stdout.close()
        _, err = scan.communicate()
    assert scan.returncode == 2
    assert err == ""
    assert page.stat().st_size > 10_000


def test_an_output_that_is_full_costs_no_files_and_is_told(tables, tmp_path):
    page = tmp_path / "r.html"
    with Path("/dev/full").open("w") as full, process(
        "scan", tables / "good.parquet", tables / "far.parquet", "--html", page, stdout=full
    ) as scan:  # fmt: skip
        _, err = scan.communicate()
    assert scan.returncode == 3
    assert err == "gpumon: the standard output cannot be written (No space left on device): free some space\n"
    assert page.exists()


def test_without_any_output_the_exit_code_still_tells(tables):
    scan = process(
        "scan", tables / "good.parquet", tables / "far.parquet", stdout=None, stderr=None,
        preexec_fn=lambda: (os.close(1), os.close(2)),
    )  # fmt: skip
    assert scan.wait() == 2


def test_a_full_disk_costs_neither_the_other_files_nor_the_report(run, tmp_path, monkeypatch):
    def fails(path: object, content: bytes) -> None:
        if str(path).endswith(".html"):
            raise InputError(f"{path} cannot be written (No space left on device): free some space")
        Path(path).write_bytes(content)

    monkeypatch.setattr("gpumon.profiles.files.write", fails)
    files = [part for kind in ("html", "json", "csv") for part in (f"--{kind}", tmp_path / f"r.{kind}")]
    code, out, err = run("scan", "good.parquet", "far.parquet", *files)
    assert code == 3
    assert "1 of 3 columns drifted" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.csv", "r.json"]
    assert out.count("wrote") == 2
    assert "r.html cannot be written" in err
    assert err.count("\n") == 1


def test_a_failure_in_one_view_costs_no_other(run, tmp_path, monkeypatch):
    def fails(_: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("gpumon.reports.views.page", fails)
    code, out, err = run(
        "scan", "good.parquet", "far.parquet", "--html", tmp_path / "r.html", "--csv", tmp_path / "r.csv"
    )
    assert code == 3
    assert "1 of 3 columns drifted" in out
    assert (tmp_path / "r.csv").exists()
    assert err == "gpumon: unexpected ZeroDivisionError: a fault (run again with --verbose for the details)\n"


def test_an_interrupted_scan_says_so_and_leaves_nothing(tables, tmp_path):
    code = """
import signal, time
from gpumon import cli
from gpumon.engines import local

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started without

def slow(*_, **__):
    print("counting", flush=True)
    time.sleep(60)

local.run = slow
cli.main()
"""
    arguments = [sys.executable, "-c", code, "scan", tables / "good.parquet", tables / "far.parquet"]
    with subprocess.Popen(
        [*arguments, "--json", tmp_path / "r.json"], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as scan:
        assert scan.stdout.readline() == "counting\n"
        scan.send_signal(signal.SIGINT)
        out, err = scan.communicate(timeout=20)
    assert (scan.returncode, out, err.strip()) == (3, "", "gpumon: interrupted")
    assert not list(tmp_path.iterdir())


def test_a_file_without_permission_is_named(tables):
    code = """
import os, sys, gpumon
gpumon.scan(sys.argv[1], sys.argv[1])  # all that is needed is imported
if os.getuid() == 0:
    os.setuid(65534)
try:
    gpumon.scan(sys.argv[1], sys.argv[2])
except gpumon.InputError as error:
    print(error)
"""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "secret.parquet"
        path.write_bytes((tables / "good.parquet").read_bytes())
        open_one = path.with_name("open.parquet")
        open_one.write_bytes(path.read_bytes())
        open_one.chmod(0o644)
        path.chmod(0)
        ended = subprocess.run(
            [sys.executable, "-c", code, open_one, path], check=False, capture_output=True, text=True
        )
    assert f"{path}: no permission to read it; ask its owner" in ended.stdout, ended.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": 3}, "metrics must be names, ids or records, not 3"),
        ({"metrics": [3]}, "there is no metric 3"),
        ({"metrics": []}, "no metric is asked for"),
        ({"budget": "x"}, "must be between 0 and 1"),
        ({"thresholds": {"psi": float("nan")}}, "give a number or a pair"),
        ({"thresholds": {"psi": (0.5, 0.1)}}, "warn not above alert"),
    ],
)
def test_metrics_and_limits_of_the_wrong_kind_are_refused(options, message):
    rows = {"x": [1.0, 2.0, 3.0]}
    with pytest.raises(gpumon.OptionError, match=message):
        gpumon.scan(rows, rows, **options)


def test_an_empty_path_does_not_mean_the_current_folder():
    with pytest.raises(gpumon.InputError, match="the path of a table is empty"):
        gpumon.profile("")
