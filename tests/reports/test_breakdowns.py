"""Fairness, slices and importance on the page, in the terminal and in a notebook: complete, and safe with any name."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import gpumon
from gpumon.reports import breakdowns, models, views
from gpumon.reports.notebook import html as in_notebook
from gpumon.reports.svg import number

TAG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>\"'&"
DEEP = "\x1b[31m<img src=x onerror=alert(2)>"


def people(rows, seed, bias=0.0, noise=0.0):
    rng = np.random.default_rng(seed)
    p = rng.random(rows)
    sex, town = rng.choice(["f", HOSTILE], rows), rng.choice(["a", "b", DEEP], rows)
    y = np.where((town == DEEP) & (rng.random(rows) < noise), rng.random(rows) < 0.5, rng.random(rows) < p)
    return {
        "y": y,
        "p": p * (1 - bias * (sex == "f")),
        "sex": sex,
        "town": town,
        f"phi{HOSTILE}": rng.normal(size=rows),
        "phi_town": rng.normal(0, 1 + 5 * noise, rows),
        "t": np.datetime64("2024-05-01") + rng.integers(0, 3, rows),
    }


def labels(figure):
    """What is written in a chart, without what hovering tells."""
    return {
        "".join([text.text or "", *(child.tail or "" for child in text)])
        for text in figure.iter(f"{TAG}text")
    }


@pytest.fixture(scope="module")
def report():
    return gpumon.evaluate(
        people(12_000, 1, 0.3, 1.0), people(12_000, 2), target="y", score="p", sensitive_features="sex",
        slices=["sex", "town"], attributions="phi", timestamp="t", every="1d",
    )  # fmt: skip


def test_the_page_has_a_part_for_each(report, tmp_path):
    found = {part.id: part for part in breakdowns.parts(report)}
    assert list(found) == ["fairness", "slices", "importance"]
    report.save(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    for id_ in found:
        assert f'<section id="{id_}"' in page
        assert f'<a href="#{id_}">' in page
    assert "demographic parity ratio by sex" in page
    assert found["slices"].rows[0].metric == "loss_contribution"
    assert set(found["fairness"].groups) == {"sex=f", f"sex={HOSTILE}"}
    rates = views.page(report)["breakdowns"][0]
    place = rates["rates"].index("selection_rate")
    (cell,) = [group["cells"][place] for group in rates["groups"] if group["name"] == "sex=f"]
    table = people(12_000, 1, 0.3, 1.0)
    assert cell["value"] == pytest.approx((table["p"][table["sex"] == "f"] >= 0.5).mean())
    assert re.fullmatch(r"0\.\d+ to 0\.\d+, 0\.\d+ in the reference", cell["told"])


def test_nothing_from_data_is_markup_or_moves_a_cursor(report, tmp_path):
    report.save(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    for text in (page, in_notebook(report)):
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "\x1b" not in text
    assert "\x1b" not in repr(report)
    for svg in breakdowns.charts(report).values():
        tags = {element.tag.removeprefix(TAG) for element in ET.fromstring(svg).iter()}
        assert tags <= {"svg", "title", "path", "rect", "text", "circle"}


def test_charts_are_found_by_name_and_draw_the_line_of_four_fifths(report):
    names = breakdowns.charts(report)
    assert {"selection rate by sex", "true positive rate by sex", "importance"} <= set(names)
    assert "demographic parity ratio by sex by window" in names
    svg = report.plot("selection rate by sex").svg
    assert "line: four fifths of the highest" in svg
    figure = ET.fromstring(svg)
    (line,) = [path for path in figure.findall(f"{TAG}path") if path.get("stroke-dasharray") == "2 3"]
    x = float(re.match(r"M([\d.]+) ", line.get("d"))[1])
    dots = {
        dot.find(f"{TAG}title").text.split(": ")[0]: float(dot.get("cx"))
        for dot in figure.findall(f"{TAG}circle")
        if dot.find(f"{TAG}title") is not None
    }
    values = {
        row.column: row.value for row in report.results.where(metric="group_selection_rate", window=None)
    }
    low, high = dots["sex=f"], max(dots.values())
    place = (0.8 * max(values.values()) - values["sex=f"]) / (max(values.values()) - values["sex=f"])
    assert x == pytest.approx(low + place * (high - low), abs=0.2)


def test_the_sentence_and_the_terminal_say_where_it_is_worst(report):
    sentence = views.sentence(report)
    assert "Groups are not treated alike: demographic parity ratio by sex" in sentence
    assert "It became worse most where town=" in sentence
    text = repr(report)
    for words in (
        "Fairness: how groups",
        "Where it is worst",
        "Importance: of the features",
        "importance_ndcg",
    ):
        assert words in text
    notebook = in_notebook(report)
    assert "<b>Where it is worst</b>" in notebook
    assert "<svg" in notebook


def test_a_report_without_groups_has_no_such_part():
    table = people(500, 0)
    report = gpumon.evaluate(table, table, target="y", score="p")
    assert breakdowns.parts(report) == []
    assert views.page(report)["breakdowns"] == []


def test_slices_within_chance_are_not_named():
    table = people(3_000, 0)
    report = gpumon.evaluate(people(3_000, 1), table, target="y", score="p", slices=["town"])
    (part,) = breakdowns.parts(report)
    if not part.rows:
        assert "No slice stands out" in repr(report)
    assert all(row.p_value < 0.05 for row in part.rows)


def test_estimates_stand_beside_what_was_realised(report):
    svg = models.charts(report)["estimates"]
    figure = ET.fromstring(svg)
    named = labels(figure)
    assert {"accuracy", "recall", "auc"} <= named
    assert "ring: estimated without labels" in named
    rings = [dot for dot in figure.findall(f"{TAG}circle") if dot.get("fill") == "none"]
    assert {ring.get("stroke") for ring in rings} == {"#8a63b8"}
    values = {
        row.metric: row.value
        for row in report.results.where(column=None, window=None)
        if np.isfinite(row.value)
    }
    assert len(rings) == sum(f"estimated_{name}" in values for name in values) > 4


def test_a_chart_has_the_groups_of_its_column_alone():
    rng = np.random.default_rng(0)
    table = {
        "y": rng.random(2_000) < 0.5,
        "p": rng.random(2_000),
        "age": rng.choice(["old", "young & rich"], 2_000),
        "age_group": rng.choice(["a", "b"], 2_000),
    }
    report = gpumon.evaluate(table, target="y", score="p", sensitive_features=["age", "age_group"])
    named = {name: labels(ET.fromstring(svg)) for name, svg in breakdowns.charts(report).items()}
    assert {"age=old", "age=young & rich"} <= named["selection rate by age"]
    assert not {"age_group=a", "age_group=b"} & named["selection rate by age"]
    both = named["selection rate by age & age_group"]
    assert {"age=old & age_group=a", "age=old & age_group=b"} <= both
    assert not {"age=old", "age_group=a"} & both


def test_gaps_are_drawn_with_their_intervals(report):
    figure = ET.fromstring(breakdowns.charts(report)["gaps by sex"])
    told = [title.text for title in figure.iter(f"{TAG}title")]
    (row,) = report.results.where(metric="equal_opportunity_difference", window=None)
    words = f"equal opportunity: {number(row.value)} ({number(row.ci_lower)} to {number(row.ci_upper)})"
    assert words in told
    assert not any(text.endswith("ratio") for text in labels(figure))
