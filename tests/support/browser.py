"""A headless Chromium without network, for the report's tests and for the pictures of the documentation."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from selenium import webdriver

from tests.support.sample_data import required_program

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def open_browser() -> Iterator[webdriver.Chrome]:
    """Give a browser; skip where there is none, and fail in CI."""
    options = webdriver.ChromeOptions()
    options.binary_location = required_program("chromium", "chromium-browser", "google-chrome")
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-background-networking", "hide-scrollbars"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(required_program("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def look(browser: webdriver.Chrome, *, width: int = 1280, height: int = 1200, dark: bool = False) -> None:
    """Set the size of the window and the colour scheme."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
