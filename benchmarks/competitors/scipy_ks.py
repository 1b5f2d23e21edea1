"""scipy.stats.ks_2samp with its asymptotic p-value, on every numeric column."""

import numpy as np
from scipy.stats import ks_2samp
from stopwatch import clock_tables, numeric_names, shown


def prepare(reference, current):
    return {
        name: tuple(table[name].to_numpy() for table in (reference, current))
        for name in numeric_names(reference)
    }


def work(columns):
    return {
        name: ks_2samp(*(values[~np.isnan(values)] for values in pair), method="asymp").statistic
        for name, pair in columns.items()
    }


if __name__ == "__main__":
    clock_tables("scipy ks_2samp", ("scipy", "numpy"), prepare, work, lambda found: {"ks": shown(found)})
