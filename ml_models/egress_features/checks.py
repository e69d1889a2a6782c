"""What the line items are refused for, and what is left out of them with a note."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egress_features.errors import BadInputError
from egress_features.sources.line_items import month_sql

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from egress_features.engines import Engine


def check_currency(engine: Engine) -> None:
    """Refuse AWS's line items in anything but US dollars.

    Raises
    ------
    BadInputError
        Another currency, or several.
    """
    rows = engine.rows(
        "SELECT DISTINCT currency FROM line_groups WHERE currency <> '' AND provider = 'AWS' ORDER BY currency"
    )
    currencies = [row[0] for row in rows]
    if len(currencies) > 1:
        raise BadInputError(
            f"the exports mix the currencies {', '.join(currencies)}, and adding them up would make no sense: "
            "give exports in USD alone"
        )
    if currencies and currencies != ["USD"]:
        raise BadInputError(f"the exports are in {currencies[0]}; thresholds and prices here are in USD, give those")


def check_duplicates(engine: Engine, paths: Sequence[Path]) -> None:
    """Refuse the same line item given twice: (line item id, time interval) is unique in a delivery.

    Ids are the widest column of a bill. They are read where lines agree in all that counts, as copies do.
    FOCUS has no line item id: its lines are taken as they stand, and `restatement` keeps a billing period that is
    given twice from counting twice.

    Raises
    ------
    BadInputError
        Names the two files, or the one.
    """
    alike = engine.rows(
        """
        SELECT COUNT(*) FROM (
          SELECT COUNT(*) AS n FROM egress_lines
          GROUP BY account_id, resource_id, usage_type, operation, start_utc, usage_amount, cost_usd
          HAVING COUNT(*) > 1
        ) AS alike
        """
    )
    if alike[0][0] == 0:
        return
    engine.run(
        f"""
        CREATE TABLE identified_lines AS
        SELECT l.file_number, l.line_item_id, l.time_interval
        FROM line_items AS l
        JOIN usage_types AS t
          ON t.usage_type = l.usage_type AND t.service = l.service AND t.operation = l.operation
          AND t.charge_description = l.charge_description AND t.region_id = l.region_id
        LEFT JOIN replaced AS r
          ON r.file_number = l.file_number AND r.payer_account_id = l.payer_account_id
          AND r.billing_period = {month_sql("l.billing_period_start")}
        WHERE r.file_number IS NULL AND l.provider = 'AWS' AND l.line_item_id <> ''
        """
    )
    twice = engine.rows(
        """
        SELECT COUNT(*) FROM (
          SELECT COUNT(*) AS n FROM identified_lines GROUP BY line_item_id, time_interval HAVING COUNT(*) > 1
        ) AS repeated
        """
    )[0][0]
    if twice == 0:
        return
    first, other = engine.rows(
        """
        SELECT MIN(file_number), MAX(file_number) FROM identified_lines
        GROUP BY line_item_id, time_interval HAVING COUNT(*) > 1 ORDER BY 1, 2 LIMIT 1
        """
    )[0]
    where = f"in {paths[first]}" if first == other else f"in {paths[first]} and again in {paths[other]}"
    raise BadInputError(
        f"{twice:,} data-transfer lines stand {where}, with the same line item id and time: "
        "give each file of a bill once"
    )


def check_granularity(engine: Engine, paths: Sequence[Path]) -> None:
    """Refuse lines that have no time, and those of another length than the bill's (`granularity`).

    Raises
    ------
    BadInputError
        Names the first file with such lines.
    """
    timeless, first = engine.rows("SELECT COUNT(*), MIN(file_number) FROM kept_lines WHERE hour_utc IS NULL")[0]
    if timeless:
        raise BadInputError(f"{paths[first]} has {timeless:,} data-transfer lines without the time of the usage")
    count, longest, number = engine.rows(
        "SELECT COUNT(*), MAX(hours), MIN(file_number) FROM ("
        "SELECT file_number, DATE_DIFF('hour', start_utc, end_utc) AS hours, is_daily "
        "FROM kept_lines CROSS JOIN granularity) AS lengths "
        "WHERE hours > 25 OR hours < CASE WHEN is_daily THEN 23 ELSE 0 END "
        "OR hours > 1 AND NOT is_daily"
    )[0]
    if count:
        raise BadInputError(
            f"{paths[number]} has {count:,} data-transfer lines that span up to {longest} hours: "
            "an export with hourly or daily time granularity is needed"
        )


def check_history(engine: Engine, min_days: int, *, is_daily: bool) -> tuple[datetime, datetime]:
    """Return the first and the last hour of the data.

    Raises
    ------
    BadInputError
        Fewer days than the features look back.
    """
    first, last = (t.replace(tzinfo=UTC) for t in engine.rows("SELECT first_hour, last_hour FROM data_hours")[0])
    hours = int((last - first).total_seconds()) // 3600 + 1
    if hours < min_days * 24:
        covered = f"{hours // 24} days" if is_daily else f"{hours} hours"
        form = "%Y-%m-%d" if is_daily else "%Y-%m-%d %H:%M"
        raise BadInputError(
            f"the exports cover {covered} ({first:{form}} to {last:{form}} UTC), and at least {min_days} days are "
            f"needed: {'a day' if is_daily else 'an hour'} is compared with the seven days before it"
        )
    return first, last


def excluded_lines(engine: Engine, kept: Sequence[str]) -> tuple[dict[str, tuple[int, float]], list[str]]:
    """Return egress lines and dollars of the line item types that are left out, and a sentence for each."""
    names = ", ".join(f"'{name}'" for name in kept)
    rows = engine.rows(
        "SELECT line_item_type, COUNT(*), CAST(SUM(cost_usd) AS DOUBLE) FROM egress_lines "
        f"WHERE line_item_type NOT IN ({names}) GROUP BY line_item_type ORDER BY line_item_type"
    )
    excluded = {str(kind): (int(count), float(cost)) for kind, count, cost in rows}
    return excluded, [
        f"{count:,} data-transfer lines of type {kind or '(none)'} ({_dollars(cost)}) are left out: "
        "they move dollars without moving bytes"
        for kind, (count, cost) in excluded.items()
    ]


def _dollars(cost: float) -> str:
    return f"{'-' if cost < 0 else ''}${abs(cost):,.2f}"
