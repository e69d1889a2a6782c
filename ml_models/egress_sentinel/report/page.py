"""Puts the page together: numbers, sentences and charts into the template."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from egress_alerts.alert import account_text, hours_text, period_text, resource_text, time_text, worst_first
from egress_alerts.message import class_text
from egress_alerts.policy import SEVERITIES
from egress_alerts.series import SUMMED
from egress_sentinel.output_files import write_text
from egress_sentinel.pipeline.alerts import suppressed_line
from egress_sentinel.report.backtest import course_figure, headline_of
from egress_sentinel.report.charts import series_figures, totals_figures
from egress_sentinel.report.data import MONTH_DAYS, OTHERS, ReportData

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from egress_alerts.alert import Alert
    from egress_sentinel.pipeline.backtest.result import Backtest
    from egress_sentinel.report.data import Cost, Costs

# Charts of more alerts would make the page slow, so only the worst have one.
MAX_CHARTS = 200
_LATER_TEXTS = ("owner", "owner_source", "saving", "remedy_page", "changes_note", "model_id")
_MAX_CHANGES, _LEAST_CHANGE_USD = 8, 1.0
_NEGLIGIBLE_SHARE = 0.01


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
    bill_usd: float = 0.0,
    made_from: Mapping[str, str] | None = None,
) -> None:
    """Write one HTML file that needs no network to `output`, atomically.

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
        The hour at which training ended and scoring began.
    title : str
        Heading of the page.
    suppressed : sequence of Alert
        Suppressed alerts: planned ones, and those like an alert that was judged false or planned.
    backtest : Backtest, optional
        The savings of these alerts, for a separate section.
    bill_usd : float
        Cost of all usage in the bill, data transfer or not; 0 when unknown.
    made_from : mapping of str to str, optional
        Files, model and policy behind the report, by label.

    Raises
    ------
    UserError
        The features cannot be read or the file cannot be written.
    """
    ordered = worst_first([dict(alert) for alert in alerts])
    figures: dict[str, Any] = {}
    with ReportData(features, scored) as data:
        totals, costs, named = data.totals(), data.costs(), data.account_names()
        cards = [_card(alert, data if place < MAX_CHARTS else None, figures) for place, alert in enumerate(ordered)]
        charts = {f"totals {name}": f for name, f in totals_figures(totals, ordered, labels or (), scored_from).items()}
    figures |= charts
    if backtest is not None:
        figures["backtest"] = course_figure(backtest)
    egress_usd = sum(map(sum, totals.cost_usd.values()))
    named = {alert["account_id"]: alert["account_name"] for alert in ordered if alert.get("account_name")} | named
    accounts = {account_id: f"{name} ({account_id})" for account_id, name in named.items()}
    page = _environment().get_template("report.html.j2")
    write_text(
        output,
        page.render(
            title=title,
            headline=_headline(ordered, costs) if backtest is None else headline_of(backtest),
            negligible=_negligible(egress_usd, bill_usd),
            tiles=_tiles(ordered, costs, egress_usd, bill_usd),
            backtest=backtest,
            cards=cards,
            severities=[name for name in reversed(SEVERITIES) if any(a["severity"] == name for a in ordered)],
            totals=totals,
            charts=list(charts),
            month=_month(costs),
            changes=_changes(costs) if costs.has_week_before else [],
            accounts=accounts,
            costs=_script_json(_cost_table(costs, accounts)),
            has_labels=bool(labels),
            suppressed=[suppressed_line(alert) for alert in suppressed],
            scored_from=scored_from,
            made=_made(ordered, is_daily=totals.is_daily) | dict(made_from or {}),
            figures=_script_json(figures),
            plotly=Markup(_plotly()),  # noqa: S704 - the library's own source
        ),
    )


def _card(alert: dict[str, Any], data: ReportData | None, figures: dict[str, Any]) -> dict[str, Any]:
    """Return an alert with all that its card shows, and add its charts to the figures."""
    charts, features = {}, []
    if data is not None:
        charts = {f"{alert['alert_id']} {name}": f for name, f in series_figures(data.series(alert), alert).items()}
        features = _features_seen(data.worst_features(alert))
    figures |= charts
    return {
        **alert,
        "charts": list(charts),
        "features": features,
        "resource": _resource(alert),
        "excess_usd": alert["cost_usd"] - alert["expected_cost_usd"],
        "account": account_text(alert),
        "cause": alert.get("likely_cause") or "unknown",
        "rank": SEVERITIES.index(alert["severity"]),
        "tags": alert.get("tags") or {},
        "changes": alert.get("changes") or [],
        **{name: alert.get(name) or "" for name in _LATER_TEXTS},
    }


def _features_seen(features: Mapping[str, tuple[float, str, str]]) -> list[tuple[str, str, float]]:
    """Return (sentence, value, share of the largest) of the features that are not as usual, the largest first."""
    seen = sorted((each for each in features.values() if each[0] > 0), key=lambda each: -each[0])
    return [
        (text, f"{math.exp(value):,.1f} times" if unit.startswith("ln") else f"{value:.0%}", value / seen[0][0])
        for value, text, unit in seen
    ]


def _resource(row: Mapping[str, Any]) -> str:
    """Return the resource of an alert or a contributor, by the last part of an ARN."""
    named: Any = {**row, "resource_id": row["resource_id"].rpartition(":")[2]}
    return resource_text(named)


def _headline(alerts: Sequence[Mapping[str, Any]], costs: Costs) -> str:
    month = f"Data transfer costs {_usd(sum(row.usd for row in costs.rows))} a month."
    if not alerts:
        return f"{month} No alerts: no scored hours were far enough above expected and above the floors."
    excess = sum(alert["cost_usd"] - alert["expected_cost_usd"] for alert in alerts)
    worst, count = alerts[0], "One incident" if len(alerts) == 1 else f"{len(alerts)} incidents"
    account = "" if worst["account_id"] == SUMMED else f" in account {account_text(worst)}"
    return (
        f"{month} {count} cost {_usd(excess)} above expected. The worst ({worst['severity']}) is "
        f"{_resource(worst)}{account}, {_money(worst)}."
    )


def _tiles(
    alerts: Sequence[Mapping[str, Any]], costs: Costs, egress_usd: float, bill_usd: float
) -> list[tuple[str, str, str]]:
    """Return the page's first answers: question, answer, remark."""
    month, week = sum(row.usd for row in costs.rows), sum(row.week_usd for row in costs.rows)
    before = sum(row.before_usd for row in costs.rows)
    open_ones = [alert for alert in alerts if alert["state"] == "open"]
    rate = sum(alert["current_usd_per_day"] for alert in open_ones)
    saving = sum(alert.get("saving_usd_per_month") or 0.0 for alert in alerts)
    percent = f" ({(week - before) / before:+.0%})" if before else ""
    compared = f"{_change(week - before)}{percent} on the week before" if costs.has_week_before else ""
    tiles = [
        ("Cost a month", _usd(month), _month(costs)),
        ("Last 7 days", _usd(week), compared),
        (
            "Above expected",
            _usd(sum(alert["cost_usd"] - alert["expected_cost_usd"] for alert in alerts)),
            _alerts(len(alerts)),
        ),
        (
            "Ongoing now",
            _alerts(len(open_ones)) if open_ones else "none",
            f"about {_usd(rate)} a day" if open_ones else "every incident ended",
        ),
    ]
    if saving:
        tiles.append(("Fixing it saves", f"{_usd(saving)} a month", "at the current rate"))
    if bill_usd > 0:
        share = egress_usd / bill_usd
        text = "less than 0.1%" if 0 < share < 0.001 else f"{share:.1%}"
        tiles.append(("Share of the bill", text, f"{_usd(egress_usd)} of {_usd(bill_usd)}"))
    return tiles if alerts else [tile for tile in tiles if tile[0] not in ("Above expected", "Ongoing now")]


def _negligible(egress_usd: float, bill_usd: float) -> str:
    if egress_usd >= _NEGLIGIBLE_SHARE * bill_usd:
        return ""
    return f"This bill's egress is {_usd(egress_usd)} of {_usd(bill_usd)}."


def _month(costs: Costs) -> str:
    return "last 30 days" if costs.days == MONTH_DAYS else f"at the rate of the bill's {costs.days:.0f} days"


def _changes(costs: Costs) -> list[tuple[Cost, float]]:
    """Return the resources with the largest difference between the last two weeks, and the difference."""
    changes = [(row, row.week_usd - row.before_usd) for row in costs.rows if row.resource != OTHERS]
    changes.sort(key=lambda change: -abs(change[1]))
    return [change for change in changes[:_MAX_CHANGES] if abs(change[1]) >= _LEAST_CHANGE_USD]


def _cost_table(costs: Costs, accounts: Mapping[str, str]) -> dict[str, Any]:
    """Return what the table of costs is made of: a list of values for each resource, texts by their number."""
    texts: dict[str, int] = {}

    def number(text: str) -> int:
        return texts.setdefault(text, len(texts))

    rows = [
        [
            number(accounts.get(row.account_id, row.account_id)),
            number(row.region),
            number(class_text(row.egress_class)),
            number(row.resource),
            *(round(usd, 4) for usd in (row.usd, row.week_usd, row.before_usd)),
        ]
        for row in costs.rows
    ]
    return {
        "texts": list(texts),
        "rows": rows,
        "hasWeekBefore": costs.has_week_before,
    }


def _made(alerts: Sequence[Mapping[str, Any]], *, is_daily: bool) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "Made": f"{now:%Y-%m-%d}" if is_daily else f"{now:%Y-%m-%d %H:%M} UTC",
        "Version": f"egress-sentinel {version('egress-sentinel')}",
        "Model": ", ".join(sorted({alert["model_id"] for alert in alerts if alert.get("model_id")})),
    }


def _money(alert: Mapping[str, Any]) -> str:
    """Return the dollars above expected and the state of an incident, with a rate only while it is open."""
    excess = f"{_usd(alert['cost_usd'] - alert['expected_cost_usd'])} above expected"
    if alert["state"] == "open":
        return f"{excess} so far, about {_usd(alert['current_usd_per_day'])} a day and ongoing"
    return f"{excess} {hours_text(alert)}, ended" if alert["state"] == "ended" else "withdrawn"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("egress_sentinel.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "usd": _usd,
        "change": _change,
        "gb": _gb,
        "hour": _hour,
        "time": time_text,
        "period": period_text,
        "class": class_text,
        "resource": _resource,
        "money": _money,
    }
    return environment


def _alerts(number: int) -> str:
    return f"{number} alert{'' if number == 1 else 's'}"


def _usd(value: float) -> str:
    """Return dollars with cents below $1,000."""
    if 0 < value < 0.005:
        return "less than $0.01"
    return f"{'-' if value < 0 else ''}${abs(value):,.{0 if abs(value) >= 1000 else 2}f}"


def _change(value: float) -> str:
    return _usd(value) if value < 0 else f"+{_usd(value)}"


def _gb(value: float) -> str:
    return f"{value:,.0f} GB" if value >= 100 else f"{value:,.2f} GB"


def _hour(text: str) -> str:
    return text[:16].replace("T", " ")


def _script_json(value: Any) -> Markup:
    """JSON that cannot end the script element around it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    safe = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(safe)  # noqa: S704 - escaped above


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
