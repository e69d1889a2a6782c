-- series, hours, series_hours -> the rows of processed_features.parquet. Every window ends at the row's own hour.
--
-- u is the hour's GB, c its dollars, n the number of hours of data before it (so a lag of k hours is known if n >= k,
-- and is zero if the series has no row there). 0.1 GB is added to both sides of every ratio: below it nothing matters.
-- Windows add up decimals, whose sums are exact and so the same on every engine and in every order.
WITH dense AS (
  SELECT s.series_id, s.account_id, h.hour_utc, h.n,
    COALESCE(x.usage_gb, 0) AS u, COALESCE(x.cost_usd, 0) AS c,
    CAST(COALESCE(x.usage_gb, 0) AS DECIMAL(18, 9)) AS u_exact,
    CAST(COALESCE(x.cost_usd, 0) AS DECIMAL(18, 9)) AS c_exact,
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
    LEAST(n // 24, 7) AS days_known,
    LEAST(n // 168, 4) AS weeks_known
  FROM dense
  WINDOW w AS (PARTITION BY series_id ORDER BY hour_utc)
),
medians AS (
  SELECT *,
    CASE WHEN days_known = 0 THEN NULL
      ELSE (same_hour_of_days[(days_known + 1) // 2] + same_hour_of_days[days_known // 2 + 1]) / 2 END AS expected_day,
    CASE WHEN weeks_known = 0 THEN NULL
      ELSE (same_hour_of_weeks[(weeks_known + 1) // 2] + same_hour_of_weeks[weeks_known // 2 + 1]) / 2
      END AS expected_week
  FROM lagged
),
expected AS (
  SELECT *,
    CASE WHEN weeks_known >= 2 THEN expected_week WHEN days_known >= 1 THEN expected_day ELSE u END AS e
  FROM medians
),
past AS (
  SELECT *,
    CAST(e AS DECIMAL(18, 9)) AS e_exact,
    CASE WHEN n = 0 THEN 0 ELSE
      CAST(COALESCE(SUM(CAST(ABS(u - e) AS DECIMAL(18, 9))) OVER week_before, 0) AS DOUBLE) / LEAST(n, 168)
      END AS spread,
    CASE WHEN n = 0 THEN NULL ELSE COALESCE(MAX(u) OVER week_before, 0) END AS largest,
    CASE WHEN n = 0 THEN NULL ELSE
      COALESCE(SUM(CASE WHEN u >= 0.1 THEN 1 ELSE 0 END) OVER week_before, 0) / LEAST(n, 168) END AS busy_share,
    CAST(COALESCE(SUM(u_exact) OVER week_before, 0) AS DOUBLE) AS u_week,
    CAST(COALESCE(SUM(c_exact) OVER week_before, 0) AS DOUBLE) AS c_week
  FROM expected
  WINDOW week_before AS (PARTITION BY series_id ORDER BY hour_utc ROWS BETWEEN 168 PRECEDING AND 1 PRECEDING)
),
windows AS (
  SELECT *,
    LEAST(n + 1, 3) AS n3, LEAST(n + 1, 24) AS n24, LEAST(GREATEST(n - 2, 0), 24) AS n24_before,
    CAST(SUM(u_exact) OVER last_3 AS DOUBLE) AS u3, CAST(SUM(e_exact) OVER last_3 AS DOUBLE) AS e3,
    CAST(SUM(u_exact) OVER last_24 AS DOUBLE) AS u24, CAST(SUM(e_exact) OVER last_24 AS DOUBLE) AS e24,
    CAST(COALESCE(SUM(u_exact) OVER before_3, 0) AS DOUBLE) AS u24_before,
    SUM(CASE WHEN u > e + 2 * spread + 0.1 THEN 1 ELSE 0 END) OVER last_24 AS far_above,
    CAST(SUM(u_exact) OVER account_hour AS DOUBLE) AS account_u,
    CAST(SUM(e_exact) OVER account_hour AS DOUBLE) AS account_e,
    (u - e) / (spread + 0.1 * e + 0.1) AS z
  FROM past
  WINDOW last_3 AS (PARTITION BY series_id ORDER BY hour_utc ROWS BETWEEN 2 PRECEDING AND CURRENT ROW),
    last_24 AS (PARTITION BY series_id ORDER BY hour_utc ROWS BETWEEN 23 PRECEDING AND CURRENT ROW),
    before_3 AS (PARTITION BY series_id ORDER BY hour_utc ROWS BETWEEN 26 PRECEDING AND 3 PRECEDING),
    account_hour AS (PARTITION BY account_id, hour_utc)
),
ratios AS (
  SELECT *,
    COALESCE(LN((u + 0.1) / (expected_week + 0.1)), 0) AS ratio_week,
    COALESCE(LN((u + 0.1) / (expected_day + 0.1)), 0) AS ratio_day
  FROM windows
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
  r.is_provisional = 1 AS is_provisional,
  r.is_estimated,
  r.is_complete,
  CAST(SIGN(r.z) * LN(1 + ABS(r.z)) AS FLOAT) AS residual_spread,
  CAST(r.ratio_week AS FLOAT) AS ratio_week_log,
  CAST(r.ratio_day AS FLOAT) AS ratio_day_log,
  CAST(CASE WHEN r.expected_week IS NULL THEN r.ratio_day
    WHEN ABS(r.ratio_week) <= ABS(r.ratio_day) THEN r.ratio_week ELSE r.ratio_day END AS FLOAT) AS ratio_smallest_log,
  CAST(LN((r.u3 + 0.1 * r.n3) / (r.e3 + 0.1 * r.n3)) AS FLOAT) AS ratio_3h_log,
  CAST(LN((r.u24 + 0.1 * r.n24) / (r.e24 + 0.1 * r.n24)) AS FLOAT) AS ratio_24h_log,
  CAST(COALESCE(GREATEST(LN((r.u + 0.1) / (r.largest + 0.1)), 0), 0) AS FLOAT) AS above_range_log,
  CAST(CASE WHEN r.n24_before = 0 THEN 0
    ELSE LN((r.u3 / r.n3 + 0.1) / (r.u24_before / r.n24_before + 0.1)) END AS FLOAT) AS acceleration_log,
  CAST(r.far_above / r.n24 AS FLOAT) AS persistence,
  CAST(r.u / (r.account_u + 0.1) - r.e / (r.account_e + 0.1) AS FLOAT) AS account_share_change,
  CAST(GREATEST(CASE WHEN r.u >= 0.1 THEN 1 ELSE 0 END - COALESCE(r.busy_share, 1), 0) AS FLOAT) AS novelty
FROM ratios AS r
JOIN series AS s ON s.series_id = r.series_id
ORDER BY r.hour_utc, s.account_id, s.region, s.service, s.egress_class, s.resource_id
