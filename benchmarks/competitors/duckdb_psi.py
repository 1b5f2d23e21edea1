"""The PSI of ``numpy_psi.py`` in DuckDB, on its own tables in memory: a query for the deciles, one a table to count."""

import duckdb
import numpy as np
from numpy_psi import DECILES, psi
from stopwatch import clock_tables, numeric_names, shown


def prepare(reference, current):
    connection = duckdb.connect()
    for side, table in (("reference", reference), ("current", current)):
        connection.register("arrow", table)
        connection.execute(f"CREATE TABLE {side} AS SELECT * FROM arrow")
        connection.unregister("arrow")
    return connection, numeric_names(reference)


def work(prepared):
    connection, names = prepared
    deciles = ", ".join(f'quantile_cont("{name}", {DECILES.tolist()})' for name in names)
    edges = [np.unique(found) for found in connection.execute(f"SELECT {deciles} FROM reference").fetchone()]
    # histogram's bins are (edge, next edge], ours [edge, next edge): so it is given the numbers just below
    highest = [np.nextafter(column, -np.inf).tolist() for column in edges]
    histograms = ", ".join(
        f'histogram("{name}", {bounds}::DOUBLE[]), count(*) - count("{name}")'
        for name, bounds in zip(names, highest, strict=True)
    )
    rows = [
        connection.execute(f"SELECT {histograms} FROM {side}").fetchone() for side in ("reference", "current")
    ]
    found = {}
    for place, name in enumerate(names):
        (expected, missing), (actual, missing_now) = (row[2 * place : 2 * place + 2] for row in rows)
        bounds = [*highest[place], np.inf]
        found[name] = psi(
            [*(expected.get(bound, 0) for bound in bounds), missing],
            [*(actual.get(bound, 0) for bound in bounds), missing_now],
        )
    return found


if __name__ == "__main__":
    clock_tables("DuckDB 10-bin PSI", ("duckdb",), prepare, work, lambda found: {"psi": shown(found)})
