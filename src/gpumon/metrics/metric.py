"""Metric: a row of the catalogue. It points to a formula, says what the formula reads, and when its value matters."""

from __future__ import annotations

from dataclasses import dataclass, field
from inspect import getdoc
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpumon.metrics.significance import Null

__all__ = [
    "AGAINST_REFERENCE",
    "BOUNDED",
    "BROKEN_DOWN",
    "CERTIFIED",
    "CHARTED",
    "FAMILIES",
    "GAP",
    "LABELLED",
    "OF_COLUMNS",
    "OF_REFERENCE",
    "OVER_TIME",
    "Metric",
    "family_of",
]

CERTIFIED = "up to 1,024 reference edges, certified"
"""The part of ``method`` that becomes "exact, sorted" where every value was kept."""

BOUNDED = "8,192 score cells, certified"
"""The same of a method that reads score cells."""

FAMILIES = {
    "DD": "data distribution",
    "PS": "performance",
    "OP": "operations",
    "DI": "data integrity",
    "MD": "model drift",
    "MC": "model configuration",
    "PD": "prediction drift",
    "SEC": "security",
    "XC": "fairness and causes",
}
"""The families of the specification, by the letters of an id."""

GAP = "_generalisation_gap"
"""How the name of what the reference had more of a measure ends."""

LABELLED = frozenset(
    {
        "confidence", "margin", "entropy", "entropy_ends", "confidence_rows", "entropy_rows", "confidence_spans",
        "confidence_cells", "margin_cells", "entropy_cells", "confidence_deciles", "least_usual", "most_usual", "most_entropy",
        "right_calibrated", "sure_enough", "right_share", "threshold_sure_enough", "threshold_right_share", "right_and_wrong", "costs", "all_bins", "both_bins", "bin_edges", "threshold",
        "calibrated", "known_confusion", "threshold_cell", "tables", "losses",
        "threshold_edges", "threshold_rows", "threshold_negatives", "threshold_positives",
        "reference_rate", "reference_precision",
        "confusion", "true_classes", "predicted_classes", "negatives", "positives", "single", "scored", "ranked", "coverage",
        "clusters", "distance_rows", "distance_spans", "furthest_usual",
        "loss", "positive_loss", "negative_loss", "brier", "loss_mean", "brier_mean", "base_rate", "excess", "promised", "gap", "slope",
        "slope_variance", "intercept", "intercept_variance",
        "width_rows", "width_positives", "width_scores", "mass_rows", "mass_positives", "mass_scores",
        "square", "error", "absolute", "relative", "symmetric", "targets", "joint",
        "residual_cells", "residual_edges", "residual_extremes", "absolute_cells", "absolute_edges",
        "absolute_extremes",
        "intervals", "interval_widths", "width_cells", "nominal", "half_width",
        "expected_absolute", "expected_square", "absolute_left", "square_left", "unsupported", "predicted_rows",
        "absolute_backtest", "square_backtest", "usual_errors", "robust_limits",
    }
)  # fmt: skip
"""Readings of predictions and labels: see :mod:`gpumon.metrics.label_readings`."""

BROKEN_DOWN = frozenset(
    {
        "groups", "selected_groups", "group_residuals", "group_sizes", "group_gaps", "group_gap_bins", "slice_losses",
        "importances", "importance_shares", "weighted_distances", "weighted_verdicts",
        "explained_rows", "attribution_checks", "prediction_strata",
    }
)  # fmt: skip
"""Readings of groups of people, of slices and of importances: see :mod:`gpumon.metrics.groups`, ``slices``,
``slice_predictions``, ``importances``."""

OF_REFERENCE = frozenset(
    {
        "calibrated", "known_confusion", "half_width", "importances", "reference_rate", "reference_precision",
        "least_usual", "most_usual", "most_entropy", "right_calibrated", "sure_enough", "right_share", "threshold_sure_enough", "threshold_right_share", "usual_errors", "furthest_usual", "robust_limits",
    }
)  # fmt: skip
"""The readings that are the reference's also where the current side is measured."""


OVER_TIME = frozenset(
    {
        "course", "deviations", "means", "means_change", "verdicts_of_windows", "changes_of_segments",
        "stream", "errors", "errors_change", "residuals", "residuals_change", "starts",
    }
)  # fmt: skip
"""Readings of a measure window by window: see :mod:`gpumon.metrics.courses`."""


CHARTED = frozenset({"class_chart", "class_limits"})
"""Readings of the windows of a control chart: see :mod:`gpumon.metrics.class_charts`."""


OF_COLUMNS = frozenset({"columns", "columns_warned", "columns_alerted", "columns_significant"})
"""Readings of all columns together: see :mod:`gpumon.verdicts.rollups`."""


AGAINST_REFERENCE = frozenset(
    {
        "deviations", "means", "means_change", "verdicts_of_windows", "changes_of_segments", "evidence",
        "class_chart", "class_limits",
    }
)  # fmt: skip
"""Readings over time, and of what there is to suspect without labels, that need a reference."""


def family_of(id_: str) -> str:
    """The family that an id belongs to.

    >>> family_of("PD-08")
    'prediction drift'
    """
    return FAMILIES[id_.partition("-")[0]]


@dataclass(frozen=True)
class Metric:
    """One metric.

    ``formula`` takes what ``reads`` names, in that order: of a reading that each side has, the reference's and the
    current's (current's alone if ``compares`` is False), and one array of a reading that both share. The arrays'
    leading axes are columns and slices, and the formula reduces the last. It returns values, or
    :class:`gpumon.statistics.ecdf.Bounds`. What can be read is listed in :mod:`gpumon.metrics.readings`.

    ``warn`` and ``alert`` are the sizes from which a change matters (``None``: shown, not judged); a metric that does
    not compare is judged by its difference from the reference's value. ``null`` knows how the effect varies when
    nothing has changed; without one, the formula is resampled if it reads "bins".

    >>> from gpumon.statistics import distances
    >>> Metric("DD-02b", "euclidean", distances.total_variation, reads=("bins",), alert=0.1).family
    'data distribution'
    """

    id: str
    name: str
    formula: Callable[..., Any]
    reads: tuple[str, ...]
    unit: str = "1"
    method: str = ""
    compares: bool = True
    on: tuple[str, ...] = ()
    """Kinds of columns it is for: "numeric", "discrete", "categorical", "datetime", "text"; empty: all that can be read."""
    roles: tuple[str, ...] = ()
    """Roles of columns it is for; empty: all (ids and timestamps are described and never compared)."""
    by_default: tuple[str, ...] = field(default=(), compare=False)
    """Roles of columns it is for where it is not asked for by name: then it is for all that can be read."""
    by_window: str = ""
    """ "previous": each window against the one before it; "cumulative": all windows so far against the reference; "chart": a control
    chart of the windows."""
    warn: float | None = None
    alert: float | None = None
    conventional: tuple[float, float] | None = None
    """The thresholds that practice uses for warn and alert, where there are such."""
    about: str = ""
    """What it is, where the formula serves several metrics and so says too little."""
    better: str = ""
    """ "higher" or "lower" where one is better: then only a change for the worse is an effect."""
    relative: bool = False
    """Whether the effect is the change as a share of the reference's value."""
    of: Metric | None = field(default=None, repr=False)
    """The metric whose values it follows over time, rolls up over columns, or takes the reference's less the current ones."""
    limit: Callable[[float], float] | None = field(default=None, repr=False)
    """What a control chart exceeds once in so many windows when nothing has changed."""
    by_class: bool = False
    """Whether the formula gives a value for each class: of two classes that of the positive one is meant."""
    part: str = ""
    """The field of the formula's result that is the value, where the result is a gap between groups."""
    absolute: bool = False
    """Whether it is tested without a reference too; if it is judged, by how far the value is from 1."""
    known_as: tuple[tuple[str, str], ...] = ()
    """(role, id): what the specification calls it for columns of a role, such as PSI of a score."""
    interval: Callable[..., Any] | None = field(default=None, repr=False)
    """The 95 % interval, from the same readings without those that both sides share, and the argument ``level``."""
    macro: Callable[..., Any] | None = field(default=None, repr=False)
    """The same of the mean over the classes; a mean without it has no test of its own."""
    few: bool = False
    """Whether it rests on the rows of the rarer class, which may be few: then a fall must also be beyond what the reference's
    own error promises so few (``significance.fallen_share_p``)."""
    promise: str = ""
    """A reading of what the value ought to be: it stands in the place of the reference's value."""
    test: Callable[..., Any] | None = field(default=None, repr=False)
    """The p-value that the promise is kept, from the readings and the promise."""
    null: Null | None = field(default=None, repr=False)
    exact: Callable[..., float] | None = field(default=None, repr=False)
    """The same from sorted values, for ``exact=True``."""

    def serves(self, role: str) -> bool:
        """Whether it is for columns of a role."""
        return all(not roles or role in roles for roles in (self.roles, self.by_default))

    @property
    def family(self) -> str:
        """The family that the id belongs to."""
        return family_of(self.id)

    @property
    def ids(self) -> frozenset[str]:
        """All ids that it answers to."""
        return frozenset({self.id, *(id_ for _, id_ in self.known_as)})

    def id_for(self, role: str) -> str:
        """Its id for a column of a role."""
        return dict(self.known_as).get(role, self.id)

    @property
    def labelled(self) -> bool:
        """Whether it reads predictions and labels, and not columns one by one."""
        return not LABELLED.isdisjoint(self.reads)

    @property
    def over_time(self) -> bool:
        """Whether it reads a measure of the model window by window, and has one row for all windows."""
        return not OVER_TIME.isdisjoint(self.reads)

    @property
    def charted(self) -> bool:
        """Whether it is a control chart of what the model predicts."""
        return not CHARTED.isdisjoint(self.reads)

    @property
    def read_off_results(self) -> bool:
        """Whether it is read off the results, and the verdicts, of the metric that it is ``of``."""
        return not (OF_COLUMNS | {"verdicts_of_windows", "changes_of_segments"}).isdisjoint(self.reads)

    @property
    def of_model(self) -> bool:
        """Whether it is about the model, and not about columns."""
        return self.labelled or self.over_time or self.broken_down or self.charted or "evidence" in self.reads

    @property
    def broken_down(self) -> bool:
        """Whether it reads groups, slices or importances, and not columns one by one."""
        return not BROKEN_DOWN.isdisjoint(self.reads)

    @property
    def of_reference(self) -> bool:
        """Whether it needs a reference: to compare with, or for what it knows of labels."""
        return self.compares or not (OF_REFERENCE | AGAINST_REFERENCE).isdisjoint(self.reads)

    @property
    def judged(self) -> bool:
        """Whether it has a verdict."""
        return self.alert is not None

    @property
    def definition(self) -> str:
        """What it gives, the convention, the source: ``about``, or else the formula's own words."""
        if self.about:
            return self.about
        formula = getattr(self.formula, "func", self.formula)
        return (getdoc(formula) or "").partition(">>>")[0].strip()
