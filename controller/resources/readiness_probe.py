"""The readiness probe of a cloud worker: it serves when its model is loaded, not when its process is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from sedna_py.api.child_names import BIG_MODEL_PORT

JOB_NAME: Final = "JOB_NAME"
DEFAULT_JOB_NAME: Final = "sedna"

# A pod that is deleted or whose container ends leaves the Service at once, whatever a probe says. What is left is a worker that
# hangs, which its edges notice by themselves; and a slow one, such as upstream's, which answers nothing while it computes, must
# not be taken out under load. So it becomes ready fast and unready slowly.
_TIMES: Final = {"periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 3}


def with_readiness_probe(pod: dict[str, Any]) -> dict[str, Any]:
    """Return the pod's spec with a probe on its first container; unchanged where a container has one of the template's."""
    first, *others = pod["containers"]
    if any(container.get("readinessProbe") for container in (first, *others)):
        return pod
    return {**pod, "containers": [{**first, "readinessProbe": {**_question(first), **_TIMES}}, *others]}


def _question(container: Mapping[str, Any]) -> dict[str, Any]:
    prefix = _prefix(container)
    if prefix is None:
        return {"tcpSocket": {"port": BIG_MODEL_PORT}}
    return {"httpGet": {"path": f"/{quote(prefix.strip('/'))}", "port": BIG_MODEL_PORT}}


def _prefix(container: Mapping[str, Any]) -> str | None:
    """Return the prefix of the worker's paths, None where only the node will know it."""
    for variable in container.get("env", ()):
        if variable.get("name") == JOB_NAME:
            value = variable.get("value", "")
            unknown = "valueFrom" in variable or "$(" in value
            return None if unknown else value or DEFAULT_JOB_NAME
    return None if container.get("envFrom") else DEFAULT_JOB_NAME
