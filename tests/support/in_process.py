"""Runs the command line where nothing of AWS can be imported, no socket listens and no process starts."""

import os
import subprocess
import sys

_PRELUDE = """
import socket, subprocess, sys

def refused(*_arguments, **_options):
    raise AssertionError("a server or a process was started")

for name in ("boto3", "botocore", "moto", "aws_lambda_powertools"):
    sys.modules[name] = None
socket.socket.bind = refused
subprocess.Popen.__init__ = refused
"""


def run_in_process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `egress-sentinel`; an import of an AWS library, a server or a child process fails it."""
    program = f"{_PRELUDE}\nfrom egress_sentinel.cli.app import main\nmain()"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
