"""Lines of random series, added up by series and hour as `build_features` does it."""

from egress_features.engines import DuckDBEngine
from egress_features.queries import read_sql
from egress_features.windows import DAY

# Series of any sets that begin and end anywhere, some in the last hours, some estimated, with gaps, bursts, services
# that end early, and amounts to the tenth decimal, which are halves of a billionth now and then.
_RANDOM_LINES = """
CREATE MACRO draw(i, what) AS HASH({seed}, i, what) % 1000000 / 1000000;
CREATE MACRO one_of(i, what, n) AS CAST(FLOOR(draw(i, what) * n) AS INT);
CREATE MACRO at_hour(h) AS TIMESTAMP '2026-09-01' + INTERVAL 1 HOUR * h;
CREATE TABLE drawn AS
SELECT i, 'account-' || one_of(i, 'account', 2) AS account_id, 'region-' || one_of(i, 'region', 2) AS region,
  'service-' || one_of(i, 'service', 3) AS service, 'class-' || one_of(i, 'class', 2) AS egress_class,
  'resource-' || i AS resource_id, one_of(i, 'class', 2) = 1 AS is_processing_fee,
  CASE WHEN i % 4 = 3 THEN {hours} - 1 - one_of(i, 'from', 40) ELSE one_of(i, 'from', {hours}) END AS first_hour,
  CASE WHEN i % 4 = 3 THEN {hours} - 1 ELSE one_of(i, 'to', {hours}) END AS last_hour, draw(i, 'share') AS share
FROM RANGE({series}) AS r (i);
CREATE TABLE kept_lines AS
SELECT d.*, at_hour(h) AS hour_utc,
  'usage-' || one_of(h, i, 2) AS usage_type, 'operation-' || one_of(i, h, 2) AS operation,
  CAST(ROUND(EXP(4 * draw(i * 7919 + h, 'gb') - 2) * CASE WHEN draw(i * 7919 + h // 9, 'burst') < 0.05 THEN 30
    ELSE 1 END, 10) AS DECIMAL(38, 12)) AS usage_amount,
  CAST(ROUND(draw(i * 7919 + h, 'usd') - 0.1, 10) AS DECIMAL(38, 12)) AS cost_usd,
  one_of(h, 'provisional', 2) AS is_provisional
FROM drawn AS d
CROSS JOIN RANGE({hours}) AS t (h)
WHERE h BETWEEN LEAST(first_hour, last_hour) // {length} * {length} AND GREATEST(first_hour, last_hour)
  AND (draw(i * 7919 + h, 'is there') < share OR h = first_hour // {length} * {length})
  AND h % {length} = 0;
CREATE TABLE granularity AS SELECT {is_daily} AS is_daily;
CREATE TABLE data_hours AS SELECT at_hour(0) AS first_hour, at_hour({hours} - 1) AS last_hour;
CREATE TABLE watermarks AS
SELECT 'service-' || s AS service,
  at_hour({hours} - 1 - {length} * one_of(s, 'lag', 48 // {length})) AS complete_until_utc
FROM RANGE(3) AS r (s);
CREATE TABLE covered_series AS
SELECT account_id, region, service, egress_class, resource_id, at_hour({hours} - 30) AS estimated_from_utc
FROM drawn WHERE draw(i, 'covered') < 0.2;
"""


def add_up_random_lines(engine: DuckDBEngine, seed: int, hours: int, series: int, *, is_daily: bool) -> None:
    """Make the tables that `write_features` reads."""
    length = DAY if is_daily else 1
    last = hours - hours % length - 1
    engine.run(_RANDOM_LINES.format(seed=seed, hours=last + 1, series=series, is_daily=is_daily, length=length))
    for script in ("hours", "series_hours"):
        engine.run(read_sql(script))
