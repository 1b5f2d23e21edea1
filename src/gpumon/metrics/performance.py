"""Family 2 of the specification: performance, read off predictions and their labels (PS)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gpumon.metrics.metric import CERTIFIED, Metric
from gpumon.statistics import calibration, classification, ecdf, intervals, ranking, regression

if TYPE_CHECKING:
    from gpumon.statistics import Counts, Floats
    from gpumon.statistics.intervals import Interval

__all__ = ["PERFORMANCE"]

WILSON = "Wilson's interval"
POSITIVE = "of the positive class; of more than two classes, of each against the rest"
BOUNDED = "8,192 score cells, certified"


def calibration_slope(rows: Counts, positives: Counts, scores: Floats, level: float = 0.95) -> Interval:
    """Slope of the logistic regression of the label on logit(score); 1 for a calibrated score, less if overconfident.

    Source: Cox (1958), Biometrika 45. See ``statistics.calibration.recalibration``.
    """
    return calibration.recalibration(rows, positives, scores, level).slope


def calibration_intercept(rows: Counts, positives: Counts, scores: Floats, level: float = 0.95) -> Interval:
    """Intercept of the logistic regression of the label on logit(score); 0 for a calibrated score, less if too high.

    Source: Cox (1958), Biometrika 45. See ``statistics.calibration.recalibration``.
    """
    return calibration.recalibration(rows, positives, scores, level).intercept


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
        method=f"ROC, ties ½; {BOUNDED}; DeLong's variance",
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
        "``sklearn.metrics.log_loss``.",
        better="lower",
        relative=True,
        warn=0.05,
        alert=0.1,
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
        calibration_slope,
        reads=("fine_rows", "positives", "fine_scores"),
        compares=False,
        method="logistic recalibration",
        warn=0.1,
        alert=0.2,
    ),
    Metric(
        "PS-10",
        "calibration_intercept",
        calibration_intercept,
        reads=("fine_rows", "positives", "fine_scores"),
        compares=False,
        method="logistic recalibration",
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
)
