"""Formulas: arrays in, arrays out.

Every function reduces the last axis and broadcasts the others, so one call serves a column, a table of columns,
or a thousand resampled draws of each. The modules are called what they hold: ``distances`` between binned
distributions, ``ecdf`` for what is ordered, ``summaries``, ``significance``, ``resampling`` (the noise floor),
``association``, ``density``. Only NumPy and ``scipy.special`` are used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Counts", "Floats"]

Counts = NDArray[Any]
"""Counts of rows: int64, or float64 where they were drawn by a normal approximation."""

Floats = NDArray[np.float64]
