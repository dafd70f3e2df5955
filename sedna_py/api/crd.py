"""The CustomResourceDefinitions of sedna.io, made from the models: same models, same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel

from sedna_py.api.crd_rule import Rule
from sedna_py.api.crd_rules import NAME_RULES
from sedna_py.api.crd_schema import Schema, structural_schema
from sedna_py.api.joint_inference_service import (
    JointInferenceService,
    JointInferenceServiceSpec,
    JointInferenceServiceStatus,
)
from sedna_py.api.metadata import API_VERSION
from sedna_py.api.model import Model, ModelSpec, ModelStatus

GROUP, VERSION = API_VERSION.split("/")
CATEGORY: Final = "sedna"


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`; those of priority 1 need `-o wide`."""

    name: str
    path: str
    description: str
    type: str = "string"
    priority: int = 0

    def as_schema(self) -> dict[str, Any]:
        """Return the entry of additionalPrinterColumns."""
        return {
            "name": self.name,
            "type": self.type,
            "jsonPath": self.path,
            "description": self.description,
            **({"priority": self.priority} if self.priority else {}),
        }


@dataclass(frozen=True)
class ResourceDefinition:
    """A kind with everything that its CRD says."""

    root: type[BaseModel]
    spec: type[BaseModel]
    status: type[BaseModel]
    plural: str
    columns: Sequence[Column]
    short_names: Sequence[str] = ()
    rules: Sequence[Rule] = field(default=())

    @property
    def kind(self) -> str:
        """Name of the kind."""
        return self.root.__name__

    @property
    def name(self) -> str:
        """Name of the CRD object."""
        return f"{self.plural}.{GROUP}"


_AGE: Final = Column("Age", ".metadata.creationTimestamp", "When it was created.", type="date")


def _metric(key: str) -> str:
    return f'.status.metrics[?(@.key=="{key}")].value'


JOINT_INFERENCE_SERVICE: Final = ResourceDefinition(
    root=JointInferenceService,
    spec=JointInferenceServiceSpec,
    status=JointInferenceServiceStatus,
    plural="jointinferenceservices",
    short_names=("ji",),
    rules=NAME_RULES,
    columns=(
        Column("Edge", ".status.edge.ready", "Ready pods of the edge worker over those wanted."),
        Column("Cloud", ".status.cloud.ready", "Ready pods of the cloud worker over those wanted."),
        Column("Filter", ".spec.edgeWorker.hardExampleMining.name", "Which answers of the edge are doubted."),
        Column("Inferences", _metric("inferenceNumber"), "Inferences of all workers."),
        Column("Hard", _metric("uploadCloudRatio"), "Share of the inferences that were hard, from 0 to 1."),
        Column("Phase", ".status.phase", "State of the service in one word."),
        _AGE,
        Column("Edge-Model", ".spec.edgeWorker.model.name", "Model of the edge worker.", priority=1),
        Column("Cloud-Model", ".spec.cloudWorker.model.name", "Model of the cloud worker.", priority=1),
        Column("Edge-HPA", ".status.edge.scale", "Range of the edge worker's autoscaler.", priority=1),
        Column("Cloud-HPA", ".status.cloud.scale", "Range of the cloud worker's autoscaler.", priority=1),
    ),
)
MODEL: Final = ResourceDefinition(
    root=Model,
    spec=ModelSpec,
    status=ModelStatus,
    plural="models",
    # Not the url: it may hold a password.
    columns=(
        Column("Format", ".spec.format", "Format of the model's file."),
        Column("Credential", ".spec.credentialName", "Secret with the keys for the url."),
        _AGE,
    ),
)
DEFINITIONS: Final[Mapping[str, ResourceDefinition]] = {
    definition.name: definition for definition in (JOINT_INFERENCE_SERVICE, MODEL)
}


def custom_resource_definition(definition: ResourceDefinition) -> dict[str, Any]:
    """Return the CRD as a manifest."""
    singular = definition.kind.lower()
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": definition.name},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": definition.kind,
                "listKind": f"{definition.kind}List",
                "plural": definition.plural,
                "singular": singular,
                **({"shortNames": list(definition.short_names)} if definition.short_names else {}),
                "categories": [CATEGORY],
            },
            "scope": "Namespaced",
            "versions": [_version(definition)],
        },
    }


def _version(definition: ResourceDefinition) -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [column.as_schema() for column in definition.columns],
        "schema": {"openAPIV3Schema": _root_schema(definition)},
    }


def _root_schema(definition: ResourceDefinition) -> Schema:
    return {
        "type": "object",
        "description": definition.root.__doc__,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "API group and version."},
            "kind": {"type": "string", "description": "Kind of the object."},
            # The API server knows the rest of it.
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            "spec": structural_schema(definition.spec),
            "status": structural_schema(definition.status, checked=False),
        },
        **({"x-kubernetes-validations": [rule.as_schema() for rule in definition.rules]} if definition.rules else {}),
    }
