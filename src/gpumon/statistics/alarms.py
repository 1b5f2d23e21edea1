"""Alarms of a series of windows: switched on and off, and the smallest lasting change that a limit lets through.

Windows stand on the last axis, in the order of time; what is not known is NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpumon.statistics.over_time import WEIGHT, cusum_up, ewma_up

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gpumon.statistics import Floats

__all__ = ["SLACK", "alarms", "charted", "seen_by_cusum", "seen_by_ewma"]

SLACK = 0.5
"""What a cumulative sum takes off every window [standard errors]."""


def alarms(
    values: ArrayLike, limit: ArrayLike, release: float = 1.0, consecutive: int = 1, sure: ArrayLike = True
) -> NDArray[np.bool_]:
    """Whether an alarm is on, window by window (..., windows).

    It goes on with the last of ``consecutive`` windows in a row whose value is above ``limit`` and that are ``sure``
    (not chance), and with ``release`` below 1 it stays on until a value is not above release · limit (hysteresis). A
    window whose value is NaN has no alarm and changes nothing. All broadcast. A higher limit, a higher release or more
    consecutive windows never give an alarm more.

    >>> alarms([1.0, 3.0, 3.0, 2.0, 1.0], 2.5, consecutive=2).tolist()
    [False, False, True, False, False]
    >>> alarms([1.0, 3.0, 3.0, 2.0, 1.0], 2.5, release=0.5).tolist()
    [False, True, True, True, False]
    """
    with np.errstate(invalid="ignore"):
        over = np.asarray(values) > np.asarray(limit)
        held = np.asarray(values) > release * np.asarray(limit)
    over = over & np.asarray(sure)
    over, held, known = np.broadcast_arrays(over, held, np.isfinite(values))
    if release >= 1 and consecutive == 1:
        return np.asarray(over & known)
    run = np.zeros(over.shape[:-1], np.int64)
    on = np.zeros(over.shape[:-1], np.bool_)
    found = np.zeros(over.shape, np.bool_)
    for window in range(over.shape[-1]):
        now = known[..., window]
        run = np.where(now, np.where(over[..., window], run + 1, 0), run)
        begun = run >= consecutive
        on = np.where(now, begun | (on & held[..., window]) if release < 1 else begun, on)
        found[..., window] = on & now
    return found


def charted(chart: str, z: Floats) -> Floats:
    """The control chart "cusum" or "ewma" of deviations ``z`` (..., windows), NaN where they are unknown [any].

    ``over_time.cusum_up`` and ``ewma_up`` of the windows that are known.

    >>> charted("cusum", np.array([2.0, np.nan, 2.0]))
    array([1.5, nan, 3. ])
    """
    formula = {"cusum": cusum_up, "ewma": ewma_up}[chart]
    known = np.isfinite(z)
    if known.all():
        return formula(z)
    found = np.full(z.shape, np.nan)
    for place in np.ndindex(*z.shape[:-1]):
        found[place][known[place]] = formula(z[place][known[place]])
    return found


def seen_by_cusum(limit: ArrayLike, windows: int) -> Floats:
    """The smallest lasting deviation that brings a cumulative sum above ``limit`` in so many windows [standard errors].

    ½ + limit / windows, from rest and without noise.

    >>> float(seen_by_cusum(4.0, 8))
    1.0
    """
    return np.asarray(SLACK + np.asarray(limit, np.float64) / windows)


def seen_by_ewma(limit: ArrayLike, windows: int) -> Floats:
    """The smallest lasting deviation that brings the weighted mean above ``limit`` in so many windows [standard errors].

    limit · s / (1 − (1 − w)ⁿ), with w = 0.1 and s² = w (1 − (1 − w)²ⁿ) / (2 − w) the mean's variance after n windows.

    >>> round(float(seen_by_ewma(2.5, 8)), 2)
    0.91
    """
    kept = (1 - WEIGHT) ** windows
    deviation = np.sqrt(WEIGHT / (2 - WEIGHT) * (1 - kept**2))
    return np.asarray(np.asarray(limit, np.float64) * deviation / (1 - kept))
