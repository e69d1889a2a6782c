"""The command `load`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from egress_sentinel.cli.options import AsJson, read_text
from egress_sentinel.cli.output import print_json, print_table
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from egress_sentinel.deployment.load import LoadResult


def load(
    endpoint_name: Annotated[str, typer.Argument(metavar="ENDPOINT", help="The endpoint's name.")] = "egress-sentinel",
    endpoint_url: Annotated[
        str | None, typer.Option(help="The URL of an endpoint that `serve` started. Default: AWS, or AWS_ENDPOINT_URL.")
    ] = None,
    concurrency: Annotated[int, typer.Option("--concurrency", "-c", min=1, help="Clients at the same time.")] = 4,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.001, metavar="R", help="Start R requests per second; latencies count from when each was due."
        ),
    ] = None,
    duration: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Start requests for this long.")] = 10.0,
    body: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What each request sends, to any model: a .json file, or CSV. Default: a row of the model's features.",
        ),
    ] = None,
    percentiles: Annotated[
        str, typer.Option(metavar="P,...", help="Percentiles of the latency, from 0 to 100.")
    ] = "50,90,95,99",
    as_json: AsJson = False,
) -> None:
    """Load-test an endpoint with concurrent clients: throughput, latency percentiles, errors.

    Each request sends one row, or the file, and is billed like any other. Exit status 1 where one is refused or fails.
    """
    from egress_sentinel.deployment.load import Endpoint, Plan, run

    plan = Plan(concurrency, duration, rate, _percentiles(percentiles))
    kind = "application/json" if body and body.suffix == ".json" else "text/csv"
    types = {"content_type": kind, "accept": kind} if body else {}
    endpoint = Endpoint(endpoint_name, endpoint_url, concurrency, **types)
    result = run(endpoint, read_text(body).encode() if body else endpoint.one_row(), plan)
    if as_json:
        print_json(asdict(result))
    else:
        _print(result)
    if result.errors:
        raise typer.Exit(1)


def _percentiles(text: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 <= percentile <= 100 for percentile in found):
        raise UserError(f"--percentiles takes numbers from 0 to 100, such as 50,99.9, not {text!r}")
    return found


def _print(result: LoadResult) -> None:
    rows: list[tuple[str | Text, str]] = [
        ("requests", f"{result.requests:,} in {result.seconds:,.2f} s"),
        ("answered", f"{result.requests_per_second:,.1f} requests/s"),
        ("first request", f"{result.first_request_ms:,.1f} ms"),
        *((name, f"{value:,.1f} ms") for name, value in result.latency_ms.items()),
        *((Text(kind, "red"), f"{amount:,}") for kind, amount in result.errors.items()),
    ]
    if not result.errors:
        rows.append(("errors", "none"))
    print_table(["", ""], rows, show_header=False)
