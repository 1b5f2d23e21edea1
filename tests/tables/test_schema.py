import datetime as dt
import os
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gpumon
from gpumon.errors import InputError, OptionError, SchemaError
from gpumon.schema import Kind, Role, Schema, Skipped
from gpumon.tables import compatible, infer, open_table

FLIGHTS = Path(gpumon.__file__).parent / "data" / "flights.parquet"
DATA = Path(os.environ.get("GPUMON_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))

VALUES = {pa.int64(): 1, pa.string(): "a", pa.bool_(): True, pa.timestamp("us"): dt.datetime(2013, 6, 1)}
ONE_OF_EACH = pa.table(
    {
        "int": [1, 2],
        "float": [0.5, None],
        "decimal": [Decimal("1.5"), None],
        "duration": [dt.timedelta(1), None],
        "bool": [True, None],
        "date": [dt.date(2013, 6, 1), None],
        "moment": [dt.datetime(2013, 6, 1), None],
        "clock": [dt.time(5), None],
        "word": ["a", None],
        "category": pa.array(["a", None]).dictionary_encode(),
        "codes": pa.array([1, 2]).dictionary_encode(),
        "void": pa.nulls(2),
        "list": [[1], None],
        "raw": [b"a", None],
    }
)


def test_kinds_follow_types():
    schema = infer(ONE_OF_EACH)
    assert {c.name: str(c.kind) for c in schema} == {
        "int": "numeric", "float": "numeric", "decimal": "numeric", "duration": "numeric", "bool": "boolean",
        "date": "datetime", "moment": "datetime", "clock": "datetime", "word": "categorical", "category": "categorical",
        "codes": "numeric", "void": "categorical",
    }  # fmt: skip
    assert schema["category"].type == schema["word"].type == "string"
    assert schema["void"].type == "null"
    assert schema["decimal"].type == "double"
    assert [s.name for s in schema.skipped] == ["list", "raw"]


def test_the_schema_does_not_depend_on_whether_the_sample_is_canonical():
    raw, canonical = infer(ONE_OF_EACH), open_table(ONE_OF_EACH)
    assert infer(canonical.sample(), without=canonical.skipped) == raw


def test_a_schema_survives_json():
    schema = infer(ONE_OF_EACH, timestamp="moment")
    assert Schema.from_json(schema.to_json()) == schema


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([f"word {i}" for i in range(2000)], Kind.TEXT),
        ([f"word {i % 1000}" for i in range(2000)], Kind.CATEGORICAL),
        ([f"word {i % 1500}" for i in range(10_000)], Kind.CATEGORICAL),
        (["long " * 20 + str(i) for i in range(20)], Kind.TEXT),
        (["long " * 20 + str(i % 4) for i in range(20)], Kind.CATEGORICAL),
        ([None] * 10, Kind.CATEGORICAL),
        (["", None], Kind.CATEGORICAL),
    ],
)
@pytest.mark.parametrize("encode", [lambda a: a, pa.Array.dictionary_encode])
def test_strings_that_hardly_repeat_are_text(values, kind, encode):
    assert infer(pa.table({"x": encode(pa.array(values, pa.string()))}))["x"].kind is kind


@pytest.mark.parametrize(
    ("values", "discrete"),
    [
        (np.arange(50), True),
        (np.arange(51), False),
        (np.arange(5_000) % 50, True),
        (np.r_[np.arange(4_000) % 50, 51], False),
        ([0.0, 1.0, -0.0, None, float("nan")], True),
        ([0.0, 0.5], False),
        ([0.0, float("inf")], False),
        ([None, float("nan")], False),
        ([Decimal("1.0"), Decimal("2.0")], True),
        (pa.array([1, 2], pa.duration("s")), True),
    ],
)
def test_numbers_with_few_integer_values_are_discrete(values, discrete):
    assert infer(pa.table({"x": pa.array(values)}))["x"].discrete is discrete


def test_roles_are_told_by_names_that_leave_no_doubt():
    table = pa.table(
        {"Label": [0, 1], "target": [0, 1], "y_pred": [0, 1], "score": ["low", "high"], "probability": [0.1, 0.9],
         "ID": [7, 8], "user_id": ["a", "b"], "shop_id": [1, 1], "price_id": [0.5, 1.5], "valid": [1, 2]}
    )  # fmt: skip
    assert {c.name: str(c.role) for c in infer(table)} == {
        "Label": "feature", "target": "target", "y_pred": "prediction", "score": "feature", "probability": "score",
        "ID": "id", "user_id": "id", "shop_id": "feature", "price_id": "feature", "valid": "feature",
    }  # fmt: skip


def test_roles_that_are_given_win():
    table = pa.table({"target": [0], "y": [1], "id": [1], "key": [1], "when": [0], "junk": [0], "x": [0]})
    schema = infer(table, roles={"target": "y", "id": ["key"], "ignore": "junk"}, timestamp="when")
    assert {c.name: str(c.role) for c in schema} == {
        "target": "feature", "y": "target", "id": "feature", "key": "id", "when": "timestamp", "x": "feature",
    }  # fmt: skip
    assert schema.features == ("target", "id", "x")


def test_columns_restrict_the_features_and_keep_the_roles():
    table = pa.table({"a": [1], "b": [1], "y": [1], "when": [1]})
    schema = infer(table, columns=["b"], roles={"target": "y"}, timestamp="when")
    assert schema.names == ("b", "y", "when")


def test_kinds_that_are_given_win():
    table = pa.table({"zip": [10001, 10002], "flag": [True, False], "name": ["a", "b"]})
    schema = infer(table, kinds={"zip": "categorical", "flag": "numeric", "name": "text"})
    assert [c.kind for c in schema] == [Kind.CATEGORICAL, Kind.NUMERIC, Kind.TEXT]
    assert [c.discrete for c in schema] == [False, True, False]


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        (
            {"columns": ["pricee"]},
            SchemaError,
            r"the reference table has no column 'pricee'; did you mean 'price'\?",
        ),
        ({"timestamp": "when"}, SchemaError, "has no column 'when'; it has 'price', 'word'"),
        ({"roles": {"target": "y"}}, SchemaError, "has no column 'y'"),
        ({"kinds": {"y": "text"}}, SchemaError, "has no column 'y'"),
        (
            {"columns": ["nested"]},
            SchemaError,
            "column 'nested' cannot be used, its type is list<.*>; leave it out",
        ),
        (
            {"roles": {"label": "price"}},
            OptionError,
            "there is no role 'label'; roles are feature, target, .*, ignore",
        ),
        (
            {"roles": {"id": "price", "target": "price"}},
            OptionError,
            "'price' is given two roles, 'id' and 'target'",
        ),
        (
            {"kinds": {"price": "number"}},
            OptionError,
            r"there is no kind 'number' \(column 'price'\); kinds are numeric",
        ),
        (
            {"kinds": {"word": "numeric"}},
            SchemaError,
            "'word' holds strings .* and cannot be numeric; convert it first",
        ),
        ({"kinds": {"price": "datetime"}}, SchemaError, "'price' holds numbers .* and cannot be datetime"),
    ],
)
def test_options_that_make_no_sense(given, error, said):
    table = pa.table({"price": [0.5], "word": ["a"], "nested": [[1]]})
    with pytest.raises(error, match=said):
        infer(table, name="the reference table", **given)


def test_doubled_names_are_refused():
    with pytest.raises(SchemaError, match="more than one column is called 'x'"):
        infer(pa.table([[1], [2]], names=["x", "x"]))


def test_flights_as_people_know_them():
    table = open_table(FLIGHTS)
    schema = infer(table.sample(), timestamp="time_hour")
    assert table.rows == 336_776
    assert schema.of(Role.TIMESTAMP) == ("time_hour",)
    assert {c.name for c in schema if c.kind is Kind.CATEGORICAL} == {"carrier", "tailnum", "origin", "dest"}
    assert {c.name for c in schema if c.discrete} == {"year", "month", "day", "hour"}


@pytest.mark.skipif(not (DATA / "car_loan_reference.parquet").exists(), reason="needs the folder GPUMON_DATA")
def test_car_loans_tell_their_roles():
    schema = infer(open_table(DATA / "car_loan_reference.parquet").sample(), timestamp="timestamp")
    assert {c.name: str(c.role) for c in schema if c.role is not Role.FEATURE} == {
        "id": "id", "timestamp": "timestamp", "y_pred_proba": "score", "y_pred": "prediction",
    }  # fmt: skip


def test_differences_between_tables_are_named():
    reference = infer(pa.table({"x": [1], "gone": [1]}))
    assert compatible(reference, pa.table({"new": [1], "x": [0.5], "nested": [[1]]}).schema) == (
        ("gone",),
        ("new",),
    )


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (pa.int8(), pa.float64()),
        (pa.float32(), pa.decimal128(5, 2)),
        (pa.int64(), pa.null()),
        (pa.null(), pa.int64()),
        (pa.string(), pa.dictionary(pa.int8(), pa.large_string())),
        (pa.date32(), pa.timestamp("us", "UTC")),
    ],
    ids=str,
)
def test_types_of_one_kind_are_compatible(then, now):
    reference = infer(open_table(pa.table({"x": pa.nulls(2, then)})).sample())
    assert compatible(reference, open_table(pa.table({"x": pa.nulls(2, now)})).schema) == ((), ())


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        (
            pa.int64(),
            pa.string(),
            r"holds strings \(string\), in the reference numbers \(int64\); convert it to int64",
        ),
        (pa.string(), pa.float64(), r"holds numbers \(double\), in the reference strings \(string\)"),
        (pa.bool_(), pa.int8(), r"holds numbers \(int8\), in the reference true or false \(bool\)"),
        (
            pa.timestamp("us"),
            pa.int64(),
            r"holds numbers \(int64\), in the reference times \(timestamp\[us\]\)",
        ),
    ],
)
def test_a_column_that_changed_its_kind_is_refused(then, now, said):
    reference = infer(pa.table({"x": pa.array([None, VALUES[then]], then)}))
    with pytest.raises(SchemaError, match=f"^june.csv: column 'x' {said}"):
        compatible(reference, pa.schema([("x", now)]), name="june.csv")


def test_tables_without_a_common_column():
    reference = infer(pa.table({"x": [1]}))
    with pytest.raises(
        InputError, match=r"june.csv has no column in common with the reference, which has 'x'; it has 'y'"
    ):
        compatible(reference, pa.schema([("y", pa.int64())]), name="june.csv")


def test_what_was_left_out_before_is_kept():
    assert infer(pa.table({"x": [1]}), without=[Skipped("y", "no reason")]).skipped == (
        Skipped("y", "no reason"),
    )


def test_a_sample_of_any_names(tmp_path):
    names = ["", " ", "a.b", "😀", "<script>", "x\ny", "é", "e\u0301", "'", '"']
    pq.write_table(pa.table([[i] for i in range(len(names))], names=names), tmp_path / "t.parquet")
    assert infer(open_table(tmp_path).sample()).names == tuple(names)
