"""Reads billing exports into the tables from which everything else is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egress_features.charge_descriptions import usage_type_of
from egress_features.checks import OTHER_LINES, find_granularity, foreign_currencies, in_dollars_sql, notes_on_left_out
from egress_features.labels import make_labels
from egress_features.restatement import find_replaced
from egress_features.sources import NO_LINE_ITEMS, read_exports
from egress_features.sources.faults import naming_faults
from egress_features.sources.labels import WANTED_TAGS
from egress_features.sources.line_items import KIND, month_sql, same_kind_sql
from egress_features.usage_types import LOOKS_LIKE_TRANSFER, UNCLASSIFIED, classify, rule_of, split_prefix, unclassified

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from egress_features.engines import Engine
    from egress_features.sources import Export
    from egress_features.usage_types import UsageType

KEPT_LINE_ITEM_TYPES = ("Usage", "DiscountedUsage", "SavingsPlanCoveredUsage")
KEPT = ", ".join(f"'{name}'" for name in KEPT_LINE_ITEM_TYPES)
# AWS issues a month's invoice in the first days of the next month. Exports without an invoice id count as invoiced
# from then on.
INVOICE_DAYS = 5


def read_lines(
    engine: Engine, paths: Sequence[Path], tags: Sequence[str] = WANTED_TAGS
) -> tuple[list[Export], list[str]]:
    """Read exports and make these tables and views.

    - line_groups: every line, added up by file, payer, billing period, hour and kind of charge
    - usage_types: the meaning of each distinct kind of data-transfer line. `charge` is traffic, fee, free, or unknown
      for a kind that costs money and that no rule matches
    - replaced: the billing periods of files that another delivery replaces
    - counted_groups: the line_groups that are not replaced
    - egress_lines: the charged data-transfer lines. `left_out` is the reason why a line does not count, else ""
    - kept_lines: the lines that count. If the bill has no resource ids, `resource_id` is the operation
    - granularity: one row with `is_daily`: whether the bill is daily
    - data_hours: first and last hour of the usage lines, egress or not
    - account_names, resource_tags: the names of accounts, and those tags of resources that `tags` names

    Returns
    -------
    tuple of (list of Export, list of str)
        The files that are read, in the order of `paths` (`file_number`), and sentences for the user.

    Raises
    ------
    BadInputError
        No file is an export, most lines are in another currency or granularity, or two deliveries of a billing period
        contradict each other.
    """
    exports, opened = read_exports(paths, tags)
    selects = [f"SELECT {n} AS file_number, x.* FROM ({e.line_items_sql}) AS x" for n, e in enumerate(exports)]
    # Spark reads a file only when a query needs its rows, so errors may come late in this block.
    with naming_faults(engine, exports):
        engine.run("CREATE VIEW line_items AS " + " UNION ALL ".join(selects or [NO_LINE_ITEMS]))
        _make_line_groups(engine)
        foreign = foreign_currencies(engine)
        usage_types = _make_usage_types(engine)
        _make_read_lines(engine, usage_types, has_foreign=bool(foreign))
        granularity = find_granularity(engine, exports, KEPT)
        replaced = find_replaced(engine, [export.path for export in exports], granularity, KEPT)
        _make_egress_lines(engine, granularity)
        has_ids = has_resources(engine)
        labels = make_labels(engine, exports, _charged_sql(engine, usage_types), tags, has_resources=has_ids)
        return exports, [
            *opened,
            *_other_providers(engine),
            *_described(engine),
            *replaced,
            *notes_on_left_out(engine, exports, foreign),
            *_unclassified(engine),
            *labels,
            *_without_resources(engine),
        ]


def _make_line_groups(engine: Engine) -> None:
    engine.run(
        f"""
        CREATE TABLE line_groups AS
        SELECT file_number, payer_account_id, {month_sql("billing_period_start")} AS billing_period, provider, currency,
          line_item_type, service, usage_type, operation, charge_description, region_id, is_transfer,
          DATE_TRUNC('hour', start_utc) AS hour_utc,
          SUM(lines) AS lines, SUM(cost_usd) AS cost_usd, MAX(has_invoice) AS has_invoice
        FROM (
          -- Every line of every export: times are as the files have them.
          SELECT file_number, payer_account_id, billing_period_start, provider, currency, line_item_type, service,
            usage_type, operation, charge_description, region_id, is_transfer, start_utc,
            COUNT(*) AS lines, SUM(cost_usd) AS cost_usd, MAX(CASE WHEN has_invoice THEN 1 ELSE 0 END) AS has_invoice
          FROM line_items
          GROUP BY file_number, payer_account_id, billing_period_start, provider, currency, line_item_type, service,
            usage_type, operation, charge_description, region_id, is_transfer, start_utc
        ) AS moments
        GROUP BY file_number, payer_account_id, {month_sql("billing_period_start")}, provider, currency, line_item_type,
          service, usage_type, operation, charge_description, region_id, is_transfer, DATE_TRUNC('hour', start_utc)
        """
    )


def _make_usage_types(engine: Engine) -> list[str]:
    """Classify each distinct kind of line once, in a table to join with. Return the usage types to read in full."""
    engine.run(
        "CREATE TABLE usage_types (usage_type VARCHAR, service VARCHAR, operation VARCHAR, "
        "charge_description VARCHAR, region_id VARCHAR, is_transfer BOOLEAN, "
        "shown_usage_type VARCHAR, region VARCHAR, egress_class VARCHAR, charge VARCHAR)"
    )
    kind_columns = ", ".join(KIND)
    kinds = engine.rows(
        f"SELECT {kind_columns}, MAX(CASE WHEN cost_usd <> 0 THEN 1 ELSE 0 END) FROM line_groups "
        f"WHERE provider = 'AWS' GROUP BY {kind_columns}"
    )
    known = [(kind, _meaning(*kind, costs=bool(costs))) for *kind, costs in kinds]
    rows = [(*kind, *meaning) for kind, meaning in known if meaning is not None]
    if rows:
        engine.insert("usage_types", rows)
    return sorted({row[0] for row in rows if row[-1] != "free"})


def _meaning(
    usage_type: str,
    service: str,
    operation: str,
    charge_description: str,
    region_id: str,
    is_transfer: bool,
    *,
    costs: bool,
) -> tuple[str, str, str, str] | None:
    """Return the usage type to show, region, class and charge of a kind of line, or None if it is no data transfer."""
    shown = usage_type or usage_type_of(charge_description)
    rule = rule_of(shown, service, operation)
    if rule is not None and rule.charge == "other":
        return None
    meaning = classify(shown, service, operation)
    charge = "unknown" if meaning is None else str(meaning.charge)
    if charge not in ("traffic", "fee") and costs and (rule or is_transfer or LOOKS_LIKE_TRANSFER.search(shown)):
        # A line that AWS charges for is not free, even if a rule classifies it as free.
        meaning, charge = unclassified(shown), "unknown"
    if meaning is None:
        return None
    return shown, _region(meaning, usage_type, region_id), meaning.egress_class, charge


def _region(meaning: UsageType, usage_type: str, region_id: str) -> str:
    """Return the region of the usage type, or `region_id` if the usage type has none."""
    has_place = meaning.egress_class == "direct_connect" and not split_prefix(usage_type)[0]
    is_unsaid = not usage_type or meaning.region.startswith("unknown:") or has_place
    is_edge = meaning.region.startswith("edge")
    return region_id if region_id and is_unsaid and not is_edge else meaning.region


def _make_read_lines(engine: Engine, usage_types: Sequence[str], *, has_foreign: bool) -> None:
    """Make the table of the charged data-transfer lines of every delivery. Later steps decide which of them count.

    The query lists the usage types as constants, so that DuckDB reads the other columns only for lines that match.
    """
    open_from = engine.rows(
        f"SELECT SUBSTR(CAST(MAX(hour_utc) - INTERVAL {INVOICE_DAYS} DAY AS VARCHAR), 1, 7) FROM line_groups "
        f"WHERE line_item_type IN ({KEPT}) AND provider = 'AWS'"
    )[0][0]
    month = month_sql("l.billing_period_start")
    hours = "DATE_DIFF('hour', l.start_utc, l.end_utc)"
    # Most bills have one currency. Then this query does not read the column.
    only_dollars = f" AND {in_dollars_sql('l')}" if has_foreign else ""
    engine.run(
        f"""
        CREATE TABLE read_lines AS
        SELECT l.file_number, l.start_utc, l.end_utc,
          l.payer_account_id, {month} AS billing_period, l.account_id, l.service,
          t.shown_usage_type AS usage_type, l.operation, l.resource_id, l.line_item_type, l.usage_amount, l.cost_usd,
          t.region, t.egress_class, t.charge, t.charge <> 'traffic' AS is_processing_fee,
          DATE_TRUNC('hour', l.start_utc) AS hour_utc,
          CASE WHEN l.start_utc IS NULL THEN 'no time' WHEN {hours} IS NULL OR {hours} <= 1 THEN 'hour'
            WHEN {hours} BETWEEN 23 AND 25 THEN 'day' ELSE 'longer' END AS granularity,
          CASE WHEN COALESCE(l.has_invoice, {month} < '{open_from or ""}') THEN 0 ELSE 1 END AS is_provisional
        FROM line_items AS l
        JOIN usage_types AS t
          ON {same_kind_sql("t", "l")}
        WHERE l.provider = 'AWS' AND l.usage_type IN ({_texts(usage_types)}) AND t.charge <> 'free'
          AND (t.charge <> 'unknown' OR l.cost_usd <> 0){only_dollars}
        """
    )


def _make_egress_lines(engine: Engine, granularity: str) -> None:
    others = " ".join(
        f"WHEN granularity = '{name}' THEN '{text}'" for name, text in OTHER_LINES.items() if name != granularity
    )
    why = f"""CASE WHEN line_item_type NOT IN ({KEPT}) THEN COALESCE(NULLIF(line_item_type, ''), '(no type)')
      {others} ELSE '' END"""
    for view, source, more in (
        ("egress_lines", "read_lines", f", {why} AS left_out"),
        ("counted_groups", "line_groups", ""),
    ):
        engine.run(
            f"""
            CREATE VIEW {view} AS SELECT l.*{more} FROM {source} AS l
            LEFT JOIN replaced AS r
              ON r.file_number = l.file_number AND r.payer_account_id = l.payer_account_id
              AND r.billing_period = l.billing_period
            WHERE r.file_number IS NULL
            """
        )
    resource = "resource_id" if has_resources(engine) else "operation"
    engine.run(
        f"""
        CREATE VIEW kept_lines AS SELECT file_number, hour_utc, start_utc, end_utc, account_id, region, service,
          egress_class, {resource} AS resource_id, is_processing_fee, usage_type, operation, usage_amount, cost_usd,
          is_provisional
        FROM egress_lines WHERE left_out = ''
        """
    )
    engine.run(f"CREATE TABLE granularity AS SELECT {'TRUE' if granularity == 'day' else 'FALSE'} AS is_daily")
    # Days are UTC days, as in `sql/series_hours.sql`.
    engine.run(
        f"""
        CREATE TABLE data_hours AS
        SELECT
          CASE WHEN g.is_daily THEN DATE_TRUNC('day', b.first_hour + INTERVAL 14 HOUR) ELSE b.first_hour END
            AS first_hour,
          CASE WHEN g.is_daily THEN DATE_TRUNC('day', b.last_hour + INTERVAL 14 HOUR) + INTERVAL 23 HOUR
            ELSE b.last_hour END AS last_hour
        FROM (
          SELECT MIN(l.hour_utc) AS first_hour, MAX(l.hour_utc) AS last_hour FROM counted_groups AS l
          WHERE l.line_item_type IN ({KEPT}) AND l.provider = 'AWS' AND {in_dollars_sql("l")}
        ) AS b
        CROSS JOIN granularity AS g
        """
    )


def _charged_sql(engine: Engine, usage_types: Sequence[str]) -> str:
    """Return the FROM and WHERE that select the files' data-transfer lines, without those of `replaced`."""
    join, more = "", ""
    if engine.rows("SELECT file_number FROM replaced LIMIT 1"):
        join = (
            " LEFT JOIN replaced AS r ON r.file_number = l.file_number AND r.payer_account_id = l.payer_account_id "
            f"AND r.billing_period = {month_sql('l.billing_period_start')}"
        )
        more = " AND r.file_number IS NULL"
    return (
        f"FROM line_items AS l{join} WHERE l.provider = 'AWS' AND l.usage_type IN ({_texts(usage_types)}) "
        f"AND l.line_item_type IN ({KEPT}){more}"
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


def has_resources(engine: Engine) -> bool:
    """Whether any data-transfer line of the bill has a resource id."""
    return bool(engine.rows("SELECT file_number FROM egress_lines WHERE resource_id <> '' LIMIT 1"))


def _without_resources(engine: Engine) -> list[str]:
    if has_resources(engine) or not engine.rows("SELECT file_number FROM egress_lines LIMIT 1"):
        return []
    return [
        "the bill has no resource ids: series are account, region, service, class and operation; include resource ids "
        "in the export to see which resource"
    ]


def _unclassified(engine: Engine) -> list[str]:
    rows = engine.rows(
        "SELECT usage_type, service, COUNT(*), CAST(SUM(cost_usd) AS DOUBLE) FROM egress_lines "
        f"WHERE egress_class = '{UNCLASSIFIED}' AND left_out = '' GROUP BY usage_type, service ORDER BY 4 DESC, 1, 2"
    )
    if not rows:
        return []
    named = ", ".join(f"{kind or '(no usage type)'} of {service} (${cost:,.2f})" for kind, service, _, cost in rows[:5])
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    count, cost_usd = sum(row[2] for row in rows), sum(row[3] for row in rows)
    return [
        f"{UNCLASSIFIED}: {count:,} charged line{'s' if count > 1 else ''} (${cost_usd:,.2f}) of a usage type that is "
        f"not known and looks like data transfer: {named}{more}"
    ]


def _texts(values: Sequence[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values) or "NULL"
