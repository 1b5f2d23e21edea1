"""Performance over time: is the model still right, since when not, and is that the rows, the concept or chance?"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from sklearn import metrics as sk

import gpumon
from gpumon.demo import car_loans, car_prices
from gpumon.metrics import CATALOGUE

HEADLINES = ("accuracy", "auc", "log_loss", "brier_score")


def one(report, metric, *, segment=None, window=None, column=None):
    (row,) = report.results.where(metric=metric, segment=segment, window=window, column=column)
    return row


def day(seconds: float) -> str:
    return str(np.datetime64(int(seconds), "s").astype("M8[D]"))


def stream(rng, days, rows, truth, start="2025-01-01"):
    """Scores, labels by ``truth(score, day)``, and times."""
    p = rng.random(days * rows)
    when = np.repeat(np.arange(days), rows)
    y = rng.random(p.size) < np.clip(truth(p, when), 0, 1)
    return {"y": y, "p": p, "t": np.datetime64(start, "s") + when * 86_400 + rng.integers(0, 86_400, p.size)}


def evaluated(current, reference, **options):
    given = {"target": "y", "score": "p", "timestamp": "t", "every": "1d"}
    return gpumon.evaluate(current, reference, **given | options)


@pytest.fixture(scope="module")
def turned():
    """Right for 18 days of 30, then less so: the concept has changed, the scores have not."""
    rng = np.random.default_rng(0)
    reference = stream(rng, 20, 400, lambda p, _: p, "2024-12-01")
    current = stream(rng, 30, 400, lambda p, day: np.where(day < 18, p, 0.3 + 0.4 * p))
    return evaluated(current, reference), current


def test_the_change_is_found_on_its_day_by_everything_that_looks_for_it(turned):
    report, _ = turned
    first = "2025-01-19"
    time = one(report, "error_rate_change_time")
    assert day(time.ci_lower) <= first <= day(time.ci_upper)
    assert abs(time.value - np.datetime64(first, "s").astype(float)) <= 86_400
    change = one(report, "error_rate_change")
    assert change.status == "alert"
    assert change.ci_lower <= 0.15 <= change.ci_upper
    assert change.p_value <= 0.001
    assert change.reason.startswith("error rate rose from 0.2")
    assert f"(95 %: {day(time.ci_lower)} to {day(time.ci_upper)})" in change.reason
    for name in ("adwin", "page_hinkley", "ddm"):
        row = one(report, name)
        assert row.value >= 1
        assert row.reason.startswith("at 2025-01-")
        assert "2025-01-18" <= row.reason.split("since ")[1][:10] <= "2025-01-21"
    for name in HEADLINES:
        for chart in ("cusum", "ewma"):
            row = one(report, f"{name}_{chart}")
            assert row.status == "alert"
            since = row.reason.split("since ")[1][:10]
            assert "2025-01-15" <= since <= "2025-01-21"


def test_it_is_told_to_be_the_concept(turned):
    report, _ = turned
    change = one(report, "concept_change")
    assert change.status == "alert"
    assert change.id == "MD-06"
    assert (
        abs(one(report, "concept_change_time").value - np.datetime64("2025-01-19", "s").astype(float))
        <= 86_400
    )


def test_rows_that_became_harder_are_no_change_of_the_concept():
    rng = np.random.default_rng(1)

    def rows(days, harder, start):
        found = stream(rng, days, 500, lambda p, _: p, start)
        at = np.repeat(np.arange(days), 500) >= harder
        p = np.where(at, 0.3 + 0.4 * found["p"], found["p"])
        return found | {"p": p, "y": rng.random(p.size) < p}

    report = evaluated(rows(30, 15, "2025-01-01"), rows(12, 99, "2024-12-01"))
    assert one(report, "error_rate_change").status == "alert"
    assert day(one(report, "error_rate_change_time").value) == "2025-01-16"
    assert one(report, "concept_change").status == "ok"


def test_the_errors_are_those_of_the_table_and_the_change_that_of_a_brute_search(turned):
    _, current = turned
    report = evaluated(current, None)
    wrong = (current["p"] >= 0.5) != current["y"]
    windows = ((current["t"] - np.datetime64("2025-01-01")) // np.timedelta64(1, "D")).astype(int)
    k, n = np.bincount(windows, wrong), np.bincount(windows)

    def fit(k, n):
        return stats.binom.logpmf(k, n, k.sum() / n.sum()).sum()

    best = max(range(1, 30), key=lambda cut: fit(k[:cut], n[:cut]) + fit(k[cut:], n[cut:]))
    row = one(report, "error_rate_change")
    assert day(one(report, "error_rate_change_time").value) == str(np.datetime64("2025-01-01") + best)
    assert row.value == pytest.approx(k[best:].sum() / n[best:].sum() - k[:best].sum() / n[:best].sum())
    assert row.reference == pytest.approx(k[:best].sum() / n[:best].sum())
    assert row.status == "ok"
    assert row.threshold != row.threshold
    assert row.p_value <= 0.001


def test_the_trend_is_that_of_scipy_over_the_windows(turned):
    report, current = turned
    values = [row.value for row in report.results.where(metric="auc", segment=None) if row.window]
    found = one(report, "auc_trend")
    slope, _, lower, upper = stats.theilslopes(values)
    assert (found.value, found.ci_lower, found.ci_upper) == pytest.approx((slope, lower, upper))
    assert found.p_value == pytest.approx(stats.kendalltau(range(30), values).pvalue)
    first = current["t"] < np.datetime64("2025-01-02")
    assert values[0] == pytest.approx(sk.roc_auc_score(current["y"][first], current["p"][first]), abs=1e-4)


def test_a_slow_decay_is_a_trend():
    rng = np.random.default_rng(3)
    current = stream(rng, 40, 500, lambda p, day: p + day / 40 * 0.5 * (0.5 - p))
    report = evaluated(current, stream(rng, 10, 800, lambda p, _: p, "2024-12-01"))
    row = one(report, "accuracy_trend")
    assert row.status == "alert"
    assert row.unit == "a window"
    assert row.ci_lower < -0.25 / 2 / 40 < row.ci_upper


def test_breaches_are_the_windows_that_have_an_alert(turned):
    report, _ = turned
    for name in HEADLINES:
        windows = [row for row in report.results.where(metric=name, segment=None, column=None) if row.window]
        alerts = [row.window for row in windows if row.status == "alert"]
        row = one(report, f"{name}_breaches")
        assert row.value == len(alerts)
        assert row.n == sum(each.n for each in windows)
        newest = windows[-1].status == "alert"
        assert row.status == ("alert" if newest else "warn" if alerts else "ok")
        assert all(window in row.reason for window in alerts[:5])


def test_a_model_that_got_better_is_no_alert():
    rng = np.random.default_rng(4)
    current = stream(rng, 20, 400, lambda p, day: np.where(day < 10, p, 1.6 * p - 0.3))
    report = evaluated(current, stream(rng, 10, 600, lambda p, _: p, "2024-12-01"))
    row = one(report, "error_rate_change")
    assert row.value < 0
    assert row.p_value <= 0.001
    names = {metric.name for metric in CATALOGUE if metric.over_time}
    assert {row.status for row in report.results if row.metric in names} == {"ok"}


def test_a_change_on_the_first_day_is_seen_against_the_reference():
    rng = np.random.default_rng(5)
    current = stream(rng, 10, 500, lambda p, _: 0.3 + 0.4 * p)
    report = evaluated(current, stream(rng, 10, 800, lambda p, _: p, "2024-12-01"))
    assert day(one(report, "error_rate_change_time").value) == "2025-01-01"
    assert "since 2025-01-01" in one(report, "accuracy_cusum").reason


def test_windows_without_labels_enough_are_left_out_and_that_is_said():
    rng = np.random.default_rng(6)
    reference = stream(rng, 10, 400, lambda p, _: p, "2024-12-01")
    current = stream(rng, 20, 400, lambda p, day: np.where(day < 10, p, 0.35 + 0.3 * p))
    late = current["t"] >= np.datetime64("2025-01-16")
    unknown = late & (rng.random(late.size) < 0.5)
    current["y"] = pa.array(current["y"].astype(np.int64), mask=unknown)
    reference["y"] = reference["y"].astype(np.int64)
    report = evaluated(current, reference)
    for name in ("accuracy_cusum", "auc_ewma", "log_loss_trend", "error_rate_change", "adwin"):
        row = one(report, name)
        assert "5 immature windows left out" in row.method
        assert row.n == 15 * 400
    assert one(report, "accuracy_breaches").method == "5 immature windows left out"
    patient = evaluated(current, reference, maturity=0)
    assert "immature" not in one(patient, "accuracy_cusum").method
    assert one(patient, "accuracy_cusum").n > 15 * 400
    none = {**current, "y": pa.array([None] * late.size, pa.int64())}
    report = evaluated(none, reference)
    names = {m.name for m in CATALOGUE if m.over_time}
    rows = [row for row in report.results if row.metric in names]
    assert {row.status for row in rows} == {"no_data"}
    assert all(row.reason for row in rows)


def test_segments_have_courses_of_their_own():
    rng = np.random.default_rng(7)
    tables = []
    for days, bad, start in ((10, 99, "2024-12-01"), (20, 10, "2025-01-01")):
        group = rng.integers(0, 2, days * 600).astype(bool)
        table = stream(
            rng, days, 600, lambda p, day, bad=bad, group=group: np.where((day >= bad) & group, 0.3 + 0.4 * p, p), start
        )  # fmt: skip
        tables.append(table | {"g": np.where(group, "turned", "same")})
    report = evaluated(tables[1], tables[0], by="g")
    assert one(report, "error_rate_change", segment="g=turned").status == "alert"
    assert one(report, "error_rate_change", segment="g=same").status == "ok"
    assert one(report, "accuracy_cusum", segment="g=turned").status == "alert"
    assert one(report, "accuracy_cusum", segment="g=same").status == "ok"
    alone = evaluated(
        *({name: column[table["g"] == "turned"] for name, column in table.items()} for table in tables[::-1])
    )
    for name in ("error_rate_change", "accuracy_cusum", "auc_trend", "page_hinkley"):
        assert one(alone, name).value == pytest.approx(one(report, name, segment="g=turned").value)


def test_the_segments_and_slices_that_a_change_meets_are_named():
    rng = np.random.default_rng(3)
    tables = []
    for days, bad, start in ((10, 99, "2024-12-01"), (20, 10, "2025-01-01")):
        group, noise = rng.choice(list("abcdef"), days * 1_500), rng.choice(["u", "v"], days * 1_500)
        worse = {"b": 0.6, "e": 0.3}
        less = np.array([worse.get(each, 0.0) for each in group])
        table = stream(
            rng,
            days,
            1_500,
            lambda p, day, bad=bad, less=less: np.where(day >= bad, p + less * (0.5 - p), p),
            start,
        )
        tables.append(table | {"g": group, "h": noise})
    report = evaluated(tables[1], tables[0], by="g", slices=["g", "h"])
    change = one(report, "error_rate_change")
    assert change.status == "alert"
    found = {name: segments for name, segments in report.affected_segments.items() if segments}
    assert found["error_rate_change"] == ["g=b", "g=e"]
    assert found["concept_change"] == ["g=b", "g=e"]
    by = one(report, "error_rate_change", segment="g=b")
    assert f"affected segments: g=b by {by.value:.3g}, g=e by " in change.reason
    assert "slices: g=b, g=e" in change.reason
    count = one(report, "error_rate_change_segments")
    assert (count.value, count.id, count.method.partition(";")[0]) == (2, "MD-06", "of 6")
    assert one(report, "concept_change_segments").id == "MD-06"
    assert count.n == sum(row.n for row in report.results.where(metric="error_rate_change") if row.segment)
    tested = [row for row in report.results.where(metric="error_rate_change") if row.segment]
    expected = stats.false_discovery_control([row.p_value for row in tested])
    assert [row.q_value for row in tested] == pytest.approx(expected.tolist())
    whole = evaluated(tables[1], tables[0])
    assert whole.affected_segments == {}
    assert "affected" not in one(whole, "error_rate_change").reason


def test_a_change_of_nobody_names_nobody():
    named = 0
    for seed in range(20):
        rng = np.random.default_rng(100 + seed)
        tables = [
            stream(rng, 8, 400, lambda p, _: p) | {"g": rng.choice(list("abcd"), 3_200)} for _ in range(2)
        ]
        report = evaluated(*tables, by="g", metrics=["error_rate_change", "error_rate_change_segments"])
        named += any(report.affected_segments.values())
        assert report.affected_segments.keys() == {"error_rate_change"}
    assert named <= 2


def test_rows_without_a_time_are_no_window_of_a_course(turned):
    report, current = turned
    lost = {**current, "t": pa.array(current["t"], mask=np.arange(current["p"].size) % 7 == 0)}
    found = evaluated(lost, None)
    assert "no timestamp" in found.current.windows
    assert day(one(found, "error_rate_change_time").value) in {"2025-01-18", "2025-01-19", "2025-01-20"}
    assert one(found, "error_rate_change").n < one(report, "error_rate_change").n


def test_the_spread_of_the_references_windows_widens_the_limits():
    rng = np.random.default_rng(8)

    def rows(days, start):
        level = np.clip(rng.normal(0.5, 0.1, days), 0.2, 0.8)  # days differ, and mean nothing
        return stream(rng, days, 2_000, lambda p, day: (1 - level[day]) * p + level[day] * 0.5, start)

    reference, current = rows(30, "2024-11-01"), rows(30, "2025-01-01")
    report = evaluated(current, reference)
    assert one(report, "accuracy_cusum").status == "ok"
    assert one(report, "error_rate_change").status == "ok"
    undated = {**reference, "t": np.full(reference["t"].size, np.datetime64("2024-11-01", "s"))}
    blind = evaluated(current, undated)
    assert one(blind, "accuracy_cusum").value > one(report, "accuracy_cusum").value
    assert one(blind, "error_rate_change").p_value < one(report, "error_rate_change").p_value


def test_the_prices_became_easier_which_no_detector_of_more_errors_tells():
    reference, current, labels = car_prices()
    report = gpumon.evaluate(
        current, reference, labels=labels, on="id", target="y_true", prediction="y_pred",
        timestamp="timestamp", every="1w",
    )  # fmt: skip
    row = one(report, "absolute_error_change")
    assert row.value < -100
    assert row.status == "ok"
    assert one(report, "page_hinkley").value == 0
    assert one(report, "adwin").value >= 1
    assert {row.status for row in report.results.where(metric="mae_cusum")} == {"ok"}
    assert not len(report.results.where(metric="ddm"))


def test_the_fall_of_the_loans_has_a_date():
    reference, current, labels = car_loans()
    report = gpumon.evaluate(
        current, reference, labels=labels, on="id", target="repaid", score="y_pred_proba", prediction="y_pred",
        timestamp="timestamp", every="1w",
    )  # fmt: skip
    assert day(one(report, "error_rate_change_time").value) == "2019-04-01"
    for name in ("adwin", "page_hinkley", "ddm"):
        assert "of a change since 2019-04-01" in one(report, name).reason
    assert "since 2019-04-01" in one(report, "accuracy_cusum").reason


def test_few_windows_are_not_judged_for_a_trend_and_one_has_no_change():
    rng = np.random.default_rng(9)
    report = evaluated(stream(rng, 1, 400, lambda p, _: p), None)
    assert one(report, "error_rate_change").status == "no_data"
    assert one(report, "auc_trend").reason == "a trend needs three mature windows, there are 1"
    report = evaluated(
        stream(rng, 4, 400, lambda p, day: 0.5 + (p - 0.5) / (1 + day)),
        stream(rng, 4, 400, lambda p, _: p, "2024-01-01"),
    )
    row = one(report, "accuracy_trend")
    assert row.threshold != row.threshold
    assert row.status == "ok"


def test_thresholds_of_charts_can_be_given_and_conventional():
    rng = np.random.default_rng(10)
    rows = stream(rng, 12, 300, lambda p, _: p), stream(rng, 12, 300, lambda p, _: p, "2024-01-01")
    conventional = evaluated(*rows, thresholds="conventional")
    assert one(conventional, "auc_cusum").threshold == pytest.approx(4.1)
    given = evaluated(*rows, thresholds={"accuracy_ewma": 0.001}, metrics=["accuracy_ewma"])
    assert one(given, "accuracy_ewma").threshold == 0.001
    assert set(given.results["metric"]) == {"accuracy_ewma"}
    with_windows = evaluated(*rows, metrics=["accuracy_breaches"])
    assert set(with_windows.results["metric"]) == {"accuracy", "accuracy_breaches"}


def test_weights_count_in_the_courses():
    rng = np.random.default_rng(11)
    reference = stream(rng, 10, 400, lambda p, _: p, "2024-12-01")
    current = stream(rng, 20, 400, lambda p, day: np.where(day < 10, p, 0.35 + 0.3 * p))
    plain = evaluated(current, reference)
    for weight in (1.0, 3.0):
        tables = [table | {"w": np.full(table["p"].size, weight)} for table in (current, reference)]
        found = evaluated(*tables, weight="w")
        for name in ("error_rate_change", "accuracy_cusum"):
            assert one(found, name).value == pytest.approx(one(plain, name).value)


def test_hourly_windows_are_dated_to_the_hour():
    rng = np.random.default_rng(12)
    table = stream(rng, 2, 12_000, lambda p, _: p)
    late = table["t"] >= np.datetime64("2025-01-02T07:00")
    table["y"] = np.where(late, rng.random(late.size) < 0.5, table["y"])
    report = evaluated(table, None, every="1h")
    assert np.datetime64(int(one(report, "error_rate_change_time").value), "s") == np.datetime64(
        "2025-01-02T07:00"
    )


def test_no_change_raises_no_alarm_over_time():
    names = {metric.name for metric in CATALOGUE if metric.over_time or metric.limit}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        rows = [stream(rng, days, 200, lambda p, _: p) for days in (25, 15)]
        report = evaluated(*rows)
        assert not [row for row in report.results if row.metric in names and row.status in {"warn", "alert"}]
