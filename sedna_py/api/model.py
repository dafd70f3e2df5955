"""The Model resource: where a model file is and what is known about it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from sedna_py.api.base import ApiModel, KeyValue, Timestamp, problem
from sedna_py.api.metadata import API_VERSION, DEFAULT_NAMESPACE, ObjectMeta
from sedna_py.api.model_mount import url_problem


class ModelSpec(ApiModel):
    """Where the model is."""

    url: str = Field(
        description="Path on the node, or an s3, http or https URL; other schemes go to the worker as they are."
    )
    format: str = Field(description="Format of the file, free text; not read by a JointInferenceService.")
    device_soc_versions: list[str] | None = Field(
        default=None, alias="device_soc_versions", description="Chips it was compiled for; not read here."
    )
    credential_name: str | None = Field(
        default=None, description="Secret of the namespace with the keys for an s3 URL."
    )

    @field_validator("url")
    @classmethod
    def _can_be_mounted(cls, url: str) -> str:
        reason = url_problem(url)
        if reason is not None:
            raise problem(reason)
        return url


class ModelStatus(ApiModel):
    """What was learned about the model."""

    update_time: Timestamp | None = Field(default=None, description="When the status was written.")
    metrics: list[KeyValue] | None = Field(default=None, description="Quality of the model, as text.")


class Model(ApiModel):
    """A model that a JointInferenceService of the same namespace can refer to."""

    api_version: Literal["sedna.io/v1alpha1"] = Field(default=API_VERSION, description="API group and version.")
    kind: Literal["Model"] = Field(default="Model", description="Kind of the object.")
    metadata: ObjectMeta = Field(description="Name, namespace, labels.")
    spec: ModelSpec = Field(description="Where the model is.")
    status: ModelStatus | None = Field(default=None, description="What was learned about the model.")

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """Namespace of the model; `default` when it names none."""
        return self.metadata.namespace or DEFAULT_NAMESPACE
