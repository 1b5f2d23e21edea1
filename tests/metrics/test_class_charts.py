"""Shares of predicted classes on control charts: the numbers off the rows, their limits, and when they alarm."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import proportions_ztest

import gpumon
from gpumon.reports import views

WORDS = np.array(["a", "b", "c"])
USUAL = (0.6, 0.3, 0.1)
TIME = {"target": "y", "prediction": "c", "timestamp": "t", "every": "1d"}


def rows(rng, days, size, share=lambda day: USUAL, start="2025-03-01", wild=0.0, words=WORDS):
    """Days whose shares are as said, or differ by themselves if they are ``wild``."""
    parts = []
    for day in range(days):
        p = share(day) if not wild else rng.dirichlet(np.array(share(day)) / wild)
        parts.append(words[rng.choice(3, size, p=p)])
    c = np.concatenate(parts)
    return {
        "c": c,
        "y": words[rng.choice(3, c.size)],
        "g": np.array(["u", "v"])[rng.integers(0, 2, c.size)],
        "t": np.datetime64(start, "s") + np.repeat(np.arange(days), size) * 86_400,
    }


def chart(report, column, name="predicted_class_chart", segment=None):
    return {row.window: row for row in report.results.where(metric=name, column=column, segment=segment)}


def test_a_window_is_compared_with_the_references_share_on_a_p_chart():
    rng = np.random.default_rng(0)
    before, now = rows(rng, 3, 1000, start="2025-01-01"), rows(rng, 4, 250)
    report = gpumon.evaluate(now, before, by="g", **TIME)
    for segment in (None, "g=u"):
        mine, theirs = (
            np.full(side["c"].size, fill_value=True) if segment is None else side["g"] == "u"
            for side in (now, before)
        )
        for word in WORDS:
            centre = np.mean(before["c"][theirs] == word)
            of, low, high = (
                chart(report, f"y={word}", f"predicted_class_{name}", segment)
                for name in ("chart", "lower_limit", "upper_limit")
            )
            assert len(of) == 4
            for window, row in of.items():
                day = mine & (now["t"].astype("M8[D]").astype(str) == window)
                k, n = np.sum(now["c"][day] == word), day.sum()
                assert row.value == pytest.approx(proportions_ztest(k, n, value=centre, prop_var=centre)[0])
                assert (row.reference, row.n, row.method) == (pytest.approx(centre), n, "p chart")
                sigma = np.sqrt(centre * (1 - centre) / n)
                assert low[window].value == pytest.approx(max(0, centre - 3 * sigma))
                assert high[window].value == pytest.approx(centre + 3 * sigma)
                assert np.isnan(low[window].threshold)


def test_of_two_classes_the_positive_one_is_told():
    rng = np.random.default_rng(1)
    before, now = ({**side, "c": side["c"] != "a"} for side in (rows(rng, 2, 900), rows(rng, 2, 900)))
    before, now = ({**side, "y": side["y"] != "a"} for side in (before, now))
    report = gpumon.evaluate(now, before, **TIME)
    assert [*chart(report, None)] == ["2025-03-01", "2025-03-02"]
    assert chart(report, None)["2025-03-01"].reference == pytest.approx(np.mean(before["c"]))


def test_a_share_that_moves_is_an_alert_that_says_what_is_usual_and_is_drawn():
    rng = np.random.default_rng(2)
    words = np.array(["a", "<script>alert(1)</script>", "c"])
    now = rows(rng, 12, 600, lambda day: USUAL if day < 8 else (0.45, 0.3, 0.25), words=words)
    report = gpumon.evaluate(now, rows(rng, 1, 6000, start="2025-01-01", words=words), **TIME)
    of = chart(report, "y=c")
    assert [window for window, row in of.items() if row.status == "alert"] == [
        f"2025-03-{day:02}" for day in (9, 10, 11, 12)
    ]
    assert "where 0.0" in of["2025-03-09"].reason
    assert "are usual (3 sigma)" in of["2025-03-09"].reason
    assert {row.reason for row in of.values() if row.status == "ok"} == {""}
    drawn = report.plot("predicted_class_chart of y=c").svg
    assert drawn.count("<circle") == 12
    page = views.page(report)["over_time"]["moved"]
    assert len(page) == 4  # the three classes, and PSI of the prediction
    assert "<script" not in "".join(page)


def test_a_rare_class_matters_at_a_tenth_of_it_and_a_sure_but_small_change_does_not():
    rng = np.random.default_rng(3)
    usual, later = (0.5, 0.49, 0.01), (0.489, 0.493, 0.018)
    before = rows(rng, 1, 200_000, lambda day: usual, start="2025-01-01")
    report = gpumon.evaluate(rows(rng, 1, 60_000, lambda day: later), before, **TIME)
    (big,), (rare,) = (chart(report, f"y={word}").values() for word in "ac")
    assert abs(big.value) > 4  # sure, but 0.011 of a half
    assert big.status == "ok"
    assert rare.status == "alert"


def test_references_whose_days_differ_allow_as_much():
    rng = np.random.default_rng(4)
    now = rows(rng, 30, 2000, wild=0.01)
    calm = gpumon.evaluate(now, rows(rng, 20, 2000, start="2025-01-01"), **TIME)
    wild = gpumon.evaluate(now, rows(rng, 20, 2000, start="2025-01-01", wild=0.01), **TIME)
    assert "alert" in {row.status for row in chart(calm, "y=a").values()}
    assert {row.status for row in chart(wild, "y=a").values()} == {"ok"}
    assert chart(wild, "y=a")["2025-03-01"].method == "p′ chart of 20 windows of the reference"
    limits = [
        np.mean([row.value for row in chart(report, "y=a", "predicted_class_upper_limit").values()])
        for report in (calm, wild)
    ]
    assert limits[1] - 0.6 > 3 * (limits[0] - 0.6)


def test_a_class_that_the_reference_never_predicts_has_no_sigma():
    rng = np.random.default_rng(5)
    before = rows(rng, 1, 900, lambda day: (0.6, 0.4, 0.0), start="2025-01-01")
    report = gpumon.evaluate(rows(rng, 2, 900), before, **TIME)
    for row in chart(report, "y=c").values():
        assert row.status == "no_data"
        assert row.reason == "the reference predicts it never, or always: there is no sigma"


def test_without_a_reference_or_windows_there_is_no_chart():
    rng = np.random.default_rng(6)
    now, before = rows(rng, 3, 300), rows(rng, 1, 300, start="2025-01-01")
    assert not chart(gpumon.evaluate(now, **TIME), "y=a")
    assert not chart(gpumon.evaluate(now, before, target="y", prediction="c"), "y=a")


@pytest.mark.parametrize("days", [1, 12])
@pytest.mark.parametrize("size", [50, 800])
def test_windows_that_are_alike_raise_no_alarm(days, size):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        before = rows(rng, days, 6000 // days, start="2025-01-01")
        report = gpumon.evaluate(rows(rng, 30, size), before, **TIME)
        assert {row.status for row in report.results.where(metric="predicted_class_chart")} == {"ok"}


def test_labels_are_not_needed():
    rng = np.random.default_rng(7)
    now, before = rows(rng, 3, 300), rows(rng, 1, 900, start="2025-01-01")
    now["y"] = np.full(now["c"].size, None, object)
    report = gpumon.evaluate(now, before, **TIME)
    assert {row.status for row in chart(report, "y=a").values()} == {"ok"}
