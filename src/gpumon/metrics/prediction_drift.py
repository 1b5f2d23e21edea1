"""Family 7 of the specification: drift of the predictions (PD).

Where a distance between columns is meant (PD-06 is KS, PD-07 JS, PD-08 PSI of a score), the row is that of the one
metric, under this id: see ``Metric.known_as`` in the data distribution's table.
"""

from __future__ import annotations

from gpumon.metrics.metric import Metric
from gpumon.statistics import classification, summaries

__all__ = ["PREDICTION_DRIFT"]

PREDICTION_DRIFT = (
    Metric(
        "PD-02",
        "predicted_class_share",
        classification.class_shares,
        reads=("predicted_classes",),
        compares=False,
        by_class=True,
        method="Goodman's simultaneous intervals",
        warn=0.02,
        alert=0.05,
    ),
    Metric(
        "PD-09",
        "labelled_share",
        summaries.share,
        reads=("coverage",),
        compares=False,
        method="rows that have a label",
        about="Share of the rows that have a label [0 to 1]: how mature a window is.",
    ),
    Metric(
        "PD-12",
        "false_positive_rate",
        classification.false_positive_rate,
        reads=("confusion",),
        compares=False,
        interval=classification.false_positive_rate_interval,
        by_class=True,
        better="lower",
        warn=0.01,
        alert=0.02,
    ),
    Metric(
        "PD-12",
        "false_negative_rate",
        classification.false_negative_rate,
        reads=("confusion",),
        compares=False,
        interval=classification.false_negative_rate_interval,
        by_class=True,
        better="lower",
        warn=0.01,
        alert=0.02,
    ),
)
