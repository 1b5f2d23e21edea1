"""What happened to a column, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpumon.profiles.categorical import Categorical
from gpumon.profiles.numeric import Numeric
from gpumon.statistics.stuck import stuck

if TYPE_CHECKING:
    from gpumon.profiles.clusters import Clusters
    from gpumon.profiles.state import State

__all__ = ["cluster_in_words", "in_words", "percent", "stuck_in_words"]

NOTABLE = 0.02  # a change of a share that is worth a word
TOLD = 3  # columns that say where a cluster is


def percent(share: float) -> str:
    """A share as people read it.

    >>> percent(0.1234), percent(0.00012), percent(0.034), percent(0.9999), percent(2.99)
    ('12 %', '0.012 %', '3.4 %', '99.99 %', '299 %')
    """
    if not 0 < share < 1:
        return f"{100 * share:.0f} %"
    telling, digits = (share, 1) if share < 0.99 else (1 - share, 0)
    digits = max(0, digits - int(np.floor(np.log10(100 * telling) + 1e-9)))
    return f"{100 * share:.{min(digits, 6)}f} %"


def in_words(reference: State, current: State) -> str:
    """The one or two most telling facts about what moved between two states of a column."""
    facts: list[str] = []
    if isinstance(reference, Numeric) and isinstance(current, Numeric):
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            facts = _numeric(reference, current)
    elif isinstance(reference, Categorical) and isinstance(current, Categorical):
        facts = _categorical(reference, current)
    return "; ".join(facts[:3])


def stuck_in_words(reference: Numeric, current: Numeric) -> str:
    """Which value, or which narrow range, the model has come to repeat."""
    with np.errstate(invalid="ignore"):
        std = np.sqrt(reference.moments[2] / max(reference.moments[0] - 1, 1))
    now = (current.extremes, current.registers, current.moments)
    found = stuck(reference.counts, current.counts, current.edges, *now, np.asarray(std))
    low, high, share = float(found.lower), float(found.upper), float(found.share)
    what = f"the value {low:.6g}" if low == high else f"a value between {low:.6g} and {high:.6g}"
    if share == 1 and low == high:
        return f"constant: all rows are {low:.6g}"
    return f"stuck: {percent(share)} of rows have {what}, where no value had more than {percent(float(found.before))}"


def cluster_in_words(reference: Clusters, current: Clusters) -> str:
    """The cluster whose share has changed most, and where it is: by the columns in which it is farthest out."""
    was, now = (state.counts.sum(axis=1) / max(state.counts.sum(), 1) for state in (reference, current))
    at = int(np.argmax(np.abs(now - was)))
    place = current.places[at]
    where = [
        f"{current.columns[i]} {current.centre[i] + place[i] * current.scale[i]:.5g}"
        for i in np.argsort(-np.abs(place), kind="stable")[:TOLD].tolist()
    ]
    return (
        f"{percent(float(now[at]))} of rows are near {', '.join(where)}, where {percent(float(was[at]))} were"
    )


def _numeric(reference: Numeric, current: Numeric) -> list[str]:
    facts = []
    (n, mean, m2), (m, now, now2) = reference.moments, current.moments
    if n > 1 and m > 1:
        std = float(np.sqrt(m2 / (n - 1)))
        shift = (now - mean) / std if std > 0 else 0.0
        if std == 0 and now != mean:
            facts.append(f"was always {mean:.6g}, is now {now:.6g} on average")
        elif abs(shift) >= 0.05:
            facts.append(f"moved {'up' if shift > 0 else 'down'} by {abs(shift):.2f} std")
        spread = float(np.sqrt(now2 / (m - 1))) / std if std > 0 else 1.0
        if not 0.8 <= spread <= 1.25:
            facts.append(f"spread is {spread:.2g} times what it was")
    facts += _tails(reference, current) or _part(reference, current)
    facts += _missing(_missing_share(reference.counts), _missing_share(current.counts))
    return facts or ["the shape changed a little"]


def _tails(reference: Numeric, current: Numeric) -> list[str]:
    """The larger change of the shares beyond the reference's 1st and 99th percentile."""
    before, now = reference.counts[:-2], current.counts[:-2]
    if not before.sum() or not now.sum():
        return []
    level = np.cumsum(before) / before.sum()
    top = int(np.searchsorted(level, 0.99)) + 1  # cells wholly above the 99th percentile
    bottom = int(np.searchsorted(level, 0.01))
    found = []
    for cells, words in (
        (slice(top, None), "above the reference's 99th"),
        (slice(None, bottom), "below the reference's 1st"),
    ):
        was, is_now = before[cells].sum() / before.sum(), now[cells].sum() / now.sum()
        if is_now > 2 * was and is_now - was > 0.005:
            found.append((is_now - was, f"{percent(float(is_now))} of rows are now {words} percentile"))
    return [max(found)[1]] if found else []


def _part(reference: Numeric, current: Numeric) -> list[str]:
    """The fifth of the reference whose share of the rows changed most."""
    before, now = reference.counts[1:-3], current.counts[1:-3]
    if not before.sum() or not now.sum():
        return []
    level = np.cumsum(before) / before.sum()
    ends = np.unique(
        [0, *(int(np.searchsorted(level, part)) + 1 for part in (0.2, 0.4, 0.6, 0.8)), before.size]
    )
    was, is_now = (np.add.reduceat(side, ends[:-1]) / side.sum() for side in (before, now))
    i = int(np.argmax(np.abs(is_now - was)))
    if abs(is_now[i] - was[i]) < NOTABLE:
        return []
    edges = reference.edges
    low, high = ends[i] - 1, ends[i + 1] - 1  # cells → edges; the first and the last cell are open
    where = (
        f"below {edges[high]:.4g}" if low < 0
        else f"above {edges[low]:.4g}" if high >= edges.size
        else f"between {edges[low]:.4g} and {edges[high]:.4g}"
    )  # fmt: skip
    return [f"{percent(float(is_now[i]))} of rows are {where}, where {percent(float(was[i]))} were"]


def _missing_share(counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> float:
    return float(counts[-2:].sum() / max(1, counts.sum()))


def _missing(before: float, now: float) -> list[str]:
    if abs(now - before) < 0.005:
        return []
    return [f"missing {'rose' if now > before else 'fell'} from {percent(before)} to {percent(now)}"]


def _categorical(reference: Categorical, current: Categorical) -> list[str]:
    facts = []
    rows, now_rows = max(1, reference.rows), max(1, current.rows)
    if reference.counts.size:
        before, now = reference.counts / rows, current.counts / now_rows
        i = int(np.argmax(np.abs(now - before)))
        if abs(now[i] - before[i]) >= NOTABLE / 4:
            verb = "rose" if now[i] > before[i] else "fell"
            facts.append(
                f"{_quoted(reference.vocabulary[i])} {verb} from {percent(before[i])} to {percent(now[i])}"
            )
    if current.outside.any() and not reference.outside.any():
        names = [_quoted(name) for name, _ in current.names.items()[:3]]
        new = f" ({', '.join(names)}{', …' if len(current.names.values) > 3 else ''})" if names else ""
        facts.append(
            f"{percent(float(current.outside.sum() / now_rows))} of rows have values that the reference lacks{new}"
        )
    missing = _missing(float(reference.missing / rows), float(current.missing / now_rows))
    return [*facts, *missing] or ["many categories moved a little"]


def _quoted(name: str) -> str:
    return f"“{name[:40]}{'…' if len(name) > 40 else ''}”"
