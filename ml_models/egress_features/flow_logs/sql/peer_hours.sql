-- directed, interfaces, own_addresses, subnet_zones -> peer_hours: one row for each hour, interface and other side.
--
-- traffic-path: 1 same VPC, or something in it that passes the packet on, 2 internet gateway or gateway endpoint, 3 virtual
-- private gateway, 4 peering in the region, 5 peering to another region, 6 local gateway, 7 gateway endpoint, 8 internet
-- gateway; it is there on egress alone, so what comes in takes the class of what goes out to the same side in that hour.
CREATE TABLE peer_hours AS
WITH zones AS (
  SELECT o.account_id, o.region, o.address, MAX(i.az_id) AS az_id,
    CASE WHEN MIN(i.vpc_id) = MAX(i.vpc_id) THEN MAX(i.vpc_id) END AS vpc_id
  FROM own_addresses AS o
  JOIN interfaces AS i ON i.account_id = o.account_id AND i.region = o.region AND i.interface_id = o.interface_id
  WHERE i.az_id IS NOT NULL
  -- The same private address in two VPCs of the account: which one is meant is not known, unless the zone is the same.
  GROUP BY o.account_id, o.region, o.address HAVING COUNT(DISTINCT i.az_id) = 1
),
peered AS (
  SELECT DISTINCT region, srcaddr, dstaddr FROM directed WHERE is_out AND traffic_path = 4
  UNION
  SELECT DISTINCT region, dstaddr, srcaddr FROM directed WHERE is_out AND traffic_path = 4
),
-- Across a peering connection, and for IPv6, the other side may be another account's.
zones_of_others AS (
  SELECT o.region, o.address, MAX(i.az_id) AS az_id
  FROM own_addresses AS o
  JOIN interfaces AS i ON i.account_id = o.account_id AND i.region = o.region AND i.interface_id = o.interface_id
  LEFT JOIN peered AS p ON p.region = o.region AND p.srcaddr = o.address
  WHERE i.az_id IS NOT NULL AND (is_ipv6(o.address) OR p.region IS NOT NULL)
  GROUP BY o.region, o.address HAVING COUNT(DISTINCT i.az_id) = 1
),
behind_nat AS (
  SELECT DISTINCT o.account_id, o.region, o.interface_id
  FROM directed AS d
  JOIN interfaces AS i ON i.account_id = d.account_id AND i.region = d.region AND i.interface_id = d.interface_id
  JOIN own_addresses AS o ON o.account_id = d.account_id AND o.region = d.region
    AND o.address = CASE WHEN d.is_out THEN d.pkt_srcaddr ELSE d.srcaddr END
  WHERE i.is_nat AND o.interface_id <> d.interface_id
),
sides AS (
  SELECT d.*, i.resource_name, i.is_nat, i.az_id AS own_az_id,
    -- A NAT gateway's other side is the next hop: an instance, or the world.
    CASE
      WHEN i.is_nat THEN CASE WHEN is_out THEN d.dstaddr ELSE d.srcaddr END
      WHEN is_out THEN d.pkt_dstaddr ELSE d.pkt_srcaddr END AS peer,
    CASE WHEN is_out THEN d.dst_service ELSE d.src_service END AS service,
    b.interface_id IS NOT NULL AS is_behind_nat
  FROM directed AS d
  JOIN interfaces AS i ON i.account_id = d.account_id AND i.region = d.region AND i.interface_id = d.interface_id
  LEFT JOIN behind_nat AS b
    ON b.account_id = d.account_id AND b.region = d.region AND b.interface_id = d.interface_id
),
placed AS (
  SELECT s.*, p.region IS NOT NULL AS is_peering,
    -- Peering has a path of its own, so a transit gateway's interface passes this on to another VPC.
    s.traffic_path = 1 AND NOT s.is_nat AND z.vpc_id <> s.vpc_id AS is_by_transit_gateway,
    COALESCE(s.next_hop_az_id, z.az_id, n.az_id, o.az_id) AS peer_az_id,
    -- What looks public is inside where its zone is known or its path says so, unless it leaves by an internet gateway.
    is_private(s.peer) OR (COALESCE(s.traffic_path, 0) NOT IN (2, 8) AND (
      COALESCE(z.address, n.address, o.address, p.region) IS NOT NULL
      OR (s.traffic_path = 1 AND is_ipv6(s.peer)))) AS is_inside
  FROM sides AS s
  LEFT JOIN peered AS p ON p.region = s.region AND p.srcaddr = s.srcaddr AND p.dstaddr = s.dstaddr
  LEFT JOIN zones AS z ON z.account_id = s.account_id AND z.region = s.region AND z.address = s.peer
  LEFT JOIN subnet_zones AS n ON n.vpc_id IS NOT DISTINCT FROM s.vpc_id AND n.address = s.peer
  LEFT JOIN zones_of_others AS o ON o.region = s.region AND o.address = s.peer
    AND (p.region IS NOT NULL OR is_ipv6(s.peer))
),
classed AS (
  SELECT *,
    CASE
      WHEN traffic_path = 3 THEN 'on_premises'
      WHEN traffic_path = 6 THEN 'local_gateway'
      WHEN traffic_path = 7 THEN 'gateway_endpoint'
      WHEN traffic_path = 5 THEN 'peering_other_region'
      -- AWS charges the gateway's processing, and since April 2022 nothing for zones.
      WHEN is_by_transit_gateway THEN 'transit_gateway'
      -- A regional NAT gateway is in the zone of each instance that it serves.
      WHEN is_inside AND (own_az_id = peer_az_id OR interface_id LIKE 'nat-%') THEN 'same_az'
      WHEN is_inside AND own_az_id <> peer_az_id THEN 'cross_az'
      WHEN is_inside AND is_peering THEN 'peering_same_region'
      WHEN is_inside THEN 'private'
      WHEN NOT is_nat AND (traffic_path = 1 OR next_hop_interface_type LIKE '%nat_gateway%') THEN 'nat'
      -- NAT gateways take no IPv6 to the internet: an egress-only internet gateway does.
      WHEN NOT is_nat AND traffic_path IS NULL AND is_behind_nat AND NOT is_ipv6(peer) THEN 'nat'
      WHEN service IS NOT NULL THEN 'aws_service'
      ELSE 'internet' END AS class
  FROM placed
)
SELECT hour_utc, account_id, region, interface_id, resource_name, is_nat, peer,
  MAX(service) AS service,
  COALESCE(ARG_MAX(class, bytes) FILTER (WHERE is_out), ARG_MAX(class, bytes)) AS class,
  ARG_MAX(traffic_path, bytes) FILTER (WHERE is_out) AS traffic_path,
  BOOL_OR(is_peering) AS is_peering,
  CAST(COALESCE(SUM(bytes) FILTER (WHERE is_out), 0) AS BIGINT) AS out_bytes,
  CAST(COALESCE(SUM(bytes) FILTER (WHERE NOT is_out), 0) AS BIGINT) AS in_bytes,
  CAST(SUM(packets) AS BIGINT) AS packets,
  CAST(SUM(flows) AS BIGINT) AS flows
FROM classed
GROUP BY hour_utc, account_id, region, interface_id, resource_name, is_nat, peer;
