"""The pod template of one worker: the user's, with what the service adds to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from controller.resources.as_written import as_written
from controller.resources.environment import EnvVars, with_variables
from controller.resources.keyed_lists import items_of, with_unique_items
from controller.resources.model_volume import with_model
from controller.resources.storage_initializer import with_download
from sedna_py.api.finding import Place
from sedna_py.api.model_mount import ModelMount
from sedna_py.api.pod_template import PodTemplate


@dataclass(frozen=True)
class Additions:
    """What a service adds to a worker's template.

    `injected` variables win over the template's, `extra` ones give way to them. `credentials` are variables of the init
    container that fetches the model, if one does.
    """

    labels: dict[str, str]
    injected: EnvVars
    extra: EnvVars
    mount: ModelMount
    initializer_image: str
    credentials: EnvVars


def pod_template(template: PodTemplate, additions: Additions, place: Place) -> dict[str, Any]:
    """Return the template with the additions; `place` is where it is written.

    Raises Unbuildable where something in it is in the way of an addition, or cannot be applied.
    """
    written = as_written(template)
    metadata = written.get("metadata", {})
    inside = (*place, "spec")
    pod = with_unique_items(written["spec"], inside)
    pod = with_model(pod, additions.mount, inside)
    pod = with_download(pod, additions.mount, additions.initializer_image, additions.credentials, inside)
    pod["containers"] = [
        _with_last_words(_with_environment(container, additions, (*inside, "containers", index)))
        for index, container in enumerate(pod["containers"])
    ]
    labels = {**metadata.get("labels", {}), **additions.labels}
    beyond = {field: value for field, value in written.items() if field not in {"metadata", "spec"}}
    return {"metadata": {**metadata, "labels": labels}, "spec": pod, **beyond}


def _with_environment(container: dict[str, Any], additions: Additions, place: Place) -> dict[str, Any]:
    own = items_of(container, "env", place)
    return {**container, "env": with_variables(own, additions.injected, additions.extra)}


def _with_last_words(container: dict[str, Any]) -> dict[str, Any]:
    """Let the node keep the end of the log of a container that fails: the status says why, and nobody asks the edge for logs."""
    return {
        **container,
        "terminationMessagePolicy": container.get("terminationMessagePolicy") or "FallbackToLogsOnError",
    }
