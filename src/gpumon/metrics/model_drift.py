"""Family 5 of the specification: drift of the model (MD).

MD-01 is family 2 over time; MD-02, MD-03, MD-07 to MD-10 are distances between columns, under these ids where the
column is a prediction, a score or the target: see ``Metric.known_as``.
"""

from __future__ import annotations

from gpumon.metrics.metric import Metric
from gpumon.statistics import calibration, estimation, intervals

__all__ = ["MODEL_DRIFT"]

MODEL_DRIFT = (
    Metric(
        "MD-12",
        "brier_score",
        intervals.mean,
        reads=("brier",),
        compares=False,
        method="Student's interval of a mean",
        about="Mean of (score − label)², label 1 for the positive class [0 to 1]. Equals "
        "``sklearn.metrics.brier_score_loss``. Of several classes the sum of these over the classes [0 to 2], and each class "
        "against the rest.",
        better="lower",
        relative=True,
        warn=0.05,
        alert=0.1,
    ),
    Metric(
        "MD-12",
        "brier_skill",
        calibration.brier_skill,
        reads=("brier_mean", "base_rate"),
        compares=False,
    ),
    Metric(
        "MD-03",
        "estimated_class_share",
        estimation.label_shift,
        reads=("known_confusion", "predicted_classes"),
        compares=False,
        known_as=(("model", "XC-11"),),
        by_class=True,
        method="without labels: the reference's confusion (BBSE); right if only the classes' shares changed",
    ),
)
