"""Verdicts: an effect must be larger than chance, than history, and than what matters."""

from __future__ import annotations

import numpy as np
import pytest

import gpumon
from gpumon.errors import OptionError
from gpumon.metrics import CATALOGUE
from gpumon.verdicts.judge import worst
from gpumon.verdicts.reasons import percent
from gpumon.verdicts.thresholds import Thresholds


def test_a_tiny_change_of_a_million_rows_is_significant_and_does_not_matter():
    rng = np.random.default_rng(0)
    report = gpumon.scan({"x": rng.normal(0.01, 1, 1_000_000)}, {"x": rng.normal(0, 1, 1_000_000)})
    row = next(iter(report.results.where(metric="kolmogorov_smirnov")))
    assert row.q_value < 1e-6
    assert row.status == "ok"
    assert report.status == "ok"


def test_a_large_change_of_a_few_rows_is_chance():
    rng = np.random.default_rng(3)
    report = gpumon.scan({"x": rng.normal(0.3, 1, 20)}, {"x": rng.normal(0, 1, 20)})
    (row,) = report.results.where(metric="psi")
    assert row.value > 0.25  # the conventional alert
    assert row.status == "ok"


def test_a_real_change_is_an_alert_with_a_reason():
    rng = np.random.default_rng(0)
    report = gpumon.scan({"x": rng.normal(1, 2, 5000)}, {"x": rng.normal(0, 1, 5000)})
    assert report.status == "alert"
    assert report.reason("x").startswith("moved up by 0.9")
    assert "spread is 2" in report.reason("x")


@pytest.mark.parametrize(("shift", "status"), [(0.0, "ok"), (0.05, "ok"), (0.15, "warn"), (0.3, "alert")])
def test_an_alert_is_a_shift_of_a_fifth_of_a_standard_deviation_and_a_warning_of_a_tenth(shift, status):
    rng = np.random.default_rng(5)
    report = gpumon.scan({"x": rng.normal(shift, 1, 200_000)}, {"x": rng.normal(0, 1, 200_000)})
    assert report.columns == {"x": status}


def test_history_widens_the_thresholds_of_windows():
    rng = np.random.default_rng(0)

    def days(shifts: list[float]) -> dict[str, np.ndarray]:
        times = np.datetime64("2026-01-01") + np.arange(len(shifts)).repeat(500).astype("timedelta64[D]")
        return {"x": rng.normal(np.repeat(shifts, 500), 1), "t": times}

    restless = days(list(rng.normal(0, 0.5, 30)))
    calm = days([0.0] * 30)
    now = days([0.6] * 3)
    options = {"timestamp": "t", "every": "1d", "metrics": ["kolmogorov_smirnov"]}
    limits = {}
    for name, reference in (("restless", restless), ("calm", calm)):
        windows = [row for row in gpumon.scan(now, reference, **options).results if row.window is not None]
        limits[name] = windows[0].threshold
        statuses = {row.status for row in windows}
        assert statuses == ({"alert"} if name == "calm" else {"ok"})
    assert limits["restless"] > 2 * limits["calm"]


def test_windows_that_are_smaller_than_those_of_the_history_are_held_against_their_own_chance():
    rng = np.random.default_rng(2)

    def days(rows: int, start: str, count: int) -> dict[str, np.ndarray]:
        times = np.datetime64(start) + np.arange(count).repeat(rows).astype("timedelta64[D]")
        return {"x": rng.normal(size=times.size), "k": rng.choice(list("abcd"), times.size), "t": times}

    alerts = []
    for _ in range(5):
        large, small = days(500, "2026-01-01", 20), days(60, "2026-02-01", 30)
        results = gpumon.scan(small, large, timestamp="t", every="1d").results
        alerts += [row.metric for row in results if row.status == "alert" and row.metric != "row_count"]
    assert len(alerts) <= 2, alerts  # of 300 column-scans; history alone gave 43


def test_a_window_with_far_fewer_rows_than_usual_is_an_alert():
    times = np.datetime64("2026-01-01") + np.arange(20).repeat(1000).astype("timedelta64[D]")
    reference = {"x": np.arange(20_000.0) % 97, "t": times}
    keep = np.ones(20_000, bool)
    keep[3000:3900] = False
    current = {name: column[keep] for name, column in reference.items()}
    report = gpumon.scan(current, reference, timestamp="t", every="1d")
    (row,) = [r for r in report.results.where(metric="row_count") if r.status == "alert"]
    assert row.window == "2026-01-04"
    assert "100 rows where 1,000" in row.reason


def test_days_whose_rows_vary_by_chance_have_no_alert_of_volume():
    alerts = {"calibrated": 0, "conventional": 0}
    for seed in range(12):
        rng = np.random.default_rng(seed)

        def days(first, count, rng=rng):
            day = np.arange(count).repeat(rng.poisson(200, count))
            return {"x": rng.normal(size=day.size), "t": np.datetime64(first) + day}

        tables = days("2026-02-01", 30), days("2026-01-01", 20)
        for name in alerts:
            report = gpumon.scan(*tables, timestamp="t", every="1d", metrics=["row_count"], thresholds=name)
            alerts[name] += len(report.results.where(metric="row_count", status="alert"))
    assert alerts["calibrated"] == 0
    assert alerts["conventional"] >= 3


def test_thresholds_can_be_conventional_or_given():
    rng = np.random.default_rng(0)
    tables = {"x": rng.normal(0.25, 1, 50_000)}, {"x": rng.normal(0, 1, 50_000)}

    def psi(thresholds):
        (row,) = gpumon.scan(*tables, metrics=["psi"], thresholds=thresholds).results.where(metric="psi")
        return row

    assert psi(None).status == "alert"
    assert (psi("conventional").status, psi("conventional").threshold) == ("ok", 0.25)
    assert psi({"psi": 0.02}).status == "alert"
    assert psi({"psi": (0.01, 0.5)}).status == "warn"


@pytest.mark.parametrize(
    ("thresholds", "budget", "message"),
    [
        ("strict", None, "'strict' are unknown: use one of calibrated, conventional"),
        ({"pzi": 0.1}, None, "'pzi', which is not measured"),
        ({"psi": "high"}, None, "give a number or a pair"),
        (3, None, "must be a name or a mapping"),
        (None, 7.0, "must be between 0 and 1"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(thresholds, budget, message):
    with pytest.raises(OptionError, match=message):
        Thresholds.of(thresholds, budget, CATALOGUE)


def test_new_categories_are_named():
    rng = np.random.default_rng(0)
    reference = {"c": rng.choice(["a", "b"], 5000)}
    current = {"c": np.where(rng.random(5000) < 0.1, "new one", rng.choice(["a", "b"], 5000))}
    report = gpumon.scan(current, reference)
    (row,) = report.results.where(metric="new_categories")
    assert row.status == "alert"
    assert row.value == row.upper == np.mean(current["c"] == "new one")
    assert "“new one”" in report.reason("c")


def test_missing_values_that_grow_are_an_alert():
    rng = np.random.default_rng(0)
    x = rng.normal(size=5000)
    report = gpumon.scan({"x": np.where(rng.random(5000) < 0.2, np.nan, x)}, {"x": x})
    (row,) = report.results.where(metric="missing_rate")
    assert row.status == "alert"
    assert "missing rose from 0 % to 20 %" in report.reason("x")


def test_the_drifted_share_counts_columns():
    rng = np.random.default_rng(0)
    reference = {f"x{i}": rng.normal(size=3000) for i in range(4)}
    current = {name: x + (1 if name == "x0" else 0) for name, x in reference.items()}
    (row,) = gpumon.scan(current, reference).results.where(metric="drifted_share")
    assert (row.value, row.n, row.status) == (0.25, 4, "ok")
    current = {name: x + 1 for name, x in reference.items()}
    (row,) = gpumon.scan(current, reference).results.where(metric="drifted_share")
    assert row.status == "alert"


def test_ids_and_times_are_described_and_never_judged():
    reference = {
        "id": np.arange(1000),
        "t": np.datetime64("2026-01-01") + np.arange(1000).astype("timedelta64[h]"),
    }
    current = {"id": np.arange(1000) + 5000, "t": reference["t"] + np.timedelta64(400, "D")}
    report = gpumon.scan(current, reference, roles={"id": "id"})
    assert report.status == "ok"
    assert report.results.where(column="id", metric="psi")["value"].size == 0
    assert report.results.where(column="t", metric="count")["value"].tolist() == [1000.0]


def test_the_gravest_status_wins():
    assert worst(["ok", "warn", "no_data"]) == "warn"
    assert worst(["ok", "alert", "error"]) == "alert"
    assert worst([]) == "no_data"


def test_shares_read_as_people_say_them():
    assert [percent(x) for x in (0.0, 1.0, 0.5, 0.045, 0.0007)] == [
        "0 %",
        "100 %",
        "50 %",
        "4.5 %",
        "0.070 %",
    ]
