"""One headless Chromium for all browser tests; without it they skip, or fail if GPUMON_BROWSER=required."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gpumon.reports import html

CHROMIUM, CHROMEDRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Browser:
    """The driver with the few verbs that the tests use."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def tell(self, command: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, parameters)

    def screen(self, width: int, height: int, *, mobile: bool = False) -> None:
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )

    def media(self, kind: str = "", **features: str) -> None:
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.tell("Emulation.setEmulatedMedia", media=kind, features=named)

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def frame(self) -> None:
        """Waits until the browser has painted twice: what was asked for is on the screen."""
        self.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")

    def draw_everything(self) -> None:
        """Brings each section near the screen once, as scrolling does."""
        for section in ("windows", "segments", "correlations", "about"):
            self.run(
                "document.getElementById(arguments[0])?.scrollIntoView({ behavior: 'instant', block: 'start' })",
                section,
            )
            self.frame()
            self.frame()

    def requests(self) -> list[str]:
        """The address of everything that was asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if not (CHROMIUM and CHROMEDRIVER):
        reason = "chromium and chromedriver are not installed (apt-get install chromium chromium-driver)"
        if os.environ.get("GPUMON_BROWSER") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    yield Browser(driver)
    driver.quit()


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    """The browser as a laptop in daylight, with nothing open."""
    chromium.media(prefers_color_scheme="light")
    chromium.screen(1280, 900)
    chromium.driver.get("about:blank")
    chromium.requests()
    chromium.complaints()
    return chromium


@pytest.fixture
def visit(browser: Browser, tmp_path: Path) -> Callable[..., str]:
    """Opens the page of a payload; gives its address."""

    def visit(payload: Mapping[str, Any], place: str = "") -> str:
        path = tmp_path / "report.html"
        path.write_text(html.render(payload), "utf-8")
        browser.driver.get(path.as_uri() + place)
        return path.as_uri()

    return visit
