"""The rules of `usage_types` as SQL: for Athena, where no Python runs between two queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egress_features.usage_types import (
    EDGES,
    LOOKS_LIKE_A_PREFIX,
    LOOKS_LIKE_TRANSFER,
    RULES,
    UNCLASSIFIED,
    Rule,
    region_prefixes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


def classified_sql(lines: str) -> str:
    """Return a SELECT of all columns of `lines`, with region, egress_class and is_processing_fee.

    `egress_class` is '' for lines that are no series: other charges, and free ones.

    Parameters
    ----------
    lines : str
        A table or a query in parentheses with usage_type, service, operation and region_id, texts that are never null,
        the flag is_transfer and the number cost_usd. `region_id` is the region of a line whose usage type has none.
    """
    known = _texts(sorted({*region_prefixes(), *EDGES}))
    return f"""
SELECT c.*,
  CASE WHEN c.place = 'edge' THEN CASE WHEN c.prefix = '' THEN 'edge' ELSE 'edge:' || c.prefix END
    WHEN c.region_id <> '' AND (c.usage_type = '' OR c.prefix_region = '' OR (c.egress_class = 'direct_connect'
      AND c.prefix = '')) THEN c.region_id
    WHEN c.prefix_region = '' THEN 'unknown:' || c.prefix
    ELSE c.prefix_region END AS region
FROM (
  SELECT b.*,
    CASE WHEN b.is_unclassified THEN {_text(UNCLASSIFIED)} WHEN b.charge IN ('traffic', 'fee') THEN b.rule_class
      ELSE '' END AS egress_class,
    b.is_unclassified OR b.charge = 'fee' AS is_processing_fee,
    CASE WHEN b.is_unclassified THEN 'region' ELSE b.rule_place END AS place
  FROM (
    SELECT a.*,
      SPLIT_PART(a.by_rule, ' ', 1) AS rule_class, SPLIT_PART(a.by_rule, ' ', 2) AS charge,
      SPLIT_PART(a.by_rule, ' ', 3) AS rule_place,
      a.cost_usd <> 0 AND ((a.by_rule = '' AND (a.is_transfer OR REGEXP_MATCHES(a.usage_type,
        {_text(LOOKS_LIKE_TRANSFER.pattern)}))) OR (SPLIT_PART(a.by_rule, ' ', 2) = 'free'))
        AS is_unclassified
    FROM (
      SELECT r.*,
        CASE WHEN r.prefix = 'QS' THEN {_text(_meaning(RULES[0]))} {_rules()} ELSE '' END AS by_rule,
        CASE {_regions()} ELSE '' END AS prefix_region
      FROM (
        SELECT p.*,
          CASE WHEN p.prefix = '' THEN p.usage_type ELSE SUBSTR(p.usage_type, LENGTH(p.prefix) + 2) END AS rest
        FROM (
          SELECT l.*,
            CASE WHEN STRPOS(l.usage_type, '-') > 0 AND (SPLIT_PART(l.usage_type, '-', 1) IN ({known})
                OR REGEXP_MATCHES(SPLIT_PART(l.usage_type, '-', 1), '^{LOOKS_LIKE_A_PREFIX.pattern}$'))
              THEN SPLIT_PART(l.usage_type, '-', 1) ELSE '' END AS prefix
          FROM {lines} AS l
        ) AS p
      ) AS r
    ) AS a
  ) AS b
) AS c
"""


def _rules() -> str:
    return " ".join(f"WHEN {_condition(rule)} THEN {_text(_meaning(rule))}" for rule in RULES)


def _meaning(rule: Rule) -> str:
    """Return class, charge and place in one text, which a rule that matches is never empty of."""
    return f"{rule.egress_class} {rule.charge} {'edge' if rule.is_edge else 'region'}"


def _condition(rule: Rule) -> str:
    conditions = [f"REGEXP_MATCHES(r.rest, {_text(rule.pattern)})"]
    if rule.services:
        conditions.insert(0, f"r.service IN ({_texts(rule.services)})")
    if rule.is_vpn:
        conditions.insert(0, "UPPER(r.operation) LIKE '%VPN%'")
    return " AND ".join(conditions)


def _regions() -> str:
    by_prefix = {"": "us-east-1", **region_prefixes()}
    return " ".join(f"WHEN r.prefix = {_text(prefix)} THEN {_text(region)}" for prefix, region in by_prefix.items())


def _texts(values: Iterable[str]) -> str:
    return ", ".join(_text(value) for value in values)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
