"""Figures are well-formed, tell what they show, and draw what they are given."""

import xml.etree.ElementTree as ET
from html import escape
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpumon.reports import figures

from .payloads import HOSTILE, payload

SVG = "{http://www.w3.org/2000/svg}"
REPORTS = [payload(), payload(len(HOSTILE), 4, 3, hostile=True)]
COLUMN_FIGURES = [figures.histogram_svg, figures.ecdf_svg, figures.categories_svg, figures.sparkline_svg]


def column(name: str) -> dict[str, Any]:
    return next(each for each in REPORTS[0]["columns"] if each["name"] == name)


def parsed(picture: str) -> ET.Element:
    root = ET.fromstring(picture)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title") is not None
    return root


@pytest.mark.parametrize("figure", COLUMN_FIGURES)
@pytest.mark.parametrize("report", REPORTS, ids=["flights", "hostile"])
def test_every_column_gives_one_well_formed_figure_of_drawing_elements_only(figure: Any, report: Any) -> None:
    for each in report["columns"]:
        tags = {element.tag.removeprefix(SVG) for element in parsed(figure(each)).iter()}
        assert tags <= {"svg", "title", "path", "line", "rect", "text", "circle"}


def test_names_are_shown_as_text() -> None:
    for name, each in zip(HOSTILE, REPORTS[1]["columns"], strict=True):
        shown = "".join(parsed(figures.histogram_svg(each)).itertext())
        assert figures.printable(name, 60) in shown


def test_a_histogram_has_an_outline_a_filled_area_and_its_tails() -> None:
    root = parsed(figures.histogram_svg(column("dep_delay")))
    area = [path for path in root.findall(f"{SVG}path") if path.get("fill") == figures.CURRENT]
    outline = [path for path in root.findall(f"{SVG}path") if path.get("stroke") == figures.REFERENCE]
    assert [path.get("d", "").count("H") for path in area + outline] == [40, 40]
    assert [text.text for text in root.findall(f"{SVG}text") if text.text in {"below", "above"}] == [
        "below",
        "above",
    ]


def test_a_column_without_the_asked_figure_says_so() -> None:
    assert "no histogram for this column" in figures.histogram_svg(column("carrier"))
    assert "no categories for this column" in figures.categories_svg(column("dep_delay"))


def test_categories_stand_in_the_order_given_with_new_and_vanished_ones_marked() -> None:
    texts = parsed(figures.categories_svg(column("carrier"))).findall(f"{SVG}text")
    words = [text[0].tail or "" for text in texts if len(text)]  # behind the <title> that hovering shows
    labels = [word for word in words if word[:2] in {"UA", "B6", "F9", "YV"}]
    assert labels == ["UA", "B6", "F9 (gone)", "YV (new)"]


def test_the_cumulative_distribution_tells_its_largest_gap() -> None:
    ecdf = column("dep_delay")["ecdf"]
    gap = max(abs(r - c) for r, c in zip(ecdf["reference"], ecdf["current"], strict=True))
    assert f"at most {figures.number(gap)} apart" in figures.ecdf_svg(column("dep_delay"))


def test_a_constant_column_is_drawn() -> None:
    constant = {
        "edges": [5.0, 5.0],
        "reference": [1.0],
        "current": [1.0],
        "below": [0.0, 0.0],
        "above": [0.0, 0.0],
    }
    parsed(figures.histogram_svg({"name": "five", "histogram": constant}))
    assert "nan" not in figures.histogram_svg({"name": "five", "histogram": constant})


def test_a_heat_map_tells_every_cell_and_stops_at_forty_columns() -> None:
    root = parsed(figures.heatmap_svg(payload(60, 5)["windows"]))
    assert len(root.findall(f"{SVG}rect")) == 40 * 5
    assert "20 more are not drawn" in (root.findtext(f"{SVG}title") or "")
    told = [rect.findtext(f"{SVG}title") or "" for rect in root.findall(f"{SVG}rect")]
    assert told[0].startswith("dep_delay, 2013-06-01: ")
    assert any(each.endswith("no data") for each in told)


@pytest.mark.parametrize("colour", [figures.REFERENCE, figures.CURRENT])
@pytest.mark.parametrize("paper", ["#ffffff", "#111318"])
def test_both_colours_stand_out_on_light_and_dark_pages(colour: str, paper: str) -> None:
    def luminance(code: str) -> float:
        parts = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(colour), luminance(paper)))
    assert (light + 0.05) / (dark + 0.05) >= 3  # WCAG 2.2, 1.4.11


@given(st.floats(-1e12, 1e12), st.floats(1e-9, 1e12))
def test_ticks_lie_within_their_range_evenly_and_few(low: float, span: float) -> None:
    high = low + span
    if high - low < 1e-6 * abs(low):  # no float between them that a reader could tell apart
        return
    places = figures.ticks(low, high)
    slack = 1e-9 * (high - low)
    assert 2 <= len(places) <= 8
    assert low - slack <= places[0]
    assert places[-1] <= high + slack
    steps = [b - a for a, b in pairwise(places)]
    assert max(steps) == pytest.approx(min(steps), rel=1e-3)
    assert len(set(figures.tick_words(places))) == len(places)


@given(st.lists(st.one_of(st.none(), st.floats(allow_infinity=True)), max_size=20))
def test_levels_ascend_to_the_largest_value(values: list[float | None]) -> None:
    bounds = figures.levels(values)
    assert bounds == sorted(bounds)
    assert len(bounds) <= 7
    finite = [abs(v) for v in values if v is not None and abs(v) < float("inf")]
    if bounds:
        assert max(finite) / 2.6 <= bounds[-1] <= max(finite)


@given(st.floats(-1e300, 1e300) | st.sampled_from([float("inf"), float("-inf")]))
def test_a_number_reads_back_to_within_half_a_percent(value: float) -> None:
    shown = figures.number(value).replace("−", "-").replace("∞", "inf")
    for sign, power in zip("kMGT", ("e3", "e6", "e9", "e12"), strict=True):
        shown = shown.replace(f" {sign}", power)
    assert len(shown) <= 10
    assert float(shown) == pytest.approx(value, rel=0.005, abs=0)


@given(st.text(max_size=30))
def test_printable_text_hides_nothing_and_can_be_encoded(text: str) -> None:
    shown = figures.printable(text)
    assert shown.isprintable() or any(c.isspace() or ord(c) > 127 for c in shown)
    shown.encode()
    ET.fromstring(f"<a>{escape(shown)}</a>")
