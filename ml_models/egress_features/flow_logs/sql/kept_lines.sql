-- kept_lines of the bill, estimated_lines, covered_series -> kept_lines of both, each hour of a series from one of them.
ALTER VIEW kept_lines RENAME TO billed_lines;

CREATE VIEW kept_lines AS
SELECT b.* FROM billed_lines AS b
LEFT JOIN covered_series AS c
  ON c.account_id = b.account_id AND c.region = b.region AND c.service = b.service
  AND c.egress_class = b.egress_class AND c.resource_id = b.resource_id AND b.hour_utc >= c.estimated_from_utc
WHERE c.account_id IS NULL
UNION ALL BY NAME
SELECT e.hour_utc, e.account_id, e.region, e.service, e.egress_class, e.resource_id, e.is_processing_fee,
  e.usage_type, e.operation, e.usage_amount, e.cost_usd, 0 AS is_provisional,
  e.hour_utc AS start_utc, e.hour_utc + INTERVAL 1 HOUR AS end_utc, 'Usage' AS line_item_type
FROM estimated_lines AS e
JOIN covered_series AS c
  ON c.account_id = e.account_id AND c.region = e.region AND c.service = e.service
  AND c.egress_class = e.egress_class AND c.resource_id = e.resource_id AND e.hour_utc >= c.estimated_from_utc;
