"""Make the pictures of the README from a run of the demo: the report, wide and on a phone, and an alert in a terminal.

python -m tests.support.docs_images docs/images
"""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.support.browser import look, open_browser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium import webdriver

COLUMNS = 80
TERMINAL = """<body style="margin: 0; background: {background}; color: {foreground}">
<pre style="display: inline-block; margin: 0; padding: 16px 20px; font: 14px/1.45 monospace">{code}</pre>"""


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
        terminal.write_text(_run_demo(output), encoding="utf-8")
        report = (output / "report.html").as_uri()
        _picture(browser, report, folder / "report.png", width=1180, height=1305)
        _picture(browser, report, folder / "report-dark.png", width=420, height=1180, dark=True)
        _picture(browser, terminal.as_uri(), folder / "alert.png", width=820, height=0)


def _run_demo(output: Path) -> str:
    """Return the first alert that the demo prints on a terminal of 80 columns, as HTML."""
    reader, writer = pty.openpty()
    with os.fdopen(reader, "rb") as terminal:
        demo = subprocess.Popen(
            [Path(sys.executable).parent / "egress-sentinel", "demo", "--output-dir", str(output)],
            env=os.environ | {"COLUMNS": str(COLUMNS), "TERM": "xterm-256color"},
            stdout=writer,
            stderr=subprocess.DEVNULL,
        )
        os.close(writer)
        printed = b"".join(_until_closed(terminal))
        assert demo.wait() == 0
    first, _, _ = printed.decode().replace("\r\n", "\n").strip().partition("\n\n")
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(f"$ egress-sentinel demo\n{first}"))
    return console.export_html(theme=MONOKAI, inline_styles=True, code_format=TERMINAL)


def _until_closed(terminal: BinaryIO) -> Iterator[bytes]:
    """Read until the other end of a pseudo-terminal is closed, which Linux reports as an error."""
    with suppress(OSError):
        while block := terminal.read1(4096):  # type: ignore[attr-defined]
            yield block


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
