-- line_hours, data_hours -> watermarks: what `watermarks.make_watermarks` computes, which says why, in SQL.
WITH counts AS (
  SELECT service, hour_utc, SUM(lines) AS lines, MAX(has_invoice) AS has_invoice
  FROM line_hours
  GROUP BY service, hour_utc
),
bounds AS (
  SELECT d.first_hour, d.last_hour, d.last_hour - INTERVAL '48' HOUR AS settled,
    LEAST(GREATEST(DATE_DIFF('hour', d.first_hour, d.last_hour) - 47, 0), 168) AS usual_hours,
    MAX(CASE WHEN c.hour_utc = d.last_hour THEN c.has_invoice ELSE 0 END) AS is_closed
  FROM counts AS c
  CROSS JOIN data_hours AS d
  GROUP BY d.first_hour, d.last_hour
),
-- A service says it of itself if it has lines in nearly all of the usual hours.
presence AS (
  SELECT c.service,
    SUM(CASE WHEN c.hour_utc <= b.settled AND c.hour_utc > b.settled - INTERVAL '168' HOUR THEN 1 ELSE 0 END)
      >= GREATEST(0.9 * MAX(b.usual_hours), 1) AS is_regular
  FROM counts AS c
  CROSS JOIN bounds AS b
  GROUP BY c.service
),
days AS (
  SELECT c.service, c.hour_utc, c.lines, COALESCE(e.lines, 0) AS day_lines,
    ROW_NUMBER() OVER (PARTITION BY c.service, c.hour_utc ORDER BY k.back) AS place
  FROM counts AS c
  CROSS JOIN bounds AS b
  CROSS JOIN (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS k (back)
  LEFT JOIN counts AS e ON e.service = c.service AND e.hour_utc = c.hour_utc - k.back * INTERVAL '1' DAY
  WHERE c.hour_utc > b.settled
    AND c.hour_utc - k.back * INTERVAL '1' DAY >= b.first_hour
    AND c.hour_utc - k.back * INTERVAL '1' DAY <= b.settled
),
sorted_days AS (
  SELECT *,
    ROW_NUMBER() OVER (PARTITION BY service, hour_utc ORDER BY day_lines, place) AS rank_of_day,
    COUNT(*) OVER (PARTITION BY service, hour_utc) AS known_days
  FROM days
  WHERE place <= 7
),
medians AS (
  SELECT service, hour_utc, SUM(day_lines) / COUNT(*) AS usual_lines
  FROM sorted_days
  WHERE rank_of_day = (known_days + 1) // 2 OR rank_of_day = known_days // 2 + 1
  GROUP BY service, hour_utc
),
own AS (
  SELECT p.service,
    COALESCE(
      MAX(CASE WHEN c.hour_utc > b.settled AND c.lines >= GREATEST(0.5 * COALESCE(m.usual_lines, 0), 1) THEN c.hour_utc END),
      b.settled) AS complete_until_utc
  FROM presence AS p
  CROSS JOIN bounds AS b
  JOIN counts AS c ON c.service = p.service
  LEFT JOIN medians AS m ON m.service = c.service AND m.hour_utc = c.hour_utc
  WHERE p.is_regular
  GROUP BY p.service, b.settled
)
SELECT p.service,
  CASE WHEN b.is_closed = 1 THEN b.last_hour
    ELSE COALESCE(o.complete_until_utc, l.others, b.last_hour) END AS complete_until_utc
FROM presence AS p
CROSS JOIN bounds AS b
CROSS JOIN (SELECT MIN(complete_until_utc) AS others FROM own) AS l
LEFT JOIN own AS o ON o.service = p.service
