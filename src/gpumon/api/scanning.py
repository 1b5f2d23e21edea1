"""scan: two tables → what moved."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from gpumon.api.counting import counted_profile, forget, shown
from gpumon.api.facts import backend_of, described, gpumon_version, worked
from gpumon.api.importances import explainer, given_importance
from gpumon.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from gpumon.metrics import Metric
    from gpumon.reports.report import Report

__all__ = ["scan"]


def scan(
    current: Any,
    reference: Any,
    *,
    columns: Sequence[str] | None = None,
    roles: Mapping[str, Any] | None = None,
    timestamp: str | None = None,
    every: str | None = None,
    by: str | Sequence[str] | None = None,
    metrics: Iterable[str | Metric] | None = None,
    importance: Any = None,
    attributions: Any = None,
    base_value: float | str | None = None,
    model: Any = None,
    predict: Callable[[Any], Any] | None = None,
    exact: bool = False,
    backend: str = "auto",
    engine: Any = "auto",
    workers: int | None = None,
    on_bad_file: str = "raise",
    resume: str | Path | None = None,
    thresholds: Any = None,
    budget: float | None = None,
    progress: Callable[[str, int, int | None, int], None] | str | None = None,
) -> Report:
    """Compare a current table with a reference: which columns moved, by how much, how sure that is.

    Both are a Parquet, CSV or Arrow file, folder, glob or URL; an Arrow table or reader; a pandas or Polars frame; a
    dict of arrays; a cuDF frame or a CuPy array; a Dask DataFrame or a list of delayed frames; or a profile (a
    :class:`Profile`, or the path of a saved one).

    columns
        the columns to look at; all by default
    roles
        role → column or columns, such as ``{"target": "y", "id": "order_id", "ignore": ["note"]}``; the role score of several
        classes also as {class: column}, or as what the names of such columns begin with
    timestamp, every
        a column of times and a width ("1h", "1d", "1w", "1mo"): every window is compared with the reference
    by
        columns whose values make segments, each compared with the same segment of the reference
    metrics
        names, ids or :class:`Metric` records; all of ``gpumon.CATALOGUE`` by default
    importance
        how important features are to the model, {feature: number}, a CSV file of such pairs, or a booster file of which the
        gains are taken: drift is weighed by it. A profile that knows importances needs none
    attributions
        columns that say what each feature added to each prediction: what their names begin with, such as ``"shap_"``, or
        {feature: column}
    base_value
        what a prediction is before any feature adds to it, a number or a column (SHAP calls it so): then attributions are
        checked to add up to the score or prediction, or to its log-odds
    model
        a booster of XGBoost or LightGBM (a file in its own format, or an object), asked for attributions on 10,000 rows of
        each table
    predict
        a function from a pandas DataFrame of the features to predictions, asked on 10,000 rows of each table in which one
        feature after the other is shuffled
    exact
        keep and sort every numeric value, so that KS, Wasserstein and quantiles need no bounds (memory of the tables)
    backend
        "auto" (a GPU if one answers and the table is worth the transfer), "cpu", "cuda" or "plain" (NumPy alone)
    engine
        who counts: "local", this process; "dask", a cluster of this machine that is started for it; ``tcp://…``,
        ``tls://…`` or the path of a scheduler file, a cluster that runs; a ``distributed.Client``; "auto", the
        client that is active, else this process. All give the same counts
    workers
        how many workers engine="dask" starts; one a processor, or one a GPU, by default
    on_bad_file
        "raise" names all files that cannot be read in one error; "skip" counts the others, lists these in the
        report, and gives it the status error
    resume
        a folder that keeps what was counted if the run cannot finish; the same call again counts what is missing
    thresholds
        "calibrated" (default), "conventional", {metric: alert}, {metric: (warn, alert)}, {metric: rules} or a YAML file of
        such, as :func:`tune` finds them: a rule is a mapping with alert, and if wanted warn, column, segment, min_rows,
        consecutive, release, noise, or chart, centre and spread
    budget
        false alerts a column-scan for calibrated thresholds, 0.001 by default
    progress
        called with a stage, the rows counted in it, its rows if known, and the bytes decoded; "bar" shows a bar, on a
        terminal and in a notebook

    InputError and its kin say in one line what is wrong with a table and how to mend it; OptionError likewise for
    an argument.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> report = scan({"x": rng.normal(1, 1, 5000)}, {"x": rng.normal(0, 1, 5000)})
    >>> report.drifted, report.status
    (['x'], 'alert')
    """
    from gpumon.engines.energy import drawn
    from gpumon.engines.engine import opened
    from gpumon.metrics import chosen, served
    from gpumon.metrics.measure import measure
    from gpumon.reports.report import Report
    from gpumon.verdicts.judge import judge
    from gpumon.verdicts.thresholds import Thresholds

    start = time.perf_counter()
    explain, fact = explainer(model, predict), given_importance(importance)
    wanted = chosen(metrics)
    limits = Thresholds.of(thresholds, budget, wanted)
    pairs = any("pairs" in metric.reads for metric in wanted)
    with shown(progress) as ticks, opened(engine, workers) as counting:
        options: dict[str, Any] = {
            "columns": columns, "roles": roles, "timestamp": timestamp, "every": every, "by": by, "backend": backend,
            "engine": counting, "on_bad_file": on_bad_file, "resume": resume, "progress": ticks,
            "explain": explain,
        }  # fmt: skip
        meter = counting.energy()
        before = counted_profile(
            reference,
            "reference",
            pairs=pairs,
            exact=exact,
            attributions=attributions,
            base_value=base_value,
            **options,
        )
        if fact is not None:
            before.facts["importance"] = fact
        counted = time.perf_counter()
        if not before.rows:
            raise InputError(
                f"{before.facts.get('name', 'the reference')} has no rows, so there is nothing to compare with: "
                "check the path, or the filter that made it"
            )
        now = counted_profile(current, "current", like=before, **options)
        energy = drawn(meter, counting.energy())
    wanted = served(wanted, before)
    done = time.perf_counter()
    forget(resume, "reference", "current")
    before, now = before.with_totals(), now.with_totals()
    measured = measure(before, now, wanted, level=limits.level(wanted))
    results = judge(measured, wanted, limits, before, now)
    facts = {
        "Reference": described(before),
        "Current": described(now),
        "Backend": backend_of(before, now),
        **worked(before, now),
        **({"Energy": energy} if energy else {}),
        "Thresholds": f"{limits.name}, {limits.budget:g} false alerts a column-scan"
        if limits.name == "calibrated"
        else limits.name,
        "Seconds": f"{time.perf_counter() - start:.2f} (reference {counted - start:.2f}, current {done - counted:.2f})",
        "gpumon": gpumon_version(),
    }
    notes = (*before.facts.get("notes", ()), *now.facts.get("notes", ()))
    return Report(results, before, now, facts, tuple(dict.fromkeys(notes)))
