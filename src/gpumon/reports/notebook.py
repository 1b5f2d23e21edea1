"""The report in a notebook: the verdict and the first columns with their pictures."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from gpumon.reports import figures, views
from gpumon.reports.terminal import MARKS

if TYPE_CHECKING:
    from gpumon.reports.report import Report

__all__ = ["html"]

MOST = 20


def html(report: Report) -> str:
    """A fragment of HTML without scripts; all text from data is escaped."""
    rows = []
    for label in list(report.columns)[:MOST]:
        drawn = views.column(report, label)
        mark, _ = MARKS[drawn["status"]]
        score = "–" if drawn["score"] is None else f"{drawn['score']:.3f}"
        rows.append(
            f"<tr><td>{mark} {drawn['status'].replace('_', ' ')}</td><td style='text-align:left'>{escape(label[:60])}</td>"
            f"<td>{score}</td><td>{figures.sparkline_svg(drawn)}</td>"
            f"<td style='text-align:left'>{escape(drawn['reason'])}</td></tr>"
        )
    more = len(report.columns) - MOST
    rest = (
        f"<p>… and {more} more columns: <code>report.to_pandas()</code> has all results.</p>"
        if more > 0
        else ""
    )
    head = "<tr><th>status</th><th>column</th><th>Jensen–Shannon</th><th>reference, current</th><th>what happened</th></tr>"
    return f"<p><b>{escape(views.sentence(report))}</b></p><table>{head}{''.join(rows)}</table>{rest}"
