"""A model of the errors of a regression, learnt from labelled rows of the reference, for rows without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpumon.errors import InputError, OptionError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gpumon.profiles.profile import Profile
    from gpumon.tables.table import Table

__all__ = ["learnt"]

LEARNT = 65_536
"""Rows that the model learns from, evenly spaced; all, if the reference has fewer."""

FEWEST = 200
"""Labelled rows that it needs."""


def learnt(empty: Profile, table: Table, features: Sequence[str]) -> Profile:
    """The plan with a model of the error, for direct loss estimation (DLE): boosted trees on the prediction and ``features``.

    Two models, of |prediction − target| and of its square (``statistics.loss_model``). They depend on the table's rows
    alone, not on its partitions. OptionError if the plan is not of a regression, SchemaError for a feature that is no
    number, category or flag, InputError if there are too few labelled rows.
    """
    from gpumon.engines.expected_losses import errors, sample_cells
    from gpumon.kernels import select
    from gpumon.kernels.expected_losses import coded
    from gpumon.profiles.expected_losses import ExpectedLosses
    from gpumon.profiles.labels import Residuals
    from gpumon.profiles.profile import Profile
    from gpumon.schema import Kind
    from gpumon.statistics.loss_model import fit, rounded

    residuals = empty.plan.get(("", "residuals"))
    if not isinstance(residuals, Residuals):
        raise OptionError(
            f"{table.name}: features are what errors of quantities are estimated from, and there are no predictions of "
            "quantities beside a target; leave features out, or name target and prediction"
        )
    target, prediction = residuals.columns
    if target in features:
        raise OptionError(
            f"{table.name}: {target!r} is the target, which is not there before labels come: leave it out of features"
        )
    others = [name for name in dict.fromkeys(features) if name != prediction]
    for name in others:
        if empty.schema[name].kind not in {Kind.NUMERIC, Kind.CATEGORICAL, Kind.BOOLEAN}:
            raise SchemaError(
                f"{table.name}: column {name!r} is {empty.schema[name].kind.value}, from which no error is estimated; "
                "leave it out of features"
            )
    columns = (target, prediction, *others)
    sample = table.sample(list(columns), LEARNT)
    error = errors(sample, columns)
    known = np.isfinite(error)
    if known.sum() < FEWEST:
        raise InputError(
            f"{table.name} has {known.sum():,} labelled rows, too few to learn what errors to expect: give {FEWEST} or "
            "more, or leave features out"
        )
    cells = sample_cells(sample, empty, columns[1:], select("cpu"))
    numeric = [empty.schema[name].kind is Kind.NUMERIC for name in columns[1:]]
    groups = [_groups(*of, numeric=is_number) for of, is_number in zip(cells, numeric, strict=True)]
    codes, _ = coded([of for of, _ in cells], groups)
    codes, size = codes[known], np.abs(error[known])
    with np.errstate(over="ignore"):
        models = [rounded(fit(codes, loss)) for loss in (size, size**2)]
    state = ExpectedLosses.on(
        columns,
        residuals.weight,
        np.array([len(group) for group in groups], np.int64),
        np.concatenate(groups),
        np.array([len(model.value) for model in models], np.int64),
        np.array([model.base for model in models]),
        np.array([model.residual_variance for model in models]),
        np.concatenate([model.feature.ravel() for model in models]),
        np.concatenate([model.threshold.ravel().astype(np.int64) for model in models]),
        np.concatenate([model.value.ravel() for model in models]),
    )
    return Profile(empty.schema, empty.plan | {("", "expected losses"): state}, facts=empty.facts)


def _groups(cells: NDArray[np.int64], size: int, *, numeric: bool) -> NDArray[np.int64]:
    """The code of each of ``size`` cells, those of missing values last, with a mark where the reference has no rows."""
    from gpumon.profiles.expected_losses import CODES, UNSUPPORTED
    from gpumon.statistics.calibration import equal_mass

    rows = np.bincount(cells, minlength=size)
    if numeric:  # NaN and null are one
        groups = np.concatenate((equal_mass(rows[:-2], CODES - 2), [CODES - 1] * 2))
        alone = np.zeros(size, np.bool_)
        # below the first edge and from the last one on: of the reference at most its largest value is there
        alone[[1, size - 4]] = True
        alone[[0, size - 3]] = rows[[0, size - 3]] == 0
        alone[-2:] = rows[-2:].sum() == 0
    else:
        groups = np.concatenate((np.minimum(np.arange(size - 2), CODES - 3), [CODES - 2, CODES - 1]))
        alone = rows == 0
    return np.asarray(groups + UNSUPPORTED * alone, np.int64)
