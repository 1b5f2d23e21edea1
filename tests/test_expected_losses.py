"""Errors of a regression estimated before labels come: learnt from the reference, counted, saved, and tried by labels."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpumon
from gpumon.demo import car_prices
from gpumon.errors import GpumonError, ProfileError
from gpumon.profiles.expected_losses import ExpectedLosses
from gpumon.reports import models

FEATURES = ["car_age", "km_driven", "price_new", "accident_count", "door_count", "fuel", "transmission"]
ROLES = {"target": "y", "prediction": "p"}


def one(report, metric, **where):
    (row,) = report.results.where(metric=metric, **({"window": None, "segment": None} | where))
    return row


def rows(n, seed, *, hard=0.2, turned=0.0):
    """Predictions whose error is large where ``kind`` is "b": of a share ``hard``; ``turned`` adds what none can know."""
    rng = np.random.default_rng(seed)
    kind = np.where(rng.random(n) < hard, "b", "a")
    x, flag = rng.normal(size=n), rng.random(n) < 0.5
    noise = rng.normal(size=n) * np.where(kind == "b", 4.0, 1.0) * (1 + turned)
    p = 10 + 2 * x
    return {"y": p + noise, "p": p, "x": x, "kind": kind, "flag": flag}


@pytest.fixture(scope="module")
def learnt():
    return gpumon.profile(rows(6_000, 0), roles=ROLES, features=["x", "kind", "flag"])


def test_car_prices_by_tenths_come_as_near_as_nannyml():
    reference, current, labels = car_prices()
    tenth = np.repeat([f"{i}" for i in range(10)], 6_000)
    reference = reference.append_column("tenth", pa.array(np.repeat("before", 60_000)))
    both = current.append_column("y_true", labels["y_true"]).append_column("tenth", pa.array(tenth))
    report = gpumon.evaluate(both, reference, features=FEATURES, by="tenth")
    for name, theirs in (
        ("mae", 9.0),
        ("rmse", 13.5),
    ):  # NannyML 0.13.1: benchmarks/results/estimation-2-core.json
        gaps, within = [], 0
        for i in range(10):
            estimate, real = (one(report, each, segment=f"tenth={i}") for each in (f"estimated_{name}", name))
            gaps.append(abs(estimate.value - real.value))
            within += estimate.ci_lower <= real.value <= estimate.ci_upper
        assert np.mean(gaps) < theirs
        assert within >= 9
        assert one(report, f"{name}_over_estimate").status == "ok"


def test_harder_rows_are_expected_to_have_larger_errors_before_any_label():
    reference, current = rows(6_000, 0), rows(4_000, 1, hard=0.6)
    labels = current.pop("y")
    report = gpumon.evaluate(current, reference, **ROLES, features=["x", "kind", "flag"])
    row = one(report, "estimated_mae")
    error = np.abs(labels - current["p"])
    assert row.ci_lower < error.mean() < row.ci_upper
    assert row.status == "alert"
    assert row.n == 4_000
    assert row.reference == pytest.approx(np.abs(reference["y"] - reference["p"]).mean(), rel=1e-3)
    squared = one(report, "estimated_rmse")
    assert squared.ci_lower < np.sqrt(np.mean(error**2)) < squared.ci_upper
    assert one(report, "mae").status == one(report, "mae_over_estimate").status == "no_data"
    assert any("no row has a label in 'y'" in note for note in report.notes)
    assert one(report, "labelled_share").value == 0.0


def test_labels_try_the_estimate_and_tell_a_changed_concept():
    reference = rows(6_000, 0)
    features = {"features": ["x", "kind", "flag"]}
    harder = gpumon.evaluate(rows(4_000, 1, hard=0.6), reference, **ROLES, **features)
    assert one(harder, "mae").status == "alert"
    assert one(harder, "mae_over_estimate").status == "ok"
    turned = gpumon.evaluate(rows(4_000, 1, turned=0.5), reference, **ROLES, **features)
    assert one(turned, "estimated_mae").status == "ok"
    for name in ("mae_over_estimate", "rmse_over_estimate"):
        row = one(turned, name)
        assert row.status == "alert"
        assert row.ci_lower < 1.5 < row.ci_upper


def test_a_window_without_labels_has_the_estimate_drawn():
    reference = rows(6_000, 0) | {"t": np.full(6_000, np.datetime64("2024-01-01"))}
    current = rows(3_000, 2) | {"t": np.repeat(np.array(["2024-02-01", "2024-02-02"], "M8[D]"), 1_500)}
    current["y"][1_500:] = np.nan
    report = gpumon.evaluate(
        current,
        reference,
        **ROLES,
        features=["kind"],
        timestamp="t",
        every="1d",
        metrics=["mae", "estimated_mae"],
    )
    late = {"window": "2024-02-02"}
    assert one(report, "mae", **late).status == "no_data"
    assert one(report, "estimated_mae", **late).status == "ok"
    assert 'stroke-dasharray="5 4"' in models.charts(report)["mae by window"]


def test_rows_that_the_reference_did_not_know_are_told(learnt):
    current = rows(1_000, 3)
    current["x"][:50] = 99.0
    current["kind"][40:100] = "c"
    report = gpumon.evaluate(current, learnt)
    row = one(report, "unsupported_share")
    assert row.value == pytest.approx(0.1, abs=0.003)
    assert row.status == "alert"
    gone = {name: column for name, column in current.items() if name != "x"}
    assert one(gpumon.evaluate(gone, learnt), "unsupported_share").value == 1.0


def test_missing_values_and_other_types_of_a_feature(learnt):
    current = rows(500, 4)
    plain = gpumon.profile(current, like=learnt).state("", "expected losses")
    table = pa.table(current)
    table = table.set_column(3, "kind", table["kind"].combine_chunks().dictionary_encode())
    table = table.set_column(4, "flag", table["flag"].cast(pa.bool_()))
    assert gpumon.profile(table, like=learnt).state("", "expected losses") == plain
    holes = table.set_column(2, "x", pa.array(np.where(np.arange(500) < 7, np.nan, current["x"])))
    state = gpumon.profile(holes, like=learnt).state("", "expected losses")
    assert state.counts[1] == plain.counts[1] + 7  # the reference lacked none
    without = table.set_column(1, "p", pa.array(np.where(np.arange(500) < 9, np.nan, current["p"])))
    assert gpumon.profile(without, like=learnt).state("", "expected losses").counts[0] == 491


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 1_500), max_size=5), st.sampled_from(["cpu", "plain"]))
def test_expected_sums_do_not_depend_on_the_partitioning_by_a_bit(learnt, cuts, backend):
    table = rows(1_500, 5)
    whole = gpumon.profile(table, like=learnt).state("", "expected losses")
    parts = [
        gpumon.profile({name: x[a:b] for name, x in table.items()}, like=learnt, backend=backend)
        for a, b in pairwise(sorted({0, *cuts, 1_500}))
    ]
    summed = sum(parts[::-1], learnt.empty()).state("", "expected losses")
    assert (summed.counts == whole.counts).all()
    assert (summed.sums[:, 0] == whole.sums[:, 0]).all()
    np.testing.assert_allclose(summed.sums, whole.sums, rtol=1e-12)


def test_the_model_is_the_same_however_the_reference_is_cut(learnt, tmp_path):
    table = pa.table(rows(6_000, 0))
    for i in range(4):
        pa.parquet.write_table(table.slice(i * 1_500, 1_500), tmp_path / f"{i}.parquet")
    cut = gpumon.profile(str(tmp_path), roles=ROLES, features=["x", "kind", "flag"])
    assert cut.plan["", "expected losses"] == learnt.plan["", "expected losses"]


def test_weights_weigh_the_estimate():
    reference = rows(3_000, 0) | {"w": np.ones(3_000)}
    current = rows(2_000, 1)
    heavy = np.where(current["kind"] == "b", 3.0, 1.0)
    weighted = gpumon.evaluate(current | {"w": heavy}, reference, **ROLES, weight="w", features=["kind"])
    plan = gpumon.profile(reference, roles=ROLES | {"weight": "w"}, features=["kind"])
    means = [
        one(gpumon.evaluate({name: x[current["kind"] == kind] for name, x in (current | {"w": heavy}).items()}, plan), "estimated_mae").value
        for kind in "ab"
    ]  # fmt: skip
    masses = [heavy[current["kind"] == kind].sum() for kind in "ab"]
    assert one(weighted, "estimated_mae").value == pytest.approx(np.average(means, weights=masses))


def test_a_saved_reference_has_its_model_in_it(learnt, tmp_path):
    learnt.save(tmp_path / "reference.gpumon")
    loaded = gpumon.Profile.load(tmp_path / "reference.gpumon")
    assert loaded == learnt
    assert isinstance(loaded.state("", "expected losses"), ExpectedLosses)
    current = rows(2_000, 6, hard=0.5)
    direct = gpumon.evaluate(current, rows(6_000, 0), **ROLES, features=["x", "kind", "flag"])
    saved = gpumon.evaluate(current, str(tmp_path / "reference.gpumon"), features=["x", "kind"])
    for name in ("estimated_mae", "estimated_rmse", "mae_over_estimate", "unsupported_share"):
        assert one(direct, name).value == one(saved, name).value
    bare = gpumon.profile(rows(500, 0), roles=ROLES)
    with pytest.raises(GpumonError, match="has not learnt what errors to expect from 'x'"):
        gpumon.evaluate(current, bare, features=["x"])


def test_categories_that_only_the_whole_reference_has_are_any_other_to_the_model(monkeypatch):
    monkeypatch.setattr("gpumon.tables.table.SAMPLE_ROWS", 500)
    table = rows(4_000, 7)
    table["kind"] = table["kind"].astype("U5")
    table["kind"][1] = "later"  # between the rows of the sample
    reference = gpumon.profile(table, roles=ROLES, features=["kind"])
    state = reference.state("", "expected losses")
    assert state.counts[0] == 4_000
    again = gpumon.profile(table, like=reference).state("", "expected losses")
    assert (again.counts == state.counts).all()
    assert (again.sums[:, 0] == state.sums[:, 0]).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"split_features": 9}, "trees of expected losses do not fit"),
        ({"leaves": np.inf}, "trees of expected losses do not fit"),
        ({"groups": 999}, "trees of expected losses do not fit"),
    ],
)
def test_a_damaged_model_is_refused(learnt, change, words):
    state = learnt.plan["", "expected losses"]
    fields = {
        name: getattr(state, name).copy()
        for name in (
            "cells",
            "groups",
            "trees",
            "base",
            "residual_variance",
            "split_features",
            "split_codes",
            "leaves",
        )
    }
    ((name, value),) = change.items()
    fields[name][0] = value
    with pytest.raises(ProfileError, match=words):
        ExpectedLosses.on(state.columns, state.weight, **fields)


def test_codes_that_are_not_of_the_columns_cells_are_refused(learnt):
    from gpumon.profiles import files

    state = learnt.plan["", "expected losses"]
    other = ExpectedLosses.on(
        ("y", "p", "kind", "x", "flag"), (), *(getattr(state, name) for name in (
            "cells", "groups", "trees", "base", "residual_variance", "split_features", "split_codes", "leaves")),
    )  # fmt: skip
    forged = gpumon.Profile(learnt.schema, learnt.plan | {("", "expected losses"): other})
    with pytest.raises(ProfileError, match="codes of column 'kind' are not those of its cells"):
        files.loads(files.dumps(forged))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"features": ["nowhere"]}, "no column 'nowhere'"),
        ({"features": ["when"]}, "is datetime, from which no error is estimated"),
        ({"features": 7}, "features must be the name of a column"),
        (
            {"target": "flag", "prediction": None, "score": "q", "features": ["x"]},
            "errors of quantities are estimated",
        ),
        ({"features": ["y"]}, "is the target, which is not there before labels"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused_in_one_line(arguments, words):
    table = rows(600, 8) | {"q": np.linspace(0, 1, 600), "when": np.full(600, np.datetime64("2024-01-01"))}
    with pytest.raises(GpumonError, match=words) as caught:
        gpumon.evaluate(table, table, **(ROLES | arguments))
    assert "\n" not in str(caught.value)


def test_too_few_labels_teach_nothing():
    with pytest.raises(GpumonError, match="has 150 labelled rows, too few"):
        gpumon.evaluate(rows(10, 1), rows(150, 0), **ROLES, features=["x"])
