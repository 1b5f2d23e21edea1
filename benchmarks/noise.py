"""Time the resampled noise floor and store it in ``results/noise-MACHINE.json``.

    python benchmarks/noise.py --machine 2-core

A thousand columns with ten bins (and one for missing values), a million rows a side, a thousand draws: how long until
every column has its own limit for a false-alarm budget.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from drift import HERE, surroundings
from gpumon.statistics.distances import hellinger, jensen_shannon, psi
from gpumon.statistics.resampling import noise_floor, wasserstein_binned
from table import figure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gpumon.statistics.resampling import Noise

ROWS = 1_000_000
LEVEL = 0.001


def floors(columns: int, draws: int) -> Mapping[str, Callable[[], Noise]]:
    """The noise floor of each statistic as a call without arguments."""
    rng = np.random.default_rng(20_250_101)
    counts = rng.multinomial(2 * ROWS, [*[0.099] * 10, 0.01], columns)
    widths = rng.uniform(0.5, 2.0, (columns, 9))
    binned = {"psi": psi, "jensen_shannon": jensen_shannon, "hellinger": hellinger}
    calls = {name: partial(noise_floor, f, counts, ROWS, ROWS, draws) for name, f in binned.items()}
    calls["wasserstein"] = partial(
        noise_floor, wasserstein_binned, counts[:, :-1], ROWS, ROWS, draws, widths=widths
    )
    return calls


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machine", default="2-core", help="names the result file (default: 2-core)")
    parser.add_argument("--columns", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    result = surroundings(options.machine) | {
        "columns": options.columns,
        "draws": options.draws,
        "rows": ROWS,
    }
    calls = floors(options.columns, options.draws)
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    limits = {}
    for _ in range(options.rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            limits[name] = float(np.median(call().critical(LEVEL)))
            seconds[name].append(time.perf_counter() - start)
    print(
        f"| {options.columns:,} columns × {options.draws:,} draws | seconds | median limit at {LEVEL} |\n|---|--:|--:|"
    )
    result["timings"] = {
        name: {"seconds": taken, "median": statistics.median(taken), "limit": limits[name]}
        for name, taken in seconds.items()
    }
    for name, timing in result["timings"].items():
        print(f"| {name} | {figure(timing['median'])} | {figure(timing['limit'])} |")
    file = HERE / "results" / f"noise-{options.machine}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwritten: {file}")
