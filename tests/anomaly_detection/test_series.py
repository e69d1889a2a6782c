"""Features and detector of a `timestamp,value` series: nothing looks ahead, pieces give what the whole gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly_detection.errors import InputError, RequestError
from anomaly_detection.series_preprocessor import input_fn
from anomaly_detection.time_series.data import seconds_of
from anomaly_detection.time_series.detector import (
    SeriesSettings,
    calibrate,
    decide,
    find_incidents,
    without_repeats,
)
from anomaly_detection.time_series.features import SERIES_FEATURE_NAMES, SeriesState, advance, features_of

HOUR = 3600


@st.composite
def series(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A series with daily course, repeats, gaps in time and equal times, of up to ten days."""
    rows = draw(st.integers(2, 400))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    steps = rng.choice(
        [0, 300, HOUR, 40 * HOUR], rows, p=draw(st.sampled_from([(0.0, 0.0, 1.0, 0.0), (0.1, 0.4, 0.4, 0.1)]))
    )
    seconds = 1_400_000_000 + np.cumsum(steps)
    values = np.sin(seconds / 86_400 * 2 * np.pi) + rng.normal(0, draw(st.sampled_from([0.0, 0.3])), rows)
    values = np.where(rng.random(rows) < draw(st.sampled_from([0.0, 0.3])), 1.0, values)
    return seconds, values * draw(st.sampled_from([1.0, 1e-9, 1e30]))


@settings(max_examples=40, deadline=None)
@given(series(), st.data())
def test_what_comes_later_changes_no_feature(given: tuple[np.ndarray, np.ndarray], data: st.DataObject) -> None:
    seconds, values = given
    cut = data.draw(st.integers(1, len(values) - 1))
    other = values.copy()
    other[cut:] = data.draw(st.sampled_from([0.0, 1e6, -1e6]))
    assert features_of(seconds, other)[:cut].tobytes() == features_of(seconds, values)[:cut].tobytes()


@settings(max_examples=40, deadline=None)
@given(series(), st.data())
def test_pieces_give_the_features_of_the_whole_to_the_bit(
    given: tuple[np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    seconds, values = given
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=6)))
    state, pieces = SeriesState.empty(), []
    for first, last in zip([0, *cuts], [*cuts, len(values)], strict=True):
        piece, state = advance(state, seconds[first:last], values[first:last])
        pieces.append(piece)
    whole = features_of(seconds, values)
    assert np.isfinite(whole).all()
    assert np.concatenate(pieces).tobytes() == whole.tobytes()


def test_features_match_their_descriptions() -> None:
    hours = np.arange(24 * 20)
    rng = np.random.default_rng(1)
    values = 10 + 5 * np.sin(hours / 24 * 2 * np.pi) + rng.normal(0, 0.1, len(hours))
    values[-1] += 20
    found = dict(zip(SERIES_FEATURE_NAMES, features_of(hours * HOUR, values).T, strict=True))
    last = len(values) - 1
    assert found["mean_12"][last] == pytest.approx(values[-12:].mean(), rel=1e-6)
    assert found["spread_48"][last] == pytest.approx(values[-48:].std(), rel=1e-6)
    assert found["max_24"][last - 1] == pytest.approx(values[-25:-1].max(), rel=1e-6)
    assert found["mean_48_change"][last] == pytest.approx(values[-48:].mean() - values[-96:-48].mean(), rel=1e-4)

    def gap(row: int) -> float:
        days = values[row - 24 * np.arange(1, 8)[: row // 24]]
        usual = [np.median(days), *days[6:]]
        return values[row] - min(usual, key=lambda other: abs(values[row] - other))

    spread = np.mean([abs(gap(row)) for row in range(24, last)])
    assert found["residual"][last] == pytest.approx(gap(last) / spread, rel=1e-5)
    assert found["residual"][last] > 5 * np.abs(found["residual"][24 * 8 : last]).max()


def test_a_week_that_repeats_is_as_usual() -> None:
    """After the first weekend with low values, weekends have no residual, although the days before are high."""
    hours = np.arange(24 * 7 * 4)
    rng = np.random.default_rng(1)
    values = np.where(hours // 24 % 7 < 5, 100.0, 20.0) + rng.normal(0, 1, len(hours))
    residual = features_of(hours * HOUR, values)[:, SERIES_FEATURE_NAMES.index("residual")]
    assert np.abs(residual[24 * 7 : 24 * 12]).max() < 5
    assert np.abs(residual[24 * 14 :]).max() < 1


def test_places_of_an_outlier() -> None:
    values = np.array([1.0, 3, 2, 2, 9])
    found = {
        name: column[-1]
        for name, column in zip(SERIES_FEATURE_NAMES, features_of(np.arange(5) * HOUR, values).T, strict=True)
    }
    assert found["outside_range"] == pytest.approx(6 / 8)
    assert found["position_in_range"] == 1


def test_repeats_and_flat_series() -> None:
    values = np.array([1.0, 1, 1, 2, 2, 1, 1, 1, 1])
    found = dict(zip(SERIES_FEATURE_NAMES, features_of(np.arange(9) * HOUR, values).T, strict=True))
    assert found["repeats"].tolist() == pytest.approx([1, 1, 1, 1 / 3, 2 / 3, 1 / 3, 2 / 3, 1, 1])
    assert found["outside_range"].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0]


def incident_series() -> tuple[np.ndarray, np.ndarray]:
    hours = np.arange(24 * 40)
    rng = np.random.default_rng(0)
    values = 100 + 30 * np.sin(hours / 24 * 2 * np.pi) + rng.normal(0, 3, len(hours))
    values[700:712] += 200
    return hours * HOUR, values


QUICK = SeriesSettings(n_estimators=50)


def test_an_incident_is_one_alert_with_its_reasons() -> None:
    scores = find_incidents(*incident_series(), QUICK)
    (alert,) = scores.alerts
    assert 700 <= alert.row <= 702
    assert alert.tail_probability < 0.005
    assert {name for name, _ in alert.reasons} & {"outside_range", "residual", "value", "max_24", "residual_change"}


def test_an_incident_that_grows_speaks_again_and_stays_one() -> None:
    rising = np.array([0.4, 0.1, 0.5, 0.6, 0.1, 0.1, 0.1, 0.1, 0.7])
    scores = np.concatenate([np.full(2000, 0.1), rising])
    found = decide(scores, SeriesSettings(learning_rows=10, quiet_rows=4))
    assert [(alert.row, alert.incident) for alert in found.alerts] == [(2000, 0), (2002, 0), (2003, 0), (2008, 1)]


def test_what_creeps_up_to_the_threshold_is_heard_there() -> None:
    scores = np.concatenate([np.full(2000, 0.1), np.linspace(0.2, 0.42, 8)])
    (alert,) = decide(scores, SeriesSettings(learning_rows=10, quiet_rows=1000)).alerts
    assert alert.row == 2006


def test_what_comes_later_changes_no_score() -> None:
    """The caller sets the number of learning rows, which would otherwise depend on the length."""
    seconds, values = incident_series()
    setting = SeriesSettings(n_estimators=20, learning_rows=144)
    whole = find_incidents(seconds, values, setting)
    part = find_incidents(seconds[:705], values[:705], setting)
    assert whole.alerting[:705].tobytes() == part.alerting.tobytes()
    assert [alert for alert in whole.alerts if alert.row < 705] == part.alerts


def test_too_short_a_series_is_refused() -> None:
    with pytest.raises(InputError, match="the series has 5 rows, and 2 are only for learning"):
        find_incidents(np.arange(5), np.arange(5.0))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 20), max_size=60), st.integers(0, 12), st.integers(0, 5))
def test_a_kept_score_beats_every_kept_one_of_the_rows_before(heights: list[int], quiet: int, margin: int) -> None:
    kept = without_repeats(np.array(heights, float), quiet, margin)
    speaks: list[bool] = []
    for row, height in enumerate(heights):
        before = [kept[past] for past in range(max(row - quiet, 0), row) if speaks[past]]
        may_speak = not before or height > max(before) + margin
        speaks.append(may_speak)
        assert kept[row] == (height if may_speak else 0)


def test_calibration_takes_half_of_the_past_peak_off() -> None:
    scores = np.array([0.4, 0.6, 0.5, 0.7])
    past = [0.0, 0.4, np.quantile([0.4, 0.6], 0.995), np.quantile([0.4, 0.6, 0.5], 0.995)]
    assert calibrate(scores) == pytest.approx(scores - np.array(past) / 2)


def test_times_without_a_zone_are_utc() -> None:
    assert seconds_of(["1970-01-01 00:01:00", "1970-01-01T02:01:00+02:00"]).tolist() == [60, 60]


@pytest.mark.parametrize(
    "body",
    [
        "now,1\n",
        "NaT,1\n",
        "2013-12-02 21:15:00,1_0\n",
        "2013-12-02 21:15:00,\u0661\n",
        "2013-12-02 21:15:00,1e39\n",
        "timestamp,value\n2013-12-02 21:15:00,1,5\n",
        "timestamp,value\nx,2013-12-02 21:15:00,1\n",
        "2013-12-02 21:15:00,\ud800\n",
        "9999-12-31,1\n10000-01-01,1\n",
        b"2013-12-02 21:15:00,\xff\n",
        "\n" * 3_000_000,
        "",
    ],
)
def test_lines_that_are_no_series_get_a_sentence(body: str | bytes) -> None:
    error = input_fn(body, "text/csv")
    assert isinstance(error, RequestError)
    assert 400 <= error.status < 500
    assert "\n" not in error.message


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_line_is_read_with_and_without_a_byte_order_mark(mark: str) -> None:
    series = input_fn(f"{mark}2013-12-02 21:15:00, 75", "text/csv")
    assert (series.timestamps, series.values.tolist()) == (["2013-12-02 21:15:00"], [75.0])


def test_the_content_type_that_is_missing_is_named() -> None:
    assert "names no Content-Type" in input_fn("2013-12-02 21:15:00, 75", None).message
