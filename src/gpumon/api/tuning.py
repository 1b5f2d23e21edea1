"""tune: a history → thresholds that fit a budget of alerts."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gpumon.api.arguments import names_of
from gpumon.api.counting import counted_profile, shown
from gpumon.api.evaluation import of_labelled_rows
from gpumon.api.facts import described, gpumon_version
from gpumon.errors import InputError, OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gpumon.metrics import Metric
    from gpumon.profiles.profile import Profile
    from gpumon.reports.tuning import Tuning

__all__ = ["tune"]

PER_WEEK = {"hour": 168.0, "day": 7.0, "week": 1.0, "month": 12 / 365.25 * 7, "year": 7 / 365.25}


def tune(
    history: Any,
    reference: Any = None,
    *,
    budget: str | float = "2/week",
    columns: Sequence[str] | None = None,
    roles: Mapping[str, str | Sequence[str]] | None = None,
    timestamp: str | None = None,
    every: str | None = None,
    by: str | Sequence[str] | None = None,
    metrics: Iterable[str | Metric] | None = None,
    incidents: Any = (),
    min_rows: int = 0,
    consecutive: int | Sequence[int] = 1,
    release: float = 1.0,
    within: int = 7,
    methods: Sequence[str] | None = None,
    reference_windows: int | None = None,
    backend: str = "auto",
    engine: Any = "auto",
    workers: int | None = None,
    on_bad_file: str = "raise",
    progress: Callable[[str, int, int | None, int], None] | str | None = None,
) -> Tuning:
    """Replay a history with many thresholds, and choose for each metric the most sensitive that fit a budget of alerts.

    Both tables are what :func:`scan` takes; a profile needs windows. ``history`` may also be the report of a scan or an
    evaluation: its windows are replayed against its reference. What is not said here is as in :func:`scan`.

    An alert is a window of a column with the status alert: if one lasts five windows, it counts five times. The budget is
    of all columns and all metrics asked for together; each metric has an equal part.

    reference
        the table to compare with; without one, the first windows of the history, which then are not replayed. With 8 windows
        or more of its own it tells how much windows differ, which some methods need
    budget
        alerts that you can live with: "2/week", "1/day", "10/month", or a number of alerts a week
    metrics
        those to find thresholds for; by default the Jensen-Shannon distance of every column and, of predictions with
        labels, accuracy, AUC, log loss, Brier score, RMSE or MAE, as there are
    incidents
        times since when alerts are right, such as "2026-03-01", until the next one, or "2026-03-01/2026-03-07". The budget
        is then of alerts outside of them, and what misses none and is quick is chosen
    min_rows
        rows that a window needs to be judged
    consecutive
        windows in a row above the limit with which an alert begins, one number or several to be tried
    release
        share of the limit that an effect must come down to before an alert ends
    within
        windows in which a change that lasts is to be seen: the sensitivity by which settings are compared
    methods
        those to try, of "conventional", "static", "relative", "sigma", "quantile", "tail", "noise", "cusum", "ewma"; all by
        default. The last two are charts of windows: they need scans that see the windows before, as consecutive does
    reference_windows
        how many windows of the history are the reference if none is given; a third of them, and at least 8, by default

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> days = np.datetime64("2026-01-01") + np.arange(60).repeat(200)
    >>> tuning = tune({"x": rng.normal(size=12_000), "t": days}, timestamp="t", every="1d", budget="1/week")
    >>> tuning.alerts_a_week <= 1, list(tuning.thresholds)
    (True, ['jensen_shannon'])
    """
    from gpumon.engines.engine import opened
    from gpumon.metrics import chosen, served
    from gpumon.metrics.courses import dated
    from gpumon.profiles.profile import Profile
    from gpumon.reports.report import Report
    from gpumon.reports.tuning import Tuning
    from gpumon.verdicts.replay import METHODS, can_be_tuned, incidents_in, replay

    start = time.perf_counter()
    a_week = _a_week(budget)
    marked = _incidents(incidents)
    runs = [consecutive] if isinstance(consecutive, int) else list(consecutive)
    tried = list(METHODS) if methods is None else names_of("methods", methods)
    unknown = [name for name in tried if name not in METHODS]
    if unknown or not tried:
        raise OptionError(f"methods {methods!r} are not all known: use some of {', '.join(METHODS)}")
    _refuse(runs, min_rows, release, within, reference_windows)
    if isinstance(history, Report):
        same = history.reference is history.current
        reference = (None if same else history.reference) if reference is None else reference
        history = history.current
    options: dict[str, Any] = {
        "columns": columns, "roles": roles, "timestamp": timestamp, "every": every, "by": by, "backend": backend,
        "on_bad_file": on_bad_file, "resume": None,
    }  # fmt: skip
    with shown(progress) as ticks, opened(engine, workers) as counting:
        options |= {"engine": counting, "progress": ticks}
        before: Profile | None = None
        if reference is not None:
            before = counted_profile(reference, "reference", pairs=False, **options)
        now = counted_profile(history, "history", like=before, pairs=False, **options)
    windows = dated(now.windows)
    if not windows:
        raise InputError(
            f"{now.facts.get('name', 'the history')} has no windows of time to replay: give timestamp and every"
        )
    notes = [*(before.facts.get("notes", ()) if before else ()), *now.facts.get("notes", ())]
    if before is None:
        count = max(8, len(windows) // 3) if reference_windows is None else reference_windows
        if len(windows) < count + 2:
            raise InputError(
                f"{now.facts.get('name', 'the history')} has {len(windows)} windows, too few for a reference of {count} and two "
                "more: give a reference, fewer reference_windows, or narrower windows"
            )
        before, now = _split(now, set(windows[:count]))
        notes.append(f"the reference is the history's first {count} windows, to {windows[count - 1]}")
        windows = windows[count:]
    wanted = tuple(m for m in chosen(_by_default(before) if metrics is None else metrics) if can_be_tuned(m))
    if not wanted:
        raise OptionError(
            "none of these metrics alerts by its size in each window: gpumon metrics lists those with a threshold"
        )
    wanted = served(wanted, before)
    earlier, later = (of_labelled_rows(each.with_totals()) for each in (before, now))
    counted = time.perf_counter()
    found = replay(
        earlier,
        later,
        wanted,
        a_week,
        min_rows=min_rows,
        consecutive=runs,
        release=release,
        incidents=incidents_in(marked, windows),
        within=within,
        methods=tried,
    )
    notes += [f"{name} has no value in any window" for name in found.untold]
    facts = {
        "reference": described(before),
        "history": described(now),
        "windows": len(windows),
        "incidents": len(marked),
        "within": within,
        "series": found.series,
        "seconds": f"{time.perf_counter() - start:.2f} (counted in {counted - start:.2f})",
        "gpumon": gpumon_version(),
    }
    assert isinstance(before, Profile)
    return Tuning(found, a_week, before, facts, tuple(dict.fromkeys(notes)))


def _a_week(budget: Any) -> float:
    """Alerts a week of "2/week", "1/day" and the like, or of a number."""
    if isinstance(budget, str):
        match = re.fullmatch(
            r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(?:/|per|a)\s*(hour|day|week|month|year)\s*", budget
        )
        number = float(match[1]) * PER_WEEK[match[2]] if match else -1.0
    else:
        number = float(budget) if isinstance(budget, int | float) and not isinstance(budget, bool) else -1.0
    if not 0 <= number < float("inf"):
        raise OptionError(
            f"budget {budget!r} is no number of alerts: write 2/week, 1/day, 10/month or 20/year"
        )
    return number


def _incidents(incidents: Any) -> list[tuple[float, float | None]]:
    """(start, end or None) [s since 1970] of each incident."""
    import numpy as np

    some = [incidents] if isinstance(incidents, str) or not isinstance(incidents, Sequence) else incidents
    found: list[tuple[float, float | None]] = []
    for incident in some:
        try:
            begin, slash, end = str(incident).partition("/")
            at, until = (
                np.datetime64(text.strip()).astype("M8[s]").astype(np.int64) for text in (begin, end or begin)
            )
            if until < at:
                raise ValueError  # noqa: TRY301
        except ValueError as error:
            raise OptionError(
                f"the incident {incident!r} is no time: write 2026-03-01, 2026-03-01T12:00, or 2026-03-01/2026-03-07"
            ) from error
        found.append((float(at), float(until) if slash else None))
    return found


def _refuse(runs: list[Any], min_rows: Any, release: Any, within: Any, reference_windows: Any) -> None:
    """Raise an OptionError for a setting of the judging that cannot be right."""
    whole = [("consecutive", each, 1) for each in runs] + [("min_rows", min_rows, 0), ("within", within, 1)]
    whole += [] if reference_windows is None else [("reference_windows", reference_windows, 1)]
    for name, value, least in whole:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise OptionError(f"{name} {value!r} must be a whole number from {least} on")
    if not runs:
        raise OptionError("consecutive needs a number of windows")
    if not (isinstance(release, int | float) and 0 < release <= 1):
        raise OptionError(f"release {release!r} is no share of the limit: it is above 0 and at most 1")


def _split(whole: Profile, first: set[str]) -> tuple[Profile, Profile]:
    """The rows of the windows ``first``, and those of the others."""
    from gpumon.profiles.profile import Profile

    finest = {key: state for key, state in whole.states.items() if key.window is not None}
    if whole.segments:
        finest = {key: state for key, state in finest.items() if key.segment is not None}
    sides = [
        Profile(
            whole.schema,
            whole.plan,
            {key: s for key, s in finest.items() if (key.window in first) is mine},
            whole.facts,
        )
        for mine in (True, False)
    ]
    return sides[0], sides[1]


def _by_default(reference: Profile) -> list[str]:
    """The distance of columns, and the measures that are followed over time if there are labels."""
    from gpumon.metrics.over_time import HEADLINES
    from gpumon.profiles.labels import Labelled
    from gpumon.reports.report import PRIMARY

    labelled = any(isinstance(state, Labelled) for state in reference.plan.values())
    return names_of("metrics", [PRIMARY, *([m.name for m in HEADLINES] if labelled else [])])
