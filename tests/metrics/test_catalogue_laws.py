"""Laws that every metric of the catalogue keeps, those that are added later too."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpumon
from gpumon.errors import OptionError
from gpumon.metrics import CATALOGUE, FAMILIES, Metric, chosen
from gpumon.metrics.results import FIELDS, STATUSES
from gpumon.statistics import distances

rng = np.random.default_rng(0)
KINDS = {
    "normal": lambda n: rng.normal(size=n),
    "skewed": lambda n: rng.lognormal(sigma=2, size=n),
    "zeros": lambda n: np.where(rng.random(n) < 0.7, 0.0, rng.normal(size=n)),
    "count": lambda n: rng.poisson(3, n),
    "constant": lambda n: np.full(n, 2.5),
    "category": lambda n: rng.choice(["a", "b", "c", "d"], n, p=[0.6, 0.3, 0.09, 0.01]),
    "flag": lambda n: rng.random(n) < 0.2,
    "label": lambda n: rng.integers(0, 2, n),
}


def table(n: int) -> dict[str, np.ndarray]:
    return {name: make(n) for name, make in KINDS.items()}


def repeated(rows: dict[str, np.ndarray], times: int) -> dict[str, np.ndarray]:
    return {name: np.tile(column, times) for name, column in rows.items()}


ROLES = {"target": "label"}


@pytest.fixture(scope="module")
def same_shares() -> gpumon.Report:
    rows = table(1500) | {f"shap_{name}": rng.normal(size=1500) for name in ("normal", "count", "category")}
    return gpumon.scan(repeated(rows, 3), rows, roles=ROLES, attributions="shap_")


@pytest.fixture(scope="module")
def evaluated() -> list[gpumon.Report]:
    """Predictions of two classes, of three, and of quantities, each against itself three times over."""
    groups = rng.choice(["f", "m"], 900)
    p = rng.dirichlet((1, 1, 1), 600)
    thirds = {"y": rng.choice(["a", "b", "c"], 600), "a": p[:, 0], "b": p[:, 1], "c": p[:, 2]}
    halves = {"y": rng.random(900) < 0.4, "p": rng.random(900), "sex": groups}
    halves["shap_x"] = halves["p"] - 0.5
    y = rng.normal(10, 3, 700)
    p = y + rng.normal(size=700)
    amounts = {"y": y, "p": p, "low": p - 1.645, "high": p + 1.645, "sex": groups[:700]}
    return [
        gpumon.evaluate(repeated(rows, 3), rows, target="y", **given)
        for rows, given in (
            (
                halves,
                {
                    "score": "p",
                    "sensitive_features": "sex",
                    "slices": True,
                    "attributions": "shap_",
                    "base_value": 0.5,
                    "costs": (1, 5),
                },
            ),
            (thirds, {"score": {"a": "a", "b": "b", "c": "c"}}),
            (
                amounts,
                {
                    "prediction": "p",
                    "lower": "low",
                    "upper": "high",
                    "features": ["low"],
                    "clusters": ["low", "high"],
                    "sensitive_features": "sex",
                },
            ),
        )
    ]


@pytest.fixture(scope="module")
def windowed() -> list[gpumon.Report]:
    """Predictions of two classes and of quantities over six days, and some whose labels have not come."""
    day = {"t": np.datetime64("2025-03-01") + np.arange(1200) % 6, "g": rng.choice(["a", "b"], 1200)}
    halves = {"y": rng.random(1200) < 0.4, "p": rng.random(1200)} | day
    y = rng.normal(10, 3, 1200)
    amounts = {"y": y, "p": y + rng.normal(size=1200)} | day
    unlabelled = {"y": np.full(1200, np.nan), "p": halves["p"]} | day
    time = {"timestamp": "t", "every": "1d", "by": "g"}
    labelled = halves | {"y": halves["y"].astype(float)}
    return [
        gpumon.evaluate(halves, repeated(halves, 2), target="y", score="p", **time),
        gpumon.evaluate(amounts, repeated(amounts, 2), target="y", prediction="p", **time),
        gpumon.evaluate(unlabelled, labelled, target="y", score="p", **time),
    ]


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: f"{metric.id}-{metric.name}")
def test_a_metric_is_a_row_of_the_specification_and_explains_itself(metric):
    assert re.fullmatch(r"(DD|PS|OP|DI|MD|MC|PD|SEC|XC)-\d\d", metric.id)
    assert metric.family in FAMILIES.values()
    assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name)
    assert len(metric.definition.split()) >= 4
    assert metric.warn is None or 0 < metric.warn <= metric.alert


@pytest.mark.parametrize(
    "metric",
    [m for m in CATALOGUE if m.compares and not m.by_window],
    ids=lambda m: f"{m.id}-{m.name}-{m.method[:8]}",
)
def test_equal_shares_of_any_size_are_no_change(same_shares, evaluated, metric):
    reports = evaluated if metric.labelled else [same_shares]
    if metric.broken_down or metric.roles or metric.by_default:
        reports = [same_shares, *evaluated]
    values = np.concatenate([report.results.where(metric=metric.name)["value"] for report in reports])
    assert values.size
    rounding = 1e-3 if metric.name == "variance_ratio" else 1e-9  # ddof 1 shows in it
    assert np.nanmax(np.abs(values)) < rounding


def test_equal_shares_are_judged_ok(same_shares):
    assert same_shares.status == "ok"
    assert same_shares.drifted == []


@pytest.mark.parametrize(
    "metric", CATALOGUE, ids=lambda metric: f"{metric.id}-{metric.name}-{metric.method[:8]}"
)
def test_a_metric_is_computed_for_some_column(same_shares, evaluated, windowed, metric):
    reports = [same_shares, *evaluated, *windowed]
    rows = [
        row for report in reports for row in report.results.where(metric=metric.name) if row.id in metric.ids
    ]
    assert any(row.value == row.value for row in rows)


@pytest.mark.parametrize(
    "metric", [m for m in CATALOGUE if m.labelled or m.broken_down], ids=lambda metric: metric.name
)
def test_the_same_predictions_three_times_over_are_as_good_and_surer(same_shares, evaluated, metric):
    for report in (same_shares, *evaluated):
        for row in report.results.where(metric=metric.name):
            assert row.status in {"ok", "no_data"}
            grows = 3**0.5 if metric.unit == "std" else 1  # a test statistic
            if metric.compares:
                continue
            if metric.promise:
                assert row.reference == pytest.approx(row.value, abs=0.03)
                continue
            assert grows * row.reference == pytest.approx(row.value, rel=0.01, abs=1e-9, nan_ok=True)
            if row.ci_lower == row.ci_lower:
                assert row.ci_lower <= row.value <= row.ci_upper


@pytest.mark.parametrize(
    "metric", [m for m in CATALOGUE if m.over_time or m.limit], ids=lambda metric: metric.name
)
def test_windows_that_are_alike_are_no_change_over_time(windowed, metric):
    rows = [row for report in windowed for row in report.results.where(metric=metric.name)]
    assert {row.status for row in rows} <= {"ok", "no_data"}
    assert all(row.status == "no_data" for row in rows if row.value != row.value)
    assert all(row.window is None for row in rows)


@pytest.mark.parametrize("metric", [m for m in CATALOGUE if m.by_window], ids=lambda metric: metric.name)
def test_windows_in_their_order_have_a_row_each_and_are_no_change(windowed, metric):
    for report in windowed:
        rows = list(report.results.where(metric=metric.name))
        if metric.charted and not rows:  # nothing is classified
            continue
        assert {row.window for row in rows} == set(report.current.windows)
        assert {row.segment for row in rows} == {None, *report.current.segments}
        assert {row.status for row in rows} <= {"ok", "no_data"}


def test_every_id_of_the_catalogue_can_be_asked_for():
    for metric in CATALOGUE:
        for each in metric.ids:
            assert metric in chosen([each])


def test_there_is_exactly_one_row_a_result(same_shares):
    names = ("metric", "id", "method", "column", "window", "segment")
    rows = Counter(zip(*(same_shares.results[name].tolist() for name in names), strict=True))
    assert max(rows.values()) == 1


def test_without_rows_everything_is_no_data_and_never_ok():
    report = gpumon.scan({name: column[:0] for name, column in table(10).items()}, table(500), roles=ROLES)
    assert report.status == "no_data"
    statuses = {row.metric: row.status for row in report.results}
    assert {status for name, status in statuses.items() if name not in {"count", "row_count"}} == {"no_data"}


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 2999))
def test_results_do_not_depend_on_the_partitioning(cut):
    rows, reference = table(3000), gpumon.profile(table(3000), roles=ROLES)
    parts = [{name: column[part] for name, column in rows.items()} for part in (slice(cut), slice(cut, None))]
    together = gpumon.profile(parts[0], like=reference) + gpumon.profile(parts[1], like=reference)
    one, two = (gpumon.scan(rows, reference).results, gpumon.scan(together, reference).results)
    for name in ("metric", "column", "n"):
        assert one[name].tolist() == two[name].tolist()
    for name in ("value", "lower", "upper", "p_value"):
        assert np.allclose(
            one[name].astype(float), two[name].astype(float), rtol=1e-9, atol=1e-12, equal_nan=True
        )


def test_values_lie_within_their_bounds(same_shares):
    report = gpumon.scan(table(900), table(1100), roles=ROLES)
    for results in (report.results, same_shares.results):
        value, lower, upper = (results[name] for name in ("value", "lower", "upper"))
        there = ~np.isnan(value)
        assert (lower[there] <= value[there]).all()
        assert (value[there] <= upper[there]).all()
        assert set(results["status"]) <= set(STATUSES)


def test_a_users_own_metric_is_one_record():
    def largest_ratio(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
        """Largest ratio of a bin's shares."""
        shares = [(x + 1) / (x + 1).sum(axis=-1, keepdims=True) for x in (reference, current)]
        return np.max(shares[1] / shares[0], axis=-1)

    mine = Metric("DD-99", "largest_ratio", largest_ratio, reads=("bins",), alert=2.0)
    report = gpumon.scan(
        {"x": rng.normal(2, 1, 4000)}, {"x": rng.normal(0, 1, 4000)}, metrics=(*CATALOGUE, mine)
    )
    (row,) = report.results.where(metric="largest_ratio")
    assert row.status == "alert"
    assert row.p_value < 0.01
    assert row.family == "data distribution"


def test_a_metric_that_fails_is_an_error_and_loses_no_other():
    def broken(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
        """A formula that cannot be computed."""
        raise ZeroDivisionError("no such thing")

    mine = Metric("DD-98", "broken", broken, reads=("bins",))
    report = gpumon.scan(table(200), table(300), metrics=("psi", mine))
    rows = list(report.results.where(metric="broken"))
    assert {(row.status, row.reason) for row in rows} == {("error", "ZeroDivisionError: no such thing")}
    assert {row.status for row in report.results.where(metric="psi")} <= {"ok", "warn"}
    assert report.status == "error"


def test_metrics_are_chosen_by_name_or_id():
    assert [metric.name for metric in chosen(["psi", "DD-03"])] == ["psi", "kolmogorov_smirnov"]
    assert len(chosen("quantile")) == 7
    with pytest.raises(OptionError, match="did you mean 'hellinger'"):
        chosen(["helinger"])
    report = gpumon.scan(table(100), table(100), metrics=["psi"])
    assert set(report.results["metric"]) == {"psi"}


def test_results_are_a_tidy_table(same_shares):
    frame = same_shares.to_pandas()
    assert tuple(frame.columns) == FIELDS
    assert same_shares.to_arrow().column_names == list(FIELDS)
    assert len(frame) == len(same_shares.results)


def test_the_noise_floor_knows_how_far_equal_distributions_stray():
    values = []
    for seed in range(60):
        r = np.random.default_rng(seed)
        report = gpumon.scan(
            {"x": r.normal(size=800)}, {"x": r.normal(size=1500)}, metrics=["psi", "jensen_shannon"]
        )
        values.append([row.p_value for row in report.results])
    p = np.array(values)
    assert 0.35 < p.mean() < 0.65
    assert (p < 0.05).mean() < 0.15
    assert distances.psi(np.array([10, 10]), np.array([10, 10])) == 0


def test_estimates_without_labels_go_by_the_id_of_estimation_too():
    names = {metric.name for metric in chosen(["XC-11"])}
    estimates = {
        m.name for m in CATALOGUE if m.name.startswith("estimated_") or m.name.endswith("_over_estimate")
    }
    assert names == estimates | {"thresholded_accuracy"}
