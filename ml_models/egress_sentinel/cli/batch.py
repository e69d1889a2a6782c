"""The command `batch`."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from egress_sentinel.cli.options import AsJson, TerraformDir, outputs_of
from egress_sentinel.cli.output import print_json, print_table, reporter
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from egress_sentinel.progress import Reporter


SCORE = "anomaly_score"


def batch(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Tables to score: .csv with a header line or numbers alone, .parquet; a processed_features.parquet "
            "scores a whole history.",
        ),
    ],
    model: Annotated[Path | None, typer.Option(help="A model.tar.gz, to score on this machine.")] = None,
    bucket: Annotated[str | None, typer.Option(help="The bucket of a deployment, to score there.")] = None,
    terraform_dir: TerraformDir = None,
    model_package: Annotated[
        str | None,
        typer.Option(help="The ARN of an approved model package to score with in place of the deployment's model."),
    ] = None,
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "-o", help="Where results go; replaced as a whole, on success.")
    ] = Path("batch-output"),
    scored_rows: Annotated[
        bool,
        typer.Option(
            "--scored-rows",
            help="Also add the scores of processed_features.parquet files to the bucket's scored rows, without alerts; "
            "hours that the detector has scored stay as they are.",
        ),
    ] = False,
    show: Annotated[
        int, typer.Option(min=0, help="Also print this many rows of each result, the most anomalous ones first.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Score files, here or in a deployment: a line for each input line, in order, with is_anomaly and anomaly_score."""
    from egress_sentinel.deployment.batch import score_in_bucket, score_locally
    from egress_sentinel.output_files import replaced_directory

    progress = reporter()
    if terraform_dir is not None:
        bucket = bucket or str(outputs_of(terraform_dir)["bucket"])
    if scored_rows and bucket is None:
        raise UserError("--scored-rows needs --bucket: they are added to those of a deployment")
    if model_package and bucket is None:
        raise UserError("--model-package needs --bucket: the deployment's registry holds it")
    with replaced_directory(output_dir) as directory, progress.step("batch") as step:
        if model is not None and bucket is None:
            results = score_locally(files, model, directory, track=progress.track)
        elif bucket is not None and model is None:
            results = score_in_bucket(files, bucket, directory, model_package=model_package, track=progress.track)
        else:
            raise UserError("batch takes either --model or --bucket (or --terraform-dir)")
        step.result = f"{len(results)} files in {output_dir}"
        if scored_rows and bucket is not None:
            _add_to_scored_rows(files, results, bucket, progress)
    paths = [str(output_dir / path.name) for path in results]
    if as_json:
        print_json(paths)
    else:
        print("\n".join(paths))
        for path in paths if show else []:
            _print_lowest(Path(path), show)


def _print_lowest(result: Path, count: int) -> None:
    """Print the rows with the lowest scores: their lines, their text columns, and their scores."""
    from batch_scorer.table import is_number

    with result.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if SCORE not in rows[0]:
        raise UserError(f"{result} has no column {SCORE} to sort by; leave out --show")
    scores = ["is_anomaly", SCORE]
    texts = [name for name in rows[0] if name not in scores and not is_number(rows[0][name])]
    lowest = sorted(enumerate(rows, 2), key=lambda numbered: float(numbered[1][SCORE]))[:count]
    columns = [*texts, *scores]
    print_table(["line", *columns], [[str(line), *(row[name] for name in columns)] for line, row in lowest])


def _add_to_scored_rows(files: list[Path], results: list[Path], bucket: str, progress: Reporter) -> None:
    import boto3
    from botocore.exceptions import ClientError

    from egress_sentinel.deployment.backfill import add_to_bucket, model_id_of, scored_history

    s3 = boto3.client("s3")
    for file, result in zip(files, results, strict=True):
        try:
            history = scored_history(file, result, model_id_of(s3, bucket, result))
            done = add_to_bucket(s3, bucket, history)
        except ClientError as error:
            raise UserError(f"not all scored rows of {file.name} were added, do it again: {error}") from error
        progress.note(
            f"{file.name}: {done.rows:,} scored rows of {done.days:,} days added to s3://{bucket}/scored/; "
            f"{done.hours_kept:,} hours were scored before and stay"
        )
