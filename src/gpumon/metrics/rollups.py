"""Distances of all columns together: the largest, the mean, the share that is warned of (MD-07 to MD-10).

Columns are the features, the score and the target, whatever is compared. They are read off the columns' own results:
see :mod:`gpumon.verdicts.rollups`.
"""

from __future__ import annotations

from gpumon.metrics.data_distribution import DATA_DISTRIBUTION
from gpumon.metrics.metric import Metric
from gpumon.statistics import summaries

__all__ = ["ROLLUPS"]

_BY_NAME = {metric.name: metric for metric in DATA_DISTRIBUTION}


def _of(id_: str, base: Metric) -> tuple[Metric, ...]:
    """What is told of one distance over all columns."""
    words = base.name.replace("_", " ")
    return tuple(
        Metric(
            id_,
            f"{base.name}_{name}",
            formula,
            reads=(reading,),
            compares=False,
            of=base,
            method=f"all columns; {base.method}",
            about=about.format(words),
        )
        for name, formula, reading, about in (
            ("max", summaries.largest, "columns", "The largest {} of all columns that are compared."),
            ("mean", summaries.average, "columns", "The mean {} of all columns that are compared."),
            (
                "warn_share",
                summaries.fraction,
                "columns_warned",
                "Share of the columns that have a warn or an alert for their {} [0 to 1].",
            ),
            (
                "alert_share",
                summaries.fraction,
                "columns_alerted",
                "Share of the columns that have an alert for their {} [0 to 1].",
            ),
            (
                "significant_share",
                summaries.fraction,
                "columns_significant",
                "Share of the columns whose {} has a q-value under 0.05 [0 to 1] (Benjamini & Hochberg 1995).",
            ),
        )
    )


ROLLUPS = (
    *_of("MD-07", _BY_NAME["psi"]),
    *_of("MD-08", _BY_NAME["jensen_shannon"]),
    *_of("MD-09", _BY_NAME["kolmogorov_smirnov"]),
    *_of("MD-10", _BY_NAME["hellinger"]),
)
"""The records of this module."""
