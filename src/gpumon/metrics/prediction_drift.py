"""Family 7 of the specification: drift of the predictions (PD).

Where a distance between columns is meant (PD-06 is KS, PD-07 JS, PD-08 PSI of a score), the row is that of the one
metric, under this id: see ``Metric.known_as`` in the data distribution's table.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from gpumon.metrics.data_distribution import DATA_DISTRIBUTION
from gpumon.metrics.metric import BOUNDED, CERTIFIED, Metric
from gpumon.metrics.significance import MOOD, POOLED, SHARES, STUCK, UNTESTED
from gpumon.profiles.confidence import UNSURE
from gpumon.statistics import (
    calibration_change,
    classification,
    concept,
    confidence,
    control_charts,
    decision,
    distances,
    estimation,
    intervals,
    medians,
    modes,
    stuck,
    summaries,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gpumon.statistics import Floats

__all__ = ["PREDICTION_DRIFT"]

NEAR = 0.05
MD_11 = (("score", "MD-11"),)
SIGMAS = 3.0  # Shewhart's limits
SCORES = ("score", "prediction")


def _distinct_ratio(registers: NDArray[np.uint8], present: Floats) -> Floats:
    return stuck.distinct_ratio(summaries.distinct_count(registers).value, present)


def _of_windows(id_: str, base: Metric) -> tuple[Metric, Metric]:
    """A distance from window to window, and of all windows so far."""
    words = (
        base.name.replace("_", " ").replace("psi", "PSI").replace("jensen shannon", "Jensen-Shannon distance")
    )
    return (
        replace(
            base,
            id=id_,
            name=f"{base.name}_previous",
            known_as=(),
            by_default=SCORES,
            by_window="previous",
            about=f"{words[0].upper()}{words[1:]} of each window to the one before it that has rows, in the same segment, on "
            "the reference's bins. The first window is compared with the reference's last one if the reference has "
            "windows that are earlier, and is no_data if not. Of scores and predictions, or of every column if it is asked for by name.",
        ),
        replace(
            base,
            id=id_,
            name=f"{base.name}_cumulative",
            known_as=(),
            by_default=SCORES,
            by_window="cumulative",
            warn=None,
            alert=None,
            conventional=None,
            about=f"{words[0].upper()}{words[1:]} of all windows up to each one, in the same segment, to the reference. The last "
            f"is that of all rows that have a time, which {base.name} judges. Of scores and predictions, or of every column if "
            "it is asked for by name.",
        ),
    )


_BY_NAME = {metric.name: metric for metric in DATA_DISTRIBUTION}

CLASS_SHARE = Metric(
    "PD-02",
    "predicted_class_share",
    classification.class_shares,
    reads=("predicted_classes",),
    compares=False,
    by_class=True,
    method="Goodman's simultaneous intervals",
    warn=0.02,
    alert=0.05,
)

PREDICTION_DRIFT = (
    *_of_windows("PD-01", _BY_NAME["jensen_shannon"]),
    *_of_windows("PD-08", _BY_NAME["psi"]),
    CLASS_SHARE,
    Metric(
        "PD-02",
        "predicted_class_chart",
        control_charts.p_chart,
        reads=("class_chart",),
        unit="sigma",
        compares=False,
        of=CLASS_SHARE,
        by_class=True,
        by_window="chart",
        warn=SIGMAS,
        alert=SIGMAS,
        conventional=(SIGMAS, SIGMAS),
        about="By how many sigma the share of a predicted class in a window is from the reference's share, its centre: a p chart, "
        "with limits for each window's rows. Where the reference has 8 windows, a p′ chart: sigma grows as these differ by more than "
        "their rows explain. Judged by what is beyond the size of a warning of predicted_class_share, or a tenth of the centre where "
        "that is less. Source: Shewhart (1931); Laney (2002), Qual. Eng. 14.",
    ),
    *(
        Metric(
            "PD-02",
            f"predicted_class_{side}_limit",
            control_charts.p_chart,
            reads=("class_limits",),
            compares=False,
            part=side,
            by_class=True,
            by_window="chart",
            about=f"The {side} control limit of predicted_class_chart: the share of a predicted class three sigma {where} the "
            "reference's, for the window's rows [0 to 1].",
        )
        for side, where in (("lower", "below"), ("upper", "above"))
    ),
    Metric(
        "PD-10",
        "median_shift",
        medians.median_shift,
        reads=("cells", "edges", "extremes", "scale"),
        unit="std",
        on=("numeric",),
        by_default=("prediction",),
        method=f"of the reference's std, {CERTIFIED}; Mood's test",
        about="How far the median has moved, over the reference's standard deviation: the shift of the middle, which a long "
        "tail does not hide. Of predicted quantities, or of every numeric column if it is asked for by name.",
        warn=0.1,
        alert=0.2,
        null=MOOD,
        exact=medians.median_shift_sorted,
    ),
    Metric(
        "PD-05",
        "prediction_odds_shift",
        concept.prediction_shift,
        reads=("prediction_strata",),
        unit="nats",
        method="Cochran, Mantel and Haenszel's, over the bins of the feature; p is times the number of dichotomies",
        about="How much likelier a prediction has become at equal values of a feature: ln of Mantel and Haenszel's odds ratio over "
        "the feature's bins, of the class, or of the part of a score or quantity above one of 7 cuts, that shifted most. For a fixed model it "
        "is 0 unless other features moved, or rows moved within the bins. Concept drift is suspected, never shown: a row is warn or no_data, "
        "and never ok. Source: Mantel & Haenszel (1959), J. Natl. Cancer Inst. 22.",
        warn=0.25,
        alert=0.25,
    ),
    Metric(
        "PD-05",
        "prediction_cramers_v",
        concept.conditional_cramers_v,
        reads=("prediction_strata",),
        method="of the chi-square within the bins of the feature; cells of less than 5 expected rows pooled",
        about="How far what is predicted differs from the reference at equal values of a feature: Cramér's V within the feature's "
        "bins [0 to 1], which also sees what prediction_odds_shift does not, a change that turns round between bins. Suspected (warn) or "
        "no_data, as that. Source: Cramér (1946), Mathematical Methods of Statistics, ch. 21.",
        warn=0.1,
        alert=0.1,
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
        macro=classification.macro_false_positive_rate_interval,
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
        macro=classification.macro_false_negative_rate_interval,
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
        "mean_cost",
        classification.mean_cost,
        reads=("right_and_wrong", "costs"),
        unit="cost",
        compares=False,
        method="Student's interval of a mean",
        better="lower",
        relative=True,
        warn=0.05,
        alert=0.1,
    ),
    Metric(
        "PD-11",
        "estimated_cost",
        estimation.cost,
        reads=("scored", "calibrated", "threshold_cell", "costs"),
        unit="cost",
        compares=False,
        known_as=(("model", "XC-11"),),
        method="without labels: the reference's calibration of the score (CBPE, XC-11)",
        better="lower",
        relative=True,
        warn=0.05,
        alert=0.1,
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
        "cluster_shift",
        distances.jensen_shannon,
        reads=("clusters",),
        method="Jensen-Shannon distance, base 2; up to 8 clusters of the reference's rows (k-means)",
        about="Jensen-Shannon distance between the shares of the reference's clusters of features and predictions, then and now "
        "[0 to 1]; asked for with ``clusters``.",
        null=SHARES,
        warn=0.05,
        alert=0.1,
    ),
    Metric(
        "PD-14",
        "repeated_share",
        stuck.repeated_share,
        reads=("cells", "edges", "extremes"),
        compares=False,
        on=("numeric",),
        roles=SCORES,
        method="of the most repeated value",
    ),
    Metric(
        "PD-14",
        "stuck_share",
        stuck.stuck_share,
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
