"""The report page as a person meets it, in Chromium."""

from collections.abc import Callable
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys
from tests.reports.payloads import HOSTILE, payload

from .conftest import Browser

pytestmark = pytest.mark.browser
Visit = Callable[..., str]

NAMES = "return [...document.querySelectorAll('#ranking .opener')].map((opener) => opener.textContent)"
FOCUSED = "return document.activeElement.className || document.activeElement.id"
OPEN_ALL = "for (const opener of document.querySelectorAll('.opener')) opener.click()"
# Every visible text whose contrast with what lies behind it is too low (WCAG 2.2, 1.4.3), worst first.
FAINT = """
const paint = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
const rgba = (colour) => { paint.clearRect(0, 0, 1, 1); paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1); return [...paint.getImageData(0, 0, 1, 1).data].map((v) => v / 255); };
const over = ([r, g, b, a], under) => [r, g, b].map((v, i) => v * a + under[i] * (1 - a));
const light = (rgb) => { const [r, g, b] = rgb.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
function behind(node) {
  const layers = [];
  for (let each = node; each instanceof Element; each = each.parentElement) layers.push(rgba(getComputedStyle(each).backgroundColor));
  return layers.reverse().reduce((under, layer) => over(layer, under), [1, 1, 1]);
}
const faint = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement, style = getComputedStyle(node);
  if (!walker.currentNode.data.trim() || ["SCRIPT", "STYLE", "NOSCRIPT", "OPTION", "title"].includes(node.tagName)) continue;
  if (!node.checkVisibility({ visibilityProperty: true }) || parseFloat(style.fontSize) === 0 || node.closest(".said, .skip")) continue;
  const back = behind(node), ink = node.namespaceURI.endsWith("svg") ? style.fill : style.color;
  const [low, high] = [light(over(rgba(ink), back)), light(back)].sort((a, b) => a - b), contrast = (high + 0.05) / (low + 0.05);
  const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
  if (contrast < (large ? 3 : 4.5)) faint.push([contrast.toFixed(2), node.tagName, node.className.baseVal ?? node.className, walker.currentNode.data.slice(0, 40)]);
}
return faint.sort((a, b) => a[0] - b[0]);
"""


def focus_first_row(browser: Browser) -> None:
    for _ in range(40):
        browser.press(Keys.TAB)
        if browser.run(FOCUSED) == "opener":
            return
    pytest.fail("Tab never came to a row")


# ---- nothing runs, nothing leaves


def test_hostile_texts_are_shown_and_nothing_runs(browser: Browser, visit: Visit) -> None:
    address = visit(payload(len(HOSTILE), 4, 3, hostile=True))
    browser.run(OPEN_ALL)
    browser.draw_everything()
    names = browser.run(NAMES)
    assert "<script>window.pwned = 1</script>" in names
    assert "nul\\u0000bell\\u0007escape\\u001b[31m" in names
    assert "invoice\\u202egnp.exe" in names
    assert browser.run("return window.pwned ?? null") is None
    assert browser.complaints() == []
    assert {url for url in browser.requests() if not url.startswith("data:")} == {address}


def test_long_names_are_cut_in_the_view_and_told_in_full_up_to_a_limit(
    browser: Browser, visit: Visit
) -> None:
    visit(payload(len(HOSTILE), 4, 3, hostile=True))
    title, box, whole = browser.run(
        "const name = [...document.querySelectorAll('.opener bdi')].find((each) => each.textContent.startsWith('WWW'));"
        "return [name.title, name.clientWidth, name.scrollWidth]"
    )
    assert len(title) == 1000
    assert box < 250 < whole


def test_a_script_that_got_in_would_not_run(browser: Browser, visit: Visit) -> None:
    visit(payload(2))
    browser.run(
        "const script = document.createElement('script');"
        "try { script.append('window.pwned = 9') } finally { document.body.append(script) }"
    )
    browser.run(
        "const image = document.createElement('img'); image.src = 'http://example.invalid/x'; document.body.append(image)"
    )
    assert browser.run("return window.pwned ?? null") is None
    told = browser.complaints()
    assert any("script" in each for each in told)
    assert any("example.invalid" in each and "Content Security Policy" in each for each in told)


def test_without_a_script_the_verdict_the_columns_and_the_facts_can_be_read(
    browser: Browser, visit: Visit
) -> None:
    browser.tell("Emulation.setScriptExecutionDisabled", value=True)
    try:
        visit(payload())
        text = browser.driver.find_element("tag name", "main").text
    finally:
        browser.tell("Emulation.setScriptExecutionDisabled", value=False)
    for words in ("4 of 24 columns drifted", "dep_delay", "moved up by 0.31 std", "no CUDA device answers"):
        assert words in text
    assert "Find a column" not in text


# ---- large reports


def test_a_thousand_columns_are_ranked_within_two_seconds_and_filtered_at_once(
    browser: Browser, visit: Visit
) -> None:
    visit(payload(1000, 30))
    assert browser.run("return performance.getEntriesByName('gpumon-rows')[0].startTime") < 2000
    assert browser.run("return document.querySelectorAll('*').length") < 6000
    took = browser.driver.execute_async_script(
        "const done = arguments[0], find = document.getElementById('find'), start = performance.now();"
        "find.value = 'feature_09'; find.dispatchEvent(new Event('input'));"
        "requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)))"
    )
    assert took < 500
    assert browser.run("return document.getElementById('found').textContent") == "100 of 1,000 columns"


def test_the_rest_of_a_long_table_is_drawn_when_asked_for(browser: Browser, visit: Visit) -> None:
    visit(payload(300, 2))
    assert len(browser.run(NAMES)) == 30
    browser.run("document.querySelector('#more button').click()")
    assert len(browser.run(NAMES)) == 130
    browser.run("document.querySelectorAll('#more button')[1].click()")
    assert len(browser.run(NAMES)) == 300
    assert browser.run("return document.querySelectorAll('#more button').length") == 0


# ---- finding one's way


def test_search_status_and_kind_filter_together_and_can_be_cleared(browser: Browser, visit: Visit) -> None:
    visit(payload())
    browser.driver.find_element("id", "find").send_keys("DELAY")
    assert browser.run(NAMES) == ["dep_delay", "arr_delay"]
    browser.press(*[Keys.BACKSPACE] * 5)
    browser.run("document.querySelector('.chips .status-warn').click()")
    assert len(browser.run(NAMES)) == 4
    assert browser.run("return document.querySelector('.chips .status-warn').ariaPressed") == "true"
    browser.run(
        "const kind = document.getElementById('kind'); kind.value = 'categorical'; kind.dispatchEvent(new Event('change'))"
    )
    assert browser.run(NAMES) == ["dewp"]
    browser.driver.find_element("id", "find").send_keys("zzz")
    assert "No column fits" in browser.run("return document.querySelector('#ranking .empty').textContent")
    browser.run("document.querySelector('#ranking .empty button').click()")
    assert len(browser.run(NAMES)) == 24


def test_headings_sort_and_what_is_not_known_comes_last(browser: Browser, visit: Visit) -> None:
    visit(payload())
    click = "document.querySelector(`th[data-key=${arguments[0]}] button`).click()"
    browser.run(click, "name")
    assert browser.run(NAMES) == sorted(browser.run(NAMES))
    assert browser.run("return document.querySelector('th[data-key=name]').ariaSort") == "ascending"
    browser.run(click, "name")
    assert browser.run(NAMES) == sorted(browser.run(NAMES), reverse=True)
    for _ in range(2):  # descending, then ascending
        browser.run(click, "score")
        assert set(browser.run(NAMES)[-2:]) == {"seats", "year_built"}
    browser.run(click, "status")
    statuses = browser.run(
        "return [...document.querySelectorAll('.row .state')].map((cell) => cell.textContent)"
    )
    assert list(dict.fromkeys(statuses)) == ["alert", "error", "warning", "no data", "ok"]


def test_the_keyboard_opens_and_closes_a_row(browser: Browser, visit: Visit) -> None:
    visit(payload())
    focus_first_row(browser)
    assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press(Keys.ENTER)
    assert browser.run("return document.activeElement.ariaExpanded") == "true"
    assert browser.run("return document.querySelectorAll('.detail figure').length") == 3
    browser.press(Keys.ARROW_DOWN, Keys.ENTER)
    assert browser.run("return document.activeElement.textContent") == "arr_delay"
    assert browser.run("return document.querySelectorAll('.detail').length") == 2
    browser.press(Keys.TAB, Keys.ESCAPE)  # from inside the detail back to its row
    assert browser.run("return document.activeElement.textContent") == "arr_delay"
    browser.press(Keys.ARROW_UP, Keys.ESCAPE)
    assert browser.run("return document.activeElement.textContent") == "dep_delay"
    assert browser.run("return document.querySelectorAll('.detail').length") == 0


def test_the_first_tab_offers_to_skip_to_the_columns(browser: Browser, visit: Visit) -> None:
    visit(payload())
    browser.press(Keys.TAB)
    assert browser.run(FOCUSED) == "skip"
    browser.press(Keys.ENTER, Keys.TAB)
    assert browser.run(FOCUSED) == "find"


def test_a_heat_map_is_one_tab_stop_with_arrows_a_read_out_and_enter(browser: Browser, visit: Visit) -> None:
    visit(payload())
    browser.draw_everything()
    assert browser.run("return document.querySelectorAll('#windows td[tabindex=\"0\"]').length") == 1
    browser.run("document.querySelector('#windows td[tabindex=\"0\"]').focus()")
    browser.press(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    readout = browser.run("return document.querySelector('#windows .readout').textContent")
    assert readout.startswith("carrier · 2013-06-02 · jensen shannon ")
    assert readout == browser.run("return document.activeElement.ariaLabel").replace(", ", " · ")
    browser.press(Keys.ENTER)
    assert browser.run("return document.activeElement.textContent") == "carrier"
    assert browser.run("return document.activeElement.ariaExpanded") == "true"


def test_the_metric_of_a_heat_map_can_be_chosen_by_keyboard(browser: Browser, visit: Visit) -> None:
    given = payload()
    visit(given)
    browser.draw_everything()
    browser.run("document.querySelector('#windows select').focus()")
    assert browser.run("return document.activeElement.labels[0].textContent").startswith("Show ")
    assert browser.run("return [...document.activeElement.options].map((each) => each.text)") == [
        "jensen shannon",
        "psi",
        "kolmogorov smirnov",
        "hellinger",
    ]
    browser.press(Keys.ARROW_DOWN)
    assert (
        browser.run("return document.querySelector('#windows table').ariaLabel")
        == "psi of each column by window"
    )
    assert "psi" in browser.run("return document.querySelector('#windows .legend').textContent")
    browser.press(Keys.TAB, Keys.ARROW_RIGHT)
    readout = browser.run("return document.querySelector('#windows .readout').textContent")
    value = given["windows"]["others"][0]["values"][0][1]
    assert readout.startswith("dep_delay · 2013-06-02 · psi ")
    assert float(readout.split(" psi ")[1].split(" ")[0]) == pytest.approx(value, rel=5e-3)
    heads = "return [...document.querySelectorAll('#segments table')].map((table) => table.ariaLabel)"
    assert browser.run(heads) == ["jensen shannon of each column by segment"]
    assert not browser.complaints()


def test_heat_maps_follow_the_filters_and_a_filtered_column_is_still_found(
    browser: Browser, visit: Visit
) -> None:
    visit(payload())
    browser.driver.find_element("id", "find").send_keys("wind")
    browser.draw_everything()
    heads = "return [...document.querySelectorAll('#windows tbody th')].map((head) => head.textContent)"
    assert browser.run(heads) == ["wind_dir", "wind_speed", "wind_gust"]
    browser.run("document.querySelector('#correlations .pairs button').click()")
    assert browser.run("return document.activeElement.ariaExpanded") == "true"
    assert len(browser.run(NAMES)) == 24


def test_an_address_can_point_to_a_column(browser: Browser, visit: Visit) -> None:
    visit(payload(60), "#feature_0055")
    assert browser.run("return document.activeElement.textContent") == "feature_0055"
    assert browser.run("return document.querySelectorAll('.detail').length") == 1


def test_the_detail_shows_every_metric_with_bounds_p_q_threshold_and_method(
    browser: Browser, visit: Visit
) -> None:
    given = payload()
    given["columns"][0]["metrics"][7][1:5] = [12.5, 12.5, 12.5, "column"]
    given["columns"][0]["metrics"][8][1:4] = [2.0, 2.0, 2.00001]
    visit(given)
    browser.run("document.querySelector('.opener').click()")
    rows = browser.run(
        "return [...document.querySelectorAll('.metrics tr')].map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    assert rows[0] == ["Metric", "Value", "Bounds", "Reference", "Threshold", "p", "q", "Status", "Method"]
    assert len(rows) == 1 + len(given["columns"][0]["metrics"])
    assert rows[1][4] == "0.06"
    assert "…" in rows[3][2]
    assert rows[4][1].endswith(" std")
    assert rows[8][1:3] == ["12.5", "exact"]
    assert rows[9][1:3] == ["2", "± 5e-6"]
    assert rows[2][8] == "deciles of the reference, missing as its own bin"


def test_pointing_at_a_figure_tells_its_numbers(browser: Browser, visit: Visit) -> None:
    from selenium.webdriver import ActionChains

    visit(payload())
    browser.run("document.querySelector('.opener').click()")
    histogram, ecdf, _ = browser.driver.find_elements("css selector", ".detail figure")
    for figure, sign in ((histogram, " to "), (ecdf, "≤ ")):
        ActionChains(browser.driver).move_to_element(figure.find_element("tag name", "svg")).perform()
        told = figure.find_element("css selector", ".told").text
        assert sign in told
        assert "→" in told


def test_numbers_that_are_not_known_not_finite_or_all_the_same_are_drawn(
    browser: Browser, visit: Visit
) -> None:
    given = payload(4, 1)
    first, second = given["columns"][:2]
    first |= {"score": float("inf"), "missing": [None, 0.1]}
    first["metrics"][0][1:4] = [float("inf"), None, float("inf")]
    first["histogram"] |= {"edges": [5.0] * 41, "current": [float("nan")] * 40}
    second["ecdf"] |= {"x": [7] * 64}
    given["windows"]["values"][0][0] = float("inf")
    visit(given)
    browser.run(OPEN_ALL)
    browser.draw_everything()
    assert browser.complaints() == []
    assert browser.run("return document.querySelector('.row .score b').textContent") == "∞"
    assert browser.run("return document.querySelector('.row .missing').textContent") == "– → 10 %"
    assert browser.run("return document.querySelector('#windows td.cell').textContent") == "∞"
    assert "NaN" not in browser.run("return document.querySelector('main').innerHTML")


def test_a_report_without_columns_says_so(browser: Browser, visit: Visit) -> None:
    visit(payload(0, 0, 0))
    assert browser.run("return document.getElementById('ranking').textContent") == "No column was compared."
    assert browser.complaints() == []


# ---- looks


@pytest.mark.parametrize("hostile", [False, True])
def test_a_phone_never_scrolls_sideways(browser: Browser, visit: Visit, hostile: bool) -> None:
    browser.screen(390, 844, mobile=True)
    visit(payload(len(HOSTILE), 30, 3, hostile=hostile))
    browser.run("[...document.querySelectorAll('.opener')].slice(0, 4).forEach((opener) => opener.click())")
    browser.draw_everything()
    assert browser.run("return document.documentElement.scrollWidth") == 390
    wide = browser.run(
        "return [...document.querySelectorAll('main *')].filter((node) => !node.closest('.scroll, .pan, svg, .said') &&"
        " node.checkVisibility() && node.getBoundingClientRect().right > 391).map((node) => node.outerHTML.slice(0, 80))"
    )
    assert wide == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out(browser: Browser, visit: Visit, scheme: str) -> None:
    browser.media(prefers_color_scheme=scheme)
    visit(payload())
    browser.run("[...document.querySelectorAll('.opener')].slice(0, 3).forEach((opener) => opener.click())")
    browser.draw_everything()
    assert browser.run(FAINT) == []


def test_the_colours_can_be_changed_and_nothing_is_stored(browser: Browser, visit: Visit) -> None:
    visit(payload(3))
    paper = "return getComputedStyle(document.body).backgroundColor"
    light = browser.run(paper)
    browser.driver.find_element("id", "theme").click()
    dark = browser.run(paper)
    assert dark != light
    assert browser.run("return document.getElementById('theme').textContent") == "Light"
    browser.media(prefers_color_scheme="dark")
    browser.driver.find_element("id", "theme").click()
    assert browser.run(paper) == light
    assert browser.run("return [localStorage.length, document.cookie]") == [0, ""]


def test_status_is_never_told_by_colour_alone(browser: Browser, visit: Visit) -> None:
    visit(payload())
    shown: list[list[Any]] = browser.run(
        "return [...document.querySelectorAll('.row .state')].map((cell) => [cell.querySelector('use').getAttribute('href'), cell.textContent])"
    )
    assert {(icon, words) for icon, words in shown} == {
        ("#icon-alert", "alert"), ("#icon-error", "error"), ("#icon-warn", "warning"), ("#icon-no_data", "no data"), ("#icon-ok", "ok"),
    }  # fmt: skip


def test_paper_is_white_shows_all_rows_and_no_controls(browser: Browser, visit: Visit) -> None:
    browser.media(prefers_color_scheme="dark")
    visit(payload(120))
    browser.run("dispatchEvent(new Event('beforeprint'))")
    browser.media("print", prefers_color_scheme="dark")
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert len(browser.run(NAMES)) == 120
    shown = "return ['.tools', '#theme', '.top nav'].filter((what) => document.querySelector(what).checkVisibility())"
    assert browser.run(shown) == []


def test_who_wants_no_motion_gets_none(browser: Browser, visit: Visit) -> None:
    browser.media(prefers_reduced_motion="reduce")
    visit(payload(3))
    assert browser.run("return getComputedStyle(document.documentElement).scrollBehavior") == "auto"
