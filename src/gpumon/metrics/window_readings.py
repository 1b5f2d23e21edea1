"""Windows in the order of time: each beside the one before it, or all so far beside the reference (PD-01, PD-08).

``bins`` are those of :mod:`gpumon.metrics.readings`: the reference's deciles, or values, whichever windows are compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.metrics.courses import dated
from gpumon.profiles.profile import Key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gpumon.metrics.readings import Readings
    from gpumon.profiles.profile import Profile, Slice

    Counts = NDArray[np.int64]

__all__ = ["WindowReadings"]

FIRST = "there is no window before it"


class WindowReadings:
    """The bins of some units in every window that has a time, by ``kind``: see ``Metric.by_window``.

    "previous": of the window before that has rows, in the same segment, and of the window. The first window stands beside
    the reference's last one, if the reference has such and it is earlier. "cumulative": of the reference, and of all windows so far.
    """

    def __init__(
        self,
        kind: str,
        readings: Readings,
        mine: Sequence[int],
        reference: Profile,
        current: Profile,
        slices: Sequence[tuple[Slice, Slice]],
    ) -> None:
        self.units = [readings.units[i] for i in mine]
        self.reference = reference
        self.alone = reference is current
        there = set(dated(current.windows))
        timed = [i for i, (_, (window, _)) in enumerate(slices) if window in there]
        self.slices = [slices[i] for i in timed]
        if not timed:
            return
        baseline, now = (np.asarray(side)[list(mine)] for side in readings["bins"])
        baseline = np.broadcast_to(baseline, now.shape)[:, timed].copy()
        now = now[:, timed].copy()
        self.series: dict[str | None, list[int]] = {}
        for place in sorted(range(len(timed)), key=lambda i: self.slices[i][1][0] or ""):
            self.series.setdefault(self.slices[place][1][1], []).append(place)
        self._whole = {segment: now[:, places].sum(axis=1) for segment, places in self.series.items()}
        first = FIRST if kind == "previous" else ""
        self.told: list[NDArray[Any]] = [np.full(len(timed), first, object) for _ in self.units]
        """In words, for each unit, which window every window is compared with, or why with none."""
        for places in self.series.values():
            if kind == "cumulative":
                now[:, places] = np.cumsum(now[:, places], axis=1)
                continue
            baseline[:, places] = 0
            for unit in range(len(self.units)):
                earlier, name = self._last_of_reference(readings, mine[unit], timed[places[0]], places[0])
                for place in places:
                    if name:
                        baseline[unit, place] = earlier
                        self.told[unit][place] = f"against {name}"
                    if now[unit, place].any():
                        earlier, name = now[unit, place], str(self.slices[place][1][0])
        self._made: dict[str, Any] = {"bins": (baseline, now)}
        rows = [side.sum(axis=-1) for side in (baseline, now)]
        present = [all_ - side[..., -1] for all_, side in zip(rows, (baseline, now), strict=True)]
        self._made["present"] = tuple(present)
        self._made["missing"] = tuple(
            np.stack((side[..., -1], all_), axis=-1) for side, all_ in zip((baseline, now), rows, strict=True)
        )

    def __getitem__(self, name: str) -> Any:
        """(before, now) of a reading."""
        return self._made[name]

    def arguments(self, reads: Sequence[str], side: int | None = None) -> list[Any]:
        """The arguments of a formula that compares, or, given a side (0: before), that describes it."""
        return [
            part for name in reads for part in (self[name] if side is None else self[name][side : side + 1])
        ]

    def together(self, name: str, at: int) -> Counts:
        """The counts of all windows of the segment that a window is of (columns, bins)."""
        assert name == "bins"
        return np.asarray(self._whole[self.slices[at][1][1]])

    def sorted_values(self, side: int, unit: int, at: int) -> None:
        """Windows are compared by their bins."""

    def _last_of_reference(self, readings: Readings, unit: int, at: int, place: int) -> tuple[Counts, str]:
        """The reference's last window with rows before a window, of the same segment, and its name; "" if there is none."""
        of, (first, segment) = self.slices[place]
        known = readings.units[unit]
        if not self.alone and of[1] == segment and first is not None:
            for window in reversed(dated(self.reference.windows)):
                key = Key(window, segment, known.column.name, known.aspect)
                state = self.reference.states.get(key)
                if window < first and state is not None:
                    counts = readings.binned(unit, at, state)
                    if counts.any():
                        return counts, window
        return np.zeros(0, np.int64), ""
