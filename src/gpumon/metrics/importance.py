"""Feature importance (DD-11, MD-05), drift weighed by it (MD-04), and whether logged attributions add up (XC-02)."""

from __future__ import annotations

from gpumon.metrics.metric import Metric
from gpumon.statistics import importance

__all__ = ["IMPORTANCE"]

WILSON = "Wilson's interval"

IMPORTANCE = (
    Metric(
        "DD-11",
        "importance_ndcg",
        importance.importance_ndcg,
        reads=("importances",),
        compares=False,
        absolute=True,
        known_as=(("model", "MD-05"),),
        method="the reference's importance as relevance; below 0.9 as in SageMaker Clarify",
        better="higher",
        alert=0.1,
    ),
    Metric(
        "DD-11",
        "importance_rank_correlation",
        importance.importance_rank_correlation,
        reads=("importances",),
        compares=False,
        absolute=True,
        known_as=(("model", "MD-05"),),
        method="Spearman's",
        better="higher",
        alert=0.3,
    ),
    Metric(
        "DD-11",
        "top_features_overlap",
        importance.top_features_overlap,
        reads=("importances",),
        compares=False,
        absolute=True,
        known_as=(("model", "MD-05"),),
        method="Jaccard's, of the ten most important",
        better="higher",
        alert=0.5,
    ),
    Metric(
        "DD-11",
        "importance_share_distance",
        importance.importance_share_distance,
        reads=("importances",),
        known_as=(("model", "MD-05"),),
    ),
    Metric(
        "DD-11",
        "importance_share",
        importance.shares,
        reads=("importance_shares",),
        compares=False,
        known_as=(("model", "MD-05"),),
    ),
    Metric(
        "XC-02",
        "explanation_coverage",
        importance.explanation_coverage,
        reads=("explained_rows",),
        compares=False,
        method=WILSON,
    ),
    Metric(
        "XC-02",
        "attribution_mismatch_share",
        importance.attribution_mismatch_share,
        reads=("attribution_checks",),
        compares=False,
        absolute=True,
        method=WILSON,
        better="lower",
        warn=0.001,
        alert=0.01,
    ),
    Metric(
        "MD-04",
        "weighted_drift",
        importance.weighted_drift,
        reads=("weighted_distances",),
        method="Jensen–Shannon distances weighed by the reference's importance",
    ),
    Metric(
        "MD-04",
        "drifted_importance",
        importance.weighted_drift,
        reads=("weighted_verdicts",),
        method="importance of the columns with a warn or an alert",
        about="Share of the reference's importance that is of features with a warn or an alert [0 to 1]; an alert above one "
        "half. Drift of features that the model does not use counts nothing.",
        alert=0.5,
    ),
)
