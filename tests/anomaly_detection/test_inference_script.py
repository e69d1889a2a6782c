"""The four functions that the container calls: scores equal to scikit-learn's bit for bit, and clear errors."""

import csv
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anomaly_detection.artifact import pack, sha256
from anomaly_detection.content_types import json_rows
from anomaly_detection.content_types import rows as request_rows
from anomaly_detection.content_types.arrow_texts import float_texts
from anomaly_detection.errors import ArtifactError
from anomaly_detection.inference_script import input_fn, model_fn, output_fn, predict_fn
from anomaly_detection.model import Model
from tests.support.models import NAMES, matrix, named

VALUES = matrix(40, seed=5)


@pytest.fixture(scope="module")
def model(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """From a model.tar.gz, as SageMaker unpacks it."""
    folder = tmp_path_factory.mktemp("unpacked")
    pack(model_dir, folder / "model.tar.gz")
    with tarfile.open(folder / "model.tar.gz") as archive:
        archive.extractall(folder / "model", filter="data")
    return model_fn(str(folder / "model"))


def doubles(values: np.ndarray) -> list[list[float]]:
    return values.astype(np.float64).tolist()


def csv_text(values: np.ndarray, header: list[str] | None) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    if header:
        writer.writerow(header)
    writer.writerows(doubles(values))
    return text.getvalue()


def records(values: np.ndarray) -> list[dict[str, float]]:
    return [dict(zip(NAMES, row, strict=True)) for row in doubles(values)]


def parquet_bytes(values: np.ndarray) -> bytes:
    body = io.BytesIO()
    pq.write_table(pa.table({name: values[:, i] for i, name in enumerate(NAMES)}), body)
    return body.getvalue()


def npy_bytes(values: np.ndarray) -> bytes:
    body = io.BytesIO()
    np.save(body, values)
    return body.getvalue()


BODIES = {
    "csv with header": lambda v: (csv_text(v, NAMES), "text/csv"),
    "csv positional": lambda v: (csv_text(v, None), "text/csv"),
    "csv bytes": lambda v: (csv_text(v, NAMES).encode(), "text/csv; charset=utf-8"),
    "records": lambda v: (json.dumps(records(v)), "application/json"),
    "no content type": lambda v: (json.dumps(records(v)), None),
    "instances": lambda v: (json.dumps({"instances": doubles(v)}), "application/json"),
    "columns": lambda v: (json.dumps({"columns": NAMES, "data": doubles(v)}).encode(), "application/json"),
    "jsonlines": lambda v: ("\n".join(map(json.dumps, records(v))).encode(), "application/jsonlines"),
    "parquet": lambda v: (parquet_bytes(v), "application/x-parquet"),
    "npy": lambda v: (npy_bytes(v), "application/x-npy"),
}


def call(model: Model, body: str | bytes, content_type: str | None, accept: str | None) -> tuple[str, str]:
    answer = output_fn(predict_fn(input_fn(body, content_type), model), accept)
    assert isinstance(answer, tuple), answer.get_data(as_text=True)
    return answer


def rows_of(text: str, content_type: str) -> list[dict[str, Any]]:
    if content_type == "text/csv":
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(io.StringIO(text))]
    if content_type == "application/jsonlines":
        return [json.loads(line) for line in text.splitlines()]
    document = json.loads(text)
    if isinstance(document, dict) and "predictions" in document:
        return document["predictions"]
    if isinstance(document, dict) and "columns" in document:
        return [dict(zip(document["columns"], row, strict=True)) for row in document["data"]]
    return document


def assert_exact(model_dir: Path, values: np.ndarray, rows: list[dict[str, Any]]) -> None:
    forest = joblib.load(model_dir / "model.joblib")
    expected = forest.decision_function(named(forest, values))
    scores = np.array([row["anomaly_score"] for row in rows])
    assert scores.tobytes() == expected.tobytes()
    assert [row["is_anomaly"] for row in rows] == (expected < 0).astype(int).tolist()


@pytest.mark.parametrize("accept", ["application/json", "text/csv", "application/jsonlines", "*/*", None])
@pytest.mark.parametrize("body", BODIES)
def test_every_type_in_and_out_equals_scikit_learn_to_the_bit(
    model: Model, model_dir: Path, body: str, accept: str | None
) -> None:
    text, content_type = call(model, *BODIES[body](VALUES), accept)
    rows = rows_of(text, content_type)
    assert_exact(model_dir, VALUES, rows)
    assert [[row[name] for name in NAMES] for row in rows] == doubles(VALUES)


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.just(len(NAMES))),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    ),
    st.sampled_from(sorted(BODIES)),
)
def test_any_finite_floats(model: Model, model_dir: Path, values: np.ndarray, body: str) -> None:
    text, content_type = call(model, *BODIES[body](values), "text/csv;output=scores")
    assert text.splitlines()[0] == "is_anomaly,anomaly_score"
    assert_exact(model_dir, values, rows_of(text, content_type))


@pytest.mark.parametrize("body", ["csv", "npy"])
def test_a_large_request_gives_the_same_bits(model: Model, model_dir: Path, body: str) -> None:
    values = np.random.default_rng(3).standard_t(3, (5000, len(NAMES))).astype(np.float32)
    body, kind = {"csv": (csv_text(values, NAMES), "text/csv"), "npy": (npy_bytes(values), "application/x-npy")}[body]
    text, content_type = call(model, body, kind, "text/csv;output=scores")
    assert text.splitlines()[0] == "is_anomaly,anomaly_score"
    assert_exact(model_dir, values, rows_of(text, content_type))


def test_one_record_is_answered_by_one_record(model: Model, model_dir: Path) -> None:
    record = records(VALUES[:1])[0] | {"account_id": "011122223333"}
    text, _ = call(model, json.dumps(record), "application/json", None)
    assert json.loads(text)["account_id"] == "011122223333"
    assert_exact(model_dir, VALUES[:1], [json.loads(text)])


def test_columns_go_by_name_and_extra_ones_come_back_as_they_were(model: Model, model_dir: Path) -> None:
    header = ["account_id", *reversed(NAMES), "note"]
    lines = [["0042", *reversed(row), 'a "quoted", note'] for row in doubles(VALUES)]
    text = io.StringIO()
    csv.writer(text).writerows([header, *lines])
    answer, _ = call(model, text.getvalue(), "text/csv", "text/csv")
    rows = list(csv.DictReader(io.StringIO(answer)))
    assert {(row["account_id"], row["note"]) for row in rows} == {("0042", 'a "quoted", note')}
    assert_exact(model_dir, VALUES, [{k: float(row[k]) for k in ("is_anomaly", "anomaly_score")} for row in rows])


def row_with(**values: Any) -> str:
    return json.dumps([dict.fromkeys(NAMES, 0.0), dict.fromkeys(NAMES, 0.0) | values])


def short_row() -> str:
    return json.dumps([dict.fromkeys(NAMES, 0.0), dict.fromkeys(NAMES[1:], 0.0)])


ERRORS: dict[str, tuple[str | bytes, str | None, str | None, int, int | None, str | None]] = {
    "missing feature": (short_row(), None, None, 400, 1, NAMES[0]),
    "missing column": ("a,b\n1,2\n", "text/csv", None, 400, None, NAMES[0]),
    "NaN": (row_with(persistence=float("nan")), None, None, 400, 1, "persistence"),
    "null": (row_with(persistence=None), None, None, 400, 1, "persistence"),
    "infinity": (row_with(persistence=float("inf")), None, None, 400, 1, "persistence"),
    "too large for float32": (row_with(persistence=1e39), None, None, 400, 1, "persistence"),
    "huge integer": (row_with(persistence=10**400), None, None, 400, 1, "persistence"),
    "text": (row_with(persistence="much"), None, None, 400, 1, "persistence"),
    "boolean": (row_with(persistence=True), None, None, 400, 1, "persistence"),
    "list": (row_with(persistence=[1]), None, None, 400, 1, "persistence"),
    "empty": ("", "text/csv", None, 400, None, None),
    "no rows": (",".join(NAMES), "text/csv", None, 400, None, None),
    "no records": ("[]", None, None, 400, None, None),
    "row too long": (csv_text(VALUES, NAMES) + "1," * 20, "text/csv", None, 400, 40, None),
    "row too short": (csv_text(VALUES, None) + "1,2\n", "text/csv", None, 400, 40, None),
    "too few columns": ("1,2,3\n", "text/csv", None, 400, None, None),
    "half a header": ("a,2,c\n1,2,3\n", "text/csv", None, 400, 0, None),
    "twice": ("a,a\n1,2\n", "text/csv", None, 400, None, "a"),
    "no JSON": ('{"a": ', None, None, 400, None, None),
    "JSON number": ("3", None, None, 400, None, None),
    "instances of texts": ('{"instances": "x"}', None, None, 400, None, None),
    "not UTF-8": (b"\xff\xfe", "text/csv; charset=utf-8", None, 400, None, None),
    "no parquet": (b"PAR1 and no more", "application/x-parquet", None, 400, None, None),
    "no npy": (b"\x93NUMPY", "application/x-npy", None, 400, None, None),
    "npy of texts": (npy_bytes(np.array([["a"]])), "application/x-npy", None, 400, None, None),
    "npy of objects": (npy_bytes(np.array([[{}]], dtype=object)), "application/x-npy", None, 400, None, None),
    "content type": ("x", "application/xml", None, 415, None, None),
    "accept": (row_with(), None, "image/png", 406, None, None),
}


@pytest.mark.parametrize("case", ERRORS)
def test_a_bad_request_is_a_4xx_that_says_where(model: Model, case: str) -> None:
    body, content_type, accept, status, row, column = ERRORS[case]
    answer = output_fn(predict_fn(input_fn(body, content_type), model), accept)
    assert answer.status_code == status
    assert answer.mimetype == "application/json"
    error = json.loads(answer.get_data())["error"]
    assert (error["status"], error["row"], error["column"]) == (status, row, column)
    assert len(error["message"]) > 10


@pytest.mark.parametrize("mark", ["\ufeff", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("body", ["csv with header", "records", "jsonlines"])
def test_a_byte_order_mark_is_no_part_of_any_text(model: Model, model_dir: Path, body: str, mark: str | bytes) -> None:
    content, content_type = BODIES[body](VALUES)
    text = content.decode() if isinstance(content, bytes) else content
    marked = mark + text if isinstance(mark, str) else mark + text.encode()
    assert_exact(model_dir, VALUES, rows_of(*call(model, marked, content_type, "application/json")))


def test_lists_of_lists_are_rows(model: Model, model_dir: Path) -> None:
    text, _ = call(model, json.dumps(doubles(VALUES)), "application/json", None)
    rows = json.loads(text)
    assert_exact(model_dir, VALUES, rows)
    assert [list(row) for row in rows] == [[*NAMES, "is_anomaly", "anomaly_score"]] * len(rows)


def test_blanks_after_the_commas_of_a_header_are_no_part_of_the_names(model: Model, model_dir: Path) -> None:
    lines = csv_text(VALUES, NAMES).splitlines()
    for header in (", ".join(NAMES), ", ".join(f'"{name}"' for name in NAMES)):
        text, _ = call(model, "\n".join([header, *lines[1:]]), "text/csv", "text/csv")
        assert text.splitlines()[0] == ",".join([*NAMES, "is_anomaly", "anomaly_score"])
        assert_exact(model_dir, VALUES, rows_of(text, "text/csv"))


@pytest.mark.parametrize("content_type", [None, "", "application/json"])
def test_a_missing_content_type_is_named(model: Model, content_type: str | None) -> None:
    answer = output_fn(predict_fn(input_fn(csv_text(VALUES, NAMES), content_type), model), None)
    error = json.loads(answer.get_data())["error"]
    assert error["status"] == 400
    assert "a request without a Content-Type" in error["message"] or "names no Content-Type" in error["message"]


@pytest.mark.parametrize("number", ["1_0", "\u0661", "\u00a01", "1\u2003", "0x1F", "1e", "\x1c1", "--1", "\uff11"])
@pytest.mark.parametrize("rows", [2, 3000])
def test_a_number_is_what_json_and_csv_call_one(model: Model, number: str, rows: int) -> None:
    records_ = [dict.fromkeys(NAMES, "1") for _ in range(rows)]
    records_[1]["persistence"] = number
    table = io.StringIO()
    csv.DictWriter(table, NAMES).writeheader()
    csv.DictWriter(table, NAMES).writerows(records_)
    for body, content_type in ((table.getvalue(), "text/csv"), (json.dumps(records_), "application/json")):
        answer = output_fn(predict_fn(input_fn(body, content_type), model), None)
        error = json.loads(answer.get_data())["error"]
        assert (error["status"], error["row"], error["column"]) == (400, 1, "persistence")


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.text(max_size=80), st.binary(max_size=80)),
    st.sampled_from([c for _, c in (b(VALUES) for b in BODIES.values())]),
)
def test_no_body_brings_it_down(model: Model, body: str | bytes, content_type: str | None) -> None:
    answer = output_fn(predict_fn(input_fn(body, content_type), model), None)
    assert isinstance(answer, tuple) or 400 <= answer.status_code < 500


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda m: m | {"versions": m["versions"] | {"scikit-learn": "1.2.1"}}, "trained with scikit-learn 1.2.1"),
        (lambda m: m | {"schema_hash": "0" * 64}, "schema_hash"),
        (lambda m: m | {"files": m["files"] | {"model.joblib": "0" * 64}}, "sha256"),
        (lambda m: m | {"manifest_version": 9}, "manifest_version"),
        (lambda m: m | {"threshold": 0.5}, "threshold"),
    ],
)
def test_an_artifact_that_does_not_fit_is_refused(model_dir: Path, tmp_path: Path, damage: Any, sentence: str) -> None:
    for name in ("model.joblib", "forest.npz", "baseline.json", "manifest.json"):
        (tmp_path / name).write_bytes((model_dir / name).read_bytes())
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(damage(manifest)))
    with pytest.raises(ArtifactError, match=sentence):
        model_fn(str(tmp_path))


def test_the_response_can_name_its_model(model: Model, model_dir: Path) -> None:
    text, content_type = call(model, json.dumps(records(VALUES[:1])), None, "application/json;output=manifest")
    assert content_type == "application/json"
    assert json.loads(text) == json.loads((model_dir / "manifest.json").read_text())


@pytest.mark.parametrize("body", ["{}", "[]", "not JSON", '{"some": 1}'])
def test_what_a_model_takes_can_be_asked_without_knowing_it(model: Model, model_dir: Path, body: str) -> None:
    text, content_type = call(model, body, "application/json", "text/csv;output=manifest")
    assert content_type == "application/json"
    assert json.loads(text) == json.loads((model_dir / "manifest.json").read_text())
    refused = output_fn(predict_fn(input_fn(body, "application/json"), model), "application/json")
    assert refused.status_code == 400


@pytest.mark.parametrize("accept", ["text/csv", "application/json", "application/jsonlines"])
@pytest.mark.parametrize("body", BODIES)
def test_attributions_in_the_schemas_order_add_up(model: Model, model_dir: Path, body: str, accept: str) -> None:
    text, content_type = call(model, *BODIES[body](VALUES), f"{accept};output=attributions")
    rows = rows_of(text, content_type)
    assert_exact(model_dir, VALUES, rows)
    assert all(list(row) == ["is_anomaly", "anomaly_score", *NAMES] for row in rows)
    usual = model.forest.expected_path_length
    expected = usual - model.forest.mean_path_length(VALUES)
    assert [sum(row[name] for name in NAMES) for row in rows] == pytest.approx(expected.tolist(), abs=1e-9)


def test_attributions_name_the_unusual_feature(model: Model) -> None:
    odd = np.zeros((len(NAMES), len(NAMES)), np.float32)
    np.fill_diagonal(odd, 9)
    text, _ = call(model, csv_text(odd, NAMES), "text/csv", "text/csv;output=attributions")
    rows = rows_of(text, "text/csv")
    assert [max(NAMES, key=row.__getitem__) for row in rows] == NAMES


class Payload:
    """A pickle that makes a file where it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("stated", [["model.joblib", "baseline.json"], ["model.joblib", "baseline.json", "forest.npz"]])
def test_a_pickle_is_never_loaded(model_dir: Path, tmp_path: Path, stated: list[str]) -> None:
    manifest = json.loads((model_dir / "manifest.json").read_text())
    for name in ("forest.npz", "baseline.json"):
        (tmp_path / name).write_bytes((model_dir / name).read_bytes())
    if "forest.npz" not in stated:
        (tmp_path / "forest.npz").unlink()
    joblib.dump(Payload(tmp_path / "ran"), tmp_path / "model.joblib")
    manifest["files"] = {name: sha256(tmp_path / name) for name in stated}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    if "forest.npz" in stated:
        model_fn(str(tmp_path))
    else:
        with pytest.raises(ArtifactError, match=r"no forest\.npz"):
            model_fn(str(tmp_path))
    assert not (tmp_path / "ran").exists()


ODD_CELLS = [
    "1_0",
    "\u0661",
    "\u00a01",
    "0X1F",
    "1.",
    ".5",
    "1.e1",
    "infinity",
    " 2",
    "+3",
    "nan",
    "inf",
    "1e39",
    "",
    "NULL",
    "0x1",
    "-0.0",
    "007",
    "true",
    "9" * 30,
    "2018-01-01",
]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, len(NAMES)), st.sampled_from(ODD_CELLS)), max_size=3),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["", "\n", "\n\n", " ", "1,2\n"]),
    st.booleans(),
)
def test_large_csv_is_read_as_small_csv_is(
    model: Model, cells: list[tuple[int, int, str]], end: str, tail: str, header: bool
) -> None:
    lines = [["0042", *map(repr, row)] for row in doubles(VALUES)]
    for row, column, text in cells:
        lines[row][column] = text
    body = end.join(",".join(line) for line in ([["id", *NAMES]] if header else []) + lines) + tail

    def answers() -> list[tuple[Any, ...]]:
        accepts = ("text/csv", "text/csv;output=scores")
        found = [output_fn(predict_fn(input_fn(body, "text/csv"), model), accept) for accept in accepts]
        return [each if isinstance(each, tuple) else (each.status_code, each.get_data()) for each in found]

    with pytest.MonkeyPatch.context() as patch:
        small = answers()
        patch.setattr(request_rows, "LARGE_BODY", 0)
        assert answers() == small


ODD_VALUES = [
    *("1.50", "1e5", "1E5", "-0", "-0.0", "0", "0.0", "7", "1.0", "1e-05", "0.00001", "12345678901.5", "1e400", "NaN"),
    *("null", "true", "[1]", '{"a": 1}', '"1.5"', '"2018-01-01T00:00:00Z"', '"a}, {b"', '"\\u00e9"', '"\u00e9"'),
    *(
        '"tab\there"',
        '"del\x7f"',
        '"\\\\"',
        '"%s"',
        "01",
        "+1",
        ".5",
        "9" * 30,
        "9007199254740993",
        "-9007199254740993",
    ),
]
VALUE_NAMES = ["account_id", *NAMES, "note"]


def json_body(cells: list[list[str]], names: list[str], separators: tuple[str, str], between: str) -> str:
    def record(row: list[str]) -> str:
        pairs = (json.dumps(name) + separators[1] + cell for name, cell in zip(names, row, strict=True))
        return "{" + separators[0].join(pairs) + "}"

    return "[" + between.join(map(record, cells)) + "]"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, len(NAMES) + 1), st.sampled_from(ODD_VALUES)), max_size=3),
    st.sampled_from([(", ", ": "), (",", ":"), (" ,", ":")]),
    st.sampled_from([", ", ",", ",\n", "\n,"]),
    st.sampled_from(["", "whole as in Python", "whole as in JavaScript"]),
    st.sampled_from([VALUE_NAMES, [*VALUE_NAMES[:-1], "is_anomaly"], [*VALUE_NAMES[:-1], "account_id"]]),
    st.sampled_from(["application/json", "application/jsonlines", "text/csv", "text/csv;output=scores"]),
)
def test_large_json_is_answered_as_small_json_is(
    model: Model,
    odd: list[tuple[int, int, str]],
    separators: tuple[str, str],
    between: str,
    whole: str,
    names: list[str],
    accept: str,
) -> None:
    cells = [['"0042"', *map(repr, row), "17"] for row in doubles(VALUES)]
    if whole:
        cells[3][2:5] = ["0.0", "-3.0", "250.0"] if whole.endswith("Python") else ["0", "-3", "250"]
    for row, column, text in odd:
        cells[row][column] = text
    body = json_body(cells, names, separators, between)

    def answer() -> tuple[Any, ...]:
        found = output_fn(predict_fn(input_fn(body, "application/json"), model), accept)
        return found if isinstance(found, tuple) else (found.status_code, found.get_data())

    small = answer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(request_rows, "LARGE_BODY", 0)
        assert answer() == small
        patch.setattr(request_rows, "ARROW_ROWS", 1)
        assert answer() == small or accept == "text/csv;output=scores"


@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")])
@pytest.mark.parametrize("texts", [("0.0", "-2.0"), ("0", "-2")])
def test_rows_of_plain_json_are_repeated_and_not_written_anew(
    model: Model, separators: tuple[str, str], texts: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [['"0042"', *map(repr, row), '"x, y"'] for row in doubles(VALUES)]
    cells[3][2:4] = texts
    body = json_body(cells, VALUE_NAMES, separators, separators[0])
    expected = call(model, body, "application/json", None)
    monkeypatch.setattr(request_rows, "LARGE_BODY", 0)
    # Neither is needed for rows whose texts are repeated.
    monkeypatch.setattr(json_rows, "_load_json", None)
    monkeypatch.setattr(json_rows, "write_records", None)
    assert call(model, body, "application/json", None) == expected


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize(
    "accept", ["application/json", "application/jsonlines", "application/json;output=attributions"]
)
def test_large_answers_in_json_are_written_as_small_ones_are(model: Model, kind: str, accept: str) -> None:
    body, content_type = BODIES[kind](VALUES)
    small = call(model, body, content_type, accept)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(request_rows, "ARROW_ROWS", 1)
        assert call(model, body, content_type, accept) == small


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.floats(),
            st.floats(-2e9, 2e9),
            st.floats(-2e-4, 2e-4),
            st.integers(-(2**53), 2**53).map(float),
            st.sampled_from([1e9, -1e9, 1e-4, -0.0, 999999999.9999999, 1e22]),
        ),
        min_size=1,
    )
)
def test_arrow_writes_floats_as_python_does(values: list[float]) -> None:
    assert float_texts(np.array(values)).to_pylist() == list(map(repr, values))


def test_small_requests_load_neither_pandas_nor_scikit_learn(model_dir: Path) -> None:
    code = """
import json, sys
from anomaly_detection.inference_script import input_fn, model_fn, output_fn, predict_fn
model = model_fn(sys.argv[1])
record = dict.fromkeys(model.feature_names, 0.5)
table = ",".join(record) + "\\n" + ",".join(["0.5"] * len(record))
bodies = [(json.dumps(record), "application/json"), (table, "text/csv")]
for body, kind in bodies:
    for accept in ("application/json", "text/csv;output=scores", "text/csv;output=attributions"):
        assert isinstance(output_fn(predict_fn(input_fn(body, kind), model), accept), tuple)
print(sorted({"pandas", "sklearn", "scipy", "joblib", "pyarrow"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code, str(model_dir)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
