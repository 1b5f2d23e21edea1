"""A user's own thresholds: for columns and segments, with rows that are needed, windows in a row, charts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gpumon
from gpumon.errors import InputError, OptionError
from gpumon.metrics import CATALOGUE
from gpumon.verdicts.rules import Rule, rules_of
from gpumon.verdicts.thresholds import Thresholds

DAY = np.datetime64("2026-01-01")


def days(shifts: list[float], rows: int | list[int] = 500, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = np.broadcast_to(rows, len(shifts))
    times = DAY + np.arange(len(shifts)).repeat(sizes).astype("timedelta64[D]")
    return {"x": rng.normal(np.repeat(shifts, sizes), 1), "t": times}


CALM = days([0.0] * 20)
WINDOWS = {"timestamp": "t", "every": "1d", "metrics": ["kolmogorov_smirnov"]}


def statuses(current, rule, **options) -> list[str]:
    report = gpumon.scan(current, CALM, thresholds={"kolmogorov_smirnov": rule}, **WINDOWS | options)
    rows = report.results.where(metric="kolmogorov_smirnov")
    return [row.status for row in rows if row.window is not None and row.segment is None]


def test_an_alert_begins_with_so_many_windows_in_a_row():
    current = days([0, 1, 0, 1, 1, 1], seed=1)
    assert statuses(current, {"alert": 0.2}) == ["ok", "alert", "ok", "alert", "alert", "alert"]
    found = statuses(current, {"alert": 0.2, "consecutive": 2})
    assert found == ["ok", "warn", "ok", "warn", "alert", "alert"]


def test_an_alert_lasts_until_the_effect_has_come_down():
    current = days([0, 1, 0.6, 0.6, 0], seed=1)
    assert statuses(current, {"alert": 0.3}) == ["ok", "alert", "ok", "ok", "ok"]
    assert statuses(current, {"alert": 0.3, "release": 0.5}) == ["ok", "alert", "alert", "alert", "ok"]


def test_a_window_of_few_rows_is_not_judged_and_not_ok():
    current = days([0, 1, 0], rows=[500, 100, 500], seed=1)
    assert statuses(current, {"alert": 0.2, "min_rows": 200}) == ["ok", "no_data", "ok"]


def test_a_chart_sees_a_small_shift_that_lasts():
    current = days([0.0] * 5 + [0.15] * 15, seed=3)
    level = {"alert": 0.2}
    chart = {"alert": 4.1, "chart": "cusum", "centre": 0.04, "spread": 0.012}
    assert set(statuses(current, level)) == {"ok"}
    found = statuses(current, chart)
    assert set(found[:5]) == {"ok"}
    assert found[-1] == "alert"


def test_the_limit_follows_the_noise_of_a_window():
    current = days([0.5] * 4, rows=[20, 20, 2000, 2000], seed=2)
    assert statuses(current, {"alert": 0.0, "noise": 2.0})[2:] == ["alert", "alert"]
    assert statuses(current, {"alert": 0.0, "noise": 2.0})[:2] == ["ok", "ok"]


def test_a_rule_of_a_column_or_a_segment_comes_before_that_of_all():
    rng = np.random.default_rng(0)
    now = {"x": rng.normal(1, 1, 4000), "y": rng.normal(1, 1, 4000), "s": np.tile(["a", "b"], 2000)}
    before = {"x": rng.normal(0, 1, 4000), "y": rng.normal(0, 1, 4000), "s": np.tile(["a", "b"], 2000)}
    rules = [{"alert": 0.2}, {"column": "x", "alert": 0.9}, {"column": "x", "segment": "s=b", "alert": 0.3}]
    report = gpumon.scan(
        now, before, by="s", columns=["x", "y"], metrics=["kolmogorov_smirnov"],
        thresholds={"kolmogorov_smirnov": rules},
    )  # fmt: skip
    one, two = report.current.segments
    found = {(row.column, row.segment): row.status for row in report.results if row.column in {"x", "y"}}
    assert [found["x", at] for at in (None, one, two)] == ["ok", "ok", "alert"]
    assert [found["y", at] for at in (None, one, two)] == ["alert"] * 3


def test_plain_numbers_and_rules_say_the_same():
    for given in (0.2, (0.2, 0.2), {"alert": 0.2}, [{"alert": 0.2}]):
        assert rules_of("psi", given) == (Rule(0.2),)
    assert rules_of("psi", (0.1, 0.2)) == rules_of("psi", {"warn": 0.1, "alert": 0.2})
    for rule in (Rule(0.2, 0.1, "x", consecutive=3), Rule(4.0, chart="ewma", centre=0.1, spread=0.02)):
        assert rules_of("psi", rule.as_mapping()) == (rule,)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"warn": 0.1}, "no alert"),
        ({"alert": 0.1, "warning": 0.1}, "unknown key 'warning'"),
        ({"alert": "0.1"}, "no number"),
        ({"alert": 0.1, "warn": 0.2}, "above its alert"),
        ({"alert": 0.1, "release": 1.5}, "share of the limit"),
        ({"alert": 0.1, "consecutive": 0}, "out of range"),
        ({"alert": 0.1, "consecutive": True}, "no number"),
        ({"alert": 0.1, "chart": "shewhart"}, "use cusum or ewma"),
        ([{"alert": 0.1}, {"alert": 0.2}], "two rules"),
        ([], "give a number or a pair"),
    ],
)
def test_a_rule_that_cannot_be_right_is_refused(rule, why):
    with pytest.raises(OptionError, match=why):
        Thresholds.of({"psi": rule}, None, CATALOGUE)


def test_rules_come_from_a_file(tmp_path: Path):
    path = tmp_path / "own.yaml"
    path.write_text("kolmogorov_smirnov:\n- {column: x, alert: 0.2, consecutive: 2}\n")
    current = days([0, 1, 1], seed=1)
    report = gpumon.scan(current, CALM, thresholds=str(path), **WINDOWS)
    rows = [row.status for row in report.results.where(metric="kolmogorov_smirnov") if row.window]
    assert rows == ["ok", "warn", "alert"]


@pytest.mark.parametrize("text", ["[1, 2]", "psi: [", "!!python/object/apply:os.getcwd []", "1: 2"])
def test_a_file_that_holds_no_thresholds_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"own\.yaml"):
        Thresholds.of(path, None, CATALOGUE)
