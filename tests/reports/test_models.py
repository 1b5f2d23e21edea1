"""What is drawn of a model agrees with scikit-learn, names nothing that it lacks, and is safe with any name."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

import gpumon
from gpumon.reports import models, views

TAG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>\"'&"


def loans(rows: int, seed: int, noise: float) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.beta(2, 2, rows)
    return {
        "y": (rng.random(rows) < p).astype(np.int64),
        "p": np.clip(p + noise * rng.normal(size=rows), 0, 1),
        "when": np.datetime64("2025-03-01", "s") + (np.arange(rows) * 7 * 86_400 // rows),
        "group": rng.choice(["a", HOSTILE], rows),
    }


@pytest.fixture(scope="module")
def report() -> gpumon.Report:
    return gpumon.evaluate(
        loans(20_000, 1, 0.3),
        loans(20_000, 2, 0.05),
        target="y",
        score="p",
        timestamp="when",
        every="1d",
        by="group",
    )


def test_every_chart_is_well_formed_and_nothing_in_it_runs(report):
    drawn = models.charts(report)
    assert {"roc", "precision recall", "reliability", "confusion", "auc by window", "auc by segment"} <= set(
        drawn
    )
    for svg in drawn.values():
        tags = {element.tag.removeprefix(TAG) for element in ET.fromstring(svg).iter()}
        assert tags <= {"svg", "title", "path", "rect", "text", "circle"}
        assert "<script" not in svg


def test_the_roc_curve_is_that_of_scikit_learn(report):
    table = loans(20_000, 1, 0.3)
    figure = ET.fromstring(models.charts(report)["roc"])
    paths = [p.get("d") for p in figure.findall(f"{TAG}path") if p.get("stroke-width") == "1.8"]
    at = [tuple(map(float, point.split())) for point in paths[1][1:].split("L")]
    points = np.array(at)
    x, y = (points[:, 0] - 52) / (290 - 52), (276 - points[:, 1]) / (276 - 38)
    fpr, tpr, _ = roc_curve(table["y"], table["p"])
    assert np.abs(y - np.interp(x, fpr, tpr)).max() < 0.02
    words = " ".join(figure.itertext())
    assert f"current {roc_auc_score(table['y'], table['p']):.3f}" in words


def test_the_matrix_tells_the_counts_of_scikit_learn(report):
    table = loans(20_000, 1, 0.3)
    expected = confusion_matrix(table["y"], table["p"] >= 0.5)
    figure = ET.fromstring(models.charts(report)["confusion"])
    told = [rect[0].text for rect in figure.findall(f"{TAG}rect")]
    assert told[1].startswith("0 predicted as 1: ")
    shares = [node.text for node in figure.findall(f"{TAG}text") if (node.text or "").endswith(" %")]
    assert shares == [f"{share:.0f} %" for share in (100 * expected / expected.sum(1, keepdims=True)).ravel()]


def test_the_page_tells_the_verdict_on_the_model_first(report):
    page = views.page(report)
    assert page["title"] == "Model evaluation"
    assert re.match(r"\d+ of \d+ measures of the model changed for the worse: ", page["sentence"])
    html = report._content(Path("x.html")).decode()
    assert '<section id="performance"' in html
    assert "<script>alert(1)" not in html
    assert html.count("<figure><svg ") == len(models.charts(report))


def test_a_chart_can_be_asked_for_by_name(report, tmp_path):
    report.plot("roc").save(tmp_path / "roc.svg")
    ET.parse(tmp_path / "roc.svg")
    assert "p" in report.columns
    assert report.plot("p").svg != report.plot("roc").svg
    with pytest.raises(gpumon.OptionError, match=r"no chart 'rock' in this report; its charts are .*roc"):
        report.plot("rock")


def drawn_shares(figure: ET.Element) -> list[np.ndarray]:
    """The heights of the two curves, from the floor up, in units of the drawing."""
    paths = [p.get("d") for p in figure.findall(f"{TAG}path") if p.get("stroke-width") == "1.8"]
    return [np.array([-float(point.split()[1]) for point in d[1:].split("L")]) for d in paths]


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_how_sure_the_model_is_is_drawn_of_two_classes_and_of_many(classes, tmp_path):
    names = [HOSTILE, *"abcdef"][:classes]

    def rows(seed, spread):
        rng = np.random.default_rng(seed)
        p = rng.dirichlet(np.full(classes, spread), 20_000)
        p[rng.random(20_000) < 0.05] = np.eye(classes)[0]
        y = np.array(names)[(p.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1).clip(0, classes - 1)]
        return {"y": y} | {f"p{i}": p[:, i] for i in range(classes)}, p.max(axis=1)

    (current, now), (reference, before) = rows(1, 0.6), rows(0, 1.5)
    score = {name: f"p{i}" for i, name in enumerate(names)} if classes > 2 else "p0"
    report = gpumon.evaluate(
        current, reference, target="y", score=score, positive=None if classes > 2 else HOSTILE
    )
    svg = models.charts(report)["confidence"]
    ends = np.linspace(1 / classes, 1, 21)
    shares = np.concatenate([np.histogram(side, ends)[0] / 20_000 for side in (before, now)])
    heights = np.concatenate(drawn_shares(ET.fromstring(svg)))
    scale = np.polyfit(shares, heights, 1)
    assert np.abs(np.polyval(scale, shares) - heights).max() < 0.02 * np.ptp(heights)
    assert scale[0] > 0
    assert "probability of the likeliest class" in " ".join(ET.fromstring(svg).itertext())
    report.save(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "How sure the model is" in page
    assert "<script>alert" not in page


def test_scores_that_are_no_probabilities_have_no_chart_of_confidence():
    table = {"y": [0, 1, 0, 1] * 50, "p": [-2.0, 3.0, 0.5, 0.1] * 50}
    assert "confidence" not in models.charts(gpumon.evaluate(table, table, target="y", score="p"))


def test_residuals_of_a_regression_are_drawn():
    rng = np.random.default_rng(0)
    y = rng.normal(size=5000)
    tables = [{"y": y, "yhat": y + shift + rng.normal(size=5000)} for shift in (0.5, 0.0)]
    drawn = models.charts(gpumon.evaluate(*tables, target="y", prediction="yhat"))
    assert list(drawn) == ["residuals"]
    ET.fromstring(drawn["residuals"])


def test_a_scan_without_labels_draws_no_model():
    rng = np.random.default_rng(0)
    report = gpumon.scan({"x": rng.normal(size=500)}, {"x": rng.normal(size=500)})
    assert views.page(report)["charts"] == views.page(report)["performance"] == []
    assert views.page(report)["title"] == "Drift scan"


def test_measures_without_a_verdict_are_folded_away_and_still_there(tmp_path):
    def page(*tables):
        gpumon.evaluate(*tables, target="y", score="p").save(tmp_path / "page.html")
        return re.sub(r"<bdi[^>]*>", "<bdi>", (tmp_path / "page.html").read_text("utf-8"))

    rng = np.random.default_rng(0)
    table = {"y": rng.random(800) < 0.4, "p": rng.random(800)}
    html = page(table, table)
    judged, _, rest = html.partition('<details class="more">')
    assert judged.count(">accuracy</bdi>") == 1
    assert rest.partition("</details>")[0].count(">gini</bdi>") == 1
    assert ">gini</bdi>" not in judged
    described = page(table)
    assert '<details class="more">' not in described
    assert ">gini</bdi>" in described


def test_measures_of_one_name_are_told_apart():
    rng = np.random.default_rng(0)
    p = rng.random(400)
    report = gpumon.evaluate({"p": p, "y": rng.random(400) < p}, target="y", score="p")
    rows = views.performance(report)
    names = views.measure_names(rows)
    assert len(set(names)) == len(names)
    assert {"calibration_error, 15 bins of equal width", "confidence_quantile, level 0.05", "auc"} <= {*names}
    page = report._content(Path("x.html")).decode()
    assert "calibration error, 15 bins of about equal mass" in page
