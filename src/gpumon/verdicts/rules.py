"""Rules: thresholds of a metric for a column or a segment, and how windows in their order are judged by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.errors import InputError, OptionError
from gpumon.metrics.courses import dated
from gpumon.statistics.alarms import SLACK, alarms, charted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gpumon.metrics.measure import Measured

__all__ = ["CHARTS", "Rule", "apply_in_order", "limits", "matching", "read", "rules_of"]

CHARTS = ("cusum", "ewma")


@dataclass(frozen=True)
class Rule:
    """When a metric alerts.

    ``warn`` and ``alert`` are sizes of its effect. With ``noise`` the limit is that many times what chance exceeds, and at
    least these sizes; with ``chart`` the effects' deviations from ``centre`` in units of ``spread`` go to a control chart,
    whose limits they are.
    """

    alert: float
    warn: float = np.nan
    """As ``alert`` if it is not given: no warnings."""
    column: str | None = None
    """None: of every column for which there is no rule of its own."""
    segment: str | None = None
    min_rows: int = 0
    """Rows that a window needs: with fewer it is not judged."""
    consecutive: int = 1
    """Windows in a row above the limit with which an alert begins."""
    release: float = 1.0
    """An alert lasts until the effect is not above this share of the limit."""
    noise: float | None = None
    chart: str | None = None
    centre: float = 0.0
    spread: float = 1.0

    def __post_init__(self) -> None:
        if np.isnan(self.warn):
            object.__setattr__(self, "warn", self.alert)

    @property
    def plain(self) -> bool:
        """Whether a row is judged by itself, by its size alone."""
        return (self.min_rows, self.consecutive, self.release, self.chart) == (0, 1, 1.0, None)

    def as_mapping(self) -> dict[str, Any]:
        """What differs from the defaults, as ``thresholds=`` takes it."""
        told = {
            field.name: value
            for field, value in zip(fields(self), asdict(self).values(), strict=True)
            if field.default is MISSING or value != field.default
        }
        if self.warn == self.alert:
            del told["warn"]
        return told


NUMBERS = {"alert", "warn", "release", "noise", "centre", "spread"}
COUNTS = {"min_rows", "consecutive"}
NAMES = {"column", "segment", "chart"}


def rules_of(metric: str, value: Any) -> tuple[Rule, ...]:
    """The rules of what a user gives for a metric: alert, (warn, alert), a mapping, or a list of mappings."""
    if isinstance(value, Mapping):
        value = [value]
    if isinstance(value, list | tuple) and value and all(isinstance(each, Mapping) for each in value):
        found = tuple(_rule(metric, each) for each in value)
        about = [(rule.column, rule.segment) for rule in found]
        if len(set(about)) < len(about):
            raise OptionError(f"thresholds: {metric!r} has two rules for the same column and segment")
        return found
    try:
        warn, alert = (float(x) for x in (value if isinstance(value, tuple | list) else (value, value)))
        if not warn <= alert:  # NaN neither
            raise ValueError  # noqa: TRY301
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"the threshold of {metric!r} is {value!r}: give a number or a pair (warn, alert), warn not above alert"
        ) from error
    return (Rule(alert, warn),)


def _rule(metric: str, given: Mapping[Any, Any]) -> Rule:
    where = f"thresholds: the rule of {metric!r}"
    unknown = [key for key in given if key not in NUMBERS | COUNTS | NAMES]
    if unknown:
        raise OptionError(
            f"{where} has the unknown key {unknown[0]!r}: use {', '.join(sorted(NUMBERS | COUNTS | NAMES))}"
        )
    if "alert" not in given:
        raise OptionError(f"{where} has no alert")
    for key, value in given.items():
        kinds: Any = str if key in NAMES else int if key in COUNTS else (int, float)
        if value is None and key in NAMES | {"noise"}:
            continue
        if not isinstance(value, kinds) or isinstance(value, bool) or (key in NUMBERS and np.isnan(value)):
            raise OptionError(
                f"{where} has {key}: {value!r}, which is no {'name' if key in NAMES else 'number'}"
            )
    rule = Rule(**given)
    if not rule.warn <= rule.alert:
        raise OptionError(f"{where} warns at {rule.warn:g}, above its alert at {rule.alert:g}")
    if not 0 < rule.release <= 1:
        raise OptionError(
            f"{where} has release {rule.release:g}: it is a share of the limit, above 0 and up to 1"
        )
    if rule.consecutive < 1 or rule.min_rows < 0 or not rule.spread > 0 or not (rule.noise or 1) > 0:
        raise OptionError(
            f"{where} is out of range: consecutive, spread and noise are above 0, min_rows not below"
        )
    if rule.chart is not None and (rule.chart not in CHARTS or rule.noise is not None):
        raise OptionError(f"{where} has chart {rule.chart!r}: use {' or '.join(CHARTS)}, without noise")
    return rule


def read(path: str | Path) -> dict[str, Any]:
    """The thresholds of a YAML file, as ``thresholds=`` takes them; InputError in one line if it is none."""
    import yaml

    try:
        found = yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        why = " ".join(
            str(getattr(error, "strerror", None) or getattr(error, "problem", None) or error).split()
        )
        raise InputError(
            f"{path} cannot be read as thresholds ({why}): gpumon tune -o writes such a file"
        ) from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise InputError(f"{path} is no list of thresholds by metric: gpumon tune -o writes such a file")
    return found


def matching(rules: Sequence[Rule]) -> Callable[[str | None, str | None], Rule | None]:
    """What finds the rule for a column and a segment: of both, else of the column, of the segment, of all.

    >>> found = matching(rules_of("psi", [{"alert": 0.2}, {"column": "x", "alert": 0.1}]))
    >>> found("x", None).alert, found("y", "north").alert
    (0.1, 0.2)
    """
    of = {(rule.column, rule.segment): rule for rule in rules}

    def find(column: str | None, segment: str | None) -> Rule | None:
        places = ((column, segment), (column, None), (None, segment), (None, None))
        return next((of[at] for at in places if at in of), None)

    return find


def limits(rule: Rule, noise: float, *, windowed: bool) -> tuple[float, float]:
    """(warn, alert) for the effect of one row; for a chart, of a window that comes after calm ones."""
    if rule.chart is not None:
        slack = SLACK if rule.chart == "cusum" else 0.0
        one, two = (rule.centre + (limit + slack) * rule.spread for limit in (rule.warn, rule.alert))
        return (one, two) if windowed else (np.nan, np.nan)  # a chart is of windows
    least = 0.0 if rule.noise is None else rule.noise * noise
    return max(rule.warn, least), max(rule.alert, least)


def apply_in_order(
    measured: Measured,
    ruled: Mapping[int, Rule],
    warn: NDArray[np.float64],
    alert: NDArray[np.float64],
    real: NDArray[np.bool_],
) -> None:
    """Judge the rows of rules that look at more than one row's size, ``ruled`` by row: series by series, in time."""
    results = measured.results
    status, reason = results["status"], results["reason"]
    series: dict[tuple[Any, ...], list[int]] = {}
    names = [results[name] for name in ("metric", "id", "method", "column", "segment")]
    for i, rule in ruled.items():
        if not rule.plain:
            series.setdefault(tuple(array[i] for array in names), []).append(i)
    for members in series.values():
        rule = ruled[members[0]]
        few = {i for i in members if results["n"][i] < rule.min_rows and status[i] != "no_data"}
        for i in few:
            status[i] = "no_data"
            results["threshold"][i] = np.nan
            reason[i] = f"{results['n'][i]:,} rows, fewer than the {rule.min_rows:,} that a verdict needs"
        there = set(dated([results["window"][i] for i in members if results["window"][i] is not None]))
        rows = np.array([i for i in members if results["window"][i] in there and i not in few], np.int64)
        rows = rows[np.argsort(results["window"][rows].astype(str), kind="stable")]
        if rows.size == 0:
            continue
        effect, sure, limit = measured.effect[rows], real[rows], alert[rows]
        near = effect > warn[rows]
        what = effect
        if rule.chart is not None:
            what = charted(rule.chart, (effect - rule.centre) / rule.spread)
            limit, sure = np.full(rows.size, rule.alert), np.ones(rows.size, np.bool_)
            near = what > rule.warn
        on = alarms(what, limit, rule.release, rule.consecutive, sure)
        above = (what > limit) & sure
        known = ~np.isnan(effect)
        status[rows[known]] = "ok"
        status[rows[(near & sure) | above]] = "warn"
        status[rows[on]] = "alert"
        chart = "" if rule.chart is None else f"the {rule.chart.upper()} of the windows is at "
        for k in np.flatnonzero((chart != "") & (near | on)).tolist():
            reason[rows[k]] = f"{chart}{what[k]:.3g}, alert above {limit[k]:.3g}"
        for k in np.flatnonzero(on & ~above).tolist():
            reason[rows[k]] = (
                f"{chart}{what[k]:.3g}: the alert lasts until it is at {rule.release * limit[k]:.3g}"
            )
        for k in np.flatnonzero(above & ~on).tolist():
            reason[rows[k]] = (
                f"{chart}{what[k]:.3g}, above {limit[k]:.3g}: an alert with {rule.consecutive} windows in a row"
            )
