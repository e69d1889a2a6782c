"""The pure parts of batch scoring: reading and rejecting files, planning jobs, joining scores."""

import csv
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_scorer.contract import ANY_CSV, SCORES, Contract
from batch_scorer.errors import InputError
from batch_scorer.events import EventError, event_of
from batch_scorer.join import JoinError, join, output_name
from batch_scorer.plan import MAX_PAYLOAD_BYTES, MAX_PAYLOAD_MB, plan_for
from batch_scorer.prepare import prepare
from batch_scorer.settings import Settings
from batch_scorer.table import read_table

ANY = Contract(None, frozenset(), ANY_CSV)
AB = Contract(["a", "b"], frozenset({"b"}), SCORES)


def written(folder: Path, text: str | bytes, name: str = "f.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def lines(folder: Path, text: str, contract: Contract) -> str:
    parts = prepare(read_table(written(folder, text)), contract, folder).parts
    return "".join(part.read_text() for part in parts)


def test_the_models_columns_are_sent_in_its_order_as_they_were_written(tmp_path: Path) -> None:
    text = "id,b,a\nx,2.50,1e3\ny,,0.1\n"
    assert lines(tmp_path, text, AB) == "1e3,2.50\n0.1,nan\n"


def test_without_a_header_columns_go_by_position(tmp_path: Path) -> None:
    assert lines(tmp_path, "1,2\n3,4\n", AB) == "1,2\n3,4\n"


def test_a_model_without_a_contract_gets_every_column(tmp_path: Path) -> None:
    assert lines(tmp_path, "p,q,r\n1,2,3\n", ANY) == "1,2,3\n"


def test_empty_lines_at_the_end_are_no_lines(tmp_path: Path) -> None:
    assert lines(tmp_path, "1,2\n\n\n", AB) == "1,2\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        ("a,b\n", "it has no rows"),
        ("\na,b\n1,2\n", "line 1 is empty"),
        ("a,b\n1,2\n\n3,4\n", "line 3 is empty"),
        ("a,b\n1,2\n1,2,3\n", "line 3 has 3 values, where the first line has 2"),
        ("a,b\n1,2\nx,2\n", "line 3: a is 'x', not a number"),
        ('a,b\n"1\n",2\nx,2\n', "line 4: a is 'x', not a number"),
        ("a,b\n,2\n", "line 2: a is missing or NaN"),
        ("a,b\n1e39,2\n", "line 2: a is 1e39: infinite as a 32-bit float"),
        ("a,c\n1,2\n", "the column b is missing, which the model requires; it has a, c"),
        ("1,2,3\n", "it has no header line and 3 columns; the model takes 2 in the order a, b"),
        ("id,1\n", "line 1 mixes numbers and texts such as 'id'"),
        ("a,a\n1,2\n", "the column 'a' is there twice"),
        ('a,b\n1,"2\n', "line 2 is not CSV"),
        (b"a,b\n1,2\n\xff,2\n", "line 3 is not UTF-8"),
    ],
)
def test_a_line_that_cannot_be_scored_is_named(tmp_path: Path, text: str | bytes, reason: str) -> None:
    with pytest.raises(InputError, match=f"^{reason.replace('(', '[(]')}"):
        prepare(read_table(written(tmp_path, text)), AB, tmp_path)


@pytest.mark.parametrize(("name", "content"), [("f.parquet", b"PAR1"), ("f.xlsx", b"1"), ("f", b"1")])
def test_files_of_other_kinds_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(InputError, match=r"it is no complete parquet file|its name does not end with one of"):
        read_table(written(tmp_path, content, name))


def test_parquet_numbers_read_back_to_the_same_bits(tmp_path: Path) -> None:
    values = [0.1, 1 / 3, 5e-324, -0.0]
    table = pa.table({"b": pa.array([None, *values[1:]]), "a": pa.array(values, pa.float32()), "flag": [True] * 4})
    pq.write_table(table, tmp_path / "f.parquet")
    (part,) = prepare(read_table(tmp_path / "f.parquet"), AB, tmp_path).parts
    sent = [[float(cell) for cell in line] for line in csv.reader(part.read_text().splitlines())]
    assert [row[0] for row in sent] == table["a"].to_pylist()
    assert [None if math.isnan(row[1]) else row[1] for row in sent] == table["b"].to_pylist()


@settings(max_examples=200)
@given(st.integers(1, 10**11), st.integers(1, MAX_PAYLOAD_BYTES), st.integers(1, 1000))
def test_a_plan_keeps_sagemakers_limits(size: int, longest: int, parts: int) -> None:
    plan = plan_for(max(size, longest), longest, parts)
    assert 1 <= plan.max_payload_mb <= MAX_PAYLOAD_MB
    assert plan.max_payload_mb * 1_000_000 >= longest
    assert plan.max_concurrent_transforms >= 1
    assert plan.max_payload_mb * plan.max_concurrent_transforms <= 100
    assert 1 <= plan.instance_count <= parts


@pytest.mark.parametrize(
    ("size", "longest", "parts", "plan"),
    [
        (1, 1, 1, ("ml.m5.large", 1, 1, 2, "MultiRecord")),
        (1_000_001, 10, 1, ("ml.m5.large", 1, 2, 2, "MultiRecord")),
        (100_000_000, 10, 1, ("ml.m5.large", 1, 6, 2, "MultiRecord")),
        (100_000_001, 10, 1, ("ml.m5.xlarge", 1, 6, 4, "MultiRecord")),
        (1_000_000_001, 10, 5, ("ml.m5.2xlarge", 4, 6, 8, "MultiRecord")),
        (10_000_000, 6_000_000, 1, ("ml.m5.large", 1, 6, 2, "MultiRecord")),
        (10_000_000, 6_000_001, 1, ("ml.m5.large", 1, 7, 2, "SingleRecord")),
        (200_000_000, 50_000_001, 1, ("ml.m5.xlarge", 1, 51, 1, "SingleRecord")),
        (200_000_000, 100_000_000, 1, ("ml.m5.xlarge", 1, 100, 1, "SingleRecord")),
    ],
)
def test_a_plan_follows_from_the_size(size: int, longest: int, parts: int, plan: tuple[object, ...]) -> None:
    planned = plan_for(size, longest, parts)
    assert (
        planned.instance_type,
        planned.instance_count,
        planned.max_payload_mb,
        planned.max_concurrent_transforms,
        planned.strategy,
    ) == plan


cells = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\x00"), max_size=8)


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.tuples(cells, st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=30),
    part_bytes=st.integers(1, 200),
    header=st.booleans(),
)
def test_every_line_gets_its_own_score(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, float, float]], part_bytes: int, header: bool
) -> None:
    """For any lines, and any split of the lines into parts. The score in this test is the sum of the line."""
    folder = tmp_path_factory.mktemp("rows")
    with (folder / "f.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["note", "a", "b"])
        writer.writerows((note, repr(a), repr(b)) for note, a, b in rows)
    prepared = prepare(read_table(folder / "f.csv"), AB, folder, part_bytes)
    assert prepared.rows == len(rows)
    answers = []
    for part in prepared.parts:
        scores = [sum(map(float, line.split(","))) for line in part.read_text().splitlines()]
        text = ("score\n" if header else "") + "".join(f"{score!r}\n" for score in scores) + "\n"
        answers.append(written(folder, text, f"{part.name}.out"))
    assert join(read_table(folder / "f.csv"), None, answers, folder / "joined.csv") == len(rows)
    with (folder / "joined.csv").open(newline="", encoding="utf-8") as file:
        joined = list(csv.reader(file))
    assert joined[0] == ["note", "a", "b", "score" if header else "prediction"]
    formulas = ("=", "+", "-", "@", "\t", "\r")
    assert [line[0] for line in joined[1:]] == [
        f"'{note}" if note.startswith(formulas) else note for note, _, _ in rows
    ]
    assert [float(line[3]) for line in joined[1:]] == [a + b for _, a, b in rows]


@pytest.mark.parametrize(
    ("answer", "reason"), [("s\n1\n", "wrote 1 scores, fewer"), ("s\n1\n2\n3\n", "more scores than")]
)
def test_another_number_of_scores_is_an_error(tmp_path: Path, answer: str, reason: str) -> None:
    table = read_table(written(tmp_path, "1,2\n3,4\n"))
    with pytest.raises(JoinError, match=reason):
        join(table, None, [written(tmp_path, answer, "out")], tmp_path / "joined.csv")


def test_scores_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "a,is_anomaly,anomaly_score\n1,0,0.5\n"))
    answer = written(tmp_path, "is_anomaly,anomaly_score\n1,-0.1\n", "out")
    join(table, None, [answer], tmp_path / "joined.csv")
    assert (tmp_path / "joined.csv").read_text() == "a,is_anomaly,anomaly_score\n1,1,-0.1\n"


SETTINGS = Settings.from_environment(dict.fromkeys(("BUCKET", "ENDPOINT_NAME", "JOBS_TABLE", "TOPIC_ARN"), "x"))


def dropped(key: str, **entry: str) -> dict[str, object]:
    entry = {"key": key, "etag": "e", "sequencer": "1"} | entry
    return {"detail-type": "Object Created", "time": "2026-11-25T13:30:05Z", "detail": {"object": entry}}


def test_a_job_belongs_to_an_upload() -> None:
    jobs = [
        event_of(event, SETTINGS)
        for event in (
            dropped("batch/input/f.csv"),
            dropped("batch/input/f.csv"),
            dropped("batch/input/f.csv", sequencer="2"),
            dropped("batch/input/g.csv"),
        )
    ]
    ids = [job.job_id for job in jobs]  # type: ignore[union-attr]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_folders_and_running_jobs_are_nothing_to_do() -> None:
    assert event_of(dropped("batch/input/folder/"), SETTINGS) is None
    detail = {"TransformJobName": "egress-sentinel-batch-1", "TransformJobStatus": "InProgress"}
    assert event_of({"detail-type": "SageMaker Transform Job State Change", "detail": detail}, SETTINGS) is None


@pytest.mark.parametrize(
    "event",
    [
        {},
        dropped("features/f.parquet"),
        {"detail-type": "SageMaker Transform Job State Change", "detail": {"TransformJobName": "somebody-elses"}},
    ],
)
def test_other_events_are_refused(event: dict[str, object]) -> None:
    with pytest.raises(EventError):
        event_of(event, SETTINGS)


def test_a_result_is_named_after_time_and_file() -> None:
    name = output_name("batch/input/2026/fraud.v1.csv", "batch/input/", "2026-11-25T13:30:05Z")
    assert name == "2026/20261125T133005Z-fraud.v1.csv"


STEPS = st.lists(st.sampled_from(["a", "b", "-", ".csv", ".CSV", ".parquet", "/", ".."]), max_size=5).map("".join)


@settings(max_examples=500)
@given(st.sets(st.tuples(STEPS, st.sampled_from([".csv", ".parquet", ".CSV"])).map("".join), min_size=2, max_size=8))
def test_no_two_files_have_one_result(names: set[str]) -> None:
    results = {output_name(f"batch/input/{name}", "batch/input/", "2026-11-25T13:30:05Z") for name in names}
    assert len(results) == len(names)


@pytest.mark.parametrize("cell", ["1_0", "\u0661", "\u00a01", "\x1c1", "0x1F"])
def test_numbers_are_those_that_the_endpoint_takes(tmp_path: Path, cell: str) -> None:
    table = read_table(written(tmp_path, f"a,b\n1,2\n{cell},2\n".encode()))
    with pytest.raises(InputError, match=r"line 3: a is .*, not a number"):
        prepare(table, AB, tmp_path)


def test_what_a_spreadsheet_would_run_is_text_in_the_result(tmp_path: Path) -> None:
    cells = ["=1+1", "+1+cmd|' /C calc'!A0", "-2", "-2+3", "@SUM(A1)", "\t=1", "+.5e3", "a, =1", "x=1", ""]
    lines = "".join(f'{number},0,"{cell}"\n' for number, cell in enumerate(cells))
    source = written(tmp_path, f"a,b,=note\n{lines}".encode())
    scores = tmp_path / "scores.csv"
    scores.write_text("anomaly_score\n" + "-0.5\n" * len(cells))
    join(read_table(source), None, [scores], tmp_path / "joined")
    with (tmp_path / "joined").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["a", "b", "'=note", "anomaly_score"]
    assert [row[2] for row in rows[1:]] == [
        *("'=1+1", "'+1+cmd|' /C calc'!A0", "-2", "'-2+3", "'@SUM(A1)", "'\t=1", "+.5e3", "a, =1", "x=1", "")
    ]
    assert {row[3] for row in rows[1:]} == {"-0.5"}


@given(st.integers(2, 20), st.integers(1, 10**9))
def test_a_request_has_no_more_rows_than_the_container_takes(shortest: int, rows: int) -> None:
    plan = plan_for(shortest * rows, 20, 1, shortest)
    assert plan.max_payload_mb == 1 or plan.max_payload_mb * 2**20 // shortest <= 1_000_000
