"""Family 1 of the specification: shifts of the data's distribution (DD)."""

from __future__ import annotations

from functools import partial

from gpumon.metrics.metric import CERTIFIED, Metric
from gpumon.metrics.significance import CHI_SQUARE, CRAMER, KOLMOGOROV, WELCH
from gpumon.statistics import association, distances, ecdf, summaries

__all__ = ["DATA_DISTRIBUTION"]

BINS = "deciles of the reference, or values with the rare ones as one; missing as a bin"
LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

DATA_DISTRIBUTION = (
    Metric(
        "DD-01",
        "count",
        summaries.count,
        reads=("present",),
        unit="rows",
        compares=False,
        about="Rows whose value is not missing, neither null nor NaN.",
    ),
    Metric("DD-01", "mean", summaries.mean, reads=("moments",), unit="column", compares=False),
    Metric("DD-01", "std", summaries.std, reads=("moments",), unit="column", compares=False, method="ddof 1"),
    Metric(
        "DD-01",
        "variance",
        summaries.variance,
        reads=("moments",),
        unit="column²",
        compares=False,
        method="ddof 1",
    ),
    Metric("DD-01", "min", summaries.minimum, reads=("extremes",), unit="column", compares=False),
    Metric("DD-01", "max", summaries.maximum, reads=("extremes",), unit="column", compares=False),
    Metric("DD-01", "range", summaries.value_range, reads=("extremes",), unit="column", compares=False),
    *(
        Metric(
            "DD-01",
            "quantile",
            partial(ecdf.quantile, level=level),
            reads=("cells", "edges", "extremes"),
            unit="column",
            method=f"level {level}, {CERTIFIED}",
            compares=False,
            exact=partial(ecdf.quantile_sorted, level=level),
        )
        for level in LEVELS
    ),
    Metric(
        "DD-01",
        "distinct_count",
        summaries.distinct_count,
        reads=("registers",),
        unit="values",
        compares=False,
        method="HyperLogLog, 4,096 registers",
    ),
    Metric(
        "DD-01",
        "mean_shift",
        summaries.mean_shift,
        known_as=(
            ("score", "PD-10"),
            ("prediction", "PD-10"),
        ),
        reads=("moments",),
        unit="std",
        method="of the reference's std",
        warn=0.1,
        alert=0.2,
        null=WELCH,
    ),
    Metric("DD-01", "variance_ratio", summaries.variance_ratio, reads=("moments",), unit="ln"),
    Metric("DD-02", "total_variation", distances.total_variation, reads=("bins",), method=BINS),
    Metric("DD-02", "infinity_norm", distances.infinity_norm, reads=("bins",), method=BINS),
    Metric(
        "DD-03",
        "kolmogorov_smirnov",
        ecdf.kolmogorov_smirnov,
        known_as=(
            ("score", "PD-06"),
            ("prediction", "PD-06"),
        ),
        reads=("cells", "edges"),
        method=CERTIFIED,
        warn=0.04,
        alert=0.08,
        conventional=(0.1, 0.2),
        null=KOLMOGOROV,
        exact=ecdf.ks_sorted,
    ),
    Metric(
        "DD-04",
        "chi_square",
        distances.chi_square,
        reads=("bins",),
        on=("categorical", "discrete"),
        method="cells of less than 5 expected rows pooled",
        null=CHI_SQUARE,
    ),
    Metric(
        "DD-04",
        "cramers_v",
        distances.cramers_v,
        known_as=(("prediction", "PD-02"),),
        reads=("bins",),
        on=("categorical", "discrete"),
        method="of the chi-square",
        warn=0.05,
        alert=0.1,
        conventional=(0.1, 0.3),
        null=CRAMER,
    ),
    Metric(
        "DD-05",
        "psi",
        distances.psi,
        known_as=(
            ("score", "PD-08"),
            ("prediction", "PD-08"),
            ("target", "MD-07"),
            ("attribution", "MD-05"),
        ),
        reads=("bins",),
        method=f"{BINS}; shares of at least 1e-4",
        warn=0.01,
        alert=0.04,
        conventional=(0.1, 0.25),
    ),
    Metric(
        "DD-06",
        "jensen_shannon",
        distances.jensen_shannon,
        known_as=(
            ("score", "PD-07"),
            ("prediction", "PD-07"),
            ("target", "MD-03"),
        ),
        reads=("bins",),
        method=f"distance, base 2; {BINS}",
        warn=0.04,
        alert=0.085,
        conventional=(0.1, 0.2),
    ),
    Metric(
        "DD-07",
        "hellinger",
        distances.hellinger,
        known_as=(
            ("score", "MD-10"),
            ("prediction", "MD-10"),
            ("target", "MD-10"),
        ),
        reads=("bins",),
        method=BINS,
        warn=0.035,
        alert=0.07,
        conventional=(0.1, 0.2),
    ),
    Metric(
        "DD-08",
        "wasserstein",
        ecdf.wasserstein,
        reads=("cells", "edges", "extremes"),
        unit="column",
        method=CERTIFIED,
        exact=ecdf.wasserstein_sorted,
    ),
    Metric(
        "DD-08",
        "wasserstein_normed",
        ecdf.wasserstein_normed,
        known_as=(
            ("score", "MD-02"),
            ("prediction", "MD-02"),
        ),
        reads=("cells", "edges", "extremes", "scale"),
        unit="std",
        method=f"of the reference's std; {CERTIFIED}",
        warn=0.1,
        alert=0.2,
        conventional=(0.1, 0.3),
        exact=ecdf.wasserstein_normed_sorted,
    ),
    Metric(
        "DD-09",
        "significant_share",
        summaries.fraction,
        reads=("verdicts",),
        method="q-value under 0.05 in any test",
        about="Share of the judged columns in which some test is significant [0 to 1]: its q-value, over all columns, is "
        "under 0.05 (Benjamini & Hochberg 1995).",
    ),
    *(
        Metric(
            "DD-10",
            "correlation_shift",
            association.correlation_shift,
            reads=("pairs",),
            method=kind,
            warn=0.1,
            alert=0.2,
        )
        for kind in ("pearson", "spearman")
    ),
    Metric(
        "DD-12",
        "target_shift",
        distances.jensen_shannon,
        reads=("bins",),
        roles=("target",),
        method=f"distance, base 2; {BINS}",
        warn=0.04,
        alert=0.085,
        conventional=(0.1, 0.2),
    ),
)
