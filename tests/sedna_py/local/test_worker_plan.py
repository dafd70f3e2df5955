from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from sedna_py.api.child_names import Role
from sedna_py.api.v1alpha1 import JointInferenceService, Model
from sedna_py.errors import ManifestError
from sedna_py.local.manifests import load_manifests
from sedna_py.local.worker_plan import LocalOptions, WorkerPlan, plan_workers

UPSTREAM = Path(__file__).parents[2] / "data" / "upstream"
IBT = '[{"key":"threshold_img","value":"0.9"},{"key":"threshold_box","value":"0.9"}]'
NAME = "helmet-detection-inference-example"


def plans_of(file: str, **options: Any) -> dict[Role, WorkerPlan]:
    manifests = load_manifests([UPSTREAM / file])
    (service,) = manifests.services
    chosen = LocalOptions(**{"directory": Path("/svc"), "port": 4711, "host_root": Path("/root"), **options})
    return plan_workers(service, manifests.models_for(service), chosen)


# What the controller injects (contract 2.2), with loopback addresses and paths of this machine.
@pytest.mark.parametrize("file", ["helmet_detection.yaml", "helmet_detection_hpa.yaml"])
def test_golden_environment_of_upstreams_example(file: str) -> None:
    plans = plans_of(file)
    assert dict(plans[Role.EDGE].environment) == {
        "PYTHONUNBUFFERED": "1",
        "input_shape": "416,736",
        "video_url": "rtsp://localhost/video",
        "all_examples_inference_output": "/root/joint_inference/output/output",
        "hard_example_cloud_inference_output": "/root/joint_inference/output/hard_example_cloud_inference_output",
        "hard_example_edge_inference_output": "/root/joint_inference/output/hard_example_edge_inference_output",
        "DATA_PATH_PREFIX": "/home/data",
        "NAMESPACE": "default",
        "SERVICE_NAME": NAME,
        "WORKER_NAME": f"{NAME}-deployment-edge-0",
        "MODEL_URL": "/root/data/little-model/yolov3_resnet18.pb",
        "BIG_MODEL_IP": "127.0.0.1",
        "BIG_MODEL_PORT": "4711",
        "HEM_NAME": "IBT",
        "HEM_PARAMETERS": IBT,
        "LC_SERVER": "",
    }
    assert dict(plans[Role.CLOUD].environment) == {
        "PYTHONUNBUFFERED": "1",
        "LAME_DUCK_S": "0",
        "input_shape": "544,544",
        "DATA_PATH_PREFIX": "/home/data",
        "NAMESPACE": "default",
        "SERVICE_NAME": NAME,
        "WORKER_NAME": f"{NAME}-deployment-cloud-0",
        "MODEL_URL": "/root/data/big-model/yolov3_darknet.pb",
        "BIG_MODEL_BIND_PORT": "4711",
        "BIG_MODEL_BIND_IP": "127.0.0.1",
    }
    for role, plan in plans.items():
        assert plan.command == (sys.executable, "-m", f"workers.{role}")
        assert (plan.role, plan.directory, plan.notes) == (role, Path("/svc"), ())
    assert [str(directory.path) for directory in plans[Role.EDGE].host_directories] == ["/root/joint_inference/output"]


def test_a_file_address_follows_its_volume() -> None:
    assert (
        plans_of("crd_sample.yaml")[Role.EDGE].environment["video_url"] == "file:/root/joint_inference/video/video.mp4"
    )


def test_a_model_that_an_init_container_would_fetch_is_named() -> None:
    plans = plans_of("s3.yaml")
    path = "/root/downloads/kubeedge/model/big-model/yolov3_darknet.pb"
    assert plans[Role.CLOUD].environment["MODEL_URL"] == path
    assert plans[Role.CLOUD].notes == (
        f"cloud worker: s3://kubeedge/model/big-model/yolov3_darknet.pb is not downloaded here; put it at {path}",
    )


def test_surroundings_and_overrides() -> None:
    plans = plans_of(
        "helmet_detection.yaml",
        inherited={
            "PATH": "/bin",
            "HOME": "/me",
            "HEM_NAME": "Mine",
            "SECRET": "x",
            "PYTHONUNBUFFERED": "",
        },
        overrides={Role.EDGE: {"HEM_NAME": "CloudOnly", "video_url": "/video/of/mine", "NEW": "1"}},
    )
    edge, cloud = plans[Role.EDGE].environment, plans[Role.CLOUD].environment
    assert (edge["PATH"], edge["HOME"], cloud["PATH"]) == ("/bin", "/me", "/bin")
    assert edge["PYTHONUNBUFFERED"] == "1"  # the caller's own settings of Python stay behind
    assert "SECRET" not in edge
    assert (edge["HEM_NAME"], edge["video_url"], edge["NEW"]) == ("CloudOnly", "/video/of/mine", "1")
    assert "NEW" not in cloud


def service_with(
    *containers: dict[str, Any], volumes: list[dict[str, Any]] | None = None, mining: dict[str, Any] | None = None
) -> JointInferenceService:
    """Return a service whose edge worker has these containers."""
    edge = {
        "model": {"name": "little"},
        "hardExampleMining": mining or {"name": "IBT"},
        "template": {"spec": {"containers": list(containers), "volumes": volumes or []}},
    }
    cloud = {"model": {"name": "big"}, "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}
    document = {"metadata": {"name": "s", "namespace": "ns"}, "spec": {"edgeWorker": edge, "cloudWorker": cloud}}
    return JointInferenceService.model_validate(document)


def model(name: str) -> Model:
    return Model.model_validate({"metadata": {"name": name}, "spec": {"url": f"/m/{name}.xml", "format": "xml"}})


MODELS = {name: model(name) for name in ("little", "big")}


def edge_plan(*containers: dict[str, Any], **service: Any) -> WorkerPlan:
    options = LocalOptions(directory=Path("/svc"), port=1, host_root=Path("/root"))
    return plan_workers(service_with(*containers, **service), MODELS, options)[Role.EDGE]


def container(**values: Any) -> dict[str, Any]:
    return {"name": "little", "image": "i", **values}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, [sys.executable, "-m", "workers.edge"]),
        ({"args": ["--fast"]}, [sys.executable, "-m", "workers.edge", "--fast"]),
        ({"command": ["python", "infer.py"], "args": ["-v"]}, [sys.executable, "infer.py", "-v"]),
        ({"command": ["python3"], "args": ["infer.py"]}, [sys.executable, "infer.py"]),
        ({"command": ["/usr/bin/python3", "infer.py"]}, [sys.executable, "infer.py"]),
        ({"command": ["my-worker", "python"]}, ["my-worker", "python"]),
        (
            {"command": ["my-worker", "$(HEM_NAME)", "$(NO)", "$$(HEM_NAME)"]},
            ["my-worker", "IBT", "$(NO)", "$(HEM_NAME)"],
        ),
        ({"command": ["python", "/code/infer.py"]}, [sys.executable, "/root/src/infer.py"]),
    ],
)
def test_command(values: dict[str, Any], expected: list[str]) -> None:
    volumes = [{"name": "code", "hostPath": {"path": "/src"}}]
    values["volumeMounts"] = [{"name": "code", "mountPath": "/code"}]
    assert list(edge_plan(container(**values), volumes=volumes).command) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("$(A)/x", "one/x"),
        ("$(A)$(B)", "onetwo one"),
        ("$(LATER)", "$(LATER)"),
        ("$(NOWHERE)", "$(NOWHERE)"),
        ("$$(A)", "$(A)"),
        ("pa$$word", "pa$word"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
        ("$(NAMESPACE)", "$(NAMESPACE)"),  # what is injected comes after the user's own variables
    ],
)
def test_references_between_variables(value: str, expected: str) -> None:
    env = [
        {"name": "A", "value": "one"},
        {"name": "B", "value": "two $(A)"},
        {"name": "X", "value": value},
        {"name": "LATER", "value": "three"},
    ]
    assert edge_plan(container(env=env)).environment["X"] == expected


def test_injected_variables_win_over_the_users() -> None:
    env = [{"name": "HEM_NAME", "value": "Mine"}, {"name": "EMPTY"}, {"name": "NUMBER", "value": "1"}]
    environment = edge_plan(container(env=env)).environment
    assert (environment["HEM_NAME"], environment["EMPTY"], environment["NUMBER"]) == ("IBT", "", "1")


def test_filter_parameters_are_compact_json_or_null() -> None:
    assert edge_plan(container()).environment["HEM_PARAMETERS"] == "null"
    parameters = [{"key": "p", "value": "ü"}]
    planned = edge_plan(container(), mining={"name": "Mine", "parameters": parameters})
    assert json.loads(planned.environment["HEM_PARAMETERS"]) == parameters
    assert " " not in planned.environment["HEM_PARAMETERS"]


def test_what_has_no_meaning_here_is_noted() -> None:
    env = [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]
    planned = edge_plan(container(env=env), {"name": "side", "image": "i", "env": [{"name": "SIDE", "value": "1"}]})
    assert planned.notes == (
        "edge worker: env NODE has a valueFrom, which needs a cluster; it is unset here",
        "edge worker: only the first of 2 containers, 'little', runs here",
    )
    assert not {"NODE", "SIDE"} & set(planned.environment)


@pytest.mark.parametrize("missing", ["little", "big"])
def test_a_missing_model_is_one_line(missing: str) -> None:
    models = {name: found for name, found in MODELS.items() if name != missing}
    with pytest.raises(
        ManifestError, match=f"no Model '{missing}'; add it to the file, or give its file with --models"
    ):
        plan_workers(service_with(container()), models, LocalOptions(directory=Path("/svc"), port=1))


def test_how_the_cloud_worker_is_exposed_has_no_meaning_on_one_machine() -> None:
    manifests = load_manifests([UPSTREAM / "helmet_detection.yaml"])
    document = manifests.services[0].model_dump(by_alias=True, exclude_unset=True)
    document["spec"]["cloudWorker"]["expose"] = {"type": "NodePort", "address": "192.0.2.1"}
    service = JointInferenceService.model_validate(document)
    plans = plan_workers(service, manifests.models_for(service), LocalOptions(directory=Path("/svc"), port=4711))
    environment = plans[Role.EDGE].environment
    assert (environment["BIG_MODEL_IP"], environment["BIG_MODEL_PORT"]) == ("127.0.0.1", "4711")
    assert plans[Role.CLOUD].notes == ("cloud worker: expose has no meaning here; the edge finds it at 127.0.0.1:4711",)
    assert plans[Role.EDGE].notes == ()


@pytest.mark.parametrize("name", ["video_url", "VIDEO_URL"])
def test_every_source_of_a_list_is_looked_up_on_the_host(name: str) -> None:
    listed = "/video/a.mp4,yard=file:/video/b.mp4,watch:/video/in,rtsp://cam/video,push://door,/elsewhere/c.mp4"
    plan = edge_plan(
        container(env=[{"name": name, "value": listed}], volumeMounts=[{"name": "v", "mountPath": "/video"}]),
        volumes=[{"name": "v", "hostPath": {"path": "/data/clips"}}],
    )
    assert plan.environment[name] == (
        "/root/data/clips/a.mp4,yard=file:/root/data/clips/b.mp4,watch:/root/data/clips/in,rtsp://cam/video,push://door,"
        "/elsewhere/c.mp4"
    )
