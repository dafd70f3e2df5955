"""Objects of an API server without what differs from run to run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]

_METADATA = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "selfLink")
_ALLOCATED = ("clusterIP", "clusterIPs")
# The deployment controller writes it a moment after the Deployment is there.
_REVISION = "deployment.kubernetes.io/revision"


def normalise(live: Mapping[str, Any], names: Mapping[str, str] | None = None) -> Object:
    """Return the object without status, versions, times and allocated addresses.

    `names` has texts that replace others wherever they are in it, such as those of a namespace and of a uid.
    """
    text = json.dumps(live)
    for actual, stable in (names or {}).items():
        text = text.replace(actual, stable)
    found: Object = json.loads(text)
    found.pop("status", None)
    for field in _METADATA:
        found["metadata"].pop(field, None)
    allocated = found.get("kind") == "Service" and found["spec"].get("clusterIP") != "None"
    for field in _ALLOCATED if allocated else ():
        found["spec"].pop(field, None)
    annotations = found["metadata"].get("annotations", {})
    annotations.pop(_REVISION, None)
    if not annotations:
        found["metadata"].pop("annotations", None)
    return found
