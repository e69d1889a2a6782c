-- series, hours, series_hours -> the rows of processed_features.parquet. Every window ends at the row's own hour.
-- Of a daily bill each hour has a 24th of its day, and all rows of a day show the windows that end with its last hour:
-- these are windows of whole days. Where hours would reach into another day, `is_daily` takes the day instead.
--
-- u is the hour's GB, c its dollars, n the number of hours of data before it (so a lag of k hours is known if n >= k,
-- and is zero if the series has no row there). 0.1 GB is added to both sides of every ratio: below it nothing matters.
-- What an hour is held against ends one to seven days before it: an incident must not become usual while it goes on.
-- Windows add up whole billionths of a GB or dollar, whose sums are exact: the same on every engine, in every order.
-- The rows are sorted by series three times (lagged, past, habits) and carry nothing but numbers; texts join at the end.
-- Of a series, rows are hours without a gap; of a class or region they need not be, so that windows there are of hours.
WITH dense AS (
  SELECT s.series_id, s.account_number, s.class_number, s.region_number, s.group_number, h.n,
    COALESCE(x.usage_gb, 0) AS u, COALESCE(x.cost_usd, 0) AS c,
    CAST(ROUND(COALESCE(x.usage_gb, 0) * 1e9) AS BIGINT) AS u_exact, h.is_daily
  FROM series AS s
  JOIN hours AS h ON h.hour_utc >= s.first_hour_utc AND h.hour_utc <= s.last_hour_utc
  LEFT JOIN series_hours AS x ON x.series_id = s.series_id AND x.hour_utc = h.hour_utc
),
lagged AS (
  SELECT series_id, account_number, class_number, region_number, group_number, n, is_daily, u, c, u_exact,
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
    CAST(SUM(CAST(ROUND(c * 1e9) AS BIGINT)) OVER last_168 AS BIGINT) AS c168_exact,
    CASE WHEN n < 24 THEN NULL ELSE COALESCE(MAX(u) OVER month_before, 0) END AS largest,
    CASE WHEN n < 24 THEN NULL ELSE
      COALESCE(SUM(CASE WHEN u >= 0.1 THEN 1 ELSE 0 END) OVER month_before, 0) / LEAST(n - 23, 649) END AS busy_share
  FROM dense
  WINDOW w AS (PARTITION BY series_id ORDER BY n),
    last_24 AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 23 PRECEDING AND CURRENT ROW),
    last_168 AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 167 PRECEDING AND CURRENT ROW),
    month_before AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 672 PRECEDING AND 24 PRECEDING)
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
  SELECT series_id, account_number, class_number, region_number, group_number, n, is_daily, u, c, u_exact, expected_day,
    expected_week, u3_exact, u24_exact, u168_exact, c168_exact, largest, busy_share,
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
  SELECT series_id, account_number, class_number, region_number, group_number, n, is_daily, u, c, e, u_exact, e_exact,
    expected_day, expected_week, u24_exact, largest, busy_share,
    CASE WHEN n = 0 OR is_daily AND n < 24 THEN 0
      WHEN is_daily THEN CAST(COALESCE(SUM(CAST(ROUND(ABS(u - e) * 1e9) AS BIGINT)) OVER week_before_day, 0) AS DOUBLE)
        / 1e9 / LEAST(n - 23, 168)
      ELSE CAST(COALESCE(SUM(CAST(ROUND(ABS(u - e) * 1e9) AS BIGINT)) OVER week_before, 0) AS DOUBLE) / 1e9 / LEAST(n, 168)
      END AS spread,
    CAST(LAG(u168_exact, 1, 0) OVER w AS DOUBLE) / 1e9 AS u_week,
    CAST(LAG(c168_exact, 1, 0) OVER w AS DOUBLE) / 1e9 AS c_week,
    CAST(SUM(e_exact) OVER last_24 AS BIGINT) AS e24_exact,
    CAST(u3_exact AS DOUBLE) / 1e9 AS u3,
    CAST(e_exact + LAG(e_exact, 1, 0) OVER w + LAG(e_exact, 2, 0) OVER w AS DOUBLE) / 1e9 AS e3,
    u3_exact - e_exact - LAG(e_exact, 1, 0) OVER w - LAG(e_exact, 2, 0) OVER w AS net3_exact,
    CAST(u168_exact AS DOUBLE) / 1e9 AS u168,
    CAST(CASE WHEN is_daily THEN LAG(u24_exact, 24, 0) OVER w ELSE LAG(u24_exact, 3, 0) OVER w END AS DOUBLE) / 1e9
      AS u24_before,
    -- GB above what was expected; over days, hours below it count against them.
    CAST(SUM(GREATEST(u_exact - e_exact, 0)) OVER last_3 AS DOUBLE) / 1e9 AS x3,
    CAST(SUM(GREATEST(u_exact - e_exact, 0)) OVER last_24 AS DOUBLE) / 1e9 AS x24,
    GREATEST(CAST(SUM(u_exact - e_exact) OVER last_72 AS DOUBLE) / 1e9, 0) AS x72,
    GREATEST(CAST(SUM(u_exact - e_exact) OVER last_168 AS DOUBLE) / 1e9, 0) AS x168,
    CAST(LAG(u168_exact, 168, 0) OVER w AS DOUBLE) / 1e9 AS week_1,
    CAST(LAG(u168_exact, 336, 0) OVER w AS DOUBLE) / 1e9 AS week_2,
    CAST(LAG(u168_exact, 504, 0) OVER w AS DOUBLE) / 1e9 AS week_3
  FROM exact
  WINDOW w AS (PARTITION BY series_id ORDER BY n),
    last_3 AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 2 PRECEDING AND CURRENT ROW),
    last_24 AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 23 PRECEDING AND CURRENT ROW),
    last_72 AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 71 PRECEDING AND CURRENT ROW),
    last_168 AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 167 PRECEDING AND CURRENT ROW),
    week_before AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 168 PRECEDING AND 1 PRECEDING),
    week_before_day AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 191 PRECEDING AND 24 PRECEDING)
),
-- What goes on steadily: GB an hour by which every 3 hours of the last 18 were above what was expected, at least. A job
-- that runs for some hours now and then has a large excess of a day by habit, and none of this. A daily bill does not
-- tell the two apart: three days in a row decide there.
steady AS (
  SELECT *,
    ROW_NUMBER() OVER (PARTITION BY series_id ORDER BY n) > 168 AS is_grown_up,
    CASE WHEN is_daily OR COUNT(*) OVER last_18 < 18 THEN 0 ELSE CAST(GREATEST(MIN(net3_exact) OVER last_18, 0) AS DOUBLE) / 3e9 END
      AS steady
  FROM past
  WINDOW last_18 AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 17 PRECEDING AND CURRENT ROW)
),
-- The most that the series did before: its habit.
habits AS (
  SELECT *,
    LEAST(n + 1, 3) AS n3, LEAST(n + 1, 24) AS n24, LEAST(GREATEST(n - CASE WHEN is_daily THEN 23 ELSE 2 END, 0), 24) AS n24_before,
    CAST(u24_exact AS DOUBLE) / 1e9 AS u24, CAST(e24_exact AS DOUBLE) / 1e9 AS e24,
    SUM(CASE WHEN u > e + 2 * spread + 0.1 THEN 1 ELSE 0 END) OVER (PARTITION BY series_id ORDER BY n
      ROWS BETWEEN 23 PRECEDING AND CURRENT ROW) AS far_above,
    COALESCE(MAX(x3) OVER five_weeks_before_3_days, 0) AS usual_x3,
    COALESCE(MAX(x24) OVER five_weeks_before_3_days, 0) AS usual_x24,
    COALESCE(MAX(x72) OVER five_weeks_before_3_days, 0) AS usual_x72,
    COALESCE(MAX(steady) OVER five_weeks_before_3_days, 0) AS usual_steady,
    COALESCE(MAX(x168) OVER (PARTITION BY series_id ORDER BY n ROWS BETWEEN 840 PRECEDING AND 168 PRECEDING), 0)
      AS usual_x168
  FROM steady
  WINDOW five_weeks_before_3_days AS (PARTITION BY series_id ORDER BY n ROWS BETWEEN 840 PRECEDING AND 72 PRECEDING)
),
class_hours AS (
  SELECT account_number, class_number, n, SUM(u_exact) AS u_exact, SUM(e_exact) AS e_exact,
    MAX(u24_exact) AS largest_u24_exact, SUM(u24_exact) AS u24_exact, SUM(e24_exact) AS e24_exact
  FROM past
  GROUP BY account_number, class_number, n
),
classes AS (
  SELECT class_number, n, CAST(u24_exact AS DOUBLE) / 1e9 AS class_u24, CAST(e24_exact AS DOUBLE) / 1e9 AS class_e24,
    CAST(SUM(u_exact) OVER account_hour AS DOUBLE) / 1e9 AS account_u,
    CAST(SUM(e_exact) OVER account_hour AS DOUBLE) / 1e9 AS account_e,
    CAST(COALESCE(MAX(largest_u24_exact) OVER (PARTITION BY class_number ORDER BY n
      RANGE BETWEEN 840 PRECEDING AND 72 PRECEDING), 0) AS DOUBLE) / 1e9 AS usual_largest_u24
  FROM class_hours
  WINDOW account_hour AS (PARTITION BY account_number, n)
),
region_hours AS (
  SELECT region_number, n, MAX(CASE WHEN u >= 0.1 THEN 1 ELSE 0 END) AS is_busy
  FROM dense
  GROUP BY region_number, n
),
regions AS (
  SELECT region_number, n,
    COALESCE(SUM(is_busy) OVER (PARTITION BY region_number ORDER BY n RANGE BETWEEN 672 PRECEDING AND 24 PRECEDING), 0)
      AS busy_hours
  FROM region_hours
),
-- In its first week a series has no habit: a part of the largest of its peers', if there are any, stands for it.
peers AS (
  SELECT *,
    CASE WHEN is_grown_up THEN 0 ELSE 0.125 * COALESCE(MAX(CASE WHEN is_grown_up THEN usual_x24 END)
      OVER (PARTITION BY group_number, n), 0) END AS peers_x24
  FROM habits
),
ratios AS (
  SELECT h.*, c.usual_largest_u24, c.class_u24, c.class_e24, c.account_u, c.account_e, g.busy_hours,
    COALESCE(LN((h.u + 0.1) / (h.expected_week + 0.1)), 0) AS ratio_week,
    COALESCE(LN((h.u + 0.1) / (h.expected_day + 0.1)), 0) AS ratio_day,
    -- The median of the three weeks before.
    h.week_1 + h.week_2 + h.week_3 - GREATEST(h.week_1, h.week_2, h.week_3) - LEAST(h.week_1, h.week_2, h.week_3)
      AS usual_week
  FROM peers AS h
  JOIN classes AS c ON c.class_number = h.class_number AND c.n = h.n
  JOIN regions AS g ON g.region_number = h.region_number AND g.n = h.n
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
  r.x72 AS three_day_excess_gb,
  -- A burst of some hours is ordinary, also where five weeks had none: it is held against the series' usual day.
  GREATEST(r.usual_x72, r.peers_x24, 0.6 * r.e24) AS usual_three_day_excess_gb,
  r.steady AS steady_excess_gb,
  GREATEST(r.usual_steady, r.peers_x24 / 24) AS usual_steady_excess_gb,
  r.x3 AS three_hour_excess_gb,
  GREATEST(r.usual_x3, r.peers_x24 / 8, 0.6 * r.e3) AS usual_three_hour_excess_gb,
  COALESCE(x.is_provisional, 0) = 1 AS is_provisional,
  COALESCE(t.hour_utc >= s.estimated_from_utc, FALSE) AS is_estimated,
  COALESCE(t.hour_utc <= s.complete_until_utc, FALSE) AS is_complete,
  t.is_daily,
  CAST(CASE WHEN r.u > r.e THEN LN(1 + (r.u - r.e) / (r.spread + 0.1 * r.e + 0.1)) ELSE 0 END AS FLOAT)
    AS residual_spread,
  CAST(GREATEST(r.ratio_week, 0) AS FLOAT) AS ratio_week_log,
  CAST(GREATEST(r.ratio_day, 0) AS FLOAT) AS ratio_day_log,
  CAST(GREATEST(CASE WHEN r.expected_week IS NULL THEN r.ratio_day ELSE LEAST(r.ratio_week, r.ratio_day) END, 0)
    AS FLOAT) AS ratio_smallest_log,
  CAST(GREATEST(LN((r.u3 + 0.1 * r.n3) / (r.e3 + 0.1 * r.n3)), 0) AS FLOAT) AS ratio_3h_log,
  CAST(GREATEST(LN((r.u24 + 0.1 * r.n24) / (r.e24 + 0.1 * r.n24)), 0) AS FLOAT) AS ratio_24h_log,
  CAST(CASE WHEN r.n < 504 THEN 0 ELSE GREATEST(LN((r.u168 + 16.8) / (r.usual_week + 16.8)), 0) END AS FLOAT)
    AS ratio_7d_log,
  CAST(CASE WHEN r.n < 96 THEN 0
    ELSE GREATEST(LN((r.x3 + 0.3 + 0.1 * r.e3) / (r.usual_x3 + 0.3 + 0.1 * r.e3)), 0) END AS FLOAT)
    AS above_habit_3h_log,
  CAST(CASE WHEN r.n < 96 THEN 0
    ELSE GREATEST(LN((r.x24 + 2.4 + 0.05 * r.e24) / (r.usual_x24 + 2.4 + 0.05 * r.e24)), 0) END AS FLOAT)
    AS above_habit_24h_log,
  CAST(CASE WHEN r.n < 504 THEN 0
    ELSE GREATEST(LN((r.x168 + 16.8 + 0.05 * r.u168) / (r.usual_x168 + 16.8 + 0.05 * r.u168)), 0) END AS FLOAT)
    AS above_habit_7d_log,
  CAST(CASE WHEN r.n < 96 THEN 0
    ELSE GREATEST(LN((r.steady + 0.1 + 0.05 * r.e24 / r.n24) / (r.usual_steady + 0.1 + 0.05 * r.e24 / r.n24)), 0) END
    AS FLOAT) AS above_habit_steady_log,
  CAST(COALESCE(GREATEST(LN((r.u + 0.1) / (r.largest + 0.1)), 0), 0) AS FLOAT) AS above_range_log,
  CAST(CASE WHEN r.n24_before = 0 THEN 0
    ELSE GREATEST(LN((r.u3 / r.n3 + 0.1) / (r.u24_before / r.n24_before + 0.1)), 0) END AS FLOAT) AS acceleration_log,
  CAST(r.far_above / r.n24 AS FLOAT) AS persistence,
  CAST(GREATEST(r.u / (r.account_u + 0.1) - r.e / (r.account_e + 0.1), 0) AS FLOAT) AS account_share_change,
  CAST(GREATEST(CASE WHEN r.u >= 0.1 THEN 1 ELSE 0 END - COALESCE(r.busy_share, 1), 0) AS FLOAT) AS novelty,
  CAST(CASE WHEN r.u < 0.1 OR r.n < 48 THEN 0 ELSE 1 / (1 + r.busy_hours) END AS FLOAT) AS region_novelty,
  CAST(CASE WHEN r.n < 96 THEN 0 ELSE GREATEST(LN((r.u24 + 2.4) / (r.usual_largest_u24 + 2.4)), 0) END AS FLOAT)
    AS above_peers_log,
  CAST(CASE WHEN r.u < 0.1 THEN 0 ELSE GREATEST(LN((r.class_u24 + 2.4) / (r.class_e24 + 2.4)), 0) END AS FLOAT)
    AS class_ratio_24h_log,
  CAST(LN(1 + GREATEST(r.u24 - r.e24, 0) / (r.class_e24 + 2.4)) AS FLOAT) AS class_excess_log
FROM ratios AS r
JOIN series AS s ON s.series_id = r.series_id
JOIN hours AS t ON t.window_n = r.n
LEFT JOIN series_hours AS x ON x.series_id = r.series_id AND x.hour_utc = t.hour_utc
-- Series are numbered in the order of account, region, service, class and resource.
ORDER BY t.n, r.series_id
