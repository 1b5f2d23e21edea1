"""The electricity market of New South Wales, the field's stream of concept drift, from rows to the report.

In May 1997, after 17,424 half-hours, Victoria joined the market: three of its columns begin to vary, and prices behave
otherwise. The models here learnt before that and go on unchanged.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from river import drift
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import gpumon

DATA = Path(os.environ.get("GPUMON_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
FILE = DATA / "electricity.parquet"
JOINED = 17_424
DAY = 48

pytestmark = pytest.mark.skipif(not FILE.exists(), reason=f"{FILE} is not there")

MODELS = {
    "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "tree": lambda: DecisionTreeClassifier(max_depth=6, random_state=0),
}


@pytest.fixture(scope="module")
def market():
    table = pd.read_parquet(FILE)
    when = np.datetime64("1996-05-07", "s") + 1800 * np.arange(len(table))
    return table.drop(columns=["order", "class"]), (table["class"] == 1).to_numpy(), when


@pytest.fixture(scope="module", params=MODELS)
def predicted(request, market):
    """Scores of a model that learnt from rows 4,000 to 14,000."""
    inputs, up, when = market
    model = MODELS[request.param]().fit(inputs.to_numpy()[4_000:14_000], up[4_000:14_000])
    return {"y": up, "p": model.predict_proba(inputs.to_numpy())[:, 1], "t": when}


def part(table, first, last):
    return {name: column[first:last] for name, column in table.items()}


def evaluated(table, every):
    return gpumon.evaluate(
        part(table, 16_000, 19_000), part(table, 14_000, 16_000), target="y", score="p", timestamp="t", every=every
    )  # fmt: skip


def reason(report, metric):
    (row,) = report.results.where(metric=metric, window=None)
    return row.reason


def test_the_date_is_that_of_the_data(market):
    inputs, _, when = market
    assert when[JOINED] == np.datetime64("1997-05-05")
    assert inputs[["vicprice", "vicdemand", "transfer"]][:JOINED].nunique().tolist() == [1, 1, 1]


def test_the_day_that_victoria_joined_comes_out(predicted):
    report = evaluated(predicted, "1d")
    told = reason(report, "adwin")
    assert told.startswith("at 1997-05-05, of a change since 1997-05-0")
    assert told.split("since ")[1][:10] in {"1997-05-04", "1997-05-05"}
    assert "since 1997-05-04" in reason(report, "page_hinkley")
    assert reason(evaluated(predicted, "1w"), "adwin") == "at 1997-05-12, of a change since 1997-05-05"


def test_the_days_errors_are_those_of_the_rows_and_rivers_detector_sees_the_same(predicted):
    report = evaluated(predicted, "1d")
    wrong = (predicted["p"] >= 0.5) != predicted["y"]
    days = pd.Series(wrong[16_000:19_000]).groupby(predicted["t"][16_000:19_000].astype("M8[D]")).mean()
    found = {row.window: row.value for row in report.results.where(metric="accuracy") if row.window}
    assert found == pytest.approx({str(day)[:10]: 1 - rate for day, rate in days.items()})
    detector, alarms = drift.ADWIN(), []
    for row in range(14_000, 19_000):
        detector.update(float(wrong[row]))
        if detector.drift_detected:
            alarms.append(row)
    assert any(JOINED - 3 * DAY <= row <= JOINED + 4 * DAY for row in alarms)


def test_a_model_that_is_left_alone_for_long_is_told_to_have_lost_the_concept(market):
    inputs, up, when = market
    model = MODELS["logistic"]().fit(inputs.to_numpy()[:8_000], up[:8_000])
    table = {"y": up, "p": model.predict_proba(inputs.to_numpy())[:, 1], "t": when}
    report = gpumon.evaluate(
        part(table, 14_000, 24_000), part(table, 8_000, 14_000), target="y", score="p", timestamp="t", every="1w"
    )  # fmt: skip
    for metric in ("error_rate_change", "concept_change", "accuracy_cusum"):
        (row,) = report.results.where(metric=metric, window=None)
        assert row.status == "alert"
    (time,) = report.results.where(metric="concept_change_time", window=None)
    assert time.value >= np.datetime64("1997-05-05", "s").astype(float)


def test_the_windows_in_which_the_new_inputs_begin_to_vary_are_alerts(market):
    inputs, _, when = market
    table = {name: inputs[name].to_numpy() for name in ("nswdemand", "vicdemand", "transfer")} | {"t": when}
    report = gpumon.scan(
        part(table, 16_000, 19_000), part(table, 12_000, 16_000), timestamp="t", every="1w", metrics=["psi_alert_share"]
    )  # fmt: skip
    share = {row.window: row.value for row in report.results.where(metric="psi_alert_share") if row.window}
    assert all(value <= 1 / 3 for window, value in share.items() if window < "1997-05-05")
    assert all(value >= 2 / 3 for window, value in share.items() if window >= "1997-05-05")
