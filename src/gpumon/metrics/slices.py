"""Where a model is worst: slices of the rows by one condition or two, ranked by what they add to the mean loss.

``slice_losses`` are the rows, Σ loss and Σ loss² (slices of time and segment, cells) of every column's bins, and of the bins
of every pair of columns. A formula gives each cell a value and a z; the rows of the report are the cells of largest z. One
that shares a condition with a cell above it is left out, for most of what it shows is the other.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from gpumon.metrics.label_readings import kish
from gpumon.metrics.labelled import MATURITY, immature
from gpumon.profiles.groups import SliceLosses, conditions
from gpumon.profiles.profile import Key
from gpumon.statistics.contribution import Losses

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gpumon.metrics.metric import Metric
    from gpumon.profiles.profile import Profile, Slice
    from gpumon.statistics import Floats

__all__ = ["LEAST_SLICES", "MOST_SLICES", "SliceReadings"]

MOST_SLICES, LEAST_SLICES = 10, 3
"""Rows of a metric for each window and segment: at most, and of those that chance explains too."""

FEWEST_ROWS = 30
"""Rows, of both sides together, below which a cell is not named."""

SURE = 0.05
TWO_SIDED = float(special.ndtri(0.975))


class SliceReadings:
    """The losses of two profiles by the bins of columns, for the metrics that rank them.

    ``shares`` of the rows of each slice have a label.
    """

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
        plan = reference.plan.get(("", "slices"))
        self.plan = plan if isinstance(plan, SliceLosses) and ("", "slices") in current.plan else None
        if self.plan is not None:
            self.before, self.now = (
                [_losses(profile.states.get(Key(*pair[side], "", "slices"), self.plan)) for pair in slices]
                for side, profile in enumerate((reference, current))
            )
            names = [conditions(each) for each in self.plan.binnings]
            self.cells = [
                tuple((i, b) for i, b in zip(places, bins, strict=True))
                for places in self.plan.partitions
                for bins in np.ndindex(*(len(names[i]) for i in places))
            ]
            self.names = names

    def rows(self, metric: Metric, level: float | None) -> list[dict[str, Any]]:
        """The rows of a metric, the worst slices first; none if the profiles hold no slices."""
        if self.plan is None:
            return []
        found = [self._worst(metric, at, level) for at in range(len(self.slices))]
        at = np.repeat(np.arange(len(self.slices)), [len(each["value"]) for each in found])
        part: dict[str, Any] = {name: np.concatenate([each[name] for each in found]) for name in found[0]}
        slices = [self.slices[i] for i in at]
        part["window"] = np.array([window for _, (window, _) in slices], object)
        part["segment"] = np.array([segment for _, (_, segment) in slices], object)
        if at.size:
            immature(part, self.shares[at], slices, self.maturity)
        return [part]

    def _worst(self, metric: Metric, at: int, level: float | None) -> dict[str, Any]:
        """The worst cells of one slice of time and segment."""
        before, now = self.before[at], self.now[at]
        value, z = self._of_all_cells(metric, before, now)
        earlier = (
            np.full(value.shape, np.nan) if metric.compares else self._of_all_cells(metric, before, before)[0]
        )
        rows = now.rows + before.rows if metric.compares else now.rows
        known = (rows >= FEWEST_ROWS) & np.isfinite(z)
        if metric.compares:  # where all became worse, those are named that became worse than the whole
            known &= value >= _due(before, now, slice(0, int(self.plan.starts[1])))  # type: ignore[union-attr]
        candidates = int(np.count_nonzero(known))
        p = np.minimum(1.0, special.erfc(np.abs(z) * np.sqrt(0.5)) * candidates)
        chosen = self._chosen(np.where(known, z, -np.inf), p)
        value, z, p = value[chosen], z[chosen], p[chosen]
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.where(z != 0, value / z, np.nan)
        nothing = np.full(chosen.size, np.nan)
        part: dict[str, Any] = {
            "column": np.array([self._name(cell) for cell in chosen.tolist()], object),
            "value": value,
            "lower": value,
            "upper": value,
            "ci_lower": value - TWO_SIDED * error,
            "ci_upper": value + TWO_SIDED * error,
            "n": now.rows[chosen].round().astype(np.int64),
            "reference": earlier[chosen],
            "p_value": p,
            "effect": nothing,
            "noise": nothing,
            "method": np.array([f"{self.plan.loss[0]}, {metric.method}"] * chosen.size, object),  # type: ignore[union-attr]
            "reason": np.array([self._told(metric, cell, before, now) for cell in chosen.tolist()], object),
        }
        if metric.judged and level is not None:
            whole = slice(0, int(self.plan.starts[1]))  # type: ignore[union-attr]
            with np.errstate(divide="ignore", invalid="ignore"):
                mean = before.total[whole].sum() / before.rows[whole].sum()
                part["effect"] = value / mean
                part["noise"] = -special.ndtri(level / (2 * max(candidates, 1))) * np.abs(error) / mean
        return part

    def _of_all_cells(self, metric: Metric, before: Losses, now: Losses) -> tuple[Floats, Floats]:
        """The value and the z of every cell."""
        assert self.plan is not None
        values, zs = [], []
        for start, stop in pairwise(self.plan.starts.tolist()):
            sides = [Losses(*(part[start:stop] for part in side)) for side in (before, now)]
            found = metric.formula(*(sides if metric.compares else sides[1:]))
            values.append(found.total if metric.compares else found.value)
            zs.append(found.z)
        return np.concatenate(values), np.concatenate(zs)

    def _chosen(self, z: Floats, p: Floats) -> NDArray[np.int64]:
        """The cells to name, of largest z first, no two of which share a condition."""
        chosen: list[int] = []
        taken: set[tuple[int, int]] = set()
        for cell in np.argsort(-z, kind="stable").tolist():
            sure = p[cell] < SURE
            if not z[cell] > (0 if sure else -np.inf) or len(chosen) >= (
                MOST_SLICES if sure else LEAST_SLICES
            ):
                break
            if taken.isdisjoint(self.cells[cell]):
                chosen.append(cell)
                taken.update(self.cells[cell])
        return np.array(chosen, np.int64)

    def _name(self, cell: int) -> str:
        return " & ".join(self.names[column][bin_] for column, bin_ in self.cells[cell])

    def _told(self, metric: Metric, cell: int, before: Losses, now: Losses) -> str:
        """The mean loss and the share of the rows of a cell, and what it is compared with."""
        assert self.plan is not None
        first = slice(0, int(self.plan.starts[1]))

        def mean(side: Losses, part: Any) -> str:
            rows = np.sum(side.rows[part])
            return f"{np.sum(side.total[part]) / rows:.4g}" if rows else "unknown"

        def share(side: Losses) -> str:
            rows = np.sum(side.rows[first])
            return f"{100 * side.rows[cell] / rows:.3g} %" if rows else "none"

        loss = f"mean {self.plan.loss[0]}"
        if metric.compares:
            return f"{loss} {mean(before, cell)} → {mean(now, cell)}, {share(now)} of the rows ({share(before)} before)"
        return f"{loss} {mean(now, cell)} where it is {mean(now, first)} in all, {share(now)} of the rows"


def _due(before: Losses, now: Losses, whole: slice) -> Floats:
    """What each cell would add to the change if it had changed as the whole has, less what rounding may hide."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = [side.rows / side.rows[whole].sum() for side in (before, now)]
        means = [side.total[whole].sum() / side.rows[whole].sum() for side in (before, now)]
    return np.asarray((shares[0] + shares[1]) / 2 * (means[1] - means[0]) - 1e-12 * abs(means[0]))


def _losses(state: Any) -> Losses:
    """Rows, Σ loss and Σ loss² of every cell; of weighted rows the effective number."""
    rows, total, squares = state.n.astype(np.float64), state.sums[:, 0], state.sums[:, 1]
    if not state.weight:
        return Losses(rows, total, squares)
    weight, squared = (state.mass[: state.starts[1], i].sum() for i in (0, 1))
    factor = float(kish(weight, squared))
    return Losses(state.mass[:, 0] * factor, total * factor, squares * factor)
