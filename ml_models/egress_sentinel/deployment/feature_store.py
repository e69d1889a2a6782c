"""Reads the latest features of series from a deployment's feature group."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from egress_features import KEYS
from egress_features.schema import LABELS
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# BatchGetRecord reads 100 records at most.
_AT_ONCE = 100
_ATTEMPTS = 6
_TEXTS = {"series", "event_time", "usage_type", "operation", *KEYS, *LABELS}


def read_features(
    runtime: Any, group: str, keys: Sequence[str], sleep: Callable[[float], None] = time.sleep
) -> dict[str, dict[str, str | float]]:
    """Return the latest features of series by their keys, in the order of the keys.

    Parameters
    ----------
    runtime : sagemaker-featurestore-runtime client
    group : str
        The feature group.
    keys : sequence of str
        Each is ACCOUNT#REGION#SERVICE#EGRESS_CLASS#RESOURCE.
    sleep : callable
        As in `time`.

    Raises
    ------
    UserError
        A key is unknown, or AWS does not answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    wanted = list(dict.fromkeys(keys))
    found: dict[str, dict[str, str | float]] = {}
    try:
        for first in range(0, len(wanted), _AT_ONCE):
            found |= _read(runtime, group, wanted[first : first + _AT_ONCE], sleep)
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"cannot read the feature group {group}: {error}") from error
    missing = [key for key in wanted if key not in found]
    if missing:
        form = "#".join(name.removesuffix("_id").upper() for name in KEYS[1:])
        raise UserError(
            f"the feature group {group} has no series {missing[0]!r}; a key is {form}, as an alert has them"
        )
    return {key: found[key] for key in wanted}


def _read(
    runtime: Any, group: str, keys: list[str], sleep: Callable[[float], None]
) -> dict[str, dict[str, str | float]]:
    found: dict[str, dict[str, str | float]] = {}
    asked: list[dict[str, Any]] = [{"FeatureGroupName": group, "RecordIdentifiersValueAsString": keys}]
    for attempt in range(_ATTEMPTS):
        answer = runtime.batch_get_record(Identifiers=asked)
        for record in answer["Records"]:
            found[record["RecordIdentifierValueAsString"]] = dict(_values(record["Record"]))
        for error in answer["Errors"]:
            raise UserError(f"cannot read the feature group {group}: {error['ErrorMessage']}")
        asked = answer["UnprocessedIdentifiers"]
        if not asked:
            return found
        sleep(0.1 * 2**attempt)
    raise UserError(f"the feature group {group} did not return every record in {_ATTEMPTS} attempts; try again later")


def _values(record: list[dict[str, str]]) -> Iterator[tuple[str, str | float]]:
    for value in record:
        name, text = value["FeatureName"], value["ValueAsString"]
        yield name, text if name in _TEXTS else float(text)
