-- flow_texts (every field as text, and its file) -> flow_read and flow_sums: bytes of each hour, interface and pair of
-- addresses. One pass over the records; ports and protocols are added up. A record counts in the hour in which it
-- starts: records span ten minutes at most. Rejected traffic went nowhere; NODATA and SKIPDATA records carry no bytes.
-- A regional NAT gateway has no interface: its id, in resource-id, stands for one. Without it a record has no owner.
CREATE OR REPLACE MACRO is_count(digits) AS COALESCE(TRY_CAST(digits AS BIGINT) BETWEEN 0 AND 4000000000000, FALSE);

CREATE TABLE flow_read AS
SELECT
  TIMESTAMP '1970-01-01 00:00:00' + TRY_CAST("start" AS BIGINT) // 3600 * INTERVAL '1' HOUR AS hour_utc,
  -- What the records do not say, the place in S3 or the file's name may.
  COALESCE(NULLIF(account_id, 'unknown'),
    NULLIF(regexp_extract(file, 'aws-account-id=(\d+)/', 1), ''),
    NULLIF(regexp_extract(file, 'AWSLogs/(\d+)/vpcflowlogs/', 1), ''),
    NULLIF(regexp_extract(file, '(?:^|/)(\d+)_vpcflowlogs_', 1), '')) AS account_id,
  COALESCE(region,
    NULLIF(regexp_extract(file, 'aws-region=([a-z0-9-]+)/', 1), ''),
    NULLIF(regexp_extract(file, 'AWSLogs/\d+/vpcflowlogs/([a-z0-9-]+)/', 1), ''),
    NULLIF(regexp_extract(file, '_vpcflowlogs_([a-z0-9-]+)_fl-', 1), '')) AS region,
  COALESCE(interface_id, NULLIF(regexp_extract(resource_id, 'nat-[0-9A-Za-z]+'), '')) AS interface_id,
  NULLIF(instance_id, '') AS instance_id, vpc_id, az_id, resource_id, interface_type,
  next_hop_az_id, next_hop_interface_type, srcaddr, dstaddr,
  COALESCE(pkt_srcaddr, srcaddr) AS pkt_srcaddr, COALESCE(pkt_dstaddr, dstaddr) AS pkt_dstaddr,
  pkt_src_aws_service AS src_service, pkt_dst_aws_service AS dst_service, flow_direction,
  TRY_CAST(traffic_path AS BIGINT) AS traffic_path,
  COALESCE(log_status, 'OK') AS log_status,
  COALESCE(action, 'ACCEPT') = 'ACCEPT' AND COALESCE(log_status, 'OK') = 'OK'
    AND srcaddr IS NOT NULL AND dstaddr IS NOT NULL AND bytes IS NOT NULL AND "start" IS NOT NULL AS is_traffic,
  CAST(SUM(COALESCE(TRY_CAST(bytes AS BIGINT), 0)) AS DECIMAL(38, 0)) AS bytes,
  CAST(SUM(COALESCE(TRY_CAST(packets AS BIGINT), 0)) AS DECIMAL(38, 0)) AS packets,
  COUNT(*) AS flows,
  -- The first number that is none, and where.
  MIN(CASE
    WHEN bytes IS NOT NULL AND NOT is_count(bytes) THEN [file, bytes, 'bytes']
    WHEN "start" IS NOT NULL AND NOT is_count("start") THEN [file, "start", 'start']
    WHEN packets IS NOT NULL AND NOT is_count(packets) THEN [file, packets, 'packets']
    WHEN traffic_path IS NOT NULL AND NOT is_count(traffic_path) THEN [file, traffic_path, 'traffic-path']
    END) AS no_number
FROM flow_texts
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21;

CREATE VIEW flow_sums AS
SELECT hour_utc, account_id, region, interface_id, instance_id, vpc_id, az_id, resource_id, interface_type,
  next_hop_az_id, next_hop_interface_type, srcaddr, dstaddr, pkt_srcaddr, pkt_dstaddr, src_service, dst_service,
  flow_direction, traffic_path, bytes, packets, flows
FROM flow_read WHERE is_traffic AND interface_id IS NOT NULL;
