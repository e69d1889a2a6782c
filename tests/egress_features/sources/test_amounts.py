from decimal import Decimal

import duckdb
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_features.sources.line_items import AMOUNT, AMOUNT_OF_DOUBLE

AS_AWS_WRITES_THEM = st.decimals(-9_999_999, 9_999_999, places=10) | st.decimals(-1000, 1000, places=10)
CONNECTION = duckdb.connect()
ANY = st.floats(-1e15, 1e15)


@settings(deadline=None)
@given(st.lists(AS_AWS_WRITES_THEM | st.none(), min_size=1, max_size=50))
def test_a_double_is_the_number_that_was_written(amounts: list[Decimal | None]) -> None:
    # A double cannot distinguish amounts beyond 16 digits.
    amounts = [amount if amount is None or abs(amount) < 100_000 else round(amount, 8) for amount in amounts]
    doubles = [None if amount is None else float(amount) for amount in amounts]
    assert amounts_of(AMOUNT_OF_DOUBLE, doubles) == [amount or 0 for amount in amounts]


@settings(deadline=None)
@given(st.lists(ANY, min_size=1, max_size=50))
def test_any_double_is_the_number_of_its_text_to_the_last_decimal(doubles: list[float]) -> None:
    found, expected = amounts_of(AMOUNT_OF_DOUBLE, doubles), amounts_of(AMOUNT, doubles)
    assert all(abs(one - other) <= Decimal("1e-12") for one, other in zip(found, expected, strict=True))


def amounts_of(sql: str, doubles: list[float | None]) -> list[Decimal]:
    t = pa.table({"x": pa.array(doubles, pa.float64())})  # noqa: F841 - DuckDB finds it by its name
    return [row[0] for row in CONNECTION.execute(f"SELECT {sql.format(column='x')} FROM t").fetchall()]
