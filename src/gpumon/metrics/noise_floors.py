"""What resampled metrics come to when nothing has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gpumon.statistics.resampling import SQUARES, Noise, noise_floors, wasserstein_binned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpumon.metrics.metric import Metric
    from gpumon.metrics.readings import Readings
    from gpumon.profiles.profile import Slice
    from gpumon.statistics import Floats

__all__ = ["Floors"]

DRAWS = 1000
LEAST_DRAWS = 200  # where slices of many baselines and sizes need draws of their own
FEW_ROWS = 16  # below, each number of rows has draws of its own

_Draws = tuple[list[int], Noise, NDArray[np.float64]]  # the slices of a level, their noise, its scale in each


class Floors:
    """Noise floors of the resampled metrics of one block: for a baseline and all that is compared with it at once.

    Near no change a sum of squares is proportional to 1/n + 1/m, a norm to its root: so draws made for one pair of
    sizes serve others that are near. For each baseline (the reference, or a segment of it) and each size of slice,
    within a factor of two, they are made once, at the slices' middle size, from the rows of both sides together.
    """

    def __init__(
        self,
        readings: Readings,
        metrics: Sequence[Metric],
        slices: list[tuple[Slice, Slice]],
        seed: int,
    ) -> None:
        self.readings = readings
        self.seed = seed
        before, now = (
            np.broadcast_to(side[..., 1].max(axis=0), len(slices)).tolist() for side in readings["missing"]
        )
        levels: dict[tuple[Slice, int, int], list[int]] = {}
        for i, (of, _) in enumerate(slices):
            levels.setdefault((of, _size(before[i]), _size(now[i])), []).append(i)
        self.levels = list(levels.values())
        self.draws = max(LEAST_DRAWS, min(DRAWS, 4 * DRAWS // len(self.levels)))
        self.statistics = list(dict.fromkeys(m.formula for m in metrics if m.judged and m.reads == ("bins",)))
        self.drawn: dict[tuple[str, Any], list[_Draws]] = {}
        self.shape = (len(readings.units), len(slices))

    def of(self, metric: Metric) -> _Floor | None:
        """The floor of a metric that is judged by its bins, or of an earth mover's distance; None for others."""
        if metric.reads == ("bins",) and metric.judged:
            return _Floor(self._draws("bins", metric.formula), metric.formula, self.shape)
        if "extremes" in metric.reads:
            noises = self._draws("steps", wasserstein_binned)
            if "scale" not in metric.reads:
                return _Floor(noises, wasserstein_binned, self.shape)
            with np.errstate(divide="ignore"):
                return _Floor(noises, wasserstein_binned, self.shape, 1 / self.readings["scale"])
        return None

    def _draws(self, reading: str, statistic: Any) -> list[_Draws]:
        """The statistic's draws for each level of detail; all statistics of a reading share the samples."""
        if (reading, statistic) not in self.drawn:
            reference, current = (
                np.broadcast_to(x, (*self.shape, x.shape[-1])) for x in self.readings[reading]
            )
            n, m = reference.sum(axis=-1), current.sum(axis=-1)
            statistics: list[Any] = self.statistics if reading == "bins" else [wasserstein_binned]
            for each in statistics:
                self.drawn[reading, each] = []
            for level in self.levels:
                first = level[0]
                together = self.readings.together(reading, first)
                size = np.maximum(_middle(m[:, level]), 1)
                shared: dict[str, Floats] = {}
                unit: Any = 1.0
                if reading == "steps":  # in units of the largest width: no square of a draw may overflow
                    widths = self.readings["widths"]
                    widths = np.broadcast_to(widths, (*self.shape, widths.shape[-1]))[:, first]
                    unit = widths.max(axis=-1, keepdims=True)
                    shared["widths"] = widths / np.where(unit > 0, unit, 1.0)
                noises = noise_floors(
                    statistics,
                    together,
                    np.maximum(n[:, first], 1),
                    size,
                    self.draws,
                    self.seed,
                    **shared,
                )
                with np.errstate(divide="ignore", invalid="ignore"):
                    ratio = (1 / n[:, level] + 1 / m[:, level]) / (1 / n[:, level[:1]] + 1 / size[:, None])
                    scales = {True: ratio * unit, False: np.sqrt(ratio) * unit}
                for each, noise in zip(statistics, noises, strict=True):
                    self.drawn[reading, each].append((level, noise, scales[each in SQUARES]))
        return self.drawn[reading, statistic]


class _Floor:
    """P-values and critical values from draws; ``unit`` (columns, 1 or slices) turns the draws into the metric's unit."""

    def __init__(
        self, draws: list[_Draws], statistic: Any, shape: tuple[int, int], unit: Floats | None = None
    ) -> None:
        self.draws = draws
        self.statistic = statistic
        self.shape = shape
        self.unit = np.broadcast_to(1.0 if unit is None else unit, shape)

    def p_value(self, value: Floats) -> Floats:
        p = np.full(self.shape, np.nan)
        for level, noise, scale in self.draws:
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                scaled = value[:, level] / (scale * self.unit[:, level])
            p[:, level] = noise.p_value(scaled)
        return p

    def critical(self, probability: float) -> Floats:
        critical = np.full(self.shape, np.nan)
        for level, noise, scale in self.draws:
            with np.errstate(invalid="ignore", over="ignore"):
                critical[:, level] = noise.critical(probability)[:, None] * scale * self.unit[:, level]
        return critical


def _size(rows: int) -> int:
    """What numbers of rows have in common that are within a factor of two."""
    return rows if rows < FEW_ROWS else FEW_ROWS * rows.bit_length()


def _middle(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The median of each row's sizes that are not 0; 0 where all are."""
    return np.array([np.median(row[row > 0]) if row.any() else 0 for row in sizes]).astype(np.int64)
