"""The detector writes the latest features of each series to Feature Store, as AWS would keep them."""

import itertools
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pytest

from anomaly_detector.feature_store import FeatureStore
from local_aws import LocalAws
from local_aws.lambda_runner import LambdaError
from tests.support.detector import FaultyEndpoint, World, hot_day, hour, row

pytestmark = pytest.mark.integration

Make = Callable[[], World]
GROUP = "egress-sentinel"
MEDIA = "111122223333#eu-west-1#AmazonS3#internet#media-prod"
LOGS = "111122223333#eu-west-1#AmazonS3#internet#logs"
TEXTS = ("series", "event_time", "hour_utc", "account_id", "region", "service", "egress_class", "resource_id")
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as running:
        yield running


@pytest.fixture
def make(aws: LocalAws, tmp_path: Path) -> Iterator[Make]:
    sagemaker = aws.client("sagemaker")
    with FaultyEndpoint() as endpoint:
        group = f"{GROUP}-{next(_NUMBERS)}"
        types = dict.fromkeys(TEXTS, "String") | {
            "is_daily": "Integral",
            "usage_gb": "Fractional",
            "ratio": "Fractional",
        }
        sagemaker.create_feature_group(
            FeatureGroupName=group,
            RecordIdentifierFeatureName="series",
            EventTimeFeatureName="event_time",
            FeatureDefinitions=[{"FeatureName": name, "FeatureType": kind} for name, kind in types.items()],
            OnlineStoreConfig={"EnableOnlineStore": True},
        )
        yield lambda: World(aws, endpoint, tmp_path, f"features-{next(_NUMBERS)}", FEATURE_GROUP=group)


def features_of(world: World, key: str) -> dict[str, str]:
    runtime = world.aws.client("sagemaker-featurestore-runtime")
    group = world.environment["FEATURE_GROUP"]
    answer: dict[str, Any] = runtime.get_record(FeatureGroupName=group, RecordIdentifierValueAsString=key)
    return {value["FeatureName"]: value["ValueAsString"] for value in answer.get("Record", [])}


def day(number: int) -> dict[str, str]:
    return {"start": f"2026-10-{number:02d}T00:00Z", "end": f"2026-10-{number + 1:02d}T00:00Z"}


def test_the_last_hour_of_each_series_is_kept(make: Make) -> None:
    """As the features file has it: floats to the bit, flags as 0 and 1, and columns that the group lacks left out."""
    world = make()
    world.put([*hot_day(), row("02T05", gb=0.1, expected=0.3, resource_id="logs")])
    world.invoke(day(2))
    media, logs = features_of(world, MEDIA), features_of(world, LOGS)
    assert media.items() >= {"hour_utc": "2026-10-02T23:00:00Z", "usage_gb": "5.0", "is_daily": "0"}.items()
    assert (
        logs.items()
        >= {"hour_utc": "2026-10-02T05:00:00Z", "resource_id": "logs", "account_id": "111122223333"}.items()
    )
    assert float(logs["ratio"]) == 0.1 / 0.3
    assert "cost_usd" not in media
    assert features_of(world, "nobody") == {}


def test_an_earlier_day_again_never_replaces_a_later_hour(make: Make) -> None:
    world = make()
    world.put([*hot_day(2), *hot_day(3)])
    world.invoke(day(3), day(2))
    assert features_of(world, MEDIA)["hour_utc"] == "2026-10-03T23:00:00Z"


def test_a_restated_hour_replaces_the_same_hour_and_a_late_writer_does_not(make: Make) -> None:
    """The store keeps a record unless the new event time is greater: that of the same hour that was read later is."""
    world = make()
    clients = (world.aws.client(name) for name in ("sagemaker", "sagemaker-featurestore-runtime"))
    store = FeatureStore(*clients, world.environment["FEATURE_GROUP"])
    kept = []
    for start, minutes, gb in (("02T23", 60, 5), ("02T23", 120, 7), ("02T23", 90, 6), ("02T22", 9999, 9)):
        rows = pa.Table.from_pylist([row(start, gb=gb, expected=5)])
        store.ingest(rows, hour("02T23").timestamp() + minutes * 60)
        kept.append(features_of(world, MEDIA)["usage_gb"])
    assert kept == ["5.0", "7.0", "7.0", "7.0"]


class Throttling:
    """A store that throttles the first calls."""

    def __init__(self, times: int) -> None:
        self.statuses: list[int] = []
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                status = 429 if len(store.statuses) < times else 200
                store.statuses.append(status)
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.send_header("x-amzn-ErrorType", "ThrottlingException" if status == 429 else "")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_a_write_that_is_throttled_is_retried(make: Make) -> None:
    world = make()
    world.put(hot_day())
    with Throttling(times=3) as store:
        world.invoke(day(2), AWS_ENDPOINT_URL_SAGEMAKER_FEATURESTORE_RUNTIME=store.url)
    assert store.statuses == [429, 429, 429, 200]


def test_people_are_notified_where_the_store_refuses(make: Make) -> None:
    """And the invocation fails, so that Lambda tries it again and then keeps the event."""
    world = make()
    world.put(hot_day())
    with pytest.raises(LambdaError, match="FeatureGroup with name nowhere does not exist"):
        world.invoke(day(2), FEATURE_GROUP="nowhere")
    assert len(world.messages()) == 1
    world.invoke(day(2))
    assert features_of(world, MEDIA)["hour_utc"] == "2026-10-02T23:00:00Z"
    assert world.messages() == []
