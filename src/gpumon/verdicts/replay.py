"""Thresholds by replay: with which settings a history would have alerted how often, and which fit a budget of alerts.

A history is measured once, window by window; every setting of every method is then tried on these numbers, with what
judges a scan. An alert is a window of a column (or of the model) with the status alert.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gpumon.errors import InputError, OptionError
from gpumon.metrics.courses import dated
from gpumon.metrics.measure import measure
from gpumon.metrics.metric import CHARTED
from gpumon.statistics.alarms import alarms, charted, seen_by_cusum, seen_by_ewma
from gpumon.statistics.resampling import critical_from_history
from gpumon.verdicts.calibrate import FEWEST_WINDOWS
from gpumon.verdicts.judge import q_values
from gpumon.verdicts.rules import CHARTS, Rule
from gpumon.verdicts.thresholds import SIGNIFICANCE, Thresholds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from gpumon.metrics import Metric
    from gpumon.metrics.measure import Measured
    from gpumon.profiles.profile import Profile

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

__all__ = [
    "METHODS",
    "Incident",
    "Replay",
    "Setting",
    "can_be_tuned",
    "incidents_in",
    "order",
    "replay",
    "starts_of",
]

METHODS = {
    "conventional": "the limit of practice",
    "static": "one limit for all columns",
    "relative": "a share of the reference's value",
    "sigma": "mean + k·σ of the reference's windows",
    "quantile": "a quantile of the reference's windows",
    "tail": "what the reference's next window exceeds with this probability",
    "noise": "a multiple of what chance exceeds in a window of its size",
    "cusum": "cumulative sum of deviations from the reference's windows",
    "ewma": "exponentially weighted mean of deviations from the reference's windows",
}
"""The methods that are tried, in words."""

STEPS = 2.0 ** np.arange(-3, 6.25, 0.25)
SIGMAS = np.arange(0.5, 20.25, 0.5)
QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 1.0)
TAILS = 10.0 ** -np.arange(1, 10.5, 0.5)
CHART_LIMITS = 2.0 ** np.arange(0, 8.25, 0.25)
LEAST_SPREAD = 0.1
"""Of a warning's size: what the reference's windows are taken to vary by at least."""
WEEK = 7 * 86400.0


class Setting(NamedTuple):
    """A setting of a method, and what it would have done."""

    metric: str
    method: str
    setting: float
    consecutive: int
    alerts: int
    alerts_a_week: float
    false_alerts: int
    """Alerts outside of the marked incidents; all of them if none is marked."""
    false_alerts_a_week: float
    missed: float
    """Incidents in which no alert began; NaN if none is marked."""
    delay: float
    """Windows from the beginning of an incident to the first alert that began in it, the mean of those not missed."""
    sees: float
    """The smallest effect that, if it lasts, alerts in time, and is not taken for chance; in the metric's unit, the
    geometric mean of the columns."""
    fits: bool
    chosen: bool


class Incident(NamedTuple):
    """Windows first to last, by number, of a time in which alerts are right."""

    first: int
    last: int


class Replay(NamedTuple):
    """The settings that were tried, the rules of the chosen ones by metric, and the weeks they were tried on."""

    settings: tuple[Setting, ...]
    rules: dict[str, tuple[Rule, ...]]
    weeks: float
    series: dict[str, int]
    """Columns (times segments) that each metric was tried on."""
    untold: tuple[str, ...]
    """Metrics of which the history has no value."""


class _Block(NamedTuple):
    """A metric's windows: the effects (series, windows) with what chance comes to, and those of the reference's windows."""

    metric: Metric
    of: list[tuple[str | None, str | None]]
    effect: Floats
    noise: Floats
    sure: Bools
    level: Floats  # the reference's value (series,)
    chunks: Floats  # (series, windows of the reference)


class _Candidate(NamedTuple):
    method: str
    setting: float
    values: Floats  # (series, windows)
    limit: Floats  # (series, windows or 1)
    sees: Floats  # (series,)
    rules: list[Rule]


def can_be_tuned(metric: Metric) -> bool:
    """Whether a metric has a size that alerts, for every window by itself."""
    apart = {"pairs", "rows", "verdicts", "distances_of_windows", "evidence", "prediction_strata", *CHARTED}
    return (
        metric.judged and not (metric.over_time or metric.read_off_results) and apart.isdisjoint(metric.reads)
    )


def starts_of(windows: Sequence[str]) -> Floats:
    """When windows begin [s since 1970]."""
    return np.array(windows, "M8[s]").astype(np.int64).astype(np.float64)


def replay(
    reference: Profile,
    history: Profile,
    metrics: tuple[Metric, ...],
    budget: float,
    *,
    min_rows: int = 0,
    consecutive: Sequence[int] = (1,),
    release: float = 1.0,
    incidents: Sequence[Incident] = (),
    within: int = 7,
    methods: Sequence[str] = tuple(METHODS),
    maturity: float = 0.8,
) -> Replay:
    """Try all settings on ``history`` and choose for each metric the most sensitive that fits its part of the budget.

    Both profiles carry their totals. ``budget`` is the alerts a week of all columns and metrics together, outside of
    incidents; every metric has an equal part, so that all keep it together. The most sensitive is what misses the fewest
    incidents, then what is quickest; without incidents, what sees the smallest change that lasts ``within`` windows.
    """
    windows = dated(history.windows)
    if len(windows) < 2:
        raise InputError("a history of fewer than two windows tells no alerts a week: use a narrower window")
    starts = starts_of(windows)
    weeks = float(starts[-1] - starts[0] + np.median(np.diff(starts))) / WEEK
    level = Thresholds().level(metrics)
    now = measure(reference, history, metrics, level=level, maturity=maturity)
    chunks = dated(reference.windows)
    chunked = len(chunks) >= FEWEST_WINDOWS
    before = measure(reference, reference, metrics, level=None, maturity=maturity) if chunked else None
    sure = q_values(now.results, metrics)
    found = np.isnan(sure) | (sure < SIGNIFICANCE)
    inside = np.zeros(len(windows), np.bool_)
    for incident in incidents:
        inside[incident.first : incident.last + 1] = True
    settings: list[Setting] = []
    rules: dict[str, tuple[Rule, ...]] = {}
    quiet = weeks * float((~inside).mean())
    blocks = {
        metric.name: _block(metric, now, found, before, windows, chunks, min_rows) for metric in metrics
    }
    told_of = [block for block in blocks.values() if block is not None]
    for block in told_of:
        metric, share = block.metric, budget / len(told_of)
        tried: list[tuple[Setting, list[Rule]]] = []
        for candidate in _candidates(block, within):
            if candidate.method not in methods:
                continue
            charts = candidate.method in CHARTS
            for runs in consecutive:
                on = alarms(
                    candidate.values, candidate.limit, release, runs, sure=True if charts else block.sure
                )
                told = _told(metric, candidate, runs, on, inside, incidents, weeks, quiet, share, within)
                tried.append((told, candidate.rules))
        best = min(
            (i for i, (told, _) in enumerate(tried) if told.fits),
            key=lambda i: order(tried[i][0]),
            default=None,
        )
        settings += [told._replace(chosen=i == best) for i, (told, _) in enumerate(tried)]
        if best is not None:
            runs = tried[best][0].consecutive
            rules[metric.name] = tuple(
                replace(rule, min_rows=min_rows, consecutive=runs, release=release) for rule in tried[best][1]
            )
    sizes = {block.metric.name: len(block.of) for block in told_of}
    untold = tuple(name for name, block in blocks.items() if block is None)
    return Replay(tuple(settings), rules, weeks, sizes, untold)


def order(setting: Setting) -> tuple[float, ...]:
    """What settings are compared by, the most sensitive first: missed incidents and delay, else the change that is seen."""
    if np.isnan(setting.missed):
        return (setting.sees, setting.consecutive, setting.false_alerts)
    delay = np.inf if np.isnan(setting.delay) else setting.delay
    return (setting.missed, delay, setting.false_alerts, setting.sees, setting.consecutive)


def _told(
    metric: Metric,
    candidate: _Candidate,
    consecutive: int,
    on: Bools,
    inside: Bools,
    incidents: Sequence[Incident],
    weeks: float,
    quiet: float,
    share: float,
    within: int,
) -> Setting:
    """What a setting would have done."""
    begun = on & ~np.concatenate((np.zeros((on.shape[0], 1), np.bool_), on[:, :-1]), axis=1)
    first = [np.flatnonzero(begun[:, at.first : at.last + 1].any(axis=0)) for at in incidents]
    delays = [int(some[0]) for some in first if some.size]
    alerts, wrong = int(on.sum()), int(on[:, ~inside].sum())
    rate = wrong / quiet if quiet > 0 else 0.0
    tiny = np.finfo(np.float64).tiny
    sees = (
        float(np.exp(np.mean(np.log(np.maximum(candidate.sees, tiny))))) if consecutive <= within else np.inf
    )
    return Setting(
        metric.name,
        candidate.method,
        candidate.setting,
        consecutive,
        alerts,
        alerts / weeks,
        wrong,
        rate,
        len(incidents) - len(delays) if incidents else np.nan,
        float(np.mean(delays)) if delays else np.nan,
        sees,
        rate <= share,
        chosen=False,
    )


def _block(
    metric: Metric,
    now: Measured,
    sure: Bools,
    before: Measured | None,
    windows: list[str],
    chunks: list[str],
    min_rows: int,
) -> _Block | None:
    """What the windows show of a metric; None if no window has a value."""
    results = now.results
    place = {name: i for i, name in enumerate(windows)}
    rows = [i for i in _rows(metric, now) if results["window"][i] in place]
    of = list(
        dict.fromkeys(
            (results["column"][i], results["segment"][i])
            for i in rows
            if np.isfinite(now.effect[i]) and results["n"][i] >= min_rows
        )
    )
    if not of:
        return None
    number = {at: i for i, at in enumerate(of)}
    effect, noise = np.full((len(of), len(windows)), np.nan), np.zeros((len(of), len(windows)))
    is_sure, level = np.zeros(effect.shape, np.bool_), np.full(len(of), np.nan)
    for i in rows:
        s, w = number.get((results["column"][i], results["segment"][i])), place[results["window"][i]]
        if s is not None and results["n"][i] >= min_rows:
            effect[s, w], noise[s, w], is_sure[s, w] = now.effect[i], np.nan_to_num(now.noise[i]), sure[i]
            level[s] = results["reference"][i]
    past = np.full((len(of), len(chunks)), np.nan)
    if before is not None:
        place = {name: i for i, name in enumerate(chunks)}
        results = before.results
        for i in _rows(metric, before):
            s = number.get((results["column"][i], results["segment"][i]))
            if s is not None and results["window"][i] in place and results["n"][i] >= min_rows:
                past[s, place[results["window"][i]]] = before.effect[i]
    return _Block(metric, of, effect, noise, is_sure, level, past)


def _rows(metric: Metric, measured: Measured) -> list[int]:
    results = measured.results
    mine = (results["metric"] == metric.name) & np.isin(results["id"], list(metric.ids))
    return [int(i) for i in np.flatnonzero(mine) if results["status"][i] != "error"]


def _candidates(block: _Block, within: int) -> Iterator[_Candidate]:
    """Every setting of every method that the block has the numbers for."""
    metric, series = block.metric, len(block.of)
    assert metric.alert is not None
    if metric.conventional is not None:
        yield _fixed(block, "conventional", metric.conventional[1], np.full(series, metric.conventional[1]))
    for step in STEPS:
        yield _fixed(block, "static", metric.alert * step, np.full(series, metric.alert * step))
    if not metric.compares and not metric.relative and np.all(np.abs(block.level) > 0):
        for step in STEPS:
            yield _fixed(block, "relative", 0.1 * step, 0.1 * step * np.abs(block.level))
    if block.noise.any():
        least = metric.alert if metric.warn is None else metric.warn
        for step in STEPS:
            rules = [Rule(least, column=at[0], segment=at[1], noise=float(step)) for at in block.of]
            limit = np.maximum(step * block.noise, least)  # as rules.limits says
            sees = np.maximum(np.median(limit, axis=1), _chance(block))
            yield _Candidate("noise", float(step), block.effect, limit, sees, rules)
    yield from _from_history(block, within)


def _fixed(block: _Block, method: str, setting: float, limit: Floats) -> _Candidate:
    """A limit for each series, the same for all windows."""
    rules = [Rule(float(each), column=at[0], segment=at[1]) for at, each in zip(block.of, limit, strict=True)]
    sees = np.maximum(limit, _chance(block))
    return _Candidate(method, float(setting), block.effect, limit[:, None], sees, rules)


def _chance(block: _Block) -> Floats:
    """What chance exceeds now and then in a window of each series: an effect below is not sure, whatever the limit."""
    return np.asarray(np.median(block.noise, axis=1))


def _from_history(block: _Block, within: int) -> Iterator[_Candidate]:
    """The methods that look at the reference's windows; a series that has too few takes the widest of the others."""
    metric = block.metric
    told = np.count_nonzero(np.isfinite(block.chunks), axis=1) >= FEWEST_WINDOWS
    if not told.any():
        return
    known = [chunks[np.isfinite(chunks)] for chunks in block.chunks]

    def each(statistic: Any) -> Floats:
        found = np.full(len(known), np.nan)
        for s in np.flatnonzero(told).tolist():
            found[s] = statistic(known[s])
        return np.where(told, found, np.nanmax(found))

    size = metric.alert if metric.warn is None else metric.warn
    assert size is not None
    mean = each(np.mean)
    spread = np.maximum(each(lambda x: np.std(x, ddof=1)), LEAST_SPREAD * size)
    for k in SIGMAS:
        yield _fixed(block, "sigma", k, mean + k * spread)
    for q in QUANTILES:
        yield _fixed(block, "quantile", q, each(lambda x, q=q: np.quantile(x, q)))
    for level in TAILS:
        yield _fixed(block, "tail", level, each(lambda x, level=level: critical_from_history(x, level)))
    z = (block.effect - mean[:, None]) / spread[:, None]
    for chart, seen in (("cusum", seen_by_cusum), ("ewma", seen_by_ewma)):
        values = charted(chart, z)
        for limit in CHART_LIMITS:
            rules = [
                Rule(float(limit), column=at[0], segment=at[1], chart=chart, centre=float(m), spread=float(s))
                for at, m, s in zip(block.of, mean, spread, strict=True)
            ]
            sees = mean + spread * seen(limit, within)
            yield _Candidate(chart, float(limit), values, np.full((len(mean), 1), limit), sees, rules)


def incidents_in(
    marked: Sequence[tuple[float, float | None]], windows: Sequence[str]
) -> tuple[Incident, ...]:
    """Incidents as (start, end or None) [s since 1970] in numbers of windows; one without an end lasts to the next.

    OptionError if one is not in the history.
    """
    starts = starts_of(windows)
    width = float(np.median(np.diff(starts))) if starts.size > 1 else 0.0
    found = []
    for i, (begin, end) in enumerate(sorted(marked, key=lambda it: it[0])):
        if not starts[0] <= begin < starts[-1] + width:
            raise OptionError(
                f"the incident of {np.datetime64(int(begin), 's')} is not in the history that is replayed, which goes from "
                f"{windows[0]} to {windows[-1]}"
            )
        later = sorted(it[0] for it in marked)[i + 1 :]
        first = int(np.searchsorted(starts, begin, "right")) - 1
        if end is not None:
            last = int(np.searchsorted(starts, end, "right")) - 1
        else:
            last = int(np.searchsorted(starts, later[0], "right")) - 2 if later else len(windows) - 1
        found.append(Incident(first, max(first, last)))
    return tuple(found)
