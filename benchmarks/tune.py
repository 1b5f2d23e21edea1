"""How falsely and how late tuned thresholds alert on what comes after the history: ``results/tune-MACHINE.json``.

    python benchmarks/tune.py --machine 2-core
    python benchmarks/tune.py --rounds 3 --machine try

Histories with known change points: days of normal columns, with a weekly season, with heavy tails (Student's t of 2
degrees of freedom), with 30 rows a day. Thresholds are tuned on 120 days, of which 30 are the reference and one week
is marked as an incident, with a budget of alerts a week; and without the mark on 120 calm days. Then they judge 150
calm days that they have never seen, which tells false alerts a week (all columns together), and 30 days after a
lasting change of one column, which tells the delay [days] and whether it was missed. Calibrated and conventional
thresholds judge the same days. The time is that of tuning a profile, after counting.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import gpumon
from drift import HERE, surroundings

COLUMNS, REFERENCE, REPLAYED, CALM, AFTER = 3, 30, 90, 150, 30
METRIC, BUDGET = "jensen_shannon", 1.0
DAILY = {"timestamp": "t", "every": "1d"}
SCENARIOS = {
    "normal": {"rows": 300, "season": 0.0, "tails": None},
    "season": {"rows": 300, "season": 0.15, "tails": None},
    "heavy tails": {"rows": 300, "season": 0.0, "tails": 2.0},
    "small windows": {"rows": 30, "season": 0.0, "tails": None},
}


def days(
    rng: np.random.Generator, first: int, shift: Any, rows: int, season: float, tails: float | None
) -> dict[str, Any]:
    """Days from ``first`` on, of which the first column is moved by ``shift`` (days,)."""
    count = len(shift)
    day = np.arange(count).repeat(rows)
    middle = season * np.sin((first + day) * 2 * np.pi / 7)
    table: dict[str, Any] = {}
    for i in range(COLUMNS):
        noise = rng.normal(size=day.size) if tails is None else rng.standard_t(tails, day.size)
        table[f"x{i}"] = noise + middle + (np.asarray(shift)[day] if i == 0 else 0.0)
    return table | {"t": np.datetime64("2026-01-01") + first + day}


def alerts(profile: gpumon.Profile, reference: gpumon.Profile, thresholds: Any) -> dict[str, int]:
    """Alerts of each day, all columns together."""
    report = gpumon.scan(profile, reference, metrics=[METRIC], thresholds=thresholds)
    found = dict.fromkeys(profile.windows, 0)
    for row in report.results.where(metric=METRIC, status="alert"):
        if row.window is not None:
            found[row.window] += 1
    return found


def one(rng: np.random.Generator, size: float, scenario: dict[str, Any]) -> list[dict[str, Any]]:
    """What thresholds of every kind do on days that they have never seen."""
    incident = np.zeros(REFERENCE + REPLAYED)
    incident[80:87] = size
    marked = days(rng, 0, incident, **scenario)
    reference_rows = {name: values[: REFERENCE * scenario["rows"]] for name, values in marked.items()}
    reference = gpumon.profile(reference_rows, **DAILY)
    last = REFERENCE + REPLAYED

    def counted(first: int, shift: Any) -> gpumon.Profile:
        return gpumon.profile(days(rng, first, shift, **scenario), like=reference, **DAILY)

    replayed = gpumon.profile(
        {name: values[REFERENCE * scenario["rows"] :] for name, values in marked.items()},
        like=reference,
        **DAILY,
    )
    quiet = counted(REFERENCE, np.zeros(REPLAYED))
    calm, moved = counted(last, np.zeros(CALM)), counted(last, np.full(AFTER, size))
    start = np.datetime64("2026-01-01") + 80
    kinds: dict[str, Any] = {"calibrated": "calibrated", "conventional": "conventional"}
    seconds, methods = {}, {}
    for name, history, marks in (
        ("tuned, incident marked", replayed, f"{start}/{start + 6}"),
        ("tuned, calm", quiet, ()),
    ):
        began = time.perf_counter()
        tuning = gpumon.tune(history, reference, budget=BUDGET, metrics=[METRIC], incidents=marks)
        seconds[name] = time.perf_counter() - began
        kinds[name] = tuning.thresholds
        methods[name] = [f"{it.method} {it.setting:.3g}" for it in tuning.chosen]
    told = []
    for name, thresholds in kinds.items():
        false = sum(alerts(calm, reference, thresholds).values())
        found = [i for i, n in enumerate(alerts(moved, reference, thresholds).values()) if n]
        told.append(
            {
                "thresholds": name,
                "false_alerts_a_week": false / (CALM / 7),
                "delay": found[0] if found else None,
                "method": methods.get(name, []),
                "seconds": seconds.get(name),
            }
        )
    return told


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machine", default="here")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--into", type=Path, default=HERE / "results")
    asked = parser.parse_args()
    about, rows = surroundings(asked.machine), []
    for (name, scenario), size in product(SCENARIOS.items(), (0.3, 0.6)):
        rounds = [
            one(np.random.default_rng((seed, int(10 * size))), size, scenario) for seed in range(asked.rounds)
        ]
        for kind in zip(*rounds, strict=True):
            delays = [each["delay"] for each in kind if each["delay"] is not None]
            row = {
                "scenario": name,
                "change": size,
                "thresholds": kind[0]["thresholds"],
                "false_alerts_a_week": float(np.mean([each["false_alerts_a_week"] for each in kind])),
                "delay": float(np.mean(delays)) if delays else None,
                "missed": len(kind) - len(delays),
                "rounds": len(kind),
                "methods": [method for each in kind for method in each["method"]],
            }
            if kind[0]["seconds"] is not None:
                row["seconds"] = float(np.median([each["seconds"] for each in kind]))
            rows.append(row)
            print(*(f"{key}={value}" for key, value in row.items() if key != "methods"), flush=True)
    asked.into.mkdir(parents=True, exist_ok=True)
    found = {**about, "budget_a_week": BUDGET, "metric": METRIC, "rows": rows}
    (asked.into / f"tune-{asked.machine}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
