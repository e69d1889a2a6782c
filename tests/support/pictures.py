"""Make the pictures of the README from a run of the demo: the report, wide and on a phone, and an alert in a terminal.

python -m tests.support.pictures docs/images
"""

from __future__ import annotations

import html
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.support.browser import look, open_browser

if TYPE_CHECKING:
    from selenium import webdriver

COLUMNS = 80
TERMINAL = """<body style="margin: 0; background: #14181d; color: #e4e8ec">
<pre style="display: inline-block; margin: 0; padding: 16px 20px; font: 14px/1.45 monospace">{text}</pre>"""


def make_pictures(folder: Path) -> None:
    """Write report.png, report-dark.png and alert.png.

    Parameters
    ----------
    folder : Path
        An existing folder.
    """
    with tempfile.TemporaryDirectory() as temporary, open_browser() as browser:
        output = Path(temporary) / "demo"
        terminal = Path(temporary) / "terminal.html"
        terminal.write_text(TERMINAL.format(text=html.escape(_run_demo(output))), encoding="utf-8")
        report = (output / "report.html").as_uri()
        _picture(browser, report, folder / "report.png", width=1180, height=1440)
        _picture(browser, report, folder / "report-dark.png", width=420, height=1180, dark=True)
        _picture(browser, terminal.as_uri(), folder / "alert.png", width=820, height=0)


def _run_demo(output: Path) -> str:
    """Return the command and the first alert that it prints."""
    command = ["egress-sentinel", "demo", "--output-dir", str(output)]
    done = subprocess.run(
        [Path(sys.executable).parent / command[0], *command[1:]],
        env=os.environ | {"COLUMNS": str(COLUMNS)},
        capture_output=True,
        text=True,
        check=True,
    )
    first, _, _ = done.stdout.strip().partition("\n\n")
    return f"$ {' '.join(command[:2])}\n{first}"


def _picture(
    browser: webdriver.Chrome, address: str, path: Path, *, width: int, height: int, dark: bool = False
) -> None:
    look(browser, width=width, height=height or 1200, dark=dark)
    browser.get(address)
    for chart in browser.find_elements(By.CSS_SELECTOR, "section > .chart"):
        WebDriverWait(browser, 20).until(lambda _, c=chart: c.find_elements(By.CSS_SELECTOR, ".legend .traces"))
    if not height:
        look(browser, width=width, height=browser.find_element(By.TAG_NAME, "pre").size["height"], dark=dark)
    path.write_bytes(browser.get_screenshot_as_png())


if __name__ == "__main__":
    make_pictures(Path(sys.argv[1]))
