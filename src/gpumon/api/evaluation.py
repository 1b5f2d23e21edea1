"""evaluate: predictions and labels → how right a model is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpumon.api.arguments import columns_of, expect, is_profile, names_of, scores_by_class
from gpumon.api.counting import counted_profile, shown
from gpumon.api.facts import backend_of, described, gpumon_version, worked
from gpumon.api.importances import explainer, given_importance
from gpumon.errors import InputError, OptionError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gpumon.engines.engine import Engine
    from gpumon.metrics import Metric
    from gpumon.profiles.profile import Profile
    from gpumon.reports.report import Report
    from gpumon.tables.table import Table

__all__ = ["evaluate", "of_labelled_rows"]


def evaluate(
    predictions: Any,
    reference: Any = None,
    *,
    target: str | None = None,
    score: str | Mapping[Any, str] | None = None,
    prediction: str | None = None,
    lower: str | None = None,
    upper: str | None = None,
    std: str | None = None,
    nominal: float | None = None,
    features: str | Sequence[str] | None = None,
    labels: Any = None,
    on: str | None = None,
    duplicates: str = "raise",
    task: str | None = None,
    positive: Any = None,
    threshold: float | None = None,
    costs: Mapping[str, float] | Sequence[float] | None = None,
    weight: str | None = None,
    maturity: float | None = None,
    sensitive_features: str | Sequence[str] | None = None,
    slices: bool | str | Sequence[str] = False,
    worst_rows: int = 0,
    clusters: bool | str | Sequence[str] = False,
    row_id: str | None = None,
    importance: Any = None,
    attributions: Any = None,
    base_value: float | str | None = None,
    model: Any = None,
    predict: Callable[[Any], Any] | None = None,
    timestamp: str | None = None,
    every: str | None = None,
    by: str | Sequence[str] | None = None,
    columns: str | Sequence[str] | None = None,
    metrics: Iterable[str | Metric] | None = None,
    exact: bool = False,
    backend: str = "auto",
    engine: Any = "auto",
    workers: int | None = None,
    thresholds: Any = None,
    budget: float | None = None,
    progress: Callable[[str, int, int | None, int], None] | str | None = None,
) -> Report:
    """How right a model is, against a reference: performance with intervals, over windows and segments, late labels joined.

    Also whether predictions, scores and labels are distributed as in the reference. Without a reference the values
    are told and nothing is judged. What is not said here is as in :func:`scan`.

    predictions, reference
        tables with the columns below, or profiles of such, which are read as they were counted: what is said otherwise
        here is refused
    target, score, prediction
        the columns of labels, of scores (the probability of the positive class, or {class: column}, or what the
        names of such columns begin with), and of predicted classes or quantities; found by name if they are called
        "y_true", "y_pred_proba", "y_pred" and the like
    lower, upper, std, nominal
        the columns of the ends of prediction intervals that the model logs, or of the standard deviation of each
        prediction's error in their place, and the share of the targets that they promise to hold, 0.9 by default (of a
        std: if errors are normal); without such columns, what prediction ± a width holds is told for the same share
    features
        columns that a regression's model reads: from them and the prediction the reference teaches what errors to
        expect, which tells MAE and RMSE of rows without labels; their own drift is told too
    labels, on, duplicates
        a table of labels that came later, and the key that joins it to the predictions; a key that stands twice is
        refused, or with duplicates="last" its last label holds
    task
        "binary", "multiclass" or "regression"; by default what the columns look like
    positive
        the class that a single score is of; by default 1 of 0 and 1, the last in the alphabet
    threshold
        from which score on a row counts as predicted positive, where no column of predictions is given: 0.5 by default
    costs
        what a false positive and a false negative cost, (1, 20) or {"false_positive": 1, "false_negative": 20}, in any
        unit: then the mean cost of a row is told, realised and estimated
    weight
        a column of weights
    columns
        further columns to count, such as the inputs of the model: none by default
    maturity
        the share of a window's rows that must have a label before it is judged, 0.8 by default
    sensitive_features
        columns whose values are groups of people, such as ["sex", "age_group"]: rates of every group and of all
        combinations, gaps between groups, and how these have changed; many numbers are cut into four groups of the reference
    slices
        True, or the columns whose bins make slices of the rows, by one condition and by two: where the model is worst, and
        which slices made it worse
    clusters
        True, or columns of numbers: up to 8 clusters of the reference's rows by these features and the predictions, how their
        shares have changed, and how many rows are unlike all of them
    worst_rows, row_id
        keep so many rows of largest error of every window and segment, 100 say, for ``Report.worst_rows`` and whoever labels
        them again; ``row_id`` is the column that says which row it is: by default ``on``, or a column "id", or else the
        rows are numbered from 0

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> p = rng.uniform(size=5000)
    >>> report = evaluate({"y": rng.uniform(size=5000) < p, "p": p}, target="y", score="p")
    >>> row = next(iter(report.results.where(metric="auc")))
    >>> round(row.value, 2), round(row.ci_lower, 2), round(row.ci_upper, 2)
    (0.84, 0.82, 0.85)
    """
    from gpumon.engines.engine import opened
    from gpumon.engines.label_plan import Labelling, text_of
    from gpumon.engines.saved import refuse_other_labelling, refuse_other_slices
    from gpumon.metrics import chosen, served
    from gpumon.metrics.labelled import MATURITY
    from gpumon.metrics.measure import measure
    from gpumon.profiles.profile import Profile
    from gpumon.profiles.worst_rows import WorstRows
    from gpumon.reports.report import Report
    from gpumon.tables.slices import Slicing
    from gpumon.tables.table import Table
    from gpumon.verdicts.judge import judge
    from gpumon.verdicts.thresholds import Thresholds

    start = time.perf_counter()
    explain, fact = explainer(model, predict), given_importance(importance)
    wanted = tuple(metric for metric in chosen(metrics) if "pairs" not in metric.reads)
    if reference is None:  # an estimate needs labels of other rows, a change something to have changed from
        wanted = tuple(
            metric
            for metric in wanted
            if not ((metric.labelled or metric.over_time or metric.broken_down) and metric.of_reference)
        )
    limits = Thresholds.of(thresholds, budget, wanted)
    if (labels is None) != (on is None):
        raise OptionError("labels and on go together: a table of labels, and the column that joins it")
    mature: Any = MATURITY if maturity is None else maturity
    if not (isinstance(mature, int | float) and 0 <= mature <= 1):
        raise OptionError(f"maturity {maturity!r} is no share: 0.8 means that 80 % of a window have labels")
    with shown(progress) as ticks, opened(engine, workers) as counting:
        predictions, reference = (
            _table(each, what, counting)
            for each, what in ((predictions, "predictions"), (reference, "reference"))
        )
        predictions, notes = _with_labels(predictions, labels, on, target, weight, duplicates, counting)
        first = predictions if reference is None else reference
        named = {"target": target, "prediction": prediction, "weight": weight}
        named |= {"lower": lower, "upper": upper, "std": std}
        asked, by_class = _roles_asked(named, score, first)
        if sensitive_features is not None:
            asked["sensitive"] = names_of("sensitive_features", sensitive_features)
        roles = _roles_found(asked, first) if isinstance(first, Table) else {}  # a profile knows them
        sliced, clustered = columns_of("slices", slices), columns_of("clusters", clusters)
        labelling = Labelling(
            task=task,
            threshold=threshold,
            nominal=nominal,
            positive=None if positive is None else text_of(positive),
            scores=by_class,
            slices=sliced,
            worst=worst_rows,
            clusters=clustered,
        )
        if row_id is not None and not worst_rows:
            raise OptionError("row_id says which the worst rows are: give worst_rows, how many to keep")
        if worst_rows and roles:
            first, roles["id"] = _identified(first, row_id, on, predictions)
        if features is not None and roles:
            features = names_of("features", features)
            others = {name for some in roles.values() for name in some}
            roles["feature"] = [name for name in features if name not in others]
        counted: list[str] | None = None  # all
        if roles and sliced is not True and clustered is not True and explain is None:
            used = [] if fact is None or not isinstance(first, Table) else list(fact["of"])
            beside = [
                *(sliced or ()),
                *(clustered or ()),
                *(name for name in used if name in first.schema.names),
            ]
            beside += [] if columns is None else names_of("columns", columns)
            counted = list(dict.fromkeys([*(name for some in roles.values() for name in some), *beside]))
        what = "predictions" if reference is None else "reference"
        options: dict[str, Any] = {
            "columns": counted, "roles": roles, "timestamp": timestamp, "every": every, "by": by, "backend": backend,
            "engine": counting, "on_bad_file": "raise", "resume": None, "progress": ticks,
            "explain": explain,
        }  # fmt: skip
        before = counted_profile(
            first,
            what,
            **options | {"roles": roles or asked},
            pairs=False,
            exact=exact,
            labelling=labelling,
            features=features,
            attributions=attributions,
            base_value=base_value,
        )
        _refuse_unlabelled(before)
        if not isinstance(first, Table):
            name = f"the {what} profile" if isinstance(first, Profile) else str(first)
            refuse_other_labelling(before, name, labelling, row_id)
            if reference is None:
                refuse_other_slices(before, name, Slicing(timestamp, every, tuple(names_of("by", by or ()))))
        if fact is not None:
            before.facts["importance"] = fact
        if costs is not None:
            before = _with_costs(before, costs)
        now = before
        worst = before.plan.get(("", "worst rows"))
        if isinstance(worst, WorstRows) and isinstance(predictions, Table):
            predictions = _numbered(predictions, worst.identity[0])
        if reference is not None:
            options["columns"] = _without_labels(counted, roles, predictions)
            now = counted_profile(predictions, "predictions", like=before, **options)
    wanted = served(wanted, before)
    done = time.perf_counter()
    before = before.with_totals()
    now = before if reference is None else now.with_totals()
    level = limits.level(wanted) if reference is not None else None
    earlier = of_labelled_rows(before)
    current = earlier if reference is None else of_labelled_rows(now)
    measured = measure(earlier, current, wanted, level=level, maturity=mature)
    if reference is None:
        measured = measured.described(wanted)
    results = judge(measured, wanted, limits, earlier, current)
    facts = {
        "Reference": "none: values are told and not judged" if reference is None else described(before),
        "Predictions": described(now),
        **({} if labels is None else {"Labels": f"{predictions.labels}, joined on {on}"}),
        "Backend": backend_of(before, now),
        **worked(before, now),
        "Thresholds": f"{limits.name}, {limits.budget:g} false alerts an evaluation"
        if limits.name == "calibrated"
        else limits.name,
        "Seconds": f"{time.perf_counter() - start:.2f} (counted in {done - start:.2f})",
        "gpumon": gpumon_version(),
    }
    notes = [*before.facts.get("notes", ()), *now.facts.get("notes", ()), *notes]
    return Report(results, before, now, facts, tuple(dict.fromkeys(notes)))


def _with_costs(before: Profile, costs: Mapping[str, float] | Sequence[float]) -> Profile:
    """The profile with what wrong predictions cost, of two classes."""
    from gpumon.profiles.labels import Confusion
    from gpumon.profiles.profile import Profile

    kinds: Any = ("false_positive", "false_negative")
    each: Any = costs
    if isinstance(costs, Mapping):
        each = [costs[kind] for kind in kinds] if set(costs) == set(kinds) else None
    if (
        not isinstance(each, list | tuple)
        or len(each) != 2
        or not all(isinstance(x, int | float) and 0 <= x < float("inf") for x in each)
        or not any(each)
    ):
        raise OptionError(
            f"costs {costs!r} must be what a false positive and a false negative cost, such as (1, 20): numbers from 0 on, not both 0"
        )
    state = before.plan.get(("", "confusion"))
    if not isinstance(state, Confusion) or len(state.classes) != 2:
        raise OptionError("costs are of two classes, and the predictions are not of two")
    facts = before.facts | {"costs": [float(x) for x in each]}
    return Profile(before.schema, before.plan, before.states, facts)


def _identified(first: Any, row_id: str | None, on: str | None, predictions: Any) -> tuple[Any, list[str]]:
    """The table whose plan is made, and the column that says which row it is: numbers beside it if there is none."""
    from gpumon.tables.numbering import ROW_NUMBER
    from gpumon.tables.table import Table

    expect(row_id, str | None, f"row_id must be the name of a column, not {row_id!r}")
    tables = [table for table in (first, predictions) if isinstance(table, Table)]
    both = all("id" in table.schema.names for table in tables)
    named = row_id or on or ("id" if both else ROW_NUMBER)
    return _numbered(first, named), [named]


def _numbered(table: Any, row_id: str) -> Any:
    """The table, with the numbers of its rows if these are what rows are called by."""
    from gpumon.tables.numbering import ROW_NUMBER, Numbered

    return Numbered(table) if row_id == ROW_NUMBER and row_id not in table.schema.names else table


def _table(source: Any, what: str, engine: Engine) -> Any:
    """A Table of what holds rows; a profile, or nothing, as it is."""
    from gpumon.profiles.profile import Profile

    if source is None or isinstance(source, Profile) or is_profile(source):
        return source
    name = None if isinstance(source, str) else f"the {what} table"
    return engine.table(source, name=name, skip=False, each=engine.each)


def _with_labels(
    predictions: Any,
    labels: Any,
    on: str | None,
    target: str | None,
    weight: str | None,
    duplicates: str,
    engine: Engine,
) -> tuple[Any, list[str]]:
    """The predictions with their late labels, and what is to be said about them."""
    from gpumon.engines.labels import digest
    from gpumon.tables.joining import joined
    from gpumon.tables.table import Table

    if labels is None:
        return predictions, []
    expect(on, str, f"on must be the name of a column of both tables, not {on!r}")
    assert on is not None
    late = _table(labels, "labels", engine)
    if not isinstance(predictions, Table) or not isinstance(late, Table):
        raise OptionError("labels are joined row by row, which profiles do not have: give tables")
    named = [name for name in late.schema.names if name != on]
    if target is not None:
        named = [target, *([weight] if weight in named else [])]
    both = joined(predictions, late, on, named, digest, duplicates)
    notes = []
    if both.doubled:
        notes.append(
            f"{late.name}: {both.doubled:,} labels were followed by another of the same key, which holds"
        )
    return both, notes


def _roles_asked(
    named: Mapping[str, Any], score: Any, source: Any
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The roles that are given, of a table or a profile, and the column of every class."""
    from gpumon.profiles.profile import Profile
    from gpumon.tables.table import Table

    for role, given in named.items():
        expect(given, str | None, f"{role} must be the name of a column, not {given!r}")
    roles = {role: [given] for role, given in named.items() if given is not None}
    if score is None:
        return roles, {}
    expect(
        score, str | Mapping,
        f"score must be the name of a column or a mapping from class to column, not {score!r}",
    )  # fmt: skip
    names: Sequence[str] = ()
    if isinstance(source, Table):
        names = source.schema.names
    elif not isinstance(score, Mapping):
        names = (source if isinstance(source, Profile) else Profile.load(source)).columns
    by_class = scores_by_class(score, names)
    roles["score"] = names_of("score", list(by_class.values()) or [score])
    return roles, by_class


def _roles_found(asked: dict[str, list[str]], table: Table) -> dict[str, list[str]]:
    """The roles of a table's columns: those that are asked for, and what columns are called by that say it."""
    from gpumon.tables.schema import telling_names

    told = telling_names(table.schema.names)
    roles = dict(asked)
    for role in ("target", "prediction", "weight"):
        if role not in asked and role in told and (role == "target" or "score" not in asked):
            roles[role] = [told[role]]
    if "score" not in asked and "score" in told and "prediction" not in asked:
        roles["score"] = [told["score"]]
    if "target" not in roles:
        raise SchemaError(
            "which column holds the labels is not clear: name it with target, or give labels and on for a table of them"
        )
    if not {"score", "prediction", "lower", "upper"} & roles.keys():
        raise SchemaError("which column holds the predictions is not clear: name it with score or prediction")
    return roles


def _without_labels(
    columns: list[str] | None, roles: Mapping[str, list[str]], source: Any
) -> list[str] | None:
    """The columns to look at, without that of labels if none have come: then the table need not have it."""
    from gpumon.tables.table import Table

    if columns is None or not isinstance(source, Table):
        return columns
    there = set(source.schema.names)
    return [name for name in columns if name in there or name not in roles["target"]]


def of_labelled_rows(profile: Profile) -> Profile:
    """The profile with the labels that are there: one that has not come yet is no missing value, ``labelled_share`` tells it."""
    import numpy as np

    from gpumon.profiles.categorical import Categorical
    from gpumon.profiles.numeric import Numeric
    from gpumon.profiles.profile import Profile
    from gpumon.schema import Role

    states = dict(profile.states)
    for name in profile.schema.of(Role.TARGET):
        for key in [key for key in states if key.subject == name and key.aspect == "values"]:
            state = states[key]
            if isinstance(state, Numeric):
                counts = state.counts.copy()
                counts[-2:] = 0
                states[key] = replace(state, counts=counts)
            elif isinstance(state, Categorical):
                states[key] = replace(state, missing=np.zeros_like(state.missing))
    return Profile(profile.schema, profile.plan, states, profile.facts)


def _refuse_unlabelled(counted: Profile) -> None:
    """Raise an error if a profile holds nothing about predictions and labels."""
    from gpumon.profiles.labels import Labelled
    from gpumon.schema import Role

    if not any(isinstance(state, Labelled) for state in counted.plan.values()):
        name = counted.facts.get("name", "the profile")
        several = len(counted.schema.of(Role.SCORE)) > 1
        what = "a prediction, or a score for which classes are named" if several else "prediction or score"
        raise InputError(
            f"{name} holds nothing about predictions and labels: profile its table again with the roles target, and {what}"
        )
