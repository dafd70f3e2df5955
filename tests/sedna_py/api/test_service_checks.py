"""Services that are well formed and still cannot work."""

from __future__ import annotations

from typing import Any

import pytest

from sedna_py.api.findings import check_service
from sedna_py.api.v1alpha1 import JointInferenceService, Model

CONTAINERS = [{"name": "first", "image": "i"}, {"name": "second", "image": "i"}]
FILTERS = "IBT, CrossEntropy, Threshold, Random, CloudOnly, EdgeOnly, BertRouter"


def service(
    *, mining: dict[str, Any] | None = None, containers: list[dict[str, Any]] | None = None, hpa: Any = None
) -> JointInferenceService:
    """Make a service; the containers and the autoscaler are those of the edge."""
    edge = {
        "model": {"name": "little"},
        "template": {"spec": {"containers": containers or [{"name": "first", "image": "i"}]}},
        "hardExampleMining": mining or {"name": "IBT"},
        "hpa": hpa,
    }
    cloud = {"model": {"name": "big"}, "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}
    document = {"metadata": {"name": "s", "namespace": "ns"}, "spec": {"edgeWorker": edge, "cloudWorker": cloud}}
    return JointInferenceService.model_validate(document)


def model(name: str) -> Model:
    return Model.model_validate({"metadata": {"name": name}, "spec": {"url": "/m/y.pb", "format": "pb"}})


def lines(*args: Any) -> list[tuple[str, str]]:
    return [(finding.level, str(finding)) for finding in check_service(*args)]


def test_good_service_has_no_findings() -> None:
    assert lines(service(), {"little": model("little"), "big": model("big")}) == []


def test_unknown_filter_is_an_error() -> None:
    assert lines(service(mining={"name": "ibt"})) == [
        (
            "error",
            'spec.edgeWorker.hardExampleMining.name: is "ibt", no built-in filter; did you mean IBT?'
            f" write one of {FILTERS}, or name the module that registers it in env HEM_MODULE",
        )
    ]
    assert lines(service(mining={"name": "Zzz"})) == [
        (
            "error",
            'spec.edgeWorker.hardExampleMining.name: is "Zzz", no built-in filter;'
            f" write one of {FILTERS}, or name the module that registers it in env HEM_MODULE",
        )
    ]


@pytest.mark.parametrize(
    ("container", "registrar"),
    [
        ({"command": ["python", "mine.py"]}, "the worker's own command"),
        ({"env": [{"name": "HEM_MODULE", "value": "mine"}]}, "the module in HEM_MODULE"),
    ],
)
def test_filter_of_the_users_own_is_a_warning(container: dict[str, Any], registrar: str) -> None:
    own = service(mining={"name": "Mine"}, containers=[{"name": "first", "image": "i", **container}])
    assert lines(own) == [
        (
            "warning",
            f'spec.edgeWorker.hardExampleMining.name: is "Mine", no built-in filter; {registrar} must register it',
        )
    ]


@pytest.mark.parametrize(
    "container",
    [
        {"command": ["python", "-m", "workers.edge"]},
        {"command": ["python"], "args": ["-m", "workers.edge"]},
        {"command": ["sh", "-c", "exec python -m workers.edge"]},
        {"args": ["mine.py"]},
    ],
)
def test_our_own_worker_registers_no_filter(container: dict[str, Any]) -> None:
    own = service(mining={"name": "IBTT"}, containers=[{"name": "first", "image": "i", **container}])
    assert [(level, "did you mean IBT?" in line) for level, line in lines(own)] == [("error", True)]


def test_second_container_cannot_register_a_filter() -> None:
    own = service(mining={"name": "Mine"}, containers=[CONTAINERS[0], {**CONTAINERS[1], "command": ["python"]}])
    assert [level for level, _ in lines(own)] == ["error"]


def test_parameters_are_checked_where_they_are_written() -> None:
    parameters = [{"key": "threshold_img", "value": "high"}, {"key": "treshold_box", "value": "0.5"}]
    findings = check_service(service(mining={"name": "IBT", "parameters": parameters}))
    assert [(finding.level, finding.path) for finding in findings] == [
        ("error", "spec.edgeWorker.hardExampleMining.parameters[0].value"),
        ("warning", "spec.edgeWorker.hardExampleMining.parameters[1].key"),
    ]
    assert "threshold_box" in findings[1].message


@pytest.mark.parametrize(
    ("name", "key", "value", "level", "said"),
    [
        ("IBT", "budget", "20%", None, ""),
        ("CloudOnly", "cap", "500 kbit/s", None, ""),
        (
            "IBT",
            "budget",
            "0.2",
            "error",
            "write a number with its unit, such as 20% (of the frames), 5 fps or 500 kbit/s",
        ),
        ("IBT", "cap", "20%", "error", "a share, which bounds no second; write 5 fps or 500 kbit/s"),
        ("Random", "budget", "20%", "error", "Random has none; write a share as random_ratio"),
        ("CloudOnly", "budgett", "20%", "warning", "CloudOnly ignores 'budgett'"),
    ],
)
def test_budgets_and_caps_are_checked_like_other_parameters(
    name: str, key: str, value: str, level: str | None, said: str
) -> None:
    findings = check_service(service(mining={"name": name, "parameters": [{"key": key, "value": value}]}))
    assert [finding.level for finding in findings] == ([level] if level else [])
    assert all(said in finding.message for finding in findings)


def test_missing_model_is_an_error() -> None:
    assert lines(service(), {"litle": model("litle"), "big": model("big")}) == [
        (
            "error",
            'spec.edgeWorker.model.name: is "little", but namespace ns has no such Model; did you mean litle?'
            " add it or write the name of one",
        )
    ]
    assert len(lines(service(), {})) == 2
    assert lines(service(), None) == []


def test_missing_image_is_an_error() -> None:
    assert lines(service(containers=[{"name": "first"}])) == [
        (
            "error",
            'spec.edgeWorker.template.spec.containers[0].image: is missing; write the image of container "first"',
        )
    ]


def target(**value: Any) -> dict[str, Any]:
    return {"type": "Utilization" if "averageUtilization" in value else "AverageValue", **value}


REQUESTS = "spec.edgeWorker.template.spec.containers[{}].resources.requests.{}"


@pytest.mark.parametrize(
    ("metrics", "paths"),
    [
        pytest.param(None, [REQUESTS.format(1, "cpu")], id="none means cpu utilization"),
        pytest.param(
            [{"type": "Resource", "resource": {"name": "cpu", "target": target(averageUtilization=50)}}],
            [REQUESTS.format(1, "cpu")],
            id="cpu",
        ),
        pytest.param(
            [{"type": "Resource", "resource": {"name": "memory", "target": target(averageUtilization=50)}}],
            [REQUESTS.format(0, "memory")],
            id="memory, and a limit counts as a request",
        ),
        pytest.param(
            [{"type": "Resource", "resource": {"name": "cpu", "target": target(averageValue="1")}}],
            [],
            id="an amount needs no request",
        ),
        pytest.param(
            [
                {
                    "type": "ContainerResource",
                    "containerResource": {
                        "name": "cpu",
                        "container": "first",
                        "target": target(averageUtilization=50),
                    },
                }
            ],
            [],
            id="only the named container",
        ),
        pytest.param(
            [
                {
                    "type": "ContainerResource",
                    "containerResource": {"name": "cpu", "container": "frist", "target": target(averageValue="1")},
                }
            ],
            ["spec.edgeWorker.hpa.metrics[0].containerResource.container"],
            id="no such container",
        ),
    ],
)
def test_metric_without_its_request_is_a_warning(metrics: Any, paths: list[str]) -> None:
    containers = [
        {**CONTAINERS[0], "resources": {"requests": {"cpu": "100m"}}},
        {**CONTAINERS[1], "resources": {"limits": {"memory": "1Gi"}}},
    ]
    findings = check_service(service(containers=containers, hpa={"maxReplicas": 2, "metrics": metrics}))
    assert [(finding.level, finding.path) for finding in findings] == [("warning", path) for path in paths]


def test_warning_names_the_container() -> None:
    (finding,) = check_service(service(hpa={"maxReplicas": 2}))
    assert finding.message == (
        'is missing, so the autoscaler cannot compute the utilization of container "first";'
        " write what it needs, such as 500m"
    )
