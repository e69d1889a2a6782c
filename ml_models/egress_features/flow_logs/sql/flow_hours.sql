-- peer_hours -> one row for each hour, resource, interface, class and path, with the shape of its destinations.
--
-- A destination is an AWS service by its name, any other address by itself. It is new when the resource sent it nothing
-- in the seven days before; in the first 24 hours of the logs nobody can say, so it is null there. Causal: nothing
-- looks ahead.
WITH span AS (SELECT MIN(hour_utc) AS first_hour FROM peer_hours),
destinations AS (
  SELECT account_id, region, resource_name, COALESCE(service, peer) AS destination, hour_utc,
    LAG(hour_utc) OVER (PARTITION BY account_id, region, resource_name, COALESCE(service, peer) ORDER BY hour_utc)
      AS last_seen
  FROM peer_hours WHERE out_bytes > 0
  GROUP BY account_id, region, resource_name, COALESCE(service, peer), hour_utc
),
sent AS (
  SELECT p.hour_utc, p.account_id, p.region, p.resource_name, p.interface_id, p.class, p.traffic_path,
    COALESCE(p.service, p.peer) AS destination, SUM(p.out_bytes) AS out_bytes, SUM(p.in_bytes) AS in_bytes,
    SUM(p.packets) AS packets, SUM(p.flows) AS flows
  FROM peer_hours AS p
  GROUP BY p.hour_utc, p.account_id, p.region, p.resource_name, p.interface_id, p.class, p.traffic_path,
    COALESCE(p.service, p.peer)
),
shaped AS (
  SELECT s.*,
    SUM(s.out_bytes) OVER (PARTITION BY s.hour_utc, s.account_id, s.region, s.interface_id, s.class, s.traffic_path)
      AS all_out,
    s.out_bytes > 0 AND (d.last_seen IS NULL OR d.last_seen < s.hour_utc - INTERVAL 168 HOUR) AS is_new
  FROM sent AS s
  LEFT JOIN destinations AS d ON d.account_id = s.account_id AND d.region = s.region
    AND d.resource_name = s.resource_name AND d.destination = s.destination AND d.hour_utc = s.hour_utc
)
SELECT
  CAST(hour_utc AS TIMESTAMPTZ) AS hour_utc, account_id, region, resource_name AS resource_id, interface_id,
  class AS destination_class, CAST(traffic_path AS INTEGER) AS traffic_path,
  CAST(SUM(out_bytes) AS DOUBLE) / 1e9 AS out_gb,
  CAST(SUM(in_bytes) AS DOUBLE) / 1e9 AS in_gb,
  CAST(SUM(packets) AS BIGINT) AS packets,
  CAST(SUM(flows) AS BIGINT) AS flows,
  CASE WHEN SUM(in_bytes) > 0 THEN CAST(SUM(out_bytes) AS DOUBLE) / CAST(SUM(in_bytes) AS DOUBLE) END AS out_in_ratio,
  COUNT(*) FILTER (WHERE out_bytes > 0) AS destinations,
  CASE WHEN MAX(all_out) > 0 THEN CAST(MAX(out_bytes) AS DOUBLE) / CAST(MAX(all_out) AS DOUBLE) END
    AS top_destination_share,
  ARG_MAX(destination, out_bytes) FILTER (WHERE out_bytes > 0) AS top_destination,
  -- Herfindahl-Hirschman: 1 is one destination, 1/n are n equal ones.
  CASE WHEN MAX(all_out) > 0
    THEN SUM((CAST(out_bytes AS DOUBLE) / CAST(all_out AS DOUBLE)) ** 2 ORDER BY destination) END AS concentration,
  CASE WHEN hour_utc >= ANY_VALUE(span.first_hour) + INTERVAL 24 HOUR THEN COUNT(*) FILTER (WHERE is_new) END
    AS new_destinations,
  CASE WHEN hour_utc >= ANY_VALUE(span.first_hour) + INTERVAL 24 HOUR AND MAX(all_out) > 0
    THEN CAST(COALESCE(SUM(out_bytes) FILTER (WHERE is_new), 0) AS DOUBLE) / CAST(MAX(all_out) AS DOUBLE) END
    AS new_destination_share
FROM shaped CROSS JOIN span
GROUP BY hour_utc, account_id, region, resource_name, interface_id, class, traffic_path
ORDER BY hour_utc, account_id, region, resource_id, interface_id, destination_class, traffic_path
