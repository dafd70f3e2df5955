"""Lists with keys in a template: repeated items, and things that are no lists."""

from __future__ import annotations

from typing import Any

import pytest

from tests.controller.wanted_objects import CLOUD_POD, pod, problem, wanted


def written(container: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {CLOUD_POD: {"containers": [{"name": "c", "image": "i", **(container or {})}], **fields}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            written({"ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP", "name": "web"}]}),
            'containers[0].ports[1] has containerPort 80, protocol "TCP", as item [0] has; write each once',
        ),
        (
            written({"volumeMounts": [{"name": "a", "mountPath": "/a"}, {"name": "b", "mountPath": "/a"}]}),
            'containers[0].volumeMounts[1] has mountPath "/a", as item [0] has; write each once',
        ),
        (
            written(volumes=[{"name": "v", "emptyDir": {}}, {"name": "w"}, {"name": "v", "hostPath": {"path": "/"}}]),
            'volumes[2] has name "v", as item [0] has; write each once',
        ),
        (
            written(initContainers=[{"name": "a", "image": "i", "env": [{"name": "X", "value": "1"}, {"name": "X"}]}]),
            'initContainers[0].env[1] has name "X", as item [0] has; write each once',
        ),
        (
            written(initContainers=[{"name": "a", "image": "i"}, {"name": "a", "image": "j"}]),
            'initContainers[1] has name "a", as item [0] has; write each once',
        ),
        (
            written(hostAliases=[{"ip": "::1", "hostnames": ["a"]}, {"ip": "::1", "hostnames": ["b"]}]),
            'hostAliases[1] has ip "::1", as item [0] has; write each once',
        ),
        (written(initContainers={"name": "a"}), "initContainers is a mapping; write a list"),
        (written(initContainers=["a"]), 'initContainers[0] is "a"; write a mapping'),
        (written(initContainers=[{"name": "a", "env": [None]}]), "initContainers[0].env[0] is empty; write a mapping"),
        (written({"volumeDevices": "x"}), 'containers[0].volumeDevices is "x"; write a list'),
    ],
)
def test_what_cannot_be_applied_says_what_to_write(changes: dict[str, Any], message: str) -> None:
    assert problem(wanted(changes)) == f"InvalidSpec: spec.cloudWorker.template.spec.{message}"


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        (
            written({"ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}]}),
            [{"containerPort": 80}],
        ),
        (written({"ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]}), None),
        (written({"ports": [{"containerPort": 80}] * 3}), [{"containerPort": 80}]),
    ],
)
def test_the_same_words_twice_do_no_harm(changes: dict[str, Any], left: list[Any] | None) -> None:
    ports = changes[CLOUD_POD]["containers"][0]["ports"]
    assert pod(wanted(changes))["containers"][0]["ports"] == (ports if left is None else left)


def test_lists_without_keys_may_repeat_items() -> None:
    tolerations = [{"operator": "Exists"}, {"operator": "Exists"}]
    assert pod(wanted(written(tolerations=tolerations)))["tolerations"] == tolerations
