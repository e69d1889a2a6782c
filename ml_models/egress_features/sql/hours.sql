-- data_hours, granularity -> hours: every hour of the data, n the number of hours before it. Its rows show the windows
-- that end at hour window_n: the hour itself, or the last hour of its day where the bill is daily.
CREATE TABLE hours AS
SELECT x.hour_utc, x.n, g.is_daily, CASE WHEN g.is_daily THEN x.n - x.n % 24 + 23 ELSE x.n END AS window_n
FROM (
  SELECT t.hour_utc, ROW_NUMBER() OVER (ORDER BY t.hour_utc) - 1 AS n
  FROM data_hours AS d
  CROSS JOIN UNNEST(GENERATE_SERIES(d.first_hour, d.last_hour, INTERVAL '1' HOUR)) AS t (hour_utc)
) AS x
CROSS JOIN granularity AS g;
