"""The charts as Plotly figures: plain dictionaries that the page draws when they come into view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from egress_sentinel.report.data import Totals

# Okabe and Ito's colours, which colour-blind people can distinguish: https://jfly.uni-koeln.de/color/
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
ALERT_COLOUR = "#D55E00"


def totals_figure(
    totals: Totals,
    alerts: Sequence[Mapping[str, Any]],
    labels: Sequence[Mapping[str, Any]],
    scored_from: datetime | None,
) -> dict[str, Any]:
    """Stack egress by class over time, GB first and dollars on demand, with a mark for each alert."""
    classes = sorted(totals.cost_usd, key=lambda name: -sum(totals.cost_usd[name]))
    traces = [
        *_stacked(totals.hours, totals.egress_gb, classes, "GB", visible=True),
        *_stacked(totals.hours, totals.cost_usd, classes, "USD", visible=False),
    ]
    traces.append(_alert_marks(alerts))
    shapes = [_label_band(label) for label in labels]
    if scored_from is not None:
        shapes.append(_vertical_line(f"{scored_from:%Y-%m-%d %H:%M}"))
    layout = figure_layout(f"GB {'a day' if totals.is_daily else 'an hour'}", height=420)
    layout |= {
        "shapes": shapes,
        "legend": {"orientation": "h", "y": -0.18},
        "yaxis2": {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
    }
    return {"data": traces, "layout": layout}


def series_figure(series: Mapping[str, list[Any]], alert: Mapping[str, Any]) -> dict[str, Any]:
    """Draw one series with its expected band, the incident's anomalous hours marked, the score below."""
    hours, unit = series["hours"], alert.get("granularity", "hour")
    start, end = (alert[name][:16].replace("T", " ") for name in ("start_hour_utc", "end_hour_utc"))
    marked = [
        number
        for number, hour in enumerate(hours)
        if start <= hour <= end and (series["anomalous"][number] or not series["scores"])
    ]
    traces: list[dict[str, Any]] = [
        {
            "x": hours,
            "y": series["low_gb"],
            "mode": "lines",
            "line": {"width": 0},
            "hoverinfo": "skip",
            "showlegend": False,
        },
        {
            "x": hours,
            "y": series["high_gb"],
            "mode": "lines",
            "line": {"width": 0},
            "fill": "tonexty",
            "fillcolor": "rgba(0,114,178,0.22)",
            "name": "expected band",
            "hoverinfo": "skip",
            "showlegend": True,
        },
        _line(hours, series["expected_gb"], "expected", "#0072B2", dash="dot"),
        _line(hours, series["usage_gb"], "actual", "#666666"),
        {
            "x": [hours[number] for number in marked],
            "y": [series["usage_gb"][number] for number in marked],
            "mode": "markers",
            "name": f"anomalous {unit}",
            "marker": {"color": ALERT_COLOUR, "size": 6},
            "showlegend": True,
        },
    ]
    layout = figure_layout(f"GB {'an' if unit == 'hour' else 'a'} {unit}", height=320)
    layout["legend"] = {"orientation": "h", "y": -0.2}
    if series["scores"]:
        traces.append(_line(hours, series["scores"], "anomaly_score", "#009E73", yaxis="y2"))
        layout["yaxis"]["domain"] = [0.36, 1]
        layout["yaxis2"] = {"domain": [0, 0.26], "title": {"text": "score"}, "zeroline": True, "zerolinewidth": 2}
        layout["xaxis"]["anchor"] = "y2"
        layout["height"] = 420
    return {"data": traces, "layout": layout}


def features_figure(features: Sequence[tuple[str, float, str]]) -> dict[str, Any]:
    """Draw what the model saw as bars around 0, which means "as usual"."""
    ordered = sorted(features, key=lambda feature: abs(feature[1]))
    layout = figure_layout("", height=60 + 26 * len(ordered))
    layout["yaxis"] = {"automargin": True, "fixedrange": True}
    layout["xaxis"] = {"title": {"text": "0 is as usual"}, "zeroline": True, "fixedrange": True}
    layout["margin"] = {"l": 10, "r": 20, "t": 6, "b": 40}
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [round(value, 4) for _, value, _ in ordered],
        "y": [name for name, _, _ in ordered],
        "hovertext": [description for _, _, description in ordered],
        "marker": {"color": "#0072B2"},
        "showlegend": False,
    }
    return {"data": [bars], "layout": layout}


def _stacked(
    hours: list[str], values: Mapping[str, list[float]], classes: Sequence[str], unit: str, *, visible: bool
) -> list[dict[str, Any]]:
    return [
        {
            "x": hours,
            "y": values[name],
            "name": name,
            "stackgroup": unit,
            "mode": "lines",
            "line": {"width": 0.6, "color": COLOURS[number % len(COLOURS)]},
            "visible": visible,
            "meta": unit,
            "hovertemplate": f"%{{y:,.2f}} {unit} {name}<extra></extra>",
        }
        for number, name in enumerate(classes)
        # A gateway's GB are counted on the line on which they leave.
        if sum(values[name]) > 0
    ]


def _alert_marks(alerts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "x": [alert["start_hour_utc"][:16].replace("T", " ") for alert in alerts],
        "y": [0.97] * len(alerts),
        "yaxis": "y2",
        "mode": "markers",
        "name": "alert",
        "marker": {"symbol": "triangle-down", "size": 13, "color": ALERT_COLOUR, "line": {"width": 1, "color": "#fff"}},
        "text": [f"{a['severity']}: {a['egress_class']}, {a['account_id']}" for a in alerts],
        "hovertemplate": "%{text}<br>%{x}<extra>alert</extra>",
        "meta": "alert",
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


def _line(hours: list[str], values: list[Any], name: str, colour: str, **more: Any) -> dict[str, Any]:
    line = {"color": colour, "width": 1.4, "dash": more.pop("dash", "solid")}
    return {"x": hours, "y": values, "mode": "lines", "name": name, "line": line, "showlegend": True, **more}


def figure_layout(y_title: str, *, height: int) -> dict[str, Any]:
    """Return what all charts look like; `height` is in pixels."""
    return {
        "height": height,
        "margin": {"l": 56, "r": 16, "t": 10, "b": 40},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hovermode": "x unified" if y_title else "closest",
        "xaxis": {"type": "date"},
        "yaxis": {"title": {"text": y_title}, "rangemode": "tozero"},
        "showlegend": bool(y_title),
    }
