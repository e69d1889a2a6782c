-- series, hours, series_hours -> the rows of processed_features.parquet. Every window ends at the row's own hour.
-- Of a daily bill each hour has a 24th of its day, and all rows of a day show the windows that end with its last hour:
-- these are windows of whole days. Where hours would reach into another day, `is_daily` takes the day instead.
--
-- u is the hour's GB, c its dollars, n the number of hours of data before it (so a lag of k hours is known if n >= k,
-- and is zero if the series has no row there).
-- What an hour is held against ends one to seven days before it: an incident must not become usual while it goes on.
-- Windows add up whole billionths of a GB or dollar, whose sums are exact: the same on every engine, in every order.
-- The rows are sorted by series four times (lagged, past, windows, habits) and carry nothing but numbers; texts join at
-- the end.
WITH dense AS (
  SELECT s.series_id, s.group_number, h.n, COALESCE(x.usage_gb, 0) AS u, COALESCE(x.cost_usd, 0) AS c,
    CAST(ROUND(COALESCE(x.usage_gb, 0) * 1e9) AS BIGINT) AS u_exact, h.is_daily,
    -- The list price of `schema.LIST_USD_PER_GB`: within free tiers an hour that matters costs nothing.
    CAST({list_usd_per_gb} AS DOUBLE) AS usd_per_gb
  FROM series AS s
  JOIN hours AS h ON h.hour_utc >= s.first_hour_utc AND h.hour_utc <= s.last_hour_utc
  LEFT JOIN series_hours AS x ON x.series_id = s.series_id AND x.hour_utc = h.hour_utc
),
lagged AS (
  SELECT series_id, group_number, n, is_daily, usd_per_gb, u, c, u_exact,
    -- Unknown lags are infinite, so that sorting puts them last.
    LIST_SORT([
      CASE WHEN n >= 24 THEN LAG(u, 24, 0) OVER w ELSE CAST('Infinity' AS DOUBLE) END,
      CASE WHEN n >= 48 THEN LAG(u, 48, 0) OVER w ELSE CAST('Infinity' AS DOUBLE) END,
      CASE WHEN n >= 72 THEN LAG(u, 72, 0) OVER w ELSE CAST('Infinity' AS DOUBLE) END,
      CASE WHEN n >= 96 THEN LAG(u, 96, 0) OVER w ELSE CAST('Infinity' AS DOUBLE) END,
      CASE WHEN n >= 120 THEN LAG(u, 120, 0) OVER w ELSE CAST('Infinity' AS DOUBLE) END,
      CASE WHEN n >= 144 THEN LAG(u, 144, 0) OVER w ELSE CAST('Infinity' AS DOUBLE) END,
      CASE WHEN n >= 168 THEN LAG(u, 168, 0) OVER w ELSE CAST('Infinity' AS DOUBLE) END
    ]) AS same_hour_of_days,
    LAG(u, 168, 0) OVER w AS week_1, LAG(u, 336, 0) OVER w AS week_2,
    LAG(u, 504, 0) OVER w AS week_3, LAG(u, 672, 0) OVER w AS week_4,
    -- The largest of the hour and its two neighbours, by week: clocks change by an hour, and jobs start a little late.
    CASE WHEN is_daily THEN LAG(u, 168, 0) OVER w
      ELSE GREATEST(LAG(u, 167, 0) OVER w, LAG(u, 168, 0) OVER w, LAG(u, 169, 0) OVER w) END AS around_1,
    CASE WHEN is_daily THEN LAG(u, 336, 0) OVER w
      ELSE GREATEST(LAG(u, 335, 0) OVER w, LAG(u, 336, 0) OVER w, LAG(u, 337, 0) OVER w) END AS around_2,
    CASE WHEN is_daily THEN LAG(u, 504, 0) OVER w
      ELSE GREATEST(LAG(u, 503, 0) OVER w, LAG(u, 504, 0) OVER w, LAG(u, 505, 0) OVER w) END AS around_3,
    CASE WHEN is_daily THEN LAG(u, 672, 0) OVER w
      ELSE GREATEST(LAG(u, 671, 0) OVER w, LAG(u, 672, 0) OVER w, LAG(u, 673, 0) OVER w) END AS around_4,
    LEAST(n // 24, 7) AS days_known,
    LEAST(n // 168, 4) AS weeks_known,
    u_exact + LAG(u_exact, 1, 0) OVER w + LAG(u_exact, 2, 0) OVER w AS u3_exact,
    CAST(SUM(u_exact) OVER last_24 AS BIGINT) AS u24_exact,
    CAST(SUM(u_exact) OVER last_168 AS BIGINT) AS u168_exact,
    CAST(SUM(CAST(ROUND(c * 1e9) AS BIGINT)) OVER last_168 AS BIGINT) AS c168_exact
  FROM dense
  WINDOW w AS (PARTITION BY series_id ORDER BY n),
    last_24 AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 23 PRECEDING AND CURRENT ROW),
    last_168 AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 167 PRECEDING AND CURRENT ROW)
),
medians AS (
  SELECT *,
    CASE WHEN days_known = 0 THEN NULL
      ELSE (same_hour_of_days[(days_known + 1) // 2] + same_hour_of_days[days_known // 2 + 1]) / 2 END AS expected_day,
    -- Of four, the two in the middle; of three, the largest but for what is above both others.
    CASE weeks_known WHEN 0 THEN NULL WHEN 1 THEN week_1 WHEN 2 THEN (week_1 + week_2) / 2
      WHEN 3 THEN GREATEST(LEAST(week_1, week_2), LEAST(GREATEST(week_1, week_2), week_3))
      ELSE (GREATEST(LEAST(week_1, week_2), LEAST(week_3, week_4))
        + LEAST(GREATEST(week_1, week_2), GREATEST(week_3, week_4))) / 2 END AS expected_week,
    CASE weeks_known WHEN 0 THEN NULL WHEN 1 THEN around_1 WHEN 2 THEN (around_1 + around_2) / 2
      WHEN 3 THEN GREATEST(LEAST(around_1, around_2), LEAST(GREATEST(around_1, around_2), around_3))
      ELSE (GREATEST(LEAST(around_1, around_2), LEAST(around_3, around_4))
        + LEAST(GREATEST(around_1, around_2), GREATEST(around_3, around_4))) / 2 END AS around_week
  FROM lagged
),
expected_alone AS (
  SELECT series_id, group_number, n, is_daily, usd_per_gb, u, c, u_exact, u3_exact, u24_exact, u168_exact, c168_exact,
    CASE WHEN weeks_known >= 2 THEN GREATEST(expected_week, LEAST(u, around_week))
      WHEN days_known >= 1 THEN expected_day ELSE u END AS alone
  FROM medians
),
-- Where a series all but vanishes and others of its account, region and class rise in the same hour, its traffic has
-- moved to them (a resource that was split, merged or replaced): it is expected there now.
moves AS (
  SELECT group_number, n,
    CAST(SUM(CASE WHEN u < 0.5 * alone THEN CAST(ROUND((alone - u) * 1e9) AS BIGINT) ELSE 0 END) AS DOUBLE) / 1e9
      AS vanished,
    CAST(SUM(CASE WHEN u > alone THEN CAST(ROUND((u - alone) * 1e9) AS BIGINT) ELSE 0 END) AS DOUBLE) / 1e9 AS risen
  FROM expected_alone
  WHERE u < 0.5 * alone OR u > alone
  GROUP BY group_number, n
),
expected AS (
  SELECT x.*,
    CASE WHEN x.u > x.alone AND m.risen > 0
      THEN x.alone + (x.u - x.alone) * LEAST(m.vanished / m.risen, 1) ELSE x.alone END AS e
  FROM expected_alone AS x
  LEFT JOIN moves AS m ON m.group_number = x.group_number AND m.n = x.n AND m.vanished > 0
),
exact AS (
  SELECT *, CAST(ROUND(e * 1e9) AS BIGINT) AS e_exact FROM expected
),
past AS (
  SELECT series_id, group_number, n, is_daily, usd_per_gb, u, c, e, u24_exact,
    CASE WHEN n = 0 OR is_daily AND n < 24 THEN 0
      WHEN is_daily THEN CAST(COALESCE(SUM(CAST(ROUND(ABS(u - e) * 1e9) AS BIGINT)) OVER week_before_day, 0) AS DOUBLE)
        / 1e9 / LEAST(n - 23, 168)
      ELSE CAST(COALESCE(SUM(CAST(ROUND(ABS(u - e) * 1e9) AS BIGINT)) OVER week_before, 0) AS DOUBLE) / 1e9 / LEAST(n, 168)
      END AS spread,
    CAST(LAG(u168_exact, 1, 0) OVER w AS DOUBLE) / 1e9 AS u_week,
    CAST(LAG(c168_exact, 1, 0) OVER w AS DOUBLE) / 1e9 AS c_week,
    CAST(SUM(e_exact) OVER last_24 AS BIGINT) AS e24_exact,
    CAST(e_exact + LAG(e_exact, 1, 0) OVER w + LAG(e_exact, 2, 0) OVER w AS DOUBLE) / 1e9 AS e3,
    -- GB above what was expected, less those below it.
    u3_exact - e_exact - LAG(e_exact, 1, 0) OVER w - LAG(e_exact, 2, 0) OVER w AS net3_exact,
    GREATEST(CAST(SUM(u_exact - e_exact) OVER last_72 AS DOUBLE) / 1e9, 0) AS x72
  FROM exact
  WINDOW w AS (PARTITION BY series_id ORDER BY n),
    last_24 AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 23 PRECEDING AND CURRENT ROW),
    last_72 AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 71 PRECEDING AND CURRENT ROW),
    week_before AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 168 PRECEDING AND 1 PRECEDING),
    week_before_day AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 191 PRECEDING AND 24 PRECEDING)
),
-- steady: GB an hour by which every 3 hours of the last 18 were above what was expected, at least. A job that runs for
-- some hours now and then has a large excess of a day by habit, and none of this; nor does a daily bill tell.
-- repeated: the least excess of the last three days, one by one. Data that leave for some hours each night have it.
windows AS (
  SELECT *,
    ROW_NUMBER() OVER w > 168 AS is_grown_up,
    GREATEST(CAST(net3_exact AS DOUBLE) / 1e9, 0) AS x3,
    GREATEST(CAST(u24_exact - e24_exact AS DOUBLE) / 1e9, 0) AS x24,
    CAST(e24_exact AS DOUBLE) / 1e9 AS e24,
    CASE WHEN is_daily OR COUNT(*) OVER last_18 < 18 THEN 0 ELSE CAST(GREATEST(MIN(net3_exact) OVER last_18, 0) AS DOUBLE) / 3e9 END
      AS steady,
    CAST(GREATEST(LEAST(u24_exact - e24_exact, LAG(u24_exact - e24_exact, 24, 0) OVER w,
      LAG(u24_exact - e24_exact, 48, 0) OVER w), 0) AS DOUBLE) / 1e9 AS repeated,
    CASE WHEN u - e > 0 AND u - e >= 0.3 * e THEN 1 ELSE 0 END AS rises
  FROM past
  WINDOW w AS (PARTITION BY series_id ORDER BY n),
    last_18 AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 17 PRECEDING AND CURRENT ROW)
),
-- The most that the series did in the five weeks before: its habit.
habits AS (
  SELECT *,
    CAST(SUM(CASE WHEN rises = 1 AND (u - e) * usd_per_gb >= 0.01 THEN 1 ELSE 0 END) OVER last_24 AS DOUBLE)
      / COUNT(*) OVER last_24 AS rising_share,
    COALESCE(MAX(x3) OVER five_weeks_before_3_days, 0) AS usual_x3,
    COALESCE(MAX(x24) OVER five_weeks_before_3_days, 0) AS usual_x24,
    COALESCE(MAX(x72) OVER five_weeks_before_3_days, 0) AS usual_x72,
    COALESCE(MAX(steady) OVER five_weeks_before_3_days, 0) AS usual_steady,
    COALESCE(MAX(repeated) OVER five_weeks_before_3_days, 0) AS usual_repeated
  FROM windows
  WINDOW last_24 AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 23 PRECEDING AND CURRENT ROW),
    five_weeks_before_3_days AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 840 PRECEDING AND 72 PRECEDING)
),
-- In its first week a series has no habit: a part of the largest of its peers', if there are any, stands for it.
peers AS (
  SELECT *,
    CASE WHEN is_grown_up THEN 0 ELSE 0.125 * COALESCE(MAX(CASE WHEN is_grown_up THEN usual_x24 END)
      OVER (PARTITION BY group_number, n), 0) END AS peers_x24
  FROM habits
),
-- An hour is material if it is above expected by 30 %, and its last 24 hours by $0.50 at list price; the features of all
-- others are 0, and so are those of the first eight days, in which nothing has a habit. $0.25 worth of GB is added to
-- both sides of every ratio. A burst of some hours is ordinary, also where five weeks had none: each excess is held
-- against a share of what is expected too.
ratios AS (
  SELECT *,
    n >= 192 AND rises = 1 AND x24 * usd_per_gb >= 0.5 AS is_material,
    LN((x72 + 0.25 / usd_per_gb) / (GREATEST(usual_x72, peers_x24, 0.6 * e24) + 0.25 / usd_per_gb)) AS of_3d,
    LN((steady + 0.25 / usd_per_gb / 24)
      / (GREATEST(usual_steady, peers_x24 / 24, 0.1 * e24 / 24) + 0.25 / usd_per_gb / 24)) AS of_18h,
    LN((repeated + 0.25 / usd_per_gb) / (GREATEST(usual_repeated, peers_x24, 0.1 * e24) + 0.25 / usd_per_gb)) AS of_days,
    -- Where much money leaves, three hours tell enough, against twice what three hours ever had.
    CASE WHEN is_daily OR (u - e) * usd_per_gb < 20 THEN 0
      ELSE LN((x3 + 0.25 / usd_per_gb) / (2 * GREATEST(usual_x3, peers_x24 / 8, 0.6 * e3) + 0.25 / usd_per_gb)) END AS of_3h
  FROM peers
)
SELECT
  CAST(t.hour_utc AS TIMESTAMPTZ) AS hour_utc,
  s.account_id, s.region, s.service, s.egress_class, s.resource_id,
  COALESCE(x.usage_type, '') AS usage_type, COALESCE(x.operation, '') AS operation,
  r.u AS usage_gb,
  CASE WHEN s.is_processing_fee THEN 0 ELSE r.u END AS egress_gb,
  r.c AS cost_usd,
  r.e AS expected_usage_gb,
  CASE WHEN s.is_processing_fee THEN 0 ELSE r.e END AS expected_egress_gb,
  r.e * CASE WHEN r.u > 0 THEN r.c / r.u WHEN r.u_week > 0 THEN r.c_week / r.u_week ELSE 0 END AS expected_cost_usd,
  r.spread AS expected_spread_gb,
  COALESCE(x.is_provisional, 0) = 1 AS is_provisional,
  COALESCE(t.hour_utc >= s.estimated_from_utc, FALSE) AS is_estimated,
  COALESCE(t.hour_utc <= s.complete_until_utc, FALSE) AS is_complete,
  t.is_daily,
  s.account_name, s.tags,
  CAST(CASE WHEN r.is_material THEN GREATEST(r.of_3d, 0) ELSE 0 END AS FLOAT) AS excess_3d_log,
  CAST(CASE WHEN r.is_material THEN GREATEST(r.of_18h, 0) ELSE 0 END AS FLOAT) AS steady_18h_log,
  CAST(CASE WHEN r.is_material THEN GREATEST(r.of_days, 0) ELSE 0 END AS FLOAT) AS repeated_3d_log,
  CAST(CASE WHEN r.is_material THEN GREATEST(r.of_3d, r.of_18h, r.of_days, r.of_3h, 0) ELSE 0 END AS FLOAT)
    AS beyond_habit_log,
  CAST(CASE WHEN r.is_material THEN r.rising_share ELSE 0 END AS FLOAT) AS persistence
FROM ratios AS r
JOIN series AS s ON s.series_id = r.series_id
JOIN hours AS t ON t.window_n = r.n
LEFT JOIN series_hours AS x ON x.series_id = r.series_id AND x.hour_utc = t.hour_utc
-- Series are numbered in the order of account, region, service, class and resource.
ORDER BY t.n, r.series_id
