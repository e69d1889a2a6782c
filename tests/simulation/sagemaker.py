"""The part of SageMaker that the batch scorer, the drift monitor and the registrar call."""

from typing import Any

from tests.simulation.aws import Network, client_error


class SageMaker:
    """One endpoint with one model, transform jobs and model packages."""

    def __init__(self, network: Network, artifact_url: str) -> None:
        self._network = network
        self._artifact_url = artifact_url
        self.jobs: dict[str, dict[str, Any]] = {}
        self.packages: dict[str, dict[str, Any]] = {}

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:
        return self._network.call("sagemaker.describe_endpoint", lambda: {"EndpointConfigName": "config"})

    def describe_endpoint_config(self, EndpointConfigName: str) -> dict[str, Any]:
        answer = {"ProductionVariants": [{"ModelName": "model"}]}
        return self._network.call("sagemaker.describe_endpoint_config", lambda: answer)

    def describe_model(self, ModelName: str) -> dict[str, Any]:
        answer = {"ModelName": ModelName, "PrimaryContainer": {"ModelDataUrl": self._artifact_url}}
        return self._network.call("sagemaker.describe_model", lambda: answer)

    def create_transform_job(self, TransformJobName: str, **request: Any) -> None:
        def perform() -> None:
            if TransformJobName in self.jobs:
                raise client_error("ResourceInUse", "CreateTransformJob")
            self.jobs[TransformJobName] = request

        self._network.call("sagemaker.create_transform_job", perform)

    def create_model_package(self, ClientToken: str, **request: Any) -> dict[str, Any]:
        def perform() -> dict[str, Any]:
            self.packages.setdefault(ClientToken, request)
            return {"ModelPackageArn": f"arn:package/{ClientToken}"}

        return self._network.call("sagemaker.create_model_package", perform)
