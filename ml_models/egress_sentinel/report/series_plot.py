"""A series with its anomaly scores below: an HTML page that can be zoomed, or a PNG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from egress_sentinel.errors import UserError
from egress_sentinel.output_files import write_text
from egress_sentinel.report.charts import ALERT_COLOUR, COLOURS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from anomaly_detection.time_series.data import Series

KINDS = (".html", ".png")


def write_plot(
    path: Path, title: str, series: Series, scores: NDArray[np.float64], alerts: Sequence[int], threshold: float
) -> None:
    """Draw a series, its alerts and its scores.

    Parameters
    ----------
    path : Path
        Ends with .html or .png; a PNG needs matplotlib.
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
        The name ends otherwise, matplotlib is absent, or the place cannot be written.
    """
    check_kind(path)
    times = pd.to_datetime(series.seconds, unit="s")
    marked = np.asarray(alerts, np.int64)
    if path.suffix == ".html":
        write_text(path, _page(title, times, series.values, scores, marked, threshold))
    else:
        _write_png(path, title, times, series.values, scores, marked, threshold)


def check_kind(path: Path) -> None:
    """Refuse what cannot be drawn before anything is computed.

    Raises
    ------
    UserError
        The name ends with neither .html nor .png.
    """
    if path.suffix not in KINDS:
        raise UserError(f"a plot's name ends with {' or '.join(KINDS)}; {path.name} does not")


def _page(
    title: str,
    times: pd.DatetimeIndex,
    values: NDArray[np.float64],
    scores: NDArray[np.float64],
    marked: NDArray[np.int64],
    threshold: float,
) -> str:
    import plotly.io

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
    line = {"color": ALERT_COLOUR, "width": 1, "dash": "dash"}
    layout = {
        "title": {"text": title},
        "height": 620,
        "hovermode": "x unified",
        "xaxis": {"type": "date", "anchor": "y2"},
        "yaxis": {"title": {"text": "value"}, "domain": [0.38, 1]},
        "yaxis2": {"title": {"text": "anomaly score"}, "domain": [0, 0.3]},
        "shapes": [
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y2", "y0": threshold, "y1": threshold}
            | {"line": line}
        ],
        "legend": {"orientation": "h", "y": -0.1},
        "plot_bgcolor": "rgba(0,0,0,0)",
    }
    figure: dict[str, Any] = {"data": [{"type": "scatter", "mode": "lines", **trace} for trace in traces]}
    page: str = plotly.io.to_html(figure | {"layout": layout}, include_plotlyjs=True, validate=False)
    return page


def _write_png(
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
