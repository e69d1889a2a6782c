"""The command `run`."""

from __future__ import annotations

from egress_sentinel.cli import options
from egress_sentinel.cli.alerts_table import print_alerts
from egress_sentinel.cli.output import reporter, say


def run(
    exports: options.Exports = None,
    output_dir: options.OutputDir = options.DEFAULT_OUTPUT_DIR,
    train_until: options.TrainUntil = None,
    policy: options.PolicyFile = None,
    min_excess_usd: options.MinExcessUsd = None,
    min_excess_gb: options.MinExcessGb = None,
    min_excess_percent: options.MinExcessPercent = None,
    n_estimators: options.Trees = options.DEFAULT_TREES,
    contamination: options.Contamination = options.DEFAULT_CONTAMINATION,
    random_state: options.Seed = options.DEFAULT_SEED,
    flow_logs: options.FlowLogPaths = None,
    network: options.Network = None,
    prices: options.Prices = None,
    bill_complete_until: options.CompleteUntil = None,
    flow_log_format: options.FlowLogFormat = None,
    feedback: options.FeedbackFile = None,
    planned: options.PlannedFile = None,
    owners: options.OwnersFile = None,
    cloudtrail: options.CloudTrailLogs = None,
    tag: options.Tags = None,
    as_json: options.AsJson = False,
) -> None:
    """Analyze a bill: build features, train a model, score each hour, and write alerts and a report."""
    from egress_sentinel.output_files import replaced_directory
    from egress_sentinel.pipeline.exports import open_exports
    from egress_sentinel.pipeline.job import REPORT_FILE, run_job

    until = options.hour(train_until, "--train-until")
    seen = options.flow_logs_of(exports, flow_logs, network, prices, bill_complete_until, flow_log_format)
    rules = options.policy_of(policy, min_excess_usd, min_excess_gb, min_excess_percent)
    verdicts, calendar = options.feedback_of(feedback), options.planned_of(planned)
    teams = options.owners_of(owners)
    find_changes = options.changes_of(cloudtrail)
    progress = reporter()
    with replaced_directory(output_dir) as directory, open_exports(exports or [], progress) as found:
        result = run_job(
            found.files(),
            directory,
            progress,
            flow_logs=seen,
            train_until=until,
            hyperparameters=options.hyperparameters(n_estimators, contamination, random_state),
            policy=rules,
            feedback=verdicts,
            planned=calendar,
            owners=teams,
            find_changes=find_changes,
            tags=tag,
        )
    print_alerts(result.alerts, as_json=as_json, file=output_dir / "alerts.json")
    say(f"report: {output_dir / REPORT_FILE}")
