"""AWS Batch that runs jobs: the container's command runs as a local process with the job role.

Closes these gaps of moto 5.2: compute environments without a service role are rejected, jobs run only in Docker, and
the end of a job sends no event. No image is pulled: `python` in a command is the Python that runs the local AWS.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from pathlib import PurePosixPath
from typing import Any

from werkzeug.wrappers import Request, Response

from local_aws.account import ACCOUNT_ID, REGION, ApiError, key_of_role
from local_aws.jobs import emit

_ARN = f"arn:aws:batch:{REGION}:{ACCOUNT_ID}"
_VALID = {"status": "VALID", "statusReason": "ComputeEnvironment Healthy"}


class Batch:
    """The API of compute environments, job queues, job definitions and jobs."""

    def __init__(self) -> None:
        self._environments: dict[str, dict[str, Any]] = {}
        self._queues: dict[str, dict[str, Any]] = {}
        self._definitions: dict[str, dict[str, Any]] = {}
        self._jobs: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def answer(self, request: Request, body: bytes) -> Response:
        """Answer a request. Its path ends with the operation's name, or with an ARN for tags."""
        given = json.loads(body or b"{}")
        path = request.path.removeprefix("/v1/")
        try:
            if path.startswith("tags/"):
                answer = self._tags(request, path.removeprefix("tags/"), given)
            else:
                answer = getattr(self, f"_{path}")(given)
        except ApiError as error:
            return error.response()
        return Response(json.dumps(answer), mimetype="application/json")

    def _createcomputeenvironment(self, given: dict[str, Any]) -> dict[str, str]:
        name = given["computeEnvironmentName"]
        if name in self._environments:
            raise ApiError(f"Object already exists: {name}", "ClientException")
        arn = f"{_ARN}:compute-environment/{name}"
        role = f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
        cluster = f"arn:aws:ecs:{REGION}:{ACCOUNT_ID}:cluster/{name}"
        made = {
            "computeEnvironmentArn": arn,
            "ecsClusterArn": cluster,
            "serviceRole": role,
            "state": "ENABLED",
            **_VALID,
        }
        self._environments[name] = made | {"containerOrchestrationType": "ECS", "tags": {}} | given
        return {"computeEnvironmentName": name, "computeEnvironmentArn": arn}

    def _describecomputeenvironments(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"computeEnvironments": _named(self._environments, given.get("computeEnvironments"))}

    def _updatecomputeenvironment(self, given: dict[str, Any]) -> dict[str, str]:
        found = self._environments[_name(given["computeEnvironment"])]
        found |= {name: given[name] for name in ("state", "serviceRole") if name in given}
        found["computeResources"] |= given.get("computeResources", {})
        return {name: found[name] for name in ("computeEnvironmentName", "computeEnvironmentArn")}

    def _deletecomputeenvironment(self, given: dict[str, Any]) -> dict[str, Any]:
        name = _name(given["computeEnvironment"])
        arn = f"{_ARN}:compute-environment/{name}"
        if self._environments[name]["state"] == "ENABLED":
            raise ApiError("Cannot delete, compute environment is not disabled", "ClientException")
        orders = [order for queue in self._queues.values() for order in queue["computeEnvironmentOrder"]]
        if arn in [order["computeEnvironment"] for order in orders]:
            raise ApiError("Cannot delete, found existing JobQueue relationship", "ClientException")
        del self._environments[name]
        return {}

    def _createjobqueue(self, given: dict[str, Any]) -> dict[str, str]:
        name = given["jobQueueName"]
        if name in self._queues:
            raise ApiError(f"Object already exists: {name}", "ClientException")
        for order in given["computeEnvironmentOrder"]:
            if _name(order["computeEnvironment"]) not in self._environments:
                raise ApiError(f"computeEnvironment {order['computeEnvironment']} does not exist", "ClientException")
        arn = f"{_ARN}:job-queue/{name}"
        self._queues[name] = {"jobQueueArn": arn, "state": "ENABLED", **_VALID, "tags": {}} | given
        return {"jobQueueName": name, "jobQueueArn": arn}

    def _describejobqueues(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"jobQueues": _named(self._queues, given.get("jobQueues"))}

    def _updatejobqueue(self, given: dict[str, Any]) -> dict[str, str]:
        found = self._queues[_name(given["jobQueue"])]
        found |= {name: value for name, value in given.items() if name != "jobQueue"}
        return {name: found[name] for name in ("jobQueueName", "jobQueueArn")}

    def _deletejobqueue(self, given: dict[str, Any]) -> dict[str, Any]:
        name = _name(given["jobQueue"])
        if self._queues[name]["state"] == "ENABLED":
            raise ApiError("Cannot delete, job queue is not disabled", "ClientException")
        del self._queues[name]
        return {}

    def _registerjobdefinition(self, given: dict[str, Any]) -> dict[str, Any]:
        name = given["jobDefinitionName"]
        revision = 1 + max(
            (d["revision"] for d in self._definitions.values() if d["jobDefinitionName"] == name), default=0
        )
        arn = f"{_ARN}:job-definition/{name}:{revision}"
        made = {"jobDefinitionArn": arn, "revision": revision, "status": "ACTIVE", "containerOrchestrationType": "ECS"}
        empty: dict[str, Any] = {"environment": [], "mountPoints": [], "secrets": [], "ulimits": [], "volumes": []}
        container = empty | given.get("containerProperties", {})
        self._definitions[arn] = {"tags": {}, "parameters": {}} | given | made | {"containerProperties": container}
        return {"jobDefinitionName": name, "jobDefinitionArn": arn, "revision": revision}

    def _describejobdefinitions(self, given: dict[str, Any]) -> dict[str, Any]:
        found = list(self._definitions.values())
        if "jobDefinitions" in given:
            found = [d for d in found if _names(d) & set(given["jobDefinitions"])]
        if "jobDefinitionName" in given:
            found = [d for d in found if d["jobDefinitionName"] == given["jobDefinitionName"]]
        return {"jobDefinitions": [d for d in found if d["status"] == given.get("status", d["status"])]}

    def _deregisterjobdefinition(self, given: dict[str, Any]) -> dict[str, Any]:
        for definition in self._definitions.values():
            if given["jobDefinition"] in _names(definition):
                definition["status"] = "INACTIVE"
        return {}

    def _submitjob(self, given: dict[str, Any]) -> dict[str, str]:
        queue = self._queues.get(_name(given["jobQueue"]))
        if queue is None:
            raise ApiError(f"JobQueue {given['jobQueue']} does not exist.", "ClientException")
        definition = self._definition(given["jobDefinition"])
        job_id = str(uuid.uuid4())
        job = {
            "jobId": job_id,
            "jobName": given["jobName"],
            "jobArn": f"{_ARN}:job/{job_id}",
            "jobQueue": queue["jobQueueArn"],
            "jobDefinition": definition["jobDefinitionArn"],
            "parameters": definition["parameters"] | given.get("parameters", {}),
            "status": "RUNNING",
            "createdAt": _now(),
            "startedAt": _now(),
        }
        with self._lock:
            self._jobs[job_id] = job
        threading.Thread(target=self._run, args=(job, definition["containerProperties"]), daemon=True).start()
        return {"jobArn": job["jobArn"], "jobId": job_id, "jobName": given["jobName"]}

    def _describejobs(self, given: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            return {"jobs": [dict(self._jobs[job_id]) for job_id in given["jobs"] if job_id in self._jobs]}

    def _definition(self, name: str) -> dict[str, Any]:
        """Return a revision, or the newest revision of a name."""
        active = [d for d in self._definitions.values() if d["status"] == "ACTIVE"]
        found = [d for d in active if name in _names(d) | {d["jobDefinitionName"]}]
        if not found:
            raise ApiError(f"JobDefinition {name} does not exist.", "ClientException")
        return max(found, key=lambda definition: int(definition["revision"]))

    def _run(self, job: dict[str, Any], container: dict[str, Any]) -> None:
        key = key_of_role(container["jobRoleArn"])
        values = {f"Ref::{name}": value for name, value in job["parameters"].items()}
        command = [values.get(word, word) for word in container["command"]]
        if PurePosixPath(command[0]).name == "python":
            command[0] = sys.executable
        named = {entry["name"]: entry["value"] for entry in container["environment"]}
        environment = os.environ | named | {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": key}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        sys.stderr.write(done.stderr)
        reason = "Essential container in task exited"
        ended = {"status": "FAILED" if done.returncode else "SUCCEEDED", "statusReason": reason, "stoppedAt": _now()}
        with self._lock:
            job |= ended | {"container": {"exitCode": done.returncode, "command": command}}
        emit("Batch Job State Change", [job["jobArn"]], dict(job), source="aws.batch")

    def _tags(self, request: Request, arn: str, given: dict[str, Any]) -> dict[str, Any]:
        kinds = (self._environments, self._queues, self._definitions)
        found = next(thing for kind in kinds for thing in kind.values() if arn in thing.values())
        if request.method == "POST":
            found["tags"] |= given["tags"]
        elif request.method == "DELETE":
            found["tags"] = {k: v for k, v in found["tags"].items() if k not in request.args.getlist("tagKeys")}
        return {"tags": found["tags"]} if request.method == "GET" else {}


def _name(name_or_arn: str) -> str:
    return name_or_arn.rpartition("/")[2]


def _named(things: dict[str, dict[str, Any]], names: list[str] | None) -> list[dict[str, Any]]:
    return [things[name] for name in map(_name, things if names is None else names) if name in things]


def _names(definition: dict[str, Any]) -> set[str]:
    """Return the names that identify a revision."""
    return {definition["jobDefinitionArn"], f"{definition['jobDefinitionName']}:{definition['revision']}"}


def _now() -> int:
    return int(time.time() * 1000)
