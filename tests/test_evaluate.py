"""Performance against scikit-learn, on tables that Hypothesis makes and on real ones; late labels; bad input."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn import metrics as sk

import gpumon
from gpumon.demo import car_loans, car_prices
from gpumon.errors import GpumonError, InputError, OptionError, SchemaError
from gpumon.profiles.labels import Confusion, Residuals, Scores

TIED = st.integers(0, 12).map(lambda i: i / 12)
ANY = st.floats(0, 1)


def value(report, metric, *, method="", column=None, window=None, segment=None):
    rows = report.results.where(metric=metric, column=column, window=window, segment=segment)
    (row,) = [each for each in rows if method in each.method]
    return row


def rows_of(draw, n, elements, weighted):
    y = draw(arrays(np.int8, n, elements=st.integers(0, 1)))
    p = draw(arrays(np.float64, n, elements=elements))
    w = draw(arrays(np.float64, n, elements=st.integers(1, 5).map(float))) if weighted else None
    return y, p, w


@settings(max_examples=30, deadline=None)
@given(st.data(), st.integers(1, 80), st.sampled_from([TIED, ANY, st.just(0.25)]), st.booleans())
def test_binary_metrics_are_those_of_scikit_learn(data, n, elements, weighted):
    y, p, w = rows_of(data.draw, n, elements, weighted)
    table = {"y": y, "p": p} | ({} if w is None else {"w": w})
    report = gpumon.evaluate(table, target="y", score="p", weight=None if w is None else "w")
    found = {(row.metric, row.method): row for row in report.results if row.column is None}
    by_name = {name: row for (name, _), row in found.items()}
    hard = (p >= 0.5).astype(int)
    assert by_name["accuracy"].value == pytest.approx(sk.accuracy_score(y, hard, sample_weight=w))
    with np.errstate(all="ignore"):
        precision, recall, f1, _ = sk.precision_recall_fscore_support(
            y, hard, labels=[1], sample_weight=w, zero_division=np.nan
        )
    for name, wanted in (("precision", precision), ("recall", recall), ("f1", f1)):
        assert by_name[name].value == pytest.approx(float(wanted[0]), nan_ok=True)
    assert by_name["brier_score"].value == pytest.approx(np.average((p - y) ** 2, weights=w))
    right = np.clip(np.where(y == 1, p, 1 - p), 1e-15, 1)
    assert by_name["log_loss"].value == pytest.approx(np.average(-np.log(right), weights=w))
    assert by_name["mean_gap"].value == pytest.approx(np.average(p - y, weights=w), abs=1e-12)
    one_class = len(set(y.tolist())) == 1
    for name, oracle in (("auc", sk.roc_auc_score), ("average_precision", sk.average_precision_score)):
        row = by_name[name]
        if one_class:
            assert row.status == "no_data"
            assert row.reason == "the labels are all of one class"
        else:
            exact = oracle(y, p, sample_weight=w)
            assert row.lower - 1e-9 <= exact <= row.upper + 1e-9
            assert row.value == pytest.approx(exact)  # so few scores have cells of their own
            if w is None and min(np.bincount(y, minlength=2)) > 1:  # one row tells nothing of its variance
                assert row.ci_lower - 1e-9 <= row.value <= row.ci_upper + 1e-9


def test_many_scores_are_certified_within_one_in_ten_thousand():
    rng = np.random.default_rng(1)
    z = rng.normal(size=60_000)
    y, p = rng.random(60_000) < 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-z - rng.normal(size=60_000)))
    report = gpumon.evaluate({"y": y, "p": p}, target="y", score="p")
    auc, ap = value(report, "auc"), value(report, "average_precision")
    assert auc.lower <= sk.roc_auc_score(y, p) <= auc.upper
    assert ap.lower <= sk.average_precision_score(y, p) <= ap.upper
    assert auc.upper - auc.lower < 2e-4
    bins = np.minimum((p * 15).astype(int), 14)
    ece = sum(abs(y[bins == k].mean() - p[bins == k].mean()) * (bins == k).mean() for k in range(15))
    assert value(report, "calibration_error", method="equal width").value == pytest.approx(ece)


def test_exact_needs_no_bounds(tmp_path):
    rng = np.random.default_rng(1)
    day = np.datetime64("2024-01-01") + rng.integers(0, 3, 30_000)
    z = rng.normal(size=30_000)
    y, p = rng.random(30_000) < 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-z - rng.normal(size=30_000)))
    table = {"y": y, "p": p, "t": day}
    report = gpumon.evaluate(table, target="y", score="p", timestamp="t", every="1d", exact=True)
    for name, oracle in (("auc", sk.roc_auc_score), ("average_precision", sk.average_precision_score)):
        row = value(report, name)
        assert row.value == pytest.approx(oracle(y, p), rel=1e-12)
        assert row.lower == row.value == row.upper
        assert "exact, sorted" in row.method
        first = day == np.datetime64("2024-01-02")
        assert value(report, name, window="2024-01-02").value == pytest.approx(oracle(y[first], p[first]))
    counted = gpumon.profile(table, roles={"target": "y", "score": "p"}, exact=True)
    counted.save(tmp_path / "exact.gpumon")
    assert gpumon.Profile.load(tmp_path / "exact.gpumon") == counted


@settings(max_examples=25, deadline=None)
@given(st.data(), st.integers(1, 60), st.booleans())
def test_regression_metrics_are_those_of_scikit_learn(data, n, weighted):
    numbers = st.one_of(st.floats(-1e3, 1e3), st.integers(-3, 3).map(float))
    y, p = (data.draw(arrays(np.float64, n, elements=numbers)) for _ in range(2))
    w = data.draw(arrays(np.float64, n, elements=st.integers(1, 5).map(float))) if weighted else None
    table = {"y": y, "p": p} | ({} if w is None else {"w": w})
    report = gpumon.evaluate(
        table, target="y", prediction="p", task="regression", weight=None if w is None else "w"
    )
    for name, oracle in (
        ("mae", sk.mean_absolute_error),
        ("mse", sk.mean_squared_error),
        ("rmse", sk.root_mean_squared_error),
    ):
        assert value(report, name).value == pytest.approx(oracle(y, p, sample_weight=w), rel=1e-9, abs=1e-9)
    if n > 1 and np.ptp(y) > 1e-3:
        r2 = sk.r2_score(y, p, sample_weight=w)
        assert value(report, "r_squared").value == pytest.approx(r2, rel=1e-6, abs=1e-6)
    bias, spread = value(report, "bias").value, value(report, "residual_variance").value
    assert value(report, "mse").value == pytest.approx(bias**2 + spread, rel=1e-9, abs=1e-9)
    if w is None:
        median = value(report, "median_absolute_error")
        assert median.lower - 1e-9 <= sk.median_absolute_error(y, p) <= median.upper + 1e-9


def test_multiclass_metrics_are_those_of_scikit_learn():
    rng = np.random.default_rng(3)
    p = rng.dirichlet((2, 1, 1), 3000)
    y = np.array(["ant", "bee", "cat"])[[rng.choice(3, p=row) for row in p]]
    table = {"y": y, "p_ant": p[:, 0], "p_bee": p[:, 1], "p_cat": p[:, 2]}
    report = gpumon.evaluate(table, target="y", score="p_")
    hard = np.array(["ant", "bee", "cat"])[p.argmax(axis=1)]
    assert value(report, "accuracy").value == pytest.approx(sk.accuracy_score(y, hard))
    macro = sk.precision_recall_fscore_support(y, hard, average="macro")
    for name, wanted in zip(("precision", "recall", "f1"), macro, strict=False):
        assert value(report, name).value == pytest.approx(wanted)
    auc = value(report, "auc")
    assert auc.lower <= sk.roc_auc_score(y, p, multi_class="ovr") <= auc.upper
    pairs = value(report, "auc_one_versus_one")
    assert pairs.lower <= sk.roc_auc_score(y, p, multi_class="ovo") <= pairs.upper
    assert pairs.upper - pairs.lower < 2e-3
    assert pairs.ci_lower < pairs.value < pairs.ci_upper
    assert pairs.n == 3000
    bee = value(report, "auc", column="y=bee")
    assert bee.lower <= sk.roc_auc_score(y == "bee", p[:, 1]) <= bee.upper
    assert value(report, "f1", column="y=cat").value == pytest.approx(
        sk.f1_score(y, hard, labels=["cat"], average=None)[0]
    )
    assert value(report, "cohens_kappa").value == pytest.approx(sk.cohen_kappa_score(y, hard))


def test_a_thousand_classes():
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(np.arange(1000), 20))
    p = np.where(rng.random(y.size) < 0.7, y, rng.integers(0, 1000, y.size))
    report = gpumon.evaluate({"y": y, "p": p}, target="y", prediction="p", task="multiclass")
    assert value(report, "accuracy").value == pytest.approx(sk.accuracy_score(y, p))
    assert value(report, "f1").value == pytest.approx(sk.f1_score(y, p, average="macro"))


def test_the_second_half_of_the_car_loans():
    reference, current, labels = car_loans()
    report = gpumon.evaluate(
        current, reference, labels=labels, on="id", target="repaid", score="y_pred_proba",
        prediction="y_pred", timestamp="timestamp", every="3mo",
    )  # fmt: skip
    whole = current.append_column("repaid", labels["repaid"])
    y, p = (np.asarray(whole[name]) for name in ("repaid", "y_pred_proba"))
    assert value(report, "auc").value == pytest.approx(sk.roc_auc_score(y, p), abs=1e-9)
    assert value(report, "auc").reference == pytest.approx(0.9710, abs=5e-5)
    half = gpumon.evaluate(
        whole.slice(25_000), reference, target="repaid", score="y_pred_proba", prediction="y_pred"
    )
    row = value(half, "auc")
    assert row.value == pytest.approx(0.960, abs=5e-4)
    assert row.status == "alert"
    assert row.ci_lower < sk.roc_auc_score(y[25_000:], p[25_000:]) < row.ci_upper
    assert row.reason.startswith("auc is down from 0.971 to 0.9597, by 0.0113")
    quarter = {row.window: row.status for row in report.results.where(metric="auc", segment=None)}
    assert [quarter[window] for window in ("2019-01-01", "2019-04-01", "2019-07-01")] == [
        "ok",
        "alert",
        "alert",
    ]


def test_car_prices_became_easier_which_is_no_alert():
    reference, current, labels = car_prices()
    both = current.append_column("y_true", labels["y_true"])
    for part, mae in ((both.slice(0, 30_000), 852), (both.slice(30_000), 698)):
        report = gpumon.evaluate(part, reference)
        row = value(report, "mae")
        assert round(row.value) == mae
        assert round(row.reference) == 846
        assert row.status == "ok"
        e = np.asarray(part["y_pred"]) - np.asarray(part["y_true"])
        assert row.value == pytest.approx(np.abs(e).mean())
    late = gpumon.evaluate(current, reference, labels=labels, on="id")
    assert value(late, "mae").value == pytest.approx(775, abs=0.5)


def test_the_fall_of_the_loans_is_seen_before_their_labels():
    reference, current, labels = car_loans()
    report = gpumon.evaluate(
        current, reference, labels=labels.slice(0, 25_000), on="id", target="repaid", score="y_pred_proba",
        timestamp="timestamp", every="3mo",
    )  # fmt: skip
    late = "2019-04-01"  # none of its labels has come
    assert value(report, "auc", window=late).status == "no_data"
    row = value(report, "estimated_auc", window=late)
    assert row.value == pytest.approx(0.960, abs=2e-3)
    assert row.ci_upper < 0.9710 < value(report, "estimated_auc", window="2019-01-01").ci_upper
    assert value(report, "estimated_accuracy", window=late).status == "alert"
    y, p = (np.asarray(x) for x in (labels["repaid"], current["y_pred_proba"]))
    rows = np.asarray(current["timestamp"]) >= np.datetime64("2019-04-01")
    rows &= np.asarray(current["timestamp"]) < np.datetime64("2019-07-01")
    assert row.ci_lower < sk.roc_auc_score(y[rows], p[rows]) < row.ci_upper


def test_what_scores_tell_without_labels():
    rng = np.random.default_rng(4)
    p = rng.random(8000)
    table = {"y": rng.random(8000) < p, "p": p}
    stuck = {"y": table["y"], "p": np.where(rng.random(8000) < 0.3, 0.4321, p)}
    report = gpumon.evaluate(stuck, table, target="y", score="p", threshold=0.7)
    assert value(report, "mean_confidence").value == pytest.approx(
        np.maximum(stuck["p"], 1 - stuck["p"]).mean()
    )
    assert value(report, "mean_confidence").status == "alert"
    near = value(report, "near_threshold")
    exact = np.mean((stuck["p"] >= 0.65) & (stuck["p"] < 0.75))
    assert near.lower <= exact <= near.upper
    (repeated,) = report.results.where(metric="repeated_share", column="p")
    assert repeated.lower <= np.mean(stuck["p"] == 0.4321) <= repeated.upper
    (found,) = report.results.where(metric="stuck_share", column="p")
    assert found.status == "alert"
    assert found.value == pytest.approx(np.mean(stuck["p"] == 0.4321), abs=0.004)
    assert found.ci_lower < found.value < found.ci_upper
    assert found.reason.startswith("stuck: 31 % of rows have a value between 0.432")
    (ratio,) = report.results.where(metric="distinct_ratio", column="p")
    assert ratio.value == pytest.approx(np.unique(stuck["p"]).size / 8000, rel=0.05)


def test_a_constant_model_is_an_alert_in_its_window_and_an_unchanged_one_never():
    rng = np.random.default_rng(9)
    table = {
        "p": np.round(rng.beta(2, 5, 20_000), 2),
        "t": np.datetime64("2025-03-01") + np.arange(20_000) % 200,
    }
    now = {"p": rng.choice(table["p"], 20_000), "t": table["t"]}
    now["p"][now["t"] == np.datetime64("2025-03-05")] = 0.2
    report = gpumon.scan(
        now, table, roles={"score": "p"}, timestamp="t", every="1d",
        metrics=["stuck_share", "modes", "mode_shift"],
    )  # fmt: skip
    found = {row.window: row for row in report.results.where(metric="stuck_share") if row.window}
    assert len(found) == 200
    assert {day for day, row in found.items() if row.status != "ok"} == {"2025-03-05"}
    assert found["2025-03-05"].reason.startswith("constant: all rows are 0.2")
    (shift,) = (row for row in report.results.where(metric="mode_shift") if row.window == "2025-03-05")
    assert shift.value == shift.value
    assert shift.status == "ok"


def test_scores_that_crowd_together_and_differ_repeat_nothing():
    rng = np.random.default_rng(10)
    table, now = {"p": rng.random(5000)}, {"p": 0.5 + 1e-5 * rng.random(4000)}
    report = gpumon.scan(now, table, roles={"score": "p"}, metrics=["stuck_share", "kolmogorov_smirnov"])
    (row,) = report.results.where(metric="stuck_share")
    assert (row.status, row.lower) == ("ok", 0)
    assert report.status == "alert"


def test_a_change_of_the_concept_is_told_from_one_of_the_rows():
    rng = np.random.default_rng(2)

    def rows(n, low, turned):
        p = rng.uniform(low, 1, n)
        truth = np.where(turned, 0.15 + 0.6 * p, p)
        return {"y": rng.random(n) < truth, "p": p}

    reference = rows(30_000, 0.0, turned=False)
    moved = gpumon.evaluate(rows(20_000, 0.4, turned=False), reference, target="y", score="p")
    assert value(moved, "label_odds_shift").status == "ok"
    assert value(moved, "concept_loss").status == "ok"
    turned = gpumon.evaluate(rows(20_000, 0.0, turned=True), reference, target="y", score="p")
    assert value(turned, "concept_loss").status == "alert"
    assert value(turned, "concept_loss").ci_lower > 0.05


def test_windows_tell_how_many_labels_they_have_and_young_ones_are_not_judged():
    reference, current, labels = car_loans()
    early = labels.filter(pc.less(labels["id"], 88_000))
    report = gpumon.evaluate(
        current, reference, labels=early, on="id", target="repaid", score="y_pred_proba",
        timestamp="timestamp", every="1mo",
    )  # fmt: skip
    shares = {row.window: row.value for row in report.results.where(metric="labelled_share", segment=None)}
    assert shares[None] == pytest.approx(0.76)
    assert shares["2018-11-01"] == 1.0
    last = max(window for window in shares if window)
    assert shares[last] == 0.0
    accuracy = {row.window: row for row in report.results.where(metric="accuracy", segment=None)}
    assert accuracy[last].status == "no_data"
    assert accuracy[last].reason == "no row has both a prediction and a label"
    young = [row for window, row in accuracy.items() if window and 0 < shares[window] < 0.8]
    assert young
    assert all(row.status == "no_data" and row.reason.startswith("immature") for row in young)
    assert all(row.value == row.value for row in young)
    patient = gpumon.evaluate(
        current, reference, labels=early, on="id", target="repaid", score="y_pred_proba",
        timestamp="timestamp", every="1mo", maturity=0,
    )  # fmt: skip
    assert not any("immature" in row.reason for row in patient.results)


def test_states_are_values_like_any_other(tmp_path):
    reference, current, labels = car_loans()
    both = current.append_column("repaid", labels["repaid"])
    roles = {"target": "repaid", "score": "y_pred_proba", "prediction": "y_pred"}
    columns = ["repaid", "y_pred_proba", "y_pred"]
    plan = gpumon.profile(reference, roles=roles, columns=columns)
    assert {type(plan.state("", aspect)) for aspect in ("confusion", "scores")} == {Confusion, Scores}
    whole = gpumon.profile(both, like=plan)
    parts = [gpumon.profile(both.slice(start, 17_000), like=plan) for start in (0, 17_000, 34_000)]
    summed = parts[2] + parts[0] + parts[1]
    for aspect in ("confusion", "scores"):
        left, right = whole.state("", aspect), summed.state("", aspect)
        assert (left.counts == right.counts).all()
    assert np.allclose(whole.state("", "scores").errors, summed.state("", "scores").errors, rtol=1e-12)
    plan.save(tmp_path / "reference.gpumon")
    whole.save(tmp_path / "current.gpumon")
    assert gpumon.Profile.load(tmp_path / "current.gpumon") == whole
    one = gpumon.evaluate(both, reference, target="repaid", score="y_pred_proba", prediction="y_pred")
    two = gpumon.evaluate(str(tmp_path / "current.gpumon"), str(tmp_path / "reference.gpumon"))
    assert value(one, "auc").value == value(two, "auc").value
    prices, _, _ = car_prices()
    counted = gpumon.profile(prices)
    assert isinstance(counted.state("", "residuals"), Residuals)
    counted.save(tmp_path / "prices.gpumon")
    assert gpumon.Profile.load(tmp_path / "prices.gpumon") == counted


def test_segments_and_windows_are_those_of_tables_of_their_own():
    rng = np.random.default_rng(5)
    n = 4000
    day, group = rng.integers(0, 4, n), rng.choice(["a", "b"], n)
    p = rng.random(n)
    y = rng.random(n) < p
    table = {"y": y, "p": p, "t": np.datetime64("2024-05-01") + day, "g": group}
    report = gpumon.evaluate(table, target="y", score="p", timestamp="t", every="1d", by="g")
    for d in range(4):
        for g in "ab":
            part = (day == d) & (group == g)
            row = value(report, "auc", window=f"2024-05-0{d + 1}", segment=f"g={g}")
            assert row.n == part.sum()
            assert row.lower <= sk.roc_auc_score(y[part], p[part]) <= row.upper


@pytest.mark.parametrize("backend", ["plain", "cpu"])
def test_backends_agree(backend):
    reference, current, labels = car_loans()
    report = gpumon.evaluate(
        current.slice(0, 5000), reference.slice(0, 5000), labels=labels, on="id", target="repaid",
        score="y_pred_proba", backend=backend,
    )  # fmt: skip
    assert value(report, "auc").value == pytest.approx(0.97096244, abs=1e-8)


def test_no_change_raises_no_alarm():
    alarms = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)

        def rows(n, rng=rng):
            p = rng.random(n)
            return {"y": rng.random(n) < p, "p": p}

        report = gpumon.evaluate(rows(800), rows(3000), target="y", score="p")
        alarms += any(
            row.status in {"warn", "alert"} for row in report.results if row.family == "performance"
        )
    assert alarms == 0


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    hits = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        p = rng.random(400)
        report = gpumon.evaluate({"y": rng.random(400) < p, "p": p}, target="y", score="p", metrics=["auc"])
        row = value(report, "auc")
        hits += row.ci_lower <= 5 / 6 <= row.ci_upper  # ∫∫ of two uniform scores
    assert 0.91 <= hits / 200 <= 0.99


def test_scan_knows_the_predictions_by_their_roles():
    reference, current, _ = car_loans()
    report = gpumon.scan(
        current.slice(25_000), reference, columns=["y_pred_proba", "y_pred", "car_value"],
        roles={"score": "y_pred_proba", "prediction": "y_pred"},
    )  # fmt: skip
    ids = {(row.metric, row.column): (row.id, row.family) for row in report.results}
    assert ids["psi", "y_pred_proba"] == ("PD-08", "prediction drift")
    assert ids["kolmogorov_smirnov", "y_pred_proba"][0] == "PD-06"
    assert ids["psi", "car_value"] == ("DD-05", "data distribution")
    assert report.columns["y_pred_proba"] == "alert"


def test_a_report_is_shown_and_saved(tmp_path):
    reference, current, labels = car_loans()
    report = gpumon.evaluate(
        current, reference, labels=labels, on="id", target="repaid", score="y_pred_proba", prediction="y_pred"
    )
    text = repr(report)
    assert "accuracy" in text
    assert "0.9298" in text
    for kind in ("html", "json", "parquet", "csv"):
        report.save(tmp_path / f"report.{kind}")
    document = json.loads((tmp_path / "report.json").read_text())
    row = [dict(zip(document["fields"], each, strict=True)) for each in document["results"]]
    (auc,) = [each for each in row if each["metric"] == "auc"]
    assert auc["ci_lower"] < auc["value"] < auc["ci_upper"]


GOOD = {"y": [0, 1, 1, 0] * 5, "p": [0.1, 0.9, 0.8, 0.3] * 5}


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"target": "z", "score": "p"}, SchemaError, "no column 'z'"),
        ({"score": "p"}, SchemaError, "which column holds the labels"),
        ({"target": "y"}, SchemaError, "which column holds the predictions"),
        ({"target": "y", "score": "p", "task": "ranking"}, OptionError, "task 'ranking' is unknown"),
        ({"target": "y", "score": "p", "labels": {"id": [1]}}, OptionError, "labels and on go together"),
        ({"target": "y", "score": "p", "maturity": 2}, OptionError, "maturity 2 is no share"),
        ({"target": "y", "score": "p", "threshold": float("nan")}, OptionError, "threshold nan"),
        ({"target": "y", "score": "p", "positive": 7}, InputError, "positive class '7' does not occur"),
        ({"target": "y", "score": {"0": "p"}}, InputError, "class '1' has no column of scores"),
        ({"target": "y", "score": 5}, OptionError, "score must be the name of a column"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(arguments, error, words):
    with pytest.raises(error, match=words) as caught:
        gpumon.evaluate(GOOD, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "arguments", "words"),
    [
        ({"y": [0, 1], "q": ["a", "b"]}, {"target": "y", "prediction": "q"}, "labels and predictions are of different types"),
        ({"y": [0, 1], "q": ["a", "b"]}, {"target": "y", "score": "q"}, "is to hold numbers"),
        ({"y": ["a", "b", "c"], "p": [0.1, 0.2, 0.3]}, {"target": "y", "score": "p", "task": "binary"}, "a binary task has two classes"),
        ({"y": [None, None], "p": [0.1, 0.2]}, {"target": "y", "score": "p"}, "no label"),
        ({"y": [f"c{i}" for i in range(1500)], "q": [f"c{i}" for i in range(1500)]}, {"target": "y", "prediction": "q"}, "more than 1,000 classes"),
    ],
)  # fmt: skip
def test_bad_tables_are_refused_in_one_line(table, arguments, words):
    with pytest.raises(GpumonError, match=words) as caught:
        gpumon.evaluate(table, **arguments)
    assert "\n" not in str(caught.value)


def test_scores_that_are_no_probabilities_have_no_log_loss_but_an_auc():
    rng = np.random.default_rng(0)
    s = rng.normal(size=500)
    y = rng.random(500) < 1 / (1 + np.exp(-3 * s))
    report = gpumon.evaluate({"y": y, "s": s}, target="y", score="s", threshold=0.0)
    for name in ("log_loss", "brier_score", "calibration_slope"):
        row = value(report, name)
        assert row.status == "no_data"
        assert row.reason == "scores are not between 0 and 1, so they are no probabilities"
    assert value(report, "auc").value == pytest.approx(sk.roc_auc_score(y, s))
    assert value(report, "accuracy").value == pytest.approx(sk.accuracy_score(y, s >= 0))


def test_scores_that_are_not_numbers_are_missing():
    y = np.array([0, 1, 0, 1, 1, 0])
    p = np.array([0.2, 0.7, np.nan, np.inf, 0.6, 0.4])
    report = gpumon.evaluate({"y": y, "p": p}, target="y", score="p")
    row = value(report, "auc")
    assert row.value == 1.0
    assert row.n == 4
    assert value(report, "accuracy").n == 4


def test_labels_that_no_key_reaches_leave_no_data():
    report = gpumon.evaluate(
        {"id": [1, 2, 3], "p": [0.1, 0.6, 0.9]}, {**GOOD}, labels={"id": [7, 8], "y": [0, 1]}, on="id",
        target="y", score="p",
    )  # fmt: skip
    assert value(report, "auc").status == "no_data"
    assert value(report, "labelled_share").value == 0.0
    assert any("no row has a label" in note for note in report.notes)


def test_a_class_that_the_reference_lacks_is_told():
    reference = {"y": ["a", "b"] * 50, "q": ["a", "b"] * 50}
    report = gpumon.evaluate(
        {"y": ["a", "c", "b", "c"], "q": ["a", "b", "b", "c"]}, reference, target="y", prediction="q"
    )
    assert value(report, "accuracy").value == pytest.approx(2 / 3)
    assert any("classes that the reference lacks" in note for note in report.notes)


def test_the_positive_class_can_be_chosen():
    y, p = np.array(["no", "yes"] * 50), np.random.default_rng(0).random(100)
    one = gpumon.evaluate({"y": y, "p": p}, target="y", score="p")
    two = gpumon.evaluate({"y": y, "p": p}, target="y", score="p", positive="no")
    assert value(one, "auc").value == pytest.approx(sk.roc_auc_score(y == "yes", p))
    assert value(two, "auc").value == pytest.approx(sk.roc_auc_score(y == "no", p))
    assert value(two, "accuracy").value == pytest.approx(np.mean((p >= 0.5) == (y == "no")))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 300))
def test_labels_of_all_types_are_classes(seed):
    rng = np.random.default_rng(seed)
    y, q = rng.integers(0, 2, 30), rng.integers(0, 2, 30)
    assume(len({*y, *q}) == 2)
    wanted = sk.accuracy_score(y, q)
    words = np.array(["no", "yes"])
    for left, right in (
        (y, q),
        (y.astype(bool), q.astype(bool)),
        (y.astype(float), q.astype(np.int8)),
        (y.astype(bool), q),
        (words[y], words[q]),
        (pa.array(words[y].tolist()).dictionary_encode(), words[q].tolist()),
    ):
        report = gpumon.evaluate({"y": left, "q": right}, target="y", prediction="q")
        assert value(report, "accuracy").value == pytest.approx(wanted)


def test_labels_that_have_not_come_are_no_missing_values_of_the_target():
    rng = np.random.default_rng(3)
    p = rng.random(4_000)
    y = (rng.random(4_000) < p).astype(int)
    before, now = (
        pa.table({"id": np.arange(4_000), "p": p, "y": y}),
        pa.table({"id": np.arange(4_000), "p": p}),
    )
    some = np.arange(0, 4_000, 4)
    late = pa.table({"id": some, "y": y[some]})
    report = gpumon.evaluate(now, before, labels=late, on="id", target="y", score="p")
    (missing,) = report.results.where(metric="missing_rate", column="y")
    (shift,) = report.results.where(metric="target_shift")
    (labelled,) = report.results.where(metric="labelled_share")
    assert (missing.value, missing.status) == (0.0, "ok")
    assert shift.value < 0.03
    assert shift.status == "ok"
    assert labelled.value == 0.25
    assert report.columns["y"] == "ok"
    assert report.current.state("y").counts[-2:].sum() == 3_000 or report.current.state("y").missing == 3_000


def test_the_threshold_that_restores_what_the_reference_had():
    rng = np.random.default_rng(11)

    def rows(shift):
        p = rng.beta(2, 3, 20_000)
        return {"y": rng.random(20_000) < p, "p": np.clip(p + shift, 0, 1)}

    reference, current = rows(0.0), rows(0.1)
    report = gpumon.evaluate(current, reference, target="y", score="p", threshold=0.6)
    volume, precise = (value(report, f"threshold_for_{what}") for what in ("volume", "precision"))
    rate = np.mean(reference["p"] >= 0.6)
    assert volume.lower <= np.quantile(current["p"], 1 - rate) <= volume.upper
    assert volume.reference == pytest.approx(0.6, abs=1e-3)
    wanted = sk.precision_score(reference["y"], reference["p"] >= 0.6)
    reached, _, thresholds = sk.precision_recall_curve(current["y"], current["p"])
    exact = thresholds[np.flatnonzero(reached[:-1] >= wanted)[0]]
    assert precise.lower <= exact <= precise.upper + 1e-3
    assert precise.reference <= 0.6
    unlabelled = current | {"y": np.full(20_000, np.nan)}
    report = gpumon.evaluate(
        unlabelled, reference | {"y": reference["y"].astype(float)}, target="y", score="p", threshold=0.6
    )
    assert value(report, "threshold_for_volume").value == volume.value
    assert value(report, "threshold_for_precision").status == "no_data"


@pytest.mark.parametrize("threshold", [0.5, 0.37, 0.645])
def test_predictions_that_follow_scores_are_estimated_as_if_the_threshold_were_given(threshold):
    rng = np.random.default_rng(13)

    def rows(made_at=threshold):
        p = rng.beta(2, 3, 20_000)
        return {"y": (rng.random(20_000) < p) * 1.0, "p": p, "yhat": (p >= made_at) * 1}

    reference, current = rows(), rows()
    of = {"target": "y", "score": "p"}
    unlabelled = current | {"y": np.full(20_000, np.nan)}
    found = gpumon.evaluate(unlabelled, reference, prediction="yhat", **of)
    given = gpumon.evaluate(unlabelled, reference, threshold=threshold, **of)
    for name in ("accuracy", "precision", "recall", "f1"):
        row = value(found, f"estimated_{name}")
        assert row.value == pytest.approx(value(given, f"estimated_{name}").value, abs=1e-3)
        real = getattr(sk, f"{name}_score")(current["y"], current["yhat"])
        assert row.value == pytest.approx(real, abs=0.02)
    # predictions that another threshold has made since are said to be such
    moved = rows(threshold + 0.1) | {"y": np.full(20_000, np.nan)}
    row = value(gpumon.evaluate(moved, reference, prediction="yhat", **of), "estimated_accuracy")
    assert (row.status, np.isnan(row.value)) == ("no_data", True)
    assert "not those of the threshold" in row.reason
    # and where no threshold explains the predictions, nothing is estimated of them
    reference["yhat"][:50] = 1 - reference["yhat"][:50]
    assert not [
        *gpumon.evaluate(unlabelled, reference, prediction="yhat", **of).results.where(
            metric="estimated_accuracy"
        )
    ]


def test_how_sure_a_score_is_without_labels():
    rng = np.random.default_rng(12)
    table = {"y": rng.random(6000) < 0.5, "p": np.round(rng.beta(2, 2, 6000), 4)}
    sure = np.maximum(table["p"], 1 - table["p"])
    report = gpumon.evaluate(table, table, target="y", score="p", metrics=["PD-03"])
    entropy = -np.mean(sure * np.log2(sure) + (1 - sure) * np.log2(1 - sure + (sure == 1)))
    expected = {
        "mean_margin": (2 * sure - 1).mean(),
        "mean_entropy": entropy,
        "low_confidence_share": np.mean(sure < 0.6),
    }
    for name, exact in expected.items():
        row = value(report, name)
        assert row.value == pytest.approx(exact, abs=2e-3)
        assert row.lower - 1e-9 <= exact <= row.upper + 1e-9
    for level in (0.05, 0.5, 0.95):
        row = value(report, "confidence_quantile", method=f"level {level}")
        assert row.lower <= np.quantile(sure, level, method="inverted_cdf") <= row.upper
        assert row.upper - row.lower < 1e-3
    odds = {"y": table["y"], "p": 5 * table["p"] - 2}
    margins = gpumon.evaluate(odds, odds, target="y", score="p", metrics=["PD-03"])
    assert {row.status for row in margins.results} == {"no_data"}


def test_how_even_the_classes_are():
    def table(seed, shares):
        rng = np.random.default_rng(seed)
        return {name: rng.choice(list("abc"), 500, p=shares) for name in ("y", "yhat")}

    reference, current = table(0, (0.4, 0.4, 0.2)), table(1, (0.8, 0.15, 0.05))
    report = gpumon.evaluate(current, reference, target="y", prediction="yhat")
    for which, column in (("true", "y"), ("predicted", "yhat")):
        sides = [np.unique(side[column], return_counts=True)[1] for side in (current, reference)]
        (found,) = report.results.where(metric=f"{which}_class_entropy")
        assert (found.value, found.reference) == pytest.approx([stats.entropy(x, base=2) for x in sides])
        (found,) = report.results.where(metric=f"{which}_class_imbalance")
        assert (found.value, found.reference) == pytest.approx([x.max() / x.min() for x in sides])


def test_a_class_that_is_gone_makes_the_imbalance_infinite(tmp_path):
    three, two = (np.array(classes * 50) for classes in (["a", "b", "c"], ["a", "b", "b"]))
    report = gpumon.evaluate(
        {"y": two, "yhat": two}, {"y": three, "yhat": three}, target="y", prediction="yhat"
    )
    (found,) = report.results.where(metric="true_class_imbalance")
    assert found.value == np.inf
    for kind in ("json", "html", "parquet"):
        report.save(tmp_path / f"report.{kind}")
        assert (tmp_path / f"report.{kind}").stat().st_size > 0


def test_the_median_of_predictions_has_moved_though_the_mean_has_not():
    rng = np.random.default_rng(0)
    reference = {"y": np.zeros(3000), "yhat": rng.normal(0, 1, 3000)}
    long_tail = rng.exponential(1.0, 3000) - 1.0
    current = {"y": np.zeros(3000), "yhat": long_tail}
    report = gpumon.evaluate(current, reference, target="y", prediction="yhat", task="regression")
    (found,) = report.results.where(metric="median_shift")
    expected = (np.median(long_tail) - np.median(reference["yhat"])) / np.std(reference["yhat"], ddof=1)
    assert (found.id, found.column, found.status) == ("PD-10", "yhat", "alert")
    assert found.lower <= expected <= found.upper
    assert found.p_value == pytest.approx(
        stats.median_test(reference["yhat"], long_tail, correction=False).pvalue, rel=0.3
    )
    exact = gpumon.evaluate(current, reference, target="y", prediction="yhat", task="regression", exact=True)
    (found,) = exact.results.where(metric="median_shift")
    assert found.value == found.lower == found.upper == pytest.approx(expected)
    asked = gpumon.scan(current, reference, metrics=["median_shift"])
    assert {row.column for row in asked.results} == {"y", "yhat"}


def test_an_unchanged_median_does_not_alarm():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sides = ({"y": rng.lognormal(0, 1, n), "yhat": rng.lognormal(0, 2, n)} for n in (150, 800))
        report = gpumon.evaluate(
            *sides, target="y", prediction="yhat", task="regression", metrics=["median_shift"]
        )
        assert {row.status for row in report.results.where(metric="median_shift")} == {"ok"}


def test_averages_over_the_classes_are_judged_beyond_chance():
    def rows(seed, n, blurred=0.0):
        rng = np.random.default_rng(seed)
        p = rng.dirichlet(np.ones(4), n)
        y = (rng.random(n)[:, None] > p.cumsum(axis=1)).sum(axis=1).clip(0, 3)
        p = (1 - blurred) * p + blurred * rng.dirichlet(np.ones(4), n)
        return {"y": y, **{f"p_{i}": p[:, i] for i in range(4)}}

    names = [
        "precision",
        "recall",
        "f1",
        "false_positive_rate",
        "false_negative_rate",
        "auc",
        "average_precision",
    ]
    before = rows(0, 20_000)
    for seed in range(1, 21):
        report = gpumon.evaluate(rows(seed, 200), before, target="y", score="p_", metrics=names)
        for name in names:
            row = value(report, name)
            assert row.status == "ok"
            assert row.ci_lower < row.value < row.ci_upper
            assert 0 < row.p_value <= 1
    report = gpumon.evaluate(rows(99, 5_000, 0.5), before, target="y", score="p_", metrics=names)
    assert {value(report, name).status for name in names} == {"alert"}


RARE = ["auc", "average_precision", "f1", "balanced_accuracy", "label_odds_shift", "brier_score", "accuracy"]


def rare(seed, rows, windows, worse=0.0):
    rng = np.random.default_rng(seed)
    n = rows * windows
    y = rng.random(n) < 0.04
    z = rng.normal(size=n)
    p = 1 / (1 + np.exp(-(z + (1 - worse) * 1.5 * y - 1)))
    return {"y": y, "p": p, "t": np.datetime64("2026-01-01") + np.repeat(np.arange(windows), rows)}


def test_windows_with_few_positives_do_not_alarm_and_many_do():
    """Two positives among 50 rows: their own spread says nothing, and none at all is no infinite shift."""
    before = rare(0, 40_000, 1)
    options = {"target": "y", "score": "p", "metrics": RARE}
    report = gpumon.evaluate(rare(1, 50, 400), before, timestamp="t", every="1d", **options)
    judged = [row for row in report.results if row.window is not None]
    assert len(judged) > 2_500
    assert sum(row.status in {"warn", "alert"} for row in judged) <= 2
    report = gpumon.evaluate(rare(2, 8_000, 1, worse=0.8), before, **options)
    assert {value(report, name).status for name in ("auc", "balanced_accuracy", "f1")} == {"alert"}
    lost = rare(3, 8_000, 1)
    lost["y"][:] = False
    shift = value(gpumon.evaluate(lost, before, **options), "label_odds_shift")
    assert shift.status == "alert"
