"""Definitions that Step Functions refuses are refused, each for its fault."""

import copy
import json
from typing import Any

import pytest

from local_aws.asl import check_definition

GOOD: dict[str, Any] = {
    "StartAt": "Query",
    "States": {
        "Query": {
            "Type": "Task",
            "Resource": "arn:aws:states:::athena:startQueryExecution.sync",
            "Parameters": {"QueryString.$": "States.Format('SELECT {}, \\'{}\\'', $.day, $$.Execution.Name)"},
            "ResultPath": "$.query",
            "Retry": [{"ErrorEquals": ["Athena.TooManyRequestsException"]}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Failed"}],
            "Next": "Files",
        },
        "Files": {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:s3:listObjectsV2",
            "Parameters": {"Bucket": "b", "Prefix.$": "$.prefix"},
            "Next": "Any",
        },
        "Any": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.Contents[0]", "IsPresent": True, "Next": "Done"}],
            "Default": "Failed",
        },
        "Done": {"Type": "Succeed"},
        "Failed": {"Type": "Fail", "Error": "Broken"},
    },
}


def with_change(state: str, change: dict[str, Any]) -> str:
    changed = copy.deepcopy(GOOD)
    changed["States"][state] = {k: v for k, v in (changed["States"][state] | change).items() if v != "gone"}
    return json.dumps(changed)


def test_a_good_definition_has_no_fault() -> None:
    assert check_definition(json.dumps(GOOD)) == []


@pytest.mark.parametrize(
    ("state", "change", "fault"),
    [
        ("Query", {"Next": "Nowhere"}, "continues with Nowhere, which is not a state"),
        ("Query", {"Next": "gone"}, "requires either Next or End"),
        ("Query", {"End": True}, "requires either Next or End"),
        ("Query", {"Choices": []}, "has the field Choices, which Task has not"),
        ("Query", {"Type": "Walk"}, "is not a type of state: Walk"),
        ("Query", {"Next": "Failed"}, "States/Files is not reachable from any state"),
        ("Query", {"ResultPath": "$.a[*]"}, "is not a reference path: $.a[*]"),
        ("Query", {"Resource": "arn:aws:states:::athena:startQuery.sync"}, "athena has no operation StartQuery"),
        ("Query", {"Resource": "arn:aws:states:::athena:getQueryResults"}, "is not an optimized integration"),
        ("Query", {"Resource": "arn:aws:states:::athena:startQueryExecution.sync:2"}, "has no .sync:2"),
        ("Query", {"Parameters": {"Query": "SELECT 1"}}, "has Query, which the operation does not have"),
        ("Query", {"Parameters": {"WorkGroup": "w"}}, "lacks QueryString"),
        ("Query", {"Parameters": {"QueryString.$": "States.Format('{} {}', $.day)"}}, "has 1 values for the {}"),
        ("Query", {"Parameters": {"QueryString.$": "States.Upper($.day)"}}, "States.Upper is not an intrinsic"),
        ("Query", {"Parameters": {"QueryString.$": "SELECT 1"}}, "neither a path nor a function"),
        ("Query", {"Parameters": {"QueryString.$": "$.day]"}}, "no path: $.day]"),
        ("Query", {"Parameters": {"QueryString.$": "States.Format('{}', States.Array($.a, b))"}}, "function: b"),
        ("Query", {"Retry": [{"ErrorEquals": ["Athena.Busy"]}]}, "Athena.Busy is not an error"),
        ("Query", {"Retry": [{"ErrorEquals": ["States.Broken"]}]}, "States.Broken is not an error"),
        ("Query", {"Retry": [{"ErrorEquals": ["States.ALL", "Mine"]}]}, "States.ALL must be the only name"),
        ("Files", {"Resource": "arn:aws:states:::aws-sdk:s3:listObjectsV2.sync"}, "has no .sync"),
        ("Files", {"Resource": "arn:aws:states:::aws-sdk:s4:listObjectsV2"}, "there is no service s4"),
        ("Files", {"Parameters": {"bucket": "b"}}, "has bucket, which the operation does not have"),
        ("Files", {"Resource": "arn:aws:lambda:us-east-1:1:function:f"}, "is not an integration"),
        ("Any", {"Choices": [{"Variable": "day", "IsPresent": True, "Next": "Done"}]}, "is not a path: day"),
        ("Any", {"Default": "Nowhere"}, "continues with Nowhere"),
        ("Query", {"Parameters": {"QueryString": "x" * 262_144}}, "has more than 262144 bytes"),
        ("Failed", {"Comment": "x" * 1024 * 1024}, "the definition has more than 1048576 bytes"),
    ],
)
def test_a_fault_is_named(state: str, change: dict[str, Any], fault: str) -> None:
    found = check_definition(with_change(state, change))
    assert any(fault in one for one in found), found


def test_a_text_that_is_not_json_is_named() -> None:
    assert check_definition("{")[0].startswith("the definition is not JSON")
