"""The command `serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def serve(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model.tar.gz or an unpacked model directory.")],
    endpoint_name: Annotated[
        str, typer.Option(help="The name that clients give to invoke_endpoint.")
    ] = "egress-sentinel",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 selects a free one.")] = 8080,
    body_limit_mb: Annotated[
        int, typer.Option(min=1, help="Largest request in MB: 4 on serverless, 6 on real-time endpoints.")
    ] = 4,
) -> None:
    """Serve a model as a SageMaker endpoint does: /ping, /invocations, and boto3's invoke_endpoint unchanged."""
    from egress_sentinel.serving.local_endpoint import main

    arguments = ["--model", str(model), "--endpoint-name", endpoint_name]
    arguments += ["--port", str(port), "--body-limit-mb", str(body_limit_mb)]
    raise typer.Exit(main(arguments))
