"""From a document of any shape to a resource and everything there is to say about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from sedna_py.api.finding import Finding, Level, error, has_errors, warning
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.api.metadata import API_VERSION
from sedna_py.api.model import Model
from sedna_py.api.schema_walk import unknown_fields
from sedna_py.api.service_checks import check_service
from sedna_py.api.validation_messages import validation_findings
from sedna_py.api.wording import near_miss, show

__all__ = ["RESOURCES", "Finding", "Level", "check_service", "error", "has_errors", "parse_document", "warning"]

Resource = JointInferenceService | Model

RESOURCES: Final[Mapping[str, type[JointInferenceService] | type[Model]]] = {
    "JointInferenceService": JointInferenceService,
    "Model": Model,
}


def parse_document(document: Any) -> tuple[Resource | None, list[Finding]]:
    """Parse one document; the resource is None exactly when a finding is an error. Raises nothing for any input."""
    if not isinstance(document, Mapping):
        return None, [
            error((), f"the document is {show(document)}; write a mapping with apiVersion, kind, metadata, spec")
        ]
    identity = _identity_findings(document)
    if identity:
        return None, identity
    model = RESOURCES[document["kind"]]
    warnings = list(unknown_fields(model, document))
    try:
        # by_name=False: the API server knows maxReplicas only, so max_replicas in a file is a mistake.
        resource = model.model_validate(dict(document), by_alias=True, by_name=False)
    except ValidationError as failure:
        return None, [*validation_findings(model, document, failure), *warnings]
    return resource, warnings


def _identity_findings(document: Mapping[Any, Any]) -> list[Finding]:
    kind, version = document.get("kind"), document.get("apiVersion")
    found = []
    if "apiVersion" not in document:
        found.append(error(("apiVersion",), f"is missing; write {API_VERSION}"))
    elif version != API_VERSION:
        found.append(error(("apiVersion",), f"is {show(version)}; write {API_VERSION}"))
    if not isinstance(kind, str) or kind not in RESOURCES:
        said = "is missing" if "kind" not in document else f"is {show(kind)}"
        meant = near_miss(kind, RESOURCES) if isinstance(kind, str) else None
        found.append(error(("kind",), f"{said}; write {meant or ' or '.join(RESOURCES)}"))
    return found
