"""A report shows one table in every form, and its files appear whole or not at all."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import gpumon
from gpumon.demo import flights, flights_of
from gpumon.errors import InputError, OptionError
from gpumon.metrics.results import FIELDS
from gpumon.reports import views


@pytest.fixture(scope="module")
def report() -> gpumon.Report:
    return flights()


def test_the_flights_true_differences_come_out_first(report):
    assert report.status == "alert"
    assert {"air_time", "dest", "dep_delay", "arr_delay"} == set(report.drifted[:4])
    assert report.columns["origin"] == "ok"
    known = {"dep_delay": 0.105, "arr_delay": 0.090, "air_time": 0.077, "distance": 0.034}
    for column, expected in known.items():
        (row,) = report.results.where(metric="kolmogorov_smirnov", column=column, window=None)
        assert row.value == pytest.approx(expected, abs=0.0006)


def test_reports_are_saved_as_parquet_csv_and_json_with_the_same_rows(report, tmp_path):
    for suffix in ("parquet", "csv", "json", "html"):
        report.save(tmp_path / f"r.{suffix}")
    assert pq.read_table(tmp_path / "r.parquet").equals(report.to_arrow())
    with (tmp_path / "r.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == FIELDS
    assert len(rows) == len(report.results) + 1
    document = json.loads((tmp_path / "r.json").read_text())
    assert len(document["results"]) == len(report.results)
    assert document["status"] == "alert"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.csv", "r.html", "r.json", "r.parquet"]


def test_an_unknown_suffix_or_a_missing_folder_is_one_clear_line(report, tmp_path):
    with pytest.raises(OptionError, match=r"'r\.docx': use one of \.html"):
        report.save(tmp_path / "r.docx")
    with pytest.raises(InputError, match="cannot be written"):
        report.save(tmp_path / "no" / "r.json")


def test_a_column_is_drawn_and_an_unknown_one_refused(report, tmp_path):
    for column in ("dep_delay", "carrier"):
        figure = report.plot(column)
        assert figure._repr_svg_().startswith("<svg")
    figure.save(tmp_path / "carrier.svg")
    assert Path(tmp_path / "carrier.svg").read_text() == figure.svg
    with pytest.raises(OptionError, match="no column 'delay'"):
        report.plot("delay")


def test_the_terminal_view_names_columns_reasons_and_rows(report):
    text = repr(report)
    assert text.splitlines()[0].startswith("▲ 8 of 14 columns drifted (4 alerts); air_time")
    assert "51,955 reference rows, 57,668 current rows" in text
    assert "“FLL” fell from" in text


def test_the_notebook_view_escapes_and_runs_nothing():
    hostile = "<script>alert(1)</script>"
    words = np.array([hostile, "b"] * 200)
    shown = gpumon.scan({hostile: words[::-1][:150]}, {hostile: words})._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


def test_the_drawn_histogram_adds_up_to_all_rows(report):
    drawn = views.column(report, "dep_delay")
    for i, side in enumerate(("reference", "current")):
        total = (
            sum(drawn["histogram"][side]) + drawn["histogram"]["below"][i] + drawn["histogram"]["above"][i]
        )
        assert total == pytest.approx(1, abs=1e-9)
        level = drawn["ecdf"][side]
        assert (np.diff(level) >= 0).all()


def test_the_drawn_distribution_is_the_true_one_within_a_bin(report):
    delays = flights_of(6, 7)["dep_delay"].drop_null().to_numpy()
    drawn = views.column(report, "dep_delay")["ecdf"]
    true = np.searchsorted(np.sort(delays), drawn["x"], side="right") / delays.size
    assert np.abs(true - drawn["current"]).max() < 0.03


def test_a_thousand_columns_make_a_page_of_at_most_six_megabytes():
    rng = np.random.default_rng(0)
    reference = {f"column {i}": rng.normal(size=400) for i in range(1000)}
    current = {name: x[::-1] + (i % 50 == 0) for i, (name, x) in enumerate(reference.items())}
    report = gpumon.scan(current, reference)
    assert len(report.drifted) == 20
    content = report._content(Path("x.html"))
    assert len(content) <= 6 * 2**20


def test_the_heat_map_has_the_distances_of_every_column_score_and_target_by_window():
    rng = np.random.default_rng(0)
    rows = [
        {"x": rng.normal(size=900), "p": rng.random(900), "y": rng.integers(0, 2, 900)}
        | {"t": np.datetime64("2025-01-01") + np.arange(900) % 3}
        for _ in range(2)
    ]
    roles = {"score": "p", "target": "y"}
    report = gpumon.scan(rows[0], rows[1], roles=roles, timestamp="t", every="1d")
    grid = views.page(report)["windows"]
    assert {"x", "p", "y"} <= set(grid["columns"])
    assert [grid["metric"], *(each["metric"] for each in grid["others"])] == [
        "jensen_shannon",
        "psi",
        "kolmogorov_smirnov",
        "hellinger",
    ]
    for each in (grid, *grid["others"]):
        found = report.results.where(metric=each["metric"], segment=None)
        for row in found:
            if row.window is not None:
                i, j = grid["columns"].index(row.column), grid["labels"].index(row.window)
                assert each["values"][i][j] == row.value
                assert each["status"][i][j] == row.status
    alone = gpumon.scan(rows[0], rows[1], roles=roles, timestamp="t", every="1d", metrics=["psi"])
    grid = views.page(alone)["windows"]
    assert (grid["metric"], grid["others"]) == ("psi", [])
    missing = gpumon.scan(rows[0], rows[1], roles=roles, timestamp="t", every="1d", metrics=["missing_rate"])
    assert views.page(missing)["windows"] is None
