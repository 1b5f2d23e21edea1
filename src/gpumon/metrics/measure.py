"""Two profiles × the catalogue → results: values, bounds, p-values, and what each effect comes to under no change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gpumon.metrics.class_charts import chart_rows
from gpumon.metrics.course_rows import course_rows
from gpumon.metrics.courses import Courses
from gpumon.metrics.early_warning import warning_rows
from gpumon.metrics.groups import GROUPED, GroupReadings
from gpumon.metrics.importances import IMPORTANCES, ImportanceReadings
from gpumon.metrics.labelled import MATURITY, LabelReadings
from gpumon.metrics.metric import CERTIFIED, LABELLED, family_of
from gpumon.metrics.noise_floors import Floors
from gpumon.metrics.pair_rows import pair_rows
from gpumon.metrics.readings import Readings, Unit, blocks, units
from gpumon.metrics.results import Results
from gpumon.metrics.slice_predictions import PredictionReadings
from gpumon.metrics.slices import SliceReadings
from gpumon.metrics.window_readings import WindowReadings
from gpumon.profiles.profile import Key, Profile
from gpumon.profiles.times import Rows
from gpumon.statistics.ecdf import Bounds, Certified

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpumon.metrics.metric import Metric
    from gpumon.profiles.profile import Slice


Floats = NDArray[np.float64]

__all__ = ["Measured", "measure"]


class Measured:
    """Results, and for each row the effect and what it exceeds with the asked probability when nothing has changed.

    ``effect`` is what a verdict looks at: the value of a metric that compares, else its difference from the
    reference's; NaN for a metric that is not judged. ``noise`` is in the same unit.
    """

    def __init__(
        self,
        results: Results,
        effect: Floats,
        noise: Floats,
        unlabelled: dict[Slice, float] | None = None,
        absolute: Any = False,
    ) -> None:
        self.results = results
        self.effect = effect
        self.noise = noise
        self.unlabelled = {} if unlabelled is None else unlabelled
        """The share of labelled rows of each slice of predictions that has none, or is immature."""
        self.absolute = np.broadcast_to(absolute, effect.shape)
        """Which rows are judged without a reference too."""

    def described(self, metrics: Sequence[Metric] = ()) -> Measured:
        """The values alone: no reference, and nothing to judge but what is absolute.

        Changes within the table keep their p-values.
        """
        within = [metric.name for metric in metrics if metric.over_time and not metric.of_reference]
        told = np.isin(self.results["metric"], within)
        self.results["reference"][~told] = np.nan
        self.results["p_value"][~(told | self.absolute)] = np.nan
        effect = np.where(self.absolute, self.effect, np.nan)
        return Measured(self.results, effect, self.noise, self.unlabelled, self.absolute)


@np.errstate(
    over="ignore", invalid="ignore"
)  # of numbers near the largest float: their results are inf or NaN
def measure(
    reference: Profile,
    current: Profile,
    metrics: Sequence[Metric],
    *,
    level: float | None = 1e-4,
    seed: int = 0,
    maturity: float = MATURITY,
) -> Measured:
    """Every metric of every column, window and segment of ``current`` against ``reference``.

    Each segment is compared with the same segment of the reference if it has one, else with all of it; windows with
    the whole reference. Both profiles carry their totals (``Profile.with_totals``). ``level`` is the probability that
    ``Measured.noise`` belongs to; with None, no p-values and no noise are computed. A window of which less than the share ``maturity`` has labels is not
    judged by them. Rows come in the order of the metrics, then columns, then slices.
    """
    segments = set(reference.segments)
    at = current.slices or [(None, None)]
    slices: list[tuple[Slice, Slice]] = [((None, s if s in segments else None), (w, s)) for w, s in at]
    order = {metric: i for i, metric in enumerate(metrics)}
    position = {unit.label: i for i, unit in enumerate(units(reference))}
    parts: list[tuple[tuple[int, int], dict[str, Any]]] = []
    for block, readings in blocks(reference, current, slices):
        exact = readings.keep_sorted(reference, current, slices)
        floors = Floors(readings, [m for m in metrics if m.null is None and not m.by_window], slices, seed)
        for metric in metrics:
            if metric.by_window or not _serves(metric, block[0], readings):
                continue
            try:
                found = _block(metric, block, readings, slices, floors, level, exact=exact)
            except Exception as error:  # noqa: BLE001 (one formula that fails, a user's own say, must not lose the others)
                found = _failed(metric, block, slices, error)
            parts += [((order[metric], position[part["column"]]), part) for part in found]
        windowed = [m for m in metrics if m.by_window and _serves(m, block[0], readings)]
        for metric, found in _by_window(windowed, readings, reference, current, slices, level, seed):
            parts += [((order[metric], position[part["column"]]), part) for part in found]
    predicted = LabelReadings(reference, current, slices, maturity)
    readers: dict[str, Any] = {
        "slice_losses": SliceReadings(reference, current, slices, predicted.coverage, maturity),
        "prediction_strata": PredictionReadings(reference, current, slices),
        **dict.fromkeys(IMPORTANCES, ImportanceReadings(reference, current, slices)),
        **dict.fromkeys(GROUPED, GroupReadings(reference, current, slices, predicted.coverage, maturity)),
        **dict.fromkeys(LABELLED, predicted),
    }
    courses = Courses(reference, current, predicted)
    for metric in metrics:
        if "pairs" in metric.reads:
            parts += [
                ((order[metric], -1), _named(metric, slices) | part)
                for part in pair_rows(metric, reference, current, slices, level)
            ]
        elif "rows" in metric.reads:
            parts.append(((order[metric], -1), _rows(metric, reference, current, slices)))
        elif metric.over_time or metric.charted:
            try:
                found = (course_rows if metric.over_time else chart_rows)(courses, metric, level)
            except Exception as error:  # noqa: BLE001 (as above)
                found = _failed(metric, [], courses.totals, error)
            parts += [((order[metric], -1), part) for part in found]
        elif "distances_of_windows" in metric.reads:
            found = warning_rows(metric, reference, current, courses.totals, level)
            parts += [((order[metric], position[part["column"]]), part) for part in found]
        elif (reader := next((readers[name] for name in metric.reads if name in readers), None)) is not None:
            try:
                found = reader.rows(metric, level)
            except Exception as error:  # noqa: BLE001 (as above)
                found = _failed(metric, [], slices, error)
            parts += [((order[metric], -1), _named(metric, slices) | part) for part in found]
    parts.sort(key=lambda part: part[0])
    whole = [part for _, part in parts]
    results = Results.of(whole)
    extra = {
        name: np.concatenate([np.broadcast_to(part[name], np.shape(part["value"])) for part in whole])
        if whole
        else np.zeros(0)
        for name in ("effect", "noise")
    }
    silent = results["status"] == ""
    results["status"][silent] = np.where(np.isnan(results["value"][silent]), "no_data", "ok")
    absolute = np.isin(results["metric"], [metric.name for metric in metrics if metric.absolute])
    return Measured(results, extra["effect"], extra["noise"], predicted.unlabelled, absolute)


def _serves(metric: Metric, unit: Unit, readings: Readings) -> bool:
    """Whether a metric is for these units (a block's units are of one kind; roles are looked at one by one)."""
    return (
        all(readings.has(name) for name in metric.reads)
        and (not metric.on or not unit.kinds.isdisjoint(metric.on))
        and (unit.comparable or not metric.compares)
    )


def _block(
    metric: Metric,
    block: list[Unit],
    readings: Readings,
    slices: list[tuple[Slice, Slice]],
    floors: Floors,
    level: float | None,
    *,
    exact: bool,
) -> list[dict[str, Any]]:
    """The rows of one metric, a part for each unit."""
    shape = (len(block), len(slices))
    mine = [i for i, unit in enumerate(block) if metric.serves(unit.column.role)]
    if not mine:
        return []

    def computed(side: int | None = None) -> Any:
        # only of the columns that it is for: a metric of scores may cost what no one would pay for every column
        arguments = readings.arguments(metric.reads, side)
        return metric.formula(*(arguments if len(mine) == len(block) else (x[mine] for x in arguments)))

    before: Any = np.nan
    if metric.compares:
        found = computed()
    else:
        found, before = computed(1), computed(0)
        before = before.value if isinstance(before, Bounds) else before
    ends = {}
    if isinstance(found, Certified):
        ends = {name: _placed(getattr(found, name), mine, shape) for name in ("ci_lower", "ci_upper")}
        found = Bounds(*found[:3])
    bounds = found if isinstance(found, Bounds) else Bounds(found, found, found)
    value, lower, upper, before = (_placed(x, mine, shape) for x in (*bounds, before))
    method = metric.method
    if exact and metric.exact is not None:
        for place in np.ndindex(*shape):
            sides = [readings.sorted_values(0, *place), readings.sorted_values(1, *place)]
            value[place] = metric.exact(*(sides if metric.compares else sides[1:]))
            if not metric.compares:
                before[place] = metric.exact(sides[0])
        lower, upper = value.copy(), value.copy()
        method = metric.method.replace(CERTIFIED, "exact, sorted")
    rows = np.broadcast_to(readings["missing"][1][..., 1], shape)
    n = np.broadcast_to(readings["present"][1], shape) if "missing" not in metric.reads else rows
    for x in (value, lower, upper, *ends.values()):
        x[rows == 0] = np.nan
    judged = metric.judged and block[0].comparable
    effect = np.abs(value if metric.compares else value - before) if judged else np.full(shape, np.nan)
    p, noise = np.full(shape, np.nan), np.full(shape, np.nan)
    if level is None:
        pass
    elif metric.null is not None:
        some: Any = readings if len(mine) == len(block) else _Some(readings, mine)
        p = np.where(np.isnan(value), np.nan, _placed(metric.null.p_value(value[mine], some), mine, shape))
        if judged:
            noise = _placed(metric.null.critical(level, some), mine, shape)
    elif metric.compares and block[0].comparable:
        floor = floors.of(metric)
        if floor is not None:
            p, noise = floor.p_value(value), floor.critical(level)
    parts = []
    for i, unit in enumerate(block):
        if not metric.serves(unit.column.role):
            continue
        parts.append(
            _named(metric, slices, unit.column.role)
            | {
                "column": unit.label,
                "value": value[i],
                "lower": lower[i],
                "upper": upper[i],
                "n": n[i],
                "reference": before[i],
                "p_value": p[i],
                "effect": effect[i],
                "noise": np.where(np.isinf(noise[i]), np.nan, noise[i]),  # of a constant reference
                "method": method,
            }
            | {name: array[i] for name, array in ends.items()}
        )
    return parts


class _Some:
    """The readings of some columns of a block."""

    def __init__(self, readings: Readings, mine: list[int]) -> None:
        self.readings = readings
        self.mine = mine

    def __getitem__(self, name: str) -> Any:
        found = self.readings[name]
        return tuple(x[self.mine] for x in found) if isinstance(found, tuple) else found[self.mine]


def _by_window(
    metrics: Sequence[Metric],
    readings: Readings,
    reference: Profile,
    current: Profile,
    slices: list[tuple[Slice, Slice]],
    level: float | None,
    seed: int,
) -> Iterator[tuple[Metric, list[dict[str, Any]]]]:
    """The rows of metrics of a block that look at windows in their order; none of slices without a time."""
    alike: dict[tuple[str, tuple[int, ...]], list[Metric]] = {}
    for metric in metrics:
        mine = tuple(i for i, unit in enumerate(readings.units) if metric.serves(unit.column.role))
        if mine:
            alike.setdefault((metric.by_window, mine), []).append(metric)
    for (kind, mine), members in alike.items():
        view: Any = WindowReadings(kind, readings, mine, reference, current, slices)
        if not view.slices:
            return
        floors = Floors(view, [metric for metric in members if metric.null is None], view.slices, seed)
        for metric in members:
            try:
                found = _block(metric, view.units, view, view.slices, floors, level, exact=False)
            except Exception as error:  # noqa: BLE001 (as above)
                found = _failed(metric, view.units, view.slices, error)
            else:
                found = [part | {"reason": words} for part, words in zip(found, view.told, strict=True)]
            yield metric, found


def _placed(x: Any, mine: list[int], shape: tuple[int, int]) -> Floats:
    """Values of some columns, where they belong among all; NaN for the others."""
    whole = np.full(shape, np.nan)
    whole[mine] = np.broadcast_to(x, (len(mine), shape[1]))
    return whole


def _failed(
    metric: Metric, block: list[Unit], slices: list[tuple[Slice, Slice]], error: Exception
) -> list[dict[str, Any]]:
    """The rows of a metric whose formula raised an error."""
    reason = f"{type(error).__name__}: {error}"
    numbers = dict.fromkeys(("value", "lower", "upper", "effect", "noise"), np.full(len(slices), np.nan))
    labels: list[str | None] = [*(unit.label for unit in block)] or [None]
    return [
        _named(metric, slices) | numbers | {"column": label, "status": "error", "reason": reason}
        for label in labels
    ]


def _named(metric: Metric, slices: list[tuple[Slice, Slice]], role: str = "") -> dict[str, Any]:
    """The fields that say what a row is about."""
    id_ = metric.id_for(role)
    return {
        "metric": metric.name,
        "id": id_,
        "family": family_of(id_),
        "unit": metric.unit,
        "method": metric.method,
        "window": np.array([window for _, (window, _) in slices], object),
        "segment": np.array([segment for _, (_, segment) in slices], object),
    }


def _rows(
    metric: Metric, reference: Profile, current: Profile, slices: list[tuple[Slice, Slice]]
) -> dict[str, Any]:
    """The rows of the table in each slice."""
    sizes = np.array(
        [
            [_table_rows(profile, pair[side]) for pair in slices]
            for side, profile in enumerate((reference, current))
        ]
    )
    value = metric.formula(sizes[1]).astype(np.float64)
    windowed = np.array([window is not None for _, (window, _) in slices])
    before = np.where(windowed, np.nan, sizes[0].astype(np.float64))
    return _named(metric, slices) | {
        "value": value,
        "lower": value,
        "upper": value,
        "n": sizes[1],
        "reference": before,
        "effect": np.nan,
        "noise": np.nan,
    }


def _table_rows(profile: Profile, at: Slice) -> int:
    state = profile.states.get(Key(*at, "", "rows"))
    return int(state.rows) if isinstance(state, Rows) else 0
