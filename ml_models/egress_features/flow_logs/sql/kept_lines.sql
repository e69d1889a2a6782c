-- kept_lines of the bill, estimated_lines, covered_series -> kept_lines of both, each hour of a series from one of them.
ALTER VIEW kept_lines RENAME TO billed_lines;

CREATE VIEW kept_lines AS
SELECT b.hour_utc, b.account_id, b.region, b.service, b.egress_class, b.resource_id, b.is_processing_fee,
  b.usage_type, b.operation, b.usage_amount, b.cost_usd, b.is_provisional
FROM billed_lines AS b
LEFT JOIN covered_series AS c
  ON c.account_id = b.account_id AND c.region = b.region AND c.service = b.service
  AND c.egress_class = b.egress_class AND c.resource_id = b.resource_id AND b.hour_utc >= c.estimated_from_utc
WHERE c.account_id IS NULL
UNION ALL
SELECT e.hour_utc, e.account_id, e.region, e.service, e.egress_class, e.resource_id, e.is_processing_fee,
  e.usage_type, e.operation, e.usage_amount, e.cost_usd, 0 AS is_provisional
FROM estimated_lines AS e
JOIN covered_series AS c
  ON c.account_id = e.account_id AND c.region = e.region AND c.service = e.service
  AND c.egress_class = e.egress_class AND c.resource_id = e.resource_id AND e.hour_utc >= c.estimated_from_utc;
