-- flow_sums, named_interfaces, named_addresses -> own_addresses and interfaces.
--
-- An interface's own address is the source of what goes out and the destination of what comes in. Where the records
-- have no flow-direction it is the address that stands in every record of the interface; if two do (it talks to one
-- other alone), the private one; if both are private, the interface is left out with a note. A regional
-- NAT gateway (nat-...) has no address of its own: both ends of its records are others' addresses.
CREATE OR REPLACE MACRO is_private(address) AS regexp_matches(address,
  '^(10\.|192\.168\.|172\.(1[6-9]|2[0-9]|3[01])\.|100\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\.|169\.254\.|f[cd][0-9a-f]{2}:|fe80:)');
-- IPv6 addresses of a VPC look public. 64:ff9b::/96 are IPv4 addresses behind a NAT gateway (NAT64).
CREATE OR REPLACE MACRO is_ipv6(address) AS address LIKE '%:%' AND NOT address LIKE '64:ff9b:%';

CREATE TABLE own_addresses AS
WITH said AS (
  SELECT DISTINCT account_id, region, interface_id,
    CASE WHEN flow_direction = 'egress' THEN srcaddr ELSE dstaddr END AS address
  FROM flow_sums WHERE flow_direction IN ('egress', 'ingress') AND interface_id NOT LIKE 'nat-%'
  UNION
  SELECT DISTINCT f.account_id, f.region, f.interface_id, n.address
  FROM flow_sums AS f JOIN named_addresses AS n ON n.interface_id = f.interface_id
),
silent AS (
  SELECT f.* FROM flow_sums AS f
  LEFT JOIN (SELECT DISTINCT account_id, region, interface_id FROM said) AS s
    ON s.account_id = f.account_id AND s.region = f.region AND s.interface_id = f.interface_id
  WHERE s.interface_id IS NULL AND f.interface_id NOT LIKE 'nat-%'
),
both_ends AS (
  SELECT account_id, region, interface_id, srcaddr AS address, flows FROM silent
  UNION ALL
  SELECT account_id, region, interface_id, dstaddr, flows FROM silent WHERE dstaddr <> srcaddr
),
ranked AS (
  SELECT account_id, region, interface_id, address,
    RANK() OVER (PARTITION BY account_id, region, interface_id
      ORDER BY SUM(flows) DESC, CASE WHEN is_private(address) THEN 0 ELSE 1 END) AS place
  FROM both_ends GROUP BY account_id, region, interface_id, address
),
guessed AS (
  SELECT account_id, region, interface_id, MIN(address) AS address
  FROM ranked WHERE place = 1
  GROUP BY account_id, region, interface_id HAVING COUNT(*) = 1
)
SELECT * FROM said UNION SELECT * FROM guessed;

-- Which way each row goes; rows whose direction nobody can say drop out here.
CREATE TABLE directed AS
SELECT f.*,
  CASE WHEN f.flow_direction IN ('egress', 'ingress') THEN f.flow_direction = 'egress' ELSE o.address IS NOT NULL END
    AS is_out
FROM flow_sums AS f
LEFT JOIN own_addresses AS o ON o.account_id = f.account_id AND o.region = f.region
  AND o.interface_id = f.interface_id AND o.address = f.srcaddr
LEFT JOIN own_addresses AS d ON d.account_id = f.account_id AND d.region = f.region
  AND d.interface_id = f.interface_id AND d.address = f.dstaddr
WHERE f.flow_direction IN ('egress', 'ingress') OR o.address IS NOT NULL OR d.address IS NOT NULL;

-- A NAT gateway's interface is one that the user's file or the record's own fields call so; else one without an
-- instance that takes in packets on their way to a public address.
CREATE TABLE interfaces AS
WITH known AS (
  SELECT d.account_id, d.region, d.interface_id,
    MAX(d.instance_id) AS instance_id, MAX(d.vpc_id) AS vpc_id, MAX(d.az_id) AS az_id,
    MAX(d.resource_id) AS resource_field,
    BOOL_OR(COALESCE(d.interface_type LIKE '%nat_gateway%' OR d.resource_id LIKE '%nat-%', FALSE)) AS says_nat,
    BOOL_OR(NOT d.is_out AND d.pkt_dstaddr <> d.dstaddr AND NOT is_private(d.pkt_dstaddr)) AS forwards
  FROM directed AS d GROUP BY d.account_id, d.region, d.interface_id
)
SELECT k.account_id, k.region, k.interface_id, k.vpc_id,
  COALESCE(k.az_id, NULLIF(n.az_id, '')) AS az_id,
  COALESCE(n.is_nat, k.says_nat OR (k.instance_id IS NULL AND k.forwards)) AS is_nat,
  -- As the bill calls it; an interface id where nothing says whose the interface is.
  CASE
    WHEN n.name <> '' THEN n.name
    WHEN k.instance_id IS NOT NULL THEN k.instance_id
    WHEN k.resource_field LIKE 'arn:%' OR k.resource_field LIKE 'i-%' THEN k.resource_field
    WHEN k.resource_field LIKE 'nat-%'
      THEN 'arn:aws:ec2:' || k.region || ':' || k.account_id || ':natgateway/' || k.resource_field
    ELSE k.interface_id END AS resource_name
FROM known AS k
LEFT JOIN named_interfaces AS n ON n.interface_id = k.interface_id;
