-- kept_lines, granularity -> series, series_hours: one row for each series and hour that has a line.
-- Beyond its service's watermark a series goes on as far as it has lines: what is silent there may be yet to come.
-- A price tier splits a key's hour into two lines: they are added up here, before anything else sees them.
-- A daily bill's line stands for the 24 hours of a UTC day, the one that its local day overlaps most: each has a 24th.
CREATE TABLE IF NOT EXISTS covered_series (account_id VARCHAR, region VARCHAR, service VARCHAR, egress_class VARCHAR,
  resource_id VARCHAR, estimated_from_utc TIMESTAMP);

-- A series that flow logs see goes on to their last hour.
CREATE TABLE series AS
SELECT
  ROW_NUMBER() OVER (ORDER BY s.account_id, s.region, s.service, s.egress_class, s.resource_id) AS series_id,
  DENSE_RANK() OVER (ORDER BY s.account_id) AS account_number,
  DENSE_RANK() OVER (ORDER BY s.account_id, s.egress_class) AS class_number,
  DENSE_RANK() OVER (ORDER BY s.account_id, s.region) AS region_number,
  DENSE_RANK() OVER (ORDER BY s.account_id, s.region, s.egress_class) AS group_number,
  s.account_id, s.region, s.service, s.egress_class, s.resource_id, s.is_processing_fee, s.first_hour_utc,
  c.estimated_from_utc,
  CASE WHEN c.estimated_from_utc <= w.complete_until_utc THEN c.estimated_from_utc - INTERVAL 1 HOUR
    ELSE w.complete_until_utc END AS complete_until_utc,
  CASE WHEN c.estimated_from_utc IS NOT NULL THEN d.last_hour
    WHEN s.own_last_hour_utc > w.complete_until_utc THEN s.own_last_hour_utc
    ELSE w.complete_until_utc END AS last_hour_utc
FROM (
  -- A fee is a property of a line: Lightsail's series has traffic and, above the bundle, a fee on the same bytes.
  SELECT k.account_id, k.region, k.service, k.egress_class, k.resource_id, k.is_processing_fee,
    CASE WHEN g.is_daily THEN DATE_TRUNC('day', k.first_hour_utc + INTERVAL 14 HOUR) ELSE k.first_hour_utc END
      AS first_hour_utc,
    CASE WHEN g.is_daily THEN DATE_TRUNC('day', k.last_hour_utc + INTERVAL 14 HOUR) + INTERVAL 23 HOUR
      ELSE k.last_hour_utc END AS own_last_hour_utc
  FROM (
    SELECT account_id, region, service, egress_class, resource_id,
      MIN(CASE WHEN is_processing_fee THEN 1 ELSE 0 END) = 1 AS is_processing_fee,
      MIN(hour_utc) AS first_hour_utc, MAX(hour_utc) AS last_hour_utc
    FROM kept_lines
    GROUP BY account_id, region, service, egress_class, resource_id
  ) AS k
  CROSS JOIN granularity AS g
) AS s
CROSS JOIN data_hours AS d
LEFT JOIN watermarks AS w ON w.service = s.service
LEFT JOIN covered_series AS c
  ON c.account_id = s.account_id AND c.region = s.region AND c.service = s.service
  AND c.egress_class = s.egress_class AND c.resource_id = s.resource_id;

CREATE TABLE series_hours AS
WITH by_usage_type AS (
  SELECT s.series_id, l.hour_utc, l.usage_type, l.operation,
    -- A fee's bytes count where all lines of the series are fees: else another line has them.
    SUM(CASE WHEN l.is_processing_fee = s.is_processing_fee THEN l.usage_amount ELSE 0 END) AS usage_gb,
    SUM(l.cost_usd) AS cost_usd, MAX(l.is_provisional) AS is_provisional
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
),
added_up AS (
  SELECT r.series_id,
    CASE WHEN g.is_daily THEN DATE_TRUNC('day', r.hour_utc + INTERVAL 14 HOUR) ELSE r.hour_utc END AS start_utc,
    MAX(CASE WHEN r.place = 1 THEN r.usage_type END) AS usage_type,
    MAX(CASE WHEN r.place = 1 THEN r.operation END) AS operation,
    -- A correction may leave an hour below zero; there are no negative bytes.
    CAST(GREATEST(SUM(r.usage_gb), 0) AS DOUBLE) AS usage_gb,
    CAST(SUM(r.cost_usd) AS DOUBLE) AS cost_usd,
    MAX(r.is_provisional) AS is_provisional
  FROM ranked AS r
  CROSS JOIN granularity AS g
  GROUP BY r.series_id,
    CASE WHEN g.is_daily THEN DATE_TRUNC('day', r.hour_utc + INTERVAL 14 HOUR) ELSE r.hour_utc END
),
parts AS (
  SELECT h.place, CASE WHEN g.is_daily THEN 24 ELSE 1 END AS hours
  FROM granularity AS g
  CROSS JOIN (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11),
    (12), (13), (14), (15), (16), (17), (18), (19), (20), (21), (22), (23)) AS h (place)
  WHERE h.place = 0 OR g.is_daily
)
SELECT a.series_id, a.start_utc + p.place * INTERVAL '1' HOUR AS hour_utc, a.usage_type, a.operation,
  a.usage_gb / p.hours AS usage_gb, a.cost_usd / p.hours AS cost_usd, a.is_provisional
FROM added_up AS a
CROSS JOIN parts AS p;
