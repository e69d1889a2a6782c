"""`egress-sentinel local up`: the lines to paste, the override file, and that both work and go away."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from egress_sentinel.cli.aws import OVERRIDE

pytestmark = pytest.mark.integration


def test_it_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "egress_sentinel.cli", "local", "up", "--port", "0", "--terraform-dir", tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        variables = dict(process.stdout.readline().strip().removeprefix("export ").split("=", 1) for _ in range(9))
        assert "s3_use_path_style" in (tmp_path / OVERRIDE).read_text()
        client = boto3.client(
            "sns",
            endpoint_url=variables["AWS_ENDPOINT_URL"],
            region_name=variables["AWS_REGION"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        )
        assert client.create_topic(Name="alerts")["TopicArn"].endswith(":alerts")
        client.close()
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(20) == 0
        finally:
            process.kill()  # else a server that goes on would be waited for without end
    assert not (tmp_path / OVERRIDE).exists()


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "egress_sentinel.cli", "local", "up", "--terraform-dir", tmp_path / "none"]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cannot write" in done.stderr
