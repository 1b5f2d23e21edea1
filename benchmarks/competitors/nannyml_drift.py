"""NannyML's univariate drift, each table as one chunk: Jensen-Shannon of every column.

With ``--all``, Kolmogorov-Smirnov, Hellinger and Wasserstein of the numeric columns as well.
"""

import os
import sys

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
from stopwatch import clock_tables, shown

ALL = "--all" in sys.argv
METHODS = ["jensen_shannon", *(["kolmogorov_smirnov", "hellinger", "wasserstein"] if ALL else [])]


def prepare(reference, current):
    return [table.to_pandas() for table in (reference, current)]


def work(frames):
    reference, current = frames
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=reference.columns.tolist(),
        continuous_methods=METHODS,
        categorical_methods=["jensen_shannon"],
        chunk_number=1,
    )
    return calculator.fit(reference).calculate(current)


def values(result):
    frame = result.filter(period="analysis").to_df()
    columns = {name for name, *_ in frame.columns if name != "chunk"}
    return {
        method: shown(
            {
                name: frame[name, method, "value"].iloc[0]
                for name in columns
                if (name, method, "value") in frame.columns
            }
        )
        for method in METHODS
    }


if __name__ == "__main__":
    clock_tables(
        "NannyML JS, KS, Hellinger, Wasserstein" if ALL else "NannyML JS",
        ("nannyml", "pandas", "numpy", "scipy"),
        prepare,
        work,
        values,
    )
