"""What is shown of groups of people, of slices of the rows and of feature importance, where a report has them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from gpumon.metrics.fairness import FAIRNESS
from gpumon.metrics.groups import divisions
from gpumon.metrics.importance import IMPORTANCE
from gpumon.profiles.groups import GroupErrors, Groups
from gpumon.reports.charts import Course, Group, course_svg, groups_svg
from gpumon.statistics.fairness import FOUR_FIFTHS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpumon.metrics.results import Result
    from gpumon.reports.report import Report

__all__ = ["Part", "charts", "parts", "sentence"]

GAPS = {metric.name for metric in FAIRNESS if metric.part}
RATES = [metric.name for metric in FAIRNESS if not metric.part]
OF_MODEL = {metric.name for metric in IMPORTANCE} - {"importance_share"}
CHANGE, EXCESS = "loss_contribution", "excess_loss"
SUSPECTED = ("prediction_odds_shift", "prediction_cramers_v")
DRAWN = {
    "group_selection_rate": "selection rate",
    "group_true_positive_rate": "true positive rate",
    "group_calibration": "score − rate of positives",
    "group_mae": "MAE",
}
"""Rates of which there is a chart for each column, and what they are called there."""

MOST_GROUPS, MOST_FEATURES, MOST_COURSES = 60, 20, 3
SURE = 0.05


class Part(NamedTuple):
    """A part of the report: a table of measures, and what is drawn."""

    id: str
    title: str
    lead: str
    rows: list[Result]
    rates: list[str]
    """The rates of groups, by name; of each group there is one ``Result`` or none in ``groups``."""
    groups: dict[str, list[Result | None]]
    charts: dict[str, str]
    empty: str
    """What is said where ``rows`` are none."""


def parts(report: Report) -> list[Part]:
    """The parts that the report has data for."""
    found = [_fairness(report), _slices(report), _importance(report)]
    return [part for part in found if part is not None]


def charts(report: Report) -> dict[str, str]:
    """The charts of all parts, by name."""
    return {name: svg for part in parts(report) for name, svg in part.charts.items()}


def sentence(report: Report) -> str:
    """What is to be said first, if anything is."""
    words = []
    for part in parts(report):
        told = [row for row in part.rows if row.status in {"alert", "warn"}]
        if part.id == "slices":
            told = [row for row in told if row.metric == CHANGE]
        if not told:
            continue
        if part.id == "slices":
            words.append(f"It became worse most where {told[0].column}.")
        elif part.id == "fairness":
            more = f" and {len(told) - 1} more" if len(told) > 1 else ""
            words.append(f"Groups are not treated alike: {_words(told[0].metric)} {told[0].column}{more}.")
    return " ".join(words)


def _whole(report: Report, names: Iterable[str]) -> list[Result]:
    """The results of some metrics for the table as a whole, the gravest first, then those that are judged."""
    wanted = set(names)
    rows = [row for row in report.results.where(window=None, segment=None) if row.metric in wanted]
    ranks = {"alert": 0, "error": 1, "warn": 2}
    return sorted(rows, key=lambda row: (ranks.get(row.status, 3), math.isnan(row.threshold)))


def _fairness(report: Report) -> Part | None:
    rows, rates = _whole(report, GAPS), _whole(report, RATES)
    if not rates:
        return None
    named = [name for name in RATES if any(row.metric == name for row in rates)]
    at = {(row.column or "", row.metric): row for row in rates}
    groups = list(dict.fromkeys(row.column or "" for row in rates))[:MOST_GROUPS]
    plan = next(state for state in report.reference.plan.values() if isinstance(state, Groups | GroupErrors))
    drawn: dict[str, str] = {}
    for division in divisions(plan.binnings):
        for metric, words in DRAWN.items():
            shown = [at[group, metric] for group in division.groups if (group, metric) in at]
            if len(shown) > 1:
                title = f"{words} {division.name}"
                drawn[title] = _chart(title, shown, limited=metric == "group_selection_rate")
        drawn |= _gaps(division.name, rows)
    return Part(
        "fairness",
        "Fairness",
        "how groups of people are treated",
        rows,
        named,
        {group: [at.get((group, name)) for name in named] for group in groups},
        drawn | _courses(report, rows),
        "No two groups have enough rows to be compared.",
    )


def _chart(title: str, rows: list[Result], *, limited: bool = False) -> str:
    """Groups with intervals; the line of four fifths of the highest where rows are selection rates."""
    groups = [
        Group(row.column or "", row.value, row.ci_lower, row.ci_upper, row.reference)
        for row in rows
        if math.isfinite(row.value)
    ]
    groups.sort(key=lambda group: group.value)
    highest = max((group.value for group in groups), default=math.nan)
    if not limited:
        return groups_svg(title, "", groups)
    return groups_svg(title, "line: four fifths of the highest", groups, level=FOUR_FIFTHS * highest)


def _gaps(by: str, rows: list[Result]) -> dict[str, str]:
    """The differences between the extreme groups of a division, with their intervals and the reference's."""
    groups = [
        Group(
            _words(row.metric).removesuffix(" difference"),
            row.value,
            row.ci_lower,
            row.ci_upper,
            row.reference,
        )
        for row in rows
        if row.column == by and row.metric.endswith("_difference") and math.isfinite(row.value)
    ]
    return {f"gaps {by}": groups_svg(f"gaps {by}", "highest − lowest", groups)} if groups else {}


def _words(name: str) -> str:
    return name.replace("_", " ")


def _courses(report: Report, rows: list[Result]) -> dict[str, str]:
    """The judged gaps window by window."""
    labels = report.current.windows
    found: dict[str, str] = {}
    for gap in [row for row in rows if math.isfinite(row.threshold)][: MOST_COURSES if labels else 0]:
        over = report.results.where(metric=gap.metric, column=gap.column, segment=None)
        at = {row.window: row for row in over if row.window is not None}
        there = [at.get(label) for label in labels]
        values, lower, upper = (
            [math.nan if row is None else float(getattr(row, name)) for row in there]
            for name in ("value", "ci_lower", "ci_upper")
        )
        status = ["no_data" if row is None else row.status for row in there]
        title = f"{_words(gap.metric)} {gap.column}"
        course = Course("realised", values, lower, upper, status)
        found[f"{title} by window"] = course_svg(title, labels, [course], level=gap.reference)
    return found


def _slices(report: Report) -> Part | None:
    change, excess = _whole(report, [CHANGE]), _whole(report, [EXCESS])
    shifted = [row for row in _whole(report, SUSPECTED) if row.status == "warn"]
    if not (change or excess or shifted):
        return None
    rows = [row for row in (*change, *excess) if row.p_value < SURE and row.value > 0] + shifted
    return Part(
        "slices",
        "Where it is worst",
        "slices of the rows by what they add to the mean loss",
        rows,
        [],
        {},
        {},
        "No slice stands out: what differs between them is within chance.",
    )


def _importance(report: Report) -> Part | None:
    rows = _whole(report, OF_MODEL)
    if not rows:
        return None
    shares = [row for row in _whole(report, ["importance_share"]) if math.isfinite(row.value)]
    shares.sort(key=lambda row: -max(row.value, row.reference))
    groups = [Group(row.column or "", row.value, math.nan, math.nan, row.reference) for row in shares]
    drawn = (
        {"importance": groups_svg("Share of the importance", "ring: reference", groups[:MOST_FEATURES])}
        if groups
        else {}
    )
    return Part("importance", "Importance", "of the features to the model", rows, [], {}, drawn, "")
