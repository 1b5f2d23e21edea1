import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from gpumon.errors import SchemaError
from gpumon.tables.columns import WORDS, canonical, canonical_schema, canonical_type, refuse_column, skipped

CONVERTED = [
    (pa.array([True, None]), pa.bool_(), [True, None]),
    (pa.array([2**63 + 1, None], pa.uint64()), pa.uint64(), [2**63 + 1, None]),
    (pa.array([2**53 + 1], pa.int64()), pa.int64(), [2**53 + 1]),
    (pa.array(np.array([1.5, np.nan, np.inf], np.float16)), pa.float32(), [1.5, np.nan, np.inf]),
    (pa.array([-0.0, 0.0]), pa.float64(), [-0.0, 0.0]),
    (pa.array([Decimal("1.25"), None]), pa.float64(), [1.25, None]),
    (pa.array([Decimal("1.25")], pa.decimal256(60, 2)), pa.float64(), [1.25]),
    (pa.array([dt.timedelta(seconds=2), None], pa.duration("ms")), pa.int64(), [2000, None]),
    (pa.array([dt.date(2013, 6, 1)], pa.date64()), pa.date32(), [dt.date(2013, 6, 1)]),
    (pa.array([dt.time(5, 30)], pa.time32("s")), pa.time64("us"), [dt.time(5, 30)]),
    (pa.array(["a", None], pa.string_view()), pa.large_string(), ["a", None]),
    (pa.nulls(2), pa.string(), [None, None]),
    (pa.array([1, 1, 2], pa.int8()).dictionary_encode(), pa.int8(), [1, 1, 2]),
    (pa.array([None, None]).dictionary_encode(), WORDS, [None, None]),
    (pa.RunEndEncodedArray.from_arrays([2, 3], ["a", "b"]), pa.string(), ["a", "a", "b"]),
    (pa.array(["b", "a", None]).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.large_string())), WORDS, ["b", "a", None]),
    (pa.DictionaryArray.from_arrays(pa.array([0, 2, 1], pa.uint32()), pa.array(["x", None, "x", "unused"], pa.string_view())), WORDS, ["x", "x", None]),
    (pa.DictionaryArray.from_arrays([1, 0], ["low", "high"], ordered=True), WORDS, ["high", "low"]),
]  # fmt: skip


@pytest.mark.parametrize(("array", "kind", "values"), CONVERTED, ids=lambda v: str(getattr(v, "type", "")))
def test_every_type_that_can_be_counted_becomes_its_canonical_type(array, kind, values):
    assert canonical_type(array.type) == kind
    schema = canonical_schema(pa.schema([("x", array.type)]))
    column = canonical([array], schema)["x"]
    assert column.type == kind
    assert repr(column.to_pylist()) == repr(values)  # tells -0.0 from 0.0, and NaN is itself


def test_a_dictionary_of_strings_has_no_null_entry():
    array = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int32()), pa.array(["x", None]))
    column = canonical([array], pa.schema([("x", WORDS)]))["x"]
    assert column.dictionary.null_count == 0
    assert column.null_count == 2


@pytest.mark.parametrize(
    "array", [pa.array([1.0, None]), pa.array(["a"]), pa.array(["a"]).dictionary_encode()]
)
def test_what_is_canonical_already_is_not_copied(array):
    column = canonical([array], canonical_schema(pa.schema([("x", array.type)])))["x"]
    assert [b and b.address for b in column.buffers()] == [b and b.address for b in array.buffers()]


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.int8()),
        pa.struct([("a", pa.int8())]),
        pa.map_(pa.string(), pa.int8()),
        pa.binary(),
        pa.binary(4),
        pa.binary_view(),
        pa.uuid(),
        pa.month_day_nano_interval(),
        pa.dense_union([pa.field("a", pa.int8())]),
        pa.dictionary(pa.int8(), pa.binary()),
    ],
    ids=str,
)
def test_other_types_are_skipped_and_named(kind):
    schema = pa.schema([("Größe", kind), ("x", pa.int8())])
    assert canonical_schema(schema).names == ["x"]
    (left_out,) = skipped(schema)
    assert left_out.name == "Größe"
    assert str(kind) in left_out.why


def test_a_column_that_is_not_there_is_refused_with_a_hint():
    with pytest.raises(SchemaError, match=r"flights has no column 'orign'; did you mean 'origin'\?"):
        refuse_column("orign", ["origin", "dest"], "flights")
    with pytest.raises(SchemaError, match=r"t has no column 'x'; it has 'c0', .* and 12 more"):
        refuse_column("x", [f"c{i}" for i in range(20)], "t")
