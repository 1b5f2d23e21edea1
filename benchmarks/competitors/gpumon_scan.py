"""gpumon on the same Arrow tables in memory: the catalogue's DD-01 to DD-09; with ``--correlations`` DD-10 too."""

import sys

from stopwatch import SHOWN, clock_tables

import gpumon

CORRELATIONS = "--correlations" in sys.argv


def metrics():
    families = [f"DD-{number:02}" for number in range(1, 11 if CORRELATIONS else 10)]
    return [metric.name for metric in gpumon.CATALOGUE if metric.id[:5] in families]


def work(tables):
    reference, current = tables
    return gpumon.scan(current, reference, metrics=metrics())


def values(report):
    found = {}
    for result in report.results:
        if result.column in SHOWN and result.value is not None:
            found.setdefault(result.metric, {})[result.column] = result.value
    return found


if __name__ == "__main__":
    clock_tables(
        "gpumon scan with correlations" if CORRELATIONS else "gpumon scan",
        ("gpumon", "numpy", "numba", "pyarrow", "scipy"),
        prepare=lambda reference, current: (reference, current),
        work=work,
        values=values,
    )
