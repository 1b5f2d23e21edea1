"""Fairness (XC-01): rates and errors of groups of people, and the gaps between groups."""

from __future__ import annotations

from gpumon.metrics.metric import Metric
from gpumon.statistics import calibration, fairness, intervals, mean_parity

__all__ = ["FAIRNESS"]

WILSON = "Wilson's interval"
OF_PAIR = "of groups with 30 rows or more; interval of the extreme pair"
CHANGE = f"{OF_PAIR}; judged by its change"

FAIRNESS = (
    *(
        Metric("XC-01", f"group_{name}", formula, reads=(reads,), compares=False, method=WILSON)
        for name, formula, reads in (
            ("selection_rate", fairness.selection_rate, "selected_groups"),
            ("true_positive_rate", fairness.true_positive_rate, "groups"),
            ("false_positive_rate", fairness.false_positive_rate, "groups"),
            ("false_negative_rate", fairness.false_negative_rate, "groups"),
            ("precision", fairness.positive_predictive_value, "groups"),
            ("accuracy", fairness.accuracy, "groups"),
        )
    ),
    *(
        Metric(
            "XC-01",
            f"group_{name}",
            intervals.mean,
            reads=(reads,),
            compares=False,
            unit="target",
            method="Student's interval of a mean",
            about=about,
        )
        for name, reads, about in (
            ("mae", "group_sizes", "Mean of |prediction − target| of a group [unit of the target]."),
            ("bias", "group_residuals", "Mean of prediction − target of a group [unit of the target]."),
        )
    ),
    Metric(
        "XC-01",
        "group_calibration",
        intervals.mean,
        reads=("group_gaps",),
        compares=False,
        method="Student's interval of a mean",
        about="Mean score − rate of positives of a group, calibration in the large [−1 to 1]: above 0, its scores promise more "
        "positives than there are.",
    ),
    Metric(
        "XC-01",
        "group_calibration_error",
        calibration.calibration_error_of_gaps,
        reads=("group_gap_bins",),
        compares=False,
        method="15 bins of equal width; interval wide enough for what chance adds",
    ),
    Metric(
        "XC-01",
        "demographic_parity_ratio",
        fairness.demographic_parity,
        reads=("selected_groups",),
        part="ratio",
        absolute=True,
        compares=False,
        method=f"lowest over highest selection rate, {OF_PAIR}; four fifths (29 CFR 1607.4 D)",
        better="higher",
        alert=1 - fairness.FOUR_FIFTHS,
    ),
    *(
        Metric(
            "XC-01",
            f"{name}_difference",
            formula,
            reads=(reads,),
            part="difference",
            compares=False,
            method=CHANGE,
            better="lower",
            warn=0.025,
            alert=0.05,
        )
        for name, formula, reads in (
            ("demographic_parity", fairness.demographic_parity, "selected_groups"),
            ("equal_opportunity", fairness.equal_opportunity, "groups"),
            ("predictive_equality", fairness.predictive_equality, "groups"),
            ("equalized_odds", fairness.equalized_odds, "groups"),
            ("predictive_parity", fairness.predictive_parity, "groups"),
            ("accuracy_parity", fairness.accuracy_parity, "groups"),
        )
    ),
    Metric(
        "XC-01",
        "calibration_parity_difference",
        mean_parity.mean_parity,
        reads=("group_gaps",),
        part="difference",
        compares=False,
        method=CHANGE,
        better="lower",
        warn=0.025,
        alert=0.05,
        about="Gap of calibration in the large: mean score − rate of positives of the group where it is highest, less that of "
        "the group where it is lowest [0 to 2], with Welch's interval of that pair. Equals the difference of "
        "``fairlearn.metrics.MetricFrame`` of that mean.",
    ),
    *(
        Metric(
            "XC-01", f"{name}_ratio", formula, reads=("groups",), part="ratio", compares=False, method=OF_PAIR
        )
        for name, formula in (
            ("equal_opportunity", fairness.equal_opportunity),
            ("equalized_odds", fairness.equalized_odds),
        )
    ),
    Metric(
        "XC-01",
        "mae_parity_difference",
        mean_parity.mean_parity,
        reads=("group_sizes",),
        part="difference",
        compares=False,
        unit="target",
        method=f"{CHANGE}, as a share of the reference's MAE",
        better="lower",
        relative=True,
        warn=0.05,
        alert=0.1,
    ),
    Metric(
        "XC-01",
        "mae_parity_ratio",
        mean_parity.mean_parity,
        reads=("group_sizes",),
        part="ratio",
        compares=False,
        method=f"lowest over highest MAE, {OF_PAIR}",
    ),
    Metric(
        "XC-01",
        "bias_parity_difference",
        mean_parity.mean_parity,
        reads=("group_residuals",),
        part="difference",
        compares=False,
        unit="target",
        method=OF_PAIR,
    ),
)
