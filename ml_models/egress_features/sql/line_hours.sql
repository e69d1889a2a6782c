-- cur_2_0 -> line_hours: what a bill's usage lines add up to in an hour, in one pass over the export. Lines that are
-- no egress are counted by service and hour alone: their number tells until when the bill is complete.
SELECT hour_utc, service,
  CASE WHEN egress_class = '' THEN '' ELSE account_id END AS account_id,
  CASE WHEN egress_class = '' THEN '' ELSE region END AS region,
  egress_class, is_processing_fee,
  CASE WHEN egress_class = '' THEN '' ELSE resource_id END AS resource_id,
  CASE WHEN egress_class = '' THEN '' ELSE usage_type END AS usage_type,
  CASE WHEN egress_class = '' THEN '' ELSE operation END AS operation,
  CASE WHEN egress_class = '' THEN '' ELSE account_name END AS account_name,
  tags,
  SUM(CASE WHEN egress_class = '' THEN 0 ELSE usage_amount END) AS usage_amount,
  SUM(CASE WHEN egress_class = '' THEN 0 ELSE cost_usd END) AS cost_usd,
  MAX(CASE WHEN has_invoice THEN 0 ELSE 1 END) AS is_provisional,
  MAX(CASE WHEN has_invoice THEN 1 ELSE 0 END) AS has_invoice,
  COUNT(*) AS lines
FROM (
  SELECT c.*, CASE WHEN c.egress_class = '' THEN '' ELSE {tags} END AS tags
  FROM ({classified}) AS c
) AS classified
GROUP BY hour_utc, service,
  CASE WHEN egress_class = '' THEN '' ELSE account_id END,
  CASE WHEN egress_class = '' THEN '' ELSE region END,
  egress_class, is_processing_fee,
  CASE WHEN egress_class = '' THEN '' ELSE resource_id END,
  CASE WHEN egress_class = '' THEN '' ELSE usage_type END,
  CASE WHEN egress_class = '' THEN '' ELSE operation END,
  CASE WHEN egress_class = '' THEN '' ELSE account_name END,
  tags
