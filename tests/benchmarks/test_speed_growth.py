import math

import pytest

from benchmarks.speed.growth import exponent

SIZES = [1000 * 2**i for i in range(5)]


@pytest.mark.parametrize(("power", "constant"), [(1, 0), (1, 50), (2, 3), (0.5, 1)])
def test_a_constant_does_not_hide_the_exponent(power: float, constant: float) -> None:
    assert exponent(SIZES, [constant + (size / 1000) ** power for size in SIZES]) == pytest.approx(power, abs=0.02)


def test_n_log_n_is_a_little_more_than_linear() -> None:
    assert 1.05 < exponent(SIZES, [size * math.log(size) for size in SIZES]) < 1.2
