"""A stuck model is an alert of ``stuck_share``; predictions that have moved are one of other metrics."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

import gpumon

PREDICTIONS = {
    "continuous": lambda rng, n: rng.normal(20, 4, n),
    "score": lambda rng, n: rng.beta(2, 5, n),
    "whole numbers": lambda rng, n: np.round(rng.normal(20, 4, n)),
    "cents": lambda rng, n: np.round(rng.lognormal(3, 1, n), 2),
    "two decimals": lambda rng, n: np.round(rng.beta(2, 5, n), 2),
    "classes": lambda rng, n: rng.choice(3, n, p=[0.5, 0.3, 0.2]).astype(float),
}
every_kind = pytest.mark.parametrize("kind", PREDICTIONS)
every_quantity = pytest.mark.parametrize("kind", [kind for kind in PREDICTIONS if kind != "classes"])


def scanned(current, reference, **options):
    metrics = ["stuck_share", "kolmogorov_smirnov"]
    return gpumon.scan(
        {"p": current}, {"p": reference}, roles={"prediction": "p"}, metrics=metrics, **options
    )


def stuck(current, reference):
    (row,) = scanned(current, reference).results.where(metric="stuck_share")
    return row


@every_kind
def test_a_constant_model_is_an_alert_whatever_its_answer(kind):
    rng = np.random.default_rng(0)
    reference = PREDICTIONS[kind](rng, 5000)
    for answer in (reference[0], reference.mean() + 0.00123, 999.0, -1.0):
        row = stuck(np.full(2000, answer), reference)
        assert (row.value, row.status) == (1.0, "alert")
        assert row.reason.startswith(f"constant: all rows are {answer:.6g}")
        assert 0.95 < row.ci_lower <= row.ci_upper == 1


@every_quantity
@pytest.mark.parametrize("seed", range(4))
def test_half_of_the_rows_with_one_fallback_value_are_an_alert(kind, seed):
    rng = np.random.default_rng(seed)
    reference, current = (PREDICTIONS[kind](rng, n) for n in (5000, 2000))
    fallback = (np.median(reference), reference.mean() + 0.00123, 0.0, -1.0)[seed]
    row = stuck(np.where(rng.random(2000) < 0.5, fallback, current), reference)
    assert row.status == "alert"
    assert 0.2 < row.value < 0.55
    assert row.ci_lower < row.value < row.ci_upper
    assert row.reason.startswith("stuck: ")
    assert "where no value had more than" in row.reason


@every_quantity
@pytest.mark.parametrize("by", [-3, -1, -0.5, 0.5, 1, 2, 6])
def test_predictions_that_move_are_not_stuck_rounded_or_not(kind, by):
    rng = np.random.default_rng(1)
    reference, current = (PREDICTIONS[kind](rng, n) for n in (8000, 4000))
    digits = {"whole numbers": 0, "cents": 2, "two decimals": 2}.get(kind, 15)
    report = scanned(np.round(current + by * reference.std(), digits), reference)
    (row,) = report.results.where(metric="stuck_share")
    assert row.status == "ok"
    (shift,) = report.results.where(metric="kolmogorov_smirnov")
    assert shift.status == "alert"


@pytest.mark.parametrize("share", [0.1, 0.3, 0.7, 0.75])
def test_classes_whose_shares_change_are_not_stuck(share):
    rng = np.random.default_rng(2)
    reference = PREDICTIONS["classes"](rng, 8000)
    rest = 1 - share
    row = stuck(rng.choice(3, 4000, p=[share, 0.6 * rest, 0.4 * rest]).astype(float), reference)
    assert (row.value, row.status) == (0.0, "ok")


@every_kind
def test_unchanged_predictions_are_never_stuck(kind):
    for seed in range(50):
        rng = np.random.default_rng([seed, 5])
        n, m = [(4000, 2000), (3000, 200), (400, 60), (1000, 25), (30, 200)][seed % 5]
        assert stuck(*(PREDICTIONS[kind](rng, size) for size in (m, n))).status == "ok", seed


def test_the_value_and_its_interval_are_those_of_the_most_frequent_value():
    rng = np.random.default_rng(3)
    reference, current = (np.round(rng.normal(20, 4, n)) for n in (5000, 2000))
    current[rng.random(2000) < 0.6] = 22.0
    row = stuck(current, reference)
    k, largest = np.sum(current == 22), np.unique(reference, return_counts=True)[1].max() / 5000
    usual = 4 * largest / (1 + 3 * largest)
    wilson = proportion_confint(k, 2000, method="wilson")
    told = (row.value, row.ci_lower, row.ci_upper)
    assert told == pytest.approx([(x - usual) / (1 - usual) for x in (k / 2000, *wilson)])
    assert row.lower == row.value == row.upper
    assert row.p_value < 1e-100
    assert row.reason.startswith(
        f"stuck: {100 * k / 2000:.0f} % of rows have the value 22, where no value had"
    )


def test_each_window_and_segment_is_stuck_for_itself():
    rng = np.random.default_rng(4)

    def table(n):
        return {
            "p": rng.beta(2, 5, n),
            "t": np.datetime64("2025-03-01") + np.arange(n) % 3,
            "g": np.where(np.arange(n) % 2, "north", "south"),
        }

    current = table(6000)
    broken = (current["t"] == np.datetime64("2025-03-02")) & (current["g"] == "north")
    current["p"][broken] = 0.31
    report = gpumon.scan(
        current, table(9000), roles={"score": "p"}, timestamp="t", every="1d", by="g", metrics=["stuck_share"]
    )
    status = {(row.window, row.segment): row.status for row in report.results.where(metric="stuck_share")}
    assert len(status) == 12
    stuck_at = {at for at, told in status.items() if told != "ok"}
    assert stuck_at == {(window, segment) for window in ("2025-03-02", None) for segment in ("g=north", None)}
