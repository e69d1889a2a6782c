-- kept_lines, granularity, account_names, resource_tags -> series, series_hours: one row for each series and hour that has a line.
-- Beyond its service's watermark a series goes on as far as it has lines: what is silent there may be yet to come.
-- A price tier splits a key's hour into two lines: they are added up here, before anything else sees them.
-- A daily bill's line stands for the 24 hours of a UTC day, the one that its local day overlaps most: each has a 24th.
CREATE TABLE IF NOT EXISTS covered_series (account_id VARCHAR, region VARCHAR, service VARCHAR, egress_class VARCHAR,
  resource_id VARCHAR, estimated_from_utc TIMESTAMP);

CREATE TABLE IF NOT EXISTS account_names (account_id VARCHAR, account_name VARCHAR);

CREATE TABLE IF NOT EXISTS resource_tags (account_id VARCHAR, service VARCHAR, resource_id VARCHAR, tags VARCHAR);

-- A level is one more series, over all leaves that agree in the keys that it keeps; the others are '*'. It exists where
-- its leaves differ in the keys next to its own: else it would be its only leaf, or the level below it, again.
-- A group is the leaves of an account, region and class: they are each other's peers. A level is a group of its own.
CREATE TABLE series AS
WITH leaves AS (
  SELECT s.account_id, s.region, s.service, s.egress_class, s.resource_id, s.is_processing_fee, s.first_hour_utc,
    c.estimated_from_utc,
    CASE WHEN c.estimated_from_utc <= w.complete_until_utc THEN c.estimated_from_utc - INTERVAL 1 HOUR
      ELSE w.complete_until_utc END AS complete_until_utc,
    -- A series that flow logs see goes on to their last hour.
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
    AND c.egress_class = s.egress_class AND c.resource_id = s.resource_id
),
summed AS (
  SELECT account_id, region, service, egress_class, resource_id,
    MIN(CASE WHEN is_processing_fee THEN 1 ELSE 0 END) = 1 AS is_processing_fee,
    MIN(first_hour_utc) AS first_hour_utc, MAX(last_hour_utc) AS last_hour_utc,
    MIN(estimated_from_utc) AS estimated_from_utc,
    -- An hour is complete when it is complete for every service.
    CASE WHEN COUNT(complete_until_utc) = COUNT(*) THEN MIN(complete_until_utc) END AS complete_until_utc
  FROM leaves
  GROUP BY GROUPING SETS ((account_id, region, service, egress_class, resource_id),
    (account_id, region, service, egress_class), (account_id, egress_class), (egress_class))
  HAVING resource_id IS NOT NULL
    OR (region IS NOT NULL AND MIN(resource_id) <> MAX(resource_id))
    OR (region IS NULL AND account_id IS NOT NULL AND (MIN(region) <> MAX(region) OR MIN(service) <> MAX(service)))
    OR (account_id IS NULL AND MIN(account_id) <> MAX(account_id))
),
named AS (
  SELECT COALESCE(account_id, '*') AS account_id, COALESCE(region, '*') AS region, COALESCE(service, '*') AS service,
    egress_class, COALESCE(resource_id, '*') AS resource_id, is_processing_fee, first_hour_utc, estimated_from_utc,
    complete_until_utc, last_hour_utc
  FROM summed
),
numbered AS (
  SELECT ROW_NUMBER() OVER (ORDER BY account_id, region, service, egress_class, resource_id) AS series_id, n.*
  FROM named AS n
),
apart AS (
  SELECT n.*, CASE WHEN resource_id = '*' THEN series_id ELSE 0 END AS level_id
  FROM numbered AS n
)
SELECT a.series_id,
  DENSE_RANK() OVER (ORDER BY a.account_id, a.region, a.egress_class, a.level_id) AS group_number,
  a.level_id, a.account_id, a.region, a.service, a.egress_class, a.resource_id, a.is_processing_fee, a.first_hour_utc,
  a.estimated_from_utc, a.complete_until_utc, a.last_hour_utc,
  COALESCE(n.account_name, '') AS account_name, COALESCE(t.tags, '') AS tags
FROM apart AS a
LEFT JOIN account_names AS n ON n.account_id = a.account_id
-- A level has none: the tags that its resources share depend on which of them rise.
LEFT JOIN resource_tags AS t
  ON t.account_id = a.account_id AND t.service = a.service AND t.resource_id = a.resource_id;

CREATE TABLE leaf_hours AS
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

-- The hours of a level: whole billionths of its leaves' GB and dollars, so that it is their sum exactly, in any order.
-- Its usage type and operation are those of the leaf with the most GB, of equal ones the first.
CREATE TABLE level_hours AS
WITH kept AS (
  SELECT s.series_id, s.egress_class,
    CASE WHEN k.level < 3 THEN s.account_id ELSE '*' END AS account_id,
    CASE WHEN k.level < 2 THEN s.region ELSE '*' END AS region,
    CASE WHEN k.level < 2 THEN s.service ELSE '*' END AS service
  FROM series AS s
  CROSS JOIN (VALUES (1), (2), (3)) AS k (level)
  WHERE s.level_id = 0
),
members AS (
  SELECT l.series_id AS level_id, k.series_id
  FROM kept AS k
  JOIN series AS l
    ON l.account_id = k.account_id AND l.region = k.region AND l.service = k.service
    AND l.egress_class = k.egress_class AND l.resource_id = '*'
),
sums AS (
  SELECT m.level_id, x.hour_utc,
    CAST(SUM(CAST(ROUND(x.usage_gb * 1e9) AS BIGINT)) AS DOUBLE) / 1e9 AS usage_gb,
    CAST(SUM(CAST(ROUND(x.cost_usd * 1e9) AS BIGINT)) AS DOUBLE) / 1e9 AS cost_usd,
    MAX(x.is_provisional) AS is_provisional,
    -- GB and series in one number: the largest one's is found in the same pass.
    MAX(CAST(ROUND(x.usage_gb * 1e9) AS DECIMAL(28, 0)) * CAST(1000000000 AS DECIMAL(10, 0))
      + CAST(1000000000 - x.series_id AS DECIMAL(10, 0))) AS largest
  FROM leaf_hours AS x
  JOIN members AS m ON m.series_id = x.series_id
  GROUP BY m.level_id, x.hour_utc
)
SELECT s.level_id AS series_id, s.hour_utc, x.usage_type, x.operation, s.usage_gb, s.cost_usd, s.is_provisional
FROM sums AS s
JOIN leaf_hours AS x
  ON x.series_id = 1000000000 - CAST(s.largest % CAST(1000000000 AS DECIMAL(10, 0)) AS BIGINT)
  AND x.hour_utc = s.hour_utc;

CREATE VIEW series_hours AS
SELECT * FROM leaf_hours
UNION ALL
SELECT * FROM level_hours;
