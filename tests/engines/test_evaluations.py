"""Predictions, intervals and expected losses are counted on a cluster as in one process."""

from __future__ import annotations

import distributed
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gpumon

COUNTED = {
    "residuals": ("counts", "absolute", "extremes", "at_step", "missing"),
    "intervals": ("counts", "tallies", "extremes", "missing"),
    "expected losses": ("counts",),
    "confidence": ("counts", "outside", "missing"),
    "confusion": ("counts",),
}
OPTIONS = {
    "target": "y", "prediction": "p", "lower": "lo", "upper": "hi", "features": ["kind", "x"],
    "timestamp": "t", "every": "1d", "by": "group",
}  # fmt: skip


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def equal_counts(here, there):
    for sides in ((here.reference, there.reference), (here.current, there.current)):
        one, two = sides
        assert one.plan == two.plan
        for key, state in one.states.items():
            for name in COUNTED.get(key.aspect, ()):
                assert (getattr(state, name) == getattr(two.states[key], name)).all(), (key, name)
    for name in ("value", "lower", "upper", "ci_lower", "ci_upper", "p_value", "threshold"):
        found = (report.results[name].astype(float) for report in (here, there))
        assert np.allclose(*found, rtol=1e-9, atol=1e-12, equal_nan=True), name
    assert here.results["status"].tolist() == there.results["status"].tolist()


def write(folder, files, seed):
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for i in range(files):
        n = 1_200
        kind, x = rng.choice(["a", "b", "c"], n), rng.normal(size=n)
        p, spread = 3 * x, np.where(kind == "a", 2.0, 1.0)
        y = np.where(rng.random(n) < 0.1, np.nan, p + rng.normal(0, spread))
        table = {
            "y": y, "p": p, "lo": p - 1.6 * spread, "hi": p + 1.6 * spread, "x": x, "kind": kind,
            "t": np.datetime64("2026-03-01") + rng.integers(0, 2, n), "group": rng.choice(["north", "south"], n),
        }  # fmt: skip
        pq.write_table(pa.table(table), folder / f"{i:02}.parquet")
    return str(folder)


def test_a_regression_with_intervals_and_features(client, tmp_path, small_partitions):
    reference, current = write(tmp_path / "reference", 4, 0), write(tmp_path / "current", 5, 1)
    here = gpumon.evaluate(current, reference, engine="local", **OPTIONS)
    there = gpumon.evaluate(current, reference, engine=client, **OPTIONS)
    assert there.facts["Engine"].startswith("dask, 2 workers")
    equal_counts(here, there)
    for one, two in ((here.reference, there.reference), (here.current, there.current)):
        for key, state in one.states.items():
            if key.aspect == "expected losses":
                assert (state.sums[:, 0] == two.states[key].sums[:, 0]).all()
    assert {"estimated_mae", "interval_coverage", "conformal_coverage"} <= set(there.results["metric"])


def test_the_rows_of_largest_error(client, tmp_path, small_partitions):
    reference, current = write(tmp_path / "reference", 4, 0), write(tmp_path / "current", 5, 1)
    options = {
        "target": "y",
        "prediction": "p",
        "timestamp": "t",
        "every": "1d",
        "by": "group",
        "worst_rows": 30,
    }
    for more, name in (({}, "row number"), ({"row_id": "x"}, "x")):
        found = []
        for engine in ("local", client):
            report = gpumon.evaluate(current, reference, metrics=["mae"], engine=engine, **options, **more)
            found.append(report.worst_rows())
            slices = [(w, s) for w, s in report.current.slices if w is not None and s is not None]
            found[-1] = [found[-1], *(report.worst_rows(w, s) for w, s in slices)]
        here, there = found
        assert here == there
        assert len(here) == 5
        assert here[0].column_names == [name, "error", "window", "segment"]
        assert [table.num_rows for table in here] == [30] * 5
    rows = pq.read_table(current).to_pandas()
    error = (rows["y"] - rows["p"]).abs().sort_values(ascending=False)[:30]
    report = gpumon.evaluate(current, reference, metrics=["mae"], engine=client, **options)
    assert report.worst_rows()["row number"].to_pylist() == [str(i) for i in error.index]
    assert report.worst_rows()["error"].to_pylist() == error.tolist()


def test_the_confidence_of_four_classes(client, tmp_path, small_partitions):
    classes = ["a", "b", "c", "d"]

    def written(folder, seed, spread):
        folder.mkdir()
        rng = np.random.default_rng(seed)
        for i in range(4):
            p = rng.dirichlet(np.full(4, spread), 1_200)
            p[rng.random(1_200) < 0.01, 2] = np.nan
            table = {"y": rng.choice(classes, 1_200), "group": rng.choice(["north", "south"], 1_200)}
            table |= {f"p_{name}": p[:, k] for k, name in enumerate(classes)}
            table["t"] = np.datetime64("2026-03-01") + rng.integers(0, 2, 1_200)
            pq.write_table(pa.table(table), folder / f"{i:02}.parquet")
        return str(folder)

    tables = written(tmp_path / "current", 1, 2.0), written(tmp_path / "reference", 0, 0.5)
    options = {"target": "y", "score": "p_", "timestamp": "t", "every": "1d", "by": "group"}
    here = gpumon.evaluate(*tables, engine="local", **options)
    there = gpumon.evaluate(*tables, engine=client, **options)
    equal_counts(here, there)
    (row,) = there.results.where(metric="mean_confidence", window=None, segment=None)
    assert row.status == "alert"
    assert row.n < 4_800
