"""Models, endpoint configurations and endpoints of SageMaker, and their invocation.

Closes these gaps of moto 5.2: DescribeModel adds an empty VpcConfig and loses network isolation, configurations have an
empty DataCaptureConfig, DeploymentConfig is missing in responses, UpdateEndpoint and most ListTags calls return 500,
and InvokeEndpoint returns fixed bytes for any name. Here, an endpoint serves the artifact of its model. As in AWS, an
update with a model that does not start leaves the endpoint unchanged, a real-time endpoint cannot become serverless,
and a scaled variant keeps its instance type.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Request, Response

from egress_sentinel.errors import UserError
from egress_sentinel.serving.app import PRIMARY
from egress_sentinel.serving.local_pipeline import Container, LocalPipeline
from local_aws.account import ACCOUNT_ID, REGION, ApiError, download, key_of_role
from local_aws.feature_store import FeatureStore
from local_aws.packages import Packages
from local_aws.training import TrainingJobs
from local_aws.transform import TransformJobs

_KINDS = {"Model": "model", "EndpointConfig": "endpoint-config", "Endpoint": "endpoint"}
_OF_NOTEBOOKS = ("PlatformIdentifier", "InstanceMetadataServiceConfiguration")
_PLATFORM = "notebook-al2023-v1"  # AWS's default
_ECHOED = ("Content-Type", "X-Amzn-Invoked-Production-Variant", "X-Amzn-SageMaker-Custom-Attributes")


class SageMaker:
    """The control plane of models and endpoints. moto handles notebooks and the other resources."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in _KINDS}
        self._tags: dict[str, list[dict[str, str]]] = {}
        self._notebooks: dict[str, dict[str, Any]] = {}
        self._serving: dict[str, LocalPipeline] = {}
        self._variants: dict[str, list[dict[str, Any]]] = {}
        self._lock = threading.RLock()
        self._packages = Packages()
        self.feature_store = FeatureStore()
        jobs = (TransformJobs(self._artifact), TrainingJobs())
        self._parts = (self, *jobs, self._packages, self.feature_store)

    def answer(self, request: Request, body: bytes) -> Response | None:
        """Answer a call of the control plane. None if moto answers it."""
        action = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        handlers = (getattr(part, f"_{action}", None) for part in self._parts)
        handler = next(filter(None, handlers), None)
        if handler is None:
            return None
        try:
            with self._lock:
                given = json.loads(body or b"{}")
                result = handler(given)
                if given.get("Tags") and action.startswith("Create"):
                    self._tags[next(iter(result.values()))] = given["Tags"]
        except ApiError as error:
            return error.response()
        return Response(json.dumps(result), mimetype="application/x-amz-json-1.1")

    def invoke(self, name: str, request: Request, body: bytes) -> Response:
        """Invoke an endpoint, as SageMaker Runtime does."""
        serving = self._serving.get(name)
        if serving is None:
            message = f"Endpoint {name} of account {ACCOUNT_ID} not found."
            return ApiError(message, "ValidationError").response()
        answer = serving.invoke(body, dict(request.headers.items()))
        echoed = {key: value for key, value in answer.headers.items() if key.title() in map(str.title, _ECHOED)}
        echoed |= {key: value for key, value in answer.headers.items() if key.lower().startswith("x-amzn-")}
        return Response(answer.data, answer.status, echoed)

    def complete(self, request: Request, body: bytes, response: Response) -> None:
        """Store the fields that moto loses: tags, and the request that created a notebook instance."""
        if response.status_code != 200 or not response.get_data():
            return
        action = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        given, answer = json.loads(body or b"{}"), json.loads(response.get_data())
        arns = [value for name, value in answer.items() if name.endswith("Arn")]
        if given.get("Tags") and arns:
            self._tags[arns[0]] = given["Tags"]
        if action == "CreateNotebookInstance":
            self._notebooks[given["NotebookInstanceName"]] = {key: given[key] for key in _OF_NOTEBOOKS if key in given}
        if action == "DescribeNotebookInstance":
            kept = {"PlatformIdentifier": _PLATFORM} | self._notebooks.get(given["NotebookInstanceName"], {})
            response.set_data(json.dumps(answer | kept))

    def close(self) -> None:
        """Stop every endpoint."""
        for name in list(self._serving):
            self._stop(name)

    def _CreateModel(self, given: dict[str, Any]) -> dict[str, str]:  # noqa: N802 - the API's name
        if given.get("InferenceExecutionConfig", {}).get("Mode", "Serial") != "Serial":
            raise ApiError("The local AWS supports only the InferenceExecutionConfig mode Serial.")
        return self._create("Model", given)

    def _CreateEndpointConfig(self, given: dict[str, Any]) -> dict[str, str]:  # noqa: N802
        for variant in given["ProductionVariants"]:
            model = self._get("Model", variant["ModelName"])
            if "ServerlessConfig" in variant and "Containers" in model:
                raise ApiError("Serverless endpoints do not serve models of several containers.")
        return self._create("EndpointConfig", given)

    def _CreateEndpoint(self, given: dict[str, Any]) -> dict[str, str]:  # noqa: N802
        created = self._create("Endpoint", given)
        endpoint = self._get("Endpoint", given["EndpointName"])
        reason = self._serve(given["EndpointName"], given["EndpointConfigName"])
        # A configuration may be deleted while its endpoint continues to serve.
        variants = self._get("EndpointConfig", given["EndpointConfigName"])["ProductionVariants"]
        endpoint["ProductionVariants"] = [{"VariantName": variant["VariantName"]} for variant in variants]
        self._variants[given["EndpointName"]] = variants
        endpoint |= {"EndpointStatus": "InService"} if reason is None else _failed(reason)
        return created

    def _UpdateEndpoint(self, given: dict[str, Any]) -> dict[str, str]:  # noqa: N802
        endpoint = self._get("Endpoint", given["EndpointName"])
        variants = self._get("EndpointConfig", given["EndpointConfigName"])["ProductionVariants"]
        _check_update(given["EndpointName"], self._variants[given["EndpointName"]], variants)
        reason = self._serve(given["EndpointName"], given["EndpointConfigName"])
        self._variants[given["EndpointName"]] = variants if reason is None else self._variants[given["EndpointName"]]
        # If the new model does not start, the update is rolled back, and the endpoint serves the old model.
        endpoint |= {"LastModifiedTime": time.time(), "EndpointStatus": "InService"}
        endpoint |= {"FailureReason": reason} if reason else {"EndpointConfigName": given["EndpointConfigName"]}
        if "DeploymentConfig" in given:
            endpoint["DeploymentConfig"] = given["DeploymentConfig"]
        return {"EndpointArn": endpoint["EndpointArn"]}

    def _DescribeModel(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self._get("Model", given["ModelName"])

    def _DescribeEndpointConfig(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self._get("EndpointConfig", given["EndpointConfigName"])

    def _DescribeEndpoint(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        endpoint = dict(self._get("Endpoint", given["EndpointName"]))
        deployment = endpoint.pop("DeploymentConfig", None)
        return {**endpoint, "LastDeploymentConfig": deployment} if deployment else endpoint

    def _DeleteModel(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self._delete("Model", given["ModelName"])

    def _DeleteEndpointConfig(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self._delete("EndpointConfig", given["EndpointConfigName"])

    def _DeleteEndpoint(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._stop(given["EndpointName"])
        return self._delete("Endpoint", given["EndpointName"])

    def _ListModels(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"Models": self._summaries("Model")}

    def _ListEndpointConfigs(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"EndpointConfigs": self._summaries("EndpointConfig")}

    def _ListEndpoints(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"Endpoints": self._summaries("Endpoint", "LastModifiedTime", "EndpointStatus")}

    def _ListTags(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"Tags": self._tags.get(given["ResourceArn"], [])}

    def _AddTags(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        kept = {tag["Key"]: tag for tag in [*self._tags.get(given["ResourceArn"], []), *given["Tags"]]}
        self._tags[given["ResourceArn"]] = list(kept.values())
        return {"Tags": self._tags[given["ResourceArn"]]}

    def _DeleteTags(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        tags = self._tags.get(given["ResourceArn"], [])
        self._tags[given["ResourceArn"]] = [tag for tag in tags if tag["Key"] not in given["TagKeys"]]
        return {}

    def _summaries(self, kind: str, *more: str) -> list[dict[str, Any]]:
        names = (f"{kind}Name", f"{kind}Arn", "CreationTime", *more)
        return [{name: found[name] for name in names} for found in self._objects[kind].values()]

    def _create(self, kind: str, given: dict[str, Any]) -> dict[str, str]:
        name = given[f"{kind}Name"]
        if name in self._objects[kind]:
            raise ApiError(f"Cannot create already existing {_KINDS[kind]} {name!r}.")
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT_ID}:{_KINDS[kind]}/{name}"
        self._tags[arn] = given.pop("Tags", [])
        now = time.time()
        # Models and configurations are immutable.
        modified = {"LastModifiedTime": now} if kind == "Endpoint" else {}
        self._objects[kind][name] = given | {f"{kind}Arn": arn, "CreationTime": now} | modified
        return {f"{kind}Arn": arn}

    def _get(self, kind: str, name: str) -> dict[str, Any]:
        if name not in self._objects[kind]:
            raise ApiError(f"Could not find {_KINDS[kind]} {name!r}.")
        return self._objects[kind][name]

    def _delete(self, kind: str, name: str) -> dict[str, Any]:
        gone = self._get(kind, name)
        del self._objects[kind][name]
        self._tags.pop(gone[f"{kind}Arn"], None)
        return {}

    def _serve(self, endpoint: str, configuration: str) -> str | None:
        """Replace the endpoint's model by that of a configuration. Return the reason if that fails."""
        variant = self._get("EndpointConfig", configuration)["ProductionVariants"][0]
        limit_mb = 4 if "ServerlessConfig" in variant else 6
        with tempfile.TemporaryDirectory() as folder:
            try:
                containers = self._containers(variant["ModelName"], Path(folder))
                serving = LocalPipeline(containers, endpoint_name=endpoint, body_limit_mb=limit_mb)
                serving.__enter__()
            except UserError as error:
                return str(error)
        self._stop(endpoint)
        self._serving[endpoint] = serving
        return None

    def _containers(self, model: str, folder: Path) -> list[Container]:
        """Download a model's artifacts and return its containers in order."""
        described = self._get("Model", model)
        containers = []
        for number, given in enumerate(described.get("Containers") or [described["PrimaryContainer"]]):
            artifact = folder / f"model-{number}.tar.gz"
            resolved = self._resolved(given)
            download(str(resolved.get("ModelDataUrl", "")), artifact, key_of_role(described["ExecutionRoleArn"]))
            name = given.get("ContainerHostname") or (
                f"container-{number + 1}" if "Containers" in described else PRIMARY
            )
            containers.append(Container(artifact, resolved.get("Environment", {}), name))
        return containers

    def _artifact(self, model: str) -> tuple[str, str, dict[str, str]]:
        """Return the artifact's address, the role and the environment of a model with one container."""
        described = self._get("Model", model)
        if "PrimaryContainer" not in described:
            raise ApiError(f"The local AWS cannot run a transform job of {model!r}, which is an inference pipeline.")
        container = self._resolved(described["PrimaryContainer"])
        url, role = str(container.get("ModelDataUrl", "")), str(described["ExecutionRoleArn"])
        return url, role, container.get("Environment", {})

    def _resolved(self, container: dict[str, Any]) -> dict[str, Any]:
        """Return a container, from the model itself or from its model package."""
        package = container.get("ModelPackageName")
        if package is None:
            return container
        found: dict[str, Any] = self._packages.describe(package)["InferenceSpecification"]["Containers"][0]
        return found

    def _stop(self, endpoint: str) -> None:
        serving = self._serving.pop(endpoint, None)
        if serving is not None:
            serving.__exit__(None, None, None)


def _check_update(endpoint: str, old: list[dict[str, Any]], new: list[dict[str, Any]]) -> None:
    """Reject changes that SageMaker does not support in place.

    Raises
    ------
    ApiError
        A real-time endpoint would become serverless, or a scaled variant would be removed or change its instance type.
    """
    if any("ServerlessConfig" in variant for variant in new) and not any("ServerlessConfig" in v for v in old):
        raise ApiError("You cannot convert your instance-based, real-time endpoint to a serverless endpoint.")
    types = {variant["VariantName"]: variant.get("InstanceType") for variant in new}
    scaled = [
        variant["VariantName"]
        for variant in old
        if types.get(variant["VariantName"]) != variant.get("InstanceType")
        and _is_scaled(endpoint, variant["VariantName"])
    ]
    if scaled:
        raise ApiError(
            f'The variant(s) "{scaled}" must be deregistered as scalable target with AWS Auto Scaling before they can '
            "be removed or have their instance type updated."
        )


def _is_scaled(endpoint: str, variant: str) -> bool:
    from moto.applicationautoscaling.models import applicationautoscaling_backends

    targets = applicationautoscaling_backends[ACCOUNT_ID][REGION].targets
    resource = f"endpoint/{endpoint}/variant/{variant}"
    return any(resource in of_dimension for of_dimension in targets.values())


def _failed(reason: str) -> dict[str, str]:
    return {"EndpointStatus": "Failed", "FailureReason": reason}
