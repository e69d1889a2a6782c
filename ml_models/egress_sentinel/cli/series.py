"""The commands for any `timestamp,value` series."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egress_sentinel.cli.options import AsJson
from egress_sentinel.cli.output import print_json, print_table, reporter, say
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from anomaly_detection.time_series.data import Series
    from anomaly_detection.time_series.detector import SeriesScores, SeriesSettings

File = Annotated[Path, typer.Argument(metavar="FILE", help="CSV with the columns timestamp and value.")]
Plot = Annotated[
    Path | None, typer.Option(help="Draw the series with its anomaly scores below: an .html or a .png file.")
]


def series(
    file: File,
    plot: Plot = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Calibrated score from which a row is an alert (default 0.335).")
    ] = None,
    learning_rows: Annotated[
        int | None,
        typer.Option(min=2, help="Rows at the start that raise no alert (default 15 % of them, at most 750)."),
    ] = None,
    n_estimators: Annotated[int, typer.Option(min=1, help="Trees of each Isolation Forest.")] = 300,
    random_state: Annotated[int, typer.Option(min=0, help="random_state of each Isolation Forest.")] = 0,
    pipeline: Annotated[
        Path | None, typer.Option(help="Score by the pipeline that series-train wrote into this folder, served here.")
    ] = None,
    endpoint_name: Annotated[
        str | None, typer.Option(help="Score by a pipeline in AWS (AWS_ENDPOINT_URL names a local one).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find incidents in any series of timestamps and values, such as sensors and metrics."""
    from anomaly_detection.time_series.detector import SeriesSettings
    from egress_sentinel.pipeline.series import alert_records
    from egress_sentinel.report.pictures import check_picture_name, write_series

    if plot:
        check_picture_name(plot, png=True)
    given = _read(file)
    settings = SeriesSettings(
        n_estimators=n_estimators,
        random_state=random_state,
        learning_rows=learning_rows,
        threshold=SeriesSettings.threshold if threshold is None else threshold,
    )
    scores = _scores(file, given, settings, pipeline, endpoint_name)
    alerts = alert_records(given, scores)
    if plot:
        rows = [alert.row for alert in scores.alerts]
        write_series(plot, file.name, given, scores.calibrated, rows, settings.threshold)
    if as_json:
        print_json({"rows": len(given.values), "threshold": settings.threshold, "alerts": alerts})
        return
    if not alerts:
        print(f"no alerts in {len(given.values):,} rows")
        return
    columns = ["since", "value", "score", "seen before", "what isolates it", "worse until", "score"]
    incidents = groupby(alerts, key=lambda alert: alert["incident"])
    print_table(columns, [_cells(*group) for _, group in incidents])


def series_train(
    file: File,
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "-o", help="The folder for preprocessor.tar.gz and model.tar.gz.")
    ] = Path("series-pipeline"),
    n_estimators: Annotated[int, typer.Option(min=1, help="Trees of the Isolation Forest.")] = 300,
    random_state: Annotated[int, typer.Option(min=0, help="random_state of the Isolation Forest.")] = 42,
    as_json: AsJson = False,
) -> None:
    """Train an inference pipeline on a series: a preprocessor and a forest, for two containers of one endpoint."""
    from egress_sentinel.pipeline.series import train_pipeline

    hyperparameters = {"n_estimators": str(n_estimators), "random_state": str(random_state)}
    with reporter().step("train") as step:
        metrics = train_pipeline(file, output_dir, hyperparameters)
        step.result = f"{metrics['rows']:,} rows, artifacts in {output_dir}"
    if as_json:
        print_json(metrics)


def _cells(alert: dict[str, Any], *others: dict[str, Any]) -> list[str]:
    worst = [others[-1]["timestamp"], f"{others[-1]['score']:.3f}"] if others else ["", ""]
    reasons = ", ".join(reason["feature"] for reason in alert["reasons"]) or "not asked for"
    rarity = f"1 in {1 / alert['tail_probability']:,.0f} rows"
    return [alert["timestamp"], f"{alert['value']:g}", f"{alert['score']:.3f}", rarity, reasons, *worst]


def _scores(
    file: Path, series: Series, settings: SeriesSettings, pipeline: Path | None, endpoint_name: str | None
) -> SeriesScores:
    from egress_sentinel.pipeline.series import detect, detect_with, endpoint, local_pipeline

    if pipeline and endpoint_name:
        raise UserError("series takes either --pipeline or --endpoint-name")
    if pipeline:
        with local_pipeline(pipeline) as invoke:
            return detect_with(invoke, file, series, settings)
    if endpoint_name:
        return detect_with(endpoint(endpoint_name), file, series, settings)
    return detect(file, series, settings)


def _read(file: Path) -> Series:
    from egress_sentinel.pipeline.series import read

    found = read(file)
    for note in found.notes:
        say(note)
    return found
