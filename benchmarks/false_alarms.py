"""How often a stream in which nothing changed has a warning or an alert: ``results/false_alarms-MACHINE.json``.

    python benchmarks/false_alarms.py --machine 2-core                 # 300 streams of each kind; minutes a kind
    python benchmarks/false_alarms.py --machine try --rounds 10
    python benchmarks/false_alarms.py --machine loose --budget 0.5     # where false alarms can be counted

A stream is a reference of 5 or of 20 days and 30 days that are watched, all of them from one model and one world: binary
scores that are probabilities, with labels, or a quantity that is predicted with normal errors (``--heavy``: and with errors of
Student's t of 5 degrees of freedom). Rows a day are Poisson. ``gpumon.evaluate`` reads each stream day by day, with its default
thresholds. Counted is, for every metric that has a verdict, on how many streams any row of it, of a day or of all days, warns
or alerts. Its part of the budget is the probability of a false alarm of one row, times the rows that are judged: more
streams than that, by a binomial test at three sigma, is *beyond*.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

import gpumon
from drift import HERE, surroundings
from gpumon.metrics import CATALOGUE
from gpumon.verdicts.thresholds import BUDGET, Thresholds

WATCHED = 30  # days
REFERENCES = (5, 20)  # days
THREE_SIGMA = float(special.ndtr(-3))
ROLES: dict[str, dict[str, str]] = {"binary": {"score": "p"}, "regression": {"prediction": "p"}}
KINDS: dict[str, dict[str, Any]] = {
    "binary, 200 rows a day": {"of": "binary", "rows": 200},
    "binary, 2,000 rows a day": {"of": "binary", "rows": 2_000},
    "regression, 200 rows a day": {"of": "regression", "rows": 200},
}
HEAVY = {"regression, heavy tails, 200 rows a day": {"of": "regression", "rows": 200, "tails": 5.0}}


def days(
    rng: np.random.Generator, first: str, count: int, *, of: str, rows: int, tails: float | None = None
) -> dict[str, Any]:
    """Days from ``first`` on, of one model in one world."""
    day = np.arange(count).repeat(rng.poisson(rows, count))
    if of == "binary":
        p = rng.beta(1.5, 2.5, day.size)
        y: Any = rng.random(day.size) < p
    else:
        p = rng.normal(size=day.size)
        y = p + (rng.normal(size=day.size) if tails is None else rng.standard_t(tails, day.size))
    return {"y": y, "p": p, "t": np.datetime64(first) + day}


def stream(seed: tuple[int, ...], reference: int, kind: dict[str, Any], budget: float) -> dict[str, Any]:
    """What one stream gives: rows that are judged by metric, and the metrics that warn and that alert."""
    rng = np.random.default_rng(seed)
    before = days(rng, "2025-01-01", reference, **kind)
    now = days(rng, "2025-03-01", WATCHED, **kind)
    began = time.perf_counter()
    given = {"target": "y", "timestamp": "t", "every": "1d", "budget": budget} | ROLES[kind["of"]]
    results = gpumon.evaluate(now, before, **given).results
    taken = time.perf_counter() - began
    judged = Counter(results["metric"][~np.isnan(results["threshold"])].tolist())
    status = results["status"].astype(str)
    return {
        "judged": dict(judged),
        "warned": sorted(set(results["metric"][np.isin(status, ["warn", "alert"])].tolist())),
        "alerted": sorted(set(results["metric"][status == "alert"].tolist())),
        "seconds": taken,
    }


def together(found: list[dict[str, Any]], level: float) -> dict[str, dict[str, Any]]:
    """By metric: on how many streams it warned and alerted, next to its part of the budget."""
    judged: dict[str, int] = {}
    for one in found:
        for name, rows in one["judged"].items():
            judged[name] = max(judged.get(name, 0), rows)
    # what is read off the verdicts of another metric has that one's part
    judged |= {
        m.name: judged[m.of.name] for m in CATALOGUE if m.of and m.read_off_results and m.of.name in judged
    }
    warned = Counter(name for one in found for name in one["warned"])
    alerted = Counter(name for one in found for name in one["alerted"])
    told = {}
    for name in sorted({*judged, *warned}):
        share = -np.expm1(judged.get(name, 0) * np.log1p(-level))
        chance = float(special.bdtrc(warned[name] - 1, len(found), share)) if warned[name] else 1.0
        told[name] = {
            "rows": judged.get(name, 0),
            "warned": warned[name],
            "alerted": alerted[name],
            "expected": len(found) * float(share),
            "beyond": chance < THREE_SIGMA,
        }
    return told


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machine", default="2-core", help="names the result file (default: 2-core)")
    parser.add_argument("--rounds", type=int, default=300, help="streams of each kind (default: 300)")
    parser.add_argument("--budget", type=float, default=BUDGET, help=f"of false alarms (default: {BUDGET})")
    parser.add_argument("--heavy", action="store_true", help="errors with heavy tails too")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default: all cores)")
    parser.add_argument("--into", type=Path, default=HERE / "results")
    asked = parser.parse_args()
    kinds = KINDS | (HEAVY if asked.heavy else {})
    level = Thresholds(budget=asked.budget).level(CATALOGUE)
    result = surroundings(asked.machine) | {
        "rounds": asked.rounds, "watched": WATCHED, "budget": asked.budget, "level": level, "kinds": {}
    }  # fmt: skip
    print(f"a false alarm of one row is to come with probability {level:.3g}\n")
    print("| stream | days of reference | metric | rows | warned | alerted | expected | beyond |")
    print("|---|--:|---|--:|--:|--:|--:|---|")
    with ProcessPoolExecutor(asked.workers, mp_context=get_context("spawn")) as pool:
        for (number, (label, kind)), reference in product(enumerate(kinds.items()), REFERENCES):
            told = [
                pool.submit(stream, (number, reference, turn), reference, kind, asked.budget)
                for turn in range(asked.rounds)
            ]
            found = [each.result() for each in told]
            metrics = together(found, level)
            quiet = sum(not one["warned"] for one in found)
            result["kinds"][f"{label}; {reference} days"] = {
                "streams": len(found),
                "streams_without_any": quiet,
                "median_seconds": float(np.median([one["seconds"] for one in found])),
                "metrics": metrics,
            }
            print(f"| {label} | {reference} | any of {len(metrics)} | | {len(found) - quiet} | | | |")
            for name, row in metrics.items():
                if row["warned"]:
                    cells = f"{row['rows']} | {row['warned']} | {row['alerted']} | {row['expected']:.3g}"
                    print(f"| | | {name} | {cells} | {'beyond' * row['beyond']} |")
            sys.stdout.flush()
    asked.into.mkdir(parents=True, exist_ok=True)
    file = asked.into / f"false_alarms-{asked.machine}.json"
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"\nwritten: {file}")


if __name__ == "__main__":
    main()
