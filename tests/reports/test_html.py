"""The page as text: what it holds, what it must not hold, and that the script gets the numbers it was given."""

import base64
import copy
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from gpumon.reports import html
from gpumon.reports.figures import printable

from .payloads import HOSTILE, payload


class Page(HTMLParser):
    """What a browser would find: every element with its attributes, and the text in each <script>."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.data = json.loads(self.scripts[0])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            self.scripts[-1] += data
        else:
            self.words.append(data)

    @property
    def policy(self) -> str:
        return next(
            a["content"] or "" for _, a in self.elements if a.get("http-equiv") == "Content-Security-Policy"
        )


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(html.render(payload()))


@pytest.fixture(scope="module")
def hostile() -> Page:
    return Page(html.render(payload(len(HOSTILE), 4, 3, hostile=True)))


def test_the_page_needs_nothing_from_outside(page: Page) -> None:
    for tag, attributes in page.elements:
        assert not {"src", "srcset", "data", "poster", "action", "background"} & set(attributes), tag
        assert (attributes.get("href") or "#").startswith(("#", "data:")), tag
    assert "@import" not in html._template("report.css")
    assert "url(" not in html._template("report.css")


def test_the_policy_allows_this_script_and_this_style_alone(page: Page) -> None:
    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    assert "default-src 'none'" in page.policy
    assert "unsafe" not in page.policy
    assert f"script-src 'sha256-{digest(page.scripts[1])}'" in page.policy
    style = re.search(r"<style>(.*?)</style>", html.render(payload(2)), re.DOTALL)
    assert style
    assert f"style-src 'sha256-{digest(style[1])}'" in page.policy


@pytest.mark.parametrize(
    "way",
    [
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "eval(",
        "Function(",
        "DOMParser",
        "fetch(",
        "XMLHttpRequest",
        "WebSocket",
        "import(",
        "localStorage",
        "sessionStorage",
        "cookie",
        "</script",
        "<!--",
    ],
)
def test_the_script_knows_no_way_to_run_text_to_call_out_or_to_store(way: str) -> None:
    assert way not in html._template("report.js")


def test_hostile_texts_add_no_element_and_no_handler(hostile: Page, page: Page) -> None:
    assert len(hostile.scripts) == len(page.scripts) == 2
    assert {tag for tag, _ in hostile.elements} == {tag for tag, _ in page.elements}
    assert not [name for _, attributes in hostile.elements for name in attributes if name.startswith("on")]


def test_hostile_names_reach_the_script_as_they_are_spelt_out(hostile: Page) -> None:
    names = [column["name"] for column in hostile.data["columns"]]
    assert names == [printable(name) for name in HOSTILE]
    assert max(map(len, names)) == 1000
    assert not re.search("[\x00-\x1f\u2028-\u202e\ud800-\udfff]", "".join(names))


def test_the_data_hold_no_markup_at_all(hostile: Page) -> None:
    assert not set("<>&") & set(hostile.scripts[0])
    assert hostile.scripts[0].isascii()


def test_any_payload_can_be_written_as_utf_8() -> None:
    assert html.render(payload(len(HOSTILE), 4, 3, hostile=True)).encode("utf-8")


def test_the_verdict_facts_and_notes_stand_in_the_page_without_a_script(page: Page) -> None:
    words = "\n".join(page.words)
    for text in (
        "Drift scan",
        "4 of 24 columns drifted",
        "51,955",
        "no CUDA device answers",
        "nested type list<item: int64>",
    ):
        assert text in words


def test_rounding_moves_no_share_by_more_than_a_hundred_thousandth(page: Page) -> None:
    for given, drawn in zip(payload()["columns"], page.data["columns"], strict=True):
        if given["histogram"]:
            np.testing.assert_allclose(
                np.array(drawn["histogram"]["reference"]) / 1e5, given["histogram"]["reference"], atol=5.1e-6
            )
            np.testing.assert_allclose(drawn["histogram"]["below"], given["histogram"]["below"], rtol=5.1e-4)
            span = np.ptp(given["histogram"]["edges"])
            np.testing.assert_allclose(
                drawn["histogram"]["edges"], given["histogram"]["edges"], atol=1e-4 * span
            )
            assert all(a < b for a, b in pairwise(drawn["histogram"]["edges"]))
            assert all(a < b for a, b in pairwise(drawn["ecdf"]["x"]))


def test_metrics_keep_six_digits_and_their_words(page: Page) -> None:
    words = page.data["words"]
    for given, drawn in zip(payload()["columns"], page.data["columns"], strict=True):
        for row, short in zip(given["metrics"], drawn["metrics"], strict=True):
            assert [words[short[place]] for place in (0, 4, 9, 10)] == [row[place] for place in (0, 4, 9, 10)]
            numbers = [(row[place], short[place]) for place in (1, 2, 3, 5, 6, 7, 8)]
            assert all(b is None if a is None else b == pytest.approx(a, rel=1e-5) for a, b in numbers)


def test_bounds_that_differ_by_little_do_not_look_exact() -> None:
    given = payload(1)
    given["columns"][0]["metrics"][0][1:4] = [1.0, 1.0, 1.0 + 1e-12]
    given["columns"][0]["metrics"][1][1:4] = [1.0, 1.0, 1.0]
    near, same, *_ = Page(html.render(given)).data["columns"][0]["metrics"]
    assert near[1:4] == [1, 1, 1.0 + 1e-12]
    assert same[1:4] == [1, 1, 1]


def test_not_known_and_infinite_are_told_apart() -> None:
    given = payload(2)
    given["columns"][0]["score"] = float("inf")
    given["columns"][1]["score"] = float("nan")
    assert [column["score"] for column in Page(html.render(given)).data["columns"]] == ["Infinity", None]


def test_heat_maps_name_the_columns_of_the_report_by_place_and_others_by_name() -> None:
    given = payload(3)
    given["windows"]["columns"] = ["arr_delay", "dep_delay", "another"]
    data = Page(html.render(given)).data["windows"]
    drawn = data | data["maps"][0]
    assert drawn["columns"] == [1, 0, "another"]
    assert [len(row) for row in drawn["status"]] == [8, 8, 8]


def test_the_pairs_that_moved_most_come_first() -> None:
    given = payload(60)["correlations"]
    change = np.abs(np.subtract(given["current"], given["reference"]))
    largest = sorted((change[a, b] for a in range(60) for b in range(a)), reverse=True)[:20]
    drawn = Page(html.render(payload(60))).data["correlations"]
    assert [abs(after - before) for *_, before, after in drawn["pairs"]] == pytest.approx(largest, abs=1e-5)
    assert len(drawn["columns"]) == len(drawn["reference"]) == 40
    assert drawn["left_out"] == 20
    assert {column for pair in drawn["pairs"] for column in pair[:2]} <= set(drawn["columns"])


def test_a_correlation_that_is_not_known_is_not_a_move() -> None:
    given = payload(3)
    given["correlations"]["current"][0][1] = given["correlations"]["current"][1][0] = None
    drawn = Page(html.render(given)).data["correlations"]
    assert drawn["current"][0][1] is None
    assert [0, 1] not in [pair[:2] for pair in drawn["pairs"]]


def test_a_side_without_rows_has_no_bars() -> None:
    given = payload(1)
    given["columns"][0]["histogram"]["current"] = [float("nan")] * 40
    assert Page(html.render(given)).data["columns"][0]["histogram"]["current"] == [0] * 40


def test_many_new_categories_are_counted_beyond_the_fiftieth() -> None:
    given = payload(3)
    given["columns"][2]["new"] = [[f"new {i}", i] for i in range(1000)]
    drawn = Page(html.render(given)).data["columns"][2]
    assert (len(drawn["new"]), drawn["unnamed"]) == (50, [950, 0])


@pytest.mark.parametrize("status", ["alert", "warn", "ok", "no_data", "error"])
def test_the_title_says_the_verdict_first(status: str) -> None:
    words = {"alert": "Alert", "warn": "Warning", "ok": "Ok", "no_data": "No data", "error": "Error"}
    assert f"<title>{words[status]}: Drift scan</title>" in html.render(payload(1) | {"status": status})


def test_a_report_may_have_no_columns_and_no_maps() -> None:
    page = Page(html.render(payload(0, 0, 0)))
    assert page.data["columns"] == []
    assert page.data["windows"] is page.data["segments"] is page.data["correlations"] is None


def test_a_thousand_columns_with_thirty_windows_fit_in_six_megabytes() -> None:
    assert len(html.render(payload(1000, 30)).encode()) <= 6e6


def test_rendering_leaves_the_payload_as_it_was() -> None:
    given = payload(5)
    before = copy.deepcopy(given)
    html.render(given)
    assert given == before
