"""Object metadata, as far as we read it, and the names that Kubernetes and our own children allow."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from sedna_py.api.base import OpenModel, Timestamp, problem
from sedna_py.api.wording import show

API_VERSION: Final = "sedna.io/v1alpha1"
DEFAULT_NAMESPACE: Final = "default"

# The label app.sedna.io is the name with "-Cloud-svc" behind it, and a label's value ends at 63 characters.
SERVICE_NAME_MAX: Final = 63 - len("-Cloud-svc")
_OBJECT_NAME_MAX: Final = 253
_LABEL: Final = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


def _checked_service_name(name: str) -> str:
    if not _LABEL.fullmatch(name):
        raise problem(
            f"is {show(name)}; write lower-case letters, digits and '-', beginning with a letter, not ending with '-'"
            f"{_suggestion(name)}"
        )
    if len(name) > SERVICE_NAME_MAX:
        raise problem(
            f"is {len(name)} characters long; write at most {SERVICE_NAME_MAX} ('-Cloud-svc' is added in a label)"
        )
    return name


def _suggestion(name: str) -> str:
    candidate = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-0123456789").rstrip("-")
    return f", such as {candidate}" if candidate and len(candidate) <= SERVICE_NAME_MAX else ""


def _checked_object_name(name: str) -> str:
    if len(name) > _OBJECT_NAME_MAX or not _SUBDOMAIN.fullmatch(name):
        raise problem(
            f"is {show(name)}; write lower-case letters, digits, '-' and '.', at most {_OBJECT_NAME_MAX} characters"
        )
    return name


ServiceName = Annotated[str, AfterValidator(_checked_service_name)]
"""A DNS-1035 label of at most 53 characters: it becomes the name of a Service and part of a label."""

ObjectName = Annotated[str, AfterValidator(_checked_object_name)]
"""A DNS-1123 subdomain."""


class ObjectMeta(OpenModel):
    """Standard metadata of a Kubernetes object."""

    name: ObjectName = Field(description="Name, unique in the namespace.")
    namespace: str | None = Field(default=None, description="Namespace; absent means the namespace it is applied to.")
    uid: str | None = Field(default=None, description="Given by the API server; differs when a name is used again.")
    generation: int | None = Field(default=None, description="Counts the changes of the spec; given by the API server.")
    labels: dict[str, str] | None = Field(default=None, description="Labels.")
    annotations: dict[str, str] | None = Field(default=None, description="Annotations.")
    creation_timestamp: Timestamp | None = Field(default=None, description="When it was created.")
    deletion_timestamp: Timestamp | None = Field(default=None, description="When its deletion was asked for.")


class ServiceMeta(ObjectMeta):
    """Metadata of a JointInferenceService, whose name must also do for what is made from it."""

    name: ServiceName = Field(description="Name of the service: a DNS-1035 label of at most 53 characters.")
