"""Time the performance of 5,000,000 predictions beside scikit-learn and NannyML: ``results/performance-MACHINE.json``.

    python benchmarks/performance.py --machine 2-core

The rules are those of ``drift.py``. scikit-learn computes no intervals; NannyML computes six metrics and thresholds.
gpumon computes all measures of two classes, each with its interval or certified bounds, calibration among them.
Estimates without labels learn from the reference's labelled rows and look at current rows that have none.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from drift import HERE, Measure, run, shapes, surroundings
from table import agreement, markdown

GOALS = {"gpumon": 0.5, "slices": 1.0, "estimates": 1.0}
"""Seconds that the measures are to take at most on two cores."""

MEASURES = (
    Measure("gpumon", "gpumon evaluate, all measures of two classes", script="gpumon_evaluate.py"),
    Measure(
        "slices",
        "gpumon evaluate, the same in 120 windows and segments",
        script="gpumon_evaluate.py --slices",
        against="gpumon",
    ),
    Measure(
        "reference",
        "gpumon evaluate, judged against 5,000,000 reference rows",
        script="gpumon_evaluate.py --reference",
        against="gpumon",
    ),
    Measure(
        "sklearn", "scikit-learn, nine measures", "baselines", "sklearn_performance.py", against="gpumon"
    ),
    Measure(
        "nannyml", "NannyML, six measures", "nannyml", "nannyml_performance.py", against="gpumon", once=True
    ),
    Measure("estimates", "gpumon evaluate, estimates without labels", script="gpumon_cbpe.py"),
    Measure("nannyml_cbpe", "NannyML, CBPE", "nannyml", "nannyml_cbpe.py", against="estimates", once=True),
)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machine", default="2-core", help="names the result file (default: 2-core)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=HERE / "data", metavar="FOLDER")
    keys = ", ".join(measure.key for measure in MEASURES)
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="KEY", help=f"these, and store nothing: {keys}"
    )
    options = parser.parse_args()
    chosen = [measure for measure in MEASURES if measure.key in (options.only or keys.split(", "))]
    result = surroundings(options.machine)
    timings = run(chosen, options.data.resolve(), options.rounds)
    result |= {
        "data": shapes(options.data),
        "goals": GOALS,
        "timings": {key: asdict(timing) for key, timing in timings.items()},
    }
    print(markdown(result))
    print(f"\n{agreement(result)}")
    if not options.only:
        file = HERE / "results" / f"performance-{options.machine}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(result, indent=1) + "\n")
        print(f"\nwritten: {file}")
