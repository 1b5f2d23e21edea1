"""The pages that are made from the code at every build: the catalogue of metrics, the command line, the notebooks."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click import Context, Group

from gpumon import CATALOGUE, Metric
from gpumon.cli import cli

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sphinx.application import Sphinx

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"

SIDES = {
    True: "of the current table against the reference",
    False: "of each table",
}
BY_WINDOW = {
    "previous": "of each window against the one before it",
    "cumulative": "of all windows so far against the reference",
}


def setup(app: Sphinx) -> dict[str, Any]:
    """Write ``docs/generated/`` before Sphinx looks for its pages."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / "generated"))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write(folder: Path) -> None:
    """Write every page whose text has changed."""
    pages = {"metrics.md": metrics(CATALOGUE), "command_line.md": command_line(cli)}
    pages |= {path.name: path.read_text("utf-8") for path in NOTEBOOKS.glob("*.ipynb")}
    folder.mkdir(exist_ok=True)
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def metrics(catalogue: Iterable[Metric]) -> str:
    """The catalogue as Markdown."""
    lines = [
        "# Metrics",
        "",
        "What `gpumon.CATALOGUE` holds, in the words of the formulas. `gpumon metrics NAME` prints the same.",
        "[How it works](../how_it_works.md) says what thresholds, p-values and bounds mean.",
    ]
    for family, members in groupby(catalogue, key=lambda metric: metric.family):
        lines += ["", f"## {family.capitalize()}"]
        for _, alike in groupby(members, key=lambda metric: (metric.id, metric.name)):
            lines += ["", *_metric(list(alike))]
    return "\n".join(lines) + "\n"


def _metric(alike: list[Metric]) -> Iterator[str]:
    """One heading; records of the same name (quantiles of seven levels) differ in their method."""
    metric = alike[0]
    yield f"### {metric.name}"
    yield ""
    yield f"**{metric.id}**, {BY_WINDOW.get(metric.by_window, SIDES[metric.compares])}, unit: {_unit(metric.unit)}"
    yield ""
    yield from metric.definition.splitlines()
    yield ""
    for each in alike:
        if each.method:
            yield f"- Method: {each.method}"
    kinds = ", ".join(metric.on) or ("pairs of numeric columns" if "pairs" in metric.reads else "")
    if kinds:
        yield f"- For: {kinds}"
    if metric.roles:
        yield f"- For columns with the role: {', '.join(metric.roles)}"
    if metric.by_default:
        yield f"- For columns with the role: {', '.join(metric.by_default)}; for all if it is asked for by name"
    if metric.judged:
        yield f"- Calibrated thresholds are at least: {_limits(metric.warn, metric.alert)}"
        if metric.conventional:
            yield f"- Conventional thresholds: {_limits(*metric.conventional)}"
    else:
        yield "- Shown, not judged"


def _unit(unit: str) -> str:
    names = {"1": "none", "column": "that of the column", "column²": "that of the column, squared"}
    return names.get(unit, unit)


def _limits(warn: float | None, alert: float | None) -> str:
    return f"alert {alert:g}" if warn is None else f"warn {warn:g}, alert {alert:g}"


def command_line(group: Group) -> str:
    """Every command's --help as Markdown."""
    lines = [
        "# Command line",
        "",
        "Exit codes: 0 ok, 1 warn, 2 alert, 3 no data, bad usage or bad input. Errors are one line on standard error.",
    ]
    for name, command in group.commands.items():
        context = Context(command, info_name=f"gpumon {name}", max_content_width=100, terminal_width=100)
        lines += ["", f"## gpumon {name}", "", "```text", command.get_help(context), "```"]
    return "\n".join(lines) + "\n"
