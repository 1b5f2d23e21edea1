"""Print the newest results as the tables of the README: ``python benchmarks/table.py [FILE] [--values]``.

Every figure in the README and the documentation comes from here, and so from a file in ``results/``.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"


def newest() -> Path:
    """Return the drift result that was measured last."""
    files = list(RESULTS.glob("drift-*.json"))
    if not files:
        raise SystemExit(f"no results in {RESULTS}: run benchmarks/drift.py first")
    return max(files, key=lambda file: json.loads(file.read_text())["when"])


def markdown(result: dict[str, Any]) -> str:
    """The timings as a Markdown table; a ratio says what it is to."""
    timings = result["timings"]
    lines = ["| what | seconds | | peak memory |", "|---|--:|--:|--:|"]
    for timing in timings.values():
        if timing["failure"]:
            lines.append(f"| {timing['label']} | {timing['failure']} | | |")
            continue
        remark = ""
        if timing["values_per_second"]:
            remark = f"{timing['values_per_second'] / 1e6:,.0f} million values/s"
        if timing["ratio"]:
            remark = f"{figure(timing['ratio'])} × {timings[timing['against']]['label'].split(',')[0]}"
        memory = f"{timing['peak_memory'] / 2**20:,.0f} MiB"
        lines.append(f"| {timing['label']} | {figure(timing['median'])} | {remark} | {memory} |")
    return "\n".join([*lines, "", footnote(result)])


def figure(value: float) -> str:
    """Three significant digits, without an exponent.

    >>> figure(0.01234), figure(1.5), figure(163.82)
    ('0.0123', '1.50', '164')
    """
    decimals = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{decimals}f}"


def footnote(result: dict[str, Any]) -> str:
    """What was measured, on what, with which versions."""
    machine, data = result["machine"], result["data"]
    versions: dict[str, set[str]] = {}
    for used in (result["versions"], *(timing["versions"] for timing in result["timings"].values())):
        for package, number in used.items():
            versions.setdefault(package, set()).add(number)
    shapes = (
        f"{name} and current {data[name]['rows']:,} rows × {data[name]['columns']} columns"
        for name in ("reference", "large_reference")
        if name in data
    )
    changes = " with uncommitted changes" if result["uncommitted"] else ""
    return (
        f"{machine['cores']} cores of {machine['cpu']}, {machine['memory'] / 2**30:.0f} GiB, {result['when'][:10]}, "
        f"commit {result['commit'][:10]}{changes}. {'; '.join(shapes)}. Medians. "
        + ", ".join(
            f"{package} {' and '.join(sorted(numbers))}" for package, numbers in sorted(versions.items())
        )
        + "."
    )


def agreement(result: dict[str, Any]) -> str:
    """The values that the tools computed for a few columns, side by side."""
    rows = [
        (timing["label"].split(",")[0], statistic, columns)
        for timing in result["timings"].values()
        for statistic, columns in timing["values"].items()
    ]
    names = list(dict.fromkeys(name for *_, columns in rows for name in columns))
    lines = [f"| tool | statistic | {' | '.join(names)} |", "|---|---|" + "--:|" * len(names)]
    for tool, statistic, columns in sorted(rows, key=lambda row: row[1].lower()):
        cells = (f"{columns[name]:.6f}" if name in columns else "" for name in names)
        lines.append(f"| {tool} | {statistic} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?", type=Path, help="default: the newest in results/")
    parser.add_argument("--values", action="store_true", help="what the tools computed, instead of the times")
    options = parser.parse_args()
    result = json.loads((options.file or newest()).read_text())
    print(agreement(result) if options.values else markdown(result))
