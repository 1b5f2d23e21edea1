"""Thresholds by name, and those a user gives.

``calibrated``    the larger of two: what chance (or the reference's own windows) exceeds once in the false-alarm
                  budget, and the size from which the metric's change matters. The sizes of all metrics say the same
                  thing in their own units: for alert, a normal column moved by 0.2 of its standard deviation, which
                  Cohen (1988) calls a small effect; for warn, half of that.
``conventional``  fixed numbers that practice uses, such as PSI 0.1 and 0.25 (Siddiqi 2006), whatever the sample size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpumon.errors import OptionError

if TYPE_CHECKING:
    from gpumon.metrics import Metric

__all__ = ["BUDGET", "NAMED", "SIGNIFICANCE", "Thresholds"]

BUDGET = 0.001
"""False alerts a column-scan: one in a thousand."""

SIGNIFICANCE = 0.05
"""q-value below which an effect counts as real."""

NAMED = ("calibrated", "conventional")


@dataclass(frozen=True)
class Thresholds:
    """Where warn and alert begin. ``given`` holds a user's own (warn, alert) by metric name."""

    name: str = "calibrated"
    budget: float = BUDGET
    given: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, wanted: Any, budget: Any, metrics: tuple[Metric, ...]) -> Thresholds:
        """From what a user passes: a name, {metric: alert} or {metric: (warn, alert)}, or None for the default."""
        budget = BUDGET if budget is None else budget
        if not (isinstance(budget, int | float) and 0 < budget < 1):
            raise OptionError(
                f"budget {budget} must be between 0 and 1: 0.001 is one false alert in 1,000 column-scans"
            )
        if wanted is None:
            return cls(budget=budget)
        if isinstance(wanted, str):
            if wanted not in NAMED:
                raise OptionError(
                    f"thresholds {wanted!r} are unknown: use one of {', '.join(NAMED)}, or a mapping"
                )
            return cls(wanted, budget)
        if not isinstance(wanted, Mapping):
            raise OptionError("thresholds must be a name or a mapping from metric to alert or (warn, alert)")
        names = {metric.name for metric in metrics}
        given = {}
        for name, value in wanted.items():
            if name not in names:
                raise OptionError(
                    f"a threshold is given for {name!r}, which is not measured: gpumon metrics lists the names"
                )
            try:
                warn, alert = value if isinstance(value, tuple | list) else (value, value)
                given[name] = (float(warn), float(alert))
                if not given[name][0] <= given[name][1]:  # NaN neither
                    raise ValueError  # noqa: TRY301
            except (TypeError, ValueError) as error:
                raise OptionError(
                    f"the threshold of {name!r} is {value!r}: give a number or a pair (warn, alert), warn not above alert"
                ) from error
        return cls("calibrated", budget, given)

    def level(self, metrics: tuple[Metric, ...]) -> float:
        """The budget's part for each judged metric of a column, or of the model: of whichever there are more."""
        judged = [m for m in metrics if m.judged and "verdicts" not in m.reads and not m.over_time]
        of_model = sum(metric.labelled or metric.broken_down for metric in judged)
        return self.budget / max(1, of_model, len(judged) - of_model)

    def fixed(self, metric: Metric) -> tuple[float, float] | None:
        """The fixed (warn, alert) of a metric, if it has such here."""
        if metric.name in self.given:
            return self.given[metric.name]
        return metric.conventional if self.name == "conventional" else None
