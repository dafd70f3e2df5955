"""The environment of the two workers, for upstream's examples word by word."""

from __future__ import annotations

from pathlib import Path

from sedna_py.api.v1alpha1 import JointInferenceService, Model
from sedna_py.api.worker_environment import cloud_environment, edge_environment
from sedna_py.local.manifests import load_manifests

UPSTREAM = Path(__file__).parents[2] / "data" / "upstream"


def load(name: str) -> tuple[JointInferenceService, Model, Model]:
    manifests = load_manifests([UPSTREAM / f"{name}.yaml"])
    (service,) = manifests.services
    models = manifests.models_for(service)
    return service, models[service.spec.edge_worker.model.name], models[service.spec.cloud_worker.model.name]


def test_helmet_detection() -> None:
    service, little, big = load("helmet_detection")
    assert list(edge_environment(service, little, worker_name="edgeworker-x7k2m").items()) == [
        ("DATA_PATH_PREFIX", "/home/data"),
        ("NAMESPACE", "default"),
        ("SERVICE_NAME", "helmet-detection-inference-example"),
        ("WORKER_NAME", "edgeworker-x7k2m"),
        ("MODEL_URL", "/home/data/data/little-model/yolov3_resnet18.pb"),
        ("BIG_MODEL_IP", "helmet-detection-inference-example-cloud.default"),
        ("BIG_MODEL_PORT", "5000"),
        ("HEM_NAME", "IBT"),
        ("HEM_PARAMETERS", '[{"key":"threshold_img","value":"0.9"},{"key":"threshold_box","value":"0.9"}]'),
        ("LC_SERVER", "http://localhost:9100"),
    ]
    assert list(cloud_environment(service, big, worker_name="cloudworker-x7k2m").items()) == [
        ("DATA_PATH_PREFIX", "/home/data"),
        ("NAMESPACE", "default"),
        ("SERVICE_NAME", "helmet-detection-inference-example"),
        ("WORKER_NAME", "cloudworker-x7k2m"),
        ("MODEL_URL", "/home/data/data/big-model/yolov3_darknet.pb"),
        ("BIG_MODEL_BIND_PORT", "5000"),
    ]


def test_answer_generation() -> None:
    service, little, big = load("answer_generation")
    edge = edge_environment(service, little, worker_name="e")
    assert edge["MODEL_URL"] == "/home/data/Qwen/Qwen2.5-0.5B-Instruct"
    assert edge["HEM_NAME"] == "BertRouter"
    assert edge["HEM_PARAMETERS"] == '[{"key":"model","value":"routellm/bert"},{"key":"threshold","value":"0.5"}]'
    assert edge["BIG_MODEL_IP"] == "answer-generation-inference-example-cloud.default"
    assert cloud_environment(service, big, worker_name="c") == {
        "DATA_PATH_PREFIX": "/home/data",
        "NAMESPACE": "default",
        "SERVICE_NAME": "answer-generation-inference-example",
        "WORKER_NAME": "c",
        "MODEL_URL": "/home/data/api.deepseek.com/v1",
        "BIG_MODEL_BIND_PORT": "5000",
    }


def test_downloaded_model_has_no_data_path_prefix() -> None:
    service, little, _ = load("s3")
    edge = edge_environment(service, little, worker_name=None)
    assert edge["MODEL_URL"] == "/downloads/kubeedge/model/little-model/yolov3_resnet18.pb"
    assert "DATA_PATH_PREFIX" not in edge
    assert "WORKER_NAME" not in edge


def test_addresses_are_arguments() -> None:
    service, little, big = load("helmet_detection")
    edge = edge_environment(
        service, little, worker_name="e", big_model_ip="127.0.0.1", big_model_port=5001, lc_server="http://lc:9100"
    )
    assert (edge["BIG_MODEL_IP"], edge["BIG_MODEL_PORT"], edge["LC_SERVER"]) == ("127.0.0.1", "5001", "http://lc:9100")
    assert cloud_environment(service, big, worker_name="c", port=5001)["BIG_MODEL_BIND_PORT"] == "5001"


def test_the_bound_of_requests_in_the_model_goes_along_where_it_is_written() -> None:
    service, _, big = load("helmet_detection")
    assert "MAX_CONCURRENCY" not in cloud_environment(service, big, worker_name="c")
    cloud = service.spec.cloud_worker.model_copy(update={"container_concurrency": 10})
    bounded = service.model_copy(update={"spec": service.spec.model_copy(update={"cloud_worker": cloud})})
    assert cloud_environment(bounded, big, worker_name="c")["MAX_CONCURRENCY"] == "10"


def test_no_parameters_are_null() -> None:
    service, little, _ = load("helmet_detection")
    document = service.model_dump(by_alias=True, exclude_unset=True)
    for absent in ({"name": "IBT"}, {"name": "IBT", "parameters": []}, {"name": "IBT", "parameters": None}):
        document["spec"]["edgeWorker"]["hardExampleMining"] = absent
        bare = JointInferenceService.model_validate(document)
        assert edge_environment(bare, little, worker_name="e")["HEM_PARAMETERS"] == "null"
