"""Billing exports into the tables that everything else is computed from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egress_features.charge_descriptions import usage_type_of
from egress_features.checks import check_currency
from egress_features.restatement import find_replaced
from egress_features.sources import NO_LINE_ITEMS, read_export
from egress_features.sources.line_items import month_sql
from egress_features.usage_types import UsageType, classify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from egress_features.engines import Engine
    from egress_features.sources import Export

KEPT_LINE_ITEM_TYPES = ("Usage", "DiscountedUsage", "SavingsPlanCoveredUsage")
KEPT = ", ".join(f"'{name}'" for name in KEPT_LINE_ITEM_TYPES)
# A month's invoice is issued in its first days after; exports that do not say so count as invoiced from then on.
INVOICE_DAYS = 5
_EDGE_CLASS = "cloudfront"


def read_lines(engine: Engine, paths: Sequence[Path]) -> tuple[list[Export], list[str]]:
    """Read exports and make these tables and views.

    - line_groups: every line, added up by file, payer, billing period, hour and what it is for
    - usage_types: what each distinct kind of line means, egress alone
    - replaced: the billing periods of files that another delivery replaces
    - counted_groups: the line_groups that are not replaced
    - egress_lines: the data-transfer lines of every line item type; kept_lines: those that bill usage
    - granularity: one row, `is_daily`: whether most data-transfer lines are of a day
    - data_hours: first and last hour of the usage lines, egress or not

    Returns
    -------
    tuple of (list of Export, list of str)
        The files in the order of `paths` (`file_number`), and sentences for a person.

    Raises
    ------
    BadInputError
        No export, another currency, or a billing period of which two deliveries contradict each other.
    """
    exports = [read_export(path) for path in paths]
    selects = [f"SELECT {n} AS file_number, x.* FROM ({e.line_items_sql}) AS x" for n, e in enumerate(exports)]
    engine.run("CREATE VIEW line_items AS " + " UNION ALL ".join(selects or [NO_LINE_ITEMS]))
    _make_line_groups(engine)
    check_currency(engine)
    _make_read_lines(engine, _make_usage_types(engine))
    _make_granularity(engine)
    notes = find_replaced(engine, paths, KEPT)
    _make_egress_lines(engine)
    return exports, [*_other_providers(engine), *_described(engine), *notes]


def _make_line_groups(engine: Engine) -> None:
    engine.run(
        f"""
        CREATE TABLE line_groups AS
        SELECT file_number, payer_account_id, {month_sql("billing_period_start")} AS billing_period, provider, currency,
          line_item_type, service, usage_type, operation, charge_description, region_id,
          DATE_TRUNC('hour', start_utc) AS hour_utc,
          SUM(lines) AS lines, SUM(cost_usd) AS cost_usd, MAX(has_invoice) AS has_invoice
        FROM (
          -- Every line of every export: times are as the files have them.
          SELECT file_number, payer_account_id, billing_period_start, provider, currency, line_item_type, service,
            usage_type, operation, charge_description, region_id, start_utc,
            COUNT(*) AS lines, SUM(cost_usd) AS cost_usd, MAX(CASE WHEN has_invoice THEN 1 ELSE 0 END) AS has_invoice
          FROM line_items
          GROUP BY file_number, payer_account_id, billing_period_start, provider, currency, line_item_type, service,
            usage_type, operation, charge_description, region_id, start_utc
        ) AS moments
        GROUP BY file_number, payer_account_id, {month_sql("billing_period_start")}, provider, currency, line_item_type,
          service, usage_type, operation, charge_description, region_id, DATE_TRUNC('hour', start_utc)
        """
    )


def _make_usage_types(engine: Engine) -> list[str]:
    """Classify each distinct kind of line once, for SQL to join with; return the usage types of egress."""
    engine.run(
        "CREATE TABLE usage_types (usage_type VARCHAR, service VARCHAR, operation VARCHAR, "
        "charge_description VARCHAR, region_id VARCHAR, "
        "shown_usage_type VARCHAR, region VARCHAR, egress_class VARCHAR, is_processing_fee BOOLEAN)"
    )
    kinds = engine.rows(
        "SELECT DISTINCT usage_type, service, operation, charge_description, region_id FROM line_groups "
        "WHERE provider = 'AWS'"
    )
    known = [(kind, _meaning(*kind)) for kind in kinds]
    rows = [(*kind, meaning[0], *meaning[1]) for kind, meaning in known if meaning is not None]
    if rows:
        engine.insert("usage_types", rows)
    return sorted({row[0] for row in rows})


def _meaning(
    usage_type: str, service: str, operation: str, charge_description: str, region_id: str
) -> tuple[str, UsageType] | None:
    """Return the usage type to show and what it means; the region from `region_id` where the type does not say it."""
    shown = usage_type or usage_type_of(charge_description)
    meaning = classify(shown, service, operation)
    if meaning is None:
        return None
    is_unsaid = not usage_type or meaning.region.startswith("unknown:")
    if region_id and is_unsaid and meaning.egress_class != _EDGE_CLASS:
        meaning = meaning._replace(region=region_id)
    return shown, meaning


def _make_read_lines(engine: Engine, usage_types: Sequence[str]) -> None:
    """Make the egress lines of every delivery; which of them count is decided afterwards.

    The usage types stand in the query itself: all other columns are then read where one of them stands, no further.
    """
    texts = ", ".join("'" + name.replace("'", "''") + "'" for name in usage_types) or "NULL"
    open_from = engine.rows(
        f"SELECT SUBSTR(CAST(MAX(hour_utc) - INTERVAL {INVOICE_DAYS} DAY AS VARCHAR), 1, 7) FROM line_groups "
        f"WHERE line_item_type IN ({KEPT}) AND provider = 'AWS'"
    )[0][0]
    month = month_sql("l.billing_period_start")
    engine.run(
        f"""
        CREATE TABLE read_lines AS
        SELECT l.file_number, l.start_utc, l.end_utc,
          l.payer_account_id, {month} AS billing_period, l.account_id, l.service,
          t.shown_usage_type AS usage_type, l.operation, l.resource_id, l.line_item_type, l.usage_amount, l.cost_usd,
          t.region, t.egress_class, t.is_processing_fee, DATE_TRUNC('hour', l.start_utc) AS hour_utc,
          CASE WHEN COALESCE(l.has_invoice, {month} < '{open_from or ""}') THEN 0 ELSE 1 END AS is_provisional
        FROM line_items AS l
        JOIN usage_types AS t
          ON t.usage_type = l.usage_type AND t.service = l.service AND t.operation = l.operation
          AND t.charge_description = l.charge_description AND t.region_id = l.region_id
        WHERE l.provider = 'AWS' AND l.usage_type IN ({texts})
        """
    )


def _make_granularity(engine: Engine) -> None:
    """Say whether the bill is daily. Where clocks change, a day has 23 or 25 hours."""
    engine.run(
        "CREATE TABLE granularity AS SELECT COALESCE(2 * SUM(CASE WHEN DATE_DIFF('hour', start_utc, end_utc) "
        "BETWEEN 23 AND 25 THEN 1 ELSE 0 END) > COUNT(*), FALSE) AS is_daily FROM read_lines "
        f"WHERE line_item_type IN ({KEPT})"
    )


def _make_egress_lines(engine: Engine) -> None:
    for view, source in (("egress_lines", "read_lines"), ("counted_groups", "line_groups")):
        engine.run(
            f"""
            CREATE VIEW {view} AS SELECT l.* FROM {source} AS l
            LEFT JOIN replaced AS r
              ON r.file_number = l.file_number AND r.payer_account_id = l.payer_account_id
              AND r.billing_period = l.billing_period
            WHERE r.file_number IS NULL
            """
        )
    engine.run(f"CREATE VIEW kept_lines AS SELECT * FROM egress_lines WHERE line_item_type IN ({KEPT})")
    # Days are UTC days, as `sql/series_hours.sql` has them.
    engine.run(
        f"""
        CREATE TABLE data_hours AS
        SELECT
          CASE WHEN g.is_daily THEN DATE_TRUNC('day', b.first_hour + INTERVAL 14 HOUR) ELSE b.first_hour END
            AS first_hour,
          CASE WHEN g.is_daily THEN DATE_TRUNC('day', b.last_hour + INTERVAL 14 HOUR) + INTERVAL 23 HOUR
            ELSE b.last_hour END AS last_hour
        FROM (
          SELECT MIN(hour_utc) AS first_hour, MAX(hour_utc) AS last_hour
          FROM counted_groups WHERE line_item_type IN ({KEPT}) AND provider = 'AWS'
        ) AS b
        CROSS JOIN granularity AS g
        """
    )


def _other_providers(engine: Engine) -> list[str]:
    rows = engine.rows(
        "SELECT provider, SUM(lines) FROM line_groups WHERE provider <> 'AWS' GROUP BY provider ORDER BY provider"
    )
    return [
        f"{int(count):,} lines of {provider or 'no provider'} are left out: AWS alone is read"
        for provider, count in rows
    ]


def _described(engine: Engine) -> list[str]:
    count, files = engine.rows(
        "SELECT SUM(lines), COUNT(DISTINCT file_number) FROM line_groups "
        "WHERE usage_type = '' AND charge_description <> '' AND provider = 'AWS'"
    )[0]
    if not count:
        return []
    return [
        f"{int(count):,} lines of {files} file{'s' if files > 1 else ''} have no usage type (x_UsageType, SkuMeter) "
        "and are read by their description"
    ]
