"""Fairness from a table to the report, beside fairlearn; in every cut, on both engines, with weights and without labels."""

from __future__ import annotations

import distributed
import fairlearn.metrics as oracle
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

import gpumon
from gpumon.errors import GpumonError
from gpumon.profiles.groups import GroupErrors, Groups

GAPS = {
    "demographic_parity_difference": oracle.demographic_parity_difference,
    "demographic_parity_ratio": oracle.demographic_parity_ratio,
    "equal_opportunity_difference": oracle.equal_opportunity_difference,
    "equal_opportunity_ratio": oracle.equal_opportunity_ratio,
    "equalized_odds_difference": oracle.equalized_odds_difference,
    "equalized_odds_ratio": oracle.equalized_odds_ratio,
}
RATES = {
    "group_selection_rate": oracle.selection_rate,
    "group_true_positive_rate": oracle.true_positive_rate,
    "group_false_positive_rate": oracle.false_positive_rate,
    "group_false_negative_rate": oracle.false_negative_rate,
    "group_precision": sk.precision_score,
    "group_accuracy": sk.accuracy_score,
}


def people(n, seed, bias=0.0):
    rng = np.random.default_rng(seed)
    p = rng.random(n)
    sex, town = rng.choice(["f", "m"], n, p=[0.4, 0.6]), rng.choice(["a", "b", "c"], n)
    return {
        "y": (rng.random(n) < p).astype(int),
        "p": np.clip(p - bias * (sex == "f"), 0, 1),
        "sex": sex,
        "town": town,
        "age": rng.integers(18, 90, n),
        "t": np.datetime64("2024-05-01") + rng.integers(0, 3, n),
    }


def found(report, metric, column, window=None):
    (row,) = report.results.where(metric=metric, column=column, window=window, segment=None)
    return row


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1_500, 4_000), st.floats(0, 0.4))
def test_rates_and_gaps_are_those_of_fairlearn(seed, n, bias):
    rows = people(n, seed, bias)
    report = gpumon.evaluate(rows, target="y", score="p", sensitive_features=["sex", "town"])
    hard = (rows["p"] >= 0.5).astype(int)
    both = np.char.add(np.char.add(rows["sex"], "&"), rows["town"])
    for name, groups in (("sex", rows["sex"]), ("town", rows["town"]), ("sex & town", both)):
        for metric, theirs in GAPS.items():
            row = found(report, metric, f"by {name}")
            assert row.value == pytest.approx(theirs(rows["y"], hard, sensitive_features=groups))
            assert row.ci_lower <= row.value <= row.ci_upper
    frame = oracle.MetricFrame(metrics=RATES, y_true=rows["y"], y_pred=hard, sensitive_features=rows["sex"])
    for metric in RATES:
        for sex in ("f", "m"):
            row = found(report, metric, f"sex={sex}")
            assert row.value == pytest.approx(frame.by_group[metric][sex])
            assert row.ci_lower <= row.value <= row.ci_upper
    one = found(report, "group_accuracy", "sex=f & town=b")
    mine = both == "f&b"
    assert one.value == pytest.approx(sk.accuracy_score(rows["y"][mine], hard[mine]))


def test_errors_of_a_regression_are_those_of_fairlearn():
    rng = np.random.default_rng(3)
    n = 5_000
    y, sex = rng.normal(10, 3, n), rng.choice(["f", "m"], n)
    rows = {"y": y, "q": y + rng.normal(0.3 * (sex == "m"), 1 + 0.5 * (sex == "f"), n), "sex": sex}
    report = gpumon.evaluate(rows, target="y", prediction="q", sensitive_features="sex")
    frame = oracle.MetricFrame(
        metrics=sk.mean_absolute_error, y_true=y, y_pred=rows["q"], sensitive_features=sex
    )
    assert found(report, "mae_parity_difference", "by sex").value == pytest.approx(frame.difference())
    assert found(report, "mae_parity_ratio", "by sex").value == pytest.approx(frame.ratio())
    for each in ("f", "m"):
        assert found(report, "group_mae", f"sex={each}").value == pytest.approx(frame.by_group[each])
        mine = sex == each
        bias = found(report, "group_bias", f"sex={each}")
        assert bias.value == pytest.approx((rows["q"] - y)[mine].mean())
        assert bias.ci_lower < bias.value < bias.ci_upper
    assert not report.results.where(metric="demographic_parity_ratio").arrays["value"].size


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(1_000, 3_000), st.floats(0, 0.4), st.booleans())
def test_calibration_by_group_is_that_of_fairlearn(seed, n, bias, weighted):
    rows = people(n, seed, bias)
    weights = np.random.default_rng(seed).integers(1, 4, n).astype(float) if weighted else np.ones(n)
    given = {"weight": "w"} if weighted else {}
    report = gpumon.evaluate(
        rows | {"w": weights}, target="y", score="p", sensitive_features=["sex", "town"], **given
    )

    def in_the_large(y, p, w):
        return np.average(p - y, weights=w)

    def error(y, p, w):
        part = np.minimum((p * 15).astype(int), 14)
        return np.abs(np.bincount(part, w * (p - y))).sum() / w.sum()

    frame = oracle.MetricFrame(
        metrics={"large": in_the_large, "error": error},
        y_true=rows["y"],
        y_pred=rows["p"],
        sensitive_features={"sex": rows["sex"], "town": rows["town"]},
        sample_params={"large": {"w": weights}, "error": {"w": weights}},
    )
    for sex, town in frame.by_group.index:
        for metric, theirs in (("group_calibration", "large"), ("group_calibration_error", "error")):
            row = found(report, metric, f"sex={sex} & town={town}")
            assert row.value == pytest.approx(frame.by_group[theirs][sex, town])
            assert row.ci_lower <= row.value <= row.ci_upper
    row = found(report, "calibration_parity_difference", "by sex & town")
    assert row.value == pytest.approx(frame.difference(method="between_groups")["large"])


def test_scores_that_came_to_promise_one_group_too_much_are_an_alert():
    given = {"target": "y", "score": "p", "sensitive_features": "sex"}
    grown = gpumon.evaluate(people(20_000, 0, 0.2), people(20_000, 1, 0.05), **given)
    row = found(grown, "calibration_parity_difference", "by sex")
    assert (row.status, row.reason) == ("alert", "sex=f is lowest, sex=m is highest")
    assert row.q_value < 1e-6
    known = gpumon.evaluate(people(20_000, 0, 0.2), people(20_000, 1, 0.2), **given)
    assert found(known, "calibration_parity_difference", "by sex").status == "ok"
    few = gpumon.evaluate(people(40, 0, 0.2), people(20_000, 1, 0.05), **given)
    assert found(few, "calibration_parity_difference", "by sex").status == "no_data"


def test_scores_that_are_no_probabilities_have_no_calibration_by_group():
    rows = people(2_000, 0)
    report = gpumon.evaluate(rows | {"p": 5 * rows["p"]}, target="y", score="p", sensitive_features="sex")
    assert ("", "groups") in report.current.plan
    assert not len(report.results.where(metric="group_calibration"))


def test_a_regression_that_became_worse_for_one_group_is_an_alert():
    def rows(n, seed, worse):
        rng = np.random.default_rng(seed)
        y, sex = rng.normal(10, 3, n), rng.choice(["f", "m"], n)
        return {"y": y, "q": y + rng.normal(0, 1 + worse * (sex == "f"), n), "sex": sex}

    given = {"target": "y", "prediction": "q", "sensitive_features": "sex"}
    same = gpumon.evaluate(rows(6_000, 1, 0.2), rows(8_000, 2, 0.2), **given)
    assert found(same, "mae_parity_difference", "by sex").status == "ok"
    worse = gpumon.evaluate(rows(6_000, 1, 0.6), rows(8_000, 2, 0.2), **given)
    row = found(worse, "mae_parity_difference", "by sex")
    assert row.status == "alert"
    assert row.p_value < 1e-6
    assert row.reason == "sex=m is lowest, sex=f is highest"


def test_the_four_fifths_rule_needs_no_reference_and_a_change_does():
    report = gpumon.evaluate(people(20_000, 0, 0.2), target="y", score="p", sensitive_features="sex")
    row = found(report, "demographic_parity_ratio", "by sex")
    assert (row.status, round(row.threshold, 9)) == ("alert", 0.2)
    assert row.value < 0.8
    assert report.status == "alert"
    assert found(report, "demographic_parity_difference", "by sex").status == "ok"
    fair = gpumon.evaluate(people(20_000, 0), target="y", score="p", sensitive_features="sex")
    assert found(fair, "demographic_parity_ratio", "by sex").status == "ok"
    assert fair.status == "ok"
    grown = gpumon.evaluate(
        people(20_000, 0, 0.2), people(20_000, 1, 0.05), target="y", score="p", sensitive_features="sex"
    )
    for name in (
        "demographic_parity_difference",
        "equal_opportunity_difference",
        "equalized_odds_difference",
    ):
        row = found(grown, name, "by sex")
        assert row.status == "alert"
        assert row.q_value < 1e-6
    known = gpumon.evaluate(
        people(20_000, 0, 0.2), people(20_000, 1, 0.2), target="y", score="p", sensitive_features="sex"
    )
    assert found(known, "demographic_parity_difference", "by sex").status == "ok"
    assert found(known, "demographic_parity_ratio", "by sex").status == "alert"


def test_no_change_raises_no_alarm():
    alarms = 0
    for seed in range(40):
        report = gpumon.evaluate(
            people(800, seed),
            people(3_000, 100 + seed),
            target="y",
            score="p",
            sensitive_features=["sex", "town"],
        )
        alarms += any(
            row.status != "ok" for row in report.results.where(id="XC-01") if row.column == "by sex"
        )
    assert alarms <= 1


def test_windows_and_segments_are_those_of_tables_of_their_own():
    rows = people(9_000, 5, 0.1)
    report = gpumon.evaluate(
        rows, target="y", score="p", sensitive_features="sex", timestamp="t", every="1d", by="town"
    )
    for day in range(3):
        for town in "ab":
            part = (rows["t"] == np.datetime64("2024-05-01") + day) & (rows["town"] == town)
            (row,) = report.results.where(
                metric="demographic_parity_difference", window=f"2024-05-0{day + 1}", segment=f"town={town}"
            )
            hard = (rows["p"][part] >= 0.5).astype(int)
            assert row.value == pytest.approx(
                oracle.demographic_parity_difference(
                    rows["y"][part], hard, sensitive_features=rows["sex"][part]
                )
            )
            assert row.n == part.sum()


def test_weights_stand_for_rows():
    rows = people(3_000, 2, 0.2)
    rows["w"] = np.random.default_rng(0).integers(1, 5, 3_000).astype(float)
    report = gpumon.evaluate(rows, target="y", score="p", weight="w", sensitive_features="sex")
    hard = (rows["p"] >= 0.5).astype(int)
    expected = oracle.demographic_parity_difference(
        rows["y"], hard, sensitive_features=rows["sex"], sample_weight=rows["w"]
    )
    assert found(report, "demographic_parity_difference", "by sex").value == pytest.approx(expected)
    y = rows["y"] + np.random.default_rng(1).normal(size=3_000)
    amounts = {"y": y, "q": rows["p"], "w": rows["w"], "sex": rows["sex"]}
    report = gpumon.evaluate(amounts, target="y", prediction="q", weight="w", sensitive_features="sex")
    mine = rows["sex"] == "f"
    expected = sk.mean_absolute_error(y[mine], rows["p"][mine], sample_weight=rows["w"][mine])
    assert found(report, "group_mae", "sex=f").value == pytest.approx(expected)


def test_many_numbers_are_cut_at_the_quarters_of_the_reference_and_few_are_groups():
    rows = people(4_000, 1)
    rows["child"] = np.random.default_rng(0).integers(0, 2, 4_000)
    report = gpumon.evaluate(rows, target="y", score="p", sensitive_features=["age", "child"])
    low, middle, high = (int(x) for x in np.quantile(rows["age"], (0.25, 0.5, 0.75), method="nearest"))
    names = {row.column: row.n for row in report.results.where(metric="group_accuracy")}
    ages = [f"age<{low}", f"age=[{low}, {middle})", f"age=[{middle}, {high})", f"age≥{high}"]
    assert [name for name in names if " & " not in name] == [*ages, "child=0", "child=1"]
    assert names[ages[1]] == ((rows["age"] >= low) & (rows["age"] < middle)).sum()


def test_missing_and_unknown_groups_are_shown_and_not_compared():
    reference = people(4_000, 1)
    rows = people(4_000, 2)
    sex = rows["sex"].astype(object)
    sex[:500], sex[500:1_000] = None, "x"
    rows["p"][:1_000] = 0.0
    rows = pa.table(rows | {"sex": pa.array(sex.tolist())})
    report = gpumon.evaluate(rows, reference, target="y", score="p", sensitive_features="sex")
    assert found(report, "group_selection_rate", "sex=∅").n == 500
    assert found(report, "group_selection_rate", "sex=…").value == 0
    assert found(report, "demographic_parity_ratio", "by sex").status == "ok"
    assert found(report, "demographic_parity_ratio", "by sex").n == 3_000


def test_selection_needs_no_labels_and_all_else_waits_for_them():
    rows = people(3_000, 1)
    y = rows["y"].astype(object)
    y[rows["t"] > np.datetime64("2024-05-01")] = None
    rows = pa.table(rows | {"y": pa.array(y.tolist(), pa.int64())})
    report = gpumon.evaluate(
        rows, people(3_000, 2), target="y", score="p", sensitive_features="sex", timestamp="t", every="1d"
    )
    late = "2024-05-03"
    assert found(report, "demographic_parity_ratio", "by sex", late).status == "ok"
    row = found(report, "equal_opportunity_difference", "by sex", late)
    assert row.status == "no_data"
    assert row.reason == "fewer than two groups have 30 such rows"
    assert found(report, "group_accuracy", "sex=f", late).status == "no_data"
    assert found(report, "equal_opportunity_difference", "by sex", "2024-05-01").status == "ok"


def test_of_many_classes_one_is_positive():
    rng = np.random.default_rng(0)
    y, q = rng.choice(["a", "b", "c"], (2, 3_000))
    rows = {"y": y, "q": q, "sex": rng.choice(["f", "m"], 3_000)}
    with pytest.raises(GpumonError, match="of more than two classes give positive"):
        gpumon.evaluate(rows, target="y", prediction="q", sensitive_features="sex")
    report = gpumon.evaluate(rows, target="y", prediction="q", sensitive_features="sex", positive="b")
    expected = oracle.equalized_odds_difference(y == "b", q == "b", sensitive_features=rows["sex"])
    assert found(report, "equalized_odds_difference", "by sex").value == pytest.approx(expected)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 2_999), st.booleans())
def test_profiles_add_in_any_cut_and_are_saved(tmp_path_factory, cut, quantities):
    rows = people(3_000, 7)
    roles = {"target": "y", "score": "p", "sensitive": ["sex", "age"]}
    if quantities:
        rows["y"] = rows["y"] + rows["age"] / 7
        roles = {"target": "y", "prediction": "p", "sensitive": ["sex", "age"]}
    aspect, kind = ("group errors", GroupErrors) if quantities else ("groups", Groups)
    whole = gpumon.profile(rows, roles=roles)
    assert isinstance(whole.state("", aspect), kind)
    parts = [{name: x[part] for name, x in rows.items()} for part in (slice(cut), slice(cut, None))]
    first, second = (gpumon.profile(part, like=whole) for part in parts)
    state = (second + first).state("", aspect)
    assert (state.counts == whole.state("", aspect).counts).all()
    told = "group errors" if quantities else "calibration of groups"
    sums = (second + first).state("", told)
    assert (sums.counts == whole.state("", told).counts).all()
    assert np.allclose(sums.errors, whole.state("", told).errors, rtol=1e-12, atol=1e-12)
    path = tmp_path_factory.mktemp("profiles") / "people.gpumon"
    whole.save(path)
    assert gpumon.Profile.load(path) == whole
    plain = gpumon.profile(rows, like=whole, backend="plain")
    assert (plain.state("", aspect).counts == whole.state("", aspect).counts).all()
    report = gpumon.evaluate(str(path), whole)
    assert {row.status for row in report.results.where(id="XC-01")} == {"ok"}


def test_a_cluster_counts_the_same():
    rows = pa.table(people(6_000, 3, 0.1))
    given = {
        "target": "y",
        "score": "p",
        "sensitive_features": ["sex", "age"],
        "timestamp": "t",
        "every": "1d",
    }
    here = gpumon.evaluate(rows, rows, engine="local", **given)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        there = gpumon.evaluate(rows, rows, engine=client, **given)
    assert here.current.states.keys() == there.current.states.keys()
    for aspect in ("groups", "calibration of groups"):
        assert (here.current.state("", aspect).counts == there.current.state("", aspect).counts).all()
    assert np.array_equal(here.results["value"], there.results["value"], equal_nan=True)


@pytest.mark.parametrize(
    ("sensitive", "words"),
    [
        ("nowhere", "no column 'nowhere'"),
        ("t", "holds datetime values, which make no groups"),
        (5, "sensitive_features must be the name of a column or a list"),
        (["empty"], "holds no value, so its groups are unknown"),
        (["a", "b", "c", "d"], "combine to 38,416 groups, more than 10,000: give fewer sensitive columns"),
    ],
)
def test_what_makes_no_groups_is_refused_in_one_line(sensitive, words):
    rows = people(500, 0)
    rows = rows | {name: np.arange(500) % 12 + ord(name) for name in "abcd"}
    rows = {name: x.astype(str) if name in "abcd" else x for name, x in rows.items()}
    rows = pa.table(rows | {"empty": pa.nulls(500, pa.string())})
    with pytest.raises(GpumonError, match=words) as caught:
        gpumon.evaluate(rows, target="y", score="p", sensitive_features=sensitive)
    assert "\n" not in str(caught.value)


def test_a_reference_profile_without_groups_says_so():
    rows = people(500, 0)
    plan = gpumon.profile(rows, roles={"target": "y", "score": "p"})
    with pytest.raises(GpumonError, match="was counted with the role 'feature', not 'sensitive'"):
        gpumon.evaluate(rows, plan, sensitive_features="sex")
    with pytest.raises(GpumonError, match="demographic_parity_ratio needs sensitive_features"):
        gpumon.evaluate(rows, target="y", score="p", metrics=["demographic_parity_ratio"])
