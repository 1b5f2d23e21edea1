"""Thresholds by name, and those a user gives.

``calibrated``    the largest of three: what chance exceeds once in the false-alarm budget, what the reference's own
                  windows exceed once in it, and the size from which the metric's change matters. The sizes of all
                  metrics say the same thing in their own units: for alert, a normal column moved by 0.2 of its standard
                  deviation, which Cohen (1988) calls a small effect; for warn, half of that.
``conventional``  fixed numbers that practice uses, such as PSI 0.1 and 0.25 (Siddiqi 2006), whatever the sample size.

A user's own are :mod:`gpumon.verdicts.rules`, from a mapping or a YAML file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpumon.errors import OptionError
from gpumon.verdicts.rules import Rule, read, rules_of

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
    """Where warn and alert begin. ``given`` holds a user's own rules by metric name."""

    name: str = "calibrated"
    budget: float = BUDGET
    given: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, wanted: Any, budget: Any, metrics: tuple[Metric, ...]) -> Thresholds:
        """From what a user passes: a name, {metric: alert, (warn, alert) or rules}, a YAML file of such, or None for the default."""
        budget = BUDGET if budget is None else budget
        if not (isinstance(budget, int | float) and 0 < budget < 1):
            raise OptionError(
                f"budget {budget} must be between 0 and 1: 0.001 is one false alert in 1,000 column-scans"
            )
        if wanted is None:
            return cls(budget=budget)
        if isinstance(wanted, Path) or (isinstance(wanted, str) and wanted.endswith((".yaml", ".yml"))):
            wanted = read(wanted)
        if isinstance(wanted, str):
            if wanted not in NAMED:
                raise OptionError(
                    f"thresholds {wanted!r} are unknown: use one of {', '.join(NAMED)}, a mapping, or a YAML file"
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
            given[name] = rules_of(name, value)
        return cls("calibrated", budget, given)

    def level(self, metrics: tuple[Metric, ...]) -> float:
        """The budget's part for each judged metric of a column, or of the model: of whichever there are more."""
        judged = [m for m in metrics if m.judged and "verdicts" not in m.reads and not m.over_time]
        of_model = sum(metric.labelled or metric.broken_down or metric.charted for metric in judged)
        return self.budget / max(1, of_model, len(judged) - of_model)

    def fixed(self, metric: Metric) -> tuple[float, float] | None:
        """The conventional (warn, alert) of a metric, if it has such and they are wanted."""
        return metric.conventional if self.name == "conventional" else None
