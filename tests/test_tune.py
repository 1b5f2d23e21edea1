"""tune: thresholds by replay, and that scan and evaluate alert by them as the replay said."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import gpumon
from gpumon.cli import cli
from gpumon.errors import InputError, OptionError
from gpumon.verdicts.replay import METHODS

DAILY = {"timestamp": "t", "every": "1d"}


def history(
    windows: int = 60, rows: int = 200, columns: int = 2, change: int | None = None, size=0.5, seed=0
) -> dict[str, np.ndarray]:
    """Days with a weekly season; from the day ``change`` on, x0 is moved by ``size``."""
    rng = np.random.default_rng(seed)
    day = np.arange(windows).repeat(rows)
    season = 0.1 * np.sin(day / 7 * 2 * np.pi)
    table = {f"x{i}": rng.normal(season, 1) for i in range(columns)}
    if change is not None:
        table["x0"] += size * (day >= change)
    return table | {"t": np.datetime64("2026-01-01") + day}


def alerts(report: gpumon.Report, metric: str) -> int:
    rows = report.results.where(metric=metric)
    return Counter(row.status for row in rows if row.window is not None)["alert"]


@pytest.fixture(scope="module")
def counted():
    """A reference of 30 days and a history of 60, counted once."""
    reference = gpumon.profile(history(30, seed=1), **DAILY)
    return reference, gpumon.profile(history(60, change=40, seed=2), like=reference, **DAILY)


METRICS = ["jensen_shannon", "psi", "kolmogorov_smirnov"]


@given(
    budget=st.floats(0.0, 30.0),
    metrics=st.lists(st.sampled_from(METRICS), min_size=1, max_size=3, unique=True),
    consecutive=st.sampled_from([1, 2, [1, 3]]),
    release=st.sampled_from([1.0, 0.8]),
    min_rows=st.sampled_from([0, 150]),
)
@settings(max_examples=20)
def test_a_scan_alerts_as_often_as_the_replay_said_and_within_the_budget(
    counted, budget, metrics, consecutive, release, min_rows
):
    reference, now = counted
    tuning = gpumon.tune(
        now, reference, budget=budget, metrics=metrics, consecutive=consecutive, release=release, min_rows=min_rows
    )  # fmt: skip
    assert tuning.alerts_a_week <= budget + 1e-12
    report = gpumon.scan(now, reference, metrics=metrics, thresholds=tuning.thresholds)
    for chosen in tuning.chosen:
        assert alerts(report, chosen.metric) == chosen.alerts
        assert chosen.alerts_a_week == pytest.approx(chosen.alerts / tuning.weeks)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "relative"])
def test_every_method_can_be_applied_as_it_was_replayed(counted, method):
    """The rules of some setting of each method, not of the chosen ones alone, say what the replay said."""
    from gpumon.metrics import chosen
    from gpumon.verdicts import replay as module
    from gpumon.verdicts.rules import Rule

    (metric,) = chosen(["psi"])
    reference, now = (each.with_totals() for each in counted)
    kept = {}

    def candidates(block, within):
        for candidate in original(block, within):
            if candidate.method == method:
                kept[candidate.setting] = candidate.rules
                yield candidate

    original = module._candidates
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_candidates", candidates)
        found = module.replay(reference, now, (metric,), 1e9, consecutive=(1, 2))
    assert {setting.method for setting in found.settings} == {method}
    middle = sorted(found.settings, key=lambda it: it.alerts)[len(found.settings) // 2]
    rules = [
        Rule(**(vars(rule) | {"consecutive": middle.consecutive})).as_mapping()
        for rule in kept[middle.setting]
    ]
    report = gpumon.scan(now, reference, metrics=["psi"], thresholds={"psi": rules})
    assert alerts(report, "psi") == middle.alerts


def test_more_permissive_settings_never_alert_more(counted):
    reference, now = counted
    found = gpumon.tune(now, reference, metrics=METRICS, consecutive=[1, 2, 3]).settings
    groups: dict[tuple, list] = {}
    for setting in found:
        groups.setdefault((setting.metric, setting.method, setting.consecutive), []).append(setting)
    for (_, method, _), group in groups.items():
        group.sort(key=lambda it: it.setting, reverse=method == "tail")
        counts = [it.alerts for it in group]
        assert counts == sorted(counts, reverse=True), method
        seen = [it.sees for it in group]
        assert seen == sorted(seen), method
    by_runs: dict[tuple, list] = {}
    for setting in found:
        by_runs.setdefault((setting.metric, setting.method, setting.setting), []).append(setting)
    for group in by_runs.values():
        counts = [it.alerts for it in sorted(group, key=lambda it: it.consecutive)]
        assert counts == sorted(counts, reverse=True)


def test_only_the_methods_that_are_asked_for_are_tried(counted):
    reference, now = counted
    tuning = gpumon.tune(now, reference, methods=["sigma", "noise"])
    assert {setting.method for setting in tuning.settings} == {"sigma", "noise"}


def test_a_larger_budget_never_sees_less(counted):
    reference, now = counted
    seen = [
        gpumon.tune(now, reference, budget=budget).chosen[0].sees for budget in (1.0, 2.0, 5.0, 10.0, 20.0)
    ]
    assert seen == sorted(seen, reverse=True)


def test_a_marked_incident_is_found_at_once_and_is_no_false_alert(counted):
    reference, now = counted
    tuning = gpumon.tune(now, reference, budget="1/week", incidents="2026-02-10")  # day 40
    (chosen,) = tuning.chosen
    assert (chosen.missed, chosen.delay) == (0, 0)
    assert chosen.false_alerts_a_week <= 1
    assert chosen.alerts > chosen.false_alerts
    later = gpumon.tune(now, reference, budget="1/week", incidents=["2026-01-10/2026-01-12", "2026-02-10"])
    missed = {setting.missed for setting in later.settings}
    assert missed <= {0, 1, 2}
    assert max(missed) == 2


def test_without_a_reference_the_first_windows_are_it():
    tuning = gpumon.tune(history(), budget="1/day", reference_windows=20, **DAILY)
    assert tuning.facts["windows"] == 40
    assert len(tuning.reference.windows) == 20
    assert "first 20 windows, to 2026-01-20" in tuning.notes[-1]


def test_segments_have_limits_of_their_own():
    table = history(columns=1)
    table["s"] = np.tile(["a", "a", "a", "b"], 60 * 50)
    tuning = gpumon.tune(table, by="s", budget="2/week", reference_windows=30, **DAILY)
    rules = tuning.thresholds["jensen_shannon"]
    assert {(rule["column"], rule.get("segment")) for rule in rules} == {
        ("x0", None), ("x0", "s=a"), ("x0", "s=b"), ("s", None), ("s", "s=a"), ("s", "s=b"),
    }  # fmt: skip


def test_predictions_with_labels_are_tuned_from_an_evaluation():
    rng = np.random.default_rng(0)

    def predictions(windows: int, worse: int) -> dict[str, np.ndarray]:
        day = np.arange(windows).repeat(200)
        p = rng.uniform(size=day.size)
        y = rng.uniform(size=day.size) < np.where(day < worse, p, 0.5)
        return {"y": y, "p": p, "t": np.datetime64("2026-01-01") + day}

    reference, now = predictions(20, 99), predictions(40, 30)
    named = {"target": "y", "score": "p", **DAILY}
    report = gpumon.evaluate(now, reference=reference, **named)
    tuning = gpumon.tune(report, budget="1/week", incidents="2026-01-31")
    assert {"accuracy", "auc", "log_loss", "brier_score", "jensen_shannon"} == set(tuning.metrics)
    chosen = {setting.metric: setting for setting in tuning.chosen}
    assert chosen["auc"].missed == 0
    relative = {setting.metric for setting in tuning.settings if setting.method == "relative"}
    assert relative == {"accuracy", "auc"}  # the others are judged by their relative change as it is
    again = gpumon.evaluate(
        now, reference=reference, thresholds=tuning.thresholds, metrics=tuning.metrics, **named
    )
    for metric in ("accuracy", "auc", "log_loss", "brier_score"):
        assert alerts(again, metric) == chosen[metric].alerts, metric


@pytest.mark.parametrize(
    ("season", "tails", "rows"), [(0.0, None, 200), (0.15, None, 200), (0.0, 2.0, 200), (0.0, None, 30)]
)
def test_days_that_come_later_keep_near_the_budget_and_a_change_is_found(season, tails, rows):
    """Tuned on 60 days with a marked week, told by 150 calm days and 20 after a change, in four worlds."""

    def days(first: int, shift, seed: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng((seed, rows))
        day = np.arange(len(shift)).repeat(rows)
        noise = rng.normal(size=(2, day.size)) if tails is None else rng.standard_t(tails, (2, day.size))
        noise = noise + season * np.sin((first + day) * 2 * np.pi / 7)
        noise[0] += np.asarray(shift)[day]
        return {"x0": noise[0], "x1": noise[1], "t": np.datetime64("2026-01-01") + first + day}

    false, delays = [], []
    for seed in range(4):
        reference = gpumon.profile(days(0, np.zeros(30), seed), **DAILY)

        def counted(first, shift, seed, like=reference):
            return gpumon.profile(days(first, shift, seed), like=like, **DAILY)

        past = np.zeros(60)
        past[30:37] = 1.0
        tuning = gpumon.tune(
            counted(30, past, seed + 10), reference, budget="1/week", incidents="2026-03-02/2026-03-08"
        )
        assert tuning.chosen[0].missed == 0
        limits = {"thresholds": tuning.thresholds, "metrics": tuning.metrics}
        false.append(
            alerts(gpumon.scan(counted(90, np.zeros(150), seed + 20), reference, **limits), "jensen_shannon")
        )
        moved = gpumon.scan(counted(90, np.ones(20), seed + 30), reference, **limits)
        rows_of = moved.results.where(metric="jensen_shannon", column="x0")
        delays.append([row.status for row in rows_of if row.window is not None].index("alert"))
    assert np.mean(false) / (150 / 7) < 1.5
    assert np.mean(delays) <= 3


def test_a_budget_that_nothing_fits_is_said(counted, monkeypatch):
    from gpumon.verdicts import replay

    reference, _ = counted
    moved = gpumon.profile(history(40, change=0, size=3.0, seed=3), like=reference, **DAILY)
    monkeypatch.setattr(replay, "STEPS", np.array([0.5, 1.0]))  # not up to limits that nothing exceeds
    for names in ("SIGMAS", "QUANTILES", "TAILS", "CHART_LIMITS"):
        monkeypatch.setattr(replay, names, getattr(replay, names)[:1])
    tuning = gpumon.tune(moved, reference, budget="1/month", metrics=["kolmogorov_smirnov"])
    assert tuning.status == "warn"
    assert tuning.thresholds == {}
    assert tuning.alerts_a_week == 0
    assert tuning.sentences()[0].startswith("kolmogorov_smirnov: no setting fits its part of the budget")
    assert "(too many)" in repr(tuning)


@pytest.fixture
def files(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table(history(30, seed=1)), "reference.parquet")
    pq.write_table(pa.table(history(40, seed=2)), "history.parquet")
    return tmp_path


def test_the_command_writes_thresholds_that_scan_reads(files: Path):
    from click.testing import CliRunner

    run = CliRunner().invoke
    options = ["--timestamp", "t", "--every", "1d", "--metrics", "psi"]
    written = ["-o", "limits.yaml", "--json", "all.json", "--csv", "all.csv"]
    found = run(
        cli,
        [
            "tune",
            "history.parquet",
            "reference.parquet",
            *options,
            *written,
            "--budget",
            "3/week",
            "--consecutive",
            "2",
        ],
        standalone_mode=False,
    )
    assert found.exception is None
    assert found.return_value == 0
    assert "alerts a week with the chosen thresholds, 3 are allowed" in found.output
    document = json.loads((files / "all.json").read_text())
    assert yaml.safe_load((files / "limits.yaml").read_text()) == document["thresholds"]
    assert document["thresholds"]["psi"][0]["consecutive"] == 2
    lines = (files / "all.csv").read_text().splitlines()
    assert len(lines) == 1 + len(document["settings"])
    scanned = run(
        cli,
        ["scan", "reference.parquet", "history.parquet", *options, "--thresholds", "limits.yaml", "--json", "scan.json"],
        standalone_mode=False,
    )  # fmt: skip
    assert scanned.exception is None
    report = gpumon.scan(
        "history.parquet", "reference.parquet", metrics="psi", thresholds=files / "limits.yaml", **DAILY
    )
    chosen = next(setting for setting in document["settings"] if setting["chosen"])
    assert alerts(report, "psi") == chosen["alerts"]


def test_names_from_data_cannot_write_to_the_terminal_or_break_the_file(tmp_path: Path):
    table = history(40, columns=1)
    name = "x\x1b[31m\n- <b>: {y}"
    table = {name: table["x0"], "t": table["t"]}
    tuning = gpumon.tune(table, reference_windows=20, **DAILY)
    assert "\x1b" not in repr(tuning)
    tuning.save(tmp_path / "limits.yaml")
    assert yaml.safe_load((tmp_path / "limits.yaml").read_text("utf-8")) == tuning.thresholds
    assert tuning.thresholds["jensen_shannon"][0]["column"] == name


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"budget": "two a week"}, "2/week"),
        ({"budget": -1}, "no number of alerts"),
        ({"budget": float("nan")}, "no number of alerts"),
        ({"incidents": "yesterday"}, "is no time"),
        ({"incidents": "2026-02-01/2026-01-01"}, "is no time"),
        ({"incidents": "2031-01-01"}, "is not in the history"),
        ({"consecutive": 0}, "whole number from 1 on"),
        ({"consecutive": []}, "needs a number"),
        ({"methods": ["shewhart"]}, "use some of conventional"),
        ({"release": 1.5}, "share of the limit"),
        ({"min_rows": -1}, "min_rows"),
        ({"metrics": ["quantiles"]}, "no metric"),
        ({"metrics": ["auc_cusum"]}, "none of these metrics alerts by its size"),
    ],
)
def test_what_cannot_be_right_is_refused(counted, options, why):
    reference, now = counted
    with pytest.raises(OptionError, match=why):
        gpumon.tune(now, reference, **options)


def test_a_history_without_windows_or_with_few_is_refused():
    table = history(6)
    with pytest.raises(InputError, match="no windows of time"):
        gpumon.tune(table, {"x0": table["x0"], "x1": table["x1"]})
    with pytest.raises(InputError, match="6 windows, too few"):
        gpumon.tune(table, **DAILY)
