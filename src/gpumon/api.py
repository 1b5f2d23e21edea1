"""The public functions: each composes read → count → measure → judge → report; none computes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gpumon.errors import InputError, OptionError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpumon.metrics import Metric
    from gpumon.profiles.profile import Profile
    from gpumon.reports.report import Report

__all__ = ["ENGINES", "profile", "scan"]

ENGINES = ("auto", "local")
IN_MEMORY = 512 * 1024**2  # bytes: a smaller file is decoded once, for the sample and for counting


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
    engine: str = "auto",
    thresholds: Any = None,
    budget: float | None = None,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> Report:
    """Compare a current table with a reference: which columns moved, by how much, how sure that is.

    Both are a Parquet, CSV or Arrow file, folder, glob or URL; an Arrow table or reader; a pandas or Polars frame; a
    dict of arrays; or a profile (a :class:`Profile`, or the path of a saved one).

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
        "auto" or "local"
    thresholds
        "calibrated" (default), "conventional", or {metric: alert} or {metric: (warn, alert)}
    budget
        false alerts a column-scan for calibrated thresholds, 0.001 by default
    progress
        called with a stage, the rows counted in it and its rows if known

    InputError and its kin say in one line what is wrong with a table and how to mend it; OptionError likewise for
    an argument.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> report = scan({"x": rng.normal(1, 1, 5000)}, {"x": rng.normal(0, 1, 5000)})
    >>> report.drifted, report.status
    (['x'], 'alert')
    """
    from gpumon.kernels import cuda_status
    from gpumon.metrics import chosen
    from gpumon.metrics.measure import measure
    from gpumon.reports.report import Report
    from gpumon.verdicts.judge import judge
    from gpumon.verdicts.thresholds import Thresholds

    start = time.perf_counter()
    wanted = chosen(metrics)
    limits = Thresholds.of(thresholds, budget, wanted)
    pairs = any("pairs" in metric.reads for metric in wanted)
    options: dict[str, Any] = {
        "timestamp": timestamp, "every": every, "by": by, "backend": backend, "engine": engine, "progress": progress,
    }  # fmt: skip
    before = _profile(
        reference, "reference", columns=columns, roles=roles, pairs=pairs, exact=exact, **options
    )
    counted = time.perf_counter()
    if not before.rows:
        raise InputError(
            f"{before.facts.get('name', 'the reference')} has no rows, so there is nothing to compare with: "
            "check the path, or the filter that made it"
        )
    now = _profile(current, "current", columns=columns, roles=roles, like=before, **options)
    done = time.perf_counter()
    before, now = before.with_totals(), now.with_totals()
    measured = measure(before, now, wanted, level=limits.level(wanted))
    results = judge(measured, wanted, limits, before, now)
    _, why = cuda_status()
    facts = {
        "Reference": _described(before),
        "Current": _described(now),
        "Backend": f"{now.facts.get('backend', 'cpu')} ({why})",
        "Thresholds": f"{limits.name}, {limits.budget:g} false alerts a column-scan"
        if limits.name == "calibrated"
        else limits.name,
        "Seconds": f"{time.perf_counter() - start:.2f} (reference {counted - start:.2f}, current {done - counted:.2f})",
        "gpumon": _version(),
    }
    notes = (*before.facts.get("notes", ()), *now.facts.get("notes", ()))
    return Report(results, before, now, facts, tuple(dict.fromkeys(notes)))


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
    engine: str = "auto",
    progress: Callable[[str, int, int | None], None] | None = None,
) -> Profile:
    """Count a table into a profile; with ``like``, on the edges and the vocabulary of another profile.

    The arguments are those of :func:`scan`. Profiles on one plan add: the profile of a month is the sum of its days.

    >>> day = profile({"x": [1.0, 2.0, 2.0]})
    >>> (day + profile({"x": [3.0]}, like=day)).rows
    4
    """
    return _profile(
        table, "table", like=like, columns=columns, roles=roles, timestamp=timestamp, every=every, by=by, pairs=True,
        exact=exact, backend=backend, engine=engine, progress=progress,
    )  # fmt: skip


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
    engine: str,
    progress: Callable[[str, int, int | None], None] | None,
    like: Profile | None = None,
    pairs: bool = True,
    exact: bool = False,
) -> Profile:
    from gpumon.engines import local
    from gpumon.engines.count import Counter
    from gpumon.engines.notes import differences, rounded
    from gpumon.engines.plan import plan, settled
    from gpumon.engines.saved import as_current, as_reference
    from gpumon.kernels import select
    from gpumon.profiles.profile import Profile
    from gpumon.tables.frames import open_table
    from gpumon.tables.schema import compatible, infer
    from gpumon.tables.slices import Slicing

    if engine not in ENGINES:
        raise OptionError(f"engine {engine!r} is unknown: use one of {', '.join(ENGINES)}")
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
    kernels = select(backend)
    table = open_table(
        source,
        name=None if isinstance(source, str) else f"the {what}" if what == "table" else f"the {what} table",
    )
    table.chosen(slicing.columns)  # SchemaError if one is not there
    skipped = table.skipped
    ignored = {*slicing.columns, *roles.get("ignore", ())}
    notes: list[str] = []
    if like is None:
        size = table.nbytes()
        if size is not None and size <= IN_MEMORY:
            table = table.load(_wanted(columns, slicing))
        sample = table.sample(_wanted(columns, slicing))
        schema = infer(
            sample, columns=columns, roles=roles, timestamp=timestamp, without=skipped, name=table.name
        )
        empty = plan(schema, sample, pairs=pairs, exact=exact)
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
    tick = (lambda _: None) if progress is None else _ticker(progress, what, table.rows)
    counted = local.run(table, names, Counter(empty, slicing, kernels), progress=tick)
    if like is None:
        counted = settled(counted)
    if not counted.rows:
        notes.append(f"{table.name} has no rows")
    notes += rounded(counted, table.name)
    counted.facts.update(name=table.name, backend=kernels.NAME, notes=notes)
    return counted


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
    progress: Callable[[str, int, int | None], None], what: str, rows: int | None
) -> Callable[[int], None]:
    done = 0

    def tick(n: int) -> None:
        nonlocal done
        done += n
        progress(what, done, rows)

    return tick


def _described(counted: Profile) -> str:
    rows = int(counted.state("", "rows").rows)  # type: ignore[attr-defined]
    return f"{counted.facts.get('name', 'a profile')}, {rows:,} rows"


def _version() -> str:
    from importlib.metadata import version

    return version("gpumon")
