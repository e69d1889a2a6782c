"""Puts the page together: numbers, sentences and charts into the template."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from egress_alerts.alert import hours_text, time_text, worst_first
from egress_alerts.series import SUMMED
from egress_sentinel.output_files import write_text
from egress_sentinel.pipeline.alerts import suppressed_line
from egress_sentinel.report.backtest import course_figure, headline_of
from egress_sentinel.report.charts import features_figure, series_figure, totals_figure
from egress_sentinel.report.data import ReportData

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from egress_alerts.alert import Alert
    from egress_sentinel.pipeline.backtest.result import Backtest


def write_report(
    alerts: Sequence[Mapping[str, Any]],
    features: Path,
    output: Path,
    *,
    scored: Path | None = None,
    labels: Sequence[Mapping[str, Any]] | None = None,
    scored_from: datetime | None = None,
    title: str = "Egress Sentinel",
    suppressed: Sequence[Alert] = (),
    backtest: Backtest | None = None,
) -> None:
    """Write one HTML file that needs no network, beside `output` and then renamed.

    Parameters
    ----------
    alerts : sequence of mapping
        Alert records.
    features : Path
        The processed_features.parquet that they were found in.
    output : Path
        The HTML file.
    scored : Path, optional
        Folder of scored rows, for the scores over time.
    labels : sequence of mapping, optional
        Incidents known beforehand, shaded.
    scored_from : datetime, optional
        Where learning ended and scoring began.
    title : str
        Heading of the page.
    suppressed : sequence of Alert
        Suppressed alerts: planned ones, and those like an alert that was judged false or planned.
    backtest : Backtest, optional
        The savings of these alerts, for a separate section.

    Raises
    ------
    UserError
        The features cannot be read or the file cannot be written.
    """
    ordered = worst_first([dict(alert) for alert in alerts])
    with ReportData(features, scored) as data:
        totals = data.totals()
        details = [_detail(alert, data) for alert in ordered]
        figures = {"totals": totals_figure(totals, ordered, labels or (), scored_from)}
    for detail in details:
        figures |= detail["figures"]
    if backtest is not None:
        figures["backtest"] = course_figure(backtest)
    page = _environment().get_template("report.html.j2")
    write_text(
        output,
        page.render(
            title=title,
            headline=_headline(ordered) if backtest is None else headline_of(backtest),
            backtest=backtest,
            details=details,
            totals=totals,
            total_gb=sum(map(sum, totals.egress_gb.values())),
            total_usd=sum(map(sum, totals.cost_usd.values())),
            has_labels=bool(labels),
            suppressed=[suppressed_line(alert) for alert in suppressed],
            scored_from=scored_from,
            figures=_script_json(figures),
            plotly=Markup(_plotly()),  # noqa: S704 - the library's own source
        ),
    )


def _detail(alert: dict[str, Any], data: ReportData) -> dict[str, Any]:
    figures = {f"series-{alert['alert_id']}": series_figure(data.series(alert), alert)}
    features = data.worst_features(alert)
    if features:
        figures[f"features-{alert['alert_id']}"] = features_figure(features)
    return {"alert": alert, "figures": figures, "features": features}


def _headline(alerts: Sequence[Mapping[str, Any]]) -> str:
    if not alerts:
        return "No alerts: no scored hours were far enough above expected and above the floors."
    excess = sum(alert["cost_usd"] - alert["expected_cost_usd"] for alert in alerts)
    noun = "alert" if len(alerts) == 1 else "alerts"
    worst = alerts[0]
    return (
        f"{len(alerts)} {noun}, ${excess:,.2f} above expected; the worst is {worst['severity']}: "
        f"{_resource(worst['resource_id']) or worst['service']} ({worst['egress_class']}) in account "
        f"{worst['account_id']}, {_money(worst)}."
    )


def _money(alert: Mapping[str, Any]) -> str:
    """Return the state of an incident and its dollars above expected, with a rate only while it is open."""
    excess = _usd(alert["cost_usd"] - alert["expected_cost_usd"])
    if alert["state"] == "open":
        return f"open: {excess} so far, about {_usd(alert['current_usd_per_day'])} a day at the current rate"
    return f"ended: {excess} in all {hours_text(alert)}" if alert["state"] == "ended" else "withdrawn"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("egress_sentinel.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {
        "usd": _usd,
        "gb": _gb,
        "hour": _hour,
        "time": time_text,
        "resource": _resource,
        "money": _money,
    }
    return environment


def _usd(value: float) -> str:
    return f"${value:,.2f}"


def _gb(value: float) -> str:
    return f"{value:,.0f} GB" if value >= 100 else f"{value:,.2f} GB"


def _hour(text: str) -> str:
    return text[:16].replace("T", " ")


def _resource(resource_id: str) -> str:
    return "all resources" if resource_id == SUMMED else resource_id.rpartition(":")[2]


def _script_json(value: Any) -> Markup:
    """JSON that cannot end the script element around it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    safe = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(safe)  # noqa: S704 - escaped above


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
