"""Trained boosters of XGBoost and LightGBM: their features, gains, and what each feature adds to each prediction.

A file is read by the library that wrote it, in its own formats of data; no pickle is loaded. The libraries are optional.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.errors import InputError, OptionError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["Booster"]

LIBRARIES = {".json": "xgboost", ".ubj": "xgboost", ".txt": "lightgbm"}
"""The library that writes files with an ending."""


class Booster:
    """A booster of either library, from a file or an object (a ``Booster``, or a scikit-learn estimator that holds one).

    OptionError if it is neither, or the library is not installed; InputError if the file cannot be read.
    """

    def __init__(self, model: Any) -> None:
        self.name = str(model) if isinstance(model, str | os.PathLike) else f"a {type(model).__name__}"
        if isinstance(model, str | os.PathLike):
            self.library, self.booster = _read(Path(model))
            return
        held = getattr(model, "get_booster", None)
        booster = held() if held is not None else getattr(model, "booster_", model)
        self.library = type(booster).__module__.partition(".")[0]
        if self.library not in LIBRARIES.values() or type(booster).__name__ != "Booster":
            raise OptionError(
                f"model {self.name} is no booster of XGBoost or LightGBM: give predict, a function, for any other model"
            )
        self.booster = booster

    @property
    def features(self) -> list[str]:
        """The names of its features; OptionError if it was trained without names."""
        names = self.booster.feature_names if self.library == "xgboost" else self.booster.feature_name()
        if not names:
            raise OptionError(
                f"model {self.name} knows no names of features: train it on a table with column names"
            )
        return list(names)

    def gain(self) -> dict[str, float]:
        """The total gain of every feature in training: what its splits took off the loss."""
        features = self.features
        if self.library == "xgboost":
            gains = self.booster.get_score(importance_type="total_gain")
            return {name: float(gains.get(name, 0.0)) for name in features}
        return dict(
            zip(features, self.booster.feature_importance("gain").astype(float).tolist(), strict=True)
        )

    def attributions(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """What each feature adds to each prediction (rows, features), by TreeSHAP; of several classes Σ |φ|.

        InputError if the booster cannot read the columns.
        """
        k = len(self.features)
        try:
            if self.library == "xgboost":
                matrix = import_module("xgboost").DMatrix(frame, enable_categorical=True)
                found = np.asarray(self.booster.predict(matrix, pred_contribs=True), np.float64)
            else:
                found = np.asarray(self.booster.predict(frame, pred_contrib=True), np.float64)
        except Exception as error:
            why = " ".join(str(error).split())[:200]
            raise InputError(
                f"model {self.name} cannot read these columns ({why}): give predict, a function that prepares them"
            ) from error
        by_class = found.reshape(len(frame), -1, k + 1)[..., :k]  # the last is the bias
        return by_class[:, 0] if by_class.shape[1] == 1 else np.abs(by_class).sum(axis=1)


def _read(path: Path) -> tuple[str, Any]:
    library = LIBRARIES.get(path.suffix.lower())
    if library is None:
        raise OptionError(
            f"{path} is no booster file: {', '.join(LIBRARIES)} are read (XGBoost's JSON and UBJSON, LightGBM's text); no "
            "pickle is loaded"
        )
    try:
        module = import_module(library)
    except ImportError as error:
        raise OptionError(
            f"{path} is read by {library}, which is not installed: pip install {library}, or give predict, a function"
        ) from error
    if not path.is_file():
        raise InputError(f"{path} cannot be read (no such file): check the path")
    try:
        if library == "xgboost":
            booster = module.Booster()
            booster.load_model(path)
            return library, booster
        return library, module.Booster(model_file=str(path))
    except Exception as error:
        why = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is no booster that {library} can read ({why})") from error
