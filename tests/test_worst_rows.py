"""The rows of largest error, by their ids, for whoever labels them again."""

from __future__ import annotations

import csv
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import gpumon
from gpumon import cli
from gpumon.errors import MergeError, OptionError, ProfileError
from gpumon.profiles.worst_rows import WorstRows, largest


def quantities(n, seed, **more):
    r = np.random.default_rng(seed)
    p = r.normal(10, 3, n)
    y = np.round(p - r.standard_t(3, n), 1)  # rounded with p: many errors are equal
    table = {"id": np.array([f"row {i:05}" for i in range(n)]), "y": y, "p": np.round(p, 1)}
    return table | {name: make(n) for name, make in more.items()}


def kept(current, reference=None, most=7, **options):
    given = {"target": "y", "prediction": "p", "worst_rows": most, "metrics": ["mae"]} | options
    return gpumon.evaluate(current, reference, **given)


def expected(ids, errors, most):
    """What a plain sort gives: the largest, of equal ones the first by their text."""
    rows = [(-e, i) for e, i in zip(errors.tolist(), map(str, ids), strict=True) if e == e]
    return [(i, -e) for e, i in sorted(rows)[:most]]


def told(table, name="id"):
    return list(zip(table[name].to_pylist(), table["error"].to_pylist(), strict=True))


@pytest.mark.parametrize("most", [1, 7, 100, 5000])
def test_the_rows_are_those_of_a_sort(most):
    table = quantities(3000, 0)
    found = kept(table, most=most).worst_rows()
    assert told(found) == expected(table["id"], np.abs(table["p"] - table["y"]), most)
    assert found.column_names == ["id", "error", "window", "segment"]


def test_of_classes_the_error_is_what_the_true_class_lacks():
    r = np.random.default_rng(0)
    p = r.random(2000)
    table = {"id": np.arange(2000), "y": np.where(r.random(2000) < p, "yes", "no"), "p": p}
    options = {"score": "p", "positive": "yes", "prediction": None, "metrics": ["auc"]}
    found = told(kept(table, **options).worst_rows())
    assert found == expected(table["id"], np.where(table["y"] == "yes", 1 - p, p), 7)
    q = r.dirichlet((1, 1, 1), 2000)
    names = np.array(["a", "b", "c"])
    y = r.integers(0, 3, 2000)
    many = {"id": table["id"], "y": names[y]} | {f"p_{c}": q[:, i] for i, c in enumerate(names)}
    options = {"score": "p_", "prediction": None, "metrics": ["accuracy"]}
    assert told(kept(many, **options).worst_rows()) == expected(table["id"], 1 - q[np.arange(2000), y], 7)


def test_without_label_or_prediction_there_is_no_error():
    table = quantities(500, 1)
    table["y"][::2], table["p"][::3] = np.nan, np.inf
    found = kept(table, most=500).worst_rows()
    there = np.isfinite(table["y"]) & np.isfinite(table["p"])
    assert found.num_rows == there.sum()
    assert set(found["id"].to_pylist()) == set(table["id"][there])
    scored = {"id": np.arange(6), "y": [1, 0, None, 1, 1, 0], "p": [0.9, 0.2, 0.5, None, 1.5, 0.7]}
    options = {"score": "p", "prediction": None, "metrics": ["auc"]}
    found = told(kept(scored, **options).worst_rows())
    assert found == [("5", 0.7), ("1", 0.2), ("0", pytest.approx(0.1))]


def test_windows_and_segments_have_their_own_and_say_so():
    days = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "datetime64[D]")
    table = quantities(
        3000, 2, t=lambda n: days[np.arange(n) % 3], g=lambda n: np.array(["x", "z"])[np.arange(n) // 3 % 2]
    )
    report = kept(table, timestamp="t", every="1d", by="g")
    error = np.abs(table["p"] - table["y"])
    assert told(report.worst_rows()) == expected(table["id"], error, 7)
    for day in days:
        for g in "xz":
            mine = (table["t"] == day) & (table["g"] == g)
            found = report.worst_rows(window=str(day), segment=f"g={g}")
            assert told(found) == expected(table["id"][mine], error[mine], 7)
            assert set(found["window"].to_pylist()) == {str(day)}
            assert set(found["segment"].to_pylist()) == {f"g={g}"}
        assert told(report.worst_rows(window=str(day))) == expected(
            table["id"][table["t"] == day], error[table["t"] == day], 7
        )
    with pytest.raises(OptionError, match="no window 'x'"):
        report.worst_rows(window="x")


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 700), max_size=5),
    st.sampled_from([1, 5, 60]),
    st.sampled_from(["cpu", "plain"]),
    st.randoms(use_true_random=False),
)
def test_any_parts_in_any_order_give_the_same_rows(cuts, most, backend, random):
    table = quantities(700, 3, g=lambda n: np.array(["x", "z"])[np.arange(n) % 2])
    table["y"] = np.round(table["y"])
    table["p"] = np.round(table["p"])  # most errors are equal
    roles = {"target": "y", "prediction": "p", "id": "id"}
    plan = gpumon.profile(quantities(300, 4), roles=roles, worst_rows=most).empty()
    whole = gpumon.profile(table, like=plan, by="g")
    parts = [
        gpumon.profile({name: x[a:b] for name, x in table.items()}, like=plan, by="g", backend=backend)
        for a, b in pairwise(sorted({0, *cuts, 700}))
    ]
    random.shuffle(parts)
    summed = sum(parts, plan)
    for segment in ("g=x", "g=z"):
        assert summed.state("", "worst rows", segment=segment) == whole.state(
            "", "worst rows", segment=segment
        )


ERRORS = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, np.inf]), st.sampled_from("abcd")), max_size=12)


@given(ERRORS, ERRORS, ERRORS, st.integers(1, 5))
def test_adding_is_associative_and_commutative(left, middle, right, most):
    plan = WorstRows.on(("y", "p"), (), ("id",), (), np.array([most]))
    one, two, three = (
        plan.joined(np.array([e for e, _ in rows]), [i for _, i in rows]) for rows in (left, middle, right)
    )
    assert (one + two) + three == one + (two + three) == three + (two + one)
    assert one + plan == plan + one == one
    rows = sorted((-e, i) for e, i in (*left, *middle, *right))[:most]
    assert [*zip((one + two + three).errors.tolist(), (one + two + three).ids, strict=True)] == [
        (-e, i) for e, i in rows
    ]


def test_batches_and_threads_do_not_matter():
    n = 400_000
    r = np.random.default_rng(0)
    table = {"id": np.arange(n), "y": np.round(r.normal(size=n), 2), "p": np.zeros(n), "g": np.arange(n) % 5}
    report = kept(table, most=50, by="g")
    assert told(report.worst_rows()) == expected(table["id"], np.abs(table["y"]), 50)


@pytest.mark.parametrize("kind", ["memory", "parquet"])
def test_without_ids_rows_are_numbered(kind, tmp_path):
    table = quantities(300_000, 5)
    error = np.abs(table["p"] - table["y"])
    del table["id"]
    source = table
    if kind == "parquet":
        source = tmp_path / "rows"
        source.mkdir()
        for i, part in enumerate((slice(0, 100_000), slice(100_000, None))):
            rows = pa.table({name: x[part] for name, x in table.items()})
            pq.write_table(rows, source / f"{i}.parquet", row_group_size=40_000)
        source = str(source)
    report = kept(source, table)
    assert told(report.worst_rows(), "row number") == expected(np.arange(300_000), error, 7)
    assert report.status in {"ok", "no_data"}


def test_numbers_of_rows_that_cannot_be_known_are_refused(tmp_path):
    pcsv.write_csv(pa.table({"y": [1.5, 2.5], "p": [1.0, 2.0]}), tmp_path / "rows.csv")
    with pytest.raises(OptionError, match="row_id"):
        kept(str(tmp_path / "rows.csv"))
    with pytest.raises(OptionError, match="row_id says which"):
        kept({"y": [1.5], "p": [1.0]}, most=0, row_id="y")
    for wrong in (-1, 20_000, 2.5, True):
        with pytest.raises(OptionError, match="is no number of rows"):
            kept(quantities(9, 0), most=wrong)
    with pytest.raises(OptionError, match="role id"):
        gpumon.profile(
            {"y": [1.5, 2.0], "p": [1.0, 2.5]}, roles={"target": "y", "prediction": "p"}, worst_rows=5
        )
    classes = {"id": [1, 2], "y": ["a", "b"], "p": ["a", "a"]}
    with pytest.raises(OptionError, match="needs scores"):
        kept(classes)
    with pytest.raises(OptionError, match="no rows were kept"):
        kept(quantities(9, 0), most=0).worst_rows()


def test_ids_are_those_of_the_labels_key_and_stay_text():
    table = quantities(200, 6)
    nasty = ["=1+1", "a,b", 'say "x"', "<b>&</b>", "line\nbreak", "", "\u202e", "é" * 2000]
    table["id"] = np.array([*nasty, *table["id"][len(nasty) :]], object)
    table["y"][: len(nasty)] += 1000 * (1 + np.arange(len(nasty)))
    labels = {"id": table["id"], "y": table.pop("y")}
    report = kept(table, labels=labels, on="id", most=len(nasty))
    assert report.worst_rows()["id"].to_pylist() == [text[:1000] for text in nasty[::-1]]


def test_a_saved_profile_keeps_them_and_a_damaged_one_is_refused(tmp_path):
    reference = gpumon.profile(
        quantities(500, 0), roles={"target": "y", "prediction": "p", "id": "id"}, worst_rows=9
    )
    reference.save(tmp_path / "r.gpumon")
    loaded = gpumon.Profile.load(tmp_path / "r.gpumon")
    assert loaded == reference
    report = gpumon.evaluate(quantities(400, 1), loaded, worst_rows=9)
    assert told(report.worst_rows()) == told(kept(quantities(400, 1), most=9).worst_rows())
    bare = gpumon.profile(quantities(500, 0), roles={"target": "y", "prediction": "p"})
    with pytest.raises(OptionError, match="keeps no worst rows"):
        gpumon.evaluate(quantities(400, 1), bare, worst_rows=9)
    plan = WorstRows.on(("y", "p"), (), ("id",), (), np.array([2]))
    for errors, ids in (
        ([1.0], ()),
        ([1.0, 2.0], ("a", "b")),
        ([3.0, 2.0, 1.0], tuple("abc")),
        ([-1.0], ("a",)),
    ):
        with pytest.raises(ProfileError):
            WorstRows(plan.columns, (), plan.identity, (), plan.most, np.array(errors), ids)
    with pytest.raises(ProfileError):
        WorstRows.on(("y", "p"), (), (), (), np.array([2]))
    with pytest.raises(ProfileError):
        WorstRows.on(("y", "p"), (), ("id",), ("a", "b"), np.array([2]))
    with pytest.raises(MergeError):
        plan + WorstRows.on(("y", "p"), (), ("id",), (), np.array([3]))
    assert isinstance(largest(np.zeros(0), (), 3)[1], tuple)


def test_the_command_line_writes_them(tmp_path):
    table = quantities(800, 7)
    pq.write_table(pa.table(table), tmp_path / "rows.parquet")
    out = tmp_path / "worst.csv"
    arguments = ["evaluate", str(tmp_path / "rows.parquet"), "--target", "y", "--prediction", "p", "--quiet"]
    result = CliRunner().invoke(cli.cli, [*arguments, "--worst-rows", str(out), "--worst", "5"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = [(row["id"], float(row["error"])) for row in rows]
    assert found == expected(table["id"], np.abs(table["p"] - table["y"]), 5)
    refused = CliRunner().invoke(cli.cli, [*arguments, "--worst-rows", str(tmp_path / "worst.txt")])
    assert refused.exit_code != 0
    assert "must end in .csv" in refused.output
