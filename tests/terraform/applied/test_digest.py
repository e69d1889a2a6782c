"""The weekly digest of an applied stack, by its own function, rights and schedule."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.applied import read_messages
from tests.support.stack import Stack

SUBJECT = "Egress digest 2026-08-03: no incidents, $0 above expected"


def test_the_digest_of_a_week_is_published_once(stacks: dict[str, Stack]) -> None:
    stack = stacks["complete"]
    messages = read_messages(stack)
    s3, outputs = stack.aws.client("s3"), stack.outputs()
    for number in range(14):
        day = datetime(2026, 7, 27, tzinfo=UTC) + timedelta(days=number)
        names = {"account_id": "111122223333", "region": "eu-west-1", "egress_class": "internet", "resource_id": "a"}
        rows = pa.Table.from_pylist([{"hour_utc": day, **names, "cost_usd": 1.0 if number < 7 else 2.0}])
        body = io.BytesIO()
        pq.write_table(rows, body)
        s3.put_object(Bucket=outputs["bucket"], Key=f"scored/day={day:%Y-%m-%d}/scores.parquet", Body=body.getvalue())

    def invoke(event: dict[str, str]) -> Any:
        answer = stack.aws.client("lambda").invoke(
            FunctionName=outputs["digest_function_name"], Payload=json.dumps(event)
        )
        result = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, result
        return result

    schedule = {"detail-type": "Scheduled Event", "time": "2026-08-11T08:00:00Z"}
    assert invoke(schedule) == {"week": "2026-08-03", "published": True}
    assert invoke({"week": "2026-08-05"}) == {"week": "2026-08-03", "published": False}
    (message,) = [each for each in messages() if each.get("Subject") == SUBJECT]
    assert "Data transfer cost $14.00, after $7.00 in the week before (+100 %)." in message["Message"]
    rule = stack.aws.client("events").describe_rule(Name=f"{outputs['digest_function_name']}-schedule")
    assert (rule["ScheduleExpression"], rule["State"]) == ("cron(0 8 ? * TUE *)", "ENABLED")
