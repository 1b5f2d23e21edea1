"""From a source to its profile: opened, sampled, planned and counted by an engine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpumon.api.arguments import by_role, columns_of, expect, is_profile, names_of, scores_by_class
from gpumon.api.importances import explainer, given_importance
from gpumon.errors import GpumonError, InputError, OptionError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from gpumon.api.importances import Explainer
    from gpumon.engines.engine import Engine
    from gpumon.engines.label_plan import Labelling
    from gpumon.profiles.profile import Profile
    from gpumon.tables.table import Table

__all__ = ["counted_profile", "forget", "profile", "shown"]


def profile(
    table: Any,
    *,
    like: Profile | None = None,
    columns: Sequence[str] | None = None,
    roles: Mapping[str, Any] | None = None,
    timestamp: str | None = None,
    every: str | None = None,
    by: str | Sequence[str] | None = None,
    task: str | None = None,
    positive: Any = None,
    threshold: float | None = None,
    nominal: float | None = None,
    features: str | Sequence[str] | None = None,
    exact: bool = False,
    slices: bool | str | Sequence[str] = False,
    worst_rows: int = 0,
    clusters: bool | str | Sequence[str] = False,
    importance: Any = None,
    attributions: Any = None,
    base_value: float | str | None = None,
    model: Any = None,
    predict: Callable[[Any], Any] | None = None,
    backend: str = "auto",
    engine: Any = "auto",
    workers: int | None = None,
    on_bad_file: str = "raise",
    resume: str | Path | None = None,
    progress: Callable[[str, int, int | None, int], None] | str | None = None,
) -> Profile:
    """Count a table into a profile; with ``like``, on the edges and the vocabulary of another profile.

    The arguments are those of :func:`scan`, and for a profile that :func:`evaluate` is to read those of that:
    ``task``, ``positive``, ``threshold``, ``nominal``, ``features``, ``slices``, ``worst_rows`` and ``clusters``; the role score may be
    {class: column}, or what the names of such columns begin with. With ``like`` these are as they were there. What is told of importances is kept in
    the profile. Profiles on one plan add: the profile of a month is the sum of its days.

    >>> day = profile({"x": [1.0, 2.0, 2.0]})
    >>> (day + profile({"x": [3.0]}, like=day)).rows
    4
    """
    from gpumon.engines.engine import opened
    from gpumon.engines.label_plan import Labelling, text_of

    explain, fact = explainer(model, predict), given_importance(importance)
    labelling: Labelling | None = Labelling(
        task=task,
        threshold=threshold,
        nominal=nominal,
        positive=None if positive is None else text_of(positive),
        slices=columns_of("slices", slices),
        worst=worst_rows,
        clusters=columns_of("clusters", clusters),
    )
    if labelling == Labelling(slices=[], clusters=[]) and features is None:
        labelling = None  # nothing is said of predictions: what cannot be read as such is left out
    with shown(progress) as ticks, opened(engine, workers) as counting:
        counted = counted_profile(
            table, "table", like=like, columns=columns, roles=roles, timestamp=timestamp, every=every, by=by,
            pairs=True, exact=exact, labelling=labelling, features=features, attributions=attributions, base_value=base_value, explain=explain,
            backend=backend, engine=counting, on_bad_file=on_bad_file, resume=resume, progress=ticks,
        )  # fmt: skip
    forget(resume, "table")
    if fact is not None:
        counted.facts["importance"] = fact
    return counted


def counted_profile(
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
    labelling: Labelling | None = None,
    features: str | Sequence[str] | None = None,
    attributions: Any = None,
    base_value: float | str | None = None,
    explain: Explainer | None = None,
) -> Profile:
    """The profile of ``source``, which messages call ``what``: on a plan of its own, or that of ``like``.

    ``pairs`` keeps co-moments, ``exact`` every value, ``labelling`` says how predictions stand against labels;
    ``features`` are columns that the errors of a regression are estimated from, ``attributions`` says which columns hold
    attributions, ``base_value`` what they start from; ``explain`` tells the importance of features on a sample.
    """
    from gpumon.api.estimating import learnt
    from gpumon.engines.attributions import attribution_columns
    from gpumon.engines.label_plan import Labelling
    from gpumon.engines.notes import differences, left_out, of_labels, of_slices, rounded
    from gpumon.engines.plan import plan, settled
    from gpumon.engines.saved import as_current, as_reference, refuse_other_labelling
    from gpumon.kernels import choose, on_host
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
        expect(text, str | None, f"timestamp and every are texts such as 'time' and '1d', not {text!r}")
    expect(like, Profile | None, "like must be a Profile: gpumon.Profile.load(path) reads a saved one")
    if like is not None and labelling is not None:
        refuse_other_labelling(like, f"the profile of {like.facts.get('name', 'like')}", labelling)
    columns = None if columns is None else names_of("columns", columns)
    given, roles = roles, by_role(roles)
    features = None if features is None else names_of("features", features)
    if features is not None and columns is not None:
        columns = list(dict.fromkeys([*columns, *features]))
    slicing = Slicing(timestamp, every, tuple(names_of("by", by or ())))
    if isinstance(source, Profile) or is_profile(source):
        saved = source if isinstance(source, Profile) else Profile.load(source)
        name = f"the {what} profile" if isinstance(source, Profile) else str(source)
        if explain is not None and "importance" not in saved.facts:
            raise OptionError(
                f"{name} has no rows to ask a model about: profile its table with model or predict"
            )
        if attributions is not None and like is None and ("", "attributions") not in saved.plan:
            raise OptionError(f"{name} holds no attributions: profile its table again with attributions")
        if base_value is not None and like is None and not _checked(saved):
            raise OptionError(f"{name} holds no base value: profile its table again with base_value")
        if like is None:
            return as_reference(saved, name, columns, roles, exact=exact, features=features)
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
    by_class = scores_by_class((given or {}).get("score"), table.schema.names) if like is None else {}
    if by_class:
        roles["score"] = list(by_class.values())
        labelling = replace(labelling or Labelling(), scores=by_class)
    attributed: dict[str, str] = {}
    if attributions is not None and like is None:
        expect(
            attributions, str | Mapping,
            f"attributions must be what the names of such columns begin with, or a mapping from feature to column, not {attributions!r}",
        )  # fmt: skip
        attributed = attribution_columns(attributions, table.schema.names, table.name)
        roles["attribution"] = list(attributed.values())
        if isinstance(base_value, str):
            roles["attribution"] = list(dict.fromkeys([*roles["attribution"], base_value]))
        attributed = {feature: column for feature, column in attributed.items() if column != base_value}
        columns = None if columns is None else list(dict.fromkeys([*columns, *roles["attribution"]]))
    _refuse_base(base_value, attributions)
    skipped = table.skipped
    ignored = {*slicing.columns, *roles.get("ignore", ())}
    notes: list[str] = []
    unreadable = [*table.unreadable]
    if like is None:
        with _meanwhile(on_host(choose(backend)[0]).ready) if local else nullcontext():
            table, sample, bad = _sampled(table, _wanted(columns, slicing), engine, resume, skip=skip)
        unreadable += bad
        schema = infer(
            sample, columns=columns, roles=roles, timestamp=timestamp, without=skipped, name=table.name
        )
        empty = plan(
            schema,
            sample,
            pairs=pairs,
            exact=exact,
            labelling=labelling,
            attributions=attributed,
            base_value=base_value,
            name=table.name,
        )
        _refuse_unread(empty, labelling)
        if features is not None:
            empty = learnt(empty, table, features)
        skipped = schema.skipped
    else:
        sample = None if explain is None else table.sample(None)
        empty = like.empty()
        _refuse_unread(empty, labelling)
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
        notes += of_slices(counted, table.name)
    if not counted.rows:
        notes.append(f"{table.name} has no rows")
    notes += rounded(counted, table.name)
    notes += of_labels(counted, table.name)
    notes += left_out(table.name, unreadable)
    counted.facts.update(name=table.name, why=why, notes=notes, **facts)
    if unreadable:
        counted.facts["unreadable"] = [list(file) for file in unreadable]
    if explain is not None:
        counted.facts["importance"] = explain(sample, counted.schema)
    return counted


def _refuse_unread(plan: Profile, labelling: Labelling | None) -> None:
    """Raise an OptionError if it is said how predictions are to be read, and there are none."""
    from gpumon.profiles.labels import Labelled

    if labelling is None:
        return
    if labelling.slices and ("", "slices") not in plan.plan:
        raise OptionError("slices are of losses: give roles for the target and the prediction or score")
    if not any(isinstance(state, Labelled) for state in plan.plan.values()):
        raise OptionError(
            "what is said of predictions (task, positive, threshold, nominal, features, clusters) needs some: give roles for the "
            "target and the prediction or score"
        )


def _checked(saved: Profile) -> bool:
    """Whether a profile knows whether its attributions add up."""
    state = saved.plan.get(("", "attributions"))
    return bool(getattr(state, "output", ()))


def _refuse_base(base_value: Any, attributions: Any) -> None:
    """Raise an OptionError unless a base value, if there is one, is a number or a column and has attributions."""
    if base_value is None:
        return
    number = isinstance(base_value, int | float) and not isinstance(base_value, bool)
    if not isinstance(base_value, str) and not (number and math.isfinite(base_value)):
        raise OptionError(f"base_value must be a number or the name of a column, not {base_value!r}")
    if attributions is None:
        raise OptionError("base_value is what attributions start from: give attributions too")


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


@contextmanager
def _meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Do ``work`` beside what is done within; both are over at the end. Reading leaves the interpreter idle."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        yield
    future.result()


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


def forget(resume: str | Path | None, *what: str) -> None:
    """Remove what was kept of a run that has finished."""
    if resume is not None:
        from gpumon.engines.resume import Checkpoint

        for name in what:
            Checkpoint(resume, name).remove()


@contextmanager
def shown(progress: Any) -> Iterator[Callable[[str, int, int | None, int], None] | None]:
    """Whom to tell of progress: "bar" shows a bar while this is open."""
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
