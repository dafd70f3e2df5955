"""Edge pods of one node share their sources by a directory, where a hostPath is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from sedna_py.api.child_names import Role
from sedna_py.api.shared_streams import ANNOTATION
from tests.controller.one_service import Site, helmet
from tests.controller.wanted_objects import CLOUD_POD, EDGE_POD, pod, template, wanted

SEVERAL = {"spec.edgeWorker.hpa": {"maxReplicas": 2}}
ONE = {"spec.edgeWorker.hpa": {"maxReplicas": 1}}
S3 = "https://store/yolo.tar"
VOLUME = {"name": "sedna-shared-streams", "hostPath": {"path": "/dev/shm", "type": "DirectoryOrCreate"}}
MOUNT = {
    "name": "sedna-shared-streams",
    "mountPath": "/run/sedna-py/shared",
    "subPath": "sedna-py.shop.helmet",
}
VARIABLE = {"name": "SHARED_DIR", "value": "/run/sedna-py/shared"}


def annotated(value: str) -> dict[str, Any]:
    about = {"name": "helmet", "namespace": "shop", "uid": "u", "annotations": {ANNOTATION: value}}
    return {"metadata": about}


def written(**container: Any) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "i", **container}, {"name": "side", "image": "j"}]}


def shares(changes: dict[str, Any], url: str = "/models/yolo.xml") -> bool:
    made = pod(wanted(changes, url=url), Role.EDGE)
    mounted = [MOUNT in container.get("volumeMounts", []) for container in made["containers"]]
    told = [VARIABLE in container["env"] for container in made["containers"]]
    assert mounted == told
    assert len({*mounted, VOLUME in made.get("volumes", [])}) == 1
    return mounted[0]


def test_several_edge_pods_get_it_in_every_container_and_cloud_pods_never() -> None:
    changes = {EDGE_POD: written(), "spec.cloudWorker.hpa": {"maxReplicas": 3}, CLOUD_POD: written()}
    assert shares({**changes, **SEVERAL})
    cloud = pod(wanted({**changes, **SEVERAL, **annotated("enabled")}))
    assert VOLUME not in cloud["volumes"]
    assert VARIABLE not in cloud["containers"][0]["env"]


@pytest.mark.parametrize(
    ("changes", "url", "shared"),
    [
        ({}, "/models/yolo.xml", False),
        (ONE, "/models/yolo.xml", False),
        (SEVERAL, "/models/yolo.xml", True),
        (SEVERAL, S3, False),
        (
            {**SEVERAL, EDGE_POD: {**written(), "volumes": [{"name": "v", "hostPath": {"path": "/v"}}]}},
            S3,
            True,
        ),
        ({**SEVERAL, EDGE_POD: {**written(), "volumes": [{"name": "v", "emptyDir": {}}]}}, S3, False),
        ({**SEVERAL, **annotated("enabled")}, S3, True),
        (annotated("enabled"), "/models/yolo.xml", True),
        ({**SEVERAL, **annotated("disabled")}, "/models/yolo.xml", False),
        ({**SEVERAL, **annotated("perhaps")}, "/models/yolo.xml", True),
    ],
)
def test_it_is_there_where_a_hostpath_is_and_more_than_one_pod_may_be(
    changes: dict[str, Any], url: str, shared: bool
) -> None:
    assert shares(changes, url) is shared


@pytest.mark.parametrize("name", ["SHARED_DIR", "FRAME_QUEUE"])
@pytest.mark.parametrize("value", ["", "/own"])
def test_a_template_that_says_it_itself_is_left_alone(name: str, value: str) -> None:
    own = {"name": name, "value": value}
    made = pod(wanted({**SEVERAL, EDGE_POD: written(env=[own])}), Role.EDGE)
    assert own in made["containers"][0]["env"]
    assert VARIABLE not in made["containers"][0]["env"]
    assert VOLUME not in made["volumes"]


def test_what_the_template_has_under_these_names_stays() -> None:
    spec = written(volumeMounts=[{"name": "mine", "mountPath": "/run/sedna-py/shared/"}])
    spec["volumes"] = [{"name": "mine", "emptyDir": {}}]
    made = pod(wanted({**SEVERAL, EDGE_POD: spec}), Role.EDGE)
    mounts = made["containers"][0]["volumeMounts"]
    assert [mount["name"] for mount in mounts if "shared" in mount["mountPath"]] == ["mine"]


def test_a_template_is_the_same_with_and_without_an_autoscaler_for_one_pod() -> None:
    assert template(wanted(), Role.EDGE) == template(wanted(ONE), Role.EDGE)


def test_pods_that_do_not_share_are_told_in_spec_accepted_and_the_annotation_silences_it() -> None:
    said = wanted(SEVERAL, url=S3).remarks
    assert [finding.path for finding in said] == ["spec.edgeWorker.template.spec.volumes"]
    assert "sedna.io/shared-streams with enabled" in str(said[0])
    assert wanted({**SEVERAL, **annotated("disabled")}, url=S3).remarks == ()
    assert wanted({**SEVERAL, **annotated("enabled")}, url=S3).remarks == ()
    assert wanted(ONE, url=S3).remarks == ()
    assert wanted(SEVERAL).remarks == ()
    [unknown] = wanted({**SEVERAL, **annotated("on")}).remarks
    assert str(unknown).endswith('is "on", which is left out; write enabled or disabled')


def test_the_condition_has_the_remark_and_the_service_is_still_accepted() -> None:
    site = Site()
    site.models["shop", "m"]["spec"]["url"] = S3
    site.restart()
    site.put(helmet(changes=SEVERAL))
    site.reconcile()
    status, reason, message = site.condition("SpecAccepted")
    assert (status, reason) == ("True", "AcceptedWithWarnings")
    assert "do not share their sources" in message
