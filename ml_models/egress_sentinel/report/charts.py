"""The charts as Plotly figures: plain dictionaries that the page draws when they come into view.

A trace without x takes that of its figure.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from egress_alerts.message import class_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egress_sentinel.report.data import Totals

# Okabe and Ito's colours, which colour-blind people can distinguish: https://jfly.uni-koeln.de/color/
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#F0E442", "#999999")
ALERT_COLOUR = "#D55E00"
_BAND = "rgba(0,114,178,0.22)"
# Longer charts are by day, and by hour no longer than a month.
_HOURLY_DAYS, _LAST_HOURS = 14, 31 * 24


def totals_figures(
    totals: Totals,
    alerts: Sequence[Mapping[str, Any]],
    labels: Sequence[Mapping[str, Any]],
    scored_from: datetime | None,
) -> dict[str, dict[str, Any]]:
    """Stack cost and GB by class over time, with a mark for each alert: figures by name, the first one by default.

    Over more than two weeks that is by day, and by hour for the last 31 days.
    """
    shapes = [_label_band(label) for label in labels]
    if scored_from is not None:
        shapes.append(_vertical_line(f"{scored_from:%Y-%m-%d %H:%M}"))
    units = {"USD": totals.cost_usd, "GB": totals.egress_gb}
    if not any(map(any, totals.cost_usd.values())):  # a free tier
        del units["USD"]
    classes = sorted(totals.cost_usd, key=lambda name: -sum(totals.cost_usd[name]))
    figures = {}
    for period in _periods(totals.hours, is_daily=totals.is_daily):
        for unit, values in units.items():
            hours, sums = _in_periods(totals.hours, _stacks(values, classes), period)
            if period == "hour":
                hours, sums = hours[-_LAST_HOURS:], {name: row[-_LAST_HOURS:] for name, row in sums.items()}
            layout = figure_layout(f"{unit} {_a(period)}", height=360)
            layout |= {"shapes": shapes, "barmode": "stack", "bargap": 0.15}
            layout["yaxis2"] = {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
            layout["xaxis"]["range"] = [hours[0], hours[-1]] if period == "hour" else _with_margin(hours)
            data = [*_stacked(sums, unit, is_bar=period == "day"), _alert_marks(alerts)]
            figures[f"{unit} by {period}"] = {"x": hours, "data": data, "layout": layout}
    return figures


def series_figures(series: Mapping[str, list[Any]], alert: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Draw one series with its expected range, the incident's excess marked, the score below: figures by name."""
    start, end = (alert[name][:16].replace("T", " ") for name in ("start_hour_utc", "end_hour_utc"))
    marked = [
        max(usage - expected, 0.0) if start <= hour <= end else 0.0
        for hour, usage, expected in zip(series["hours"], series["usage_gb"], series["expected_gb"], strict=True)
    ]
    sums = {name: series[name] for name in ("low_gb", "high_gb", "expected_gb", "usage_gb")} | {"marked": marked}
    is_daily = alert.get("granularity") == "day"
    return {
        f"GB by {period}": _series_figure(series, *_in_periods(series["hours"], sums, period), period)
        for period in _periods(series["hours"], is_daily=is_daily)
        if period == "day" or len(series["hours"]) <= _LAST_HOURS
    }


def _series_figure(
    series: Mapping[str, list[Any]], hours: list[str], sums: Mapping[str, list[float]], period: str
) -> dict[str, Any]:
    marked = [number for number, value in enumerate(sums["marked"]) if value > 0]
    hidden = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    data: list[dict[str, Any]] = [
        {"y": sums["low_gb"], **hidden, "showlegend": False},
        {"y": sums["high_gb"], **hidden, "fill": "tonexty", "fillcolor": _BAND, "name": "expected range"},
        _line(sums["expected_gb"], "expected", COLOURS[0], dash="dot"),
        _line(sums["usage_gb"], "actual", "#7a828a"),
        {
            "x": [hours[number] for number in marked],
            "y": [sums["usage_gb"][number] for number in marked],
            "mode": "markers",
            "name": "incident, above expected",
            "marker": {"color": ALERT_COLOUR, "size": 6},
        },
    ]
    layout = figure_layout(f"GB {_a(period)}", height=300)
    if series["scores"] and len(hours) == len(series["hours"]):
        data.append(_line(series["scores"], "anomaly score, lower is more unusual", COLOURS[2], yaxis="y2"))
        layout["yaxis"]["domain"] = [0.36, 1]
        layout["yaxis2"] = {"domain": [0, 0.26], "title": {"text": "score"}, "zeroline": True, "zerolinewidth": 2}
        layout["xaxis"]["anchor"] = "y2"
        layout["height"] = 400
    return {"x": hours, "data": data, "layout": layout}


def _periods(hours: Sequence[str], *, is_daily: bool) -> list[str]:
    """Return by which periods to draw, the default first."""
    days = len({hour[:10] for hour in hours})
    if is_daily:
        return ["day"]
    return ["day", "hour"] if days > _HOURLY_DAYS else ["hour"]


def _in_periods(
    hours: list[str], values: Mapping[str, list[float]], period: str
) -> tuple[list[str], dict[str, list[float]]]:
    """Add hours up by day if the period is a day."""
    if period == "hour":
        return hours, dict(values)
    days = list(dict.fromkeys(hour[:10] for hour in hours))
    sums = {name: dict.fromkeys(days, 0.0) for name in values}
    for name, row in values.items():
        for hour, value in zip(hours, row, strict=True):
            sums[name][hour[:10]] += value
    return days, {name: [round(value, 4) for value in row.values()] for name, row in sums.items()}


def _stacks(values: Mapping[str, list[float]], classes: Sequence[str]) -> dict[str, list[float]]:
    """Return the values of the first classes by their texts, and the sum of the others."""
    kept = classes if len(classes) <= len(COLOURS) else classes[: len(COLOURS) - 1]
    stacks = {class_text(name): values[name] for name in kept}
    if len(classes) > len(kept):
        stacks["other classes"] = [
            sum(row) for row in zip(*(values[name] for name in classes[len(kept) :]), strict=True)
        ]
    return stacks


def _with_margin(days: list[str]) -> list[str]:
    """Return the range of an axis on which the first and the last day's bars are whole."""
    first, last = datetime.fromisoformat(days[0]), datetime.fromisoformat(days[-1])
    return [f"{first - timedelta(hours=12):%Y-%m-%d %H:%M}", f"{last + timedelta(hours=12):%Y-%m-%d %H:%M}"]


def _a(period: str) -> str:
    return "an hour" if period == "hour" else "a day"


def _stacked(sums: Mapping[str, list[float]], unit: str, *, is_bar: bool) -> list[dict[str, Any]]:
    kind = {"type": "bar"} if is_bar else {"stackgroup": unit, "mode": "lines"}
    return [
        {
            **kind,
            "y": values,
            "name": name,
            "marker" if is_bar else "line": {"color": colour} | ({} if is_bar else {"width": 0.6}),
            "meta": unit,
            "hovertemplate": f"%{{y:,.2f}} {unit} {name}<extra></extra>",
        }
        for colour, (name, values) in zip(COLOURS, sums.items(), strict=False)
        # A gateway's GB are counted on the line on which they leave.
        if sum(values) > 0
    ]


def _alert_marks(alerts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "x": [alert["start_hour_utc"][:16].replace("T", " ") for alert in alerts],
        "y": [0.97] * len(alerts),
        "yaxis": "y2",
        "mode": "markers",
        "name": "start of an alert",
        "marker": {"symbol": "triangle-down", "size": 13, "color": ALERT_COLOUR, "line": {"width": 1, "color": "#fff"}},
        "text": [f"{a['severity']} alert {class_text(a['egress_class'])}, {a['account_id']}" for a in alerts],
        "hovertemplate": "%{text}<br>%{x}<extra></extra>",
    }


def _label_band(label: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "rect",
        "xref": "x",
        "yref": "paper",
        "x0": label["start_hour_utc"][:16].replace("T", " "),
        "x1": label["end_hour_utc"][:16].replace("T", " "),
        "y0": 0,
        "y1": 1,
        "fillcolor": "rgba(213,94,0,0.08)",
        "line": {"width": 0},
        "layer": "below",
    }


def _vertical_line(hour: str) -> dict[str, Any]:
    line = {"width": 1, "dash": "dash", "color": "#888888"}
    return {"type": "line", "xref": "x", "yref": "paper", "x0": hour, "x1": hour, "y0": 0, "y1": 1, "line": line}


def _line(values: list[Any], name: str, colour: str, **more: Any) -> dict[str, Any]:
    line = {"color": colour, "width": 1.4, "dash": more.pop("dash", "solid")}
    return {"y": values, "mode": "lines", "name": name, "line": line, **more}


def figure_layout(y_title: str, *, height: int) -> dict[str, Any]:
    """Return the layout that all charts share. `height` is in pixels."""
    return {
        "height": height,
        "margin": {"l": 56, "r": 12, "t": 10, "b": 10},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hovermode": "x unified",
        "xaxis": {"type": "date", "automargin": True},
        "yaxis": {"title": {"text": y_title}, "rangemode": "tozero", "automargin": True},
        "legend": {"orientation": "h", "y": -0.18, "yanchor": "top"},
        "showlegend": True,
    }
