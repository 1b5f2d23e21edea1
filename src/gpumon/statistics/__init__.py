"""Formulas: arrays in, arrays out.

Every function reduces the last axis and broadcasts the others, so one call serves a column, a table of columns,
or a thousand resampled draws of each. The modules are called what they hold:

of a column       ``summaries``, ``medians``, ``density``, ``modes``, ``outliers`` (of errors)
of two tables     ``distances`` between binned distributions, ``ecdf`` for what is ordered, ``association``,
                  ``importance``
how sure          ``significance``, ``resampling`` (the noise floor), ``intervals``
of predictions    ``classification``, ``ranking``, ``calibration``, ``regression``, ``prediction_intervals``, ``decision``,
                  ``fairness``
of change         ``concept``, ``detectors``, ``changepoints``, ``batches``, ``over_time``, ``control_charts``,
                  ``calibration_change``, ``contribution`` (of parts of the rows to it)
without labels    ``estimation``, ``loss_model``, ``confidence``

Only NumPy and ``scipy.special`` are used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Counts", "Floats"]

Counts = NDArray[Any]
"""Counts of rows: int64, or float64 where they were drawn by a normal approximation."""

Floats = NDArray[np.float64]
