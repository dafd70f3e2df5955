"""The examples' pods ask for no more than they need: the restricted pod security standard, but for hostPath."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

EXAMPLES = Path(__file__).parents[2] / "examples"


def pod_specs() -> Iterator[Any]:
    for path in sorted((*EXAMPLES.glob("*/service.yaml"), *EXAMPLES.glob("autoscaling/*.yaml"))):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            for side in ("edgeWorker", "cloudWorker"):
                if worker := document["spec"].get(side):
                    yield pytest.param(worker["template"]["spec"], id=f"{path.parent.name}-{path.stem}-{side}")


PODS = list(pod_specs())


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_keeps_to_the_restricted_standard_but_for_hostpath(pod):
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert all({"name", "hostPath"} == volume.keys() for volume in pod.get("volumes", ()))
    for container in pod["containers"]:
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        assert not any("hostPort" in port for port in container.get("ports", ()))


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_names_its_program_and_what_autoscaling_needs(pod):
    [container] = pod["containers"]
    assert container["command"][:2] == ["python", "-m"]
    assert container["image"] == "sedna-py/worker:0.1.0"
    assert container["resources"]["requests"]["memory"]
