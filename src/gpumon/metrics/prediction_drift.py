"""Family 7 of the specification: drift of the predictions (PD).

Where a distance between columns is meant (PD-06 is KS, PD-07 JS, PD-08 PSI of a score), the row is that of the one
metric, under this id: see ``Metric.known_as`` in the data distribution's table.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gpumon.metrics.metric import BOUNDED, Metric
from gpumon.metrics.significance import POOLED, STUCK, UNTESTED
from gpumon.profiles.confidence import UNSURE
from gpumon.statistics import (
    calibration_change,
    classification,
    confidence,
    decision,
    intervals,
    modes,
    summaries,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gpumon.statistics import Floats

__all__ = ["PREDICTION_DRIFT"]

NEAR = 0.05
MD_11 = (("score", "MD-11"),)
SCORES = ("score", "prediction")


def _distinct_ratio(registers: NDArray[np.uint8], present: Floats) -> Floats:
    return modes.distinct_ratio(summaries.distinct_count(registers).value, present)


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
    Metric(
        "PD-03",
        "mean_confidence",
        intervals.mean,
        reads=("confidence",),
        compares=False,
        known_as=MD_11,
        method="Student's interval of a mean",
        about="Mean of the probability of the likeliest class, of two classes max(p, 1 − p) [1/K to 1]; no labels are needed.",
        null=POOLED,
        warn=0.01,
        alert=0.02,
    ),
    Metric(
        "PD-03",
        "mean_margin",
        intervals.mean,
        reads=("margin",),
        compares=False,
        known_as=MD_11,
        method="Student's interval of a mean",
        about="Mean of the probability of the likeliest class less that of the second likeliest, of two classes |2p − 1| "
        "[0 to 1]; no labels are needed.",
    ),
    Metric(
        "PD-03",
        "mean_entropy",
        confidence.mean_between,
        reads=("entropy", "entropy_ends"),
        compares=False,
        known_as=MD_11,
        method="over ln K; exact of many classes, of a binary score certified by cells; Student's interval",
        about="Mean of the entropy −Σ p ln p of the classes' probabilities over ln K, that of K equally likely ones [0 to 1]: 0 "
        "where the model is sure, 1 where it knows nothing. No labels are needed.",
    ),
    *(
        Metric(
            "PD-03",
            "confidence_quantile",
            partial(confidence.confidence_quantile, level=level),
            reads=("confidence_rows", "confidence_spans"),
            compares=False,
            known_as=MD_11,
            method=f"level {level}, certified by cells",
        )
        for level in (0.05, 0.5, 0.95)
    ),
    Metric(
        "PD-03",
        "low_confidence_share",
        partial(confidence.share_below, below=UNSURE),
        reads=("confidence_rows", "confidence_spans"),
        compares=False,
        known_as=MD_11,
        method=f"largest probability below {UNSURE}; certified by cells; Wilson's interval",
        about=f"Share of the rows whose likeliest class has a probability below {UNSURE} [0 to 1]; no labels are needed.",
    ),
    Metric(
        "PD-04",
        "calibration_error_change",
        calibration_change.calibration_error_change,
        reads=("both_bins",),
        method="ECE, 15 bins of about equal mass; bootstrap of no change",
        better="lower",
        warn=0.01,
        alert=0.02,
    ),
    Metric(
        "PD-11",
        "near_threshold",
        partial(decision.share_near, delta=NEAR),
        reads=("all_bins", "bin_edges", "threshold"),
        compares=False,
        method=f"within {NEAR} of the threshold",
        about="Share of the rows whose score is so near the decision threshold that a small shift turns them over "
        "[0 to 1]; no labels are needed.",
    ),
    *(
        Metric(
            "PD-11",
            f"threshold_for_{name}",
            formula,
            reads=reads,
            unit="score",
            compares=False,
            method=f"restores the reference's {what} at the threshold in force; {BOUNDED}",
        )
        for name, what, formula, reads in (
            (
                "volume",
                "share of positive predictions",
                decision.rate_restoring,
                ("threshold_rows", "threshold_edges", "reference_rate"),
            ),
            (
                "precision",
                "precision",
                decision.precision_restoring,
                ("threshold_negatives", "threshold_positives", "threshold_edges", "reference_precision"),
            ),
        )
    ),
    Metric(
        "PD-14",
        "repeated_share",
        modes.repeated_share,
        reads=("cells", "edges", "extremes"),
        compares=False,
        on=("numeric",),
        roles=SCORES,
        method="of the most repeated value",
    ),
    Metric(
        "PD-14",
        "stuck_share",
        modes.stuck_share,
        reads=("cells", "edges", "extremes", "registers", "moments", "scale"),
        on=("numeric",),
        roles=SCORES,
        method="beyond 4 times the odds of the reference's most frequent value; Wilson's interval; a binomial for each cell",
        warn=0.05,
        alert=0.1,
        null=STUCK,
    ),
    Metric(
        "PD-14",
        "distinct_ratio",
        _distinct_ratio,
        reads=("registers", "present"),
        compares=False,
        on=("numeric",),
        roles=SCORES,
        method="HyperLogLog, 4,096 registers",
        about="Distinct values over rows that are not missing [0 to 1]: 1 if no value repeats, next to 0 for a model that "
        "is constant. Falls with the number of rows where values are rounded.",
    ),
    Metric(
        "PD-14",
        "modes",
        modes.number_of_modes,
        reads=("cells", "edges", "extremes"),
        unit="modes",
        compares=False,
        on=("numeric",),
        roles=SCORES,
        method="peaks of the density, ripples left out",
    ),
    Metric(
        "PD-14",
        "mode_shift",
        modes.mode_shift_normed,
        reads=("cells", "edges", "extremes", "scale"),
        unit="std",
        on=("numeric",),
        roles=SCORES,
        method="earth mover's distance of the modes, of the reference's std",
        null=UNTESTED,
    ),
)
