"""Streams in which nothing changed have no alarm over time: the benchmark of false alarms, on a few of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from gpumon.metrics import CATALOGUE
from gpumon.verdicts.thresholds import BUDGET


@pytest.fixture(scope="module")
def benchmark():
    folder = Path(__file__).parents[2] / "benchmarks"
    sys.path.insert(0, str(folder))  # it reads the benchmark beside it
    try:
        spec = importlib.util.spec_from_file_location("benchmark_of_false_alarms", folder / "false_alarms.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(folder))


@pytest.mark.parametrize("kind", ["binary, 200 rows a day", "regression, 200 rows a day"])
@pytest.mark.parametrize("reference", [5, 20])
def test_unchanged_streams_have_no_alarm_over_time(benchmark, kind, reference):
    found = [benchmark.stream((7, turn), reference, benchmark.KINDS[kind], BUDGET) for turn in range(2)]
    metrics = benchmark.together(found, 1.6e-5)
    over_time = {m.name for m in CATALOGUE if (m.over_time or m.limit) and m.judged} | {"row_count"}
    judged = over_time & {name for name, row in metrics.items() if row["rows"]}
    assert {"jensen_shannon_ewma", "row_count"} - judged == (set() if reference == 20 else {"row_count"})
    assert len(judged) > 5
    assert not [name for name in judged if metrics[name]["warned"]]


def test_more_streams_than_the_budget_explains_are_beyond_it(benchmark):
    quiet = {"judged": {"auc": 31, "jensen_shannon_ewma": 1}, "warned": [], "alerted": [], "seconds": 0.0}
    loud = quiet | {"warned": ["auc", "jensen_shannon_ewma"], "alerted": ["auc"]}
    found = benchmark.together([loud] * 3 + [quiet] * 297, 0.01)
    assert (found["auc"]["warned"], found["auc"]["alerted"]) == (3, 3)
    assert found["auc"]["expected"] == pytest.approx(300 * (1 - 0.99**31))
    assert found["auc_breaches"]["rows"] == 31
    assert not found["jensen_shannon_ewma"]["beyond"]
    assert benchmark.together([loud] * 3 + [quiet] * 297, 1.6e-5)["jensen_shannon_ewma"]["beyond"]
