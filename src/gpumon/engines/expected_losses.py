"""Expected losses: the columns that they are learnt from, as cells, and how batches are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.engines.coding import Coder
from gpumon.engines.columns import as_floats
from gpumon.kernels.expected_losses import ExpectedCounts, Forest, add
from gpumon.kernels.lookup import cells_of
from gpumon.profiles.categorical import Categorical
from gpumon.profiles.numeric import Numeric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from gpumon.kernels import Kernels
    from gpumon.profiles.expected_losses import ExpectedLosses
    from gpumon.profiles.profile import Profile

__all__ = ["Expecting", "errors", "sample_cells"]


def errors(rows: pa.RecordBatch | pa.Table, columns: Sequence[str]) -> NDArray[np.float64]:
    """Prediction − target of every row, NaN or infinite where one of them is not there; ``columns``: target, prediction."""
    there = set(rows.schema.names)
    target, prediction = (
        as_floats(rows.column(name)) if name in there else np.full(rows.num_rows, np.nan)
        for name in columns[:2]
    )
    with np.errstate(over="ignore", invalid="ignore"):
        return prediction - target


def sample_cells(
    sample: pa.Table, like: Profile, columns: Sequence[str], kernels: Kernels
) -> list[tuple[NDArray[np.int64], int]]:
    """The cell of every row in each column, and how many cells the column has.

    Cells are those of its ``Numeric`` state, or places in its vocabulary, then any other value, then missing.
    """
    found = []
    for name in columns:
        state = like.plan[name, "values"]
        if isinstance(state, Numeric):
            cells = cells_of(as_floats(sample.column(name)), state.edges)
            found.append((cells, state.edges.size + 5))
        else:
            assert isinstance(state, Categorical)
            codes = Coder(state.vocabulary, kernels)(sample.column(name).combine_chunks())
            found.append((codes.astype(np.int64), len(state.vocabulary) + 2))
    return found


class Expecting:
    """Counts what a model of the loss expects of batches; made once, and shared by threads."""

    def __init__(self, state: ExpectedLosses, like: Profile, kernels: Kernels) -> None:
        self.columns = state.columns
        self.kernels = kernels
        self.forests = _forests(state)
        self.coders: dict[str, Coder] = {}
        self.groups: list[NDArray[np.int64]] = []
        ends = np.cumsum(state.cells)[:-1]
        for name, group in zip(self.columns[1:], np.split(state.groups, ends), strict=True):
            of = like.plan[name, "values"]
            if isinstance(of, Categorical):
                # the vocabulary may have grown since: what was added is any other value to the model
                self.coders[name] = Coder(of.vocabulary, kernels)
                *known, other, missing = group.tolist()
                group = np.array(known + [other] * (len(of.vocabulary) - len(known) + 1) + [missing])  # noqa: PLW2901
            self.groups.append(group)

    def __call__(
        self,
        batch: pa.RecordBatch,
        cells: Mapping[tuple[str, str], NDArray[np.uint16]],
        weights: NDArray[np.float64] | None,
        offsets: NDArray[np.int64],
        places: NDArray[np.int64],
        into: ExpectedCounts,
    ) -> None:
        """Count a batch whose rows are grouped by slice; ``cells`` are those of its numeric columns."""
        of: list[Any] = []
        for name, group in zip(self.columns[1:], self.groups, strict=True):
            if name not in batch.schema.names:
                of.append(np.full(batch.num_rows, len(group) - 1, np.int64))
            elif name in self.coders:
                of.append(self.coders[name].of_column(batch, name))
            else:
                of.append(cells[name, "values"])
        expected, unsupported = self.kernels.expected(of, self.groups, self.forests)
        name = self.columns[1]
        there = (
            np.isfinite(as_floats(batch.column(name)))
            if name in batch.schema.names
            else np.zeros(batch.num_rows, np.bool_)
        )
        add(expected, unsupported, errors(batch, self.columns), there, weights, offsets, places, into)


def _forests(state: ExpectedLosses) -> list[Forest]:
    """The trees of each loss."""
    total = int(state.trees.sum())
    leaves = state.leaves.reshape(total, -1) if total else np.zeros((0, 2))
    splits = [each.reshape(total, leaves.shape[1] - 1) for each in (state.split_features, state.split_codes)]
    ends = np.cumsum(state.trees)[:-1]
    parts = zip(*(np.split(each, ends) for each in (*splits, leaves)), strict=True)
    return [
        Forest(float(base), features, codes.astype(np.uint8), values)
        for base, (features, codes, values) in zip(state.base, parts, strict=True)
    ]
