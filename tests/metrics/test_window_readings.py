"""Each window beside the one before it, and all so far beside the reference: held against SciPy on the rows themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

import gpumon

WORDS = np.array(["a", "b", "c"])
ROLES = {"score": "p", "prediction": "c"}
TIME = {"timestamp": "t", "every": "1d", "roles": ROLES}
ROWS = ("psi_previous", "psi_cumulative", "jensen_shannon_previous", "jensen_shannon_cumulative")


def rows(rng, days, size=400, shift=0.0, start="2025-03-01"):
    """Rows of the days ``days``; scores move by ``shift`` of each."""
    when = np.repeat(np.asarray(days), size)
    z = rng.normal(np.broadcast_to(shift, len(days)).repeat(size))
    return {
        "p": 1 / (1 + np.exp(-z)),
        "c": WORDS[rng.choice(3, when.size, p=[0.5, 0.3, 0.2])],
        "x": rng.normal(size=when.size),
        "g": np.array(["u", "v"])[rng.integers(0, 2, when.size)],
        "t": np.datetime64(start, "s") + when * 86_400,
    }


def found(report, metric, column, segment=None):
    return {row.window: row for row in report.results.where(metric=metric, column=column, segment=segment)}


def shares(table, window, segment=None):
    mine = table["t"].astype("M8[D]").astype(str) == window
    if segment is not None:
        mine &= table["g"] == segment.removeprefix("g=")
    return np.array([(table["c"][mine] == word).sum() for word in WORDS])


def test_a_class_is_compared_with_the_window_before_it_in_its_segment():
    rng = np.random.default_rng(0)
    now, before = rows(rng, [0, 1, 4, 5]), rows(rng, [0])
    report = gpumon.scan(now, before, by="g", **TIME)
    days = ["2025-03-01", "2025-03-02", "2025-03-05", "2025-03-06"]
    for segment in (None, "g=u", "g=v"):
        previous = found(report, "jensen_shannon_previous", "c", segment)
        so_far = found(report, "jensen_shannon_cumulative", "c", segment)
        assert [*previous] == days
        assert previous[days[0]].status == "no_data"
        assert previous[days[0]].reason == "there is no window before it"
        counts = [shares(now, day, segment) for day in days]
        reference = shares(before, days[0], segment)
        for i, day in enumerate(days):
            expected = jensenshannon(reference, np.sum(counts[: i + 1], axis=0), base=2)
            assert so_far[day].value == pytest.approx(expected, abs=1e-12)
            assert so_far[day].n == np.sum(counts[: i + 1])
            assert np.isnan(so_far[day].threshold)
            if i:
                assert previous[day].value == pytest.approx(jensenshannon(counts[i - 1], counts[i], base=2))
                assert previous[day].n == counts[i].sum()


def test_the_first_window_is_compared_with_the_last_one_of_an_earlier_reference():
    rng = np.random.default_rng(1)
    now, before = rows(rng, [0, 1]), rows(rng, [0, 1, 3], start="2025-02-01")
    report = gpumon.scan(now, before, **TIME)
    first = found(report, "jensen_shannon_previous", "c")["2025-03-01"]
    counts = shares(before, "2025-02-04"), shares(now, "2025-03-01")
    assert first.value == pytest.approx(jensenshannon(*counts, base=2))
    later = rows(rng, [0, 1], start="2025-04-01")
    report = gpumon.scan(now, later, **TIME)
    assert found(report, "jensen_shannon_previous", "c")["2025-03-01"].status == "no_data"


def test_a_segment_that_the_reference_lacks_has_no_window_before_its_first():
    rng = np.random.default_rng(2)
    before = rows(rng, [0, 1], start="2025-02-01")
    before["g"][:] = "u"
    report = gpumon.scan(rows(rng, [0, 1]), before, by="g", **TIME)
    assert found(report, "psi_previous", "p", "g=u")["2025-03-01"].status == "ok"
    assert found(report, "psi_previous", "p", "g=v")["2025-03-01"].status == "no_data"
    assert found(report, "psi_previous", "p", "g=v")["2025-03-02"].status == "ok"


def test_a_step_is_an_alert_once_and_the_way_back_another_with_the_window_named():
    rng = np.random.default_rng(3)
    shift = np.where((np.arange(12) >= 5) & (np.arange(12) < 8), 1.0, 0.0)
    report = gpumon.scan(rows(rng, range(12), shift=shift), rows(rng, [0], 8000), **TIME)
    for metric in ("psi_previous", "jensen_shannon_previous"):
        of = found(report, metric, "p")
        assert [day for day, row in of.items() if row.status == "alert"] == ["2025-03-06", "2025-03-09"]
        assert of["2025-03-06"].reason.endswith(", against 2025-03-05")
        assert {row.reason for row in of.values() if row.status == "ok"} == {""}
    shared = {row.window: row.value for row in report.results.where(id="DI-06") if row.window}
    assert shared["2025-03-09"] == 0  # back to the reference: no column drifted


def test_all_windows_so_far_are_at_last_all_rows():
    rng = np.random.default_rng(4)
    report = gpumon.scan(rows(rng, range(5), shift=0.3), rows(rng, range(9), start="2025-01-01"), **TIME)
    for column in ("p", "c"):
        for base in ("psi", "jensen_shannon"):
            of = found(report, f"{base}_cumulative", column)
            whole, first = (found(report, base, column)[window] for window in (None, "2025-03-01"))
            assert of["2025-03-05"].value == pytest.approx(whole.value)
            assert of["2025-03-01"].value == pytest.approx(first.value)


def test_they_are_of_scores_and_predictions_and_of_every_column_that_is_asked_for_by_name():
    rng = np.random.default_rng(5)
    tables = rows(rng, range(3)), rows(rng, [0])
    report = gpumon.scan(*tables, **TIME)
    for metric in ROWS:
        assert set(report.results.where(metric=metric)["column"]) == {"p", "c"}
    report = gpumon.scan(*tables, metrics="psi_previous", **TIME)
    assert set(report.results["column"]) == {"p", "c", "x", "g"}
    assert not len(gpumon.scan(*tables, metrics="psi_previous", roles=ROLES).results)  # no windows


def test_rows_without_a_time_are_no_window():
    rng = np.random.default_rng(6)
    now = rows(rng, range(3))
    now["t"][:50] = np.datetime64("NaT")
    report = gpumon.scan(now, rows(rng, [0]), **TIME)
    assert [*found(report, "psi_previous", "p")] == ["2025-03-01", "2025-03-02", "2025-03-03"]


def test_without_a_reference_windows_are_compared_and_not_judged():
    rng = np.random.default_rng(7)
    now = rows(rng, range(4), shift=np.array([0.0, 0.0, 2.0, 2.0]))
    now["y"] = rng.random(now["p"].size) < now["p"]
    report = gpumon.evaluate(now, target="y", score="p", timestamp="t", every="1d")
    of = found(report, "psi_previous", "p")
    assert [row.status for row in of.values()] == ["no_data", "ok", "ok", "ok"]
    assert of["2025-03-03"].value > 1
    assert np.isnan(of["2025-03-03"].threshold)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(5)))
def test_they_do_not_depend_on_the_order_in_which_profiles_are_added(order):
    rng = np.random.default_rng(8)
    reference = gpumon.profile(rows(rng, [0]), **TIME)
    days = [gpumon.profile(rows(rng, [day]), like=reference, timestamp="t", every="1d") for day in range(5)]
    added = days[order[0]]
    for day in order[1:]:
        added = added + days[day]
    straight = days[0] + days[1] + days[2] + days[3] + days[4]
    one, two = (gpumon.scan(each, reference).results for each in (added, straight))
    for metric in ROWS:
        assert len(one.where(metric=metric)) == 10
        for name in ("window", "value", "threshold", "status"):
            left, right = (results.where(metric=metric)[name].tolist() for results in (one, two))
            assert (
                left == pytest.approx(right, nan_ok=True) if name in {"value", "threshold"} else left == right
            )


@pytest.mark.parametrize("size", [60, 700])
@pytest.mark.parametrize("history", [1, 12])
def test_windows_that_are_alike_raise_no_alarm(size, history):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        report = gpumon.scan(
            rows(rng, range(30), size), rows(rng, range(history), 6000 // history, start="2025-01-01"), **TIME
        )
        for metric in ("psi_previous", "jensen_shannon_previous"):
            assert {row.status for row in report.results.where(metric=metric)} <= {"ok", "no_data"}
