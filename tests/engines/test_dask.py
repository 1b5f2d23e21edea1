"""A cluster of real processes gives what one process gives, and lives through what happens to clusters."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import dask
import distributed
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpumon
from gpumon.engines import local
from gpumon.engines.count import Counter
from gpumon.engines.engine import Local, opened
from gpumon.kernels import select
from gpumon.tables import parquet
from gpumon.tables.slices import Slicing


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def counts(profile) -> dict:
    """All that must be equal bit for bit in every cut."""
    return {
        (key, name): getattr(state, name).tolist()
        for key, state in profile.states.items()
        for name in ("counts", "registers", "extremes", "missing", "outside", "hours", "span", "rows", "n")
        if hasattr(state, name) and not isinstance(getattr(state, name), int)
    }


def test_the_notebook_cell_of_one_process_gives_the_same_on_the_active_cluster(
    client, many, small_partitions
):
    here = gpumon.scan(str(many), str(many), engine="local", timestamp="when", every="1d", by="word")
    there = gpumon.scan(str(many), str(many), timestamp="when", every="1d", by="word")
    assert there.facts["Engine"].startswith("dask, 2 workers, 2 threads at the scheduler tcp://127.0.0.1")
    assert here.facts["Engine"].startswith("local")
    assert counts(here.current) == counts(there.current)
    for name in ("value", "lower", "upper", "p_value", "q_value", "threshold"):
        assert np.allclose(here.results[name], there.results[name], rtol=1e-9, atol=1e-12, equal_nan=True)
    assert here.results["status"].tolist() == there.results["status"].tolist()


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 60), st.integers(300, 9000), st.booleans())
def test_every_cut_gives_the_same_counts_and_each_cut_the_same_bits(
    client, many, monkeypatch, files, rows, windows
):
    paths = sorted(many.glob("*.parquet"))[:files]
    slicing = Slicing("when", "1d", ()) if windows else Slicing(None, None, ())
    plan = _plan(many)
    monkeypatch.setattr(parquet, "PARTITION_ROWS", rows)
    table = parquet.ParquetTable([parquet.File(str(path), 0) for path in paths], "some")
    expected = local.run(table, list(plan.columns), Counter(plan, slicing, select("cpu")), threads=1)
    with opened(client) as engine:
        runs = [
            engine.count(
                table,
                list(plan.columns),
                plan,
                slicing,
                "cpu",
                skip=False,
                only=None,
                progress=lambda *_: None,
            )
            for _ in range(2)
        ]
    for run in runs:
        assert run.error is None
        assert run.missing == []
        assert run.profile == expected.profile  # every float included
    monkeypatch.setattr(parquet, "PARTITION_ROWS", 1 << 20)
    whole = local.run(table, list(plan.columns), Counter(plan, slicing, select("cpu")), threads=1)
    assert counts(whole.profile) == counts(runs[0].profile)


def _plan(folder: Path):
    return gpumon.profile(str(folder), engine="local").empty()


@pytest.mark.parametrize("partitions", [1, 4, 9])
def test_a_dask_dataframe_counts_as_the_frame_that_it_was_cut_from(client, many, partitions):
    dd = pytest.importorskip("dask.dataframe")
    frame = pd.concat(
        [pd.read_parquet(path) for path in sorted(many.glob("*.parquet"))[:4]], ignore_index=True
    )
    expected = gpumon.profile(frame, engine="local")
    whole = dd.from_pandas(frame, npartitions=partitions)
    assert counts(gpumon.profile(whole)) == counts(expected)
    kept = whole.persist()
    distributed.wait(kept)
    before = client.who_has()
    found = gpumon.profile(kept, timestamp="when", every="1d")
    assert counts(found.rollup()) == counts(expected)
    after = client.who_has()
    # every partition is still in the memory of a worker; which one is Dask's affair: a worker without work may take a
    # copy, and the manager of its memory then drops either of the two
    assert all(after.get(key) for key in before)
    if partitions == 4:
        assert counts(gpumon.profile(whole, engine="local")) == counts(expected)
        assert counts(gpumon.profile(kept, engine="local")) == counts(expected)
        parts = [dask.delayed(frame.iloc[i : i + 999]) for i in range(0, len(frame), 999)]
        assert counts(gpumon.profile(parts)) == counts(expected)
        futures = client.scatter([frame[:1500], frame[1500:]])
        assert counts(gpumon.profile(futures)) == counts(expected)


def test_a_collection_whose_partitions_differ_is_refused_with_the_partition(client):
    parts = [dask.delayed(pd.DataFrame)({"x": [1.0, 2.0]}), dask.delayed(pd.DataFrame)({"y": [1.0]})]
    with pytest.raises(gpumon.SchemaError, match=r"partition 1 has no column 'x'"):
        gpumon.profile(parts)
    with pytest.raises(gpumon.SchemaError, match=r"partition 1: 'x' is .*string, not double"):
        gpumon.profile([parts[0], dask.delayed(pd.DataFrame)({"x": ["a"]})])


def test_rows_of_this_process_are_counted_here_on_the_plan_of_the_cluster(client):
    frame = {"x": np.arange(1000.0)}
    counted = gpumon.profile(frame)
    assert counted.facts["work"]["engine"] == "local"
    assert counted == gpumon.profile(frame, engine="local")


def test_tasks_have_names_and_the_first_tick_comes_at_once(client, many, small_partitions):
    groups, ticks = set(), []
    start = time.monotonic()

    def tick(*told):
        ticks.append((time.monotonic() - start, *told))

    gpumon.profile(str(many), progress=tick)
    names = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.task_prefixes))
    groups.update(names)
    assert {"read", "profile", "merge"} <= groups
    assert ticks[0][0] < 2
    assert ticks[-1][1:4] == ("table", 60_000, 60_000)
    assert ticks[-1][4] > 0
    stages = [stage for _, stage, *_ in ticks]
    assert stages == sorted(stages, reverse=True)  # "table: files", then "table"


def test_a_worker_that_is_killed_changes_only_the_time(client, many, small_partitions):
    expected = gpumon.profile(str(many))
    victims = iter([client.run(os.getpid).popitem()[1]])

    def kill(stage, done, *_):
        if stage == "table" and done > 10_000:
            for pid in victims:
                os.kill(pid, signal.SIGKILL)

    assert gpumon.profile(str(many), progress=kill) == expected
    assert next(victims, None) is None


def _warm(path: str) -> None:
    gpumon.profile(path, engine="local")


def test_a_worker_that_hangs_is_left_behind(many, small_partitions):
    plan = gpumon.profile(str(many), engine="local")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        client.run(_warm, str(many))  # or loading kernels would look like hanging
        expected = gpumon.profile(str(many), like=plan, engine=client)
        pids = client.run(os.getpid)
        hung = [pids.popitem()[1]]
        stopped = []

        def stop(stage, done, *_):
            if hung and stage == "table" and done > 5_000:
                stopped.append(hung.pop())
                os.kill(stopped[0], signal.SIGSTOP)

        try:
            with dask.config.set({"gpumon.timeout": "3s"}):
                assert gpumon.profile(str(many), like=plan, engine=client, progress=stop) == expected
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGKILL)
        assert stopped


@pytest.fixture
def some(tmp_path, write_files) -> Path:
    """20 files of 1,000 rows, of which tests may damage some."""
    return write_files(tmp_path / "table", 20, 1000, seed=1)


def damage(folder: Path) -> dict[str, str]:
    """Cut a file short, empty another, overwrite the pages of a third; by name, what is said of each."""
    cut, empty, pages = (folder / f"{i:04}.parquet" for i in (3, 8, 12))
    cut.write_bytes(cut.read_bytes()[:-100])
    empty.write_bytes(b"")
    content = bytearray(pages.read_bytes())
    content[4:5000] = bytes(4996)
    pages.write_bytes(content)
    return {cut.name: "cut short", empty.name: "empty", pages.name: "cannot be read as Parquet"}


@pytest.mark.parametrize("engine", ["local", "auto"])
def test_files_without_a_footer_are_named_all_at_once_or_left_out(client, some, engine, small_partitions):
    said = damage(some)
    with pytest.raises(gpumon.InputError) as error:
        gpumon.profile(str(some), engine=engine)
    for name in ("0003.parquet", "0008.parquet"):
        assert f"{name}: " in str(error.value)
        assert said[name] in str(error.value)
    report = gpumon.scan(str(some), str(some), engine=engine, on_bad_file="skip")
    assert report.status == "error"
    assert report.reference.rows == report.current.rows == 17_000
    files = {Path(path).name: (rows, why) for path, rows, why in report.unreadable}
    assert {name: rows for name, (rows, _) in files.items()} == {
        "0003.parquet": None, "0008.parquet": None, "0012.parquet": 1000,
    }  # fmt: skip
    assert all(said[name] in why for name, (_, why) in files.items())
    assert any("0012.parquet" in note and "1,000 rows" in note for note in report.notes)
    good = [path for path in sorted(some.iterdir()) if path.name not in said]
    table = parquet.ParquetTable([parquet.File(str(path), 0) for path in good], "good")
    plan = report.reference.empty()
    expected = local.run(table, list(plan.columns), Counter(plan, Slicing(None, None, ()), select("cpu")))
    assert counts(report.current) == counts(expected.profile)


@pytest.mark.parametrize("engine", ["local", "auto"])
def test_files_that_vanish_or_change_after_planning(client, some, engine, small_partitions):
    plan = gpumon.profile(str(some), engine="local")
    gone, changed = some / "0005.parquet", some / "0006.parquet"
    kept = gone.read_bytes(), changed.read_bytes()

    def spoil(stage, done, of, _):
        if stage == "table: files" and done == of:
            gone.unlink()
            pq.write_table(pq.read_table(changed).slice(0, 500), changed)

    options = {"like": plan, "engine": engine, "progress": spoil}
    with pytest.raises(gpumon.InputError, match="2 files cannot be read") as error:
        gpumon.profile(str(some), **options)
    assert "0005.parquet: there is no such file" in str(error.value)
    assert "0006.parquet: the file was changed while the table was read" in str(error.value)
    gone.write_bytes(kept[0])
    changed.write_bytes(kept[1])
    counted = gpumon.profile(str(some), on_bad_file="skip", **options)
    assert counted.rows == 18_000
    assert [rows for _, rows, _ in counted.facts["unreadable"]] == [1000, 1000]


@pytest.mark.parametrize("engine", ["local", "auto"])
def test_a_run_over_bad_files_resumes_once_they_are_mended(client, some, tmp_path, engine, small_partitions):
    expected = gpumon.profile(str(some), engine="local")
    bad, folder = some / "0007.parquet", tmp_path / "kept"
    whole = bad.read_bytes()

    def spoil(stage, done, of, _):
        if stage == "table: files" and done == of:
            bad.unlink()

    def options(progress):
        return {"like": expected, "engine": engine, "resume": folder, "progress": progress}

    with pytest.raises(gpumon.InputError, match=r"no such file.*; 19 of 20 partitions are kept in .*/kept"):
        gpumon.profile(str(some), **options(spoil))
    part = gpumon.Profile.load(folder / "table.gpumon")
    assert part.rows == 19_000
    assert part.facts["missing"] == [7]
    assert part.facts["missing_files"] == [str(bad)]
    assert "only a part was counted: 1 of 20 partitions are missing" in part.facts["notes"]
    bad.write_bytes(whole)
    with pytest.raises(gpumon.OptionError, match="is of other files or other options"):
        gpumon.profile(str(some), **options(None), every="1d", timestamp="when")
    ticks = []
    counted = gpumon.profile(str(some), **options(lambda *told: ticks.append(told)))
    assert [done for stage, done, *_ in ticks if stage == "table"] == [19_000, 20_000]  # the rest only
    assert counts(counted) == counts(expected)
    assert not folder.exists()


def test_a_failing_task_ends_the_run_with_its_own_error(client, many, small_partitions):
    with pytest.raises(gpumon.SchemaError, match="column 'x' is to cut time into windows"):
        gpumon.profile(str(many), timestamp="x", every="1d")
    assert gpumon.profile(str(many)).rows == 60_000  # and the cluster goes on


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("spark", "engine 'spark' is unknown"),
        (7, "engine 7 is none"),
        ("nowhere.json", "no such scheduler file"),
        ("tcp://127.0.0.1:1", "does not answer"),
    ],
)
def test_engines_that_there_are_not(engine, message, monkeypatch):
    monkeypatch.setattr("gpumon.engines.dask.cluster.PATIENCE", "1s")
    with pytest.raises((gpumon.OptionError, gpumon.EngineError), match=message):
        gpumon.profile({"x": [1.0]}, engine=engine)


def test_options_that_make_no_sense():
    with pytest.raises(gpumon.OptionError, match="workers are started with engine='dask' only"):
        gpumon.profile({"x": [1.0]}, workers=2)
    with pytest.raises(gpumon.OptionError, match="workers must be a whole number above 0"):
        gpumon.profile({"x": [1.0]}, engine="dask", workers=0)
    with pytest.raises(gpumon.OptionError, match="on_bad_file 'hide' is unknown"):
        gpumon.profile({"x": [1.0]}, on_bad_file="hide")
    with pytest.raises(gpumon.OptionError, match="only a table of files can be resumed"):
        gpumon.profile({"x": [1.0]}, engine="local", resume="kept")
    assert not Path("kept").exists()


def test_an_engine_may_be_open_already():
    engine = Local()
    with opened(engine) as same:
        assert same is engine


def test_a_cluster_without_workers_is_told_in_time(many, small_partitions):
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0") as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
        dask.config.set({"gpumon.timeout": "0.5s"}),
    ):
        assert gpumon.profile({"x": [1.0, 2.0]}, engine=client).rows == 2  # needs none
        with pytest.raises(gpumon.EngineError, match="has no worker: start some"):
            gpumon.profile(str(many), engine=client)


def test_what_the_items_of_a_tasks_list_share_is_sent_once(client):
    with opened(client) as engine:
        for some in engine.each(_twins, range(6)):
            assert all(one is some[0] for one in some)


def _twins(number: int) -> list[list[int]]:
    return [[number]] * 3


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> Path:
    """A folder ``predictions`` of 12 files, ``labels.parquet`` of four fifths of them in another order, and ``reference``."""
    folder = tmp_path_factory.mktemp("scored")
    rng = np.random.default_rng(5)
    (folder / "predictions").mkdir()
    n = 12_000
    p = rng.uniform(size=n)
    y = rng.uniform(size=n) < p
    when = np.datetime64("2026-03-01") + rng.integers(0, 3 * 86_400, n).astype("timedelta64[s]")
    frame = pd.DataFrame({"id": [f"key {i}" for i in range(n)], "p": p, "when": when})
    for i in range(12):
        frame[i * 1000 : (i + 1) * 1000].to_parquet(folder / "predictions" / f"{i:02}.parquet", index=False)
    labelled = rng.permutation(n)[: n * 4 // 5]
    pd.DataFrame({"id": frame["id"][labelled], "y": y[labelled].astype(int)}).to_parquet(
        folder / "labels.parquet"
    )
    frame.assign(y=y.astype(int)).to_parquet(folder / "reference.parquet")
    return folder


@pytest.mark.parametrize("collection", [False, True])
def test_late_labels_are_joined_by_the_workers_as_by_one_process(
    client, scored, small_partitions, collection
):
    dd = pytest.importorskip("dask.dataframe")
    predictions, reference = str(scored / "predictions"), str(scored / "reference.parquet")
    options = {
        "target": "y", "score": "p", "labels": str(scored / "labels.parquet"), "on": "id", "timestamp": "when", "every": "1d",
    }  # fmt: skip
    here = gpumon.evaluate(predictions, reference, engine="local", **options)
    there = gpumon.evaluate(
        dd.read_parquet(predictions) if collection else predictions, reference, engine=client, **options
    )
    assert counts(here.current) == counts(there.current)
    assert here.results["metric"].tolist() == there.results["metric"].tolist()
    assert np.allclose(here.results["value"], there.results["value"], rtol=1e-9, atol=1e-12, equal_nan=True)
    assert here.results.where(metric="labelled_share", window=None)["value"][0] == pytest.approx(0.8)
    assert "2 workers" in there.facts["Engine"]
