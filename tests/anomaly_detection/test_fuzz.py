"""Bodies of every kind get a right answer or a sentence, and large ones are refused cheaply."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.anomaly_detection.fuzz import run
from tests.support.models import NAMES

MOST_MEGABYTES = 400
ASK = """
import sys
from pathlib import Path
from anomaly_detection.inference_script import input_fn, model_fn, output_fn, predict_fn
import pyarrow.csv, pyarrow.json, pyarrow.parquet
model = model_fn(sys.argv[1])
body = Path(sys.argv[2]).read_bytes()
if sys.argv[3] in {"text/csv", "application/json"}:
    body = body.decode()
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) // 1024
before = peak()
answer = output_fn(predict_fn(input_fn(body, sys.argv[3]), model), sys.argv[4])
print(200 if isinstance(answer, tuple) else answer.get_data(as_text=True))
print(peak() - before)
"""


def test_two_thousand_bodies_get_right_answers(model_dir: Path) -> None:
    tally = run(model_dir, bodies=2000, seed=16)
    assert (tally.exceptions, tally.wrong) == ([], [])
    # Neither half of the bodies is for nothing.
    assert tally.statuses[200] > 300
    assert tally.statuses[400] > 300


def different_keys() -> bytes:
    return json.dumps([{f"k{number}": 1} for number in range(11_000)]).encode()


def parquet_of(table: pa.Table, **options: object) -> bytes:
    body = io.BytesIO()
    pq.write_table(table, body, **options)
    return body.getvalue()


def many_rows() -> bytes:
    zeros = pa.array(np.zeros(3_000_000))
    return parquet_of(pa.table(dict.fromkeys(NAMES, zeros)), compression="zstd")


def repeated_text() -> bytes:
    columns = dict.fromkeys(NAMES, pa.array(np.zeros(20_000)))
    text = pa.DictionaryArray.from_arrays(np.zeros(20_000, np.int32), ["x" * 100_000])
    return parquet_of(pa.table(columns | {"note": text}), compression="zstd")


def distinct_texts() -> bytes:
    columns = dict.fromkeys(NAMES, pa.array(np.zeros(270)))
    texts = ["x" * 1_000_000 + str(number) for number in range(270)]
    return parquet_of(pa.table(columns | {"note": texts}), compression="zstd", use_dictionary=False)


BOMBS: dict[str, tuple[Callable[[], bytes], str, int]] = {
    "another key in each record": (different_keys, "application/json", 413),
    "parquet of 3,000,000 rows": (many_rows, "application/x-parquet", 413),
    "parquet with one long text in each row": (repeated_text, "application/x-parquet", 413),
    "parquet that unpacks to 270 MB": (distinct_texts, "application/x-parquet", 413),
    "six million cells": (lambda: b"," * 6_000_000, "text/csv", 413),
    "three million lines": (lambda: b"1\n" * 3_000_000, "text/csv", 413),
    "three million line ends of old": (lambda: b"1\r" * 3_000_000, "text/csv", 413),
    "two million empty records": (lambda: b"[" + b"{}," * 2_000_000 + b"{}]", "application/json", 413),
    "two million empty lists": (lambda: b"[" + b"[]," * 2_000_000 + b"[]]", "application/json", 413),
    "six million numbers": (lambda: b'{"instances": [[' + b"1," * 3_000_000 * 2 + b"1]]}", "application/json", 413),
    "two million lines of JSON": (lambda: b"{}\n" * 2_000_000, "application/jsonlines", 413),
    "five thousand columns": (lambda: b",".join(b"c%d" % i for i in range(5000)) + b"\n", "text/csv", 413),
    "another key in each record, after a long one": (
        lambda: b'[{"' + b"k" * 20_000 + b'": 1}, ' + different_keys()[1:],
        "application/json",
        413,
    ),
    "brackets alone": (lambda: b"[" * 900_000, "application/json", 400),
    "a header that states a terabyte": (
        lambda: (
            b"\x93NUMPY\x01\x00\x46\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 11)}  \n"
        ),
        "application/x-npy",
        400,
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_is_too_large_is_refused_before_it_takes_memory(bomb: str, model_dir: Path, tmp_path: Path) -> None:
    make, content_type, status = BOMBS[bomb]
    (tmp_path / "body").write_bytes(make())
    command = [sys.executable, "-c", ASK, str(model_dir), str(tmp_path / "body"), content_type, "application/json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer, megabytes = done.stdout.splitlines()
    error = json.loads(answer)["error"]
    assert error["status"] == status
    assert status == 400 or "one request takes up to" in error["message"]
    assert int(megabytes) < MOST_MEGABYTES
