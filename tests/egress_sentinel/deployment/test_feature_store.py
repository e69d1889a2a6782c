"""Reading features by key: in hundreds, again what AWS left out, and one sentence where a key is unknown."""

from typing import Any

import pytest

from egress_sentinel.deployment.feature_store import read_features
from egress_sentinel.errors import UserError


class Runtime:
    """A store that answers `at_once` of the records of a call and leaves the others unprocessed."""

    def __init__(self, keys: list[str], at_once: int = 100) -> None:
        self.calls: list[int] = []
        self._keys, self._at_once = keys, at_once

    def batch_get_record(self, Identifiers: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        (asked,) = Identifiers
        keys = asked["RecordIdentifiersValueAsString"]
        assert 1 <= len(keys) <= 100
        self.calls.append(len(keys))
        done, left = keys[: self._at_once], keys[self._at_once :]
        records = [{"RecordIdentifierValueAsString": key, "Record": record(key)} for key in done if key in self._keys]
        again = [asked | {"RecordIdentifiersValueAsString": left}] if left else []
        return {"Records": records, "Errors": [], "UnprocessedIdentifiers": again}


def record(key: str) -> list[dict[str, str]]:
    values = {"series": key, "hour_utc": "2026-10-02T23:00:00Z", "account_id": "111122223333", "usage_gb": "0.1"}
    return [{"FeatureName": name, "ValueAsString": text} for name, text in values.items()]


def test_keys_are_read_in_hundreds_and_in_their_order() -> None:
    keys = [f"series-{number}" for number in range(250)]
    runtime = Runtime(keys)
    found = read_features(runtime, "g", [*reversed(keys), keys[0]])
    assert list(found) == list(reversed(keys))
    assert runtime.calls == [100, 100, 50]
    # Numbers are numbers, and an account's id is a text.
    assert (found["series-7"]["usage_gb"], found["series-7"]["account_id"]) == (0.1, "111122223333")


def test_what_was_not_processed_is_asked_for_again() -> None:
    pauses: list[float] = []
    keys = [f"series-{number}" for number in range(10)]
    runtime = Runtime(keys, at_once=4)
    assert list(read_features(runtime, "g", keys, pauses.append)) == keys
    assert runtime.calls == [10, 6, 2]
    assert pauses == [0.1, 0.2]
    with pytest.raises(UserError, match="the feature group g did not return every record in 6 attempts"):
        read_features(Runtime(keys, at_once=0), "g", keys, pauses.append)


def test_an_unknown_key_is_one_sentence() -> None:
    with pytest.raises(UserError) as error:
        read_features(Runtime(["a"]), "g", ["a", "b"])
    assert str(error.value) == (
        "the feature group g has no series 'b'; a key is ACCOUNT#REGION#SERVICE#EGRESS_CLASS#RESOURCE, as an alert "
        "has them"
    )
