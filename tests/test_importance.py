"""Feature importance and its drift, from logged attributions, boosters and functions, beside scikit-learn and the libraries."""

from __future__ import annotations

import sys

import distributed
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import binomtest
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import ndcg_score

import gpumon
from gpumon.errors import GpumonError
from gpumon.profiles.attributions import Attributions

FEATURES = ("age", "income", "town", "noise")


def rows(n, seed, scale=(3.0, 2.0, 1.0, 0.1), moved=0.0):
    rng = np.random.default_rng(seed)
    table = {
        "age": rng.normal(size=n),
        "income": rng.normal(size=n),
        "town": rng.choice(["a", "b"], n),
        "noise": rng.normal(moved, 1, n),
        "t": np.datetime64("2024-05-01") + rng.integers(0, 3, n),
    }
    return table | {f"shap_{name}": rng.normal(0, s, n) for name, s in zip(FEATURES, scale, strict=True)}


def found(report, metric, **where):
    where = {"column": None, "window": None, "segment": None} | where
    (row,) = report.results.where(metric=metric, **where)
    return row


def sizes(table):
    return np.array([np.abs(table[f"shap_{name}"]).mean() for name in FEATURES])


def test_logged_attributions_are_compared_as_scikit_learn_and_scipy_do():
    before, now = rows(4_000, 1), rows(3_000, 2, (1.0, 3.0, 2.0, 0.1))
    report = gpumon.scan(now, before, attributions="shap_", roles={"ignore": "t"})
    r, c = sizes(before), sizes(now)
    assert found(report, "importance_ndcg").value == pytest.approx(ndcg_score([r], [c]))
    assert found(report, "importance_rank_correlation").value == pytest.approx(stats.spearmanr(r, c)[0])
    assert found(report, "importance_share_distance").value == pytest.approx(
        np.abs(r / r.sum() - c / c.sum()).sum()
    )
    for i, name in enumerate(FEATURES):
        row = found(report, "importance_share", column=name)
        assert row.value == pytest.approx(c[i] / c.sum())
        assert row.reference == pytest.approx(r[i] / r.sum())
    ids = {(row.metric, row.column): row.id for row in report.results}
    assert ids["psi", "shap_age"] == "MD-05"
    assert ids["psi", "age"] == "DD-05"
    assert not any("shap" in (row.column or "") for row in report.results.where(metric="correlation_shift"))


def test_ndcg_below_nine_tenths_is_an_alert_and_the_same_importance_is_none():
    before = rows(4_000, 1)
    turned = gpumon.scan(rows(4_000, 2, (0.1, 0.2, 2.0, 3.0)), before, attributions="shap_")
    row = found(turned, "importance_ndcg")
    assert row.value < 0.9
    assert row.status == "alert"
    assert turned.status == "alert"
    same = gpumon.scan(rows(4_000, 2), before, attributions="shap_")
    assert found(same, "importance_ndcg").status == "ok"
    assert found(same, "importance_ndcg").reference == 1


def test_windows_and_segments_have_importances_of_their_own():
    now = rows(6_000, 2, (1.0, 3.0, 2.0, 0.1))
    report = gpumon.scan(now, rows(4_000, 1), attributions="shap_", timestamp="t", every="1d", by="town")
    part = (now["t"] == np.datetime64("2024-05-02")) & (now["town"] == "a")
    c = np.array([np.abs(now[f"shap_{name}"][part]).mean() for name in FEATURES])
    row = found(report, "importance_share", column="income", window="2024-05-02", segment="town=a")
    assert row.value == pytest.approx(c[1] / c.sum())


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 1_999))
def test_attributions_add_in_any_cut_and_are_saved(tmp_path_factory, cut):
    table = rows(2_000, 1)
    table["shap_age"][:7] = np.nan, np.inf, -np.inf, 0, 0, 0, 0
    whole = gpumon.profile(table, attributions={"age": "shap_age", "wealth": "shap_income"})
    state = whole.state("", "attributions")
    assert isinstance(state, Attributions)
    assert state.features == ("age", "wealth")
    assert state.n.tolist() == [1_997, 2_000]
    assert state.sums[1] == pytest.approx(np.abs(table["shap_income"]).sum())
    parts = [{name: x[part] for name, x in table.items()} for part in (slice(cut), slice(cut, None))]
    first, second = (gpumon.profile(part, like=whole, backend="plain") for part in parts)
    summed = (second + first).state("", "attributions")
    assert (summed.n == state.n).all()
    assert summed.checks.tolist() == state.checks.tolist() == [2_000, 1_997, 0, 0, 0]
    assert np.allclose(summed.squares, state.squares, rtol=1e-12)
    assert np.allclose(summed.sums, state.sums, rtol=1e-12)
    path = tmp_path_factory.mktemp("profiles") / "rows.gpumon"
    whole.save(path)
    assert gpumon.Profile.load(path) == whole
    assert found(gpumon.scan(str(path), whole), "importance_ndcg").value == 1


def test_roles_alone_say_which_feature_an_attribution_is_of():
    counted = gpumon.profile(rows(100, 1), roles={"attribution": ["shap_age", "shap_town"]})
    assert counted.state("", "attributions").features == ("age", "town")


def test_a_cluster_counts_the_same():
    table = pa.table(rows(5_000, 3))
    here = gpumon.scan(table, table, engine="local", attributions="shap_", timestamp="t", every="1d")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        there = gpumon.scan(table, table, engine=client, attributions="shap_", timestamp="t", every="1d")
    for metric in ("importance_ndcg", "importance_share", "weighted_drift"):
        one, two = (report.results.where(metric=metric)["value"] for report in (here, there))
        assert np.allclose(one, two, rtol=1e-9)


def explained(n, seed, *, odds):
    """A fitted linear model's exact Shapley values, (x − mean) × coefficient, beside its output and the labels."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    y = (
        (rng.random(n) < 1 / (1 + np.exp(-x[:, 0] - 0.5 * x[:, 1]))).astype(int)
        if odds
        else 2 * x[:, 0] + x[:, 1]
    )
    model = (LogisticRegression() if odds else LinearRegression()).fit(x, y)
    coefficient = np.ravel(model.coef_)
    phi = (x - x.mean(axis=0)) * coefficient
    base = float(np.ravel(model.intercept_)[0] + x.mean(axis=0) @ coefficient)
    output = model.predict_proba(x)[:, 1] if odds else model.predict(x)
    table = {f"x{i}": x[:, i] for i in range(3)} | {f"shap_x{i}": phi[:, i] for i in range(3)}
    time = np.datetime64("2025-01-01") + np.arange(n) % 2
    return table | {"y": y, "p": output, "base_values": np.full(n, base), "t": time}, base


@pytest.mark.parametrize("odds", [True, False])
def test_attributions_and_their_base_add_up_to_the_output_or_its_log_odds(odds):
    table, base = explained(2_000, 0, odds=odds)
    given = {"target": "y", "score" if odds else "prediction": "p", "attributions": "shap_"}
    for told in (base, "base_values"):
        report = gpumon.evaluate(table, table, base_value=told, **given)
        row = found(report, "attribution_mismatch_share")
        assert (row.id, row.value, row.status, row.n, row.reason) == ("XC-02", 0, "ok", 2_000, "")
        assert row.ci_upper == pytest.approx(binomtest(0, 2_000).proportion_ci(method="wilson").high)
        assert found(report, "explanation_coverage").value == 1
        assert "base_values" not in {each.column for each in report.results.where(metric="importance_share")}
    broken = table | {"shap_x0": table["shap_x0"].copy(), "shap_x1": table["shap_x1"].copy()}
    second = np.flatnonzero(table["t"] == np.datetime64("2025-01-02"))
    broken["shap_x0"][second[:30]] += 0.4
    broken["shap_x1"][second[30:130]] = np.nan
    report = gpumon.evaluate(broken, table, base_value="base_values", timestamp="t", every="1d", **given)
    row = found(report, "attribution_mismatch_share", window="2025-01-02")
    assert (row.value, row.n, row.status) == (30 / 900, 900, "alert")
    assert row.reason == "in 3.33 % of the rows attributions and base differ from p by more than 0.001"
    assert found(report, "attribution_mismatch_share", window="2025-01-01").status == "ok"
    assert found(report, "explanation_coverage", window="2025-01-02").value == 0.9
    alone = gpumon.evaluate(broken, base_value="base_values", **given)
    assert found(alone, "attribution_mismatch_share").status == "alert"
    assert found(alone, "attribution_mismatch_share").value == pytest.approx(30 / 1_900)


def test_without_a_base_value_there_is_coverage_and_no_claim_that_they_add_up():
    table, _ = explained(500, 0, odds=True)
    report = gpumon.evaluate(table, table, target="y", score="p", attributions="shap_")
    assert found(report, "explanation_coverage").value == 1
    assert not len(report.results.where(metric="attribution_mismatch_share"))
    with pytest.raises(GpumonError, match="attribution_mismatch_share needs attributions and base_value"):
        gpumon.evaluate(
            table, target="y", score="p", attributions="shap_", metrics=["attribution_mismatch_share"]
        )
    logged = {name: column for name, column in table.items() if name != "base_values"}
    scanned = gpumon.scan(
        logged, table, attributions="shap_", base_value="base_values", roles={"score": "p", "target": "y"}
    )
    assert found(scanned, "attribution_mismatch_share").status == "no_data"


def test_importances_of_few_rows_with_long_tails_are_no_alarm_though_their_order_differs():
    size = 1 / (1 + np.arange(10))

    def tailed(rng, n, days, scale):
        signs = rng.choice([-1, 1], (10, n))
        phi = scale[:, None] * rng.lognormal(0, 2, (10, n)) * signs
        time = np.datetime64("2025-01-01") + np.arange(n) % days
        return {"x": rng.normal(size=n), "t": time} | {f"shap_f{i}": phi[i] for i in range(10)}

    names = ["importance_ndcg", "importance_rank_correlation", "top_features_overlap"]
    given = {"attributions": "shap_", "timestamp": "t", "every": "1d", "columns": ["x"], "metrics": names}
    rng = np.random.default_rng(0)
    reference = tailed(rng, 5_000, 1, size)
    same = gpumon.scan(tailed(rng, 3_000, 100, size), reference, **given)
    beyond = [row for row in same.results.where(metric="importance_ndcg") if row.window and row.value < 0.9]
    assert len(beyond) > 10
    assert min(row.p_value for row in beyond) < 0.3
    assert {row.status for row in same.results if row.window} == {"ok"}
    turned = gpumon.scan(tailed(rng, 20_000, 4, size[::-1]), reference, **given)
    for name in names[:2]:
        rows_of = [row for row in turned.results.where(metric=name) if row.window]
        assert {row.status for row in rows_of} == {"alert"}
        assert max(row.q_value for row in rows_of) < 1e-3


def linear(n, seed, slope=(3.0, 1.0, 0.0)):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3, n))
    return {"a": x[0], "b": x[1], "c": x[2], "y": slope @ x + rng.normal(size=n)}


def test_a_function_is_asked_as_scikit_learn_asks_a_model():
    before = linear(10_000, 0)
    x = np.stack([before[name] for name in "abc"], axis=1)
    model = LinearRegression().fit(x, before["y"])
    report = gpumon.scan(
        linear(8_000, 1), before, roles={"target": "y"}, predict=lambda frame: model.predict(frame[["a", "b", "c"]].to_numpy())
    )  # fmt: skip
    theirs = permutation_importance(
        model, x, model.predict(x), scoring="neg_mean_absolute_error", n_repeats=5, random_state=0
    ).importances_mean
    mine = report.reference.facts["importance"]
    assert mine["rows"] == 10_000
    assert list(mine["of"]) == ["a", "b", "c"]
    assert np.allclose([*mine["of"].values()], theirs, rtol=0.02, atol=0.01)
    assert found(report, "importance_ndcg").value == pytest.approx(1, abs=1e-6)
    again = gpumon.scan(
        linear(8_000, 1), before, roles={"target": "y"}, predict=lambda frame: model.predict(frame[["a", "b", "c"]].to_numpy())
    )  # fmt: skip
    assert again.reference.facts["importance"] == mine


def test_evaluate_asks_a_function_too():
    report = gpumon.evaluate(
        {**linear(3_000, 1), "q": linear(3_000, 1)["y"]}, {**linear(3_000, 2), "q": linear(3_000, 2)["y"]},
        target="y", prediction="q", predict=lambda frame: frame["a"] * 2 + frame["b"],
    )  # fmt: skip
    assert set(report.reference.facts["importance"]["of"]) == {"a", "b", "c"}
    assert found(report, "importance_share", column="c").value == 0
    assert found(report, "weighted_drift").status == "ok"


def test_drift_of_features_that_the_model_does_not_use_counts_nothing():
    before, now = rows(4_000, 1), rows(4_000, 2, moved=2.0)
    columns = list(FEATURES)
    unused = gpumon.scan(now, before, columns=columns, importance={"age": 3, "income": 1, "noise": 0})
    used = gpumon.scan(now, before, columns=columns, importance={"age": 1, "noise": 3})
    assert found(unused, "drifted_importance").value == 0
    assert found(unused, "drifted_importance").status == "ok"
    row = found(used, "drifted_importance")
    assert row.value == 0.75
    assert row.status == "alert"
    assert row.reason == "75 % of the importance is of columns that drifted"
    distances = {row.column: row.value for row in used.results.where(metric="jensen_shannon")}
    expected = (distances["age"] + 3 * distances["noise"]) / 4
    assert found(used, "weighted_drift").value == pytest.approx(expected)
    assert not used.results.where(metric="importance_ndcg")["value"].size  # of the current nothing is known


def test_importance_is_part_of_the_baseline(tmp_path):
    before, now = rows(2_000, 1), rows(2_000, 2, moved=2.0)
    plan = gpumon.profile(before, columns=list(FEATURES), importance={"noise": 1.0})
    plan.save(tmp_path / "baseline.gpumon")
    report = gpumon.scan(now, str(tmp_path / "baseline.gpumon"))
    assert found(report, "drifted_importance").value == 1
    given = tmp_path / "importance.csv"
    given.write_text("feature,importance\nage,2\nnoise,2\n")
    assert found(gpumon.scan(now, before, importance=given), "drifted_importance").value == 0.5


def test_importances_of_two_methods_are_not_compared():
    before, now = linear(500, 0), linear(500, 1)
    one = gpumon.profile(before, predict=lambda frame: frame["a"])
    one.facts["importance"]["method"] = "another"
    report = gpumon.scan(now, one, predict=lambda frame: frame["a"])
    row = found(report, "importance_ndcg")
    assert row.status == "no_data"
    assert row.reason.startswith("importances of two methods are not compared: another; mean |change")


def test_an_importance_of_nothing_that_is_there_is_no_data():
    report = gpumon.scan(linear(50, 0), linear(50, 1), importance={"elsewhere": 1.0, "a": 0.0})
    row = found(report, "weighted_drift")
    assert row.status == "no_data"
    assert row.reason == "no column with any importance was compared"


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_boosters_say_what_they_see(tmp_path, library):
    module = pytest.importorskip(library)
    before, now = linear(3_000, 0), linear(3_000, 1)
    import pandas as pd

    frame = pd.DataFrame({name: before[name] for name in "abc"})
    if library == "xgboost":
        booster = module.train({"max_depth": 3}, module.DMatrix(frame, before["y"]), 20)
        path = tmp_path / "model.ubj"
        contributions = booster.predict(module.DMatrix(frame), pred_contribs=True)
        gain = booster.get_score(importance_type="total_gain")
    else:
        booster = module.train({"max_depth": 3, "verbose": -1}, module.Dataset(frame, before["y"]), 20)
        path = tmp_path / "model.txt"
        contributions = booster.predict(frame, pred_contrib=True)
        gain = dict(zip("abc", booster.feature_importance("gain"), strict=True))
    booster.save_model(path)
    for model in (path, booster):
        report = gpumon.scan(now, before, roles={"target": "y"}, model=model)
        mine = report.reference.facts["importance"]
        assert mine["method"] == f"mean |attribution| of {library}, TreeSHAP"
        assert [*mine["of"].values()] == pytest.approx(np.abs(contributions[:, :3]).mean(axis=0), rel=1e-5)
        assert found(report, "importance_ndcg").status == "ok"
    weighed = gpumon.scan(now, before, importance=path)
    known = weighed.reference.facts["importance"]["of"]
    assert known == pytest.approx({name: gain.get(name, 0.0) for name in "abc"})
    with pytest.raises(GpumonError, match="reads column 'c', which the table does not have"):
        gpumon.scan({"a": now["a"], "b": now["b"]}, {"a": before["a"], "b": before["b"]}, model=path)
    path.write_text("nothing")
    with pytest.raises(GpumonError, match="is no booster that"):
        gpumon.scan(now, before, model=path)


def test_a_booster_of_several_classes_adds_its_classes_up(tmp_path):
    module = pytest.importorskip("lightgbm")
    import pandas as pd

    table = linear(2_000, 0)
    frame = pd.DataFrame({name: table[name] for name in "abc"})
    label = np.digitize(table["y"], [-2, 2])
    booster = module.train(
        {"objective": "multiclass", "num_class": 3, "verbose": -1}, module.Dataset(frame, label), 5
    )
    report = gpumon.scan(table, table, roles={"target": "y"}, model=booster)
    contributions = np.abs(booster.predict(frame, pred_contrib=True)).reshape(2_000, 3, 4)[..., :3]
    expected = contributions.sum(axis=1).mean(axis=0)
    assert [*report.reference.facts["importance"]["of"].values()] == pytest.approx(expected)


def test_a_missing_library_is_told_in_one_line(monkeypatch, tmp_path):
    for name, library in (("model.ubj", "xgboost"), ("model.txt", "lightgbm")):
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(GpumonError, match=f"{library}, which is not installed: pip install {library}"):
            gpumon.scan({"a": [1.0]}, {"a": [1.0]}, model=tmp_path / name)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"attributions": "phi_"}, "no column whose name begins with 'phi_'"),
        ({"attributions": {"age": "nowhere"}}, "no column 'nowhere'"),
        ({"attributions": {"age": "town"}}, "attributions are numbers, and 'town' hold none"),
        ({"base_value": 0.5}, "base_value is what attributions start from: give attributions too"),
        ({"attributions": "shap_", "base_value": 0.5}, "add up to one score or prediction that is a number"),
        ({"attributions": "shap_", "base_value": "nowhere"}, "no column 'nowhere'"),
        ({"attributions": "shap_", "base_value": [1]}, "base_value must be a number or the name of a column"),
        ({"attributions": 5}, "attributions must be what the names of such columns begin with"),
        ({"importance": {}}, "importance has no feature above 0"),
        ({"importance": {"age": "much"}}, "importance must give a number for every feature"),
        ({"importance": 7}, "a int is no booster of XGBoost or LightGBM"),
        ({"importance": "list.yaml"}, "is no mapping, CSV file or booster"),
        ({"model": object()}, "a object is no booster of XGBoost or LightGBM: give predict"),
        ({"model": "model.pkl"}, "no pickle is loaded"),
        ({"predict": "model"}, "predict must be a function"),
        ({"predict": len, "model": "m.ubj"}, "two ways to the same importances"),
        ({"predict": lambda frame: frame["gone"]}, "predict failed on the features age, income"),
        (
            {"metrics": ["importance_ndcg"]},
            "importance_ndcg needs importance, attributions, model or predict",
        ),
    ],
)
def test_what_is_no_importance_is_refused_in_one_line(arguments, words):
    with pytest.raises(GpumonError, match=words) as caught:
        gpumon.scan(rows(50, 0), rows(50, 1), **arguments)
    assert "\n" not in str(caught.value)


def test_profiles_have_no_rows_to_ask_about():
    plan = gpumon.profile(rows(50, 0))
    with pytest.raises(GpumonError, match="has no rows to ask a model about"):
        gpumon.scan(rows(50, 1), plan, predict=lambda frame: frame["age"])
    with pytest.raises(GpumonError, match="holds no attributions"):
        gpumon.scan(rows(50, 1), plan, attributions="shap_")
    plan = gpumon.profile(rows(50, 0), attributions="shap_")
    with pytest.raises(GpumonError, match="holds no base value: profile its table again with base_value"):
        gpumon.scan(rows(50, 1), plan, attributions="shap_", base_value=1.0)


def test_a_csv_file_of_importances_is_read_with_care(tmp_path):
    path = tmp_path / "importance.csv"
    with pytest.raises(GpumonError, match="cannot be read"):
        gpumon.scan(rows(50, 0), rows(50, 1), importance=path)
    path.write_text("age,1\nincome,much\n")
    with pytest.raises(GpumonError, match="line 2: a feature and a number are wanted, not 'income,much'"):
        gpumon.scan(rows(50, 0), rows(50, 1), importance=path)


def test_files_of_the_command_line(tmp_path, capsys):
    for name, table in (("before", rows(400, 1)), ("now", rows(400, 2, moved=2.0))):
        pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")
    (tmp_path / "importance.csv").write_text("noise,1\n")
    from gpumon.cli import cli

    code = cli.main(
        ["scan", str(tmp_path / "before.parquet"), str(tmp_path / "now.parquet"), "--importance", str(tmp_path / "importance.csv"),
         "--attributions", "shap_", "--json", str(tmp_path / "report.json")],
        standalone_mode=False,
    )  # fmt: skip
    assert code == 2
    text = (tmp_path / "report.json").read_text()
    assert "drifted_importance" in text
    assert "importance_ndcg" in text
