"""Family 2 of the specification: performance, read off predictions and their labels (PS)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gpumon.metrics import outlier_readings
from gpumon.metrics.metric import BOUNDED, CERTIFIED, Metric
from gpumon.metrics.significance import SKEWED
from gpumon.statistics import (
    calibration,
    classification,
    concept,
    ecdf,
    estimation,
    intervals,
    outliers,
    ranking,
    regression,
)

if TYPE_CHECKING:
    from gpumon.statistics import Floats

__all__ = ["PERFORMANCE"]

WILSON = "Wilson's interval"
POSITIVE = "of the positive class; of more than two classes, of each against the rest"


def spiegelhalter_z(excess: Floats, variance: Floats) -> Floats:
    """Spiegelhalter's z: how many standard deviations the Brier score is worse than the scores promise.

    Source: Spiegelhalter (1986), Stat. Med. 5. See ``statistics.calibration.spiegelhalter``.
    """
    return calibration.spiegelhalter(excess, variance).z


PERFORMANCE = (
    Metric(
        "PS-01",
        "accuracy",
        classification.accuracy,
        reads=("confusion",),
        compares=False,
        interval=classification.accuracy_interval,
        method=WILSON,
        better="higher",
        warn=0.01,
        alert=0.02,
    ),
    Metric(
        "PS-01",
        "balanced_accuracy",
        classification.balanced_accuracy,
        reads=("confusion",),
        compares=False,
        interval=classification.balanced_accuracy_interval,
        better="higher",
        warn=0.01,
        alert=0.02,
    ),
    Metric(
        "PS-02",
        "precision",
        classification.precision,
        reads=("confusion",),
        compares=False,
        interval=classification.precision_interval,
        macro=classification.macro_precision_interval,
        method=f"{POSITIVE}; {WILSON}",
        by_class=True,
        better="higher",
        warn=0.01,
        alert=0.02,
    ),
    Metric(
        "PS-02",
        "recall",
        classification.recall,
        reads=("confusion",),
        compares=False,
        interval=classification.recall_interval,
        macro=classification.balanced_accuracy_interval,
        method=f"{POSITIVE}; {WILSON}",
        by_class=True,
        better="higher",
        warn=0.01,
        alert=0.02,
    ),
    Metric(
        "PS-02",
        "f1",
        classification.f_beta,
        reads=("confusion",),
        compares=False,
        interval=classification.f_beta_interval,
        macro=classification.macro_f1_interval,
        method=POSITIVE,
        by_class=True,
        better="higher",
        warn=0.01,
        alert=0.02,
    ),
    Metric(
        "PS-02",
        "matthews_correlation",
        classification.matthews_correlation,
        reads=("confusion",),
        compares=False,
        interval=classification.matthews_correlation_interval,
    ),
    Metric(
        "PS-02",
        "cohens_kappa",
        classification.cohens_kappa,
        reads=("confusion",),
        compares=False,
        interval=classification.cohens_kappa_interval,
    ),
    Metric(
        "PS-03",
        "auc",
        ranking.auc,
        reads=("negatives", "positives", "single"),
        compares=False,
        interval=ranking.auc_interval,
        exact=ranking.auc_sorted,
        method=f"ROC, ties ½; {BOUNDED}; DeLong's variance",
        better="higher",
        warn=0.005,
        alert=0.01,
    ),
    Metric(
        "PS-03",
        "auc_one_versus_one",
        ranking.one_versus_one,
        reads=("ranked", "single"),
        compares=False,
        interval=ranking.one_versus_one_interval,
        method="mean over the pairs of at most 20 classes, ties ½; cells of about equal mass, certified; at most DeLong's variance",
        better="higher",
        warn=0.005,
        alert=0.01,
    ),
    Metric(
        "PS-03",
        "gini",
        ranking.gini,
        reads=("negatives", "positives", "single"),
        compares=False,
        method=BOUNDED,
    ),
    Metric(
        "PS-03",
        "score_separation",
        ranking.kolmogorov_smirnov,
        reads=("negatives", "positives", "single"),
        compares=False,
        method=BOUNDED,
    ),
    Metric(
        "PS-04",
        "average_precision",
        ranking.average_precision,
        reads=("negatives", "positives", "single"),
        compares=False,
        interval=ranking.average_precision_interval,
        exact=ranking.average_precision_sorted,
        method=f"steps, not trapezoids; {BOUNDED}; variance by the jackknife",
        better="higher",
        warn=0.01,
        alert=0.02,
    ),
    Metric("PS-04", "prevalence", ranking.prevalence, reads=("negatives", "positives"), compares=False),
    Metric(
        "PS-05",
        "log_loss",
        intervals.mean,
        reads=("loss",),
        compares=False,
        unit="nats",
        method="probabilities of at least 1e-15; Student's interval of a mean",
        about="Mean of −ln of the probability that the score gave to what happened [nats]. Equals "
        "``sklearn.metrics.log_loss``, of several classes too; beside that stands each class against the rest.",
        better="lower",
        relative=True,
        warn=0.05,
        alert=0.1,
    ),
    *(
        Metric(
            "PS-05",
            "class_log_loss",
            intervals.mean,
            reads=(f"{of}_loss",),
            compares=False,
            unit="nats",
            method="probabilities of at least 1e-15; Student's interval of a mean; tested as a gamma variable",
            about="Mean of −ln of the probability of the true class, of the rows of each class by itself [nats]. Equals "
            "``sklearn.metrics.log_loss`` of these rows.",
            better="lower",
            relative=True,
            null=SKEWED[of],
            warn=0.05,
            alert=0.1,
        )
        for of in ("positive", "negative")
    ),
    Metric(
        "PS-05",
        "log_loss_skill",
        calibration.log_loss_skill,
        reads=("loss_mean", "base_rate"),
        compares=False,
    ),
    Metric(
        "PS-08",
        "mean_gap",
        intervals.mean,
        reads=("gap",),
        compares=False,
        method="Student's interval of a mean",
        about="Mean score less share of positives, the bias of a classifier [−1 to 1]: above 0 where scores are too high.",
        warn=0.01,
        alert=0.02,
    ),
    Metric(
        "PS-10",
        "calibration_error",
        calibration.expected_calibration_error,
        reads=("width_rows", "width_positives", "width_scores"),
        compares=False,
        method="ECE, 15 bins of equal width",
    ),
    Metric(
        "PS-10",
        "calibration_error",
        calibration.expected_calibration_error,
        reads=("mass_rows", "mass_positives", "mass_scores"),
        compares=False,
        method="ECE, 15 bins of about equal mass",
    ),
    Metric(
        "PS-10",
        "maximum_calibration_error",
        calibration.maximum_calibration_error,
        reads=("width_rows", "width_positives", "width_scores"),
        compares=False,
        method="MCE, 15 bins of equal width",
    ),
    Metric(
        "PS-10",
        "calibration_slope",
        intervals.normal,
        reads=("slope", "slope_variance"),
        compares=False,
        known_as=(("score", "PD-04"),),
        method="logistic recalibration",
        about="Slope of the logistic regression of the label on logit(score) [any]; 1 for a calibrated score, less for one "
        "that is too sure (Cox 1958, Biometrika 45).",
        warn=0.1,
        alert=0.2,
    ),
    Metric(
        "PS-10",
        "calibration_intercept",
        intervals.normal,
        reads=("intercept", "intercept_variance"),
        compares=False,
        method="logistic recalibration",
        about="Intercept of the logistic regression of the label on logit(score) [any]; 0 for a calibrated score, less where "
        "scores are too high (Cox 1958, Biometrika 45).",
    ),
    Metric(
        "PS-10",
        "spiegelhalter_z",
        spiegelhalter_z,
        reads=("excess", "promised"),
        compares=False,
        unit="std",
        method="standard normal if the scores are calibrated",
    ),
    Metric(
        "PS-06",
        "rmse",
        regression.root_mean_squared_error_interval,
        reads=("square",),
        compares=False,
        unit="target",
        method="root of the interval of MSE",
        about="Root of the mean squared error, mean (prediction − target)² [unit of the target]. Equals "
        "``sklearn.metrics.root_mean_squared_error``.",
        better="lower",
        relative=True,
        warn=0.05,
        alert=0.1,
    ),
    Metric(
        "PS-06",
        "mse",
        regression.mean_squared_error_interval,
        reads=("square",),
        compares=False,
        unit="target²",
        method="Student's interval of a mean",
    ),
    Metric(
        "PS-06",
        "r_squared",
        regression.r_squared,
        reads=("error", "targets"),
        compares=False,
        better="higher",
    ),
    Metric(
        "PS-06",
        "mape",
        intervals.mean,
        reads=("relative",),
        compares=False,
        method="rows whose target is 0 left out; Student's interval of a mean",
        about="Mean of |prediction − target| / |target| [0 or more]. Equals "
        "``sklearn.metrics.mean_absolute_percentage_error`` where no target is 0.",
        better="lower",
        relative=True,
        warn=0.05,
        alert=0.1,
    ),
    Metric(
        "PS-06",
        "smape",
        intervals.mean,
        reads=("symmetric",),
        compares=False,
        method="Student's interval of a mean",
        about="Mean of 2·|prediction − target| / (|prediction| + |target|), 0 where both are 0 [0 to 2].",
    ),
    Metric(
        "PS-07",
        "mae",
        regression.mean_absolute_error,
        reads=("absolute",),
        compares=False,
        unit="target",
        method="Student's interval of a mean",
        better="lower",
        relative=True,
        warn=0.05,
        alert=0.1,
    ),
    Metric(
        "PS-07",
        "median_absolute_error",
        partial(ecdf.quantile, level=0.5),
        reads=("absolute_cells", "absolute_edges", "absolute_extremes"),
        compares=False,
        unit="target",
        method=CERTIFIED,
        about="Median of |prediction − target| [unit of the target]. Equals ``sklearn.metrics.median_absolute_error``.",
    ),
    Metric(
        "PS-08",
        "bias",
        regression.bias_interval,
        reads=("error",),
        compares=False,
        unit="target",
        method="Student's interval of a mean",
    ),
    Metric(
        "PS-08",
        "residual_variance",
        regression.error_variance,
        reads=("error",),
        compares=False,
        unit="target²",
        method="ddof 0: MSE = bias² + variance",
    ),
    Metric(
        "PS-11",
        "true_class_share",
        classification.class_shares,
        reads=("true_classes",),
        compares=False,
        by_class=True,
        method="Goodman's simultaneous intervals",
    ),
    *(
        Metric(
            "PS-11",
            f"{which}_class_{name}",
            formula,
            reads=(f"{which}_classes",),
            unit=unit,
            compares=False,
            about=about,
        )
        for which, of in (("true", "labels"), ("predicted", "predictions, labelled or not"))
        for name, formula, unit, about in (
            (
                "imbalance",
                classification.imbalance_ratio,
                "1",
                f"Rows of the largest class over those of the smallest, by the {of} [1 or more]; infinite if a class is gone.",
            ),
            (
                "entropy",
                classification.entropy,
                "bits",
                f"Shannon's entropy of the classes' shares, by the {of} [0 to log2 K]. Equals ``scipy.stats.entropy(base=2)``.",
            ),
        )
    ),
    Metric(
        "PS-11",
        "prior_gap",
        classification.prior_gap,
        reads=("confusion",),
        compares=False,
        by_class=True,
    ),
    Metric(
        "PS-15",
        "error_quantile",
        partial(ecdf.quantile, level=0.99),
        reads=("absolute_cells", "absolute_edges", "absolute_extremes"),
        compares=False,
        unit="target",
        method=f"level 0.99, {CERTIFIED}",
        about="The |prediction − target| that one row in a hundred exceeds [unit of the target].",
    ),
    *(
        Metric(
            "PS-15",
            name,
            outliers.share_outside,
            reads=(*(f"{of}_{part}" for part in ("cells", "edges", "extremes")), limits),
            compares=False,
            method=f"{how}; certified by cells; Wilson's interval; binomial test of rare rates",
            about=f"Share of the rows {what} [0 to 1]: {usual}.",
            better="lower",
            null=null,
            warn=warn,
            alert=2 * warn,
        )
        for name, of, limits, null, warn, how, what, usual in (
            (
                "extreme_error_share",
                "absolute",
                "usual_errors",
                outlier_readings.EXTREME,
                0.002,
                "|e| above the 99.9 % quantile of the reference's rows",
                "whose |prediction − target| is more than that of 99.9 % of the reference's rows",
                "about 0.001 if nothing has changed",
            ),
            (
                "outlier_share",
                "residual",
                "robust_limits",
                outlier_readings.OUTLYING,
                0.005,
                "robust z above 3.5, by the reference's median and MAD",
                "whose error is an outlier beside the reference's, |e − median|·0.6745 / MAD > 3.5",
                "0.0005 of normal errors, more of those with long tails",
            ),
        )
    ),
    Metric(
        "PS-09",
        "label_odds_shift",
        concept.log_odds_shift,
        reads=("tables",),
        known_as=(("score", "PD-05"),),
        unit="nats",
        method="Mantel and Haenszel's, over 20 strata of the score",
        warn=0.1,
        alert=0.25,
    ),
    Metric(
        "PS-09",
        "concept_loss",
        concept.concept_share,
        reads=("losses",),
        known_as=(("score", "MD-06"),),
        method="the squared error of scores by 20 strata, |e| by cell of the prediction",
        better="lower",
        warn=0.05,
        alert=0.1,
    ),
    *(
        Metric(
            id_,
            f"estimated_{name}",
            formula,
            reads=(f"expected_{loss}", f"{loss}_left"),
            compares=False,
            unit="target",
            method="without labels: errors learnt from the reference's labelled rows (DLE, XC-11)",
            about=f"The {name.upper()} that the features and the predictions lead to expect, by boosted trees that learnt the "
            "errors of the reference [unit of the target]. Blind to concept drift.",
            better="lower",
            relative=True,
            warn=0.05,
            alert=0.1,
        )
        for id_, name, formula, loss in (
            ("PS-07", "mae", estimation.expected_loss, "absolute"),
            ("PS-06", "rmse", estimation.expected_root_loss, "square"),
        )
    ),
    *(
        Metric(
            "PS-09",
            f"{name}_over_estimate",
            formula,
            reads=(f"{loss}_backtest",),
            compares=False,
            method="of the rows with labels; delta method",
            better="lower",
            warn=0.05,
            alert=0.1,
        )
        for name, formula, loss in (
            ("mae", estimation.realised_over_expected, "absolute"),
            ("rmse", estimation.root_realised_over_expected, "square"),
        )
    ),
    *(
        Metric(
            id_,
            f"estimated_{name}",
            formula,
            reads=("scored", "calibrated", *reads),
            compares=False,
            method="without labels: the reference's calibration of the score (CBPE, XC-11)",
            better="higher",
            warn=warn,
            alert=2 * warn,
        )
        for id_, name, formula, reads, warn in (
            ("PS-01", "accuracy", estimation.accuracy, ("threshold_cell",), 0.01),
            ("PS-02", "precision", estimation.precision, ("threshold_cell",), 0.01),
            ("PS-02", "recall", estimation.recall, ("threshold_cell",), 0.01),
            ("PS-02", "f1", estimation.f1, ("threshold_cell",), 0.01),
            ("PS-03", "auc", estimation.roc_auc, (), 0.005),
            ("PS-04", "average_precision", estimation.average_precision, (), 0.01),
        )
    ),
    Metric(
        "PS-01",
        "estimated_accuracy",
        partial(estimation.accuracy, threshold=0),
        reads=("confidence_rows", "right_calibrated"),
        compares=False,
        method="without labels: how often the reference was right when as sure (CBPE of the likeliest class, XC-11)",
        about="The accuracy of several classes that the largest probabilities lead to expect, by how often the reference's "
        "predictions were right at equal confidence [0 to 1]. Blind to concept drift.",
        better="higher",
        warn=0.01,
        alert=0.02,
    ),
    *(
        Metric(
            "PS-01",
            "thresholded_accuracy",
            estimation.thresholded_confidence,
            reads=("confidence_rows", f"{of}sure_enough", f"{of}right_share"),
            compares=False,
            method="without labels: rows as sure as the reference's surest, so many as it had right (ATC, XC-11)",
            about="Share of the rows of which the model is surer than of as many of the reference's rows as were predicted wrongly "
            "[0 to 1]: a second estimate of the accuracy beside ``estimated_accuracy``. Blind to concept drift.",
            better="higher",
        )
        for of in ("", "threshold_")  # of several classes; of a score that a threshold makes predictions of
    ),
)
