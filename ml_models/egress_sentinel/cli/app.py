"""The command line `egress-sentinel`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from egress_sentinel import cli as commands
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from egress_alerts.alert import Alert

app = typer.Typer(
    name="egress-sentinel",
    help="Find, price and explain unusual AWS data-transfer charges in a billing export, hour by hour.",
    epilog="Start with: egress-sentinel run EXPORT...   Bad input ends with one sentence and exit status 2.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Exports = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="EXPORT...",
        help="Files, globs or folders of billing exports with hourly lines and resource ids: legacy CUR, CUR 2.0, "
        "FOCUS 1.0 to 1.2, also mixed (.parquet, .csv, .csv.gz). In a folder of AWS's, its manifests say which files.",
    ),
]
Features = Annotated[Path, typer.Argument(metavar="FEATURES", help="A processed_features.parquet.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
OutputDir = Annotated[
    Path, typer.Option("--output-dir", "-o", help="Where everything is written; replaced as a whole, on success.")
]
TrainUntil = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="The first hour (UTC) to score, such as 2026-10-16 or 2026-10-16T08:00Z. "
        "Default: 60 % of the time range, at least 14 days.",
    ),
]
Trees = Annotated[int, typer.Option(min=1, help="Trees of the Isolation Forest.")]
Contamination = Annotated[
    str, typer.Option(help="Share of the training hours that the forest calls anomalous (0 to 0.5), or auto.")
]
Engine = Literal["duckdb", "spark"]
Seed = Annotated[int, typer.Option(min=0, help="random_state of the Isolation Forest.")]

DEFAULT_TREES = 200
DEFAULT_CONTAMINATION = "0.01"
DEFAULT_SEED = 42


@app.command()
def run(
    exports: Exports = None,
    output_dir: OutputDir = Path("egress-sentinel-output"),
    train_until: TrainUntil = None,
    policy: commands.policy.PolicyFile = None,
    min_excess_usd: commands.policy.MinExcessUsd = None,
    min_excess_gb: commands.policy.MinExcessGb = None,
    min_excess_percent: commands.policy.MinExcessPercent = None,
    n_estimators: Trees = DEFAULT_TREES,
    contamination: Contamination = DEFAULT_CONTAMINATION,
    random_state: Seed = DEFAULT_SEED,
    flow_logs: commands.flow_logs.Paths = None,
    network: commands.flow_logs.Network = None,
    prices: commands.flow_logs.Prices = None,
    bill_complete_until: commands.flow_logs.CompleteUntil = None,
    feedback: commands.feedback.FeedbackFile = None,
    planned: commands.planned.PlannedFile = None,
    as_json: AsJson = False,
) -> None:
    """Do the whole job on a bill: features, training, scoring hour by hour, alerts, report."""
    from egress_features import find_exports
    from egress_sentinel.output_files import replaced_directory
    from egress_sentinel.pipeline.job import REPORT_FILE, run_job
    from egress_sentinel.pipeline.time_range import parse_hour

    until = parse_hour(train_until, "--train-until") if train_until else None
    seen = commands.flow_logs.flow_logs_of(exports, flow_logs, network, prices, bill_complete_until)
    with replaced_directory(output_dir) as directory:
        result = run_job(
            find_exports(exports or []),
            directory,
            _reporter(),
            flow_logs=seen,
            train_until=until,
            hyperparameters=_hyperparameters(n_estimators, contamination, random_state),
            policy=commands.policy.policy_of(policy, min_excess_usd, min_excess_gb, min_excess_percent),
            feedback=commands.feedback.records(feedback),
            planned=commands.planned.events(planned),
        )
    _print_alerts(result.alerts, as_json=as_json)
    _say(f"report: {output_dir / REPORT_FILE}")


@app.command()
def features(
    exports: Exports = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write.")] = Path(
        "processed_features.parquet"
    ),
    flow_logs: commands.flow_logs.Paths = None,
    network: commands.flow_logs.Network = None,
    prices: commands.flow_logs.Prices = None,
    bill_complete_until: commands.flow_logs.CompleteUntil = None,
    engine: Annotated[
        Engine, typer.Option(help="What runs the query: DuckDB, or Spark (needs the extra spark, and Java 17).")
    ] = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Turn billing exports into one row for each series and hour: measures, expected values, features."""
    from egress_features import build_features, find_exports, open_engine

    seen = commands.flow_logs.flow_logs_of(exports, flow_logs, network, prices, bill_complete_until)
    reporter = _reporter()
    files = find_exports(exports or [])
    with reporter.step("features") as step, open_engine(engine) as runner:
        summary = build_features(files, output, engine=runner, flow_logs=seen)
        step.result = f"{summary.rows:,} hours of {summary.series:,} series in {output}"
    for note in summary.notes:
        reporter.note(note)
    if as_json:
        _print_json(_summary_record(summary))


@app.command()
def train(
    features: Features,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write.")] = Path("model.tar.gz"),
    until: TrainUntil = None,
    n_estimators: Trees = DEFAULT_TREES,
    contamination: Contamination = DEFAULT_CONTAMINATION,
    random_state: Seed = DEFAULT_SEED,
    search: Annotated[
        bool, typer.Option("--search", help="Try several forests, judge each on the last fifth of the time range.")
    ] = False,
    feedback: commands.feedback.FeedbackFile = None,
    planned: commands.planned.PlannedFile = None,
    alerts: commands.feedback.AlertsFile = None,
    as_json: AsJson = False,
) -> None:
    """Train the Isolation Forest with the training script, as a SageMaker training job runs it."""
    from egress_sentinel.pipeline.time_range import parse_hour
    from egress_sentinel.pipeline.training import train as train_model

    reporter = _reporter()
    if search and (feedback or planned or alerts):
        raise UserError(
            "--search leaves no hours out yet; train without it where there is --feedback, --planned or --alerts"
        )
    if search:
        given = _hyperparameters(n_estimators, contamination, random_state)
        first = parse_hour(until, "--until") if until else None
        commands.training.search(features, output, reporter, until=first, hyperparameters=given, as_json=as_json)
        return
    with reporter.step("train") as step:
        metrics = train_model(
            features,
            output,
            until=parse_hour(until, "--until") if until else None,
            hyperparameters=_hyperparameters(n_estimators, contamination, random_state),
            feedback=commands.feedback.records(feedback),
            planned=commands.planned.events(planned),
            alerts=commands.feedback.alerts_of(alerts),
        )
        left_out = f" ({metrics['rows_left_out']:,} left out)" if metrics["rows_left_out"] else ""
        step.result = f"{metrics['rows']:,} hours{left_out}, artifact in {output}"
    if as_json:
        _print_json(metrics)


@app.command()
def serve(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model.tar.gz or an unpacked model directory.")],
    endpoint_name: Annotated[
        str, typer.Option(help="The name that clients give to invoke_endpoint.")
    ] = "egress-sentinel",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    body_limit_mb: Annotated[
        int, typer.Option(min=1, help="4 as on a serverless endpoint, 6 as on a real-time one.")
    ] = 4,
) -> None:
    """Serve a model as a SageMaker endpoint does: /ping, /invocations, and boto3's invoke_endpoint unchanged."""
    from egress_sentinel.serving.local_endpoint import main as serve_endpoint

    arguments = ["--model", str(model), "--endpoint-name", endpoint_name]
    arguments += ["--port", str(port), "--body-limit-mb", str(body_limit_mb)]
    raise typer.Exit(serve_endpoint(arguments))


@app.command()
def score(
    features: Features,
    model: Annotated[Path | None, typer.Option(help="A model.tar.gz to serve for this run.")] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="An endpoint that `serve` has up already.")] = None,
    endpoint_name: Annotated[str, typer.Option(help="The endpoint's name there.")] = "egress-sentinel",
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="First hour (UTC); default: the first there is.")
    ] = None,
    end: Annotated[
        str | None, typer.Option(metavar="TIME", help="Hour (UTC) to stop before; default: the last there is.")
    ] = None,
    output_dir: OutputDir = Path("egress-sentinel-output"),
    policy: commands.policy.PolicyFile = None,
    min_excess_usd: commands.policy.MinExcessUsd = None,
    min_excess_gb: commands.policy.MinExcessGb = None,
    min_excess_percent: commands.policy.MinExcessPercent = None,
    feedback: commands.feedback.FeedbackFile = None,
    planned: commands.planned.PlannedFile = None,
    as_json: AsJson = False,
) -> None:
    """Let the Lambda handler score hours of features through an endpoint, and print the alerts."""
    from egress_sentinel.output_files import replaced_directory
    from egress_sentinel.pipeline.alerts import suppressed_line
    from egress_sentinel.pipeline.scoring import score as score_features
    from egress_sentinel.pipeline.time_range import parse_hour

    reporter = _reporter()
    with replaced_directory(output_dir) as directory, reporter.step("score") as step:
        result = score_features(
            features,
            directory,
            model_tar=model,
            endpoint_url=endpoint_url,
            endpoint_name=endpoint_name,
            start=parse_hour(start, "--start") if start else None,
            end=parse_hour(end, "--end") if end else None,
            policy=commands.policy.policy_of(policy, min_excess_usd, min_excess_gb, min_excess_percent),
            feedback=commands.feedback.records(feedback),
            planned=commands.planned.events(planned),
            track=reporter.track,
        )
        step.result = result.in_words()
    for alert in result.suppressed:
        reporter.note(suppressed_line(alert))
    _print_alerts(result.alerts, as_json=as_json)


@app.command()
def report(
    alerts: Annotated[Path, typer.Argument(metavar="ALERTS", help="An alerts.json as `score` and `run` write it.")],
    features: Annotated[Path, typer.Option(help="The processed_features.parquet that was scored.")],
    scored: Annotated[Path | None, typer.Option(help="The scored/ folder, for the scores over time.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write.")] = Path("report.html"),
) -> None:
    """Make one self-contained HTML page of alerts and features."""
    from egress_sentinel.pipeline.alerts import read_alerts
    from egress_sentinel.report import write_report

    with _reporter().step("report") as step:
        found = read_alerts(alerts)
        suppressed = [alert for alert in found if alert["suppressed_by"]]
        notified = [alert for alert in found if not alert["suppressed_by"]]
        write_report(notified, features, output, scored=scored, quiet=suppressed)
        step.result = str(output)


@app.command()
def demo(
    output_dir: OutputDir = Path("demo-output"),
    seed: Annotated[int, typer.Option(min=0, help="Another seed makes another bill.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Make a 60-day bill of five accounts with known incidents, run the whole job on it, and compare."""
    from egress_sentinel.demo import write_demo_bill
    from egress_sentinel.demo.outcome import compare, outcome_lines
    from egress_sentinel.output_files import replaced_directory
    from egress_sentinel.pipeline.job import REPORT_FILE, run_job

    reporter = _reporter()
    with replaced_directory(output_dir) as directory:
        with reporter.step("bill") as step:
            bill = write_demo_bill(directory, seed=seed)
            step.result = f"{bill.lines:,} lines, {bill.incidents} labelled incidents"
        labels = json.loads(bill.labels.read_text(encoding="utf-8"))
        result = run_job(bill.files, directory, reporter, train_until=bill.score_from, labels=labels)
    _print_alerts(result.alerts, as_json=as_json)
    for line in outcome_lines(compare(result.alerts, labels)):
        _say(line)
    _say(f"report: {(output_dir / REPORT_FILE).absolute()}")


app.command()(commands.backtest.backtest)
app.command()(commands.batch.batch)
app.command()(commands.training.importance)
app.command()(commands.sources.sources)
app.command()(commands.aws.verify)
app.command()(commands.cost.cost)
app.command()(commands.drift.drift)
app.command()(commands.feedback.feedback)
app.command()(commands.planned.planned)
app.command()(commands.flow_logs.flow_hours)
app.command()(commands.load.load)
app.command()(commands.series.series)
app.command()(commands.series.series_train)
app.add_typer(commands.aws.local)
app.add_typer(commands.models.models)


def main() -> None:
    """Run the command line; an error that a person can mend is one sentence and exit status 2."""
    from egress_features import BadInputError
    from egress_sentinel.serving.local_endpoint import LocalEndpointError
    from local_aws.lambda_runner import LambdaError

    try:
        app()
    except (UserError, BadInputError, LocalEndpointError, LambdaError) as error:
        _say(f"egress-sentinel: {error}")
        sys.exit(2)


def _reporter() -> Any:
    from egress_sentinel.progress import Reporter

    return Reporter(Console(stderr=True))


def _hyperparameters(n_estimators: int, contamination: str, random_state: int) -> dict[str, str]:
    return {
        "n_estimators": str(n_estimators),
        "contamination": contamination,
        "random_state": str(random_state),
    }


def _print_alerts(alerts: list[Alert], *, as_json: bool) -> None:
    from egress_sentinel.pipeline.alerts import alerts_table

    if as_json:
        _print_json(alerts)
    elif alerts:
        Console(width=None if sys.stdout.isatty() else 160).print(alerts_table(alerts))
    else:
        print("no alerts")


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))


def _summary_record(summary: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return json.loads(json.dumps(asdict(summary), default=str))  # type: ignore[no-any-return]


def _say(sentence: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(sentence, markup=False)


if __name__ == "__main__":
    main()
