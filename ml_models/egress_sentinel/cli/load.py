"""The command `load`."""

from __future__ import annotations

import json
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from egress_sentinel.deployment.load import LoadResult

DEFAULT_REQUESTS = 200


def load(
    endpoint_name: Annotated[str, typer.Argument(metavar="ENDPOINT", help="The endpoint's name.")] = "egress-sentinel",
    endpoint_url: Annotated[
        str | None, typer.Option(help="An endpoint that `serve` has up; default: AWS, or what AWS_ENDPOINT_URL names.")
    ] = None,
    concurrency: Annotated[int, typer.Option("--concurrency", "-c", min=1, help="Clients at the same time.")] = 4,
    requests: Annotated[
        int | None, typer.Option("--requests", "-n", min=1, help=f"In all (default {DEFAULT_REQUESTS}).")
    ] = None,
    duration: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Begin requests for so long, instead of -n.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, metavar="R", help="Begin R requests a second; latencies count from when each was due."),
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows in each request.")] = 1,
    content_type: Annotated[
        str, typer.Option(help="text/csv, application/json or application/x-parquet; any with --body.")
    ] = "text/csv",
    accept: Annotated[str, typer.Option(help="What is asked for.")] = "text/csv;output=scores",
    body: Annotated[Path | None, typer.Option(help="Send this file instead of made-up rows.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw the distribution of the latencies (SVG).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")] = False,
) -> None:
    """Ask an endpoint as many clients at once would: requests a second, latency percentiles, errors.

    Each request is billed as any other. Exit status 1 where one was refused or failed.
    """
    from egress_sentinel.deployment.load import Endpoint, Plan, made_up_body, run
    from egress_sentinel.deployment.load import picture as drawn
    from egress_sentinel.output_files import write_text

    if requests is not None and duration is not None:
        raise UserError("load takes either --requests or --duration")
    endpoint = Endpoint(endpoint_name, endpoint_url, concurrency)
    sent = _bytes(body) if body else made_up_body(endpoint.feature_names(), rows, content_type)
    plan = Plan(
        body=sent,
        content_type=content_type,
        accept=accept,
        rows=0 if body else rows,
        concurrency=concurrency,
        requests=requests if duration is not None else requests or DEFAULT_REQUESTS,
        seconds=duration,
        per_second=rate,
    )
    result = run(endpoint, plan)
    if picture:
        what = body.name if body else f"{rows:,} row{'' if rows == 1 else 's'} of {content_type}"
        write_text(picture, drawn(result, f"{endpoint_name}: {what}, {concurrency} clients"))
    if as_json:
        print(json.dumps(result.record(), indent=2))
    else:
        _print(result)
    if result.errors:
        raise typer.Exit(1)


def _print(result: LoadResult) -> None:
    table = Table(show_header=False)
    rows = f", {result.rows_per_second:,.0f} rows/s" if result.rows_per_second else ""
    table.add_row("requests", f"{result.requests:,} in {result.seconds:,.2f} s")
    table.add_row("answered", f"{result.requests_per_second:,.1f} requests/s{rows}")
    table.add_row("first request", f"{result.first_request_ms:,.1f} ms")
    for name, value in result.latency_ms.items():
        table.add_row(name, f"{value:,.1f} ms")
    table.add_row("bytes", f"{result.request_bytes:,} sent, {result.response_bytes:,} received")
    for kind, amount in result.errors.items():
        table.add_row(f"[red]{kind}[/]", f"{amount:,}")
    if not result.errors:
        table.add_row("errors", "none")
    Console(width=None if sys.stdout.isatty() else 100).print(table)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
