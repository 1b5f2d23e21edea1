"""How sure a model says it is, and whether that holds: prediction intervals (PD-13), rows that the reference did not know."""

from __future__ import annotations

from gpumon.metrics.metric import CERTIFIED, Metric
from gpumon.metrics.significance import KOLMOGOROV
from gpumon.statistics import confidence, distances, ecdf, intervals, prediction_intervals

__all__ = ["UNCERTAINTY"]

ABSOLUTE = ("absolute_cells", "absolute_edges", "absolute_extremes")

UNCERTAINTY = (
    Metric(
        "PD-13",
        "interval_coverage",
        prediction_intervals.coverage,
        reads=("intervals",),
        compares=False,
        method="PICP; Wilson's interval; against the nominal coverage by the score test",
        better="higher",
        promise="nominal",
        test=prediction_intervals.coverage_p,
        warn=0.02,
        alert=0.05,
    ),
    Metric(
        "PD-13",
        "interval_score",
        prediction_intervals.winkler_score,
        reads=("intervals",),
        compares=False,
        unit="target",
        method="Winkler's; Student's interval of a mean",
        better="lower",
        relative=True,
        warn=0.05,
        alert=0.1,
    ),
    Metric(
        "PD-13",
        "mean_interval_width",
        prediction_intervals.mean_width,
        reads=("interval_widths",),
        compares=False,
        unit="target",
        method="Student's interval of a mean",
        relative=True,
        warn=0.05,
        alert=0.1,
    ),
    Metric(
        "PD-13",
        "interval_width_shift",
        ecdf.kolmogorov_smirnov,
        reads=("width_cells",),
        method=f"Kolmogorov-Smirnov of the widths; {CERTIFIED}",
        about="Kolmogorov-Smirnov distance between the widths of the reference's prediction intervals and the current ones "
        "[0 to 1]; no labels are needed.",
        null=KOLMOGOROV,
        warn=0.05,
        alert=0.1,
    ),
    Metric(
        "PD-13",
        "interval_crossing_share",
        prediction_intervals.crossing_share,
        reads=("interval_widths",),
        compares=False,
        method="Wilson's interval",
        better="lower",
        warn=0.001,
        alert=0.01,
    ),
    Metric(
        "MD-11",
        "unsupported_share",
        intervals.wilson,
        reads=("unsupported", "predicted_rows"),
        compares=False,
        method="Wilson's interval; a feature beyond the reference's range, or a category that it lacks",
        about="Share of the rows about which the reference says nothing [0 to 1]: what is estimated without labels is "
        "worth the less the higher it is.",
        better="lower",
        warn=0.01,
        alert=0.05,
    ),
    *(
        Metric(
            "MD-11",
            f"{quantity}_shift",
            confidence.confidence_distance,
            reads=(f"{quantity}_cells",),
            method="Kolmogorov-Smirnov of the reference's and the current one; certified by cells",
            about=f"Kolmogorov-Smirnov distance between the distributions of {what} in the reference and now [0 to 1]; no labels "
            "are needed.",
            null=KOLMOGOROV,
            warn=0.05,
            alert=0.1,
        )
        for quantity, what in (
            ("confidence", "the likeliest class's probability"),
            (
                "margin",
                "the likeliest class's probability less the second likeliest's, of more than two classes,",
            ),
            ("entropy", "the entropy of the classes' probabilities, of more than two classes,"),
        )
    ),
    Metric(
        "MD-11",
        "confidence_divergence",
        distances.jensen_shannon,
        reads=("confidence_deciles",),
        method="Jensen-Shannon distance, base 2; ten bins of about equal mass in the reference",
        about="Jensen-Shannon distance between the distributions of the likeliest class's probability in the reference and now "
        "[0 to 1]. Has no verdict: the shift is tested by confidence_shift.",
    ),
    *(
        Metric(
            "MD-11",
            name,
            formula,
            reads=reads,
            compares=False,
            method=f"{limit} of the reference's rows; certified by cells; Wilson's interval",
            about=f"Share of the rows {what} of the reference's rows [0 to 1]: about 0.01 if nothing has changed. No "
            "labels are needed.",
            better="lower",
            warn=0.01,
            alert=0.02,
        )
        for name, formula, reads, limit, what in (
            (
                "unusually_unsure_share",
                confidence.share_below,
                ("confidence_rows", "confidence_spans", "least_usual"),
                "largest probability below the 1 % quantile",
                "of which the model is less sure than of 99 %",
            ),
            (
                "unusually_sure_share",
                confidence.share_above,
                ("confidence_rows", "confidence_spans", "most_usual"),
                "largest probability above the 99 % quantile",
                "of which the model is surer than of 99 %",
            ),
            (
                "unusual_entropy_share",
                confidence.share_above,
                ("entropy_rows", "confidence_spans", "most_entropy"),
                "entropy above the 99 % quantile",
                "whose probabilities, of more than two classes, have a larger entropy than those of 99 %",
            ),
        )
    ),
    Metric(
        "MD-11",
        "unfamiliar_share",
        confidence.share_above,
        reads=("distance_rows", "distance_spans", "furthest_usual"),
        compares=False,
        method="farther from the nearest of the reference's centres than 99 % of its rows; certified by cells; Wilson's interval",
        about="Share of the rows whose features and predictions lie farther from all centres of the reference's clusters than "
        "those of 99 % of its rows [0 to 1]: about 0.01 if nothing has changed. No labels are needed; asked for with ``clusters``.",
        better="lower",
        warn=0.01,
        alert=0.02,
    ),
    Metric(
        "PD-13",
        "conformal_coverage",
        prediction_intervals.conformal_coverage,
        reads=(*ABSOLUTE, "half_width"),
        compares=False,
        method="prediction ± the reference's conformal half-width; Wilson's interval",
        better="higher",
        promise="nominal",
        warn=0.02,
        alert=0.05,
    ),
    Metric(
        "PD-13",
        "conformal_half_width",
        prediction_intervals.conformal_half_width_interval,
        reads=(*ABSOLUTE, "nominal"),
        compares=False,
        unit="target",
        method=f"split-conformal, of the rows themselves; {CERTIFIED}",
        better="lower",
        relative=True,
        warn=0.1,
        alert=0.2,
    ),
)
