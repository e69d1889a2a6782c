-- egress_lines -> series, hours, series_hours: one row for each series and hour that has a line.
-- A price tier splits a key's hour into two lines: they are added up here, before anything else sees them.
CREATE TABLE series AS
SELECT
  ROW_NUMBER() OVER (ORDER BY account_id, region, service, egress_class, resource_id) AS series_id,
  account_id, region, service, egress_class, resource_id, is_processing_fee, first_hour_utc
FROM (
  SELECT account_id, region, service, egress_class, resource_id, is_processing_fee, MIN(hour_utc) AS first_hour_utc
  FROM kept_lines
  GROUP BY account_id, region, service, egress_class, resource_id, is_processing_fee
) AS distinct_series;

CREATE TABLE series_hours AS
WITH by_usage_type AS (
  SELECT s.series_id, l.hour_utc, l.usage_type, l.operation,
    SUM(l.usage_amount) AS usage_gb, SUM(l.cost_usd) AS cost_usd, MAX(l.is_provisional) AS is_provisional
  FROM kept_lines AS l
  JOIN series AS s
    ON s.account_id = l.account_id AND s.region = l.region AND s.service = l.service
    AND s.egress_class = l.egress_class AND s.resource_id = l.resource_id
  GROUP BY s.series_id, l.hour_utc, l.usage_type, l.operation
),
ranked AS (
  SELECT *, ROW_NUMBER() OVER (
    PARTITION BY series_id, hour_utc ORDER BY usage_gb DESC, cost_usd DESC, usage_type, operation) AS place
  FROM by_usage_type
)
SELECT series_id, hour_utc,
  MAX(CASE WHEN place = 1 THEN usage_type END) AS usage_type,
  MAX(CASE WHEN place = 1 THEN operation END) AS operation,
  -- A correction may leave an hour below zero; there are no negative bytes.
  CAST(GREATEST(SUM(usage_gb), 0) AS DOUBLE) AS usage_gb,
  CAST(SUM(cost_usd) AS DOUBLE) AS cost_usd,
  MAX(is_provisional) AS is_provisional
FROM ranked
GROUP BY series_id, hour_utc;
