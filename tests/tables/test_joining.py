"""Late labels: joined on a key, whatever the order, as far as they are there."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpumon.engines.labels import digest
from gpumon.errors import InputError, OptionError, SchemaError
from gpumon.tables.frames import open_table
from gpumon.tables.joining import joined


def join(predictions, labels, on="id", columns=("y",), duplicates="raise"):
    left, right = open_table(predictions, name="predictions"), open_table(labels, name="labels")
    return joined(left, right, on, columns, digest, duplicates)


def rows(table, columns=None):
    batches = [b for part in table.partitions(columns) for b in part.batches(100)]
    return pa.Table.from_batches(batches, table.chosen(columns))


keys = st.one_of(
    st.lists(st.integers(-50, 50), unique=True),
    st.lists(st.integers(-(2**63), 2**63 - 1), unique=True),
    st.lists(st.text(max_size=5), unique=True),
)


@settings(max_examples=80, deadline=None)
@given(keys, st.data())
def test_every_prediction_gets_the_label_of_its_key(known, data):
    asked = data.draw(st.lists(st.sampled_from([*known, None]), max_size=30)) if known else [None]
    kind = pa.string() if known and isinstance(known[0], str) else pa.int64()
    y = {key: float(i) for i, key in enumerate(known)}
    table = join(
        pa.table({"id": pa.array(asked, kind), "p": pa.array([0.5] * len(asked))}),
        pa.table({"id": pa.array(known, kind), "y": pa.array(list(y.values()), pa.float64())}),
    )
    assert rows(table)["y"].to_pylist() == [y.get(key) for key in asked]
    assert table.schema.names == ["id", "p", "y"]
    assert table.rows == len(asked)


def test_only_what_is_asked_for_is_given():
    table = join({"id": [1, 2], "p": [0.1, 0.2], "z": [7, 8]}, {"id": [2], "y": ["b"], "w": [3.0]})
    assert rows(table, ["y", "p"]).to_pydict() == {"y": [None, "b"], "p": [0.1, 0.2]}
    assert rows(table, ["p"]).to_pydict() == {"p": [0.1, 0.2]}


def test_labels_replace_a_column_of_the_same_name():
    table = join({"id": [1, 2], "y": [0, 0]}, {"id": [2, 1], "y": [5, 6]})
    assert rows(table, ["y"])["y"].to_pylist() == [6, 5]


@pytest.mark.parametrize("shift", [0, 10**15])
def test_a_key_that_stands_twice_is_refused_or_the_last_holds(shift):
    labels = {"id": np.array([1, 2, 1, 10**6 * (shift > 0)]) + shift, "y": [0, 1, 2, 3]}
    with pytest.raises(InputError, match="stands 2 times"):
        join({"id": np.array([1]) + shift}, labels)
    table = join({"id": np.array([1, 2]) + shift}, labels, duplicates="last")
    assert rows(table, ["y"])["y"].to_pylist() == [2, 1]
    assert table.doubled == 1
    with pytest.raises(OptionError, match="raise or last"):
        join({"id": [1]}, labels, duplicates="first")


def test_texts_that_stand_twice():
    labels = {"id": ["a", "b", "a"], "y": [0, 1, 2]}
    with pytest.raises(InputError, match="key 'a' stands 2 times"):
        join({"id": ["a"]}, labels)
    assert rows(join({"id": ["b", "a"]}, labels, duplicates="last"), ["y"])["y"].to_pylist() == [1, 2]


def test_keys_of_different_types_are_refused():
    with pytest.raises(SchemaError, match="holds integers in predictions and strings in labels"):
        join({"id": [1]}, {"id": ["1"], "y": [1]})
    with pytest.raises(SchemaError, match="is no key"):
        join({"id": [1.5]}, {"id": [1.5], "y": [1]})
    with pytest.raises(SchemaError, match="labels has no column 'id'"):
        join({"id": [1]}, {"key": [1], "y": [1]})


def test_no_labels_yet():
    table = join({"id": [1, 2]}, {"id": np.zeros(0, np.int64), "y": np.zeros(0)})
    assert rows(table, ["y"])["y"].to_pylist() == [None, None]


def test_a_dictionary_is_a_key_like_any_text():
    ids = pa.array(["a", "b", "a"]).dictionary_encode()
    table = join(pa.table({"id": ids}), {"id": ["b"], "y": [1]})
    assert rows(table, ["y"])["y"].to_pylist() == [None, 1, None]
