"""CPU of a run in one process against the deployed path on this machine: `python -m benchmarks.local_runs`.

Both score the demo's last 14 days with the same model. The deployed path is a local AWS, an endpoint and the Lambda
function, each in a separate process, as the commands ran before they decided in process. The alerts must be equal.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from egress_features import build_features
from egress_sentinel.demo import write_demo_bill
from egress_sentinel.pipeline.training import train

SCORE = "from egress_sentinel.cli.app import main; import sys; sys.argv[0] = 'egress-sentinel'; main()"


def in_process(features: Path, model: Path, start: datetime, output: Path) -> list[str]:
    """Return the command of a run in one process."""
    return [sys.executable, "-c", SCORE, "score", str(features), "--model", str(model), "--start", start.isoformat(),
            "--output-dir", str(output), "--json"]  # fmt: skip


def deployed(features: Path, model: Path, start: datetime, output: Path) -> list[str]:
    """Return the command of a run through the deployed path."""
    return [sys.executable, "-m", "benchmarks.local_runs", "--deployed", str(features), str(model), start.isoformat(),
            str(output)]  # fmt: skip


def run_deployed(features: Path, model: Path, start: datetime, output: Path) -> list[str]:
    """Score day by day through the endpoint, the Lambda function and a local AWS; return the alerts' ids."""
    from egress_sentinel.serving.local_endpoint import LocalEndpoint
    from local_aws import LocalAws, create_detector_resources
    from local_aws.lambda_runner import LambdaProcess

    output.mkdir()
    table = pq.read_table(features)
    table = table.filter(pc.greater_equal(table["hour_utc"], start))
    day_of_row = pc.strftime(table["hour_utc"], format="%Y-%m-%d")
    days = sorted(pc.unique(day_of_row).to_pylist())
    found: list[str] = []
    with LocalEndpoint(model, endpoint_name="sentinel") as endpoint, LocalAws() as aws:
        resources = create_detector_resources(aws)
        for day in days:
            body = io.BytesIO()
            pq.write_table(table.filter(pc.equal(day_of_row, day)), body)
            key = f"features/day={day}/features.parquet"
            aws.client("s3").put_object(Bucket=resources.bucket, Key=key, Body=body.getvalue())
        environment = aws.environment() | resources.environment("sentinel")
        environment["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"] = endpoint.url
        handler = "anomaly_detector.handler.lambda_handler"
        with LambdaProcess(handler, environment=environment, log_file=output / "log") as function:
            for day in days:
                first = datetime.fromisoformat(day).replace(tzinfo=UTC)
                event = {"start": first.isoformat(), "end": (first + timedelta(days=1)).isoformat()}
                found += function.invoke(event)["alerts"]
    return found


def measured(command: list[str]) -> tuple[float, list[str]]:
    """Return the CPU seconds of a command and all that it started, and the alert ids that it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    alerts = json.loads(done.stdout)
    ids = sorted(alert if isinstance(alert, str) else alert["alert_id"] for alert in alerts)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, ids


def main() -> int:
    """Print the ratio of each run, and the spread."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.local_runs", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of both paths, one after the other")
    parser.add_argument("--deployed", nargs=4, metavar=("FEATURES", "MODEL", "START", "OUTPUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.deployed:
        features, model, start, output = options.deployed
        print(json.dumps(run_deployed(Path(features), Path(model), datetime.fromisoformat(start), Path(output))))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bill = write_demo_bill(folder / "bill", seed=7)
        features, model = folder / "features.parquet", folder / "model.tar.gz"
        build_features(bill.files, features)
        train(features, model, until=bill.score_from)
        ratios = []
        for number in range(options.runs):
            theirs, expected = measured(deployed(features, model, bill.score_from, folder / f"deployed-{number}"))
            ours, found = measured(in_process(features, model, bill.score_from, folder / f"here-{number}"))
            if found != expected:
                raise SystemExit(f"the alerts differ: {found} in process, {expected} through the deployed path")
            ratios.append(theirs / ours)
            print(f"score, {len(found)} alerts: deployed path {theirs:.1f} s of CPU, in process {ours:.2f} s, "
                  f"{theirs / ours:.1f} times less")  # fmt: skip
    print(f"score in process: {min(ratios):.1f} to {max(ratios):.1f} times less CPU in {len(ratios)} runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
