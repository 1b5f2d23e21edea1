"""How sure a classifier of several classes is of its rows, from their probabilities: no labels are needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gpumon.errors import ProfileError
from gpumon.profiles.labels import MOST_CLASSES, Labelled
from gpumon.profiles.state import PLAN, SUM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["LOSSES", "QUANTITIES", "SURENESS", "UNSURE", "Confidence", "confidence_edges"]

QUANTITIES = ("confidence", "margin", "entropy")
"""What is counted of a row: its largest probability, that less the second largest, and −Σ p ln p over ln K."""

SURENESS = (
    "weight",
    "weight²",
    "confidence",
    "confidence²",
    "margin",
    "margin²",
    "entropy",
    "entropy²",
)
"""The sums of ``Confidence.sums``."""

LOSSES = ("weight", "weight²", "loss", "loss²", "brier", "brier²")
"""The sums of ``Confidence.losses``: −ln p of what happened, and Σ (p − y)² over the classes."""

UNSURE = 0.6
"""Rows whose largest probability is less count as unsure: an edge of the cells."""

CELLS = 1_024
OCTAVES = range(11, 27)
STEPS = 8


def confidence_edges() -> NDArray[np.float64]:
    """Edges from 0 to 1 (m,): 1,024 equal cells, edges at ``UNSURE`` and at fifteenths, and finer cells towards both ends.

    A model that is very sure has most of its rows within a thousandth of 1. There are eight cells for every halving of
    the distance to 0 and to 1, down to 1.5e-8, where 32-bit probabilities end.
    """
    near = np.array([2.0**-octave * (1 + step / STEPS) for octave in OCTAVES for step in range(STEPS)])
    fifteenths = np.linspace(0, 1, 16)  # bins of calibration
    return np.unique(np.concatenate((np.arange(CELLS + 1) / CELLS, [UNSURE], fifteenths, near, 1 - near)))


@dataclass(frozen=True, eq=False)
class Confidence(Labelled):
    """Rows by how sure the model is of them, on the cells of :class:`Numeric` states, and the sums of what is counted.

    ``columns`` are the target and a column of probabilities for each class. A row counts if all its probabilities are
    finite, none is below 0 or above 1, and they add up to 1 but for a tenth (rounding of a thousand classes); else it is
    ``missing`` or ``outside``. Of the labelled rows among these, ``outcomes`` says how many predictions were wrong and
    right, by how sure the model was, and ``losses`` what the probabilities cost; a label that is no known class had none.
    """

    edges: NDArray[np.float64] = field(metadata=PLAN)  # (m,): those of all three
    counts: NDArray[np.int64] = field(metadata=SUM)  # (3, m + 5): see QUANTITIES
    mass: NDArray[np.float64] = field(metadata=SUM)  # the same as Σ weights, or (0, 0)
    sums: NDArray[np.float64] = field(metadata=SUM)  # (8,): see SURENESS
    outside: NDArray[np.int64] = field(
        metadata=SUM
    )  # (2,): a value that is no probability; another total than 1
    missing: NDArray[np.int64] = field(metadata=SUM)  # (1,): rows that lack a probability
    outcomes: NDArray[np.int64] = field(metadata=SUM)  # (2, m + 5): wrong and right, by confidence
    weighed: NDArray[np.float64] = field(metadata=SUM)  # (3, m + 5): Σ w wrong, Σ w right, Σ w · confidence
    losses: NDArray[np.float64] = field(metadata=SUM)  # (6,): see LOSSES

    def __post_init__(self) -> None:
        cells = (len(QUANTITIES), self.edges.size + 5)
        wanted = {
            "counts": cells,
            "mass": cells if self.weight else (0, 0),
            "sums": (len(SURENESS),),
            "outside": (2,),
            "missing": (1,),
            "outcomes": (2, cells[1]),
            "weighed": (3, cells[1]),
            "losses": (len(LOSSES),),
        }
        if any(getattr(self, name).shape != shape for name, shape in wanted.items()):
            raise ProfileError("a state of confidence has the wrong shape: it is damaged")

    @classmethod
    def on(
        cls, columns: Sequence[str], weight: Sequence[str], edges: NDArray[np.float64] | None = None
    ) -> Confidence:
        """Nothing counted yet, on :func:`confidence_edges` if no others are given."""
        edges = confidence_edges() if edges is None else edges
        if not (np.isfinite(edges).all() and (edges[1:] > edges[:-1]).all() and edges.size >= 2):
            raise ProfileError("edges must be finite and increasing")
        if not 3 <= len(columns) <= MOST_CLASSES + 1:
            raise ProfileError(f"confidence is of a target and the scores of 2 to {MOST_CLASSES:,} classes")
        cells, weight = (len(QUANTITIES), edges.size + 5), tuple(weight)
        return cls(
            tuple(columns),
            weight,
            edges,
            np.zeros(cells, np.int64),
            np.zeros(cells if weight else (0, 0)),
            np.zeros(len(SURENESS)),
            np.zeros(2, np.int64),
            np.zeros(1, np.int64),
            np.zeros((2, cells[1]), np.int64),
            np.zeros((3, cells[1])),
            np.zeros(len(LOSSES)),
        )

    @property
    def rows(self) -> int:
        """Rows counted, those without a probability for each class too."""
        return int(self.counts[0].sum() + self.outside.sum() + self.missing[0])
