-- series, hours, series_hours -> the rows of processed_features.parquet. Every window ends at the row's own hour.
--
-- u is the hour's GB, c its dollars, n the number of hours of data before it (so a lag of k hours is known if n >= k,
-- and is zero if the series has no row there). 0.1 GB is added to both sides of every ratio: below it nothing matters.
-- What an hour is held against ends one to seven days before it: an incident must not become usual while it goes on.
-- Windows add up whole billionths of a GB or dollar, whose sums are exact: the same on every engine, in every order.
WITH dense AS (
  SELECT s.series_id, s.account_id, s.region, s.egress_class, h.hour_utc, h.n,
    COALESCE(x.usage_gb, 0) AS u, COALESCE(x.cost_usd, 0) AS c,
    CAST(ROUND(COALESCE(x.usage_gb, 0) * 1e9) AS BIGINT) AS u_exact,
    CAST(ROUND(COALESCE(x.cost_usd, 0) * 1e9) AS BIGINT) AS c_exact,
    COALESCE(x.usage_type, '') AS usage_type, COALESCE(x.operation, '') AS operation,
    COALESCE(x.is_provisional, 0) AS is_provisional,
    COALESCE(h.hour_utc >= s.estimated_from_utc, FALSE) AS is_estimated,
    COALESCE(h.hour_utc <= s.complete_until_utc, FALSE) AS is_complete
  FROM series AS s
  JOIN hours AS h ON h.hour_utc >= s.first_hour_utc AND h.hour_utc <= s.last_hour_utc
  LEFT JOIN series_hours AS x ON x.series_id = s.series_id AND x.hour_utc = h.hour_utc
),
lagged AS (
  SELECT *,
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
    LIST_SORT([
      CASE WHEN n >= 168 THEN LAG(u, 168, 0) OVER w ELSE CAST('Infinity' AS DOUBLE) END,
      CASE WHEN n >= 336 THEN LAG(u, 336, 0) OVER w ELSE CAST('Infinity' AS DOUBLE) END,
      CASE WHEN n >= 504 THEN LAG(u, 504, 0) OVER w ELSE CAST('Infinity' AS DOUBLE) END,
      CASE WHEN n >= 672 THEN LAG(u, 672, 0) OVER w ELSE CAST('Infinity' AS DOUBLE) END
    ]) AS same_hour_of_weeks,
    -- The largest of the hour and its two neighbours, by week: clocks change by an hour, and jobs start a little late.
    LIST_SORT([
      CASE WHEN n >= 168 THEN COALESCE(MAX(u) OVER around_1, 0) ELSE CAST('Infinity' AS DOUBLE) END,
      CASE WHEN n >= 336 THEN COALESCE(MAX(u) OVER around_2, 0) ELSE CAST('Infinity' AS DOUBLE) END,
      CASE WHEN n >= 504 THEN COALESCE(MAX(u) OVER around_3, 0) ELSE CAST('Infinity' AS DOUBLE) END,
      CASE WHEN n >= 672 THEN COALESCE(MAX(u) OVER around_4, 0) ELSE CAST('Infinity' AS DOUBLE) END
    ]) AS around_weeks,
    LEAST(n // 24, 7) AS days_known,
    LEAST(n // 168, 4) AS weeks_known
  FROM dense
  WINDOW w AS (PARTITION BY series_id ORDER BY hour_utc),
    around_1 AS (PARTITION BY series_id ORDER BY hour_utc ROWS BETWEEN 169 PRECEDING AND 167 PRECEDING),
    around_2 AS (PARTITION BY series_id ORDER BY hour_utc ROWS BETWEEN 337 PRECEDING AND 335 PRECEDING),
    around_3 AS (PARTITION BY series_id ORDER BY hour_utc ROWS BETWEEN 505 PRECEDING AND 503 PRECEDING),
    around_4 AS (PARTITION BY series_id ORDER BY hour_utc ROWS BETWEEN 673 PRECEDING AND 671 PRECEDING)
),
medians AS (
  SELECT *,
    CASE WHEN days_known = 0 THEN NULL
      ELSE (same_hour_of_days[(days_known + 1) // 2] + same_hour_of_days[days_known // 2 + 1]) / 2 END AS expected_day,
    CASE WHEN weeks_known = 0 THEN NULL
      ELSE (same_hour_of_weeks[(weeks_known + 1) // 2] + same_hour_of_weeks[weeks_known // 2 + 1]) / 2
      END AS expected_week,
    CASE WHEN weeks_known = 0 THEN NULL
      ELSE (around_weeks[(weeks_known + 1) // 2] + around_weeks[weeks_known // 2 + 1]) / 2 END AS around_week
  FROM lagged
),
expected_alone AS (
  SELECT *,
    CASE WHEN weeks_known >= 2 THEN GREATEST(expected_week, LEAST(u, around_week))
      WHEN days_known >= 1 THEN expected_day ELSE u END AS alone
  FROM medians
),
-- Where a series all but vanishes and others of its account, region and class rise in the same hour, its traffic has
-- moved to them (a resource that was split, merged or replaced): it is expected there now.
moves AS (
  SELECT account_id, region, egress_class, hour_utc,
    CAST(SUM(CASE WHEN u < 0.5 * alone THEN CAST(ROUND((alone - u) * 1e9) AS BIGINT) ELSE 0 END) AS DOUBLE) / 1e9
      AS vanished,
    CAST(SUM(CASE WHEN u > alone THEN CAST(ROUND((u - alone) * 1e9) AS BIGINT) ELSE 0 END) AS DOUBLE) / 1e9 AS risen
  FROM expected_alone
  GROUP BY account_id, region, egress_class, hour_utc
),
expected AS (
  SELECT x.*,
    CASE WHEN x.u > x.alone AND m.risen > 0
      THEN x.alone + (x.u - x.alone) * LEAST(m.vanished / m.risen, 1) ELSE x.alone END AS e
  FROM expected_alone AS x
  JOIN moves AS m ON m.account_id = x.account_id AND m.region = x.region AND m.egress_class = x.egress_class
    AND m.hour_utc = x.hour_utc
),
past AS (
  SELECT *,
    CAST(ROUND(e * 1e9) AS BIGINT) AS e_exact,
    CASE WHEN n = 0 THEN 0 ELSE
      CAST(COALESCE(SUM(CAST(ROUND(ABS(u - e) * 1e9) AS BIGINT)) OVER week_before, 0) AS DOUBLE) / 1e9 / LEAST(n, 168)
      END AS spread,
    CASE WHEN n < 24 THEN NULL ELSE COALESCE(MAX(u) OVER month_before, 0) END AS largest,
    CASE WHEN n < 24 THEN NULL ELSE
      COALESCE(SUM(CASE WHEN u >= 0.1 THEN 1 ELSE 0 END) OVER month_before, 0) / LEAST(n - 23, 649) END AS busy_share,
    CAST(COALESCE(SUM(u_exact) OVER week_before, 0) AS DOUBLE) / 1e9 AS u_week,
    CAST(COALESCE(SUM(c_exact) OVER week_before, 0) AS DOUBLE) / 1e9 AS c_week
  FROM expected
  WINDOW week_before AS (PARTITION BY series_id ORDER BY hour_utc ROWS BETWEEN 168 PRECEDING AND 1 PRECEDING),
    month_before AS (PARTITION BY series_id ORDER BY hour_utc ROWS BETWEEN 672 PRECEDING AND 24 PRECEDING)
),
windows AS (
  SELECT *,
    LEAST(n + 1, 3) AS n3, LEAST(n + 1, 24) AS n24, LEAST(GREATEST(n - 2, 0), 24) AS n24_before,
    CAST(SUM(u_exact) OVER last_3 AS DOUBLE) / 1e9 AS u3, CAST(SUM(e_exact) OVER last_3 AS DOUBLE) / 1e9 AS e3,
    CAST(SUM(u_exact) OVER last_24 AS DOUBLE) / 1e9 AS u24, CAST(SUM(e_exact) OVER last_24 AS DOUBLE) / 1e9 AS e24,
    CAST(SUM(u_exact) OVER last_168 AS DOUBLE) / 1e9 AS u168,
    -- GB above what was expected; over a week, hours below it count against them.
    CAST(SUM(GREATEST(u_exact - e_exact, 0)) OVER last_3 AS DOUBLE) / 1e9 AS x3,
    CAST(SUM(GREATEST(u_exact - e_exact, 0)) OVER last_24 AS DOUBLE) / 1e9 AS x24,
    GREATEST(CAST(SUM(u_exact - e_exact) OVER last_168 AS DOUBLE) / 1e9, 0) AS x168,
    CAST(COALESCE(SUM(u_exact) OVER before_3, 0) AS DOUBLE) / 1e9 AS u24_before,
    SUM(CASE WHEN u > e + 2 * spread + 0.1 THEN 1 ELSE 0 END) OVER last_24 AS far_above,
    CAST(SUM(u_exact) OVER account_hour AS DOUBLE) / 1e9 AS account_u,
    CAST(SUM(e_exact) OVER account_hour AS DOUBLE) / 1e9 AS account_e
  FROM past
  WINDOW last_3 AS (PARTITION BY series_id ORDER BY hour_utc ROWS BETWEEN 2 PRECEDING AND CURRENT ROW),
    last_24 AS (PARTITION BY series_id ORDER BY hour_utc ROWS BETWEEN 23 PRECEDING AND CURRENT ROW),
    last_168 AS (PARTITION BY series_id ORDER BY hour_utc ROWS BETWEEN 167 PRECEDING AND CURRENT ROW),
    before_3 AS (PARTITION BY series_id ORDER BY hour_utc ROWS BETWEEN 26 PRECEDING AND 3 PRECEDING),
    account_hour AS (PARTITION BY account_id, hour_utc)
),
-- The most that the series did before: its habit.
habits AS (
  SELECT *,
    COALESCE(MAX(x3) OVER five_weeks_before_3_days, 0) AS usual_x3,
    COALESCE(MAX(x24) OVER five_weeks_before_3_days, 0) AS usual_x24,
    COALESCE(MAX(x168) OVER (PARTITION BY series_id ORDER BY hour_utc ROWS BETWEEN 840 PRECEDING AND 168 PRECEDING), 0)
      AS usual_x168,
    COALESCE(LAG(u168, 168) OVER w, 0) AS week_1, COALESCE(LAG(u168, 336) OVER w, 0) AS week_2,
    COALESCE(LAG(u168, 504) OVER w, 0) AS week_3
  FROM windows
  WINDOW w AS (PARTITION BY series_id ORDER BY hour_utc),
    five_weeks_before_3_days AS (PARTITION BY series_id ORDER BY hour_utc ROWS BETWEEN 840 PRECEDING AND 72 PRECEDING)
),
class_hours AS (
  SELECT account_id, egress_class, hour_utc, MAX(u24) AS largest_u24,
    CAST(SUM(CAST(ROUND(u24 * 1e9) AS BIGINT)) AS DOUBLE) / 1e9 AS class_u24,
    CAST(SUM(CAST(ROUND(e24 * 1e9) AS BIGINT)) AS DOUBLE) / 1e9 AS class_e24
  FROM windows
  GROUP BY account_id, egress_class, hour_utc
),
classes AS (
  SELECT *,
    COALESCE(MAX(largest_u24) OVER (PARTITION BY account_id, egress_class ORDER BY hour_utc
      ROWS BETWEEN 840 PRECEDING AND 72 PRECEDING), 0) AS usual_largest_u24
  FROM class_hours
),
region_hours AS (
  SELECT account_id, region, hour_utc, MAX(CASE WHEN u >= 0.1 THEN 1 ELSE 0 END) AS is_busy
  FROM dense
  GROUP BY account_id, region, hour_utc
),
regions AS (
  SELECT account_id, region, hour_utc,
    COALESCE(SUM(is_busy) OVER (PARTITION BY account_id, region ORDER BY hour_utc
      ROWS BETWEEN 672 PRECEDING AND 24 PRECEDING), 0) AS busy_hours
  FROM region_hours
),
ratios AS (
  SELECT h.*, c.usual_largest_u24, c.class_u24, c.class_e24, g.busy_hours,
    COALESCE(LN((h.u + 0.1) / (h.expected_week + 0.1)), 0) AS ratio_week,
    COALESCE(LN((h.u + 0.1) / (h.expected_day + 0.1)), 0) AS ratio_day,
    -- The median of the three weeks before.
    h.week_1 + h.week_2 + h.week_3 - GREATEST(h.week_1, h.week_2, h.week_3) - LEAST(h.week_1, h.week_2, h.week_3)
      AS usual_week
  FROM habits AS h
  JOIN classes AS c ON c.account_id = h.account_id AND c.egress_class = h.egress_class AND c.hour_utc = h.hour_utc
  JOIN regions AS g ON g.account_id = h.account_id AND g.region = h.region AND g.hour_utc = h.hour_utc
)
SELECT
  CAST(r.hour_utc AS TIMESTAMPTZ) AS hour_utc,
  s.account_id, s.region, s.service, s.egress_class, s.resource_id,
  r.usage_type, r.operation,
  r.u AS usage_gb,
  CASE WHEN s.is_processing_fee THEN 0 ELSE r.u END AS egress_gb,
  r.c AS cost_usd,
  r.e AS expected_usage_gb,
  CASE WHEN s.is_processing_fee THEN 0 ELSE r.e END AS expected_egress_gb,
  r.e * CASE WHEN r.u > 0 THEN r.c / r.u WHEN r.u_week > 0 THEN r.c_week / r.u_week ELSE 0 END AS expected_cost_usd,
  r.spread AS expected_spread_gb,
  r.x24 AS day_excess_gb,
  r.usual_x24 AS usual_day_excess_gb,
  r.is_provisional = 1 AS is_provisional,
  r.is_estimated,
  r.is_complete,
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
ORDER BY r.hour_utc, s.account_id, s.region, s.service, s.egress_class, s.resource_id
