"""What `usage_types.classify` says, as SQL: for Athena, where no Python runs between two queries."""

from __future__ import annotations

from egress_features.usage_types import EDGES, LOOKS_LIKE_A_PREFIX, PROCESSING_FEE_CLASSES, RULES, region_prefixes


def classified_sql(lines: str) -> str:
    """Return a SELECT of all columns of `lines`, with region, egress_class ('' for no egress) and is_processing_fee.

    Parameters
    ----------
    lines : str
        A table or a query in parentheses with usage_type, service, operation and region_id, texts that are never null.
        `region_id` says where a line is metered if its usage type does not.
    """
    known = _texts(sorted({*region_prefixes(), *EDGES}))
    fees = _texts(PROCESSING_FEE_CLASSES)
    return f"""
SELECT c.*,
  CASE WHEN c.egress_class = 'cloudfront' THEN CASE WHEN c.prefix = '' THEN 'edge' ELSE 'edge:' || c.prefix END
    WHEN c.region_id <> '' AND (c.usage_type = '' OR c.prefix_region = '') THEN c.region_id
    WHEN c.prefix_region = '' THEN 'unknown:' || c.prefix
    ELSE c.prefix_region END AS region,
  c.egress_class IN ({fees}) AS is_processing_fee
FROM (
  SELECT b.*,
    CASE WHEN b.prefix = 'QS' OR b.service = 'AmazonQuickSight' OR b.by_rule = '' THEN ''
      WHEN b.service = 'AmazonCloudFront' THEN 'cloudfront'
      WHEN b.by_rule = 'internet' AND UPPER(b.operation) LIKE '%VPN%' THEN 'vpn'
      ELSE b.by_rule END AS egress_class
  FROM (
    SELECT a.*,
      CASE {_rules()} ELSE '' END AS by_rule,
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
    ) AS a
  ) AS b
) AS c
"""


def _rules() -> str:
    return " ".join(
        f"WHEN REGEXP_MATCHES(a.rest, {_text(rule.pattern)}) THEN {_text(name or '')}" for rule, name in RULES
    )


def _regions() -> str:
    by_prefix = {"": "us-east-1", **region_prefixes()}
    return " ".join(f"WHEN a.prefix = {_text(prefix)} THEN {_text(region)}" for prefix, region in by_prefix.items())


def _texts(values: list[str] | tuple[str, ...]) -> str:
    return ", ".join(_text(value) for value in values)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
