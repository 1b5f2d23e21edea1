"""What formulas of fairness read, and how their rows come about: groups of people side by side in arrays.

===================  =====================================================================================
of classes
``groups``           rows by group, true and predicted class (slices, groups, 2, 2), labelled and predicted ones only
``selected_groups``  the same with unlabelled rows among the negatives: for what needs no labels
of scores from 0 to 1
``group_gaps``       moments (slices, groups, 3) of score − label; ``group_gap_bins`` by bin of the score (slices, groups, 15, 3)
of quantities
``group_residuals``  moments (slices, groups, 3) of prediction − target; ``group_sizes`` of |prediction − target|
===================  =====================================================================================

Groups are those of every sensitive column, and of all of them together. A rate has a row for each group; a gap has one for
each column, called "by sex", and leaves out the rows without a value and those of rare values.
"""

from __future__ import annotations

from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import special

from gpumon.metrics.label_readings import kish
from gpumon.metrics.labelled import MATURITY, immature
from gpumon.profiles.groups import GroupCalibration, GroupErrors, Groups, conditions
from gpumon.profiles.profile import Key
from gpumon.statistics import fairness, regression

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gpumon.metrics.metric import Metric
    from gpumon.profiles.groups import Binning
    from gpumon.profiles.profile import Profile, Slice
    from gpumon.statistics import Floats

__all__ = ["GROUPED", "SHOWN_GROUPS", "Division", "GroupReadings", "divisions"]

SHOWN_GROUPS = 50
"""Groups of a column, or of all columns together, that have rows of their own in the report: those with most rows."""

LEVEL = 0.95


class Division(NamedTuple):
    """The groups of one column, or of all columns together; ``name`` is "by sex" or "by sex & age"."""

    name: str
    axes: tuple[int, ...]  # the features by number
    groups: list[str]
    people: NDArray[np.bool_]  # (groups,), False where a value is missing or one of many rare ones


def divisions(binnings: Sequence[Binning]) -> list[Division]:
    """The divisions by each column, then that by all of them together."""
    named = [conditions(each) for each in binnings]
    known = [
        np.arange(each.size) < each.size - (1 if each.numeric else 2) for each in binnings
    ]  # numbers have no rare values
    found = [Division(f"by {each.column}", (i,), named[i], known[i]) for i, each in enumerate(binnings)]
    if len(binnings) > 1:
        together = [" & ".join(group) for group in product(*named)]
        people = np.array([all(group) for group in product(*known)], np.bool_)
        names = " & ".join(each.column for each in binnings)
        found.append(Division(f"by {names}", tuple(range(len(binnings))), together, people))
    return found


class _Kept:
    """What both sides keep of groups in one kind of state: ``plan``, and the states of every slice by side."""

    def __init__(self, plan: Any, sides: list[list[Any]]) -> None:
        self.plan = plan
        self.sides = sides
        self.made: dict[tuple[int, str], dict[str, Any]] = {}

    @cached_property
    def divided(self) -> list[Division]:
        """The divisions that the states allow."""
        return divisions(self.plan.binnings)

    def stack(self, side: int, division: Division) -> dict[str, Any]:
        """The counted fields of a side by group of a division, (slices, groups, …)."""
        if (side, division.name) not in self.made:
            sizes = self.plan.sizes
            others = tuple(1 + i for i in range(len(sizes)) if i not in division.axes)
            fields = {}
            for name in ("counts", "mass") if isinstance(self.plan, Groups) else ("counts", "errors"):
                whole = np.stack([getattr(state, name) for state in self.sides[side]])
                if not whole.size:
                    continue
                if name == "mass":  # (slices, 2, groups, 3, 3)
                    whole = np.moveaxis(whole, 1, -1)
                crossed = whole.reshape(len(whole), *sizes, *whole.shape[2:])
                by_group = crossed.sum(axis=others)
                fields[name] = by_group.reshape(len(whole), len(division.groups), *whole.shape[2:])
            self.made[side, division.name] = fields
        return self.made[side, division.name]


class GroupReadings:
    """The readings of groups of two profiles, for all metrics of fairness; ``shares`` of each slice's rows have a label."""

    def __init__(
        self,
        reference: Profile,
        current: Profile,
        slices: list[tuple[Slice, Slice]],
        shares: Floats,
        maturity: float = MATURITY,
    ) -> None:
        self.slices = slices
        self.shares = shares
        self.maturity = maturity
        self.kept: list[_Kept] = []
        for (subject, aspect), plan in reference.plan.items():
            if not subject and type(plan) in READINGS and (subject, aspect) in current.plan:
                sides = [
                    [profile.states.get(Key(*pair[side], "", aspect), plan) for pair in slices]
                    for side, profile in enumerate((reference, current))
                ]
                self.kept.append(_Kept(plan, sides))

    def rows(self, metric: Metric, level: float | None) -> list[dict[str, Any]]:
        """The rows of a metric; none if the profiles hold no groups that it reads."""
        (name,) = metric.reads
        kept = next((each for each in self.kept if name in READINGS[type(each.plan)]), None)
        if kept is None:
            return []
        parts: list[dict[str, Any]] = []
        for division in kept.divided:
            before, now = (READINGS[type(kept.plan)][name](kept.stack(side, division)) for side in (0, 1))
            if metric.part:
                found = [self._gap(metric, division, before, now, level)]
            else:
                found = self._rates(metric, division, before, now)
            for part in found:
                if name != "selected_groups":
                    immature(part, self.shares, self.slices, self.maturity)
            parts += found
        return parts

    def _rates(self, metric: Metric, division: Division, before: Floats, now: Floats) -> list[dict[str, Any]]:
        """A row for each group that has rows, the largest first if there are too many."""
        was, found = metric.formula(before), metric.formula(now)
        sizes = np.stack([_rows(each) for each in (before, now)])
        most = sizes.max(axis=(0, 1))
        kept = np.sort(np.argsort(-most, kind="stable")[:SHOWN_GROUPS])
        nothing = np.full(len(self.slices), np.nan)
        parts = []
        for g in kept[most[kept] > 0].tolist():
            value = found.value[:, g]
            parts.append(
                {
                    "column": division.groups[g],
                    "value": value,
                    "lower": value,
                    "upper": value,
                    "ci_lower": found.lower[:, g],
                    "ci_upper": found.upper[:, g],
                    "n": sizes[1][:, g].astype(np.int64),
                    "reference": was.value[:, g],
                    "p_value": nothing,
                    "effect": nothing,
                    "noise": nothing,
                    "reason": np.where(np.isnan(value), "the group has no such rows", "").astype(object),
                }
            )
        return parts

    def _gap(
        self, metric: Metric, division: Division, before: Floats, now: Floats, level: float | None
    ) -> dict[str, Any]:
        """One row for every slice: a gap, and how it has changed or, of an absolute metric, how far it is from none."""
        people = np.flatnonzero(division.people)
        was, gap = metric.formula(before[:, people]), metric.formula(now[:, people])
        value = getattr(gap, metric.part)
        earlier = getattr(was, metric.part).value
        nothing = np.full(len(self.slices), np.nan)
        part: dict[str, Any] = {
            "column": division.name,
            "value": value.value,
            "lower": value.value,
            "upper": value.value,
            "ci_lower": value.lower,
            "ci_upper": value.upper,
            "n": _rows(now[:, people]).sum(axis=-1).astype(np.int64),
            "reference": earlier,
            "p_value": gap.p if metric.absolute else nothing,
            "effect": nothing,
            "noise": nothing,
            "reason": self._extremes(division, gap, people),
        }
        if not metric.judged:
            return part
        if metric.absolute:
            return part | {"effect": 1 - value.value, "noise": np.where(np.isnan(value.value), np.nan, 0.0)}
        change = fairness.gap_change(was, gap)
        scale: Any = _overall(before) if metric.relative else 1.0
        with np.errstate(divide="ignore", invalid="ignore"):
            part["effect"] = change.value / scale
            if level is not None:
                part["p_value"] = change.p
                pairs = np.maximum(gap.compared * (gap.compared - 1) / 2, 1)
                reach = -special.ndtri(level / (2 * pairs))
                part["noise"] = reach * np.sqrt(was.variance + gap.variance) / scale
        return part

    @staticmethod
    def _extremes(division: Division, gap: fairness.Gap, people: NDArray[np.int64]) -> NDArray[Any]:
        """Between which groups a gap lies, in words."""
        words = [
            f"{division.groups[people[low]]} is lowest, {division.groups[people[high]]} is highest"
            if compared > 1 and low >= 0
            else f"fewer than two groups have {fairness.SMALLEST} such rows"
            for low, high, compared in zip(
                gap.lowest.tolist(), gap.highest.tolist(), gap.compared.tolist(), strict=True
            )
        ]
        return np.array(words, object)


def _rows(reading: Floats) -> Floats:
    """The rows of each group, (slices, groups)."""
    if reading.shape[-1] == 2:  # true by predicted class
        return np.asarray(reading.sum(axis=(-1, -2)))
    rows = reading[..., 0]  # of moments, or of those of each bin
    return np.asarray(rows.sum(axis=-1) if reading.ndim == 4 else rows)


def _overall(moments: Floats) -> Floats:
    """The mean of all groups together, (slices,)."""
    return np.asarray(
        np.sum(moments[..., 0] * np.nan_to_num(moments[..., 1]), axis=-1) / moments[..., 0].sum(-1)
    )


def _known(fields: dict[str, Any], *, selected: bool) -> Any:
    """Rows by true and predicted class, scaled to the effective number where they have weights."""
    counts = fields["counts"]
    if "mass" in fields:
        total, squares = (fields["mass"][..., i] for i in (0, 1))
        factor = kish(*(each[..., :2].sum(axis=(1, 2, 3)) for each in (total, squares)))
        counts = total * factor[:, None, None, None]
    found = counts[..., :2, :2]
    if selected:
        found = found.copy()
        found[..., 0, :] += counts[..., 2, :2]
    return found


def _moments(fields: dict[str, Any], place: int) -> Any:
    """Moments of a quantity of which Σ w x stands at ``place``, and Σ w x² beside Σ w e²."""
    errors = fields["errors"]
    weight, squared = errors[..., 0], errors[..., 1]
    factor = kish(weight, squared)
    return regression.moments(weight * factor, errors[..., place] * factor, errors[..., 3] * factor)


def _score_moments(fields: dict[str, Any], *, by_bin: bool) -> Any:
    """Moments of score − label, of all bins of the score together or of each."""
    errors = fields["errors"]
    whole = errors.sum(axis=-2)
    factor = kish(whole[..., 0], whole[..., 1])[..., None]
    weight, e, squares = ((errors if by_bin else whole[..., None, :])[..., i] * factor for i in (0, 2, 3))
    found = regression.moments(weight, e, squares)
    return found if by_bin else found[..., 0, :]


READINGS: dict[type, dict[str, Any]] = {
    Groups: {
        "groups": lambda fields: _known(fields, selected=False),
        "selected_groups": lambda fields: _known(fields, selected=True),
    },
    GroupCalibration: {
        "group_gaps": lambda fields: _score_moments(fields, by_bin=False),
        "group_gap_bins": lambda fields: _score_moments(fields, by_bin=True),
    },
    GroupErrors: {
        "group_residuals": lambda fields: _moments(fields, 2),
        "group_sizes": lambda fields: _moments(fields, 4),
    },
}

GROUPED = frozenset(name for readings in READINGS.values() for name in readings)
