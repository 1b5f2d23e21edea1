"""The public functions: each composes read → count → measure → judge → report; none computes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gpumon.errors import GpumonError, InputError, OptionError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from gpumon.engines.engine import Engine
    from gpumon.metrics import Metric
    from gpumon.profiles.profile import Profile
    from gpumon.reports.report import Report
    from gpumon.tables.table import Table

__all__ = ["evaluate", "profile", "scan"]


def scan(
    current: Any,
    reference: Any,
    *,
    columns: Sequence[str] | None = None,
    roles: Mapping[str, str | Sequence[str]] | None = None,
    timestamp: str | None = None,
    every: str | None = None,
    by: str | Sequence[str] | None = None,
    metrics: Iterable[str | Metric] | None = None,
    exact: bool = False,
    backend: str = "auto",
    engine: Any = "auto",
    workers: int | None = None,
    on_bad_file: str = "raise",
    resume: str | Path | None = None,
    thresholds: Any = None,
    budget: float | None = None,
    progress: Callable[[str, int, int | None, int], None] | str | None = None,
) -> Report:
    """Compare a current table with a reference: which columns moved, by how much, how sure that is.

    Both are a Parquet, CSV or Arrow file, folder, glob or URL; an Arrow table or reader; a pandas or Polars frame; a
    dict of arrays; a Dask DataFrame or a list of delayed frames; or a profile (a :class:`Profile`, or the path of a
    saved one).

    columns
        the columns to look at; all by default
    roles
        role → column or columns, such as ``{"target": "y", "id": "order_id", "ignore": ["note"]}``
    timestamp, every
        a column of times and a width ("1h", "1d", "1w", "1mo"): every window is compared with the reference
    by
        columns whose values make segments, each compared with the same segment of the reference
    metrics
        names, ids or :class:`Metric` records; all of ``gpumon.CATALOGUE`` by default
    exact
        keep and sort every numeric value, so that KS, Wasserstein and quantiles need no bounds (memory of the tables)
    backend
        "auto", "cpu", "cuda" or "plain" (NumPy alone)
    engine
        who counts: "local", this process; "dask", a cluster of this machine that is started for it; ``tcp://…``,
        ``tls://…`` or the path of a scheduler file, a cluster that runs; a ``distributed.Client``; "auto", the
        client that is active, else this process. All give the same counts
    workers
        how many workers engine="dask" starts; one a processor, or one a GPU, by default
    on_bad_file
        "raise" names all files that cannot be read in one error; "skip" counts the others, lists these in the
        report, and gives it the status error
    resume
        a folder that keeps what was counted if the run cannot finish; the same call again counts what is missing
    thresholds
        "calibrated" (default), "conventional", or {metric: alert} or {metric: (warn, alert)}
    budget
        false alerts a column-scan for calibrated thresholds, 0.001 by default
    progress
        called with a stage, the rows counted in it, its rows if known, and the bytes decoded; "bar" shows a bar, on a
        terminal and in a notebook

    InputError and its kin say in one line what is wrong with a table and how to mend it; OptionError likewise for
    an argument.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> report = scan({"x": rng.normal(1, 1, 5000)}, {"x": rng.normal(0, 1, 5000)})
    >>> report.drifted, report.status
    (['x'], 'alert')
    """
    from gpumon.engines.energy import drawn
    from gpumon.engines.engine import opened
    from gpumon.metrics import chosen
    from gpumon.metrics.measure import measure
    from gpumon.reports.report import Report
    from gpumon.verdicts.judge import judge
    from gpumon.verdicts.thresholds import Thresholds

    start = time.perf_counter()
    wanted = chosen(metrics)
    limits = Thresholds.of(thresholds, budget, wanted)
    pairs = any("pairs" in metric.reads for metric in wanted)
    with _shown(progress) as ticks, opened(engine, workers) as counting:
        options: dict[str, Any] = {
            "columns": columns, "roles": roles, "timestamp": timestamp, "every": every, "by": by, "backend": backend,
            "engine": counting, "on_bad_file": on_bad_file, "resume": resume, "progress": ticks,
        }  # fmt: skip
        meter = counting.energy()
        before = _profile(reference, "reference", pairs=pairs, exact=exact, **options)
        counted = time.perf_counter()
        if not before.rows:
            raise InputError(
                f"{before.facts.get('name', 'the reference')} has no rows, so there is nothing to compare with: "
                "check the path, or the filter that made it"
            )
        now = _profile(current, "current", like=before, **options)
        energy = drawn(meter, counting.energy())
    done = time.perf_counter()
    _forget(resume, "reference", "current")
    before, now = before.with_totals(), now.with_totals()
    measured = measure(before, now, wanted, level=limits.level(wanted))
    results = judge(measured, wanted, limits, before, now)
    facts = {
        "Reference": _described(before),
        "Current": _described(now),
        "Backend": _backend(before, now),
        **_worked(before, now),
        **({"Energy": energy} if energy else {}),
        "Thresholds": f"{limits.name}, {limits.budget:g} false alerts a column-scan"
        if limits.name == "calibrated"
        else limits.name,
        "Seconds": f"{time.perf_counter() - start:.2f} (reference {counted - start:.2f}, current {done - counted:.2f})",
        "gpumon": _version(),
    }
    notes = (*before.facts.get("notes", ()), *now.facts.get("notes", ()))
    return Report(results, before, now, facts, tuple(dict.fromkeys(notes)))


def evaluate(
    predictions: Any,
    reference: Any = None,
    *,
    target: str | None = None,
    score: str | Mapping[Any, str] | None = None,
    prediction: str | None = None,
    labels: Any = None,
    on: str | None = None,
    duplicates: str = "raise",
    task: str | None = None,
    positive: Any = None,
    threshold: float = 0.5,
    weight: str | None = None,
    maturity: float | None = None,
    timestamp: str | None = None,
    every: str | None = None,
    by: str | Sequence[str] | None = None,
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
        tables with the columns below, or profiles of such
    target, score, prediction
        the columns of labels, of scores (the probability of the positive class, or {class: column}, or what the
        names of such columns begin with), and of predicted classes or quantities; found by name if they are called
        "y_true", "y_pred_proba", "y_pred" and the like
    labels, on, duplicates
        a table of labels that came later, and the key that joins it to the predictions; a key that stands twice is
        refused, or with duplicates="last" its last label holds
    task
        "binary", "multiclass" or "regression"; by default what the columns look like
    positive
        the class that a single score is of; by default 1 of 0 and 1, the last in the alphabet
    threshold
        from which score on a row counts as predicted positive, where no column of predictions is given
    weight
        a column of weights
    maturity
        the share of a window's rows that must have a label before it is judged, 0.8 by default

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> p = rng.uniform(size=5000)
    >>> report = evaluate({"y": rng.uniform(size=5000) < p, "p": p}, target="y", score="p")
    >>> row = next(iter(report.results.where(metric="auc")))
    >>> round(row.value, 2), round(row.ci_lower, 2), round(row.ci_upper, 2)
    (0.83, 0.82, 0.84)
    """
    from gpumon.engines.engine import opened
    from gpumon.engines.labels import Labelling, text_of
    from gpumon.metrics import chosen
    from gpumon.metrics.labelled import MATURITY
    from gpumon.metrics.measure import measure
    from gpumon.reports.report import Report
    from gpumon.verdicts.judge import judge
    from gpumon.verdicts.thresholds import Thresholds

    start = time.perf_counter()
    wanted = tuple(metric for metric in chosen(metrics) if "pairs" not in metric.reads)
    limits = Thresholds.of(thresholds, budget, wanted)
    if (labels is None) != (on is None):
        raise OptionError("labels and on go together: a table of labels, and the column that joins it")
    mature: Any = MATURITY if maturity is None else maturity
    if not (isinstance(mature, int | float) and 0 <= mature <= 1):
        raise OptionError(f"maturity {maturity!r} is no share: 0.8 means that 80 % of a window have labels")
    predictions, reference = (
        _table(each, what) for each, what in ((predictions, "predictions"), (reference, "reference"))
    )
    predictions, notes = _with_labels(predictions, labels, on, target, weight, duplicates)
    first = predictions if reference is None else reference
    roles, by_class = _label_roles(first, target, score, prediction, weight)
    labelling = Labelling(task, threshold, None if positive is None else text_of(positive), by_class)
    columns = [name for named in roles.values() for name in named] or None
    what = "predictions" if reference is None else "reference"
    with _shown(progress) as ticks, opened(engine, workers) as counting:
        options: dict[str, Any] = {
            "columns": columns, "roles": roles, "timestamp": timestamp, "every": every, "by": by, "backend": backend,
            "engine": counting, "on_bad_file": "raise", "resume": None, "progress": ticks,
        }  # fmt: skip
        before = _profile(first, what, pairs=False, exact=exact, labelling=labelling, **options)
        _refuse_unlabelled(before)
        now = before if reference is None else _profile(predictions, "predictions", like=before, **options)
    done = time.perf_counter()
    before, now = before.with_totals(), now.with_totals()
    level = limits.level(wanted) if reference is not None else None
    measured = measure(before, now, wanted, level=level, maturity=mature)
    if reference is None:
        measured = measured.described()
    results = judge(measured, wanted, limits, before, now)
    facts = {
        "Reference": "none: values are told and not judged" if reference is None else _described(before),
        "Predictions": _described(now),
        **({} if labels is None else {"Labels": f"{predictions.labels}, joined on {on}"}),
        "Backend": _backend(before, now),
        **_worked(before, now),
        "Thresholds": f"{limits.name}, {limits.budget:g} false alerts an evaluation"
        if limits.name == "calibrated"
        else limits.name,
        "Seconds": f"{time.perf_counter() - start:.2f} (counted in {done - start:.2f})",
        "gpumon": _version(),
    }
    notes = [*before.facts.get("notes", ()), *now.facts.get("notes", ()), *notes]
    return Report(results, before, now, facts, tuple(dict.fromkeys(notes)))


def _table(source: Any, what: str) -> Any:
    """A Table of what holds rows; a profile, or nothing, as it is."""
    from gpumon.profiles.profile import Profile
    from gpumon.tables.frames import open_table

    if source is None or isinstance(source, Profile) or _is_profile(source):
        return source
    return open_table(source, name=None if isinstance(source, str) else f"the {what} table")


def _with_labels(
    predictions: Any,
    labels: Any,
    on: str | None,
    target: str | None,
    weight: str | None,
    duplicates: str,
) -> tuple[Any, list[str]]:
    """The predictions with their late labels, and what is to be said about them."""
    from gpumon.engines.labels import digest
    from gpumon.tables.joining import joined
    from gpumon.tables.table import Table

    if labels is None:
        return predictions, []
    _expect(on, str, f"on must be the name of a column of both tables, not {on!r}")
    assert on is not None
    late = _table(labels, "labels")
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


def _label_roles(
    source: Any, target: str | None, score: Any, prediction: str | None, weight: str | None
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The roles that are given, and the column of every class."""
    from gpumon.engines.labels import text_of
    from gpumon.tables.schema import telling_names
    from gpumon.tables.table import Table

    roles: dict[str, list[str]] = {}
    by_class: dict[str, str] = {}
    if not isinstance(source, Table):
        return roles, by_class  # a profile knows them
    names = source.schema.names
    told = telling_names(names)
    for role, given in (("target", target), ("prediction", prediction), ("weight", weight)):
        _expect(given, str | None, f"{role} must be the name of a column, not {given!r}")
        if given is not None:
            roles[role] = [given]
        elif role in told and (role == "target" or score is None):
            roles[role] = [told[role]]
    if isinstance(score, Mapping):
        by_class = {text_of(name): column for name, column in score.items()}
        roles["score"] = _names("score", list(by_class.values()))
    elif score is not None:
        _expect(
            score, str, f"score must be the name of a column or a mapping from class to column, not {score!r}"
        )
        begun = [name for name in names if name.startswith(score) and name != score]
        if score not in names and len(begun) > 1:
            by_class = {name.removeprefix(score): name for name in begun}
        roles["score"] = list(by_class.values()) or [score]
    elif "score" in told and prediction is None:
        roles["score"] = [told["score"]]
    if "target" not in roles:
        raise SchemaError(
            "which column holds the labels is not clear: name it with target, or give labels and on for a table of them"
        )
    if not {"score", "prediction"} & roles.keys():
        raise SchemaError("which column holds the predictions is not clear: name it with score or prediction")
    return roles, by_class


def _refuse_unlabelled(counted: Profile) -> None:
    """Raise an error if a profile holds nothing about predictions and labels."""
    from gpumon.profiles.labels import Labelled

    if not any(isinstance(state, Labelled) for state in counted.plan.values()):
        name = counted.facts.get("name", "the profile")
        raise InputError(
            f"{name} holds nothing about predictions and labels: profile its table again with the roles target, and "
            "prediction or score"
        )


def profile(
    table: Any,
    *,
    like: Profile | None = None,
    columns: Sequence[str] | None = None,
    roles: Mapping[str, str | Sequence[str]] | None = None,
    timestamp: str | None = None,
    every: str | None = None,
    by: str | Sequence[str] | None = None,
    exact: bool = False,
    backend: str = "auto",
    engine: Any = "auto",
    workers: int | None = None,
    on_bad_file: str = "raise",
    resume: str | Path | None = None,
    progress: Callable[[str, int, int | None, int], None] | str | None = None,
) -> Profile:
    """Count a table into a profile; with ``like``, on the edges and the vocabulary of another profile.

    The arguments are those of :func:`scan`. Profiles on one plan add: the profile of a month is the sum of its days.

    >>> day = profile({"x": [1.0, 2.0, 2.0]})
    >>> (day + profile({"x": [3.0]}, like=day)).rows
    4
    """
    from gpumon.engines.engine import opened

    with _shown(progress) as ticks, opened(engine, workers) as counting:
        counted = _profile(
            table, "table", like=like, columns=columns, roles=roles, timestamp=timestamp, every=every, by=by,
            pairs=True, exact=exact, backend=backend, engine=counting, on_bad_file=on_bad_file, resume=resume,
            progress=ticks,
        )  # fmt: skip
    _forget(resume, "table")
    return counted


def _profile(
    source: Any,
    what: str,
    *,
    columns: Sequence[str] | None,
    roles: Mapping[str, str | Sequence[str]] | None,
    timestamp: str | None,
    every: str | None,
    by: str | Sequence[str] | None,
    backend: str,
    engine: Engine,
    on_bad_file: str,
    resume: str | Path | None,
    progress: Callable[[str, int, int | None, int], None] | None,
    like: Profile | None = None,
    pairs: bool = True,
    exact: bool = False,
    labelling: Any = None,
) -> Profile:
    from gpumon.engines.notes import differences, left_out, rounded
    from gpumon.engines.plan import plan, settled
    from gpumon.engines.saved import as_current, as_reference
    from gpumon.kernels import choose
    from gpumon.profiles.profile import Profile
    from gpumon.tables.gpu import taken
    from gpumon.tables.schema import compatible, infer
    from gpumon.tables.slices import Slicing

    if on_bad_file not in {"raise", "skip"}:
        raise OptionError(f"on_bad_file {on_bad_file!r} is unknown: use raise or skip")
    skip = on_bad_file == "skip"
    if (timestamp is None) != (every is None):
        raise OptionError("timestamp and every go together: a column of times and the width of a window")
    for text in (timestamp, every):
        _expect(text, str | None, f"timestamp and every are texts such as 'time' and '1d', not {text!r}")
    _expect(like, Profile | None, "like must be a Profile: gpumon.Profile.load(path) reads a saved one")
    columns = None if columns is None else _names("columns", columns)
    roles = _by_role(roles)
    slicing = Slicing(timestamp, every, tuple(_names("by", by or ())))
    if isinstance(source, Profile) or _is_profile(source):
        saved = source if isinstance(source, Profile) else Profile.load(source)
        name = f"the {what} profile" if isinstance(source, Profile) else str(source)
        if like is None:
            return as_reference(saved, name, columns, roles, exact=exact)
        return as_current(saved, name, like, slicing)
    local = engine.NAME == "local"
    if local:
        choose(backend)  # refuses what does not answer before anything is read
    ticks = _ticker(progress, what)
    table = engine.table(
        source,
        name=None if isinstance(source, str) else f"the {what}" if what == "table" else f"the {what} table",
        skip=skip,
        each=_watched(engine, progress, f"{what}: files"),
    )
    why = "each worker chose"
    if local or table.here:
        kernels, why = choose(backend, table.nbytes(_wanted(columns, slicing)), device=table.device)
        backend = kernels.NAME
        if kernels.DEVICE:
            table = taken(table)
        elif table.device:
            table = table.load(_wanted(columns, slicing))
    table.chosen(slicing.columns)  # SchemaError if one is not there
    skipped = table.skipped
    ignored = {*slicing.columns, *roles.get("ignore", ())}
    notes: list[str] = []
    unreadable = [*table.unreadable]
    if like is None:
        table, sample, bad = _sampled(table, _wanted(columns, slicing), engine, resume, skip=skip)
        unreadable += bad
        schema = infer(
            sample, columns=columns, roles=roles, timestamp=timestamp, without=skipped, name=table.name
        )
        empty = plan(schema, sample, pairs=pairs, exact=exact, labelling=labelling, name=table.name)
        skipped = schema.skipped
    else:
        empty = like.empty()
        skipped = tuple(it for it in skipped if it.name not in ignored)
        notes += differences(
            table.name, compatible(like.schema, table.schema, name=table.name), columns, ignored
        )
    notes += [f"{table.name}: column {it.name!r} was left out ({it.why})" for it in skipped]
    if not empty.schema.columns:
        raise SchemaError(
            f"{table.name} has no column that can be profiled: name others with columns, or give it columns of "
            "numbers, strings, booleans or times"
        )
    there = set(table.schema.names)
    names = list(dict.fromkeys([*(c.name for c in empty.schema if c.name in there), *slicing.columns]))
    counted, facts = _counted(table, names, empty, slicing, backend, engine, what, resume, ticks, skip=skip)
    unreadable += facts.pop("unreadable")
    if like is None:
        counted = settled(counted)
    if not counted.rows:
        notes.append(f"{table.name} has no rows")
    notes += rounded(counted, table.name)
    notes += left_out(table.name, unreadable)
    counted.facts.update(name=table.name, why=why, notes=notes, **facts)
    if unreadable:
        counted.facts["unreadable"] = [list(file) for file in unreadable]
    return counted


def _sampled(
    table: Table, columns: list[str] | None, engine: Engine, resume: Any, *, skip: bool
) -> tuple[Table, Any, list[Any]]:
    """The table, in memory if it is small and counted here; a sample of it; files that had to be left out."""
    from gpumon.tables.paths import refusal
    from gpumon.tables.table import SMALL

    size = table.nbytes()
    try:
        if (
            size is not None
            and size <= SMALL
            and engine.NAME == "local"
            and resume is None
            and not table.device
        ):
            loaded = table.load(columns)
            return loaded, loaded.sample(columns), []
        return table, table.sample(columns), []
    except InputError:
        bad = [file for some in engine.each(_unreadable, table.partitions(columns)) for file in some]
        if not bad:
            raise
        if not skip:
            raise refusal(bad) from None
        table = table.without({file.path for file in bad})
        return table, table.sample(columns), bad


def _unreadable(partition: Any) -> Any:
    return partition.unreadable()


def _counted(
    table: Table,
    names: list[str],
    empty: Profile,
    slicing: Any,
    backend: str,
    engine: Engine,
    what: str,
    resume: str | Path | None,
    ticks: Callable[[int, int, int | None], None],
    *,
    skip: bool,
) -> tuple[Profile, dict[str, Any]]:
    """What ``table`` leaves behind, and the facts of the run. If it cannot finish, what was counted is kept."""
    from gpumon.engines.resume import Checkpoint
    from gpumon.profiles.profile import Profile
    from gpumon.tables.paths import Unreadable, refusal

    kept, only, keeper, identity = None, None, None, ""
    partitions: Sequence[Any] = ()
    if resume is not None:
        keeper, partitions = Checkpoint(resume, what), table.partitions(names)
        identity = keeper.identity(table, names, slicing, empty, len(partitions))
        kept, only = keeper.load(identity, len(partitions))
        if kept is not None:
            ticks(kept.rows, 0, table.rows)
    of = table.rows  # once: it may be the sum over 100,000 files
    outcome = engine.count(
        table, names, empty, slicing, backend, skip=skip, only=only,
        progress=lambda rows, nbytes: ticks(rows, nbytes, of),
    )  # fmt: skip
    before = [] if kept is None else [Unreadable(*file) for file in kept.facts.get("unreadable", ())]
    counted = outcome.profile if kept is None else kept + outcome.profile
    failed = outcome.error or (refusal(outcome.unreadable) if outcome.unreadable and not skip else None)
    unreadable = [*before, *(outcome.unreadable if skip else ())]
    if keeper is not None:
        counted.facts["unreadable"] = [list(file) for file in unreadable]
        keeper.save(counted, identity, outcome.missing, partitions)
    if failed is not None:
        if keeper is not None and isinstance(failed, GpumonError | KeyboardInterrupt):
            have = len(partitions) - len(outcome.missing)
            failed = type(failed)(
                f"{str(failed) or 'interrupted'}; {have:,} of {len(partitions):,} partitions are kept in {resume}: run "
                "again with the same resume to count the rest"
            ).with_traceback(failed.__traceback__)
        raise failed
    work = outcome.work
    facts = {
        "backend": " and ".join(sorted({backend for _, backend in work.devices})) or backend,
        "work": {
            "engine": engine.described(work) if not table.here else "local",
            "nbytes": work.nbytes,
            "task_seconds": round(work.seconds, 3),
        },
        "unreadable": unreadable,
    }
    return Profile(counted.schema, counted.plan, counted.states), facts


def _forget(resume: str | Path | None, *what: str) -> None:
    """Remove what was kept of a run that has finished."""
    if resume is not None:
        from gpumon.engines.resume import Checkpoint

        for name in what:
            Checkpoint(resume, name).remove()


def _worked(*counted: Profile) -> dict[str, str]:
    """Who counted, and how many bytes."""
    facts = [each.facts["work"] for each in counted if "work" in each.facts]
    if not facts:
        return {}
    read = sum(each["nbytes"] for each in facts)
    busy = sum(each["task_seconds"] for each in facts)
    return {
        "Engine": f"{facts[-1]['engine']}; {read / 1e9:,.2f} GB decoded and counted in {busy:,.2f} task seconds"
    }


@contextmanager
def _shown(progress: Any) -> Iterator[Callable[[str, int, int | None, int], None] | None]:
    if progress != "bar":
        yield progress
        return
    from gpumon.reports.progress import bar

    with bar() as ticks:
        yield ticks


def _watched(engine: Engine, progress: Callable[[str, int, int | None, int], None] | None, stage: str) -> Any:
    """``engine.each`` that tells the stage how far it is."""
    if progress is None:
        return engine.each

    def each(work: Any, items: Any) -> Iterator[Any]:
        for done, found in enumerate(engine.each(work, items), 1):
            progress(stage, done, len(items), 0)
            yield found

    return each


def _wanted(columns: Sequence[str] | None, slicing: Any) -> list[str] | None:
    return None if columns is None else list(dict.fromkeys([*columns, *slicing.columns]))


def _is_profile(source: Any) -> bool:
    """Whether a path names a saved profile."""
    return (isinstance(source, str) and source.endswith(".gpumon")) or getattr(
        source, "suffix", ""
    ) == ".gpumon"


def _expect(value: Any, kind: Any, message: str) -> None:
    if not isinstance(value, kind):
        raise OptionError(message)


def _names(what: str, names: Any) -> list[str]:
    """One name or several as a list, each once."""
    names = [names] if isinstance(names, str) else names
    _expect(names, Iterable, f"{what} must be the name of a column or a list of names, not {names!r}")
    names = list(names)
    for name in names:
        _expect(name, str, f"{what} must be the name of a column or a list of names, not {name!r}")
    return list(dict.fromkeys(names))


def _by_role(roles: Any) -> dict[str, list[str]]:
    _expect(roles, Mapping | None, f"roles must be a mapping such as {{'target': 'y'}}, not {roles!r}")
    return {role: _names(f"the role {role!r}", names) for role, names in (roles or {}).items()}


def _ticker(
    progress: Callable[[str, int, int | None, int], None] | None, what: str
) -> Callable[[int, int, int | None], None]:
    done = size = 0

    def tick(rows: int, nbytes: int, of: int | None) -> None:
        nonlocal done, size
        done, size = done + rows, size + nbytes
        if progress is not None:
            progress(what, done, of, size)

    return tick


def _described(counted: Profile) -> str:
    rows = int(counted.state("", "rows").rows)  # type: ignore[attr-defined]
    return f"{counted.facts.get('name', 'a profile')}, {rows:,} rows"


def _backend(before: Profile, now: Profile) -> str:
    """Which kernels counted, and why; each table's if they differ."""
    told = [
        f"{counted.facts.get('backend', 'cpu')}: {counted.facts.get('why', 'counted before')}"
        for counted in (before, now)
    ]
    return told[1] if told[0] == told[1] else f"{told[1]}; the reference on {told[0]}"


def _version() -> str:
    from importlib.metadata import version

    return version("gpumon")
