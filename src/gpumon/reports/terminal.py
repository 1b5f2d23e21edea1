"""The report in a terminal: the verdict, then the columns, most important first."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from gpumon.reports import breakdowns, views
from gpumon.reports.over_time import over_time
from gpumon.reports.report import PRIMARY

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from gpumon.metrics.results import Result
    from gpumon.profiles.profile import Profile
    from gpumon.reports.report import Report

__all__ = ["MARKS", "show", "text"]

MARKS = {
    "alert": ("▲", "bold red"),
    "warn": ("●", "yellow"),
    "ok": ("·", "green"),
    "no_data": ("○", "dim"),
    "error": ("✕", "bold red"),
}
SHOWN = ("jensen_shannon", "psi", "kolmogorov_smirnov", "missing_rate")
MEASURES = ("labelled_share", "r_squared", "calibration_error", "mae", "rmse", "accuracy", "auc")
"""Measures that are always printed; others only if they are judged."""
MOST = 30
SHOWN_ROWS = 10  # of groups, slices and importance
BLOCKS = " ▁▂▃▄▅▆▇█"


def text(report: Report, width: int = 120) -> str:
    """The report as plain text."""
    from rich.console import Console

    sink = StringIO()
    show(report, Console(file=sink, width=width, color_system=None, force_jupyter=False))
    return sink.getvalue().rstrip()


def show(report: Report, console: Console, *, most: int = MOST) -> None:
    """Print the report; columns that are ok come after the others, and at most ``most`` are listed."""
    from rich.table import Table
    from rich.text import Text

    mark, style = MARKS[report.status]
    console.print(Text(f"{mark} {_printable(views.sentence(report))}", style=style))
    counts = views.summary(report)
    tables = f"{counts['rows_current']:,} {'rows' if views.alone(report) else 'current rows'}"
    if not views.alone(report):
        tables = f"{counts['rows_reference']:,} reference rows, {tables}"
    console.print(
        Text(
            f"  {tables}; "
            + ", ".join(f"{counts[status]} {status.replace('_', ' ')}" for status in MARKS if counts[status]),
            style="dim",
        )
    )
    _show_performance(report, console, everything=most > MOST)
    _show_over_time(report, console)
    for part in breakdowns.parts(report):
        console.print(Text(f"{part.title}: {part.lead}", style="bold"))
        rows = part.rows if most > MOST else part.rows[:SHOWN_ROWS]
        if rows:
            console.print(_measures(rows))
        elif part.empty:
            console.print(Text(f"  {part.empty}", style="dim"))
        if len(rows) < len(part.rows):
            console.print(Text(f"  … and {len(part.rows) - len(rows)} more", style="dim"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("")
    table.add_column("column", overflow="ellipsis", max_width=28, no_wrap=True)
    for heading in ("JS", "PSI", "KS", "missing"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("reference → current", no_wrap=True)
    table.add_column("what happened", overflow="fold", ratio=1)
    whole = report.results.where(window=None, segment=None)
    values = {(row.column, row.metric): row.value for row in whole if row.metric in SHOWN}
    labels = list(report.columns)
    for label in labels[:most]:
        status = report.columns[label]
        mark, style = MARKS[status]
        cells = [_number(values.get((label, metric))) for metric in SHOWN]
        drawn = views.column(report, label)
        table.add_row(
            Text(mark, style=style), Text(_printable(label), style=style if status != "ok" else ""), *cells,
            Text(_spark(drawn)), Text(_printable(report.reason(label))),
        )  # fmt: skip
    console.print(table)
    if len(labels) > most:
        console.print(Text(f"  … and {len(labels) - most} more columns, {PRIMARY} falling", style="dim"))
    for note in report.notes:
        console.print(Text(f"  note: {_printable(note)}", style="dim"))


def _show_performance(report: Report, console: Console, *, everything: bool) -> None:
    """Print how the model did: what is judged, what is not ok, and how many labels there are."""
    rows = [
        row
        for row in views.performance(report)
        if everything
        or row.threshold == row.threshold
        or row.metric in MEASURES
        or row.metric == "suspected_concept_drift"
        or (row.column is None and row.status not in {"ok", "no_data"})
    ]
    if rows:
        console.print(_measures(rows))


def _measures(rows: list[Result]) -> Table:
    """A table of measures, one a line."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("")
    table.add_column("measure", overflow="fold", max_width=44)
    for heading in ("value", "95 % interval", "reference"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("what happened", overflow="fold", ratio=1)
    for row, name in zip(rows, views.measure_names(rows), strict=True):
        mark, style = MARKS[row.status]
        known = row.ci_lower == row.ci_lower
        interval = f"{_short(row.ci_lower)} … {_short(row.ci_upper)}" if known else ""
        table.add_row(
            Text(mark, style=style), Text(_printable(name), style=style if row.status in {"alert", "warn"} else ""),
            _short(row.value), interval, _short(row.reference), Text(_printable(row.reason)),
        )  # fmt: skip
    return table


def _show_over_time(report: Report, console: Console) -> None:
    """Print what the windows show together: breaches, charts and trends of the measures, changes, detectors."""
    from rich.table import Table
    from rich.text import Text

    found = over_time(report)
    if found["measures"]:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("")
        table.add_column("over time", no_wrap=True)
        for heading in ("breaches", "CUSUM (limit)", "EWMA (limit)", "trend a window"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("what happened", overflow="fold", ratio=1)
        for row in found["measures"]:
            mark, style = MARKS[row["status"]]
            charts = [
                f"{_short(row[part]['value'])} ({_short(row[part]['threshold'])})"
                for part in ("cusum", "ewma")
            ]
            table.add_row(
                Text(mark, style=style), Text(row["name"], style=style if row["status"] in {"alert", "warn"} else ""),
                _short(row["breaches"]["value"]), *charts, _short(row["trend"]["value"]), Text(_printable(row["reason"])),
            )  # fmt: skip
        console.print(table)
    for row in (*found["changes"], *found["detectors"], *found["early"]):
        if row["reason"]:
            mark, style = MARKS[row["status"]]
            name = row["name"].replace("_", " ") if row not in found["early"] else "early warning"
            console.print(Text(f"{mark} {_printable(name)}: {_printable(row['reason'])}", style=style))


def _number(value: float | None) -> str:
    if value is None or value != value:  # noqa: PLR0124 (NaN)
        return "–"
    return f"{value:.3f}" if 0.0005 <= abs(value) < 1000 or value == 0 else f"{value:.1e}"


def _spark(drawn: dict[str, object]) -> str:
    """Two rows of blocks, reference and current, on one scale."""
    histogram, categories = drawn["histogram"], drawn["categories"]
    if isinstance(histogram, dict):
        sides = [histogram["reference"], histogram["current"]]
        sides = [[sum(side[i : i + 4]) for i in range(0, len(side), 4)] for side in sides]
    elif isinstance(categories, list) and categories:
        sides = [[row[i] for row in categories[:10]] for i in (1, 2)]
    else:
        return ""
    top = max((max(side) for side in sides), default=0) or 1
    return " → ".join("".join(BLOCKS[min(8, round(8 * x / top))] for x in side) for side in sides)


def _printable(words: str) -> str:
    """Text from data, without control characters that would move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in words)


def show_profile(profile: Profile, console: Console) -> None:
    """Print what a profile holds, one line a column."""
    from rich.table import Table
    from rich.text import Text

    from gpumon.metrics import chosen
    from gpumon.metrics.measure import measure

    names = ("count", "missing_rate", "distinct_count", "mean", "std", "min", "max")
    whole = profile.with_totals()
    rows = measure(whole, whole, chosen(names)).results.where(window=None, segment=None)
    values = {(row.column, row.metric): row.value for row in rows}
    console.print(Text(_printable(repr(profile)), style="bold"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("column", "kind", "role", *names):
        table.add_column(heading, justify="left" if heading in {"column", "kind", "role"} else "right")
    for column in profile.schema:
        cells = [_short(values.get((column.name, name))) for name in names]
        table.add_row(Text(_printable(column.name)), column.kind.value, column.role.value, *cells)
    console.print(table)


def show_document(path: str, console: Console) -> str:
    """Print a report that was saved as JSON; returns its status. InputError if it is none."""
    import json
    from pathlib import Path

    from rich.text import Text

    from gpumon.errors import InputError

    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        if document["gpumon"] != "report":
            raise ValueError  # noqa: TRY301
        status, sentence = document["status"], str(document["sentence"])
        columns = [
            (str(item["column"]), item["status"], MARKS[item["status"]]) for item in document["columns"]
        ]
        mark, style = MARKS[status]
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is not a report of gpumon: write one with gpumon scan --json") from error
    console.print(Text(f"{mark} {_printable(sentence)}", style=style))
    for label, verdict, (mark, style) in columns:
        if verdict != "ok":
            console.print(Text(f"  {mark} {_printable(label)}: {verdict.replace('_', ' ')}", style=style))
    return str(status)


def _short(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:,.4g}" if abs(value) < 1e6 else f"{value:.3e}"  # noqa: PLR0124
