"""Charts of models: well-formed, escaped, true to the numbers, and silent about what is not known."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

import pytest

from gpumon.reports.charts import Course, Curve, Group, course_svg, curves_svg, groups_svg, matrix_svg
from gpumon.reports.svg import CURRENT

HOSTILE = "<script>alert(1)</script>\x00\"'&\u202e"
NAN = math.nan
TAG = "{http://www.w3.org/2000/svg}"


def drawn(svg: str) -> ET.Element:
    """The parsed figure, which neither runs anything nor has a style of its own."""
    assert "<script" not in svg
    assert " style=" not in svg
    assert "nan" not in re.sub(r"<title>.*?</title>", "", svg)
    return ET.fromstring(svg)


def dots(figure: ET.Element) -> list[ET.Element]:
    return figure.findall(f"{TAG}circle")


def test_a_course_has_a_dot_for_each_known_window_and_breaks_where_one_is_missing():
    values = [0.9, 0.8, NAN, 0.7]
    course = Course(
        "realised", values, [0.85, 0.75, NAN, 0.6], [0.95, 0.85, NAN, 0.8], ["ok", "warn", "no_data", "alert"]
    )
    figure = drawn(course_svg("AUC", ["a", "b", "c", "d"], [course], level=0.9, limits=[0.75]))
    assert len(dots(figure)) == 3
    heights = [float(dot.get("cy")) for dot in dots(figure)]
    assert heights == sorted(heights)  # falling values go down the page
    lines = [p for p in figure.findall(f"{TAG}path") if p.get("stroke") == CURRENT]
    assert len(lines) == 2
    assert "0.7" in dots(figure)[-1][0].text
    assert "alert" in dots(figure)[-1][0].text


def test_immature_windows_are_pale_and_estimates_are_dashed():
    realised = Course("realised", [1.0, 1.0])
    estimated = Course("estimated", [1.0, 1.1], estimated=True)
    figure = drawn(course_svg("MAE", ["a", "b"], [realised, estimated], mature=[1.0, 0.25]))
    assert [float(dot.get("fill-opacity")) for dot in dots(figure)] == [1.0, 0.35]
    assert "25 % labelled" in dots(figure)[1][0].text
    assert any(p.get("stroke-dasharray") == "5 4" for p in figure.findall(f"{TAG}path"))


def test_a_change_is_a_line_within_a_band_that_tells_its_dates():
    labels = ["mon", "tue", "wed", HOSTILE]
    figure = drawn(
        course_svg("accuracy", labels, [Course("realised", [0.9, 0.9, 0.8, 0.8])], change=(2, 1, 3))
    )
    (band,) = [rect for rect in figure.iter(f"{TAG}rect") if len(rect) and rect[0].text.startswith("changed")]
    assert band[0].text.startswith("changed from wed on, 95 %: tue to <script>")
    (rule,) = [p for p in figure.findall(f"{TAG}path") if p.get("stroke-dasharray") == "3 2"]
    x = float(rule.get("d")[1:].split()[0])
    between = [float(dot.get("cx")) for dot in dots(figure)][1:3]
    assert x == pytest.approx(sum(between) / 2, abs=0.1)
    assert float(band.get("x")) < x < float(band.get("x")) + float(band.get("width"))


def test_curves_go_through_their_points():
    curve = Curve("current", [0.0, 0.5, 1.0], [0.0, 0.8, 1.0], weights=[0.1, 1.0, 0.2])
    figure = drawn(
        curves_svg(
            "ROC", ("FPR", "TPR"), [curve, Curve("reference", [0, 1], [0, 1], "reference")], diagonal=True
        )
    )
    middle = dots(figure)[1]
    (path,) = [p.get("d") for p in figure.findall(f"{TAG}path") if p.get("stroke") == CURRENT]
    points = [tuple(map(float, point.split())) for point in path.removeprefix("M").split("L")]
    assert points[1] == pytest.approx((float(middle.get("cx")), float(middle.get("cy"))), abs=0.06)
    assert points[1][0] == pytest.approx((points[0][0] + points[2][0]) / 2, abs=0.06)
    assert points[1][1] == pytest.approx(points[0][1] + 0.8 * (points[2][1] - points[0][1]), abs=0.06)


def test_a_matrix_shows_shares_of_the_true_class():
    figure = drawn(matrix_svg("Confusion", ["no", "yes"], [[90, 10], [30, 10]], [[95, 5], [1, 1]]))
    words = [node.text for node in figure.findall(f"{TAG}text")]
    assert [word for word in words if word and word.endswith(" %")] == ["90 %", "10 %", "75 %", "25 %"]
    told = [node[0].text for node in figure.findall(f"{TAG}rect")]
    assert told[1] == "no predicted as yes: 10 rows, 5.0 % in the reference"


def test_the_largest_of_many_classes_are_drawn():
    counts = [[i if i == j else 0 for j in range(30)] for i in range(30)]
    figure = drawn(matrix_svg("Confusion", [f"class {i}" for i in range(30)], counts))
    assert len(figure.findall(f"{TAG}rect")) == 144
    assert any(node.text == "the 12 largest of 30 classes" for node in figure.findall(f"{TAG}text"))


def test_groups_without_a_value_say_so():
    groups = [Group("a", 0.5, 0.4, 0.6, 0.55), Group("b", NAN, NAN, NAN)]
    figure = drawn(groups_svg("TPR", "1", groups, level=0.5))
    assert len(dots(figure)) == 2
    assert any(node.text == "no data" for node in figure.findall(f"{TAG}text"))


@pytest.mark.parametrize(
    "svg",
    [
        course_svg(HOSTILE, [HOSTILE], [Course(HOSTILE, [1.0])]),
        course_svg(HOSTILE, [HOSTILE], [Course(HOSTILE, [NAN])], level=NAN),
        course_svg("none", [], [Course("none", [])]),
        curves_svg(HOSTILE, (HOSTILE, HOSTILE), [Curve(HOSTILE, [NAN], [NAN])], square=False),
        curves_svg(
            HOSTILE, (HOSTILE, HOSTILE), [Curve(HOSTILE, [1e300, -1e300], [1.0, math.inf])], square=False
        ),
        matrix_svg(HOSTILE, [HOSTILE, ""], [[0, 0], [0, 0]]),
        matrix_svg(HOSTILE, [], []),
        groups_svg(HOSTILE, HOSTILE, [Group(HOSTILE, 1.0, NAN, 2.0)] * 40),
    ],
)
def test_no_name_and_no_number_breaks_a_chart(svg):
    drawn(svg)
