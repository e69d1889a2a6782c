"""Tags, the IAM roles' path and boundary, and names that two regions would share; the provider is mocked."""

import pytest

from tests.support.mocked import of_type, resources
from tests.support.terraform import require_terraform

pytestmark = pytest.mark.integration

# S3 allows 10 tags for an object, and bills nothing by them.
WITHOUT_TAGS = {"aws_s3_object"}
# The attribute by which an account knows these, whatever their region.
NAMED_IN_THE_ACCOUNT = {
    "aws_budgets_budget": "name",
    "aws_chatbot_slack_channel_configuration": "configuration_name",
    "aws_chatbot_teams_channel_configuration": "configuration_name",
    "aws_cloudwatch_dashboard": "dashboard_name",
    "aws_iam_role": "name",
    "aws_s3_bucket": "bucket",
}


@pytest.fixture(scope="module", autouse=True)
def _needs_terraform() -> None:
    require_terraform()


def test_everything_that_takes_tags_has_them() -> None:
    taking = [found for found in resources() if "tags" in found["values"] and found["type"] not in WITHOUT_TAGS]
    assert len({found["type"] for found in taking}) >= 24
    expected = {"Project": "egress-sentinel", "Team": "finops"}
    bare = {found["address"] for found in taking if not expected.items() <= (found["values"]["tags"] or {}).items()}
    assert bare == set()


def test_a_training_job_has_them() -> None:
    (machine,) = (v for address, v in of_type("aws_sfn_state_machine").items() if "module.retraining" in address)
    assert '{"Key":"Team","Value":"finops"}' in machine["definition"]


def test_the_budget_counts_what_has_the_tag() -> None:
    (budget,) = of_type("aws_budgets_budget").values()
    assert budget["cost_filter"] == [{"name": "TagKeyValue", "values": ["user:Project$egress-sentinel"]}]


def test_roles_have_the_path_and_the_boundary() -> None:
    roles = of_type("aws_iam_role").values()
    assert len(roles) == 24
    assert {role["path"] for role in roles} == {"/finops/"}
    assert {role["permissions_boundary"] for role in roles} == {"arn:aws:iam::111122223333:policy/bounds"}


@pytest.mark.parametrize(("kind", "attribute"), NAMED_IN_THE_ACCOUNT.items())
def test_names_of_the_account_carry_the_region(kind: str, attribute: str) -> None:
    names = [values[attribute] for values in of_type(kind).values()]
    assert names
    assert all(name.endswith("-eu-west-1") for name in names), names


def test_names_of_roles_fit_whatever_the_module_is_called() -> None:
    """IAM takes 64 characters. The module's name has at most 31, and a region's, such as ap-southeast-1, at most 14."""
    longest = max(len(role["name"]) for role in of_type("aws_iam_role").values())
    assert longest - len("egress-sentinel") - len("eu-west-1") + 31 + 14 <= 64
