-- kept_lines of the bill, estimated_lines, flow_bounds -> covered_series, unbilled_series, and kept_lines of both, each hour
-- of a series from one of them.
ALTER VIEW kept_lines RENAME TO billed_lines;

-- Where bill and flow logs speak of the same hours, the bill knows what is charged: a series that flow logs show for a day
-- or more of them, and that the bill never names, is not charged to this resource, and would be a false alert.
CREATE TABLE unbilled_series AS
SELECT e.account_id, e.region, e.service, e.egress_class, e.resource_id, SUM(e.usage_amount) AS usage_gb
FROM estimated_lines AS e
CROSS JOIN flow_bounds AS f
LEFT JOIN (SELECT DISTINCT account_id, region, service, egress_class, resource_id FROM billed_lines) AS b
  ON b.account_id = e.account_id AND b.region = e.region AND b.service = e.service
  AND b.egress_class = e.egress_class AND b.resource_id = e.resource_id
WHERE e.hour_utc < f.start_utc AND b.account_id IS NULL AND e.resource_id NOT LIKE 'eni-%' AND e.resource_id <> ''
GROUP BY e.account_id, e.region, e.service, e.egress_class, e.resource_id
HAVING COUNT(DISTINCT e.hour_utc) >= 24;

-- Beside a bill, an interface that the bill has no name for would be a series that no bill ever meets.
CREATE TABLE covered_series AS
SELECT DISTINCT e.account_id, e.region, e.service, e.egress_class, e.resource_id, f.start_utc AS estimated_from_utc
FROM estimated_lines AS e
CROSS JOIN flow_bounds AS f
CROSS JOIN (SELECT COUNT(*) AS lines FROM billed_lines) AS bill
LEFT JOIN unbilled_series AS u
  ON u.account_id = e.account_id AND u.region = e.region AND u.service = e.service
  AND u.egress_class = e.egress_class AND u.resource_id = e.resource_id
WHERE bill.lines = 0 OR (u.account_id IS NULL AND e.resource_id NOT LIKE 'eni-%' AND e.resource_id <> '');

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
