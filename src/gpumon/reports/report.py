"""Report: results, shown. Every view is drawn from the one table of results."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gpumon.errors import OptionError
from gpumon.metrics.readings import units
from gpumon.profiles.times import Rows
from gpumon.verdicts.judge import worst

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import pyarrow as pa

    from gpumon.metrics.results import Results
    from gpumon.profiles.profile import Profile

__all__ = ["FORMATS", "PRIMARY", "Figure", "Report"]

PRIMARY = "jensen_shannon"
"""The metric that columns are ranked by: it has one scale for all kinds of columns."""

FORMATS = (".html", ".json", ".parquet", ".csv")


class Figure:
    """A drawing: SVG that a notebook shows, and that ``save`` writes."""

    def __init__(self, svg: str) -> None:
        self.svg = svg

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> None:
        """Write the SVG file."""
        from gpumon.profiles.files import write

        write(path, self.svg.encode())


class Report:
    """What a scan found.

    ``print(report)`` and a notebook show it; ``to_pandas()`` is the tidy table, one row a result;
    ``save("scan.html")`` writes a page that needs no network.
    """

    def __init__(
        self,
        results: Results,
        reference: Profile,
        current: Profile,
        facts: Mapping[str, str],
        notes: tuple[str, ...] = (),
    ) -> None:
        self.results = results
        """The results, one row a metric, column, window and segment."""
        self.reference = reference
        """The reference's profile, totals included."""
        self.current = current
        """The current table's profile, totals included."""
        self.facts = dict(facts)
        """How the scan was made: tables, rows, backend, versions, seconds."""
        self.notes = notes
        """What a reader should know: columns left out, values rounded, …"""

    @cached_property
    def status(self) -> str:
        """The gravest status: of the columns, and of all results of windows and segments that have data."""
        skipped = {"error"} if self.unreadable else set()
        if not any(state.rows for state in self.current.states.values() if isinstance(state, Rows)):
            return worst({"no_data", *skipped})
        measured = set(self.results["column"].tolist())  # of others nothing was asked
        columns = {status for label, status in self.columns.items() if label in measured}
        return worst({*skipped, *columns, *(set(self.results["status"].tolist()) - {"no_data"})})

    @property
    def unreadable(self) -> list[tuple[str, int | None, str]]:
        """The files that were skipped, as (path, rows if known, why): with any, the status is error at least."""
        return [
            (file[0], file[1], file[2])
            for counted in (self.reference, self.current)
            for file in counted.facts.get("unreadable", ())
        ]

    @cached_property
    def columns(self) -> dict[str, str]:
        """The status of every column (all windows and segments together), most important first."""
        whole = self.results.where(window=None, segment=None)
        statuses: dict[str, list[str]] = {unit.label: [] for unit in units(self.reference)}
        values: dict[str, list[bool]] = {}
        score = dict.fromkeys(statuses, -1.0)
        for row in whole:
            if row.column in statuses:
                values.setdefault(row.column, []).append(row.n > 0)
                if row.threshold == row.threshold and row.value == row.value:  # judged
                    statuses[row.column].append(row.status)
                if row.metric == PRIMARY and row.value == row.value:
                    score[row.column] = row.value
        found = {
            label: worst(judged)
            if judged and any(values[label])
            else "ok"
            if any(values.get(label, ()))
            else "no_data"
            for label, judged in statuses.items()
        }
        rank = ("alert", "error", "warn", "no_data", "ok")
        return dict(sorted(found.items(), key=lambda item: (rank.index(item[1]), -score[item[0]])))

    @property
    def drifted(self) -> list[str]:
        """The columns with an alert or a warning, most important first."""
        return [label for label, status in self.columns.items() if status in {"alert", "warn"}]

    @property
    def affected_segments(self) -> dict[str, list[str]]:
        """Whom a change over time meets: by its metric, such as "error_rate_change", the segments that changed themselves.

        The largest change comes first; a segment's own rows of that metric, and of "error_rate_change_time", say more. A
        metric that was measured by segment and met none has an empty list.
        """
        from gpumon.metrics import CATALOGUE
        from gpumon.verdicts.affected import affected_segments, changes

        counted = set(self.results["metric"].tolist())
        return {
            name: [self.results["segment"][i] for i in affected_segments(self.results, metric)]
            for name, metric in changes(CATALOGUE).items()
            if f"{name}_segments" in counted
        }

    def worst_rows(self, window: str | None = None, segment: str | None = None) -> pa.Table:
        """The rows of largest error, largest first: their ids, errors, windows and segments; of one of these if it is given.

        As many as ``worst_rows`` of :func:`gpumon.evaluate` says. An error is ``|prediction − target|``, or 1 − the
        probability of the true class. OptionError if none were kept.
        """
        from gpumon.reports.worst_rows import worst_rows

        return worst_rows(self.current, window, segment)

    def reason(self, column: str) -> str:
        """What happened to a column, in words; empty if nothing did."""
        rows = self.results.where(column=column, window=None, segment=None)
        told = [row for row in rows if row.reason]
        best = sorted(told, key=lambda row: (row.status != "alert", row.metric != PRIMARY))
        return best[0].reason.rpartition(" (")[0] or best[0].reason if best else ""

    def to_arrow(self) -> pa.Table:
        """The results as an Arrow table."""
        return self.results.to_arrow()

    def to_pandas(self) -> pd.DataFrame:
        """The results as a pandas DataFrame (needs pandas)."""
        return self.results.to_pandas()

    def plot(self, column: str) -> Figure:
        """A column's distribution, reference and current, or a chart, such as "roc" or "selection rate by sex".

        OptionError lists what there is if that is neither.
        """
        from gpumon.reports import breakdowns, figures, models, views

        charts = {} if column in self.columns else models.charts(self) | breakdowns.charts(self)
        if column in charts:
            return Figure(charts[column])
        if charts and column not in self.columns:
            raise OptionError(
                f"there is no column and no chart {column!r} in this report; its charts are {', '.join(charts)}"
            )
        drawn = views.column(self, column)
        if drawn["histogram"]:
            return Figure(figures.histogram_svg(drawn))
        if drawn["categories"]:
            return Figure(figures.categories_svg(drawn))
        raise OptionError(f"column {column!r} has nothing to draw: it is of kind {drawn['kind']}")

    def save(self, path: str | Path) -> None:
        """Write the report as .html (a page), .json (docs: "The report as JSON"), .parquet or .csv (the results)."""
        from gpumon.profiles.files import write

        write(path, self._content(Path(path)))

    def _content(self, path: Path) -> bytes:
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        match path.suffix.lower():
            case ".html":
                from gpumon.reports import html, views

                return html.render(views.page(self)).encode()
            case ".json":
                import json

                from gpumon.reports import views

                return json.dumps(
                    views.document(self), ensure_ascii=False, allow_nan=False, indent=1
                ).encode()
            case ".parquet":
                import pyarrow.parquet as pq

                pq.write_table(self.to_arrow(), sink)
            case ".csv":
                import pyarrow.csv as pcsv

                pcsv.write_csv(self.to_arrow(), sink)
            case _:
                raise OptionError(
                    f"a report cannot be saved as {path.name!r}: use one of {', '.join(FORMATS)}"
                )
        return bytes(sink.getvalue())

    def __repr__(self) -> str:
        from gpumon.reports import terminal

        return terminal.text(self)

    def _repr_html_(self) -> str:
        from gpumon.reports import notebook

        return notebook.html(self)
