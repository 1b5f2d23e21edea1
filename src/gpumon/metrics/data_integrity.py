"""Family 4 of the specification: the integrity of the data (DI)."""

from __future__ import annotations

from gpumon.metrics.metric import Metric
from gpumon.metrics.significance import GOOD_TURING, PROPORTION
from gpumon.statistics import summaries

__all__ = ["DATA_INTEGRITY"]

DATA_INTEGRITY = (
    Metric(
        "DI-01",
        "missing_rate",
        summaries.share,
        reads=("missing",),
        method="null or NaN",
        about="Share of the rows whose value is null or NaN [0 to 1], judged by its change against the reference.",
        compares=False,
        warn=0.01,
        alert=0.05,
        null=PROPORTION,
    ),
    Metric(
        "DI-06",
        "drifted_share",
        summaries.fraction,
        reads=("verdicts",),
        method="columns with a warn or an alert",
        about="Share of the judged columns that have a warn or an alert [0 to 1]; an alert above one half.",
        alert=0.5,
    ),
    Metric(
        "DI-10",
        "new_categories",
        summaries.bounded_share,
        reads=("unseen",),
        method="rows of values that the reference lacks",
        about="Share of the rows whose value the reference does not have [0 to 1], with certified bounds where values "
        "are too many to be kept by name. Judged against the mass of values that a sample misses by chance "
        "(Good 1953, Biometrika 40).",
        compares=False,
        on=("categorical",),
        warn=0.001,
        alert=0.01,
        null=GOOD_TURING,
    ),
    Metric(
        "DI-10",
        "vanished_categories",
        summaries.bounded,
        reads=("vanished",),
        unit="values",
        method="values of the reference that are gone",
        about="Number of values of the reference that the current table does not have, with certified bounds.",
        compares=False,
        on=("categorical",),
    ),
    Metric(
        "DI-12",
        "row_count",
        summaries.count,
        reads=("rows",),
        unit="rows",
        compares=False,
        about="Rows of the table. A window is judged against the windows of the reference: alert outside their median "
        "± 3 robust standard deviations.",
    ),
)
