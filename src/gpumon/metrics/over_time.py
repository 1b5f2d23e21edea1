"""Performance over time and concept change: what windows show together (MD-01, MD-06, PS-09, PD-07, PD-09).

Each record reads a measure window by window, in the order of time, and has one row for all windows, or for those of a
segment: see :mod:`gpumon.metrics.courses`. Windows without labels enough are left out.
"""

from __future__ import annotations

from gpumon.metrics.data_distribution import DATA_DISTRIBUTION
from gpumon.metrics.metric import Metric
from gpumon.metrics.model_drift import MODEL_DRIFT
from gpumon.metrics.performance import PERFORMANCE
from gpumon.statistics import batches, distances, over_time, summaries

__all__ = ["FOLLOWED", "HEADLINES", "OVER_TIME_METRICS"]

_BY_NAME = {metric.name: metric for metric in (*PERFORMANCE, *MODEL_DRIFT)}

HEADLINES = tuple(_BY_NAME[name] for name in ("accuracy", "auc", "log_loss", "brier_score", "rmse", "mae"))
"""The measures that say most of a model."""

FOLLOWED = tuple(
    _BY_NAME[name]
    for name in ("accuracy", "f1", "auc", "average_precision", "log_loss", "brier_score", "rmse", "mae")
)
"""The measures that are followed over time."""

CONCEPT = _BY_NAME["concept_loss"]

JENSEN_SHANNON = next(metric for metric in DATA_DISTRIBUTION if metric.name == "jensen_shannon")

CUSUM_370, EWMA_370 = 4.10, 2.51  # of one side, one false alarm in some 370 windows


def _of(base: Metric) -> tuple[Metric, ...]:
    """What is read off one measure's windows."""
    words = base.name.replace("_", " ")
    return (
        Metric(
            "MD-01",
            f"{base.name}_breaches",
            summaries.total,
            reads=("verdicts_of_windows",),
            unit="windows",
            compares=False,
            of=base,
            about=f"Windows in which {words} has an alert. Its status is alert while the newest window is one of them, warn "
            "if only earlier ones are.",
        ),
        Metric(
            "MD-01",
            f"{base.name}_cusum",
            over_time.cusum_up,
            reads=("deviations",),
            unit="se",
            compares=False,
            of=base,
            limit=over_time.one_sided_cusum_limit,
            warn=CUSUM_370,
            alert=CUSUM_370,
            conventional=(CUSUM_370, CUSUM_370),
            method="largest of the windows; slack ½, beyond the size of a warning",
            about=f"Cumulative sum of how far {words} of each window is worse than the reference's, in the window's standard "
            "errors, beyond what is allowed: the size of a warning, or what the reference's own interval leaves open. The "
            "limit has one false alarm in as many windows as the budget says (ARL). Source: Page (1954), Biometrika 41.",
        ),
        Metric(
            "MD-01",
            f"{base.name}_ewma",
            over_time.ewma_up,
            reads=("deviations",),
            unit="se",
            compares=False,
            of=base,
            limit=over_time.one_sided_ewma_limit,
            warn=EWMA_370,
            alert=EWMA_370,
            conventional=(EWMA_370, EWMA_370),
            method="largest of the windows; weight 0.1, beyond the size of a warning",
            about=f"Exponentially weighted mean, weight 0.1, of the same deviations of {words}, in its own standard errors; "
            "limit as of the cumulative sum. Source: Roberts (1959), Technometrics 1.",
        ),
        Metric(
            "PD-09",
            f"{base.name}_trend",
            over_time.trend,
            reads=("course",),
            unit=f"{'' if base.unit == '1' else base.unit + ' '}a window".strip(),
            compares=False,
            of=base,
            better=base.better,
            relative=base.relative,
            warn=base.warn,
            alert=base.alert,
            method="Theil and Sen's slope; p: Mann and Kendall",
        ),
    )


DETECTED = "alarms, each begins anew"

OVER_TIME_METRICS: tuple[Metric, ...] = (
    *(metric for base in FOLLOWED for metric in _of(base)),
    *(
        Metric(
            "PS-09",
            name,
            formula,
            reads=(reading,),
            unit="alarms",
            compares=False,
            known_as=(("score", "MD-06"),),
            method=method,
        )
        for name, formula, reading, method in (
            ("adwin", batches.adwin, "stream", f"{DETECTED}; δ 0.002"),
            ("page_hinkley", batches.page_hinkley, "stream", f"{DETECTED}; one false alarm in 1,000 windows"),
            ("ddm", batches.ddm, "errors", f"{DETECTED}; three standard errors"),
        )
    ),
    *(
        metric
        for name, formula, reading, of, unit, ids, warn, alert, relative in (
            ("error_rate", batches.change, "errors", None, "1", ("PS-09", "MD-06"), 0.01, 0.02, False),
            (
                "absolute_error",
                batches.change,
                "residuals",
                None,
                "target",
                ("PS-09", "MD-06"),
                0.05,
                0.1,
                True,
            ),
            ("concept", batches.change_of_means, "means", CONCEPT, "1", ("MD-06", "PD-05"), 0.05, 0.1, False),
        )
        for metric in (
            Metric(
                ids[0],
                f"{name}_change",
                formula,
                reads=(reading,),
                unit=unit,
                compares=False,
                of=of,
                known_as=(("score", ids[1]),),
                better="lower",
                relative=relative,
                warn=warn,
                alert=alert,
                method="one change point",
            ),
            Metric(
                ids[0],
                f"{name}_change_time",
                batches.moment,
                reads=(f"{reading}_change", "starts"),
                unit="s since 1970",
                compares=False,
                of=of,
                known_as=(("score", ids[1]),),
                method="start of the first window after the change, UTC; 95 % interval",
            ),
        )
    ),
    Metric(
        "PD-07",
        "jensen_shannon_ewma",
        over_time.excess_ewma,
        reads=("distances_of_windows",),
        compares=False,
        of=JENSEN_SHANNON,
        limit=over_time.one_sided_ewma_limit,
        roles=("score", "prediction"),
        warn=0.02,
        alert=0.04,
        method="largest of the windows; weight 0.1, above what chunks of the reference show",
        about="Exponentially weighted mean, weight 0.1, of the Jensen-Shannon distance of each window to the reference, "
        "less what a chunk of the reference of the window's size shows by chance (of 8 windows of the reference or more: "
        "what they show, if that is more) [−1 to 1]. Its limit has one false alarm in as many windows as the budget says "
        "(ARL), what chance did to the reference taken in: an early warning of a small shift that lasts. No labels are needed.",
    ),
    Metric(
        "PD-05",
        "suspected_concept_drift",
        distances.jensen_shannon,
        reads=("evidence",),
        compares=False,
        known_as=(("score", "MD-06"), ("target", "PS-09")),
        method="without labels enough; the largest Jensen-Shannon distance of a prediction or score",
        about="Where labels are too few, concept drift cannot be seen, and nothing here is ever ok. It is suspected where the "
        "predictions moved and none of the inputs that are counted did, or where the labels that have come say another thing "
        "of the same scores. The value is the predictions' distance to the reference [0 to 1].",
    ),
)
"""The records of this module."""

OVER_TIME_METRICS += tuple(
    Metric(
        "MD-06",
        f"{change.name}_segments",
        summaries.total,
        reads=("changes_of_segments",),
        unit="segments",
        compares=False,
        of=change,
        method="q < 0.05 over the segments, and the size of a warning",
        about=f"Segments whose own {change.name.replace('_', ' ')} matters and is no chance: whom a change of the model meets. "
        "The reason names them, the largest change first.",
    )
    for change in OVER_TIME_METRICS
    if change.name.endswith("_change")
)
