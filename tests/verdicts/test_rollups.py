"""Distances of all columns together, held against the columns' own rows; the early warning of a score."""

from __future__ import annotations

import numpy as np
import pytest

import gpumon

DISTANCES = {"psi": "MD-07", "jensen_shannon": "MD-08", "kolmogorov_smirnov": "MD-09", "hellinger": "MD-10"}


def rows(rng, n, shift=0.0):
    return {
        "a": rng.normal(shift, 1, n),
        "b": rng.normal(shift / 2, 1, n),
        "c": rng.choice(["x", "y"], n, p=[0.5, 0.5]),
        "p": rng.random(n) ** (1 + shift),
        "id": np.arange(n),
        "t": np.datetime64("2025-01-01", "s") + np.arange(n) % 2 * 86_400,
    }


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(0)
    return gpumon.scan(
        rows(rng, 5000, 0.3),
        rows(rng, 5000),
        roles={"score": "p", "id": "id"},
        timestamp="t",
        every="1d",
    )


@pytest.mark.parametrize("name", DISTANCES)
def test_they_are_those_of_the_columns_rows(report, name):
    for window in (None, "2025-01-01", "2025-01-02"):
        of = [
            row
            for row in report.results.where(metric=name, window=window, segment=None)
            if row.value == row.value
        ]
        assert {row.column for row in of} == {"a", "b", "p"} | (
            {"c"} if name != "kolmogorov_smirnov" else set()
        )
        expected = {
            "max": max(row.value for row in of),
            "mean": np.mean([row.value for row in of]),
            "warn_share": np.mean([row.status in {"warn", "alert"} for row in of]),
            "alert_share": np.mean([row.status == "alert" for row in of]),
            "significant_share": np.mean([row.q_value < 0.05 for row in of]),
        }
        for what, value in expected.items():
            (row,) = report.results.where(metric=f"{name}_{what}", window=window)
            assert row.value == pytest.approx(value)
            assert (row.id, row.n, row.column, row.status) == (DISTANCES[name], len(of), None, "ok")
        (largest,) = report.results.where(metric=f"{name}_max", window=window)
        assert largest.reason == f"in {max(of, key=lambda row: row.value).column}"


def test_conventional_thresholds_make_conventional_shares():
    rng = np.random.default_rng(1)
    found = gpumon.scan(
        {"a": rng.normal(0.4, 1, 9000), "b": rng.normal(0.1, 1, 9000), "c": rng.normal(1.5, 1, 9000)},
        {name: rng.normal(0, 1, 9000) for name in "abc"},
        thresholds="conventional",
        metrics=["psi_warn_share", "psi_alert_share"],
    )
    values = {row.column: row.value for row in found.results.where(metric="psi")}
    shares = {row.metric: row.value for row in found.results if row.metric != "psi"}
    assert shares["psi_warn_share"] == pytest.approx(np.mean([v > 0.1 for v in values.values()]))
    assert shares["psi_alert_share"] == pytest.approx(np.mean([v > 0.25 for v in values.values()]))
    assert 0 < shares["psi_alert_share"] < shares["psi_warn_share"] < 1


def test_a_roll_up_brings_what_it_rolls_up(report):
    rng = np.random.default_rng(2)
    found = gpumon.scan(rows(rng, 500), rows(rng, 500), metrics=["hellinger_max"])
    assert set(found.results["metric"]) == {"hellinger", "hellinger_max"}


def test_without_rows_roll_ups_are_no_data():
    rng = np.random.default_rng(3)
    empty = {name: column[:0] for name, column in rows(rng, 5).items()}
    found = gpumon.scan(empty, rows(rng, 500), metrics=["psi_max", "psi_warn_share"])
    assert {row.status for row in found.results} == {"no_data"}


def drifting(rng, days, rows, shift, history=False):
    when = np.repeat(np.arange(days), rows)
    z = rng.normal(np.asarray(shift)[when] if np.ndim(shift) else shift, 1, days * rows)
    start = np.datetime64("2024-11-01" if history else "2025-01-01", "s")
    return {"p": 1 / (1 + np.exp(-z)), "t": start + when * 86_400}


def warned(current, reference, **options):
    report = gpumon.scan(current, reference, roles={"score": "p"}, timestamp="t", every="1d", **options)
    (row,) = report.results.where(metric="jensen_shannon_ewma")
    return row, report


def test_a_small_shift_that_lasts_is_warned_of_before_any_window_is_judged_so():
    rng = np.random.default_rng(4)
    shift = np.where(np.arange(40) < 20, 0.0, 0.11)
    row, report = warned(drifting(rng, 40, 2500, shift), drifting(rng, 1, 30_000, 0.0))
    assert row.status == "warn"
    assert row.id == "PD-07"
    assert row.column == "p"
    since = row.reason.split("since ")[1][:10]
    assert "2025-01-21" <= since <= "2025-01-28"
    windows = [each for each in report.results.where(metric="jensen_shannon", column="p") if each.window]
    assert not any(each.status == "alert" for each in windows)


@pytest.mark.parametrize("size", [60, 400, 3000])
def test_windows_of_any_size_that_do_not_drift_raise_no_warning(size):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        row, _ = warned(drifting(rng, 20, size, 0.0), drifting(rng, 1, 10_000, 0.0))
        assert row.status == "ok"
        assert row.reason == ""
        assert row.value < row.threshold


def test_references_whose_days_differ_allow_as_much():
    rng = np.random.default_rng(5)
    wild = [rng.normal(0, 0.25, 30) for _ in range(2)]
    current = drifting(rng, 30, 1000, wild[0])
    row, _ = warned(current, drifting(rng, 30, 1000, wild[1], history=True))
    assert row.status == "ok"
    calm, _ = warned(current, drifting(rng, 30, 1000, 0.0, history=True))
    assert calm.status in {"warn", "alert"}


def test_a_step_is_dated():
    rng = np.random.default_rng(6)
    shift = np.where(np.arange(30) < 15, 0.0, 1.0)
    row, _ = warned(drifting(rng, 30, 500, shift), drifting(rng, 20, 500, 0.0, history=True))
    assert row.status == "alert"
    assert "since 2025-01-16" in row.reason
