"""`egress-sentinel local up`: its output, the override file, its end, and the error without its extra."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from egress_sentinel.cli.aws import OVERRIDE

pytestmark = pytest.mark.integration

UP = [sys.executable, "-m", "egress_sentinel.cli", "local", "up", "--port", "0"]


@contextlib.contextmanager
def up(folder: Path, log: Path) -> Iterator[tuple["subprocess.Popen[str]", dict[str, str]]]:
    """Start it; give the process and the variables that it prints."""
    # A test run in the background may ignore SIGHUP, and its child processes would inherit that.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with (
        log.open("w") as stderr,
        subprocess.Popen([*UP, "--terraform-dir", folder], stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        signal.signal(signal.SIGHUP, before)
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().strip() for _ in range(9)]
            yield process, dict(line.removeprefix("export ").split("=", 1) for line in lines)
        finally:
            process.kill()  # otherwise the test would wait forever for a server that still runs


def sns(variables: dict[str, str]) -> Any:
    return boto3.client(
        "sns",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_the_override_file_goes(number: signal.Signals, tmp_path: Path) -> None:
    with up(tmp_path, tmp_path / "log") as (process, variables):
        assert "s3_use_path_style" in (tmp_path / OVERRIDE).read_text()
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            assert variables[name] == os.devnull
        process.send_signal(number)
        assert process.wait(20) == 0
    assert not (tmp_path / OVERRIDE).exists()


def test_each_notification_is_printed_when_it_is_published(tmp_path: Path) -> None:
    with up(tmp_path, tmp_path / "log") as (process, variables), contextlib.closing(sns(variables)) as client:
        arn = client.create_topic(Name="alerts")["TopicArn"]
        client.publish(TopicArn=arn, Subject="HIGH: hot link", Message="first line\nsecond line")
        assert "published to alerts:\nHIGH: hot link\nfirst line\nsecond line\n" in (tmp_path / "log").read_text()
        entries = [{"Id": str(n), "Message": f"of a batch {n}"} for n in range(2)]
        client.publish_batch(TopicArn=arn, PublishBatchRequestEntries=entries)
        message = '{"default": "for everyone", "sqs": "for queues"}'
        client.publish(TopicArn=arn, Message='{"default": "{}", "email": "for people"}', MessageStructure="json")
        client.publish(TopicArn=arn, Message=message, MessageStructure="json")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    printed = (tmp_path / "log").read_text()
    for text in ("of a batch 0", "of a batch 1", "for everyone", "for people"):
        assert f"published to alerts:\n{text}\n" in printed


def test_a_port_in_use_leaves_the_override_of_whoever_uses_it(tmp_path: Path) -> None:
    with up(tmp_path, tmp_path / "log") as (_, variables):
        port = variables["AWS_ENDPOINT_URL"].rpartition(":")[2]
        command = [*UP[:-1], port, "--terraform-dir", tmp_path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert f"Port {port} is in use" in done.stderr
        assert (tmp_path / OVERRIDE).exists()


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    command = [*UP, "--terraform-dir", tmp_path / "none"]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cannot write" in done.stderr


@pytest.mark.parametrize("package", ["moto", "flask_cors", "pyparsing"])
def test_without_the_extra_it_is_one_sentence(package: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from egress_sentinel.cli.app import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *UP[3:]], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "egress-sentinel: egress-sentinel local up needs the extra: pip install 'egress-sentinel[local]'\n"
    )
