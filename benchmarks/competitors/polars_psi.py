"""The PSI of ``numpy_psi.py`` in Polars: a lazy query for the deciles, one a table to count what is below each edge.

Counting by comparison is here ten times as fast as ``cut`` or ``hist``.
"""

import numpy as np
import polars as pl
from numpy_psi import DECILES, psi
from stopwatch import clock_tables, numeric_names, shown


def prepare(reference, current):
    names = numeric_names(reference)
    return [pl.from_arrow(table.select(names)) for table in (reference, current)]


def counts(frame, edges):
    """For each column the rows in each bin [edge, next edge), then the missing ones."""
    cumulative = frame.lazy().select(
        pl.concat_list(
            pl.lit(0, pl.UInt32),
            *((pl.col(name) < edge).sum() for edge in column),
            pl.col(name).count(),
            pl.lit(frame.height, pl.UInt32),
        ).alias(name)
        for name, column in edges.items()
    )
    return {name: np.diff(below) for name, (below,) in cumulative.collect().to_dict(as_series=False).items()}


def work(frames):
    reference, current = frames
    deciles = reference.lazy().select(pl.all().quantile(DECILES.tolist(), "linear")).collect()
    edges = {name: np.unique(found) for name, (found,) in deciles.to_dict(as_series=False).items()}
    expected, actual = counts(reference, edges), counts(current, edges)
    return {name: psi(expected[name], actual[name]) for name in edges}


if __name__ == "__main__":
    clock_tables("Polars 10-bin PSI", ("polars",), prepare, work, lambda found: {"psi": shown(found)})
