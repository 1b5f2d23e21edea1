"""Time gpumon beside what a user would run instead, and store every repeat in ``results/drift-MACHINE.json``.

    python benchmarks/drift.py --machine 2-core            # the pair of 1,000,000 rows × 24 columns
    python benchmarks/drift.py --machine 2-core --large    # and the large pair, from Parquet

Every measure is a process of its own. The measures take turns, round after round, so that a slow minute of the
machine falls on all of them; the long ones take part in the first round only. Medians are reported.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environments import python_of
from table import markdown

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).resolve().parent
GPUMON = "gpumon"  # the environment that runs this script


@dataclass(frozen=True)
class Measure:
    """One row of the table: a script of ``competitors/`` that times itself, or a command that is timed as a whole."""

    key: str
    label: str
    environment: str = GPUMON
    script: str = ""  # with its switches
    command: str = ""  # arguments of python; {data} and {html} are filled in
    against: str = ""  # the measure whose median divides this one's
    once: bool = False  # takes so long that a single run must do
    size: int = 0  # values worked on, where the rate is of interest
    large: bool = False


REPEATS = 3  # of a script, in each round
SCAN = "-m gpumon scan {data}/%sreference.parquet {data}/%scurrent.parquet --html {html} --quiet"

IN_MEMORY = (
    Measure("gpumon", "gpumon, every data-distribution metric of 24 columns", script="gpumon_scan.py"),
    Measure("polars_psi", "Polars, PSI of 20 columns", "baselines", "polars_psi.py", against="gpumon"),
    Measure("numpy_psi", "NumPy, PSI of 20 columns", "baselines", "numpy_psi.py", against="gpumon"),
    Measure("duckdb_psi", "DuckDB, PSI of 20 columns", "baselines", "duckdb_psi.py", against="gpumon"),
    Measure("scipy_ks", "SciPy, ks_2samp of 20 columns", "baselines", "scipy_ks.py", against="gpumon"),
    Measure(
        "nannyml_js", "NannyML, JS of 24 columns", "nannyml", "nannyml_drift.py", against="gpumon", once=True
    ),
    Measure(
        key="nannyml_all",
        label="NannyML, JS of 24 columns; KS, Hellinger, Wasserstein of 20",
        environment="nannyml",
        script="nannyml_drift.py --all",
        against="gpumon",
        once=True,
    ),
    Measure(
        key="evidently",
        label="Evidently, DataDriftPreset of 24 columns",
        environment="evidently",
        script="evidently_drift.py",
        against="gpumon",
        once=True,
    ),
    Measure(
        "correlations",
        "gpumon with correlations, the same and the matrices",
        script="gpumon_scan.py --correlations",
    ),
    Measure(
        key="pandas_pearson",
        label="pandas, Pearson matrices of 20 columns",
        environment="baselines",
        script="pandas_correlation.py",
        against="correlations",
    ),
    Measure(
        key="pandas_spearman",
        label="pandas, Spearman matrices of 20 columns",
        environment="baselines",
        script="pandas_correlation.py --spearman",
        against="correlations",
        once=True,
    ),
)
FROM_FILES = (
    Measure("decode", "pyarrow, decode both files, all threads", script="pyarrow_decode.py"),
    Measure(
        "cli", "gpumon scan, both files to HTML, whole process", command=SCAN % ("", ""), against="decode"
    ),
    Measure(
        key="decode_large",
        label="pyarrow, decode both large files by row group",
        script="pyarrow_decode.py --large",
        once=True,
        large=True,
    ),
    Measure(
        key="cli_large",
        label="gpumon scan, both large files to HTML, whole process",
        command=SCAN % ("large_", "large_"),
        against="decode_large",
        once=True,
        large=True,
    ),
)
STARTING = (
    Measure("python", "python -c pass", command="-c pass"),
    Measure(
        "imports",
        "python, importing NumPy, pyarrow, SciPy and Numba",
        command="-c 'import numpy, pyarrow.parquet, scipy.special, numba'",
        against="python",
    ),
    Measure("import", "import gpumon, whole process", command="-c 'import gpumon'", against="python"),
    Measure("help", "gpumon --help, whole process", command="-m gpumon --help", against="python"),
)
KERNEL = tuple(
    Measure(
        key=f"kernel_{values}",
        label=f"kernel, 10,000,000 {values} float64 into 1,024 edges, one core",
        script=f"gpumon_kernel.py {values}",
        size=10_000_000,
    )
    for values in ("normal", "lognormal", "uniform")
)
MEASURES = (*IN_MEMORY, *FROM_FILES, *STARTING, *KERNEL)


@dataclass
class Timing:
    """What a measure gave, over all rounds; ``failure`` in words if it did not run."""

    label: str
    against: str
    seconds: list[float] = field(default_factory=list)
    median: float | None = None
    ratio: float | None = None  # to the median of ``against``
    values_per_second: float | None = None
    peak_memory: int = 0  # bytes, of the whole process
    versions: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    failure: str = ""

    @property
    def newest(self) -> str:
        return self.failure or f"{self.seconds[-1]:.3f} s"


def watched(command: Sequence[str | Path]) -> tuple[float, int, int, str, str]:
    """Run a command to its end: seconds, peak memory in bytes, exit code, output, errors.

    The peak is no less than this process's own size, which is why nothing large is imported or read in it before.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(list(map(str, command)), stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        return seconds, usage.ru_maxrss * 1024, process.returncode, output.read(), errors.read()


def take(measure: Measure, timing: Timing, data: Path) -> None:
    """Run a measure once more and add what it gives to its timing."""
    python = Path(sys.executable) if measure.environment == GPUMON else python_of(measure.environment)
    if not python.exists():
        timing.failure = "not installed"
        return
    with tempfile.TemporaryDirectory() as scratch:
        html = Path(scratch) / "report.html"
        if measure.script:
            name, *switches = measure.script.split()
            repeat = ("--data", data, "--repeat", str(1 if measure.once else REPEATS))
            command: list[str | Path] = [python, HERE / "competitors" / name, *switches, *repeat]
        else:
            command = [python, *(part.format(data=data, html=html) for part in shlex.split(measure.command))]
        seconds, peak, code, output, errors = watched(command)
        scan = "{html}" in measure.command
        done = code in {0, 1, 2} and html.exists() if scan else code == 0  # a scan's 1 and 2 tell of drift
    if not done:
        timing.failure = f"failed: {(errors.strip() or output.strip() or str(code)).splitlines()[-1]}"
        return
    timing.peak_memory = max(timing.peak_memory, peak)
    if measure.script:
        line = json.loads(output.strip().splitlines()[-1])
        timing.seconds += line["seconds"]
        timing.versions, timing.values = line["versions"], line["values"]
    else:
        timing.seconds.append(seconds)


def run(measures: Sequence[Measure], data: Path, rounds: int) -> dict[str, Timing]:
    """Let the measures take turns; then medians, rates and ratios."""
    timings = {measure.key: Timing(measure.label, measure.against) for measure in measures}
    for number in range(rounds):
        for measure in measures:
            timing = timings[measure.key]
            if not timing.failure and not (measure.once and number):
                take(measure, timing, data)
                print(f"round {number + 1}: {measure.label}: {timing.newest}", file=sys.stderr, flush=True)
    for measure in measures:
        timing = timings[measure.key]
        if timing.seconds:
            timing.median = statistics.median(timing.seconds)
            timing.values_per_second = measure.size / timing.median if measure.size else None
    for timing in timings.values():
        base = timings.get(timing.against)
        if base and base.median and timing.median:
            timing.ratio = timing.median / base.median
    return timings


def surroundings(name: str) -> dict[str, Any]:
    """When, on what and with what the timings are taken, and how busy the machine is."""
    cpu = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "name": name,
            "cpu": cpu[0] if cpu else platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "system": platform.platform(),
            "load_before": os.getloadavg()[0],
        },
        "commit": git("rev-parse", "HEAD"),
        "uncommitted": bool(git("status", "--porcelain", "--", HERE.parent / "src")),
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in ("gpumon", "numpy", "numba", "pyarrow", "scipy")},
        },
    }


def git(*arguments: str | Path) -> str:
    found = subprocess.run(["git", "-C", HERE, *arguments], capture_output=True, text=True, check=False)
    return found.stdout.strip()


def shapes(data: Path) -> dict[str, dict[str, int]]:
    """Rows, columns, row groups and bytes of the files that were read."""
    import pyarrow.parquet as pq

    found = {}
    for file in sorted(data.glob("*.parquet")):
        about = pq.read_metadata(file)
        found[file.stem] = {
            "rows": about.num_rows,
            "columns": about.num_columns,
            "row_groups": about.num_row_groups,
            "bytes": file.stat().st_size,
        }
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machine", default="2-core", help="names the result file (default: 2-core)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", action="store_true", help="the large pair too")
    parser.add_argument("--data", type=Path, default=HERE / "data", metavar="FOLDER")
    keys = ", ".join(measure.key for measure in MEASURES)
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="KEY", help=f"these, and store nothing: {keys}"
    )
    options = parser.parse_args()
    chosen = [
        measure
        for measure in MEASURES
        if (measure.key in options.only if options.only else options.large or not measure.large)
    ]
    result = surroundings(options.machine)
    timings = run(chosen, options.data.resolve(), options.rounds)
    result |= {
        "data": shapes(options.data),
        "timings": {key: asdict(timing) for key, timing in timings.items()},
    }
    print(markdown(result))
    if not options.only:
        file = HERE / "results" / f"drift-{options.machine}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(result, indent=1) + "\n")
        print(f"\nwritten: {file}")
