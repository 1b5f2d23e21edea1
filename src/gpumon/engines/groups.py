"""Groups of people and slices of rows: which bins are planned from a sample of the reference, and how batches are counted."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.engines.columns import numbers
from gpumon.engines.label_plan import text_of
from gpumon.engines.labels import as_floats, predicted_classes, weights_of
from gpumon.engines.notes import MOST_SLICED
from gpumon.errors import InputError, OptionError, SchemaError
from gpumon.kernels import LEAST_PROBABILITY, LossCounts, on_host
from gpumon.profiles.categorical import Categorical
from gpumon.profiles.groups import (
    CALIBRATED_GROUPS,
    CALIBRATION_BINS,
    MOST_GROUPS,
    Binned,
    Binning,
    GroupCalibration,
    GroupErrors,
    Groups,
    SliceLosses,
    SlicePredictions,
    planned,
)
from gpumon.profiles.labels import Confusion, Residuals, Scores
from gpumon.profiles.profile import Key
from gpumon.schema import Kind, Role
from gpumon.tables.columns import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from gpumon.engines.label_plan import Labelling
    from gpumon.engines.labels import Coded, LabelCounter
    from gpumon.kernels import Kernels
    from gpumon.profiles.profile import Profile, Slice
    from gpumon.profiles.state import State
    from gpumon.schema import Column, Schema

    States = Mapping[tuple[str, str], State]

__all__ = ["GroupCounter", "GroupTally", "group_states"]

FEW_NUMBERS = 10  # a numeric column with so few values has a group for each of them
QUARTERS, EIGHTHS = 4, 8  # bins of other numeric columns: groups are to have enough rows, slices to be sharp
MOST_VALUES = {Role.SENSITIVE: 50, Role.FEATURE: 15}

MOST_PREDICTED = 20  # classes up to which predictions are counted by slice
MOST_HELD = 2**31  # bytes that a thread may hold for the slices of all windows and segments


def group_states(
    schema: Schema, sample: pa.Table, states: States, labelling: Labelling | None, name: str = "the table"
) -> dict[tuple[str, str], State]:
    """The states of groups and slices, with nothing counted; ``states`` are those of columns and of labels.

    SchemaError, InputError or OptionError says in one line what does not fit, if ``labelling`` was asked for.
    """
    sensitive, sliced = schema.of(Role.SENSITIVE), None if labelling is None else labelling.slices
    against = states.get(("", "residuals"), states.get(("", "confusion")))
    if against is None or not (sensitive or sliced):
        return {}
    found: dict[tuple[str, str], State] = {}
    if sensitive:
        try:
            binnings = [_group_bins(schema[each], sample, states, name) for each in sensitive]
            found |= _groups(states, against, binnings, labelling, name)
        except InputError:
            if labelling is not None:
                raise
    if sliced:
        found |= _slices(schema, sample, states, against, sliced, name)
    return found


def _groups(
    states: States, against: State, binnings: Sequence[Binning], labelling: Labelling | None, name: str
) -> dict[tuple[str, str], State]:
    groups = int(np.prod([float(each.size) for each in binnings]))
    if groups > MOST_GROUPS:
        raise InputError(
            f"{name}: the values of {listed([each.column for each in binnings])} combine to {groups:,} groups, more than "
            f"{MOST_GROUPS:,}: give fewer sensitive columns"
        )
    bins = planned(binnings)
    if isinstance(against, Residuals):
        return {("", "group errors"): GroupErrors.on(against.columns, against.weight, **bins)}
    assert isinstance(against, Confusion)
    positive = against.classes[-1]
    if len(against.classes) > 2:
        if labelling is None or labelling.positive is None:
            raise InputError(
                f"{name}: of more than two classes give positive, the one that groups are to get equally often"
            )
        positive = labelling.positive
    if positive not in against.classes:
        raise InputError(
            f"{name}: the positive class {positive!r} does not occur: the classes are {listed(against.classes)}"
        )
    told = (positive,), against.classes, against.threshold
    found: dict[tuple[str, str], State] = {
        ("", "groups"): Groups.on(against.columns, against.weight, *told, **bins)
    }
    scores = next(
        (each for each in states.values() if isinstance(each, Scores) and each.positive == (positive,)), None
    )
    if scores is not None and _probabilities(scores) and groups <= CALIBRATED_GROUPS:
        state = GroupCalibration.on(scores.columns, scores.weight, (positive,), against.classes, **bins)
        found["", "calibration of groups"] = state
    return found


def _probabilities(scores: Scores) -> bool:
    """Whether scores lie within 0 and 1."""
    return bool(scores.edges[0] >= 0 and scores.edges[-1] <= np.nextafter(1.0, 2.0))


def _slices(
    schema: Schema, sample: pa.Table, states: States, against: State, asked: bool | Sequence[str], name: str
) -> dict[tuple[str, str], State]:
    named = () if asked is True else tuple(asked)  # type: ignore[arg-type]
    if len(named) > MOST_SLICED:
        raise OptionError(
            f"slices are made of at most {MOST_SLICED} columns, and {len(named)} are named: name fewer"
        )
    others = [c.name for c in schema if c.role in {Role.FEATURE, Role.SENSITIVE}]
    binnings = []
    for column in (schema[each] for each in named or others):
        binning = _slice_bins(column, sample, states)
        if binning is not None:
            binnings.append(binning)
        elif named:
            raise SchemaError(
                f"{name}: column {column.name!r} makes no slices: it holds times, free text or one value only; "
                "leave it out of slices"
            )
    if not binnings:
        raise SchemaError(f"{name} has no column that slices could be made of: name some with slices")
    bins = planned(binnings[:MOST_SLICED])
    predictions = _slice_predictions(sample, states, against, bins)
    found: dict[tuple[str, str], State] = (
        {} if predictions is None else {("", "sliced predictions"): predictions}
    )
    scores, nothing = states.get(("", "scores")), np.zeros(0)
    if isinstance(against, Residuals):
        state = SliceLosses.on(against.columns, against.weight, ("absolute error",), (), (), nothing, **bins)
        return found | {("", "slices"): state}
    assert isinstance(against, Confusion)
    # a score of exactly 1 has an edge above it: few rows that are wrong for sure (34.5 nats each) would drown all others
    if isinstance(scores, Scores) and scores.edges[0] >= 0 and scores.edges[-1] <= 1:
        told = ("log loss",), scores.positive, against.classes, nothing
        return found | {("", "slices"): SliceLosses.on(scores.columns, scores.weight, *told, **bins)}
    told_error = ("error",), (), against.classes, against.threshold
    return found | {("", "slices"): SliceLosses.on(against.columns, against.weight, *told_error, **bins)}


def _slice_predictions(
    sample: pa.Table, states: States, against: State, bins: dict[str, Any]
) -> SlicePredictions | None:
    """Predictions by the bins of features: the score or the predicted quantity in eighths, else the predicted class."""
    scores, nothing = states.get(("", "scores"), against), np.zeros(0)
    if isinstance(scores, Scores | Residuals):
        x = as_floats(sample.column(scores.columns[1]).combine_chunks())
        x = x[np.isfinite(x)]
        cuts = np.unique(np.quantile(x, np.arange(1, EIGHTHS) / EIGHTHS, method="nearest")) if x.size else x
        cuts = cuts[cuts > x.min()] if x.size else x
        if cuts.size:
            return SlicePredictions.on(scores.columns, scores.weight, (), nothing, cuts, **bins)
    if not isinstance(against, Confusion) or len(against.classes) > MOST_PREDICTED:
        return None
    return SlicePredictions.on(
        against.columns, against.weight, against.classes, against.threshold, nothing, **bins
    )


def _group_bins(column: Column, sample: pa.Table, states: States, name: str) -> Binning:
    """The groups of a sensitive column: its values, or quarters of the reference's rows if it holds many numbers."""
    if column.kind in {Kind.DATETIME, Kind.TEXT}:
        raise SchemaError(
            f"{name}: the sensitive column {column.name!r} holds {column.kind.value} values, which make no groups; make it "
            "a column of groups, such as age_group"
        )
    found = _bins(column, sample, states, FEW_NUMBERS, QUARTERS, MOST_VALUES[Role.SENSITIVE])
    if found is None:
        raise InputError(
            f"{name}: the sensitive column {column.name!r} holds no value, so its groups are unknown"
        )
    return found


def _slice_bins(column: Column, sample: pa.Table, states: States) -> Binning | None:
    """The bins of a column for slices; None if it has no two of them."""
    if column.kind in {Kind.DATETIME, Kind.TEXT}:
        return None
    found = _bins(column, sample, states, EIGHTHS, EIGHTHS, MOST_VALUES[Role.FEATURE])
    return found if found is not None and len(found.limits) + len(found.values) > 1 - found.numeric else None


def _bins(
    column: Column, sample: pa.Table, states: States, few: int, parts: int, most: int
) -> Binning | None:
    """A bin for each of ``few`` numbers, or ``parts`` bins of about equal mass; the ``most`` frequent other values."""
    if column.kind is not Kind.NUMERIC:
        state = states.get((column.name, "values"))
        values = state.vocabulary[:most] if isinstance(state, Categorical) else ()
        return Binning(column.name, values=tuple(values)) if values else None
    x = as_floats(sample.column(column.name).combine_chunks())
    x = x[np.isfinite(x)]
    distinct = np.unique(x[: 16 * few])  # a few rows tell of most columns that they have more
    if distinct.size <= few:
        distinct = np.unique(x)
    if not distinct.size:
        return None
    if distinct.size <= few:
        return Binning(column.name, values=tuple(dict.fromkeys(text_of(each) for each in distinct.tolist())))
    limits = np.unique(np.quantile(x, np.arange(1, parts) / parts, method="nearest"))
    return Binning(column.name, limits=tuple(limits[limits > x.min()].tolist()))


class GroupCounter:
    """What counting by groups and slices needs beside the plan; made once, and shared by threads."""

    def __init__(self, like: Profile, kernels: Kernels, labels: LabelCounter) -> None:
        self.kernels = kernels
        self.labels = labels
        self.states = {key: state for key, state in like.plan.items() if isinstance(state, Binned)}
        self.binnings = {key: state.binnings for key, state in self.states.items()}

    @cached_property
    def host(self) -> Any:
        """The kernels that count in the memory of the host."""
        return on_host(self.kernels)


class GroupTally:
    """What the batches counted so far left behind by groups and slices, a place for every slice."""

    def __init__(self, counter: GroupCounter) -> None:
        self.counter = counter
        self.held: dict[tuple[str, str], dict[str, Any]] = {}

    def add(
        self,
        batch: pa.RecordBatch,
        offsets: NDArray[np.int64],
        places: NDArray[np.int64],
        size: int,
        coded: Coded,
    ) -> None:
        """Count a batch whose rows are grouped by slice; ``size`` places are needed, ``coded`` numbers classes."""
        there = set(batch.schema.names)
        made: dict[tuple[Binning, ...], NDArray[np.uint8]] = {}
        for key, state in self.counter.states.items():
            if there.isdisjoint(state.columns[1:]):
                continue
            binnings = tuple(self.counter.binnings[key])
            if binnings not in made:
                made[binnings] = self._bins(binnings, batch, there)
            bins = made[binnings]
            into = self._into(key, state, size)
            weights = weights_of(state, batch)
            if isinstance(state, Groups):
                self._add_groups(state, batch, bins, weights, offsets, places, into, coded)
            elif isinstance(state, GroupErrors):
                e = _residuals(state, batch)
                _add_errors(_group(state, bins), e, weights, offsets, places, into)
            elif isinstance(state, GroupCalibration):
                e, part = _score_gaps(state, batch, coded)
                _add_errors(_group(state, bins) * CALIBRATION_BINS + part, e, weights, offsets, places, into)
            elif isinstance(state, SliceLosses):
                loss = _losses(state, batch, coded)
                self._add_losses(state, bins, loss, weights, offsets, places, into)
            elif isinstance(state, SlicePredictions):
                self._add_predictions(state, batch, bins, offsets, places, into, coded)

    def _bins(self, binnings: Sequence[Binning], batch: pa.RecordBatch, there: set[str]) -> NDArray[np.uint8]:
        """The bin of every row in every column, (columns, rows)."""
        found = np.empty((len(binnings), batch.num_rows), np.uint8)
        for row, binning in zip(found, binnings, strict=True):
            if binning.column not in there:
                row[:] = binning.size - 1
            elif binning.numeric:
                values, valid = numbers(batch.column(binning.column))
                row[:] = self.counter.host.binned(values, valid, np.array(binning.limits))
            else:
                row[:] = self.counter.labels.coder(binning.values).of_column(batch, binning.column)
        return found

    def _add_groups(
        self,
        state: Groups,
        batch: pa.RecordBatch,
        bins: NDArray[np.uint8],
        weights: NDArray[np.float64] | None,
        offsets: NDArray[np.int64],
        places: NDArray[np.int64],
        into: dict[str, Any],
        coded: Coded,
    ) -> None:
        k = len(state.classes)
        table = np.zeros(
            k + 2, np.int32
        )  # of another class nobody knows more than that it is not the positive one
        table[state.classes.index(state.positive[0])], table[-1] = 1, 2
        cells = _group(state, bins)
        for codes in (coded(state.classes, state.columns[0]), predicted_classes(state, batch, coded)):
            cells = cells * 3 + table[codes]
        shape = into["counts"].shape[1:]
        size = int(np.prod(shape))
        counts = self.counter.kernels.codes(cells.astype(np.int32), offsets, size)
        np.add.at(into["counts"], places, counts.reshape(-1, *shape))
        if weights is not None:
            for place, (start, stop) in zip(places.tolist(), pairwise(offsets.tolist()), strict=True):
                for i, w in enumerate((weights, weights**2)):
                    mass = np.bincount(cells[start:stop], w[start:stop], size)
                    into["mass"][place, i] += mass.reshape(shape)

    def _add_losses(
        self,
        state: SliceLosses,
        bins: NDArray[np.uint8],
        loss: NDArray[np.float64],
        weights: NDArray[np.float64] | None,
        offsets: NDArray[np.int64],
        places: NDArray[np.int64],
        into: dict[str, Any],
    ) -> None:
        known = np.isfinite(loss)
        if not known.all():
            kept = np.concatenate(([0], np.cumsum(known)))
            bins, loss, offsets = np.ascontiguousarray(bins[:, known]), loss[known], kept[offsets]
            weights = None if weights is None else weights[known]
        counts = LossCounts(into["n"], into["sums"], into["mass"])
        self.counter.host.losses(bins, state.starts, loss, weights, offsets, places, counts)

    def _add_predictions(
        self,
        state: SlicePredictions,
        batch: pa.RecordBatch,
        bins: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        places: NDArray[np.int64],
        into: dict[str, Any],
        coded: Coded,
    ) -> None:
        if state.classes:
            predicted = predicted_classes(state, batch, coded)
        else:
            values, valid = numbers(batch.column(state.columns[1]))
            predicted = self.counter.host.binned(values, valid, state.cuts).astype(np.int32)
        parts = state.predicted + 1
        for each, (start, stop) in zip(bins, pairwise(state.starts.tolist()), strict=True):
            cells = each.astype(np.int32) * np.int32(parts) + predicted
            counts = self.counter.kernels.codes(cells.astype(np.int32), offsets, (stop - start) * parts)
            np.add.at(into["counts"][:, start:stop], places, counts.reshape(-1, stop - start, parts))

    def _into(self, key: tuple[str, str], state: Binned, size: int) -> dict[str, Any]:
        """The sums of a state, with a place for every slice."""
        held = self.held.get(key)
        room = 0 if held is None else len(next(iter(held.values())))
        if room < size:
            empty, places = state.empty(), max(size, 2 * room)
            nbytes = places * sum(getattr(empty, name).nbytes for name in FIELDS[type(state)])
            if nbytes > MOST_HELD:
                raise OptionError(
                    f"the slices of {size:,} windows and segments would take {nbytes / 2**30:,.0f} GiB: name fewer columns "
                    "with slices, or choose wider windows"
                )
            grown = {
                name: np.repeat(getattr(empty, name)[None], places, axis=0) for name in FIELDS[type(state)]
            }
            for name, new in grown.items():
                if held is not None:
                    new[:room] = held[name]
            held = self.held[key] = grown
        assert held is not None
        return held

    def states(self, places: Mapping[Slice, int]) -> dict[Key, State]:
        """What was counted, by key."""
        found: dict[Key, State] = {}
        for (subject, aspect), held in self.held.items():
            state = self.counter.states[subject, aspect]
            for (window, segment), place in places.items():
                if place < len(next(iter(held.values()))):
                    counted = {name: array[place] for name, array in held.items()}
                    found[Key(window, segment, subject, aspect)] = replace(state, **counted)
        return found


FIELDS: dict[type, tuple[str, ...]] = {
    Groups: ("counts", "mass"),
    GroupErrors: ("counts", "errors"),
    GroupCalibration: ("counts", "errors"),
    SliceLosses: ("n", "sums", "mass"),
    SlicePredictions: ("counts",),
}


def _group(state: Binned, bins: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The number of every row's group, (rows,)."""
    group = np.zeros(bins.shape[1], np.int64)
    for size, each in zip(state.sizes, bins, strict=True):
        group = group * size + each
    return group


def _add_errors(
    cells: NDArray[np.int64],
    e: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
    offsets: NDArray[np.int64],
    places: NDArray[np.int64],
    into: dict[str, Any],
) -> None:
    """Add the errors ``e`` (rows,), NaN where there are none, to the sums of their cells: groups, or bins of groups."""
    known = np.isfinite(e)
    if not known.all():
        e = np.where(known, e, 0.0)
    w = None if weights is None else np.where(known, weights, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        terms = [e, e**2] if w is None else [w, w * w, w * e, w * e**2]
        if into["errors"].shape[-1] > len(ERRORS):
            terms.append(np.abs(e) if w is None else w * np.abs(e))
    groups, kept = into["counts"].shape[1:]
    shape = into["errors"].shape[1:-1]
    size = int(np.prod(shape))
    for place, (start, stop) in zip(places.tolist(), pairwise(offsets.tolist()), strict=True):
        at, there = cells[start:stop], known[start:stop]
        found = [np.bincount(at, term[start:stop], size) for term in terms]
        rows = np.bincount(at, minlength=size)
        if not there.all():
            others = np.bincount(at[~there], minlength=size)
            into["counts"][place, :, -1] += others.reshape(groups, kept - 1).sum(axis=-1)
            rows = rows - others
        into["counts"][place, :, :-1] += rows.reshape(groups, kept - 1)
        if w is None:  # each row weighs 1
            found = [rows, rows, *found]
        for i, sums in enumerate(found):
            into["errors"][place, ..., i] += sums.reshape(shape)


def _residuals(state: Binned, batch: pa.RecordBatch) -> NDArray[np.float64]:
    """Prediction − target; NaN where one of them is missing."""
    there, nothing = set(batch.schema.names), np.full(batch.num_rows, np.nan)
    y, p = (as_floats(batch.column(name)) if name in there else nothing for name in state.columns)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(p - y)


ERRORS = ("w", "w²", "w e", "w e²")  # and, of quantities, "w |e|"
INNER = np.arange(1, CALIBRATION_BINS) / CALIBRATION_BINS


def _score_gaps(
    state: GroupCalibration, batch: pa.RecordBatch, coded: Coded
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Score − label, NaN where one is missing or the score is no probability, and the bin of the score, of every row."""
    there = state.columns[1] in batch.schema.names
    p = as_floats(batch.column(state.columns[1])) if there else np.full(batch.num_rows, np.nan)
    actual = coded(state.classes, state.columns[0])
    label = actual == state.classes.index(state.positive[0])
    known = (p >= 0) & (p <= 1) & (actual <= len(state.classes))
    part = np.where(known, np.searchsorted(INNER, p, side="right"), 0)
    return np.where(known, p - label, np.nan), part


def _losses(state: SliceLosses, batch: pa.RecordBatch, coded: Coded) -> NDArray[np.float64]:
    """The loss of every row; NaN where the target or the prediction is missing."""
    if state.loss[0] == "absolute error":
        return np.abs(_residuals(state, batch))
    k = len(state.classes)
    actual = coded(state.classes, state.columns[0])
    if state.loss[0] == "error":
        predicted = predicted_classes(state, batch, coded)
        unknown = (actual == k + 1) | (predicted == k + 1) | ((actual == k) & (predicted == k))
        return np.where(unknown, np.nan, actual != predicted)
    there = state.columns[1] in batch.schema.names
    p = as_floats(batch.column(state.columns[1])) if there else np.full(batch.num_rows, np.nan)
    right = np.where(actual == state.classes.index(state.positive[0]), p, 1.0 - p)
    loss = -np.log(np.clip(right, LEAST_PROBABILITY, 1.0))
    return np.where((actual == k + 1) | ~np.isfinite(p), np.nan, loss)
