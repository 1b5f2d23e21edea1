"""How often the cause of a worse model is the slice named first, and what slices cost: ``results/slices-MACHINE.json``.

    python benchmarks/slices.py --machine 2-core

Fifty tables of 50,000 rows are compared with a reference of as many: twelve columns, numbers and categories, some of which
go together, and a score. In each a cause is planted: half in one condition, half in two, one in five to one in a hundred of
the rows. There a share of the labels is drawn at random, so that the mean log loss of the whole rises by 0.5 to 10 %. Half
of the causes end where bins of the reference end; ranges of the others begin and end anywhere. One is found if the columns
of the named slice are those of the cause and its bins meet the cause's. ``by_mean`` ranks the same slices, of 30 rows or
more, by the rise of their mean loss alone.

Seconds are those of ``gpumon.evaluate`` on 1,000,000 rows in memory and 24 columns, with and without slices; least of three.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np

import gpumon
from drift import HERE, surroundings
from gpumon.profiles.groups import Binning, conditions

if TYPE_CHECKING:
    from pathlib import Path

ROWS, CAUSES = 50_000, 50
AIRPORTS = [f"airport {i}" for i in range(12)]


def features(rng: np.random.Generator, rows: int) -> dict[str, Any]:
    """Twelve columns: the second number goes with the first, the second category with the third number."""
    x = rng.normal(size=rows)
    level = rng.random(rows)
    return {
        "normal": x,
        "beside": 0.8 * x + 0.6 * rng.normal(size=rows),
        "level": level,
        "skewed": rng.lognormal(size=rows),
        "zeros": np.where(rng.random(rows) < 0.6, 0.0, rng.exponential(size=rows)),
        "count": rng.poisson(4, rows),
        "hour": rng.integers(0, 24, rows),
        "carrier": rng.choice(["AA", "UA", "B6", "DL", "WN"], rows, p=[0.35, 0.25, 0.2, 0.15, 0.05]),
        "airport": np.array(AIRPORTS)[np.minimum((level * 8 + 4 * rng.random(rows)).astype(int), 11)],
        "flag": rng.random(rows) < 0.15,
        "size": rng.choice(["s", "m", "l"], rows),
        "noise": rng.random(rows),
    }


def table(rng: np.random.Generator, rows: int) -> dict[str, Any]:
    """Features, a score that depends on some of them, and labels that are true to it."""
    columns = features(rng, rows)
    logit = 0.8 * columns["normal"] - 0.5 * columns["flag"] + 0.1 * columns["count"] + rng.normal(size=rows)
    p = 1 / (1 + np.exp(-logit))
    return columns | {"p": p, "y": rng.random(rows) < p}


def condition(rng: np.random.Generator, values: Any, *, aligned: bool) -> tuple[Any, Any]:
    """A condition on a column: which rows it holds for, and the same for the middle of a bin or for its value."""
    if values.dtype.kind not in "fi":
        value = rng.choice(np.unique(values))
        return values == value, str(value).lower() if values.dtype.kind == "b" else str(value)
    levels = np.arange(9) / 8
    if aligned:
        edges = np.unique(np.quantile(values, levels, method="nearest"))
        i = int(rng.integers(len(edges) - 1))
        low, high = edges[i], edges[i + 1] if i + 2 < len(edges) else np.inf
    else:
        start = rng.uniform(0, 0.8)
        low, high = np.quantile(values, [start, start + rng.uniform(0.1, 0.2)])
    return (values >= low) & (values < high), (float(low), float(high))


def plant(rng: np.random.Generator, rows: dict[str, Any], depth: int, *, aligned: bool) -> dict[str, Any]:
    """The conditions of a cause, so drawn that it holds for 1 to 20 % of the rows."""
    names = [name for name in rows if name not in {"p", "y"}]
    while True:
        chosen = sorted(rng.choice(names, depth, replace=False).tolist())
        found = {name: condition(rng, rows[name], aligned=aligned) for name in chosen}
        share = float(np.mean(np.all([hit for hit, _ in found.values()], axis=0)))
        if 0.01 <= share <= 0.2:
            return {"conditions": {name: what for name, (_, what) in found.items()}, "share": share}


def holds(what: Any, values: Any) -> Any:
    if isinstance(what, tuple):
        return (values >= what[0]) & (values < what[1])
    return np.char.lower(values.astype(str)) == what if values.dtype.kind == "b" else values == what


def meets(slice_: str, cause: dict[str, Any], binnings: dict[str, Binning]) -> bool:
    """Whether the slice of this name is in the columns of the cause, and meets it in each."""
    parts = slice_.split(" & ")
    columns = {}
    for part in parts:
        name = next(name for name in binnings if part.startswith((f"{name}=", f"{name}<", f"{name}≥")))
        columns[name] = conditions(binnings[name]).index(part)
    if columns.keys() != cause.keys():
        return False
    for name, bin_ in columns.items():
        binning, what = binnings[name], cause[name]
        if binning.numeric:
            ends = (-np.inf, *binning.limits, np.inf)
            low, high = what
            if bin_ >= len(ends) - 1 or not (ends[bin_] < high and low < ends[bin_ + 1]):
                return False
        elif isinstance(what, tuple):  # a bin for each of few numbers
            if not (bin_ < len(binning.values) and what[0] <= float(binning.values[bin_]) < what[1]):
                return False
        elif bin_ < len(binning.values) and binning.values[bin_] != what:
            return False
    return True


def by_mean(report: gpumon.Report, names: list[str]) -> list[str]:
    """The slices by the rise of their mean loss."""
    before, now = (profile.state("", "slices") for profile in (report.reference, report.current))
    with np.errstate(divide="ignore", invalid="ignore"):
        rise = now.sums[:, 0] / now.n - before.sums[:, 0] / before.n
    rise[(before.n < 30) | (now.n < 30)] = -np.inf
    return [names[i] for i in np.argsort(-rise, kind="stable")[:3]]


def recall() -> dict[str, Any]:
    """How often the cause is named first, or among the first three, by depth and by where its ends are."""
    causes = []
    for seed in range(CAUSES):
        rng = np.random.default_rng(seed)
        reference, current = table(rng, ROWS), table(rng, ROWS)
        depth, aligned = 1 + seed % 2, seed % 4 < 2
        cause = plant(rng, current, depth, aligned=aligned)
        hit = np.all([holds(what, current[name]) for name, what in cause["conditions"].items()], axis=0)
        drawn = hit & (rng.random(ROWS) < rng.uniform(0.4, 1.0))
        current["y"] = np.where(drawn, rng.random(ROWS) < 0.5, current["y"])
        report = gpumon.evaluate(current, reference, target="y", score="p", slices=True)
        plan = report.reference.state("", "slices")
        binnings = {each.column: each for each in plan.binnings}
        named = [row.column for row in report.results.where(metric="loss_contribution")]
        cells = [conditions(each) for each in plan.binnings]
        names = [
            " & ".join(cells[i][b] for i, b in zip(places, bins, strict=True))
            for places in plan.partitions
            for bins in np.ndindex(*(len(cells[i]) for i in places))
        ]
        (whole,) = report.results.where(metric="log_loss")
        causes.append(
            {
                "seed": seed,
                "depth": depth,
                "aligned": aligned,
                "cause": {name: str(what) for name, what in cause["conditions"].items()},
                "share": cause["share"],
                "rise_of_the_whole": whole.value / whole.reference - 1,
                "first": named[0],
                "place": next(
                    (i + 1 for i, name in enumerate(named) if meets(name, cause["conditions"], binnings)),
                    None,
                ),
                "place_by_mean": next(
                    (
                        i + 1
                        for i, name in enumerate(by_mean(report, names))
                        if meets(name, cause["conditions"], binnings)
                    ),
                    None,
                ),
            }
        )
    return {"causes": causes, "recall": summary(causes)}


def summary(causes: list[dict[str, Any]]) -> dict[str, Any]:
    kinds = {
        "all": causes,
        "one condition": [c for c in causes if c["depth"] == 1],
        "two conditions": [c for c in causes if c["depth"] == 2],
        "ends of bins": [c for c in causes if c["aligned"]],
        "ends anywhere": [c for c in causes if not c["aligned"]],
    }
    return {
        kind: {
            "causes": len(some),
            **{
                f"top {k}{suffix}": float(np.mean([(c[place] or 99) <= k for c in some]))
                for place, suffix in (("place", ""), ("place_by_mean", ", by mean"))
                for k in (1, 3)
            },
        }
        for kind, some in kinds.items()
    }


def seconds(rows: int = 1_000_000) -> dict[str, float]:
    """What slices of 24 columns cost."""
    rng = np.random.default_rng(0)
    p = rng.random(rows)
    data = features(rng, rows) | {f"{name} again": x for name, x in features(rng, rows).items()}
    data |= {"p": p, "y": rng.random(rows) < p}
    few = {name: x[:10_000] for name, x in data.items()}
    even = dict.fromkeys((name for name in data if name not in {"p", "y"}), 1.0)
    found = {}
    for name, given in (
        ("labels alone", {}),
        ("labels, and the drift of 24 columns", {"importance": even}),
        ("the same, and slices of 24 columns", {"slices": True}),
    ):
        taken = []
        for table in (few, data, data, data):  # compiled before the clock counts
            start = time.perf_counter()
            gpumon.evaluate(table, target="y", score="p", **given)
            taken.append(time.perf_counter() - start)
        found[name] = min(taken[1:])
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machine", default="2-core", help="names the result file (default: 2-core)")
    options = parser.parse_args()
    result = surroundings(options.machine) | {"rows": ROWS, **recall(), "seconds": seconds()}
    print("| causes | n | top 1 | top 3 | top 1, by mean | top 3, by mean |\n|---|--:|--:|--:|--:|--:|")
    for kind, row in result["recall"].items():
        print(f"| {kind} | " + " | ".join(f"{value:.3g}" for value in row.values()) + " |")
    print(json.dumps(result["seconds"]))
    file: Path = HERE / "results" / f"slices-{options.machine}.json"
    file.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\nwritten: {file}")
