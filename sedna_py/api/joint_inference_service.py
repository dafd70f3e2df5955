"""The JointInferenceService resource."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from sedna_py.api.base import ApiModel, Count, KeyValue, Timestamp, refuse_duplicates
from sedna_py.api.exposure import Exposure
from sedna_py.api.hpa import CloudHpa, Hpa
from sedna_py.api.metadata import API_VERSION, DEFAULT_NAMESPACE, ServiceMeta
from sedna_py.api.pod_template import PodTemplate


class ModelReference(ApiModel):
    """Which Model a worker uses."""

    name: str = Field(min_length=1, description="Name of a Model in the namespace of the service.")


class Parameter(ApiModel):
    """One parameter of the hard-example-mining filter."""

    key: str = Field(min_length=1, description="Name of the parameter.")
    value: str = Field(description="Value of the parameter; always text, so numbers are written in quotes.")


class HardExampleMining(ApiModel):
    """The filter that decides which answers of the little model to doubt."""

    name: str = Field(min_length=1, description="Name of the filter, such as IBT or CrossEntropy, or one of your own.")
    parameters: list[Parameter] | None = Field(default=None, description="Parameters of the filter; each key once.")

    @field_validator("parameters")
    @classmethod
    def _keys_are_unique(cls, parameters: list[Parameter] | None) -> list[Parameter] | None:
        refuse_duplicates(parameters, lambda parameter: parameter.key, "key")
        return parameters


class Worker(ApiModel):
    """One side of the service: a model, the pods that run it, and how they scale."""

    model: ModelReference = Field(description="The model that the worker runs.")
    template: PodTemplate = Field(description="Template of the worker's pods.")
    hpa: Hpa | None = Field(default=None, description="Autoscaling of the worker; absent means one pod.")


class CloudWorker(Worker):
    """The cloud side, which edges have to reach."""

    hpa: CloudHpa | None = Field(default=None, description="Autoscaling of the worker; absent means one pod.")
    expose: Exposure | None = Field(default=None, description="How edges reach it; absent means type ClusterIP.")
    container_concurrency: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None, description="Most requests in the model of a pod at once."
    )

    @property
    def exposure(self) -> Exposure:
        """How edges reach the worker, with the default where nothing was written."""
        return self.expose or Exposure()


class EdgeWorker(Worker):
    """The edge side, which also decides which frames the cloud is asked about."""

    hard_example_mining: HardExampleMining = Field(description="The filter that finds the frames to send to the cloud.")


class JointInferenceServiceSpec(ApiModel):
    """What the service shall be."""

    edge_worker: EdgeWorker = Field(description="Edge side: the little model, the filter and the pods.")
    cloud_worker: CloudWorker = Field(description="Cloud side: the big model and the pods.")


class Condition(ApiModel):
    """One statement about the service; the last of the list is its current state."""

    type: str = Field(description="What is stated, such as Running or Failed.")
    status: str = Field(description="True, False or Unknown.")
    reason: str | None = Field(default=None, description="Why, in one CamelCase word.")
    message: str | None = Field(default=None, description="Why, for people.")
    last_heartbeat_time: Timestamp | None = Field(default=None, description="When it was last seen to be so.")
    last_transition_time: Timestamp | None = Field(default=None, description="When its status last changed.")
    observed_generation: int | None = Field(default=None, description="Generation of the spec that it is about.")


class WorkerStatus(ApiModel):
    """The pods of one worker in two words, for `kubectl get ji`."""

    ready: str | None = Field(default=None, description="Ready pods over wanted pods, such as 1/2.")
    scale: str | None = Field(default=None, description="Range of the autoscaler, such as 1-5, or its class.")


class WorkerCounts(ApiModel):
    """What one worker reported last."""

    name: str = Field(description="Name of the pod.")
    inference_number: Annotated[int, Field(ge=0)] = Field(description="Inferences since the worker began.")
    hard_example_number: Annotated[int, Field(ge=0)] = Field(description="Hard ones among them.")


class JointInferenceServiceStatus(ApiModel):
    """What the service is."""

    observed_generation: int | None = Field(default=None, description="Generation of the spec that this is about.")
    phase: str | None = Field(default=None, description="Starting, Running, Degraded or Failed.")
    edge: WorkerStatus | None = Field(default=None, description="Pods of the edge worker.")
    cloud: WorkerStatus | None = Field(default=None, description="Pods of the cloud worker.")
    conditions: list[Condition] | None = Field(default=None, description="Statements; the last is the current state.")
    start_time: Timestamp | None = Field(default=None, description="When the service was first handled.")
    active: Count | None = Field(default=None, description="How many of the two workers are up.")
    failed: Count | None = Field(default=None, description="How many of the two workers are not up.")
    metrics: list[KeyValue] | None = Field(
        default=None, description="Counts of inference, as text: sums over all workers since the service began."
    )
    workers: list[WorkerCounts] | None = Field(default=None, description="Counts of the workers that exist now.")


class JointInferenceService(ApiModel):
    """A small model at the edge, a big one in the cloud, and the filter between them."""

    api_version: Literal["sedna.io/v1alpha1"] = Field(default=API_VERSION, description="API group and version.")
    kind: Literal["JointInferenceService"] = Field(default="JointInferenceService", description="Kind of the object.")
    metadata: ServiceMeta = Field(description="Name, namespace, labels.")
    spec: JointInferenceServiceSpec = Field(description="What the service shall be.")
    status: JointInferenceServiceStatus | None = Field(default=None, description="What the service is.")

    @property
    def name(self) -> str:
        """Name of the service."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """Namespace of the service; `default` when it names none."""
        return self.metadata.namespace or DEFAULT_NAMESPACE
