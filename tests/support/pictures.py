"""Reads the figure of a picture's page."""

import json
from pathlib import Path
from typing import Any


def figure_of(page: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return data and layout of the page's one figure."""
    text = page.read_text(encoding="utf-8")
    start = text.index("[", text.rindex("Plotly.newPlot("))
    data, end = json.JSONDecoder().raw_decode(text, start)
    layout, _ = json.JSONDecoder().raw_decode(text, text.index("{", end))
    return data, layout
