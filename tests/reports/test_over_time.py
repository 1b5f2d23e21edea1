"""What windows show together is in every view, says when and how sure, and is safe with any name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gpumon
from gpumon.reports import models, notebook, terminal, views
from gpumon.reports.over_time import change_of, over_time, since

HOSTILE = "<script>alert(1)</script>"


def rows(rng, days, good, start, score="p", labelled=True):
    p = rng.random(days * 300)
    when = np.repeat(np.arange(days), 300)
    y = rng.random(p.size) < np.where(when < good, p, 0.35 + 0.3 * p)
    labels = y.astype(float) if labelled else np.full(p.size, np.nan)
    return {"y": labels, score: p, "t": np.datetime64(start, "s") + when * 86_400}


def evaluated(good, score="p", labelled=True, **options):
    rng = np.random.default_rng(0)
    tables = [
        rows(rng, 20, good, "2025-01-01", score, labelled=labelled),
        rows(rng, 10, 99, "2024-12-01", score),
    ]
    return gpumon.evaluate(*tables, target="y", score=score, timestamp="t", every="1d", **options)


@pytest.fixture(scope="module")
def fallen():
    return evaluated(12, HOSTILE)


def test_the_rows_are_those_of_the_results(fallen):
    found = over_time(fallen)
    followed = ["accuracy", "f1", "auc", "average_precision", "log_loss", "brier_score"]
    assert [row["name"] for row in found["measures"]] == followed
    for row in found["measures"]:
        for part in ("breaches", "cusum", "ewma", "trend"):
            (result,) = fallen.results.where(metric=f"{row['name']}_{part}")
            assert row[part]["value"] == result.value
        assert row["status"] == "alert"
        assert row["reason"].count("is worse than") == 1
    assert [row["name"] for row in found["changes"]] == ["error_rate change", "concept change"]
    assert found["changes"][0]["when"].at == "2025-01-13"
    assert [row["name"] for row in found["detectors"]] == ["adwin", "page_hinkley", "ddm"]
    assert [row["name"] for row in found["rolled"]] == [
        "psi",
        "jensen_shannon",
        "kolmogorov_smirnov",
        "hellinger",
    ]
    assert [row["name"] for row in found["early"]] == [HOSTILE]


def test_the_sentence_says_since_when(fallen):
    words = views.sentence(fallen)
    assert "The error rate rose from 0.2" in words
    assert " at 2025-01-13. " in words


def test_the_page_the_terminal_and_the_notebook_show_it_and_run_nothing(fallen):
    page = fallen._content(Path("x.html")).decode()
    console = terminal.text(fallen, 200)
    cell = notebook.html(fallen)
    for text in (page, console, cell):
        assert "error rate rose from" in text
        assert "2025-01-13" in text
        assert "CUSUM" in text
    for text in (page, cell):
        assert HOSTILE not in text
    assert 'aria-label="Measures over time"' in page
    assert 'aria-label="All columns together"' in page
    assert "change since 2025-01-1" in page


def test_the_change_is_drawn_in_the_course_of_the_accuracy(fallen):
    drawn = models.charts(fallen)
    when = change_of(fallen, "error_rate")
    assert when is not None
    assert f"changed from {when.at} on, 95 %: {when.first} to {when.last}" in drawn["accuracy by window"]
    assert "changed from" not in drawn["auc by window"]


def test_what_has_not_changed_is_not_said_to_have():
    report = evaluated(99)
    assert change_of(report, "error_rate") is None
    assert since(report) == ""
    assert "changed from" not in models.charts(report)["accuracy by window"]
    found = over_time(report)
    assert {row["status"] for row in found["measures"]} == {"ok"}
    assert not any(row["reason"] for row in (*found["measures"], *found["changes"]))
    assert "rose" not in terminal.text(report)


def test_without_labels_every_view_says_that_the_concept_cannot_be_seen():
    report = evaluated(99, labelled=False)
    words = "cannot be seen without labels"
    assert f"Concept drift {words}." in views.sentence(report)
    assert words in report._content(Path("x.html")).decode()
    assert words in " ".join(terminal.text(report, 300).split())
    assert words in notebook.html(report)
    assert {row["status"] for row in over_time(report)["measures"]} == {"no_data"}


def test_without_windows_there_is_nothing_over_time():
    rng = np.random.default_rng(1)
    table = rows(rng, 5, 99, "2025-01-01")
    report = gpumon.evaluate(table, table, target="y", score="p")
    found = over_time(report)
    assert not found["measures"]
    assert not found["changes"]
    assert "CUSUM" not in report._content(Path("x.html")).decode()


def test_scores_are_drawn_from_window_to_window_with_or_without_labels(fallen):
    drawn = fallen.plot(f"psi_previous of {HOSTILE}").svg
    assert drawn.count("<circle") == 20
    assert "<script" not in drawn
    assert "stroke-dasharray" in drawn  # all so far, and the limit
    rng = np.random.default_rng(1)
    tables = [rows(rng, 5, 99, start, HOSTILE) for start in ("2025-01-01", "2024-12-01")]
    report = gpumon.scan(*tables, roles={"score": HOSTILE}, columns=[HOSTILE], timestamp="t", every="1d")
    page = views.page(report)
    assert not page["performance"]
    assert len(page["over_time"]["moved"]) == 1
    assert page["over_time"]["moved"][0] not in page["charts"]
    only = gpumon.scan(
        *tables, roles={"score": HOSTILE}, timestamp="t", every="1d", metrics=["jensen_shannon_previous"]
    )
    assert f"jensen_shannon_previous of {HOSTILE}" in models.charts(only)


def test_the_page_of_windows_draws_them(fallen, tmp_path):
    fallen.save(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "From window to window" in text
    assert HOSTILE not in text
