"""DataFrame.corr of the numeric columns, reference and current: Pearson's, or Spearman's with ``--spearman``."""

import sys

from stopwatch import clock_tables, numeric_names

METHOD = "spearman" if "--spearman" in sys.argv else "pearson"


def prepare(reference, current):
    names = numeric_names(reference)
    return [table.select(names).to_pandas() for table in (reference, current)]


def work(frames):
    return [frame.corr(method=METHOD) for frame in frames]


def values(matrices):
    reference, current = (float(matrix.loc["linked_1", "linked_2"]) for matrix in matrices)
    return {METHOD: {"linked_1, linked_2 in reference": reference, "linked_1, linked_2 in current": current}}


if __name__ == "__main__":
    clock_tables(f"pandas {METHOD.title()} matrices", ("pandas", "numpy"), prepare, work, values)
