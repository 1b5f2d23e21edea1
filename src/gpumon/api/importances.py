"""Feature importances: those a user gives, and those of a model on a sample of the rows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpumon.errors import InputError, OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from gpumon.schema import Schema

__all__ = ["ROWS", "Explainer", "explainer", "given_importance"]

ROWS = 10_000
"""Rows, evenly spaced over the table, on which a model is asked."""


def given_importance(importance: Any) -> dict[str, Any] | None:
    """The importance that a user gives, as a fact of the reference; None for None.

    A mapping from feature to importance, the path of a CSV file with a feature and a number in each line, or a booster,
    of which the gains are taken.
    """
    from gpumon.boosters import LIBRARIES, Booster
    from gpumon.metrics.importances import GIVEN

    if importance is None:
        return None
    if isinstance(importance, Mapping):
        of = importance
    elif isinstance(importance, str | os.PathLike) and Path(importance).suffix.lower() not in LIBRARIES:
        of = _read(Path(importance))
    else:
        of = Booster(importance).gain()
    try:
        of = {str(name): float(value) for name, value in of.items()}
    except (TypeError, ValueError) as error:
        raise OptionError(f"importance must give a number for every feature ({error})") from error
    if not any(value == value and value != 0 for value in of.values()):  # noqa: PLR0124 (NaN)
        raise OptionError("importance has no feature above 0: give a mapping from feature to importance")
    return {"method": GIVEN, "of": of, "rows": 0}


def _read(path: Path) -> dict[str, Any]:
    import csv

    if path.suffix.lower() != ".csv":
        raise OptionError(f"importance {str(path)!r} is no mapping, CSV file or booster: give one of them")
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = [row for row in csv.reader(lines) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({why}): check the path and its permissions") from error
    found = {}
    for i, row in enumerate(rows):
        try:
            found[row[0]] = float(row[1])
        except (IndexError, ValueError):
            if i:  # the first line may be a heading
                raise InputError(
                    f"{path}, line {i + 1}: a feature and a number are wanted, not {','.join(row)!r}"
                ) from None
    return found


@dataclass(frozen=True)
class Explainer:
    """How important features are to a model on some rows: ``importance(sample)`` gives {feature: number}."""

    method: str
    importance: Callable[[pa.Table, tuple[str, ...]], dict[str, float]]

    def __call__(self, sample: pa.Table, schema: Schema) -> dict[str, Any]:
        """The importance of the features on a sample of a table, as a fact of its profile."""
        from gpumon.tables.table import evenly_spaced

        rows = evenly_spaced(sample.num_rows, ROWS)
        taken = sample if len(rows) == sample.num_rows else sample.take(rows)
        return {"method": self.method, "of": self.importance(taken, schema.features), "rows": taken.num_rows}


def explainer(model: Any, predict: Any) -> Explainer | None:
    """Who says how important features are: a booster, or a function that predicts; None if neither is given."""
    from gpumon.boosters import Booster

    if model is not None and predict is not None:
        raise OptionError("model and predict are two ways to the same importances: give one of them")
    if model is not None:
        booster = Booster(model)
        features = booster.features  # refused now, and not after counting

        def of_booster(sample: pa.Table, _: tuple[str, ...]) -> dict[str, float]:
            from gpumon.statistics.importance import mean_sizes

            missing = [name for name in features if name not in sample.column_names]
            if missing:
                raise InputError(
                    f"model {booster.name} reads column {missing[0]!r}, which the table does not have: give it, or give predict"
                )
            sizes = mean_sizes(booster.attributions(_frame(sample, features, categories=True)))
            return dict(zip(features, sizes.tolist(), strict=True))

        return Explainer(f"mean |attribution| of {booster.library}, TreeSHAP", of_booster)
    if predict is None:
        return None
    if not callable(predict):
        raise OptionError(
            f"predict must be a function from a DataFrame of features to predictions, not {predict!r}"
        )

    def of_function(sample: pa.Table, features: tuple[str, ...]) -> dict[str, float]:
        from gpumon.statistics.importance import permutation_importance

        names = [name for name in features if name in sample.column_names]
        frame = _frame(sample, names)
        columns = {name: frame[name].to_numpy() for name in names}
        try:
            found = permutation_importance(lambda shuffled: predict(type(frame)(shuffled)), columns)
        except Exception as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise InputError(f"predict failed on the features {', '.join(names[:8])} ({why})") from error
        return dict(zip(names, found.tolist(), strict=True))

    return Explainer("mean |change of the prediction| by permutation", of_function)


def _frame(sample: pa.Table, names: list[str], *, categories: bool = False) -> Any:
    """Columns as a pandas DataFrame; with ``categories`` texts as such, as boosters take them."""
    try:
        pandas = import_module("pandas")
    except ImportError as error:
        raise OptionError("models are asked with pandas DataFrames: pip install 'gpumon[pandas]'") from error
    frame = sample.select(names).to_pandas()
    for name in names if categories else ():
        if not pandas.api.types.is_numeric_dtype(frame[name]):
            frame[name] = frame[name].astype("category")
    return frame
