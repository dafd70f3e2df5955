"""The pod template: typed where we read it, kept as it was written everywhere else."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from sedna_py.api.base import OpenModel, Quantity, problem, refuse_duplicates
from sedna_py.api.wording import show


class EnvVar(OpenModel):
    """One environment variable of a container."""

    name: str = Field(min_length=1, description="Name of the variable.")
    value: str | None = Field(default=None, description="Its value; numbers are written in quotes.")
    value_from: dict[str, Any] | None = Field(default=None, description="Where the value comes from instead.")


class ContainerPort(OpenModel):
    """A port that the container listens on."""

    container_port: Annotated[int, Field(ge=1, le=65535)] = Field(description="Port number.")
    name: str | None = Field(default=None, description="Name of the port.")
    protocol: Literal["TCP", "UDP", "SCTP"] | None = Field(default=None, description="Protocol; TCP when absent.")


class Resources(OpenModel):
    """What the container asks for and what it may use at most."""

    requests: dict[str, Quantity] | None = Field(default=None, description="What the scheduler sets aside for it.")
    limits: dict[str, Quantity] | None = Field(default=None, description="What it may use at most.")

    def requested(self, resource: str) -> Quantity | None:
        """Return the request for a resource; as in Kubernetes a limit without a request is the request."""
        value = (self.requests or {}).get(resource)
        return value if value is not None else (self.limits or {}).get(resource)


class VolumeMount(OpenModel):
    """A volume of the pod in the file system of the container."""

    name: str = Field(description="Name of a volume of the pod.")
    mount_path: str = Field(description="Directory or file in the container.")
    sub_path: str | None = Field(default=None, description="Path inside the volume.")
    read_only: bool | None = Field(default=None, description="Whether the container may only read it.")


class HostPath(OpenModel):
    """A path on the node."""

    path: str = Field(description="Absolute path on the node.")
    type: str | None = Field(default=None, description="What must be there, such as Directory.")


class Volume(OpenModel):
    """A volume of the pod; kinds other than hostPath are kept as they were written."""

    name: str = Field(min_length=1, description="Name of the volume.")
    host_path: HostPath | None = Field(default=None, description="A path on the node.")


class Container(OpenModel):
    """One container of the pod."""

    name: str = Field(min_length=1, description="Name of the container, unique in the pod.")
    image: str | None = Field(default=None, description="Image to run.")
    command: list[str] | None = Field(default=None, description="Replaces the entry point of the image.")
    args: list[str] | None = Field(default=None, description="Arguments of the entry point.")
    env: list[EnvVar] | None = Field(default=None, description="Environment variables; each name once.")
    ports: list[ContainerPort] | None = Field(default=None, description="Ports the container listens on.")
    resources: Resources | None = Field(default=None, description="Requests and limits.")
    volume_mounts: list[VolumeMount] | None = Field(default=None, description="Volumes in the container's file system.")

    @field_validator("env")
    @classmethod
    def _names_are_unique(cls, env: list[EnvVar] | None) -> list[EnvVar] | None:
        refuse_duplicates(env, lambda variable: variable.name, "name")
        return env

    def variable(self, name: str) -> EnvVar | None:
        """Return the environment variable of that name, or None."""
        return next((variable for variable in self.env or () if variable.name == name), None)


class PodSpec(OpenModel):
    """What runs in the pod."""

    containers: list[Container] = Field(min_length=1, description="Containers of the pod; the first is the worker.")
    restart_policy: str | None = Field(default=None, description="Empty or Always: a Deployment allows nothing else.")
    node_name: str | None = Field(default=None, description="Node to run on, without asking the scheduler.")
    host_network: bool | None = Field(default=None, description="Whether the pod shares the network of its node.")
    volumes: list[Volume] | None = Field(default=None, description="Volumes that containers can mount.")

    @field_validator("containers")
    @classmethod
    def _container_names_are_unique(cls, containers: list[Container]) -> list[Container]:
        refuse_duplicates(containers, lambda container: container.name, "name")
        return containers

    @field_validator("restart_policy")
    @classmethod
    def _restarts_always(cls, policy: str | None) -> str | None:
        if policy not in {None, "", "Always"}:
            raise problem(f"is {show(policy)}, which a Deployment refuses; write Always or leave it out")
        return policy

    @property
    def placing(self) -> dict[str, Any]:
        """What names the node of the pods: nodeName and nodeSelector, where they were written."""
        selector = (self.model_extra or {}).get("nodeSelector")
        return {"nodeName": self.node_name, "nodeSelector": selector}


class TemplateMeta(OpenModel):
    """Metadata of the pods."""

    labels: dict[str, str] | None = Field(default=None, description="Labels of the pods.")
    annotations: dict[str, str] | None = Field(default=None, description="Annotations of the pods.")


class PodTemplate(OpenModel):
    """Template of the pods of one worker (core/v1 PodTemplateSpec)."""

    metadata: TemplateMeta | None = Field(default=None, description="Metadata of the pods.")
    spec: PodSpec = Field(description="Containers, volumes and the rest of a pod's spec.")
