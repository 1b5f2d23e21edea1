"""Predictions and labels: what is planned for them from a sample of the reference."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpumon.engines import predicted_intervals
from gpumon.engines.coding import number_of
from gpumon.engines.columns import as_floats
from gpumon.errors import InputError, OptionError, SchemaError
from gpumon.profiles.confidence import Confidence
from gpumon.profiles.labels import (
    MOST_CLASSES,
    Confusion,
    Residuals,
    Scores,
    SortedScores,
    error_edges,
    score_edges,
    threshold_of_predictions,
)
from gpumon.profiles.numeric import edges_of
from gpumon.profiles.ranked_classes import MOST_RANKED, RankedClasses, cells_of_ranks
from gpumon.profiles.worst_rows import MOST_ROWS
from gpumon.schema import Kind, Role
from gpumon.tables.columns import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from gpumon.profiles.state import State
    from gpumon.schema import Schema

__all__ = ["TASKS", "Labelling", "label_states", "text_of"]

TASKS = ("binary", "multiclass", "regression")
FEW_CLASSES = 64  # of which each has as many score cells as MANY_CELLS says
MANY_CELLS, FEW_CELLS = 1_024, 128  # of one class against the rest: 8,192 for each of many would be much
NOMINAL = 0.9
THRESHOLD = 0.5
STEPS = 64  # cells of the predictions of a regression, about equally filled


@dataclass(frozen=True)
class Labelling:
    """How predictions are to be read; what is None is found in the data, or is as usual.

    ``positive`` is the class that a single score is of: of two classes the second in their order (1 of 0 and 1).
    ``scores`` maps classes to columns where every class has a score of its own. A row whose score is at least
    ``threshold``, 0.5, is predicted positive. ``nominal`` is the coverage that prediction intervals promise, 0.9. ``slices`` are the columns whose bins make slices of the rows; True for all features.
    ``worst`` rows of largest error are kept, by their ids. ``clusters`` are the features that rows are clustered by, beside the
    predictions; True for all.
    """

    task: str | None = None
    threshold: float | None = None
    nominal: float | None = None
    positive: str | None = None
    scores: Mapping[str, str] = field(default_factory=dict)
    slices: bool | Sequence[str] = ()
    worst: int = 0
    clusters: bool | Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.task not in {None, *TASKS}:
            raise OptionError(f"task {self.task!r} is unknown: use one of {', '.join(TASKS)}")
        threshold: Any = self.threshold
        if threshold is not None and not (isinstance(threshold, int | float) and np.isfinite(threshold)):
            raise OptionError(f"threshold {self.threshold!r} is no number: 0.5 is the usual one")
        worst: Any = self.worst
        if not (isinstance(worst, int) and not isinstance(worst, bool) and 0 <= worst <= MOST_ROWS):
            raise OptionError(f"worst_rows {worst!r} is no number of rows: give 1 to {MOST_ROWS:,}")
        nominal: Any = self.nominal
        if nominal is not None and not (isinstance(nominal, int | float) and 0 < nominal < 1):
            raise OptionError(
                f"nominal {self.nominal!r} is no share: 0.9 means that intervals promise to hold 90 %"
            )

    @property
    def promised(self) -> float:
        """The nominal coverage, of intervals for which nothing is said too."""
        return NOMINAL if self.nominal is None else float(self.nominal)

    @property
    def cut(self) -> float:
        """The threshold, of scores for which nothing is said too."""
        return THRESHOLD if self.threshold is None else float(self.threshold)


def label_states(
    schema: Schema,
    sample: pa.Table,
    labelling: Labelling | None = None,
    name: str = "the table",
    *,
    exact: bool = False,
) -> dict[tuple[str, str], State]:
    """The states of predictions and labels, with nothing counted; none if there is no target or nothing beside it.

    ``exact`` keeps every score, for measures without bounds.

    SchemaError or InputError says in one line what does not fit, if ``labelling`` was asked for; else such a table
    simply has no states of this kind.
    """
    asked = labelling is not None
    labelling = labelling or Labelling()
    target, predictions, scores = (schema.of(role) for role in (Role.TARGET, Role.PREDICTION, Role.SCORE))
    weight = schema.of(Role.WEIGHT)[:1]
    if len(target) != 1 or not any(
        map(schema.of, (Role.PREDICTION, Role.SCORE, Role.LOWER, Role.UPPER, Role.STD))
    ):
        return {}
    try:
        ends = predicted_intervals.ends(schema, name)
        numeric(schema, (*weight, *scores, *ends), name)
        task = labelling.task or task_of(schema, sample, target[0], predictions, scores, labelling)
        if ends and not scores and not predictions:
            task = "regression"
        if task == "regression":
            nominal = np.array([labelling.promised])
            found: dict[tuple[str, str], State] = {}
            for against in (*predictions, *scores)[:1]:
                found = _regression(schema, sample, (target[0], against), weight, nominal, name)
            if ends:
                numeric(schema, target, name)
                nominal = predicted_intervals.promise(schema, labelling.promised)
                found["", "intervals"] = predicted_intervals.planned(
                    sample, (target[0], *ends), weight, nominal
                )
            return found
        if ends:
            raise SchemaError(
                f"{name}: {ends[0]!r} and {ends[1]!r} make intervals, which are of quantities and not of classes; "
                "give task='regression', or leave them out"
            )
        states = _classification(
            schema, sample, target[0], predictions[:1], scores, weight, task, labelling, name
        )
    except InputError:
        if asked:
            raise
        return {}
    kept = {key: state for key, state in states.items() if isinstance(state, Scores)}
    for (subject, aspect), state in kept.items() if exact and not weight else ():
        states[subject, f"sorted {aspect}"] = SortedScores.on(state.columns, weight, state.positive)
    return states


def numeric(schema: Schema, columns: Iterable[str], name: str) -> None:
    """Raise a SchemaError for a column that is to hold numbers and does not."""
    for column in columns:
        if schema[column].kind is not Kind.NUMERIC:
            raise SchemaError(
                f"{name}: column {column!r} is to hold numbers, but it holds {schema[column].type}; convert it, or give "
                "another column"
            )


def task_of(
    schema: Schema,
    sample: pa.Table,
    target: str,
    predictions: Sequence[str],
    scores: Sequence[str],
    labelling: Labelling,
) -> str:
    """Binary, multiclass or regression, by what the columns hold."""
    if labelling.scores or len(scores) > 1:
        return "multiclass"
    column = schema[target]
    if column.kind is Kind.NUMERIC:
        told = [schema[name] for name in predictions]
        fractions = any(each.kind is Kind.NUMERIC and not each.discrete for each in told)
        if not column.discrete or (fractions and not scores):
            return "regression"
    classes = {text for name in (target, *predictions) for text in _distinct(sample[name])}
    return "binary" if len(classes) <= 2 else "multiclass"


def _regression(
    schema: Schema,
    sample: pa.Table,
    columns: tuple[str, str],
    weight: Sequence[str],
    nominal: NDArray[np.float64],
    name: str,
) -> dict[tuple[str, str], State]:
    numeric(schema, columns, name)
    y, p = (as_floats(sample[column]) for column in columns)
    with np.errstate(invalid="ignore", over="ignore"):
        e = p - y
    e = e[np.isfinite(e)]
    known = y[np.isfinite(y)]
    centre = np.array([np.quantile(known, 0.5, method="nearest") if known.size else 0.0])
    edges, sizes = error_edges(e)
    return {
        ("", "residuals"): Residuals.on(columns, weight, centre, edges, sizes, edges_of(p, STEPS), nominal)
    }


def _classification(
    schema: Schema,
    sample: pa.Table,
    target: str,
    prediction: Sequence[str],
    scores: Sequence[str],
    weight: Sequence[str],
    task: str,
    labelling: Labelling,
    name: str,
) -> dict[tuple[str, str], State]:
    for column in prediction:
        _same_family(schema, target, column, name)
    by_class = dict(labelling.scores)
    found = {text for column in (target, *prediction) for text in _distinct(sample[column])} | {*by_class}
    classes = _ordered(found, binary=task == "binary")
    if len(classes) > MOST_CLASSES:
        raise InputError(
            f"{name}: column {target!r} has more than {MOST_CLASSES:,} classes; merge the rare ones, or give "
            "task='regression' if it holds quantities"
        )
    if task == "binary" and len(classes) > 2:
        raise InputError(
            f"{name}: a binary task has two classes, but {target!r} and its predictions hold {listed(classes)}; give "
            "task='multiclass', or mend the labels"
        )
    if not classes:
        raise InputError(f"{name}: column {target!r} holds no label at all, so its classes cannot be known")
    if by_class and (set(by_class.values()) != set(scores) or len(by_class) < len(classes)):
        missing = [text for text in classes if text not in by_class]
        raise InputError(f"{name}: class {listed(missing)} has no column of scores; give one for every class")
    positive = labelling.positive if labelling.positive is not None else classes[-1]
    if task == "binary" and positive not in classes:
        raise InputError(
            f"{name}: the positive class {positive!r} does not occur: the classes are {listed(classes)}"
        )
    if task == "binary" and len(classes) == 2 and positive != classes[1]:
        classes = classes[::-1]
    states: dict[tuple[str, str], State] = {}
    threshold = np.zeros(0)
    against = tuple(prediction)
    if not against and by_class:
        against = tuple(by_class[text] for text in classes)
    elif not against and len(classes) == 2:
        against, threshold = (scores[0],), np.array([labelling.cut])
    if against:
        states["", "confusion"] = Confusion.on((target, *against), weight, classes, threshold)
    if by_class:
        cells = MANY_CELLS if len(classes) <= FEW_CLASSES else FEW_CELLS
        for text in classes:
            edges = score_edges(as_floats(sample[by_class[text]]), (), cells)
            states["", f"scores {text}"] = Scores.on(
                (target, by_class[text]), weight, (text,), edges, np.zeros(0)
            )
        if len(classes) > 1:
            columns = (target, *(by_class[text] for text in classes))
            states["", "confidence"] = Confidence.on(columns, weight)
        if 1 < len(classes) <= MOST_RANKED and not weight:
            pooled = np.concatenate([as_floats(sample[column]) for column in columns[1:]])
            edges = edges_of(pooled, cells_of_ranks(len(classes)))
            states["", "ranked classes"] = RankedClasses.on(columns, (), classes, edges)
    elif scores and task == "binary":
        edges = score_edges(as_floats(sample[scores[0]]), (labelling.cut,))
        if prediction:
            threshold = _followed(sample, prediction[0], scores[0], positive)
            edges = np.unique(np.concatenate((edges, threshold)))
        states["", "scores"] = Scores.on((target, scores[0]), weight, (positive,), edges, threshold)
    return states


def _followed(sample: pa.Table, prediction: str, score: str, positive: str) -> NDArray[np.float64]:
    """The threshold from which probabilities make the predictions of the sample, (1,); (0,) if there is none."""
    codes = sample[prediction].combine_chunks().dictionary_encode()
    is_positive = [text_of(value) == positive for value in codes.dictionary.to_pylist()]
    place = as_floats(codes.indices)
    p = as_floats(sample[score])
    known = np.isfinite(place) & np.isfinite(p)
    if not np.all((p[known] >= 0) & (p[known] <= 1)):
        return np.zeros(0)  # how close margins are says nothing
    predicted = np.array([*is_positive, False])[place[known].astype(np.int64)]
    return threshold_of_predictions(p[known], predicted)


def _same_family(schema: Schema, target: str, prediction: str, name: str) -> None:
    """Raise a SchemaError if labels and predictions cannot be equal, being of different types."""
    kinds = [schema[column].kind for column in (target, prediction)]
    words = {Kind.CATEGORICAL, Kind.TEXT}
    told = [schema[column].type for column in (target, prediction)]
    if "null" not in told and (kinds[0] in words) != (kinds[1] in words):
        raise SchemaError(
            f"{name}: labels and predictions are of different types, {target!r} holds {told[0]} and {prediction!r} "
            f"{told[1]}: convert one of them"
        )
    if Kind.DATETIME in kinds:
        raise SchemaError(f"{name}: column {target!r} holds times, which are no classes; convert them")


def _ordered(texts: set[str], *, binary: bool) -> tuple[str, ...]:
    """Classes in the order of their numbers if all are such, else of the alphabet."""
    if binary and texts and texts <= {"0", "1"}:
        texts = {"0", "1"}
    if binary and texts and texts <= {"false", "true"}:
        texts = {"false", "true"}
    try:
        return tuple(sorted(texts, key=lambda text: (number_of(text), text)))
    except ValueError:
        return tuple(sorted(texts))


def _distinct(column: pa.ChunkedArray) -> set[str]:
    """The values of a column as texts, missing ones left out; at most one more than there may be classes."""
    values = pc.unique(column.cast(pa.large_string()) if pa.types.is_dictionary(column.type) else column)
    if pa.types.is_boolean(values.type):
        return {str(value).lower() for value in values.to_pylist() if value is not None}
    found: set[str] = set()
    for value in values.to_pylist():
        if value is None or value != value:  # noqa: PLR0124 (NaN)
            continue
        found.add(text_of(value))
        if len(found) > MOST_CLASSES:
            break
    return found


def text_of(value: Any) -> str:
    """A class as text: 1 and 1.0 are both "1", and True is "true"."""
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    if isinstance(value, int | float | np.number):
        return str(int(value)) if float(value).is_integer() else str(float(value))
    return str(value)
