"""Days of drift as a picture: a row for each feature, a column for each day, darker for nearer to its limit."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LABEL, _TOP, _CELL, _BOTTOM = 190, 64, 22, 34
_MAX_WIDTH = 1400
_BELOW, _BEYOND, _DRIFTED = "#2f6f9f", "#e8a33d", "#b3261e"
_LEGEND = (("near its limit", _BELOW), ("beyond it", _BEYOND), ("drifted: beyond it two days running", _DRIFTED))


def picture(days: Sequence[Mapping[str, Any]], title: str) -> str:
    """Return an SVG of the days' measures.

    Parameters
    ----------
    days : sequence of mapping
        measures.json of each day, in order.
    title : str
    """
    names = list(dict.fromkeys(measure["feature"] for day in days for measure in day["measures"]))
    cell = min(_CELL, (_MAX_WIDTH - _LABEL) / max(len(days), 1))
    width, height = max(_LABEL + cell * len(days) + 12, 700), _TOP + _CELL * len(names) + _BOTTOM
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" '
        f'height="{height}" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width:.0f}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="20" font-weight="bold" font-size="14">{escape(title)}</text>',
        *_legend(),
    ]
    lines += [
        f'<text x="{_LABEL - 8}" y="{_TOP + _CELL * row + 15}" text-anchor="end">{escape(name)}</text>'
        for row, name in enumerate(names)
    ]
    for column, day in enumerate(days):
        x = _LABEL + cell * column
        lines += _day(day, names, x, cell)
        if column % max(1, len(days) // 12) == 0:
            lines.append(f'<text x="{x:.1f}" y="{height - 12}">{escape(day["day"][5:])}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def _legend() -> list[str]:
    lines, x = [], _LABEL
    for words, colour in _LEGEND:
        lines.append(f'<rect x="{x}" y="34" width="12" height="12" fill="{colour}"/>')
        lines.append(f'<text x="{x + 18}" y="45">{words}</text>')
        x += 34 + 7 * len(words)
    return lines


def _day(day: Mapping[str, Any], names: Sequence[str], x: float, width: float) -> list[str]:
    largest: dict[str, float] = {}
    for measure in day["measures"]:
        if measure["limit"] is not None:
            share = measure["value"] / (measure["limit"] or 1.0)
            largest[measure["feature"]] = max(share, largest.get(measure["feature"], 0.0))
    cells = []
    for row, name in enumerate(names):
        share = largest.get(name, 0.0)
        colour = _DRIFTED if name in day["drifted"] else _BEYOND if share > 1 else _BELOW
        opacity = 1.0 if share > 1 else share**2
        cells.append(
            f'<rect x="{x:.1f}" y="{_TOP + _CELL * row}" width="{max(width - 1, 0.5):.1f}" height="{_CELL - 1}" '
            f'fill="{colour}" fill-opacity="{opacity:.2f}">'
            f"<title>{escape(name)} on {escape(day['day'])}: {share:.2f} of its limit</title></rect>"
        )
    return cells
