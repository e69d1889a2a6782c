"""Checks of the line items: errors, and notes about lines that are left out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egress_features.errors import BadInputError
from egress_features.sources.faults import first_without_time
from egress_features.sources.line_items import month_sql, same_kind_sql

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from egress_features.engines import Engine
    from egress_features.sources import Export

# Names of lines whose granularity differs from the bill's.
OTHER_LINES = {
    "hour": "hourly lines",
    "day": "daily lines",
    "longer": "lines of more than a day",
    "no time": "lines without a time",
}
_DOLLARS, _NO_TIME = "USD", "no time"


def foreign_currencies(engine: Engine) -> list[str]:
    """Return the currencies of AWS's lines other than US dollars, which are left out.

    Raises
    ------
    BadInputError
        Most lines are in one of them.
    """
    rows = engine.rows(
        "SELECT currency, SUM(lines) FROM line_groups WHERE provider = 'AWS' GROUP BY currency ORDER BY 2 DESC, 1"
    )
    foreign = [(str(name), int(count)) for name, count in rows if name not in ("", _DOLLARS)]
    in_dollars = sum(int(count) for name, count in rows if name in ("", _DOLLARS))
    if foreign and sum(count for _, count in foreign) > in_dollars:
        names = " and ".join(name for name, _ in foreign)
        raise BadInputError(
            f"most lines of the exports are in {names}; thresholds and prices here are in USD, so give exports in USD"
        )
    return sorted(name for name, _ in foreign)


def in_dollars_sql(table: str) -> str:
    """Return the SQL condition that a line is in US dollars, or does not name its currency."""
    return f"{table}.currency IN ('', '{_DOLLARS}')"


def check_duplicates(engine: Engine, paths: Sequence[Path]) -> None:
    """Refuse a line item that is given twice: (line item id, time interval) is unique in a delivery.

    Ids are the widest column of a bill. This function reads them only if lines agree in all other columns that count.
    FOCUS has no line item id, so its lines are not compared. `restatement` finds a billing period that is given twice.

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
          ON {same_kind_sql("t", "l")}
        LEFT JOIN replaced AS r
          ON r.file_number = l.file_number AND r.payer_account_id = l.payer_account_id
          AND r.billing_period = {month_sql("l.billing_period_start")}
        WHERE r.file_number IS NULL AND l.provider = 'AWS' AND l.line_item_id <> '' AND t.charge <> 'free'
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
        f"{twice:,} data-transfer lines are {where}, with the same line item id and time: give each file of a bill once"
    )


def find_granularity(engine: Engine, exports: Sequence[Export], kept: str) -> str:
    """Return "hour" or "day": the span of most data-transfer lines of the bill. Lines of other spans are left out.

    Parameters
    ----------
    engine : Engine
        With the table read_lines.
    exports : sequence of Export
        The files by file_number.
    kept : str
        SQL list of the line item types that bill usage.

    Raises
    ------
    BadInputError
        Most lines have a longer span, or no time. The message names the first file with such lines.
    """
    rows = engine.rows(
        "SELECT granularity, COUNT(*), MIN(file_number), MAX(DATE_DIFF('hour', start_utc, end_utc)) FROM read_lines "
        f"WHERE line_item_type IN ({kept}) GROUP BY granularity"
    )
    found = {str(name): (int(count), int(number), hours) for name, count, number, hours in rows}
    counts = {name: found.get(name, (0, 0, 0))[0] for name in ("hour", "day")}
    granularity = "day" if counts["day"] > counts["hour"] else "hour"
    others = {name: values for name, values in found.items() if name not in counts}
    if sum(count for count, *_ in others.values()) <= sum(counts.values()):
        return granularity
    name = max(others, key=lambda other: others[other][0])
    count, number, hours = others[name]
    if name == _NO_TIME:
        raise BadInputError(
            f"{exports[number].path} has {count:,} data-transfer lines without a time of usage: "
            f"{first_without_time(engine, exports[number])}; give the lines a time or remove them"
        )
    raise BadInputError(
        f"{exports[number].path} has {count:,} data-transfer lines that span up to {hours} hours: an export with "
        "hourly or daily time granularity is needed"
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


def notes_on_left_out(engine: Engine, exports: Sequence[Export], foreign: Sequence[str]) -> list[str]:
    """Return a sentence for each reason why charged lines do not count, with their number and dollars."""
    rows = engine.rows(
        "SELECT left_out, COUNT(*), CAST(SUM(cost_usd) AS DOUBLE), MIN(file_number), "
        "MAX(DATE_DIFF('hour', start_utc, end_utc)) FROM egress_lines WHERE left_out <> '' "
        "GROUP BY left_out ORDER BY left_out"
    )
    sentences = [
        _left_out(engine, str(why), _transfer_lines(int(count), float(cost)), exports[int(number)], hours)
        for why, count, cost, number, hours in rows
    ]
    return [*sentences, *_in_other_currencies(engine, foreign)]


def _left_out(engine: Engine, why: str, lines: str, export: Export, hours: int | None) -> str:
    if "Discount" in why:
        return f"{lines} left out as {why}: the dollars of alerts are before this discount"
    if why not in OTHER_LINES.values():
        return f"{lines} left out as {why}, which moves dollars without moving bytes"
    if why == OTHER_LINES[_NO_TIME]:
        return f"{lines} left out without a time of usage: {first_without_time(engine, export)}"
    return f"{lines} left out (a span of {hours} hours, unlike the rest of the bill); the first is in {export.path}"


def _transfer_lines(count: int, cost: float) -> str:
    """Return the beginning of a sentence, up to its verb: the number of lines and their dollars."""
    is_one = count == 1
    amount = f"{'-' if cost < 0 else ''}${abs(cost):,.2f}"
    return f"{count:,} data-transfer line{'' if is_one else 's'} ({amount}) {'is' if is_one else 'are'}"


def _in_other_currencies(engine: Engine, foreign: Sequence[str]) -> list[str]:
    if not foreign:
        return []
    rows = engine.rows(
        "SELECT g.currency, SUM(g.lines), CAST(SUM(g.cost_usd) AS DOUBLE) FROM counted_groups AS g "
        f"WHERE g.provider = 'AWS' AND NOT {in_dollars_sql('g')} GROUP BY g.currency ORDER BY g.currency"
    )
    return [
        f"left out: {int(count):,} line{'s' if count > 1 else ''} in {currency} ({cost:,.2f} {currency}), because the "
        f"bill is in {_DOLLARS}"
        for currency, count, cost in rows
    ]
