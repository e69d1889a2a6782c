-- data_hours -> hours: every hour of the data, n the number of hours before it.
CREATE TABLE hours AS
SELECT t.hour_utc, ROW_NUMBER() OVER (ORDER BY t.hour_utc) - 1 AS n
FROM data_hours AS d
CROSS JOIN UNNEST(GENERATE_SERIES(d.first_hour, d.last_hour, INTERVAL '1' HOUR)) AS t (hour_utc);
