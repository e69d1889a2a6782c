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
        ("Query", {"Next": "Nowhere"}, "goes on to Nowhere, which is no state"),
        ("Query", {"Next": "gone"}, "needs either Next or End"),
        ("Query", {"End": True}, "needs either Next or End"),
        ("Query", {"Choices": []}, "has the field Choices, which Task has not"),
        ("Query", {"Type": "Walk"}, "is no type of a state: Walk"),
        ("Query", {"Next": "Failed"}, "States/Files is reached from no state"),
        ("Query", {"ResultPath": "$.a[*]"}, "is no reference path: $.a[*]"),
        ("Query", {"Resource": "arn:aws:states:::athena:startQuery.sync"}, "athena has no operation StartQuery"),
        ("Query", {"Resource": "arn:aws:states:::athena:getQueryResults"}, "is no optimized integration"),
        ("Query", {"Resource": "arn:aws:states:::athena:startQueryExecution.sync:2"}, "has no .sync:2"),
        ("Query", {"Parameters": {"Query": "SELECT 1"}}, "has Query, which the operation has not"),
        ("Query", {"Parameters": {"WorkGroup": "w"}}, "lacks QueryString"),
        ("Query", {"Parameters": {"QueryString.$": "States.Format('{} {}', $.day)"}}, "has 1 values for the {}"),
        ("Query", {"Parameters": {"QueryString.$": "States.Upper($.day)"}}, "States.Upper is no intrinsic function"),
        ("Query", {"Parameters": {"QueryString.$": "SELECT 1"}}, "no path and no function"),
        ("Query", {"Parameters": {"QueryString.$": "$.day]"}}, "no path: $.day]"),
        ("Query", {"Parameters": {"QueryString.$": "States.Format('{}', States.Array($.a, b))"}}, "function: b"),
        ("Query", {"Retry": [{"ErrorEquals": ["Athena.Busy"]}]}, "Athena.Busy is no error"),
        ("Query", {"Retry": [{"ErrorEquals": ["States.Broken"]}]}, "States.Broken is no error"),
        ("Query", {"Retry": [{"ErrorEquals": ["States.ALL", "Mine"]}]}, "States.ALL stands alone and last"),
        ("Files", {"Resource": "arn:aws:states:::aws-sdk:s3:listObjectsV2.sync"}, "has no .sync"),
        ("Files", {"Resource": "arn:aws:states:::aws-sdk:s4:listObjectsV2"}, "there is no service s4"),
        ("Files", {"Parameters": {"bucket": "b"}}, "has bucket, which the operation has not"),
        ("Files", {"Resource": "arn:aws:lambda:us-east-1:1:function:f"}, "is no integration"),
        ("Any", {"Choices": [{"Variable": "day", "IsPresent": True, "Next": "Done"}]}, "is no path: day"),
        ("Any", {"Default": "Nowhere"}, "goes on to Nowhere"),
        ("Query", {"Parameters": {"QueryString": "x" * 262_144}}, "has more than 262144 bytes"),
        ("Failed", {"Comment": "x" * 1024 * 1024}, "the definition has more than 1048576 bytes"),
    ],
)
def test_a_fault_is_named(state: str, change: dict[str, Any], fault: str) -> None:
    found = check_definition(with_change(state, change))
    assert any(fault in one for one in found), found


def test_what_is_no_json_is_named() -> None:
    assert check_definition("{")[0].startswith("the definition is no JSON")
