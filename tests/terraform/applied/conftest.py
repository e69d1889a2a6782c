"""Every example, applied once for all tests of this folder: Terraform, the real provider, the local AWS."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from egress_features import build_features
from egress_sentinel.demo import write_demo_bill
from egress_sentinel.pipeline.series import MODEL_TAR, PREPROCESSOR_TAR, train_pipeline
from local_aws import LocalAws
from tests.support.own_model import own_model
from tests.support.stack import Stack, applied, package
from tests.support.terraform import EXAMPLES, require_terraform

HERE = Path(__file__).parent
# The test of permissions compares the calls of all other tests with the policies. Then the stacks are destroyed.
AT_THE_END = ("test_permissions.py", "test_destroy.py")

TEAMS = json.dumps(
    {
        "tenant_id": "11111111-2222-3333-4444-555555555555",
        "team_id": "11111111-2222-3333-4444-555555555556",
        "channel_id": "19%3Aabc%40thread.tacv2",
    }
)

MEDIA_CHAT = {
    "slack": {"team_id": "T012345678A", "channel_id": "C012345678B"},
    "filter_policy": json.dumps({"channel": ["#media-alerts"]}),
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.integration)
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: AT_THE_END.index(item.path.name) + 1 if _is_at_the_end(item) else 0)


def _is_at_the_end(item: pytest.Item) -> bool:
    return item.path.parent == HERE and item.path.name in AT_THE_END


@pytest.fixture
def have_all_been_used(request: pytest.FixtureRequest) -> bool:
    """Whether each test of this folder has run before this one, and passed."""
    selected = {item.path.name for item in request.session.items if item.path.parent == HERE}
    return selected == {path.name for path in HERE.glob("test_*.py")} and not request.session.testsfailed


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_terraform()
    return package(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="session")
def features(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("bill")
    bill = write_demo_bill(folder)
    build_features(bill.files, folder / "features.parquet")
    return folder / "features.parquet", json.loads(bill.labels.read_text())


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sensor's series by the hour, and the two artifacts of its inference pipeline."""
    folder = tmp_path_factory.mktemp("pipeline")
    lines = [f"2026-10-{1 + hour // 24:02d} {hour % 24:02d}:00:00,{70 + hour % 24}" for hour in range(24 * 20)]
    (folder / "series.csv").write_text("\n".join(["timestamp,value", *lines]) + "\n")
    train_pipeline(folder / "series.csv", folder, {"n_estimators": "20"})
    return folder


@pytest.fixture(scope="session")
def stacks(
    build: Path, pipeline: Path, features: tuple[Path, list[dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Stack]]:
    """Every example, applied; most of the time Terraform waits, so they wait together."""
    own = own_model(features[0], tmp_path_factory.mktemp("own") / "own.tar.gz")
    variables: dict[str, dict[str, str | Callable[[LocalAws], str]]] = {
        # Destroyed as `make destroy` does.
        "serverless": {"emails": '["someone@example.com"]', "force_destroy": "false"},
        "bring_your_own_model": {"model_artifact": str(own)},
        "serial_pipeline": {
            "preprocessor_artifact": str(pipeline / PREPROCESSOR_TAR),
            "model_artifact": str(pipeline / MODEL_TAR),
        },
        "realtime": {"flow_log_vpc_ids": default_vpc, "flow_log_account_ids": '["777788889999"]'},
        "batch": {"large_file_mb": "1"},
        "notebook": {"repository_url": "https://example.com/egress-sentinel.git"},
        "complete": {
            "network": '{subnet_ids=["subnet-12345678"],security_group_ids=["sg-12345678"]}',
            "emails": '["someone@example.com"]',
            "slack": '{team_id="T012345678A",channel_id="C012345678A"}',
            "teams": TEAMS,
            "chats": json.dumps({"media": MEDIA_CHAT}),
            "pagerduty": pagerduty,
            "owners": '[{team="team-media",tags={owner="media*"}},{team="finops"}]',
        },
    }
    with ExitStack() as stack:

        def enter(name: str) -> Stack:
            return stack.enter_context(applied(name, build, variables.get(name, {})))

        with ThreadPoolExecutor(len(EXAMPLES)) as pool:
            found = dict(zip(EXAMPLES, pool.map(enter, EXAMPLES), strict=True))
        yield found


def pagerduty(aws: LocalAws) -> str:
    """Make the secret of an integration, and return what Terraform needs of it."""
    arn = aws.client("secretsmanager").create_secret(Name="pagerduty", SecretString="{}")["ARN"]
    return json.dumps({"oncall": {"secret_arn": arn, "filter_policy": json.dumps({"severity": ["high", "critical"]})}})


def default_vpc(aws: LocalAws) -> str:
    return json.dumps([vpc["VpcId"] for vpc in aws.client("ec2").describe_vpcs()["Vpcs"]])
