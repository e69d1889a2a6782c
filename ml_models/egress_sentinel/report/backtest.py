"""The report's section about a backtest: a sentence, the course of the dollars, a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egress_sentinel.report.charts import ALERT_COLOUR, figure_layout

if TYPE_CHECKING:
    from egress_sentinel.pipeline.backtest.result import Backtest


def headline_of(result: Backtest) -> str:
    """Return the result of the backtest in one or two sentences."""
    totals = result.totals
    span = f"Over {totals['days']:,.0f} days, until {result.as_of:%Y-%m-%d %H:%M} UTC,"
    if not result.alerts:
        return f"{span} no alert would have come."
    is_one = totals["alerts"] == 1
    noun, whose = ("alert", "Its incident") if is_one else ("alerts", "Their incidents")
    came = (
        f"{span} {totals['alerts']} {noun} would have come, {totals['alerts_per_account_and_month']:,.1f} an account "
    )
    if totals["excess_usd"] == 0:
        return f"{came}and month. {whose} cost nothing above expected: the bill has $0, as in a free tier."
    return (
        f"{came}and month. {whose} cost ${totals['excess_usd']:,.2f} above expected, "
        f"${totals['excess_before_alert_usd']:,.2f} of it before the alert; ${totals['avoidable_usd']:,.2f} could have "
        "been saved."
    )


def course_figure(result: Backtest) -> dict[str, Any]:
    """Draw the cumulative dollars above expected, with and without action, and the times of the alerts."""
    ends = [f"{moment:%Y-%m-%d %H:%M}" for moment in (result.replayed_from, result.as_of)]
    last = result.course[-1][1:] if result.course else (0.0, 0.0)
    hours = [ends[0], *(hour[:16].replace("T", " ") for hour, _, _ in result.course), ends[1]]
    spent = [0.0, *(usd for _, usd, _ in result.course), last[0]]
    left = [0.0, *(usd for _, _, usd in result.course), last[1]]
    moments = [alert["alerted_at_utc"][:16].replace("T", " ") for alert in result.alerts]
    figure = figure_layout("USD above expected", height=360)
    figure["hovermode"] = "closest"
    return {
        "data": [
            _steps(hours, spent, "as it was", "#0072B2"),
            _steps(hours, left, "had each alert been acted on", "#009E73", dash="dot"),
            {
                "x": moments,
                "y": [_value_at(hours, spent, moment) for moment in moments],
                "mode": "markers",
                "name": "an alert comes",
                "marker": {"symbol": "triangle-down", "size": 12, "color": ALERT_COLOUR},
                "text": [
                    f"{alert['as_told']['severity']}: {alert['egress_class']}, {alert['account_id']}, "
                    f"${alert['avoidable_usd']:,.2f} avoidable"
                    for alert in result.alerts
                ],
                "hovertemplate": "%{text}<br>%{x}<extra>alert</extra>",
            },
        ],
        "layout": figure,
    }


def _steps(hours: list[str], values: list[float], name: str, colour: str, dash: str = "solid") -> dict[str, Any]:
    line = {"color": colour, "width": 1.8, "dash": dash, "shape": "hv"}
    return {"x": hours, "y": values, "mode": "lines", "name": name, "line": line}


def _value_at(hours: list[str], values: list[float], moment: str) -> float:
    return next((value for hour, value in zip(reversed(hours), reversed(values), strict=True) if hour <= moment), 0.0)
