"""gpumon's kernel for one numeric column on one core: the cells of 1,024 edges, moments, extremes, distinct values.

``normal``, ``lognormal`` or ``uniform`` names the 10,000,000 float64 values; the edges are quantiles of other values.
"""

import sys

import numpy as np
from stopwatch import clock

VALUES = 10_000_000
DRAWS = {
    "normal": lambda rng, size: rng.standard_normal(size),
    "lognormal": lambda rng, size: rng.lognormal(0, 1, size),
    "uniform": lambda rng, size: rng.random(size),
}


def prepare(_folder):
    draw = DRAWS[next(argument for argument in sys.argv if argument in DRAWS)]
    rng = np.random.default_rng(20_250_101)
    return draw(rng, VALUES), np.quantile(draw(rng, 1_000_000), np.linspace(0, 1, 1024))


def kernel_speed(prepared):
    from gpumon.kernels import NumericColumn, NumericCounts, select
    from gpumon.kernels.lookup import guide

    values, edges = prepared
    into = NumericCounts.zeros(1, edges.size)
    column = NumericColumn(values, None, guide(edges), into)
    select("cpu").numeric([column], np.array([0, values.size]), np.array([0]))
    return into


def warm(prepared):
    values, edges = prepared
    kernel_speed((values[:10_000], edges))


if __name__ == "__main__":
    clock("gpumon kernel", ("gpumon", "numpy", "numba"), prepare, warm, kernel_speed, lambda _: {})
