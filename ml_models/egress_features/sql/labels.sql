-- label_lines -> account_names, resource_tags: what people know an account and a resource by, as of the last hour that
-- says it; of several texts of that hour, the last one in order. A resource that has lost its tags keeps the last ones.
-- Lines without a resource have the tags that all of them have: they may be of several resources.
CREATE TABLE account_names AS
SELECT r.account_id, r.account_name
FROM (
  SELECT g.account_id, g.account_name,
    ROW_NUMBER() OVER (PARTITION BY g.account_id ORDER BY g.last_hour_utc DESC, g.account_name DESC) AS place
  FROM (
    SELECT account_id, account_name, MAX(hour_utc) AS last_hour_utc
    FROM label_lines
    WHERE account_name <> ''
    GROUP BY account_id, account_name
  ) AS g
) AS r
WHERE r.place = 1;

CREATE TABLE resource_tags AS
SELECT r.account_id, r.service, r.resource_id, r.tags
FROM (
  SELECT g.account_id, g.service, g.resource_id, g.tags, g.has_resource,
    ROW_NUMBER() OVER (
      PARTITION BY g.account_id, g.service, g.resource_id ORDER BY g.last_hour_utc DESC, g.tags DESC) AS place,
    COUNT(*) OVER (PARTITION BY g.account_id, g.service, g.resource_id) AS texts
  FROM (
    SELECT account_id, service, resource_id, tags, has_resource, MAX(hour_utc) AS last_hour_utc
    FROM label_lines
    WHERE tags <> '' OR NOT has_resource
    GROUP BY account_id, service, resource_id, tags, has_resource
  ) AS g
) AS r
WHERE r.place = 1 AND (r.has_resource OR r.texts = 1);
