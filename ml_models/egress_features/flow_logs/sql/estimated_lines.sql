-- peer_hours, interfaces, prices, bill_names, billed_peering -> estimated_lines: what the bill will say, GB times list price.
--
-- Who is charged, and so where each byte is counted once:
--   internet      what leaves by an internet gateway: at the NAT gateway for what comes through one (its own records),
--                 else at the instance. An instance's records of what it sends through a NAT gateway are the same bytes
--                 again; they count only where no NAT gateway of the account and region is in the logs.
--   nat_gateway   what the gateway takes in, from either side, and passes on: each byte passes it once. A regional NAT
--                 gateway may have records of one of the two only.
--   inter_az      both ends are charged, each for what it sends and receives; each end's own records are its own line.
--                 Across a peering connection the usage types differ, and the price does not. Where the zones there are
--                 not known, the bill decides: it has lines of such traffic for this resource, or the bytes are left out.
--   inter_region  what goes over peering to another region, and to public addresses of EC2, which flow logs do not
--                 place: another region is assumed.
CREATE TABLE estimated_lines AS
WITH nat_places AS (SELECT DISTINCT account_id, region FROM interfaces WHERE is_nat),
between_zones AS (
  SELECT p.*, CASE WHEN p.is_peering THEN 'peering' ELSE 'zone' END AS way
  FROM peer_hours AS p
  LEFT JOIN billed_peering AS b
    ON b.account_id = p.account_id AND b.region = p.region AND b.resource_id = p.resource_name
  WHERE p.class = 'cross_az' OR (p.class = 'peering_same_region' AND b.account_id IS NOT NULL)
),
charges AS (
  SELECT p.hour_utc, p.account_id, p.region, p.resource_name, p.is_nat, p.interface_id LIKE 'nat-%' AS is_regional_nat,
    'internet' AS egress_class, 'internet' AS meter, p.out_bytes AS bytes
  FROM peer_hours AS p
  LEFT JOIN nat_places AS n ON n.account_id = p.account_id AND n.region = p.region
  WHERE p.class = 'internet' OR (p.class = 'nat' AND p.service IS NULL AND n.account_id IS NULL)
  UNION ALL
  SELECT hour_utc, account_id, region, resource_name, is_nat, interface_id LIKE 'nat-%', 'nat_gateway',
    CASE WHEN interface_id LIKE 'nat-%' THEN 'regional_nat_gateway' ELSE 'nat_gateway' END,
    GREATEST(SUM(in_bytes), SUM(out_bytes))
  FROM peer_hours WHERE is_nat
  GROUP BY hour_utc, account_id, region, resource_name, is_nat, interface_id
  UNION ALL
  SELECT p.hour_utc, p.account_id, p.region, '', TRUE, FALSE, 'nat_gateway', 'nat_gateway', p.out_bytes + p.in_bytes
  FROM peer_hours AS p
  LEFT JOIN nat_places AS n ON n.account_id = p.account_id AND n.region = p.region
  WHERE p.class = 'nat' AND n.account_id IS NULL
  UNION ALL
  SELECT hour_utc, account_id, region, resource_name, is_nat, FALSE, 'inter_az', way || '_out', out_bytes FROM between_zones
  UNION ALL
  SELECT hour_utc, account_id, region, resource_name, is_nat, FALSE, 'inter_az', way || '_in', in_bytes FROM between_zones
  UNION ALL
  SELECT hour_utc, account_id, region, resource_name, is_nat, FALSE, 'inter_region', 'inter_region', out_bytes
  FROM peer_hours
  WHERE class = 'peering_other_region' OR (class = 'aws_service' AND service = 'EC2')
),
summed AS (
  SELECT hour_utc, account_id, region, resource_name, egress_class, meter, BOOL_OR(is_nat) AS is_nat,
    BOOL_OR(is_regional_nat) AS is_regional_nat, CAST(SUM(bytes) AS DECIMAL(38, 0)) AS bytes
  FROM charges WHERE bytes > 0
  GROUP BY hour_utc, account_id, region, resource_name, egress_class, meter
)
SELECT s.hour_utc, s.account_id, s.region, s.egress_class, s.resource_name AS resource_id,
  s.egress_class = 'nat_gateway' AS is_processing_fee,
  CASE WHEN s.resource_name LIKE '%:elasticloadbalancing:%' THEN 'AWSELB' ELSE 'AmazonEC2' END AS service,
  COALESCE(b.usage_type, s.meter) AS usage_type,
  CASE s.meter
    WHEN 'peering_out' THEN 'VPCPeering-Out'
    WHEN 'peering_in' THEN 'VPCPeering-In'
    WHEN 'zone_out' THEN 'InterZone-Out'
    WHEN 'zone_in' THEN 'InterZone-In'
    ELSE CASE WHEN s.is_regional_nat THEN 'RegionalNatGateway'
      WHEN s.is_nat THEN 'NatGateway'
      WHEN s.resource_name LIKE '%:elasticloadbalancing:%' THEN 'LoadBalancing'
      ELSE 'RunInstances' END
    END AS operation,
  CAST(CAST(s.bytes AS DECIMAL(27, 0)) * CAST(0.000000001 AS DECIMAL(10, 9)) AS DECIMAL(38, 12)) AS usage_amount,
  CAST(CAST(s.bytes AS DOUBLE) / 1e9 * COALESCE(own.usd_per_gb, every.usd_per_gb) AS DECIMAL(38, 12)) AS cost_usd
FROM summed AS s
LEFT JOIN bill_names AS b ON b.region = s.region AND b.meter = s.meter
LEFT JOIN prices AS own ON own.egress_class = s.egress_class AND own.region = s.region
JOIN prices AS every ON every.egress_class = s.egress_class AND every.region = '*';
