"""The last test: `terraform destroy` leaves nothing."""

import re
import subprocess
from typing import Any

from tests.support.applied import together
from tests.support.stack import Stack
from tests.support.terraform import environment


def left(stack: Stack) -> dict[str, list[Any]]:
    """Return the resources that still exist in a local AWS."""
    client = stack.aws.client
    keys = client("kms").list_keys()["Keys"]
    described = [client("kms").describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in keys]
    return {
        "buckets": client("s3").list_buckets()["Buckets"],
        "functions": client("lambda").list_functions()["Functions"],
        "tables": client("dynamodb").list_tables()["TableNames"],
        "topics": client("sns").list_topics()["Topics"],
        "queues": [url for url in client("sqs").list_queues().get("QueueUrls", []) if "test-reads" not in url],
        "rules": client("events").list_rules()["Rules"],
        "roles": client("iam").list_roles()["Roles"],
        # SageMaker makes this one, for all training jobs of an account.
        "log groups": [
            group
            for group in client("logs").describe_log_groups()["logGroups"]
            if group["logGroupName"] != "/aws/sagemaker/TrainingJobs"
        ],
        "state machines": client("stepfunctions").list_state_machines()["stateMachines"],
        "schedules": client("scheduler").list_schedules()["Schedules"],
        "model packages": client("sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"],
        "alarms": client("cloudwatch").describe_alarms()["MetricAlarms"],
        "dashboards": client("cloudwatch").list_dashboards()["DashboardEntries"],
        "models": client("sagemaker").list_models()["Models"],
        "configurations": client("sagemaker").list_endpoint_configs()["EndpointConfigs"],
        "endpoints": client("sagemaker").list_endpoints()["Endpoints"],
        "feature groups": client("sagemaker").list_feature_groups()["FeatureGroupSummaries"],
        "notebooks": client("sagemaker").list_notebook_instances()["NotebookInstances"],
        "budgets": client("budgets").describe_budgets(AccountId="123456789012")["Budgets"],
        "slack channels": client("chatbot").describe_slack_channel_configurations()["SlackChannelConfigurations"],
        "teams channels": client("chatbot").list_microsoft_teams_channel_configurations()["TeamChannelConfigurations"],
        "databases": client("glue").get_databases()["DatabaseList"],
        "workgroups": [w for w in client("athena").list_work_groups()["WorkGroups"] if w["Name"] != "primary"],
        "job queues": client("batch").describe_job_queues()["jobQueues"],
        "compute environments": client("batch").describe_compute_environments()["computeEnvironments"],
        "job definitions": client("batch").describe_job_definitions(status="ACTIVE")["jobDefinitions"],
        "image repositories": client("ecr").describe_repositories()["repositories"],
        "builds": client("codebuild").list_projects()["projects"],
        "VPCs": [vpc for vpc in client("ec2").describe_vpcs()["Vpcs"] if not vpc["IsDefault"]],
        "VPC endpoints": [e for e in client("ec2").describe_vpc_endpoints()["VpcEndpoints"] if e["State"] != "deleted"],
        "flow logs": client("ec2").describe_flow_logs()["FlowLogs"],
        # moto makes the default keys behind AWS's own aliases.
        "keys": [k for k in described if k["Description"] != "Default key" and k["KeyState"] != "PendingDeletion"],
    }


def destroy_by_script(stack: Stack, answer: str = "", **asked: str) -> subprocess.CompletedProcess[str]:
    """Run the commands of `make destroy`, with its variables in the environment."""
    variables = {f"TF_VAR_{name}": value for name, value in stack.variables.items()}
    env = environment() | stack.aws.environment() | variables | asked
    command = ["bash", stack.folder.parents[1] / "destroy.sh", stack.folder]
    return subprocess.run(command, env=env, input=answer, capture_output=True, text=True, check=False)


def test_the_script_lists_the_data_to_delete_and_asks(stacks: dict[str, Stack]) -> None:
    stack = stacks["serverless"]
    done = destroy_by_script(stack, answer="no\n")
    assert done.returncode == 1
    assert f"Everything in {stack.outputs()['bucket']} will be deleted too." in done.stdout
    assert f"Everything in {stack.outputs()['alerts_table']} will be deleted too." in done.stdout
    listed = {kind: int(count) for count, kind in re.findall(r"^ +(\d+) (\w+)$", done.stdout, re.MULTILINE)}
    assert listed["aws_sns_topic_subscription"] == 1  # its address ends with an e-mail address
    assert f"These {sum(listed.values())} resources will be deleted:" in done.stdout
    assert done.stdout.endswith("Nothing was deleted.\n")


def test_destroy_leaves_nothing(stacks: dict[str, Stack]) -> None:
    """Terraform deletes neither the bucket nor the table that are not opened first: the script opens them."""

    def destroy(stack: Stack) -> None:
        if stack.variables["force_destroy"] == "true":
            stack.destroy()
            return
        done = destroy_by_script(stack, CONFIRM="yes")
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        again = destroy_by_script(stack)
        assert again.stdout.startswith("There is nothing to destroy")

    together(stacks, destroy)
    for name, found in together(stacks, left).items():
        assert {kind: things for kind, things in found.items() if things} == {}, name
