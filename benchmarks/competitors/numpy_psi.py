"""Population stability index of every numeric column in plain NumPy.

Ten bins between the reference's deciles, missing values as one more; shares are held above 0.0001. Counting what is
below each of nine edges is here several times as fast as the usual ``np.histogram`` or ``np.digitize``.
"""

import numpy as np
from stopwatch import clock_tables, numeric_names, shown

DECILES = np.arange(1, 10) / 10


def psi(reference_counts, current_counts):
    expected, actual = (
        np.maximum(np.divide(counts, np.sum(counts)), 1e-4) for counts in (reference_counts, current_counts)
    )
    return float(np.sum((actual - expected) * np.log(actual / expected)))


def counts(values, edges):
    """Rows in each bin [edge, next edge), then the missing ones."""
    present = values[~np.isnan(values)]
    below = [np.count_nonzero(present < edge) for edge in edges]
    return [*np.diff([0, *below, present.size]), values.size - present.size]


def prepare(reference, current):
    return {
        name: [table[name].to_numpy() for table in (reference, current)] for name in numeric_names(reference)
    }


def work(columns):
    found = {}
    for name, (reference, current) in columns.items():
        edges = np.unique(np.quantile(reference[~np.isnan(reference)], DECILES))
        found[name] = psi(counts(reference, edges), counts(current, edges))
    return found


if __name__ == "__main__":
    clock_tables("NumPy 10-bin PSI", ("numpy",), prepare, work, lambda found: {"psi": shown(found)})
