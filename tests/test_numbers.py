"""Every number of a scan against an independent oracle: NumPy, pandas, scipy, scikit-learn, statsmodels, or a hand count."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import mutual_info_score
from statsmodels.stats.proportion import proportions_ztest

import gpumon
from gpumon.demo import IDENTIFYING, flights_of
from gpumon.metrics import CATALOGUE
from gpumon.metrics.data_distribution import LEVELS

DATA = Path(os.environ.get("GPUMON_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
DISCRETE = 50  # distinct integers up to which a column is discrete
WITHOUT_PAIRS = [metric for metric in CATALOGUE if "pairs" not in metric.reads]
HEADLINE = ("kolmogorov_smirnov", "jensen_shannon", "psi", "mean_shift", "wasserstein_normed", "cramers_v")


class Case(NamedTuple):
    reference: pd.DataFrame
    current: pd.DataFrame
    report: gpumon.Report


def case(reference: pd.DataFrame, current: pd.DataFrame, **options) -> Case:
    tables = [pa.Table.from_pandas(frame, preserve_index=False) for frame in (current, reference)]
    return Case(reference, current, gpumon.scan(*tables, **options))


def rows(report: gpumon.Report, metric: str, column: str | None, *, window=None, segment=None):
    found = report.results.where(metric=metric, column=column)
    return [row for row in found if row.window == window and row.segment == segment]


def one(report: gpumon.Report, metric: str, column: str | None, **at):
    (row,) = rows(report, metric, column, **at)
    return row


def value(report: gpumon.Report, metric: str, column: str | None, **at) -> float:
    return one(report, metric, column, **at).value


def present(values: pd.Series) -> np.ndarray:
    return values.dropna().to_numpy(np.float64)


def quantile_of(values: pd.Series, level: float) -> float:
    """NumPy's, and where that is the difference of two infinities, infinite."""
    with np.errstate(invalid="ignore"):
        found = np.quantile(present(values), level)
    return np.quantile(present(values), level, method="higher") if np.isnan(found) else found


def synthetic(seed: int, n: int, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    normal = rng.normal(shift, 1 + shift / 2, n)
    return pd.DataFrame(
        {
            "normal": normal,
            "single": rng.normal(5, 2 + shift, n).astype(np.float32),
            "lognormal": rng.lognormal(shift, 2, n),
            "zeros": np.where(rng.random(n) < 0.7 - shift / 5, 0.0, rng.exponential(size=n)),
            "rounded": np.round(rng.normal(100 * shift, 100, n)),
            "gaps": np.where(rng.random(n) < 0.05 + shift / 10, np.nan, normal**2),
            "infinite": np.where(rng.random(n) < 0.01, np.inf, rng.normal(size=n)),
            "poisson": rng.poisson(3 + shift, n),
            "constant": np.full(n, 7.25),
            "related": normal + rng.normal(0, 1 + shift, n),
            "category": rng.choice(
                ["a", "b", "c", "d", "é"], n, p=[0.4 - shift / 4, 0.3 + shift / 4, 0.2, 0.07, 0.03]
            ),
            "many": rng.choice(100, n, p=np.arange(1, 101) / 5050).astype(str),
            "flag": rng.random(n) < 0.2 + shift / 5,
            "sparse": pd.Series(rng.choice(["x", "y"], n)).where(rng.random(n) > 0.1 + shift / 10),
        }
    )


def real(name: str, **options) -> Case:
    paths = [DATA / f"{name}_{part}.parquet" for part in ("reference", "current")]
    if not all(path.exists() for path in paths):
        pytest.skip("needs the folder GPUMON_DATA")
    reference, current = (pd.read_parquet(path) for path in paths)
    return case(reference[[name for name in reference if name in current]], current, **options)


@pytest.fixture(scope="module", params=["synthetic", "same", "flights", "car_loan", "car_price"])
def compared(request) -> Case:
    if request.param == "synthetic":
        return case(synthetic(0, 8000), synthetic(1, 5000, 0.3))
    if request.param == "same":
        return case(synthetic(2, 3000), synthetic(3, 9000))
    if request.param == "flights":
        return case(flights_of(1, 2).to_pandas(), flights_of(6, 7).to_pandas(), roles={"ignore": IDENTIFYING})
    return real(request.param)


def columns_of(compared: Case, *kinds: str):
    for column in compared.report.reference.schema:
        if column.kind in kinds and column.name in compared.current:
            yield column.name, compared.reference[column.name], compared.current[column.name]


def numeric(compared: Case):
    return columns_of(compared, "numeric")


def compared_numeric(compared: Case):
    ids = compared.report.reference.schema.of(gpumon.schema.Role.ID)
    return [found for found in numeric(compared) if found[0] not in ids]


# ---- one table: summaries


def test_counts_and_missing_rates(compared):
    for name, reference, current in columns_of(compared, "numeric", "categorical", "boolean", "datetime"):
        count, missing = one(compared.report, "count", name), one(compared.report, "missing_rate", name)
        assert (count.value, count.reference) == (current.notna().sum(), reference.notna().sum())
        assert missing.value == pytest.approx(current.isna().mean(), rel=1e-15)
        assert missing.reference == pytest.approx(reference.isna().mean(), rel=1e-15)
        assert missing.n == len(current)
    total = one(compared.report, "row_count", None)
    assert (total.value, total.reference) == (len(compared.current), len(compared.reference))


def test_moments_are_those_of_the_finite_values(compared):
    for name, *sides in numeric(compared):
        finite = [x[np.isfinite(x)] for x in map(present, sides)]
        for metric, oracle in {
            "mean": np.mean,
            "std": lambda x: np.std(x, ddof=1),
            "variance": lambda x: np.var(x, ddof=1),
        }.items():
            row = one(compared.report, metric, name)
            np.testing.assert_allclose(
                [row.reference, row.value], [oracle(x) for x in finite], rtol=1e-9, atol=1e-12
            )
        spread = np.std(finite[0], ddof=1)
        if spread > 0 and rows(compared.report, "mean_shift", name):
            shift, ratio = (
                value(compared.report, metric, name) for metric in ("mean_shift", "variance_ratio")
            )
            assert shift == pytest.approx((finite[1].mean() - finite[0].mean()) / spread, rel=1e-8, abs=1e-12)
            assert ratio == pytest.approx(np.log(np.var(finite[1], ddof=1) / spread**2), rel=1e-8, abs=1e-12)


def test_extremes_and_range(compared):
    for name, *sides in numeric(compared):
        x = present(sides[1])
        assert value(compared.report, "min", name) == x.min()
        assert value(compared.report, "max", name) == x.max()
        assert value(compared.report, "range", name) == x.max() - x.min()
        assert one(compared.report, "max", name).reference == present(sides[0]).max()


def test_quantiles_lie_within_their_bounds(compared):
    for name, reference, current in numeric(compared):
        found = rows(compared.report, "quantile", name)
        assert len(found) == len(LEVELS)
        scale = 1e-12 * np.abs(present(current)[np.isfinite(present(current))]).max()
        for row, level in zip(found, LEVELS, strict=True):
            assert row.method.startswith(f"level {level},")
            exact = quantile_of(current, level)
            assert row.lower - scale <= exact <= row.upper + scale
            assert row.lower <= row.value <= row.upper
            if reference.nunique() <= 1024 and current.isin(reference).all():
                assert row.value == pytest.approx(exact, rel=1e-12)


def test_distinct_counts_lie_within_their_range(compared):
    for name, reference, current in columns_of(compared, "numeric", "categorical", "boolean"):
        row = one(compared.report, "distinct_count", name)
        assert row.lower <= current.nunique() <= row.upper
        assert row.reference == pytest.approx(reference.nunique(), rel=0.06)


# ---- two tables: distances over bins


def decile_bins(report: gpumon.Report, name: str, reference: pd.Series, current: pd.Series):
    """Counts of the raw rows on the deciles of the reference, cut at the edges that its profile has."""
    edges = report.reference.state(name).edges
    cells = [np.searchsorted(edges, present(values), side="right") for values in (reference, current)]
    below, up_to = (
        np.searchsorted(np.sort(cells[0]), np.arange(edges.size + 1), side) for side in ("left", "right")
    )
    decile = np.clip(np.floor((below + up_to) / 2 / cells[0].size * 10), 0, 9).astype(int)
    return [
        np.append(np.bincount(decile[cell], minlength=10), values.isna().sum())
        for cell, values in zip(cells, (reference, current), strict=True)
    ]


def value_bins(reference: pd.Series, current: pd.Series):
    """Counts of the values that both together have often enough, of all others, and of the missing."""
    counted = [values.value_counts() for values in (reference, current)]
    both = counted[0].add(counted[1], fill_value=0)
    expected = both * reference.notna().sum() / both.sum()
    own = [known for known in counted[0].index if expected[known] >= 5]
    assert len(own) <= 128
    return [
        np.append(
            c.reindex(own, fill_value=0), (c.sum() - c.reindex(own, fill_value=0).sum(), values.isna().sum())
        )
        for c, values in zip(counted, (reference, current), strict=True)
    ]


def binned(compared: Case):
    schema = compared.report.reference.schema
    for name, reference, current in [
        *compared_numeric(compared),
        *columns_of(compared, "categorical", "boolean"),
    ]:
        if schema[name].kind == "numeric" and not schema[name].discrete:
            yield name, *decile_bins(compared.report, name, reference, current)
        else:
            yield name, *value_bins(reference, current)


def oracle_psi(a: np.ndarray, b: np.ndarray) -> float:
    r, c = (np.maximum(x / x.sum(), 1e-4) for x in (a, b))
    return float(np.sum((c - r) * np.log(c / r)))


def test_distances_over_bins(compared):
    for name, a, b in binned(compared):
        r, c = a / a.sum(), b / b.sum()
        oracles = {
            "psi": oracle_psi(a, b),
            "jensen_shannon": jensenshannon(r, c, base=2),
            "hellinger": np.sqrt(max(0.0, 1 - np.sum(np.sqrt(r * c)))),
            "total_variation": np.abs(r - c).sum() / 2,
            "infinity_norm": np.abs(r - c).max(),
        }
        for metric, oracle in oracles.items():
            precision = (
                1e-7 if metric in {"hellinger", "jensen_shannon"} else 1e-12
            )  # the oracles' cancellation
            assert value(compared.report, metric, name) == pytest.approx(oracle, rel=1e-9, abs=precision), (
                name,
                metric,
            )


def test_jensen_shannon_is_the_mutual_information_of_value_and_side():
    reference, current = (
        pd.Series(["a", "b", "c"]).repeat([500, 300, 200]),
        pd.Series(["a", "b", "c"]).repeat([400, 300, 300]),
    )
    report = gpumon.scan({"c": current.to_numpy(str)}, {"c": reference.to_numpy(str)})
    side = np.repeat([0, 1], [len(reference), len(current)])
    bits = mutual_info_score(pd.concat((reference, current)), side) / np.log(2)
    assert value(report, "jensen_shannon", "c") == pytest.approx(np.sqrt(bits), rel=1e-9)


def test_psi_without_empty_bins_is_the_symmetrised_divergence():
    report = case(synthetic(4, 5000), synthetic(5, 5000, 0.2)).report
    a, b = decile_bins(report, "normal", synthetic(4, 5000)["normal"], synthetic(5, 5000, 0.2)["normal"])
    a, b = a[:-1], b[:-1]
    assert value(report, "psi", "normal") == pytest.approx(
        stats.entropy(a, b) + stats.entropy(b, a), rel=1e-12
    )


def pooled(table: np.ndarray) -> np.ndarray:
    """Cells of less than 5 expected rows, in either row, added up to one."""
    small = (stats.contingency.expected_freq(table[:, table.sum(axis=0) > 0]) < 5).any(axis=0)
    table = table[:, table.sum(axis=0) > 0]
    table = np.column_stack((table[:, ~small], table[:, small].sum(axis=1)))
    return table[:, table.sum(axis=0) > 0]


def test_chi_square_and_cramers_v(compared):
    schema = compared.report.reference.schema
    for name, a, b in binned(compared):
        if schema[name].kind == "numeric" and not schema[name].discrete:
            assert not rows(compared.report, "chi_square", name)
            continue
        table = pooled(np.array([a, b]))
        row, v = one(compared.report, "chi_square", name), one(compared.report, "cramers_v", name)
        if table.shape[1] < 2:
            assert (row.value, row.p_value, v.value) == (0, 1, 0)
            continue
        found = stats.chi2_contingency(table, correction=False)
        assert row.value == pytest.approx(found.statistic, rel=1e-10)
        assert row.p_value == pytest.approx(found.pvalue, rel=1e-8, abs=1e-300)
        assert v.p_value == row.p_value
        assert v.value == pytest.approx(
            np.sqrt(found.statistic / (len(compared.reference) + len(compared.current)))
        )


def test_chi_square_of_the_raw_values_where_all_are_frequent():
    reference, current = synthetic(6, 4000), synthetic(7, 4000, 0.2)
    report = case(reference, current).report
    for name in ("category", "flag"):
        table = pd.crosstab(np.repeat([0, 1], 4000), pd.concat((reference[name], current[name])).to_numpy())
        assert value(report, "chi_square", name) == pytest.approx(
            stats.chi2_contingency(table, correction=False).statistic
        )
        assert value(report, "cramers_v", name) == pytest.approx(stats.contingency.association(table))


def test_small_cells_are_pooled_by_hand():
    reference = np.repeat(["a", "b", "c", "d"], [500, 400, 3, 2])
    current = np.repeat(["a", "b", "c", "e"], [400, 500, 1, 4])
    report = gpumon.scan({"c": current}, {"c": reference})
    found = stats.chi2_contingency([[500, 400, 5], [400, 500, 5]], correction=False)
    row = one(report, "chi_square", "c")
    assert (row.value, row.p_value) == pytest.approx((found.statistic, found.pvalue))


def test_a_value_that_a_discrete_column_never_had_has_a_bin_of_its_own():
    reference, current = np.repeat([0, 2], [600, 400]), np.repeat([0, 1, 2], [600, 200, 200])
    report = gpumon.scan({"x": current}, {"x": reference})
    assert value(report, "total_variation", "x") == pytest.approx(0.2)
    constant = gpumon.scan({"x": np.repeat([0, 1], 500)}, {"x": np.zeros(1000, int)})
    assert value(constant, "total_variation", "x") == pytest.approx(0.5)
    assert constant.drifted == ["x"]


def test_new_and_vanished_categories(compared):
    for name, reference, current in columns_of(compared, "categorical", "boolean"):
        known, now = set(reference.dropna()), set(current.dropna())
        new = one(compared.report, "new_categories", name)
        assert new.lower == new.value == new.upper
        assert new.value == pytest.approx((~current.dropna().isin(known)).mean())
        assert value(compared.report, "vanished_categories", name) == len(known - now)


# ---- two tables: distances of ordered values


def test_kolmogorov_smirnov(compared):
    for name, reference, current in compared_numeric(compared):
        r, c = present(reference), present(current)
        row, exact = one(compared.report, "kolmogorov_smirnov", name), stats.ks_2samp(r, c, method="asymp")
        assert row.lower - 1e-12 <= exact.statistic <= row.upper + 1e-12
        if reference.nunique() <= 1024 and current.isin(reference).all():
            assert row.lower == row.upper == pytest.approx(exact.statistic, abs=1e-12)
        assert row.upper - row.lower < 0.01
        at_value = stats.kstwo.sf(row.value, np.round(r.size * c.size / (r.size + c.size)))
        assert row.p_value == pytest.approx(at_value, abs=3e-4, rel=0.01)


def test_wasserstein(compared):
    for name, reference, current in compared_numeric(compared):
        r, c = present(reference), present(current)
        row, normed = (
            one(compared.report, "wasserstein", name),
            one(compared.report, "wasserstein_normed", name),
        )
        if not (np.isfinite(r).all() and np.isfinite(c).all()):
            assert (row.status, normed.status) == ("no_data", "no_data")
            continue
        exact = stats.wasserstein_distance(r, c)
        room = 1e-12 * max(np.abs(r).max(), np.abs(c).max())
        assert row.lower - room <= exact <= row.upper + room
        spread = np.std(r, ddof=1)
        if spread > 0:
            assert normed.lower - room / spread <= exact / spread <= normed.upper + room / spread
            assert normed.value == pytest.approx(row.value / spread, rel=1e-9)


def test_exact_statistics_are_those_of_scipy_and_numpy():
    compared = case(synthetic(8, 4000), synthetic(9, 3000, 0.2), exact=True)
    for name, reference, current in numeric(compared):
        r, c = present(reference), present(current)
        row = one(compared.report, "kolmogorov_smirnov", name)
        assert row.value == pytest.approx(
            stats.ks_2samp(r, c, method="asymp").statistic, rel=1e-12, abs=1e-15
        )
        assert row.method == "exact, sorted"
        for quantile, level in zip(rows(compared.report, "quantile", name), LEVELS, strict=True):
            assert quantile.value == quantile.lower == quantile.upper == quantile_of(current, level)
            assert quantile.reference == quantile_of(reference, level)
            assert quantile.method == f"level {level}, exact, sorted"
        if np.isfinite(r).all():
            exact = stats.wasserstein_distance(r, c)
            assert value(compared.report, "wasserstein", name) == pytest.approx(exact, rel=1e-12, abs=1e-15)
            if name != "constant":
                normed = one(compared.report, "wasserstein_normed", name)
                assert normed.value == pytest.approx(exact / r.std(ddof=1), rel=1e-12)
                assert normed.lower == normed.value == normed.upper
    assert {row.method for row in rows(compared.report, "psi", "normal")} != {"exact, sorted"}


def test_exact_is_exact_beside_a_column_of_long_texts():
    rng = np.random.default_rng(0)

    def table(n: int) -> dict[str, object]:
        return {"x": rng.normal(size=n), "text": [f"{i} {'z' * int(rng.integers(1, 900))}" for i in range(n)]}

    reference, current = table(2500), table(2500)
    report = gpumon.scan(current, reference, exact=True)
    exact = stats.ks_2samp(reference["x"], current["x"], method="asymp").statistic
    assert value(report, "kolmogorov_smirnov", "x") == pytest.approx(exact, rel=1e-12)
    lengths = [pd.Series(side["text"]).str.len() for side in (reference, current)]
    assert value(report, "mean", "text · length") == pytest.approx(lengths[1].mean())
    assert value(report, "kolmogorov_smirnov", "text · length") == pytest.approx(
        stats.ks_2samp(*lengths, method="asymp").statistic
    )
    assert not rows(report, "new_categories", "text")


# ---- correlations


def test_correlation_shifts_pearson(compared):
    names = list(compared.report.reference.plan["", "pearson"].columns)
    frames = [
        frame[names].astype(np.float64).replace([np.inf, -np.inf], np.nan)
        for frame in (compared.reference, compared.current.reindex(columns=compared.reference.columns))
    ]
    before, now = (frame.corr(min_periods=3) for frame in frames)
    pairs = 0
    for row in compared.report.results.where(metric="correlation_shift", method="pearson"):
        if row.window is row.segment is None and row.column is not None:
            x, y = row.column.split(" ~ ")
            assert row.reference == pytest.approx(before.loc[x, y], abs=1e-9, nan_ok=True)
            assert row.value == pytest.approx(now.loc[x, y] - before.loc[x, y], abs=1e-9, nan_ok=True)
            both = frames[1][[x, y]].notna().all(axis=1).sum()
            assert row.n == both
            pairs += 1
    assert pairs == len(names) * (len(names) - 1) / 2
    (norm,) = [
        r
        for r in compared.report.results.where(metric="correlation_shift", column=None)
        if r.method.startswith("pearson")
    ]
    assert norm.value == pytest.approx(np.sqrt(np.nansum((now - before).to_numpy() ** 2)), rel=1e-8)


def test_a_column_that_the_current_table_lacks_takes_no_other_correlation_away():
    reference, current = synthetic(12, 2000), synthetic(13, 2000)
    report = case(reference, current.drop(columns="rounded")).report
    oracle = current["normal"].corr(current["related"]) - reference["normal"].corr(reference["related"])
    found = [row.value for row in rows(report, "correlation_shift", "normal ~ related")]
    assert found[0] == pytest.approx(oracle)


def test_correlations_of_ranks_use_the_ranks_of_the_reference():
    reference, current = synthetic(10, 6000), synthetic(11, 5000, 0.3)
    report = case(reference, current).report
    names = report.reference.plan["", "spearman"].columns

    def mid_ranks(name: str, values: pd.Series) -> np.ndarray:
        state = report.reference.state(name)
        counts = state.counts[:-2]
        ranks = (np.cumsum(counts) - counts / 2) / counts.sum()
        boundaries = np.concatenate(([-np.finfo(float).max], state.edges, [np.inf]))
        cells = np.searchsorted(boundaries, values.to_numpy(np.float64), side="right")
        return np.where(values.isna(), np.nan, ranks[np.minimum(cells, ranks.size - 1)])

    before, now = (
        pd.DataFrame({name: mid_ranks(name, frame[name]) for name in names}).corr()
        for frame in (reference, current)
    )
    for row in report.results.where(metric="correlation_shift", method="spearman"):
        if row.column is None:
            continue
        x, y = row.column.split(" ~ ")
        assert row.reference == pytest.approx(before.loc[x, y], abs=1e-9, nan_ok=True)
        assert row.value == pytest.approx(now.loc[x, y] - before.loc[x, y], abs=1e-9, nan_ok=True)
        if not {x, y} & {"gaps", "constant"}:  # scipy ranks among the pairs that are complete
            assert row.reference == pytest.approx(
                stats.spearmanr(reference[x], reference[y]).statistic, abs=1e-4
            )


def test_a_correlation_of_long_tails_is_no_alarm():
    alarms = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)

        def table() -> dict[str, np.ndarray]:
            x, y = rng.normal(size=(2, 500))  # noqa: B023 - called here
            return {"x": np.exp(2 * x), "y": np.exp(2 * (0.6 * x + 0.8 * y))}

        report = gpumon.scan(table(), table(), metrics=["correlation_shift"])
        alarms += report.status == "alert"
    assert alarms == 0


def test_a_correlation_that_breaks_is_an_alert():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3000))
    report = gpumon.scan({"x": x, "y": y}, {"x": x, "y": 0.6 * x + 0.8 * y}, metrics=["correlation_shift"])
    assert {row.status for row in report.results if row.column == "x ~ y"} == {"alert"}


# ---- p-values and q-values


def test_p_values_of_means_and_of_missing_values(compared):
    for name, reference, current in compared_numeric(compared):
        r, c = (x[np.isfinite(x)] for x in (present(reference), present(current)))
        if np.ptp(r) > 0:
            oracle = stats.ttest_ind(r, c, equal_var=False).pvalue
            assert one(compared.report, "mean_shift", name).p_value == pytest.approx(
                oracle, rel=1e-6, abs=1e-300
            )
    for name, reference, current in columns_of(compared, "numeric", "categorical", "boolean"):
        k, n = [reference.isna().sum(), current.isna().sum()], [len(reference), len(current)]
        row = one(compared.report, "missing_rate", name)
        oracle = proportions_ztest(k, n)[1] if 0 < sum(k) < sum(n) else 1.0
        assert row.p_value == pytest.approx(oracle, rel=1e-9, abs=1e-300)


def test_q_values_control_the_false_discovery_rate_over_columns(compared):
    table = compared.report.to_pandas()
    table = table[table.p_value.notna()]
    assert set(table.metric) >= {"psi", "kolmogorov_smirnov", "correlation_shift", "missing_rate"}
    for _, group in table.groupby(["metric", "method", "window", "segment"], dropna=False):
        np.testing.assert_allclose(group.q_value, stats.false_discovery_control(group.p_value), rtol=1e-12)


def test_shares_of_columns(compared):
    table = compared.report.to_pandas()
    judged = table[table.threshold.notna() & table.column.notna() & ~table.metric.isin(["correlation_shift"])]
    drifted = judged.groupby("column").status.agg(lambda s: s.isin(["warn", "alert"]).any())
    significant = judged.groupby("column").q_value.min() < 0.05
    assert value(compared.report, "drifted_share", None) == pytest.approx(drifted.mean())
    assert value(compared.report, "significant_share", None) == pytest.approx(significant.mean())


# ---- windows, segments, sources


@pytest.fixture(scope="module")
def sliced() -> Case:
    reference, current = flights_of(1, 2).to_pandas(), flights_of(6).to_pandas()
    names = ["dep_delay", "distance", "carrier", "origin", "time_hour", "month"]
    return case(reference[names], current[names], timestamp="time_hour", every="1w", by="origin")


EQUAL = {
    "count", "mean", "std", "min", "max", "missing_rate", "row_count", "total_variation", "infinity_norm",
    "kolmogorov_smirnov", "psi", "jensen_shannon", "hellinger", "chi_square", "cramers_v", "mean_shift",
    "variance_ratio", "wasserstein", "distinct_count",
}  # fmt: skip


def assert_slice_equals_scan(
    sliced: Case, reference: pd.DataFrame, current: pd.DataFrame, window, segment
) -> None:
    """On the same edges and bins, a slice is the scan of its rows."""
    plan = sliced.report.reference.empty()
    before, now = (
        gpumon.profile(pa.Table.from_pandas(f, preserve_index=False), like=plan) for f in (reference, current)
    )
    alone = gpumon.scan(now, before)
    compared_rows = 0
    for row in alone.results:
        if row.metric not in EQUAL or row.column == "time_hour":
            continue
        (mine,) = [
            r
            for r in rows(sliced.report, row.metric, row.column, window=window, segment=segment)
            if r.method == row.method or row.column is None
        ]
        by_value = row.metric in {
            "psi",
            "jensen_shannon",
            "hellinger",
            "chi_square",
            "cramers_v",
            "total_variation",
            "infinity_norm",
        }
        if window is not None and by_value and row.column in {"carrier", "origin", "month"}:
            continue  # the bins of windows are chosen once, from all of them
        assert (mine.value, mine.lower, mine.upper) == pytest.approx(
            (row.value, row.lower, row.upper), rel=1e-9, abs=1e-12, nan_ok=True
        ), row
        assert mine.n == row.n
        compared_rows += 1
    assert compared_rows > 30


def test_a_segment_is_compared_with_the_same_segment_of_the_reference(sliced):
    for origin in ("EWR", "JFK", "LGA"):
        sides = [frame[frame.origin == origin] for frame in (sliced.reference, sliced.current)]
        assert_slice_equals_scan(sliced, *sides, None, f"origin={origin}")


def test_a_window_is_compared_with_all_of_the_reference(sliced):
    weeks = sliced.current.time_hour.dt.tz_convert("UTC").dt.tz_localize(None).dt.to_period("W").dt.start_time
    for week in sorted(weeks.unique())[:3]:
        rows_of_week = sliced.current[weeks == week]
        assert_slice_equals_scan(sliced, sliced.reference, rows_of_week, f"{week:%Y-%m-%d}", None)


def test_the_whole_does_not_depend_on_the_slices(sliced):
    assert_slice_equals_scan(sliced, sliced.reference, sliced.current, None, None)


def assert_same(one_report: gpumon.Report, other: gpumon.Report) -> None:
    for name in ("metric", "column", "method", "n", "status"):
        assert one_report.results[name].tolist() == other.results[name].tolist(), name
    for name in ("value", "lower", "upper", "reference", "p_value", "q_value", "threshold"):
        np.testing.assert_allclose(one_report.results[name], other.results[name], rtol=1e-9, atol=1e-12)


def test_profiles_files_and_frames_give_the_same_results(tmp_path):
    tables = [
        flights_of(months).select(["dep_delay", "distance", "carrier", "origin", "time_hour"])
        for months in (6, 1)
    ]
    expected = gpumon.scan(*tables)
    reference = gpumon.profile(tables[1])
    reference.save(tmp_path / "reference.gpumon")
    gpumon.profile(tables[0], like=reference).save(tmp_path / "current.gpumon")
    for name, table in zip(("current", "reference"), tables, strict=True):
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=4000)
    paths = [
        [str(tmp_path / f"{name}.{kind}") for name in ("current", "reference")]
        for kind in ("parquet", "gpumon")
    ]
    for sources in (
        *paths,
        [tables[0], str(tmp_path / "reference.gpumon")],
        [table.to_pandas() for table in tables],
        [pl.from_arrow(table) for table in tables],
    ):
        assert_same(expected, gpumon.scan(*sources))


# ---- any table


floats = st.one_of(
    st.floats(-100, 100, width=32), st.integers(-3, 3).map(float), st.sampled_from([np.nan, 0.0, -0.0, 1e140])
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(floats, min_size=3, max_size=80).filter(lambda x: not np.isnan(x).all()),
    st.lists(floats, min_size=3, max_size=80).filter(lambda x: not np.isnan(x).all()),
    st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=3, max_size=80),
)
def test_any_table(reference, current, letters):
    r, c = pd.Series(reference, dtype=float), pd.Series(current, dtype=float)
    before, now = ({"x": pa.array(side, pa.float64())} for side in (reference, current))
    before["c"], now["c"] = (
        pa.array((letters * len(x))[: len(x)], pa.string()) for x in (reference, current)
    )
    before["c"] = before["c"].fill_null("a")
    report = gpumon.scan(pa.table(now), pa.table(before))
    distance = one(report, "kolmogorov_smirnov", "x")
    exact = stats.ks_2samp(present(r), present(c), method="asymp").statistic
    assert distance.lower - 1e-12 <= exact <= distance.upper + 1e-12
    if set(c.dropna()) <= set(r.dropna()):
        assert distance.lower == distance.upper
    earth = one(report, "wasserstein", "x")
    exact = stats.wasserstein_distance(present(r), present(c))
    room = 1e-12 * max(1, np.nanmax(np.abs([*reference, *current])))
    assert earth.lower - room <= exact <= earth.upper + room
    for quantile, level in zip(rows(report, "quantile", "x"), LEVELS, strict=True):
        assert quantile.lower - room <= np.quantile(present(c), level) <= quantile.upper + room
    assert value(report, "count", "x") == c.notna().sum()
    assert value(report, "mean", "x") == pytest.approx(c.mean(), abs=room)
    a, b = value_bins(before["c"].to_pandas(), now["c"].to_pandas())
    assert value(report, "psi", "c") == pytest.approx(oracle_psi(a, b), abs=1e-12)
    for row in report.results:
        assert np.isnan(row.p_value) or 0 <= row.p_value <= 1
        assert not row.lower > row.value
        assert not row.value > row.upper


# ---- no change at all, and known changes


def zipf(values: int, power: float) -> np.ndarray:
    shares = 1 / np.arange(1, values + 1) ** power
    return shares / shares.sum()


def unchanged(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    table: dict[str, np.ndarray] = {
        "normal": rng.normal(size=n),
        "lognormal": rng.lognormal(0, 2, n),
        "pareto": rng.pareto(1.5, n),
        "cauchy": rng.standard_cauchy(n),
        "zeros": np.where(rng.random(n) < 0.7, 0.0, rng.lognormal(0, 2, n)),
        "poisson": rng.poisson(3, n),
        "missing": np.where(rng.random(n) < 0.05, np.nan, rng.exponential(size=n)),
        "rarely missing": np.where(rng.random(n) < 1e-3, np.nan, rng.exponential(size=n)),
        "flag": rng.random(n) < 0.1,
    }
    for values in (5, 50, 1000):
        table[f"{values} alike"] = rng.integers(0, values, n).astype(str)
        table[f"{values} zipf"] = rng.choice(values, n, p=zipf(values, 1.2)).astype(str)
    return table


@pytest.fixture(scope="module")
def without_change() -> pd.DataFrame:
    found = []
    for n, m in ((200, 200), (200, 3000), (3000, 200), (2000, 2000)):
        for seed in range(6):
            rng = np.random.default_rng((n, m, seed))
            report = gpumon.scan(unchanged(rng, m), unchanged(rng, n), metrics=WITHOUT_PAIRS)
            found.append(report.to_pandas())
    return pd.concat(found)


@pytest.mark.parametrize(
    "metric",
    [
        "kolmogorov_smirnov",
        "psi",
        "jensen_shannon",
        "hellinger",
        "wasserstein",
        "wasserstein_normed",
        "chi_square",
        "missing_rate",
    ],
)
def test_p_values_are_uniform_or_conservative_when_nothing_changed(without_change, metric):
    p = without_change[without_change.metric == metric].p_value.dropna()
    for level in (0.05, 0.01, 0.001):
        # columns' metrics are alike, scans are not: three standard errors, and one more column
        assert (p < level).mean() < level + 3 * np.sqrt(level / p.size) + 1 / p.size


def test_no_alarms_when_nothing_changed(without_change):
    alarms = without_change[without_change.status == "alert"]
    scans = (without_change.metric == "missing_rate").sum()
    assert scans == 4 * 6 * 15
    assert alarms.groupby(["column", "n"]).ngroups <= 2


def test_small_segments_of_other_scale_and_other_values_raise_no_alarms():
    def table(rng: np.random.Generator) -> dict[str, np.ndarray]:
        sizes = (2000, 150, 60)
        return {
            "segment": np.repeat(["a", "b", "c"], sizes),
            "x": np.concatenate([rng.normal(0, 10.0**i, n) for i, n in enumerate(sizes)]),
            "c": np.concatenate(
                [rng.integers(0, k, n) for k, n in zip((2, 40, 8), sizes, strict=True)]
            ).astype(str),
        }

    p, alarms = [], 0
    for seed in range(15):
        rng = np.random.default_rng(seed)
        report = gpumon.scan(
            table(rng), table(rng), by="segment", roles={"ignore": "segment"}, metrics=WITHOUT_PAIRS
        )
        frame = report.to_pandas()
        alarms += (frame.status == "alert").sum()
        p.append(frame[frame.segment.notna() & frame.metric.isin(HEADLINE)].p_value.dropna())
    p = pd.concat(p)
    assert alarms == 0
    assert (p < 0.05).mean() < 0.08
    assert (p < 0.001).mean() < 0.005


def test_known_shifts_are_ranked_by_their_size():
    sizes = {"none": 0.0, "tiny": 0.15, "small": 0.3, "medium": 0.6, "large": 1.2, "huge": 2.5}
    rng = np.random.default_rng(0)
    reference = {name: rng.normal(size=20_000) for name in sizes}
    current = {name: rng.normal(size, 1, 20_000) for name, size in sizes.items()}
    report = gpumon.scan(current, reference)
    assert list(report.columns) == ["huge", "large", "medium", "small", "tiny", "none"]
    assert report.drifted == ["huge", "large", "medium", "small", "tiny"]
    assert [report.columns[name] for name in ("huge", "small", "tiny", "none")] == [
        "alert",
        "alert",
        "warn",
        "ok",
    ]


def test_planted_changes_of_any_kind_are_found_and_nothing_else():
    rng = np.random.default_rng(1)
    n = 20_000
    reference, current = unchanged(rng, n), unchanged(rng, n)
    current["normal"] = current["normal"] * 1.5
    current["zeros"] = np.where(rng.random(n) < 0.5, 0.0, current["zeros"])
    current["missing"] = np.where(rng.random(n) < 0.15, np.nan, current["missing"])
    current["50 alike"] = np.where(rng.random(n) < 0.1, "new", current["50 alike"])
    current["1000 zipf"] = np.where(rng.random(n) < 0.1, "0", current["1000 zipf"])
    current["poisson"] = rng.poisson(3.6, n)
    report = gpumon.scan(current, reference, metrics=WITHOUT_PAIRS)
    assert set(report.drifted) == {"normal", "zeros", "missing", "50 alike", "1000 zipf", "poisson"}


def test_flights_between_winter_and_summer():
    report = case(
        flights_of(1, 2).to_pandas(), flights_of(6, 7).to_pandas(), roles={"ignore": IDENTIFYING}
    ).report
    found = {
        name: round(value(report, "kolmogorov_smirnov", name), 3)
        for name in ("dep_delay", "arr_delay", "air_time", "distance")
    }
    assert found == {"dep_delay": 0.105, "arr_delay": 0.090, "air_time": 0.077, "distance": 0.034}


def test_car_values_drift_in_the_second_half():
    compared = real("car_loan")
    half = compared.current.iloc[len(compared.current) // 2 :]
    report = case(compared.reference, half).report
    assert value(report, "kolmogorov_smirnov", "car_value") == pytest.approx(0.434, abs=5e-4)
    assert next(iter(report.columns)) == "car_value"
    assert report.columns["car_value"] == "alert"
    for name in ("debt_to_income_ratio", "driver_tenure"):
        assert value(report, "kolmogorov_smirnov", name) < 0.007
        assert report.columns[name] == "ok"
