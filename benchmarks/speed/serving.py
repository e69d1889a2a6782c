"""Requests: `python -m benchmarks.speed.serving [--quick]`.

The rival is a tutorial's inference script (tutorial.py) with the same forest, behind the same server. It writes the
whole table back, as tutorials do. Ours writes scores alone, and in `whole_table` the whole table as well.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from anomaly_detection import inference_script
from benchmarks.speed import tutorial
from benchmarks.speed.common import (
    NAMES,
    RIVAL_MODULE,
    best,
    check_equal,
    report,
    rival_model,
    rows,
    scores_of,
    trained_model,
)
from egress_sentinel.serving.local_endpoint import LocalEndpoint

if TYPE_CHECKING:
    from types import ModuleType

JSON, CSV = "application/json", "text/csv"
SCORES = "text/csv;output=scores"
TWENTY = [f"feature_{number:02d}" for number in range(20)]
MEASUREMENTS = 5


def answer(script: ModuleType, model: Any, body: str | bytes, content_type: str, accept: str) -> tuple[str, str]:
    """Call the functions as the container does."""
    result: tuple[str, str] = script.output_fn(script.predict_fn(script.input_fn(body, content_type), model), accept)
    return result


def one_row_by_functions(model_dir: Path, repeats: int) -> None:
    """One record, JSON in and out."""
    body = _one_record()
    ours, theirs = inference_script.model_fn(str(model_dir)), tutorial.model_fn(str(model_dir))
    our_seconds, our_answer = best(
        lambda: answer(inference_script, ours, body, JSON, JSON), 20 * repeats, time.process_time
    )
    seconds, their_answer = best(lambda: answer(tutorial, theirs, body, JSON, JSON), repeats, time.process_time)
    check_equal(scores_of(*our_answer), scores_of(*their_answer))
    report("one row, JSON, handler functions", seconds, our_seconds, 100)


def one_row_by_http(model_dir: Path, folder: Path, repeats: int) -> None:
    """Send the same record through the local endpoint's server."""
    body = _one_record()
    found = []
    for directory, program in ((rival_model(model_dir, folder), RIVAL_MODULE), (model_dir, None)):
        if program:
            os.environ["SAGEMAKER_PROGRAM"] = program
        with LocalEndpoint(directory) as endpoint:
            found.append(best(lambda url=endpoint.url: _post(url, body), 3 * repeats))
        os.environ.pop("SAGEMAKER_PROGRAM", None)
    (seconds, theirs), (our_seconds, ours) = found
    check_equal(scores_of(ours, JSON), scores_of(theirs, JSON))
    report("one row, JSON, through the local server", seconds, our_seconds, 25)


def many_rows(model_dir: Path, count: int, repeats: int) -> None:
    """Many rows in each content type, scores out; the rival reads CSV and writes its table as CSV."""
    values = rows(count, seed=1)
    table = pa.table({name: values[:, i] for i, name in enumerate(NAMES)})
    doubles = pd.DataFrame(values.astype(np.float64), columns=NAMES)
    csv_text, parquet, npy = doubles.to_csv(index=False), io.BytesIO(), io.BytesIO()
    pq.write_table(table, parquet)
    np.save(npy, values)
    ours, theirs = inference_script.model_fn(str(model_dir)), tutorial.model_fn(str(model_dir))
    seconds, their_answer = best(lambda: answer(tutorial, theirs, csv_text, CSV, CSV), repeats, time.process_time)
    bodies: dict[str, tuple[str | bytes, str, float]] = {
        "CSV": (csv_text, CSV, 6),
        "parquet": (parquet.getvalue(), "application/x-parquet", 10),
        "npy": (npy.getvalue(), "application/x-npy", 10),
    }
    for name, (body, content_type, target) in bodies.items():
        our_seconds, our_answer = best(
            lambda body=body, kind=content_type: answer(inference_script, ours, body, kind, SCORES),
            3 * repeats,
            time.process_time,
        )
        check_equal(scores_of(*our_answer), scores_of(*their_answer))
        report(f"{count:,} rows, {name}, scores out", seconds, our_seconds, target)


def whole_table(model_dir: Path, count: int, repeats: int) -> None:
    """Many rows of 20 columns, the whole table back, with the spread over several measurements."""
    table = pd.DataFrame(rows(count, seed=1, width=len(TWENTY)).astype(np.float64), columns=TWENTY)
    bodies = ((JSON, json.dumps(table.to_dict(orient="records")), 2), (CSV, table.to_csv(index=False), 4))
    ours, theirs = inference_script.model_fn(str(model_dir)), tutorial.model_fn(str(model_dir))
    for kind, body, target in bodies:
        found = []
        for _ in range(MEASUREMENTS):
            # In turns, so that a busy machine is busy for both.
            seconds, their_answer = best(
                lambda body=body, kind=kind: answer(tutorial, theirs, body, kind, kind), repeats, time.process_time
            )
            our_seconds, our_answer = best(
                lambda body=body, kind=kind: answer(inference_script, ours, body, kind, kind),
                repeats,
                time.process_time,
            )
            found.append((seconds / our_seconds, seconds, our_seconds))
        check_equal(scores_of(*our_answer), scores_of(*their_answer))
        ratios = sorted(ratio for ratio, _, _ in found)
        _, seconds, our_seconds = sorted(found)[len(found) // 2]
        name = "JSON" if kind == JSON else "CSV"
        report(f"{count:,} rows of 20, {name}, the whole table back", seconds, our_seconds, target)
        print(f"{'':<44} {MEASUREMENTS} measurements: {ratios[0]:.2f}x to {ratios[-1]:.2f}x", flush=True)


def _one_record() -> str:
    return json.dumps([dict(zip(NAMES, rows(1, seed=2)[0].tolist(), strict=True))])


def _post(url: str, body: str) -> str:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("POST", "/invocations", body, {"Content-Type": JSON, "Accept": JSON})
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def main() -> int:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows and repeats")
    quick = parser.parse_args().quick
    repeats = 3 if quick else 15
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model_dir = trained_model(folder)
        one_row_by_functions(model_dir, repeats)
        one_row_by_http(model_dir, folder / "rival", repeats)
        count = 2_000 if quick else 10_000
        many_rows(model_dir, count, repeats)
        whole_table(trained_model(folder / "twenty", names=TWENTY), count, repeats)
    return 0


if __name__ == "__main__":
    sys.exit(main())
