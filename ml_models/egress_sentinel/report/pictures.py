"""Pictures that a command writes: one Plotly figure in an HTML page that needs no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from egress_sentinel.errors import UserError
from egress_sentinel.output_files import write_text
from egress_sentinel.report.charts import ALERT_COLOUR, COLOURS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from anomaly_detection.time_series.data import Series
    from egress_sentinel.pipeline.importance import Importance

_ROW = 24  # pixels
_BELOW, _BEYOND, _DRIFTED = COLOURS[0], COLOURS[1], "#b3261e"
# A cell's number: the square of its share of the limit up to 1, then 1.5 beyond the limit and 2.5 where it drifted.
_CELL_COLOURS = [[0, "#ffffff"], [1 / 3, _BELOW], [1 / 3, _BEYOND], [2 / 3, _BEYOND], [2 / 3, _DRIFTED], [1, _DRIFTED]]


def check_picture_name(path: Path, *, png: bool = False) -> None:
    """Refuse a file that cannot be drawn, before anything is computed.

    Raises
    ------
    UserError
        The name does not end with .html (or, with `png`, .png).
    """
    kinds = (".html", ".png") if png else (".html",)
    if path.suffix not in kinds:
        raise UserError(f"a picture's name ends with {' or '.join(kinds)}; {path.name} does not")


def write_importance(path: Path, rows: Sequence[Importance], title: str) -> None:
    """Draw features as bars, the largest first.

    Raises
    ------
    UserError
        The file cannot be written.
    """
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [row.splits for row in rows],
        "y": [row.feature for row in rows],
        "text": [f"{row.splits:.2f} splits, {row.share:.0%}" for row in rows],
        "textposition": "outside",
        "cliponaxis": False,
        "hoverinfo": "skip",
        "marker": {"color": COLOURS[0]},
    }
    layout = {
        "height": 120 + _ROW * len(rows),
        "margin": {"r": 140},
        "xaxis": {"title": {"text": "mean absolute attribution, in splits"}},
        "yaxis": {"automargin": True, "autorange": "reversed"},
    }
    _write_page(path, title, [bars], layout)


def write_drift(path: Path, days: Sequence[Mapping[str, Any]], title: str) -> None:
    """Draw days of drift: a row for each feature, a column for each day, darker the nearer to its limit.

    Parameters
    ----------
    path : Path
        The HTML file.
    days : sequence of mapping
        `measures.json` of each day, in order.
    title : str

    Raises
    ------
    UserError
        The file cannot be written.
    """
    names = list(dict.fromkeys(measure["feature"] for day in days for measure in day["measures"]))
    shares = [_shares_of_limits(day) for day in days]
    cells = {
        "type": "heatmap",
        "x": [day["day"] for day in days],
        "y": names,
        "z": [
            [_cell(share.get(name, 0.0), name in day["drifted"]) for day, share in zip(days, shares, strict=True)]
            for name in names
        ],
        "customdata": [[round(share.get(name, 0.0), 4) for share in shares] for name in names],
        "hovertemplate": "%{y} on %{x}<br>%{customdata:.2f} of its limit<extra></extra>",
        "zmin": 0,
        "zmax": 3,
        "colorscale": _CELL_COLOURS,
        "colorbar": {
            "tickvals": [0.5, 1.5, 2.5],
            "ticktext": ["within its limit", "beyond its limit", "drifted: beyond it<br>two days running"],
        },
        "xgap": 1,
        "ygap": 1,
    }
    layout = {
        "height": 160 + _ROW * len(names),
        "xaxis": {"type": "category", "nticks": 16},
        "yaxis": {"automargin": True, "autorange": "reversed"},
    }
    _write_page(path, title, [cells], layout)


def write_series(
    path: Path, title: str, series: Series, scores: NDArray[np.float64], alerts: Sequence[int], threshold: float
) -> None:
    """Draw a series, its alerts and, below, its scores.

    Parameters
    ----------
    path : Path
        A name that ends with .html or .png. A PNG needs matplotlib.
    title : str
    series : Series
    scores : ndarray of shape (n_rows,), float64
        Higher is more anomalous.
    alerts : sequence of int
        Rows to mark.
    threshold : float
        Drawn across the scores.

    Raises
    ------
    UserError
        The name ends otherwise, matplotlib is absent, or the file cannot be written.
    """
    check_picture_name(path, png=True)
    times, values = pd.to_datetime(series.seconds, unit="s"), np.asarray(series.values)
    marked = np.asarray(alerts, np.int64)
    if path.suffix == ".png":
        _write_series_png(path, title, times, values, scores, marked, threshold)
        return
    hours = times.strftime("%Y-%m-%d %H:%M:%S").tolist()
    traces = [
        {"x": hours, "y": values.tolist(), "name": "value", "line": {"color": COLOURS[0], "width": 1}},
        {
            "x": [hours[row] for row in marked],
            "y": values[marked].tolist(),
            "name": "alert",
            "mode": "markers",
            "marker": {"color": ALERT_COLOUR, "size": 9},
        },
        {"x": hours, "y": scores.tolist(), "name": "score", "yaxis": "y2", "line": {"color": COLOURS[2], "width": 1}},
    ]
    threshold_line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y2", "y0": threshold, "y1": threshold}
    layout = {
        "height": 620,
        "hovermode": "x unified",
        "xaxis": {"type": "date", "anchor": "y2"},
        "yaxis": {"title": {"text": "value"}, "domain": [0.38, 1]},
        "yaxis2": {"title": {"text": "anomaly score"}, "domain": [0, 0.3]},
        "shapes": [threshold_line | {"line": {"color": ALERT_COLOUR, "width": 1, "dash": "dash"}}],
        "legend": {"orientation": "h", "y": -0.1},
    }
    _write_page(path, title, [{"type": "scatter", "mode": "lines", **trace} for trace in traces], layout)


def _shares_of_limits(day: Mapping[str, Any]) -> dict[str, float]:
    """Return, for each feature of a day, the largest of its measures as a share of the measure's limit."""
    shares: dict[str, float] = {}
    for measure in day["measures"]:
        if measure["limit"] is not None:
            share = measure["value"] / (measure["limit"] or 1.0)
            shares[measure["feature"]] = max(share, shares.get(measure["feature"], 0.0))
    return shares


def _cell(share: float, has_drifted: bool) -> float:
    if has_drifted:
        return 2.5
    return 1.5 if share > 1 else 0.999 * share**2


def _write_page(path: Path, title: str, data: list[dict[str, Any]], layout: dict[str, Any]) -> None:
    import plotly.io

    layout = {"title": {"text": title}, "plot_bgcolor": "rgba(0,0,0,0)", **layout}
    # A fixed div_id: Plotly makes up a random one otherwise, and the same figure gave another file each time.
    page = plotly.io.to_html(
        {"data": data, "layout": layout}, include_plotlyjs=True, validate=False, div_id="picture", default_height="auto"
    )
    write_text(path, page)


def _write_series_png(
    path: Path,
    title: str,
    times: pd.DatetimeIndex,
    values: NDArray[np.float64],
    scores: NDArray[np.float64],
    marked: NDArray[np.int64],
    threshold: float,
) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError(
            "a PNG needs matplotlib: pip install 'egress-sentinel[notebook]', or name an .html file"
        ) from error
    figure = Figure(figsize=(11, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    above.plot(times, values, color=COLOURS[0], linewidth=0.8)
    above.plot(times[marked], values[marked], "o", color=ALERT_COLOUR, label="alert")
    above.set(title=title, ylabel="value")
    if len(marked):
        above.legend(loc="upper left")
    below.plot(times, scores, color=COLOURS[2], linewidth=0.8)
    below.axhline(threshold, color=ALERT_COLOUR, linestyle="--", linewidth=0.8)
    below.set(ylabel="anomaly score")
    try:
        figure.savefig(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
