-- What Python does elsewhere (hours.py, network.py, estimate.py), for Athena, where no Python runs between two queries.

-- flow_logs, the table of the delivered files -> flow_texts. Partitions are projected: year and month are named so that
-- few are looked at. What the records do not say of account and region, their folder does.
CREATE VIEW flow_texts AS
SELECT {fields}
FROM flow_logs
WHERE year IN (STRFTIME(CURRENT_DATE, '%Y'), STRFTIME(CURRENT_DATE - __flow_days__ * INTERVAL '1' DAY, '%Y'))
  AND month IN (STRFTIME(CURRENT_DATE, '%m'), STRFTIME(CURRENT_DATE - __flow_days__ * INTERVAL '1' DAY, '%m'))
  AND year || '-' || month || '-' || day >= STRFTIME(CURRENT_DATE - __flow_days__ * INTERVAL '1' DAY, '%Y-%m-%d');

-- The hour that is going on is not whole yet, nor is the one whose last records lie in the first day's folder.
CREATE VIEW flow_sums AS
SELECT hour_utc, account_id, region, interface_id, instance_id, vpc_id, az_id, resource_id, interface_type,
  next_hop_az_id, next_hop_interface_type, srcaddr, dstaddr, pkt_srcaddr, pkt_dstaddr, src_service, dst_service,
  flow_direction, traffic_path, bytes, packets, flows
FROM flow_read
WHERE is_traffic AND interface_id IS NOT NULL AND hour_utc < DATE_TRUNC('hour', CAST(CURRENT_TIMESTAMP AS TIMESTAMP))
  AND hour_utc >= CAST(CURRENT_DATE AS TIMESTAMP) - __flow_days__ * INTERVAL '1' DAY;

-- network: a row for each file of answers of DescribeNetworkInterfaces, with lists side by side; the names as
-- `network._name` makes them. Instances are named by the records, and so are addresses and zones.
CREATE VIEW named_interfaces AS
SELECT interface_id,
  MAX(CASE
    WHEN interface_type LIKE '%nat_gateway%' AND REGEXP_MATCHES(description, 'nat-[0-9a-f]+')
      THEN 'arn:aws:ec2:' || SUBSTR(zone, 1, LENGTH(zone) - 1) || ':' || owner || ':natgateway/'
        || REGEXP_EXTRACT(description, 'nat-[0-9a-f]+')
    WHEN REGEXP_MATCHES(description, '^ELB (app|net|gwy)/[^/]+/[0-9a-f]+$')
      THEN 'arn:aws:elasticloadbalancing:' || SUBSTR(zone, 1, LENGTH(zone) - 1) || ':' || owner || ':loadbalancer/'
        || SUBSTR(description, 5)
    ELSE '' END) AS name,
  '' AS az_id,
  MAX(CASE WHEN interface_type LIKE '%nat_gateway%' THEN 1 ELSE 0 END) = 1 AS is_nat
FROM (
  SELECT n.interface_ids[t.place] AS interface_id, n.descriptions[t.place] AS description,
    n.interface_types[t.place] AS interface_type, n.zones[t.place] AS zone, n.owners[t.place] AS owner
  FROM network AS n
  -- A series from 1 to 0 would count downwards in Athena.
  CROSS JOIN UNNEST(CASE WHEN ARRAY_LENGTH(n.interface_ids) > 0 THEN GENERATE_SERIES(1, ARRAY_LENGTH(n.interface_ids)) END) AS t (place)
) AS listed
GROUP BY interface_id;

CREATE TABLE named_addresses (interface_id VARCHAR, address VARCHAR);

CREATE TABLE subnet_zones (vpc_id VARCHAR, address VARCHAR, az_id VARCHAR);

-- Resources that the bill charges for peering between zones. As `estimate._BILLED_PEERING`.
CREATE VIEW billed_peering AS
SELECT DISTINCT account_id, region, resource_id FROM billed_lines WHERE usage_type LIKE '%VpcPeering-%';

-- From where on flow logs speak, and until when; no row where there is no bill that reaches them. As `estimate._start`.
CREATE VIEW flow_bounds AS
SELECT start_utc, last_utc
FROM (
  SELECT GREATEST(f.first_utc,
      LEAST(b.last_utc - INTERVAL '{more}' HOUR, COALESCE(w.complete_until_utc + INTERVAL '1' HOUR, b.last_utc))) AS start_utc,
    f.first_utc, f.last_utc, b.last_utc AS bill_last_utc
  FROM (SELECT MIN(hour_utc) AS first_utc, MAX(hour_utc) AS last_utc FROM peer_hours) AS f
  CROSS JOIN (
    SELECT COALESCE(MAX(CASE WHEN service IN {services} THEN hour_utc END), MAX(hour_utc)) AS last_utc FROM billed_lines
  ) AS b
  CROSS JOIN (SELECT MIN(complete_until_utc) AS complete_until_utc FROM watermarks WHERE service IN {services}) AS w
) AS known
WHERE start_utc <= last_utc AND first_utc <= bill_last_utc + INTERVAL '1' HOUR;

CREATE VIEW data_hours AS
SELECT LEAST(d.first_hour, COALESCE(b.start_utc, d.first_hour)) AS first_hour,
  GREATEST(d.last_hour, COALESCE(b.last_utc, d.last_hour)) AS last_hour
FROM billed_hours AS d
LEFT JOIN flow_bounds AS b ON TRUE;
