"""Where a model is worst, and which rows made it worse (XC-15, PS-15)."""

from __future__ import annotations

from gpumon.metrics.metric import Metric
from gpumon.statistics import contribution

__all__ = ["CAUSES"]

RANKED = "by z; p is times the number of slices looked at"

CAUSES = (
    Metric(
        "XC-15",
        "loss_contribution",
        contribution.contributions,
        reads=("slice_losses",),
        unit="loss",
        method=f"change of the mean divided among slices, {RANKED}; judged as a share of the reference's mean",
        about="What the rows of a slice add to the change of the mean loss, by another share of the rows and by another mean "
        "loss [unit of the loss]. Source: Kitagawa (1955), J. Am. Stat. Assoc. 50.",
        better="lower",
        relative=True,
        warn=0.025,
        alert=0.05,
    ),
    Metric(
        "XC-15",
        "excess_loss",
        contribution.excess_losses,
        reads=("slice_losses",),
        compares=False,
        absolute=True,
        unit="loss",
        known_as=(("slice", "PS-15"),),
        method=f"share of the rows · (mean − mean of all), {RANKED}",
    ),
)
