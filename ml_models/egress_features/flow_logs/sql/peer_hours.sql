-- directed, interfaces, own_addresses, subnet_zones -> peer_hours: one row for each hour, interface and other side.
--
-- traffic-path: 1 same VPC, 2 internet gateway or gateway endpoint, 3 virtual private gateway, 4 peering in the region,
-- 5 peering to another region, 6 local gateway, 7 gateway endpoint, 8 internet gateway; it is there on egress alone, so
-- what comes in takes the class of what goes out to the same side in that hour.
CREATE TABLE peer_hours AS
WITH zones AS (
  SELECT o.account_id, o.region, o.address, MAX(i.az_id) AS az_id
  FROM own_addresses AS o
  JOIN interfaces AS i ON i.account_id = o.account_id AND i.region = o.region AND i.interface_id = o.interface_id
  WHERE i.az_id IS NOT NULL
  -- The same private address in two VPCs of the account: which one is meant is not known, unless the zone is the same.
  GROUP BY o.account_id, o.region, o.address HAVING COUNT(DISTINCT i.az_id) = 1
),
behind_nat AS (
  SELECT DISTINCT o.account_id, o.region, o.interface_id
  FROM directed AS d
  JOIN interfaces AS i ON i.account_id = d.account_id AND i.region = d.region AND i.interface_id = d.interface_id
  JOIN own_addresses AS o ON o.account_id = d.account_id AND o.region = d.region AND o.address = d.srcaddr
  WHERE i.is_nat AND NOT d.is_out AND o.interface_id <> d.interface_id
),
sides AS (
  SELECT d.*, i.resource_name, i.is_nat, i.az_id AS own_az_id,
    CASE WHEN is_out THEN d.pkt_dstaddr ELSE d.pkt_srcaddr END AS final_peer,
    CASE WHEN is_out THEN d.dstaddr ELSE d.srcaddr END AS next_peer,
    CASE WHEN is_out THEN d.dst_service ELSE d.src_service END AS service,
    b.interface_id IS NOT NULL AS is_behind_nat
  FROM directed AS d
  JOIN interfaces AS i ON i.account_id = d.account_id AND i.region = d.region AND i.interface_id = d.interface_id
  LEFT JOIN behind_nat AS b
    ON b.account_id = d.account_id AND b.region = d.region AND b.interface_id = d.interface_id
),
placed AS (
  SELECT s.*,
    -- A NAT gateway's other side is the next hop: an instance, or the world.
    CASE WHEN s.is_nat THEN s.next_peer ELSE s.final_peer END AS peer,
    COALESCE(s.next_hop_az_id, z.az_id, n.az_id) AS peer_az_id,
    is_private(CASE WHEN s.is_nat THEN s.next_peer ELSE s.final_peer END) OR z.address IS NOT NULL AS is_inside
  FROM sides AS s
  LEFT JOIN zones AS z ON z.account_id = s.account_id AND z.region = s.region
    AND z.address = CASE WHEN s.is_nat THEN s.next_peer ELSE s.final_peer END
  LEFT JOIN subnet_zones AS n ON n.vpc_id IS NOT DISTINCT FROM s.vpc_id
    AND n.address = CASE WHEN s.is_nat THEN s.next_peer ELSE s.final_peer END
),
classed AS (
  SELECT *,
    CASE
      WHEN traffic_path = 3 THEN 'on_premises'
      WHEN traffic_path = 6 THEN 'local_gateway'
      WHEN traffic_path = 7 THEN 'gateway_endpoint'
      WHEN traffic_path = 5 THEN 'peering_other_region'
      WHEN is_inside AND own_az_id = peer_az_id THEN 'same_az'
      WHEN is_inside AND own_az_id <> peer_az_id THEN 'cross_az'
      WHEN is_inside AND traffic_path = 4 THEN 'peering_same_region'
      WHEN is_inside THEN 'private'
      WHEN NOT is_nat AND (traffic_path = 1 OR next_hop_interface_type LIKE '%nat_gateway%') THEN 'nat'
      WHEN NOT is_nat AND traffic_path IS NULL AND is_behind_nat THEN 'nat'
      WHEN service IS NOT NULL THEN 'aws_service'
      ELSE 'internet' END AS class
  FROM placed
)
SELECT hour_utc, account_id, region, interface_id, resource_name, is_nat, peer,
  MAX(service) AS service,
  COALESCE(ARG_MAX(class, bytes) FILTER (WHERE is_out), ARG_MAX(class, bytes)) AS class,
  ARG_MAX(traffic_path, bytes) FILTER (WHERE is_out) AS traffic_path,
  CAST(COALESCE(SUM(bytes) FILTER (WHERE is_out), 0) AS BIGINT) AS out_bytes,
  CAST(COALESCE(SUM(bytes) FILTER (WHERE NOT is_out), 0) AS BIGINT) AS in_bytes,
  CAST(SUM(packets) AS BIGINT) AS packets,
  CAST(SUM(flows) AS BIGINT) AS flows
FROM classed
GROUP BY hour_utc, account_id, region, interface_id, resource_name, is_nat, peer;
