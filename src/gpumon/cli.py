"""The command line: arguments → api → exit code.

Exit codes, for schedulers: 0 ok, 1 warn, 2 alert, 3 no data, bad usage or bad input.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from gpumon.errors import GpumonError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from gpumon.metrics import Metric
    from gpumon.reports.report import Report

__all__ = ["EXIT_CODES", "main"]

EXIT_CODES = {"ok": 0, "warn": 1, "alert": 2, "no_data": 3, "error": 3}
UNUSABLE = 3


def main() -> NoReturn:
    """Run the command line; every failure that is the user's to mend is one line and exit code 3."""
    verbose = "--verbose" in sys.argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # no report is lost to a terminal that lacks a letter
    try:
        code = cli.main(prog_name="gpumon", standalone_mode=False)
    except click.exceptions.Exit as end:
        code = end.exit_code
    except click.ClickException as error:
        code = _complain(error.format_message())
    except (click.Abort, KeyboardInterrupt) as error:
        code = _complain(str(error.__cause__ or error) or "interrupted")  # click makes it an Abort
    except (GpumonError, MemoryError) as error:
        if verbose:
            raise
        code = _complain(str(error) or "out of memory: use fewer columns, or leave --exact out")
    except Exception as error:
        if verbose:
            raise
        code = _complain(
            f"unexpected {type(error).__name__}: {error} (run again with --verbose for the details)"
        )
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str) -> int:
    click.echo(f"gpumon: {_printable(' '.join(message.split()))}", err=True)
    return UNUSABLE


def _printable(text: str) -> str:
    """Text from data, without control characters that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _names(_: Any, __: Any, value: str | None) -> list[str] | None:
    return None if value is None else [name.strip() for name in value.split(",") if name.strip()]


def _costs(_: Any, __: Any, value: str | None) -> Any:
    """Numbers, or what was written where it is none: the function says what is wrong with it."""
    names = _names(None, None, value)
    try:
        return None if names is None else tuple(float(name) for name in names)
    except ValueError:
        return value


def _number_or_name(_: Any, __: Any, value: str | None) -> float | str | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return value


def _features(_: Any, __: Any, value: str | None) -> bool | list[str]:
    """The columns of slices or clusters; "all" stands for every feature."""
    return value.strip() == "all" or _names(None, None, value) or [] if value is not None else False


def _output(_: Any, option: Any, value: str | None) -> str | None:
    """The name of a file to write, refused before any work is done if nothing can be written there."""
    if value is None:
        return None
    kind = {"output": "gpumon", "worst_rows": "csv"}.get(option.name, option.name)
    if not value.lower().endswith(f".{kind}"):
        raise click.BadParameter(f"{value!r} must end in .{kind}")
    if not Path(value).absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {str(Path(value).parent)!r}: make it first")
    return value


def _roles(_: Any, __: Any, values: tuple[str, ...]) -> dict[str, list[str]]:
    """ROLE=COLUMN[,COLUMN] → {role: columns}."""
    roles: dict[str, list[str]] = {}
    for value in values:
        role, equals, columns = value.partition("=")
        if not equals:
            raise click.BadParameter(f"{value!r} is no ROLE=COLUMN, such as target=y")
        roles.setdefault(role, []).extend(columns.split(","))
    return roles


def _options(*options: Any) -> Callable[[Any], Any]:
    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


ROWS = _options(
    click.option("--columns", callback=_names, metavar="A,B", help="Columns to look at  [default: all]"),
    click.option("--role", "roles", multiple=True, callback=_roles, metavar="ROLE=COLUMN",
                 help="A column's role: target, prediction, score, lower, upper, std, weight, sensitive, attribution, id or ignore "
                 "(may be repeated); scores of several classes by what their names begin with"),
    click.option("--timestamp", metavar="COLUMN", help="Column of times, for windows"),
    click.option("--every", metavar="WIDTH", help="Width of a window: 15min, 1h, 1d, 1w, 1mo"),
    click.option("--by", multiple=True, metavar="COLUMN", help="Column whose values make segments (may be repeated)"),
    click.option("--exact", is_flag=True, help="Keep and sort every value: no bounds, memory of the tables"),
    click.option("--backend", default="auto", show_default=True, help="auto, cpu, cuda or plain"),
    click.option("--engine", default="auto", show_default=True, help="auto, local, or dask: start a cluster here"),
    click.option("--scheduler", metavar="ADDRESS", help="Count on the Dask cluster at tcp://…, tls://…, or in this scheduler file"),
    click.option("--workers", type=click.IntRange(min=1), help="Workers that --engine dask starts  [default: one a processor or GPU]"),
    click.option("--on-bad-file", type=click.Choice(("raise", "skip")), default="raise", show_default=True,
                 help="A file that cannot be read ends the run, or is left out and reported"),
    click.option("--resume", type=click.Path(file_okay=False), metavar="FOLDER",
                 help="Keep here what was counted if the run cannot finish, and continue from it"),
    click.option("--quiet", is_flag=True, help="Print nothing but errors"),
    click.option("--verbose", is_flag=True, help="Show every column, and a traceback if something fails"),
)  # fmt: skip
READ = _options(
    click.option("--task", help="binary, multiclass or regression  [default: what the columns look like]"),
    click.option("--positive", metavar="CLASS", help="The class that a single score is of"),
    click.option("--threshold", type=float, help="Score that counts as positive  [default: 0.5]"),
)
EXPLAINED = _options(
    click.option("--importance", type=click.Path(), metavar="FILE",
                 help="Importance of the features: CSV of feature and number, or a booster file"),
    click.option("--attributions", metavar="PREFIX",
                 help="What the names of columns of attributions begin with, such as shap_"),
    click.option("--base-value", metavar="NUMBER|COLUMN", callback=_number_or_name,
                 help="What attributions start from: they are checked to add up to the score"),
    click.option("--model", type=click.Path(), metavar="FILE",
                 help="Booster of XGBoost (.json, .ubj) or LightGBM (.txt), asked for attributions"),
)  # fmt: skip
FILES = _options(
    click.option(
        "--html", callback=_output, type=click.Path(dir_okay=False), help="Write the report as a page"
    ),
    click.option(
        "--json", callback=_output, type=click.Path(dir_okay=False), help="Write the report as JSON"
    ),
    click.option(
        "--parquet", callback=_output, type=click.Path(dir_okay=False), help="Write the results as Parquet"
    ),
    click.option("--csv", callback=_output, type=click.Path(dir_okay=False), help="Write the results as CSV"),
)

TUNED = _options(
    click.option("--budget", default="2/week", show_default=True, metavar="N/UNIT",
                  help="Alerts to have at most, of all columns and metrics: 2/week, 1/day, 10/month"),
    click.option("--incident", "incidents", multiple=True, metavar="TIME[/TIME]",
                  help="A time since when, or in which, alerts are right (may be repeated)"),
    click.option("--metrics", callback=_names, metavar="A,B",
                  help="Metrics by name or id  [default: jensen_shannon, and the main measures of predictions with labels]"),
    click.option("--min-rows", type=click.IntRange(min=0), default=0, help="Rows that a window needs to be judged"),
    click.option("--consecutive", type=click.IntRange(min=1), multiple=True, default=(1,), metavar="K",
                  help="Windows in a row with which an alert begins (may be repeated: each is tried)  [default: 1]"),
    click.option("--release", type=float, default=1.0, show_default=True,
                  help="Share of the limit that an effect must come down to before an alert ends"),
    click.option("--within", type=click.IntRange(min=1), default=7, show_default=True,
                  help="Windows in which a change that lasts is to be seen"),
    click.option("--methods", callback=_names, metavar="A,B",
                 help="Methods to try: conventional, static, relative, sigma, quantile, tail, noise, cusum, ewma  [default: all]"),
    click.option("--reference-windows", type=click.IntRange(min=1),
                  help="Windows of the history that are the reference if none is given  [default: a third, at least 8]"),
    click.option("--columns", callback=_names, metavar="A,B", help="Columns to look at  [default: all]"),
    click.option("--role", "roles", multiple=True, callback=_roles, metavar="ROLE=COLUMN",
                  help="A column's role, such as target, prediction, score or ignore (may be repeated)"),
    click.option("--timestamp", metavar="COLUMN", help="Column of times, for windows"),
    click.option("--every", metavar="WIDTH", help="Width of a window: 15min, 1h, 1d, 1w, 1mo"),
    click.option("--by", multiple=True, metavar="COLUMN", help="Column whose values make segments (may be repeated)"),
    click.option("--backend", default="auto", show_default=True, help="auto, cpu, cuda or plain"),
    click.option("--engine", default="auto", show_default=True, help="auto, local, or dask: start a cluster here"),
    click.option("--scheduler", metavar="ADDRESS", help="Count on the Dask cluster at tcp://…, tls://…, or in this scheduler file"),
    click.option("--workers", type=click.IntRange(min=1), help="Workers that --engine dask starts"),
    click.option("--on-bad-file", type=click.Choice(("raise", "skip")), default="raise", show_default=True,
                  help="A file that cannot be read ends the run, or is left out and reported"),
    click.option("-o", "--output", "yaml", callback=_output, type=click.Path(dir_okay=False),
                  help="Write the thresholds, NAME.yaml, for --thresholds of scan and evaluate"),
    click.option("--json", callback=_output, type=click.Path(dir_okay=False), help="Write all that was found as JSON"),
    click.option("--csv", callback=_output, type=click.Path(dir_okay=False), help="Write every setting as CSV"),
    click.option("--quiet", is_flag=True, help="Print nothing but errors"),
    click.option("--verbose", is_flag=True, help="Show a traceback if something fails"),
)  # fmt: skip


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="gpumon", message="gpumon %(version)s")
@click.pass_context
def cli(context: click.Context) -> int:
    """Find out which columns of a table moved, by how much, and how sure that is.

    Exit codes: 0 ok, 1 warn, 2 alert, 3 no data, bad usage or bad input.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
    return UNUSABLE


@cli.command()
@click.argument("reference")
@click.argument("current")
@ROWS
@click.option("--metrics", callback=_names, metavar="A,B", help="Metrics by name or id  [default: all]")
@click.option(
    "--thresholds", default="calibrated", show_default=True, help="calibrated, conventional or a YAML file"
)
@click.option(
    "--budget", type=float, help="False alerts a column-scan for calibrated thresholds  [default: 0.001]"
)
@EXPLAINED
@FILES
def scan(reference: str, current: str, *, quiet: bool, verbose: bool, **options: Any) -> int:
    """Compare the table CURRENT with the table REFERENCE.

    Each is a Parquet, CSV or Arrow file, a folder, a glob, a URL, or a profile that gpumon profile wrote.
    """
    import gpumon

    files = [options.pop(kind) for kind in ("html", "json", "parquet", "csv")]
    _spare_inputs(files, reference, current)
    options["by"] = options["by"] or None
    options["engine"] = _engine(options["engine"], options.pop("scheduler"))
    with _progress(quiet=quiet) as progress:
        report = gpumon.scan(current, reference, progress=progress, **options)
    return _finish(report, files, quiet=quiet, verbose=verbose)


@cli.command()
@click.argument("predictions")
@click.option("--labels", type=click.Path(), help="Table of labels that came later")
@click.option("--on", metavar="COLUMN", help="Key that joins the labels to the predictions")
@click.option(
    "--duplicates", default="raise", show_default=True, help="raise, or last: the last label of a key holds"
)
@click.option("--reference", type=click.Path(), help="Table, or profile, to compare with")
@click.option("--target", metavar="COLUMN", help="Column of labels")
@click.option(
    "--score",
    "scores",
    multiple=True,
    metavar="[CLASS=]COLUMN",
    help="Column of scores; of more than two classes one for each, or what their names begin with",
)
@click.option("--prediction", metavar="COLUMN", help="Column of predicted classes or quantities")
@click.option("--lower", metavar="COLUMN", help="Column of the lower ends of prediction intervals")
@click.option("--upper", metavar="COLUMN", help="Column of their upper ends")
@click.option(
    "--std", metavar="COLUMN", help="Column of the predictions' standard deviations, in their place"
)
@click.option(
    "--nominal",
    type=float,
    help="Share of the targets that they promise to hold  [default: 0.9]",
)
@click.option(
    "--features",
    callback=_names,
    metavar="A,B",
    help="Columns from which the errors of a regression are estimated",
)
@READ
@click.option(
    "--costs",
    callback=_costs,
    metavar="FP,FN",
    help="What a false positive and a false negative cost: the mean cost of a row is told",
)
@click.option("--weight", metavar="COLUMN", help="Column of weights")
@click.option(
    "--sensitive",
    "sensitive_features",
    multiple=True,
    metavar="COLUMN",
    help="Column whose values are groups of people, for fairness (may be repeated)",
)
@click.option(
    "--slices",
    callback=_features,
    metavar="A,B|all",
    help="Columns whose bins make slices: where the model is worst",
)
@click.option(
    "--clusters",
    callback=_features,
    metavar="A,B|all",
    help="Features that rows are clustered by, with the predictions: have the clusters' shares changed?",
)
@click.option(
    "--worst-rows",
    callback=_output,
    type=click.Path(dir_okay=False),
    help="Write the rows of largest error as CSV, to be labelled again",
)
@click.option(
    "--worst", type=click.IntRange(1, 10_000), help="How many of each window and segment  [default: 100]"
)
@click.option(
    "--row-id", metavar="COLUMN", help="Column that says which row it is  [default: --on, id, or the number]"
)
@click.option(
    "--maturity", type=float, help="Share of labels that a window needs to be judged  [default: 0.8]"
)
@click.option("--timestamp", metavar="COLUMN", help="Column of times, for windows")
@click.option("--every", metavar="WIDTH", help="Width of a window: 15min, 1h, 1d, 1w, 1mo")
@click.option(
    "--by", multiple=True, metavar="COLUMN", help="Column whose values make segments (may be repeated)"
)
@click.option("--columns", callback=_names, metavar="A,B", help="Further columns to count, such as inputs")
@click.option("--metrics", callback=_names, metavar="A,B", help="Metrics by name or id  [default: all]")
@click.option(
    "--thresholds", default="calibrated", show_default=True, help="calibrated, conventional or a YAML file"
)
@click.option(
    "--budget", type=float, help="False alerts an evaluation for calibrated thresholds  [default: 0.001]"
)
@click.option("--exact", is_flag=True, help="Keep and sort every score: no bounds, memory of the tables")
@click.option("--backend", default="auto", show_default=True, help="auto, cpu, cuda or plain")
@click.option("--engine", default="auto", show_default=True, help="auto or local")
@click.option("--quiet", is_flag=True, help="Print nothing but errors")
@click.option("--verbose", is_flag=True, help="Show every column, and a traceback if something fails")
@EXPLAINED
@FILES
def evaluate(predictions: str, *, scores: tuple[str, ...], quiet: bool, verbose: bool, **options: Any) -> int:
    """Say how right PREDICTIONS are, against a reference: performance over windows and segments, late labels joined.

    PREDICTIONS, the labels and the reference are Parquet, CSV or Arrow files, folders, globs or URLs.
    """
    import gpumon

    files = [options.pop(kind) for kind in ("html", "json", "parquet", "csv")]
    worst, many = options.pop("worst_rows"), options.pop("worst")
    inputs = (predictions, options["labels"], options["reference"])
    _spare_inputs([*files, worst], *(path for path in inputs if path is not None))
    for name in ("by", "sensitive_features"):
        options[name] = options[name] or None
    score: Any = scores[0] if len(scores) == 1 and "=" not in scores[0] else None
    if scores and score is None:
        score = {name: column for name, _, column in (each.partition("=") for each in scores)}
        if not all(score.values()):
            raise click.BadParameter("several scores are given as CLASS=COLUMN, one for each class")
    with _progress(quiet=quiet) as progress:
        kept = many or (0 if worst is None else 100)
        report = gpumon.evaluate(predictions, score=score, progress=progress, worst_rows=kept, **options)
    if worst is not None:
        from gpumon.reports.worst_rows import save

        save(report.worst_rows(), worst)
    return _finish(report, files, quiet=quiet, verbose=verbose)


@cli.command()
@click.argument("history")
@click.argument("reference", required=False)
@TUNED
def tune(history: str, reference: str | None, *, quiet: bool, verbose: bool, **options: Any) -> int:  # noqa: ARG001 (main looks for --verbose)
    """Find thresholds that fit a budget of alerts, by replaying HISTORY, window by window, against REFERENCE.

    Without REFERENCE the first windows of HISTORY are compared with. Each is a table or a profile as gpumon scan takes
    them. Exit codes: 0 if a setting of every metric fits, 1 if not, 3 no data, bad usage or bad input.
    """
    import gpumon

    files = [options.pop(kind) for kind in ("yaml", "json", "csv")]
    _spare_inputs(files, *(path for path in (history, reference) if path is not None))
    options["by"] = options["by"] or None
    options["engine"] = _engine(options["engine"], options.pop("scheduler"))
    with _progress(quiet=quiet) as progress:
        tuning = gpumon.tune(history, reference, progress=progress, **options)
    for path in files:
        if path is not None:
            tuning.save(path)
    if not quiet:
        with _printing() as console:
            tuning.show(console)
            for path in files:
                if path is not None:
                    click.echo(f"  wrote {_printable(path)}")
    return EXIT_CODES[tuning.status]


@cli.command()
@click.argument("table")
@click.option(
    "-o", "--output", required=True, callback=_output, type=click.Path(dir_okay=False),
    help="The file to write, NAME.gpumon",
)  # fmt: skip
@click.option(
    "--slices", callback=_features, metavar="A,B|all", help="Columns whose bins make slices, for evaluate"
)
@click.option(
    "--clusters",
    callback=_features,
    metavar="A,B|all",
    help="Features that rows are clustered by, for evaluate",
)
@click.option("--like", type=click.Path(), help="Count on the edges and the vocabulary of this profile")
@click.option(
    "--features",
    callback=_names,
    metavar="A,B",
    help="Columns from which the errors of a regression are estimated",
)
@click.option(
    "--worst",
    "worst_rows",
    type=click.IntRange(0, 10_000),
    default=0,
    help="Rows of largest error to keep of each window and segment, for evaluate; needs the role id",
)
@click.option(
    "--nominal", type=float, help="Share of the targets that the roles lower and upper promise to hold"
)
@READ
@ROWS
@EXPLAINED
def profile(table: str, *, output: str, like: str | None, quiet: bool, verbose: bool, **options: Any) -> int:
    """Count TABLE into a profile, which stands wherever a table may stand."""
    import gpumon
    from gpumon.reports import terminal

    _spare_inputs([output], table)
    options["by"] = options["by"] or None
    options["engine"] = _engine(options["engine"], options.pop("scheduler"))
    plan = None if like is None else gpumon.Profile.load(like)
    with _progress(quiet=quiet) as progress:
        counted = gpumon.profile(table, like=plan, progress=progress, **options)
    counted.save(output)
    if not quiet:
        with _printing() as console:
            if verbose:
                terminal.show_profile(counted, console)
            else:
                click.echo(_printable(repr(counted)))
            for note in counted.facts.get("notes", ()):
                click.echo(_printable(f"  note: {note}"))
    return 0


@cli.command()
@click.argument("file")
def show(file: str) -> int:
    """Print a saved profile (.gpumon) or a report (.json)."""
    import gpumon
    from gpumon.reports import terminal

    status = "ok"
    with _printing() as console:
        if file.endswith(".json"):
            status = terminal.show_document(file, console)
        else:
            terminal.show_profile(gpumon.Profile.load(file), console)
    return EXIT_CODES[status]


@cli.command()
@click.argument("names", nargs=-1)
def metrics(names: tuple[str, ...]) -> int:
    """Print the catalogue, or the definition of some metrics by name or id."""
    from gpumon.metrics import CATALOGUE, chosen

    if names:
        definitions: dict[str, Metric] = {}
        for metric in chosen(names):
            definitions.setdefault(metric.name, metric)
        with _printing():
            for metric in definitions.values():
                title = f"{metric.id}  {metric.name} [{metric.unit}]"
                click.echo(
                    f"{title}\n{'-' * len(title)}\n{metric.definition}\n{metric.method}".rstrip() + "\n"
                )
        return 0
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("id", "metric", "unit", "warn", "alert", "what it is"):
        table.add_column(heading, overflow="fold", no_wrap=heading != "what it is")
    for metric in CATALOGUE:
        limits = ["" if x is None else f"{x:g}" for x in (metric.warn, metric.alert)]
        table.add_row(
            metric.id, metric.name, metric.unit, *limits, Text(metric.definition.partition("\n")[0])
        )
    with _printing() as console:
        console.print(table)
    return 0


@cli.command()
@FILES
@click.option("--quiet", is_flag=True, help="Print nothing but errors")
def demo(*, quiet: bool, **files: str | None) -> int:
    """Compare New York's flights of June and July 2013 with those of January and February (bundled data)."""
    from gpumon.demo import flights

    with _progress(quiet=quiet) as progress:
        report = flights(progress=progress)
    return _finish(report, list(files.values()), quiet=quiet, verbose=False)


@cli.command()
def doctor() -> int:
    """Say which backend runs and why, with versions, processors and memory."""
    from gpumon.doctor import findings

    with _printing():
        for name, text in findings():
            click.echo(f"{name:<12} {text}")
    return 0


def _engine(engine: str, scheduler: str | None) -> str:
    """What both options mean together."""
    if scheduler is None:
        return engine
    if engine == "local":
        raise click.BadParameter("--engine local counts in this process: leave --scheduler out")
    return scheduler


def _spare_inputs(files: list[str | None], *tables: str) -> None:
    """Refuse to write over a table that is to be read."""
    inputs = {os.path.realpath(table) for table in tables}
    for path in files:
        if path is not None and os.path.realpath(path) in inputs:
            raise click.BadParameter(
                f"{path} is a table to read and would be written over: choose another name"
            )


def _finish(report: Report, files: list[str | None], *, quiet: bool, verbose: bool) -> int:
    """Write and print a report. What cannot be written is said after all else is done."""
    from gpumon.reports import terminal

    failed: Exception | None = None
    written = []
    for path in files:
        if path is not None:
            try:
                report.save(path)
            except Exception as error:  # noqa: BLE001 (the other files and the report are not to be lost)
                failed = failed or error
            else:
                written.append(path)
    if not quiet:
        with _printing() as console:
            terminal.show(report, console, **({"most": len(report.columns)} if verbose else {}))
            for path in written:
                click.echo(f"  wrote {_printable(path)}")
    if failed is not None:
        raise failed
    return EXIT_CODES[report.status]


@contextmanager
def _printing() -> Iterator[Console]:
    """A console; a reader who has seen enough (``| head``) is no failure, and a full disk is told in one line."""
    from rich.console import Console

    class Honest(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with 1, which is "warn" here

    console = Honest()
    try:
        yield console if console.is_terminal else Honest(width=120)
        print(end="", flush=True)
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # or Python complains once more at exit
        if not isinstance(error, BrokenPipeError):
            raise InputError(
                f"the standard output cannot be written ({error.strerror}): free some space"
            ) from error


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[str, int, int | None, int], None] | None]:
    """A bar on a terminal; nothing in a pipe."""
    if quiet or not getattr(sys.stderr, "isatty", bool)():  # None if it is closed
        yield None
        return
    from rich.console import Console

    from gpumon.reports.progress import bar

    with bar(Console(stderr=True)) as tick:
        yield tick
