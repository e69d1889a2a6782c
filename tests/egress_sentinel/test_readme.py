"""A walk through the README in a terminal of 80 columns: its commands run, and no line or table of output is broken."""

import fcntl
import json
import os
import pty
import re
import shlex
import shutil
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws import LocalAws
from tests.support.bill import line, write_parquet

pytestmark = [pytest.mark.slow, pytest.mark.integration]

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COLUMNS = 80
COMMANDS = [command.strip() for command in re.findall(r"^\$ ([^#\n]+)", README, re.MULTILINE)]
# Others run these: .ci/run and .ci/fresh, tests/local_aws/test_extra.py and tests/terraform/applied.
RUN_ELSEWHERE = {"make test", "make package", "cd terraform/examples/serverless", "terraform init"}
ELSEWHERE = re.compile(r"terraform apply .*|\S*egress-sentinel verify --terraform-dir \.")
BUCKET, PREFIX = "my-bucket", "cur/report"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """Return a folder with the export that the README names, and the variables of an S3 that has it too."""
    folder = tmp_path_factory.mktemp("readme")
    hot = range(24 * 20, 24 * 20 + 30)
    names = {"media-prod": 2.0, "arn:aws:ec2:eu-west-1:011122223333:natgateway/nat-0123456789abcdef0": 1.0}
    lines = [
        line(hour, gb * (60 if name == "media-prod" and hour in hot else 1 + (hour % 24) / 24), resource_id=name)
        for hour in range(24 * 24)
        for name, gb in names.items()
    ]
    export = folder / "s3-export" / "2026"
    export.mkdir(parents=True)
    bill = write_parquet(export / "bill.parquet", lines)
    with LocalAws() as aws:
        aws.client("s3").create_bucket(Bucket=BUCKET)
        aws.client("s3").upload_file(str(bill), BUCKET, f"{PREFIX}/bill.parquet")
        yield folder, aws.environment()


def in_terminal(command: list[str], folder: Path, variables: dict[str, str]) -> tuple[str, str]:
    """Run a command whose stdout is a terminal; return its lines there, without colours, and its stderr."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    with (folder / "stderr").open("w+", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            command, cwd=folder, env=environment | variables | {"TERM": "xterm"},
            stdin=subprocess.DEVNULL, stdout=child, stderr=stderr,
        )  # fmt: skip
        os.close(child)
        parts: list[bytes] = []
        reader = threading.Thread(target=_read_all, args=(parent, parts))
        reader.start()
        status = process.wait()
        reader.join()
        stderr.seek(0)
        said = stderr.read()
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", b"".join(parts).decode()).replace("\r\n", "\n")
    assert status == 0, shown + said
    return shown, said


def _read_all(terminal: int, parts: list[bytes]) -> None:
    with os.fdopen(terminal, "rb", buffering=0) as file:
        # Linux raises EIO at the end.
        try:
            while part := file.read(65536):
                parts.append(part)
        except OSError:
            return


def whole_lines(shown: str) -> list[str]:
    """Return the lines, none of which a terminal of 80 columns breaks."""
    lines = shown.splitlines()
    assert max(map(len, lines)) <= COLUMNS
    assert not re.search(r"\S…", shown)  # a cell that is cut off
    assert not re.search(r"[┃│]{2}", shown)  # a column that has vanished
    tables = [line for line in lines if line[:1] in "┏┃┡│├└"]
    assert all(line[-1] in "┓┃┩│┤┘" for line in tables if line)
    return lines


def test_each_command_of_the_readme_is_run() -> None:
    ours = [command for command in COMMANDS if command not in RUN_ELSEWHERE and not ELSEWHERE.fullmatch(command)]
    assert sorted({words(command)[1] for command in ours}) == ["backtest", "demo", "run"]


def words(command: str) -> list[str]:
    """Return a command of the README as this checkout runs it."""
    program, *arguments = shlex.split(command)
    if [program, *arguments] == ["make", "demo"]:
        recipe = re.search(
            r"^demo:.*\n\t@\$\(BIN\)/egress-sentinel (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE
        )
        assert recipe is not None
        arguments = shlex.split(recipe[1])
    else:
        assert program.rpartition("/")[2] == "egress-sentinel", command
    return [str(Path(sys.executable).parent / "egress-sentinel"), *arguments]


def test_the_demo_and_a_verdict(place: tuple[Path, dict[str, str]]) -> None:
    folder, variables = place
    shown, said = in_terminal(words("make demo"), folder, variables)
    lines = whole_lines(shown)
    alerts = json.loads((folder / "demo-output" / "alerts.json").read_text(encoding="utf-8"))
    for alert in alerts:
        assert sum(alert["alert_id"] in line for line in lines) >= 1
        assert sum(f"${alert['cost_usd']:,.2f}" in line for line in lines) >= 1
    # The alert that the README shows is one of the demo's, and the next command is one that works.
    (in_readme,) = re.findall(r"^Alert +([0-9a-f]{16})", README, re.MULTILINE)
    assert in_readme in {alert["alert_id"] for alert in alerts}
    (following,) = re.findall(r"^next: (.*) true\|false\|planned (.*)$", said, re.MULTILINE)
    in_terminal(words(f"{following[0]} planned {following[1]}"), folder, variables)
    assert json.loads((folder / "feedback.json").read_text(encoding="utf-8"))[0]["verdict"] == "planned"
    digest = "egress-sentinel digest --alerts demo-output/alerts.json --features demo-output/processed_features.parquet"
    whole_lines(in_terminal(words(digest), folder, variables)[0])


@pytest.mark.parametrize(
    "command", [command for command in COMMANDS if re.match(r"\S*egress-sentinel (?!verify)", command)]
)
def test_a_command_on_your_own_bill(place: tuple[Path, dict[str, str]], command: str) -> None:
    folder, variables = place
    shown, _ = in_terminal(words(command), folder, variables)
    lines = whole_lines(shown)
    assert any("media-prod" in line for line in lines)
    (output,) = [path for path in folder.glob("egress-sentinel-*") if path.is_dir()]
    assert (output / "report.html").is_file()
    shutil.rmtree(output)
