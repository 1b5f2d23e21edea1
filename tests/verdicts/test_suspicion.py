"""Concept drift before the labels come: never ok, suspected only where there is something to suspect."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import gpumon
from gpumon.metrics import CATALOGUE

ROLES = {"target": "y", "score": "p"}


def rows(rng, n, *, shift=0.0, bend=0.0, labelled=1.0, truth=None):
    x = rng.normal(shift, 1, (n, 2))
    p = 1 / (1 + np.exp(-x.sum(axis=1) - bend * np.abs(x[:, 0])))
    y = rng.random(n) < (p if truth is None else truth(p))
    return {
        "a": x[:, 0],
        "b": x[:, 1],
        "p": p,
        "y": pa.array(y.astype(np.int64), mask=rng.random(n) >= labelled),
        "t": np.datetime64("2025-01-01", "s") + np.arange(n) % 3 * 86_400,
    }


def found(current, reference, **options):
    tables = (gpumon.profile(reference, roles=ROLES, columns=["a", "b", "p", "y"], **options),)
    now = gpumon.profile(current, like=tables[0], **options)
    report = gpumon.evaluate(
        now, tables[0], **{k: v for k, v in options.items() if k in {"timestamp", "every"}}
    )
    return {row.window: row for row in report.results.where(metric="suspected_concept_drift")}, report


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_with_labels_there_is_nothing_to_suspect(rng):
    assert found(rows(rng, 4000), rows(rng, 4000))[0] == {}


def test_without_labels_it_cannot_be_seen_even_where_nothing_moved(rng):
    (row,) = found(rows(rng, 4000, labelled=0), rows(rng, 4000))[0].values()
    assert row.status == "no_data"
    assert row.reason.startswith("cannot be seen without labels: the predictions have not moved")
    assert row.id == "PD-05"
    assert 0 <= row.value < 0.085


def test_predictions_that_move_with_their_inputs_are_no_reason_to_suspect(rng):
    (row,) = found(rows(rng, 4000, labelled=0, shift=1.0), rows(rng, 4000))[0].values()
    assert row.status == "no_data"
    assert "the predictions moved (p by 0." in row.reason
    assert row.reason.endswith("as inputs did (a, b)")


def test_predictions_that_move_while_no_input_does_are_suspect(rng):
    (row,), report = (x if i else x.values() for i, x in enumerate(found(
        rows(rng, 4000, labelled=0, bend=1.0), rows(rng, 4000)
    )))  # fmt: skip
    assert row.status == "warn"
    assert row.reason.startswith("suspected: the predictions moved (p by 0.")
    assert "none of 2 inputs did" in row.reason
    assert report.status in {"warn", "alert"}


def test_tables_whose_inputs_are_not_counted_say_so_and_columns_counts_them(rng):
    current, reference = rows(rng, 4000, labelled=0, bend=1.0), rows(rng, 4000)
    report = gpumon.evaluate(current, reference, target="y", score="p")
    (row,) = report.results.where(metric="suspected_concept_drift")
    assert row.status == "no_data"
    assert row.reason.endswith("and no inputs are counted beside them")
    report = gpumon.evaluate(current, reference, target="y", score="p", columns=["a", "b"])
    (row,) = report.results.where(metric="suspected_concept_drift")
    assert row.status == "warn"


def test_the_labels_that_came_early_can_be_a_reason_to_suspect(rng):
    time = {"timestamp": "t", "every": "1d"}
    turned = rows(rng, 12_000, labelled=0.5, truth=lambda p: 0.2 + 0.8 * p)
    windows, report = found(turned, rows(rng, 12_000), **time)
    assert set(windows) == {"2025-01-01", "2025-01-02", "2025-01-03"}
    for row in windows.values():
        assert row.status == "warn"
        assert "of the rows that have labels, positives are more frequent" in row.reason
    same, _ = found(rows(rng, 12_000, labelled=0.5), rows(rng, 12_000), **time)
    assert {row.status for row in same.values()} == {"no_data"}
    assert all(
        "cannot be seen with 5" in row.reason or "cannot be seen with 4" in row.reason
        for row in same.values()
    )
    assert report.results.where(metric="label_odds_shift", window="2025-01-01")["status"].tolist() == [
        "no_data"
    ]


def test_no_row_is_ever_ok_and_chance_does_not_make_it_suspect():
    for seed in range(12):
        rng = np.random.default_rng(seed)
        windows, _ = found(
            rows(rng, 3000, labelled=0.3 * (seed % 2)), rows(rng, 3000), timestamp="t", every="1d"
        )
        assert {row.status for row in windows.values()} == {"no_data"}


def test_without_a_reference_it_is_not_asked(rng):
    report = gpumon.evaluate(rows(rng, 500), target="y", score="p")
    assert not len(report.results.where(metric="suspected_concept_drift"))
    assert not [m for m in CATALOGUE if "evidence" in m.reads and not m.of_reference]
