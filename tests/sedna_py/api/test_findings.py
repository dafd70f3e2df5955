"""What people get wrong, and the one line that they read then."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from sedna_py.api.findings import Finding, parse_document
from sedna_py.api.v1alpha1 import Model

Document = dict[str, Any]


def service() -> Document:
    worker = {"model": {"name": "m"}, "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}
    return {
        "apiVersion": "sedna.io/v1alpha1",
        "kind": "JointInferenceService",
        "metadata": {"name": "helmet"},
        "spec": {
            "edgeWorker": {**copy.deepcopy(worker), "hardExampleMining": {"name": "IBT"}},
            "cloudWorker": copy.deepcopy(worker),
        },
    }


def put(path: str, value: Any) -> Callable[[Document], None]:
    """Write a value at a path of the document; `[n]` is the n-th item."""

    def change(document: Document) -> None:
        *parents, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
        place: Any = document
        for part in parents:
            place = place[part]
        place[last] = value

    return change


def without(path: str) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        *parents, last = path.split(".")
        place: Any = document
        for part in parents:
            place = place[part]
        del place[last]

    return change


EDGE = "spec.edgeWorker"
POD = f"{EDGE}.template.spec"
CONTAINER = f"{POD}.containers.0"
MINING = f"{EDGE}.hardExampleMining"
UTILIZATION = {"type": "Utilization", "averageUtilization": 50}
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": UTILIZATION}}
WRITE_LIST = "write a list, each item beginning with '- '"
WRITE_MAPPING = "write a mapping, 'name: value' on each line"
WRITE_QUANTITY = "write a quantity such as 500m, 2 or 2Gi"
EXPLAIN_NAME = "write lower-case letters, digits and '-', beginning with a letter, not ending with '-'"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (without("apiVersion"), "apiVersion: is missing; write sedna.io/v1alpha1"),
        (without("kind"), "kind: is missing; write JointInferenceService or Model"),
        (without("metadata"), "metadata: is missing; write it (name, namespace, labels)"),
        (
            without("spec.cloudWorker"),
            "spec.cloudWorker: is missing; write it (cloud side: the big model and the pods)",
        ),
        (
            without(f"{EDGE}.hardExampleMining"),
            "spec.edgeWorker.hardExampleMining: is missing;"
            " write it (the filter that finds the frames to send to the cloud)",
        ),
        (
            put(f"{EDGE}.hpa", {"minReplicas": 3, "maxReplicas": 1}),
            "spec.edgeWorker.hpa.maxReplicas: is 1, less than minReplicas 3; write maxReplicas >= 3",
        ),
        (
            put(f"{CONTAINER}.name", None),
            "spec.edgeWorker.template.spec.containers[0].name: is empty; write text",
        ),
        (put("metadata.labels", {"a/b": 1}), 'metadata.labels["a/b"]: is 1, not text; write it in quotes: "1"'),
        (put("metadata.labels", {5: "x"}), 'metadata.labels[5]: is 5, not text; write it in quotes: "5"'),
        (put("metadata", {"name": "helmet", 5: "x"}), "metadata[5]: is a name that is not text; write it in quotes"),
    ],
)
def test_mistake_gives_one_line(change: Callable[[Document], None], line: str) -> None:
    document = service()
    change(document)
    resource, findings = parse_document(document)
    assert resource is None
    assert [(finding.level, str(finding)) for finding in findings] == [("error", line)]


@pytest.mark.parametrize(
    ("where", "value", "below", "message"),
    [
        ("apiVersion", "sedna.io/v1", "", 'is "sedna.io/v1"; write sedna.io/v1alpha1'),
        ("kind", "JointInferenceservice", "", 'is "JointInferenceservice"; write JointInferenceService'),
        ("kind", "Pod", "", 'is "Pod"; write JointInferenceService or Model'),
        (
            "metadata",
            {},
            ".name",
            "is missing; write it (name of the service: a DNS-1035 label of at most 53 characters)",
        ),
        ("metadata.name", 7, "", 'is 7, not text; write it in quotes: "7"'),
        ("metadata.name", "Helmet.V2", "", f'is "Helmet.V2"; {EXPLAIN_NAME}, such as helmet-v2'),
        ("metadata.name", "2nd", "", f'is "2nd"; {EXPLAIN_NAME}, such as nd'),
        ("metadata.name", "", "", f"is empty; {EXPLAIN_NAME}"),
        ("metadata.name", "x" * 54, "", "is 54 characters long; write at most 53 ('-Cloud-svc' is added in a label)"),
        ("spec", "edge", "", f'is "edge"; {WRITE_MAPPING}'),
        ("spec", None, "", f"is empty; {WRITE_MAPPING}"),
        (f"{EDGE}.model", {}, ".name", "is missing; write it (name of a Model in the namespace of the service)"),
        (f"{EDGE}.model", {"name": ""}, ".name", "is empty; write some text"),
        (f"{EDGE}.template", {}, ".spec", "is missing; write it (containers, volumes and the rest of a pod's spec)"),
        (f"{POD}.containers", [], "", "is an empty list; write at least one item"),
        (
            f"{POD}.containers",
            [{"name": "c"}, {"name": "c"}],
            "[1].name",
            'is "c", as in item [0]; write each name once',
        ),
        (f"{POD}.restartPolicy", "Never", "", 'is "Never", which a Deployment refuses; write Always or leave it out'),
        (f"{POD}.hostNetwork", "yes", "", 'is "yes"; write true or false'),
        (f"{CONTAINER}.command", "run", "", f'is "run"; {WRITE_LIST}'),
        (f"{CONTAINER}.env", [{"name": "A", "value": 5}], "[0].value", 'is 5, not text; write it in quotes: "5"'),
        (
            f"{CONTAINER}.env",
            [{"name": "A", "value": True}],
            "[0].value",
            'is true, not text; write it in quotes: "true"',
        ),
        (
            f"{CONTAINER}.env",
            [{"name": "A"}, {"name": "B"}, {"name": "A"}],
            "[2].name",
            'is "A", as in item [0]; write each name once',
        ),
        (f"{CONTAINER}.resources", {"requests": {"memory": "2GB"}}, ".requests.memory", f'is "2GB"; {WRITE_QUANTITY}'),
        (f"{CONTAINER}.resources", {"limits": {"cpu": float("nan")}}, ".limits.cpu", f"is nan; {WRITE_QUANTITY}"),
        (
            f"{CONTAINER}.ports",
            [{"containerPort": 70000}],
            "[0].containerPort",
            "is 70000; write containerPort <= 65535",
        ),
        (
            f"{CONTAINER}.ports",
            [{"containerPort": 80, "protocol": "tcp"}],
            "[0].protocol",
            'is "tcp"; write TCP, UDP or SCTP; did you mean TCP?',
        ),
        (
            f"{MINING}.parameters",
            [{"key": "t", "value": 0.9}],
            "[0].value",
            'is 0.9, not text; write it in quotes: "0.9"',
        ),
        (
            f"{MINING}.parameters",
            [{"key": "t", "value": "1"}, {"key": "t", "value": "2"}],
            "[1].key",
            'is "t", as in item [0]; write each key once',
        ),
        (f"{MINING}.parameters", {"t": "1"}, "", f"is a mapping; {WRITE_LIST}"),
        (f"{EDGE}.hpa", {}, ".maxReplicas", "is missing; write it (most pods)"),
        (f"{EDGE}.hpa", {"minReplicas": 0, "maxReplicas": 1}, ".minReplicas", "is 0; write minReplicas >= 1"),
        (f"{EDGE}.hpa", {"maxReplicas": 0}, ".maxReplicas", "is 0; write maxReplicas >= 1"),
        (f"{EDGE}.hpa", {"maxReplicas": 2**31}, ".maxReplicas", "is 2147483648; write maxReplicas <= 2147483647"),
        (f"{EDGE}.hpa", {"maxReplicas": "5"}, ".maxReplicas", 'is "5", which is text; write it without quotes: 5'),
        (f"{EDGE}.hpa", {"maxReplicas": 1.5}, ".maxReplicas", "is 1.5; write a whole number"),
        (f"{EDGE}.hpa", {"maxReplicas": True}, ".maxReplicas", "is true; write a whole number"),
        (
            f"{EDGE}.hpa",
            {"maxReplicas": 2, "metrics": [{**CPU, "type": "resource"}]},
            ".metrics[0].type",
            'is "resource"; write Resource, ContainerResource, Pods, Object or External; did you mean Resource?',
        ),
        (
            f"{EDGE}.hpa",
            {"maxReplicas": 2, "metrics": [{"type": "Pods"}]},
            ".metrics[0].pods",
            "is missing; write it, as type is Pods",
        ),
        (
            f"{EDGE}.hpa",
            {"maxReplicas": 2, "metrics": [{**CPU, "external": {"metric": {"name": "q"}, "target": UTILIZATION}}]},
            ".metrics[0].external",
            "does not belong to type Resource; remove it",
        ),
        (
            f"{EDGE}.hpa",
            {"maxReplicas": 2, "metrics": [{**CPU, "resource": {"name": "cpu", "target": {"type": "Utilization"}}}]},
            ".metrics[0].resource.target.averageUtilization",
            "is missing; write it, as type is Utilization",
        ),
        (
            f"{EDGE}.hpa",
            {"maxReplicas": 2, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 4000}}},
            ".behavior.scaleDown.stabilizationWindowSeconds",
            "is 4000; write stabilizationWindowSeconds <= 3600",
        ),
    ],
)
def test_wrong_value_gives_one_line(where: str, value: Any, below: str, message: str) -> None:
    document = service()
    put(where, value)(document)
    resource, findings = parse_document(document)
    assert resource is None
    path = where.replace(".0", "[0]") + below
    assert [(finding.level, str(finding)) for finding in findings] == [("error", f"{path}: {message}")]


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        (
            {"url": "/a%zz", "format": "pb"},
            'spec.url: is "/a%zz", where %zz is not an escape; write %25 for a percent sign',
        ),
        (
            {"url": "/m/y.pb"},
            "spec.format: is missing; write it (format of the file, free text; not read by a JointInferenceService)",
        ),
        ({"url": 5, "format": "pb"}, 'spec.url: is 5, not text; write it in quotes: "5"'),
    ],
)
def test_mistake_in_a_model(spec: Document, line: str) -> None:
    document = {"apiVersion": "sedna.io/v1alpha1", "kind": "Model", "metadata": {"name": "m"}, "spec": spec}
    resource, findings = parse_document(document)
    assert resource is None
    assert [str(finding) for finding in findings] == [line]


def test_model_name_may_have_dots_but_no_capitals() -> None:
    document = {
        "apiVersion": "sedna.io/v1alpha1",
        "kind": "Model",
        "metadata": {"name": "yolo.v3"},
        "spec": {"url": "/m/y.pb", "format": "pb"},
    }
    assert isinstance(parse_document(document)[0], Model)
    document["metadata"] = {"name": "Yolo"}
    assert [str(finding) for finding in parse_document(document)[1]] == [
        "metadata.name: is \"Yolo\"; write lower-case letters, digits, '-' and '.', at most 253 characters"
    ]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            put(f"{EDGE}.replicas", 2),
            "spec.edgeWorker.replicas: is not a field of this resource and is ignored; remove it",
        ),
        (
            put(f"{EDGE}.hpa", {"maxReplicas": 2, "minreplicas": 1}),
            "spec.edgeWorker.hpa.minreplicas: is not a field that is read here; did you mean minReplicas?",
        ),
        (
            put(f"{CONTAINER}.volumeMount", []),
            "spec.edgeWorker.template.spec.containers[0].volumeMount: is not a field that is read here;"
            " did you mean volumeMounts?",
        ),
        (put("spec.a b", 1), 'spec["a b"]: is not a field of this resource and is ignored; remove it'),
    ],
)
def test_unknown_field_is_a_warning(change: Callable[[Document], None], line: str) -> None:
    document = service()
    change(document)
    resource, findings = parse_document(document)
    assert resource is not None
    assert [(finding.level, str(finding)) for finding in findings] == [("warning", line)]


def test_misspelt_required_field_names_the_slip() -> None:
    document = service()
    document["spec"]["edgeworker"] = document["spec"].pop("edgeWorker")
    _, findings = parse_document(document)
    assert [(finding.level, str(finding)) for finding in findings] == [
        ("error", "spec.edgeWorker: is missing; write edgeWorker in place of edgeworker"),
        ("warning", "spec.edgeworker: is not a field that is read here; did you mean edgeWorker?"),
    ]


def test_python_names_are_not_yaml_names() -> None:
    document = service()
    document["spec"]["edgeWorker"]["hpa"] = {"max_replicas": 2}
    resource, findings = parse_document(document)
    assert resource is None
    assert str(findings[0]) == "spec.edgeWorker.hpa.maxReplicas: is missing; write maxReplicas in place of max_replicas"


def test_every_mistake_is_found_at_once() -> None:
    document = service()
    put(f"{EDGE}.hpa", {"maxReplicas": 0})(document)
    put("spec.cloudWorker.hpa", {"maxReplicas": 0})(document)
    assert len(parse_document(document)[1]) == 2


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -1,
        2**80,
        16**5000,
        1.5,
        float("inf"),
        "",
        "x" * 100_000,
        "\x00\n",
        [],
        [[]],
        {},
        {1: 2},
        {None: 1},
        {"": ""},
        {"x" * 100_000: 1},
        {"\n\ud800": 1},
        [[{"a": 1}]],
        b"x",
        {"a"},
        object(),
        LOOP,
        "\ud800",
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_value_in_any_place_raises(value: Any) -> None:
    def replaced(place: Any) -> list[Any]:
        if isinstance(place, dict):
            return [value, *({**place, key: new} for key, item in place.items() for new in replaced(item))]
        if isinstance(place, list):
            return [value, *([new] for item in place for new in replaced(item))]
        return [value]

    document = service()
    document["spec"]["edgeWorker"]["hpa"] = {"minReplicas": 1, "maxReplicas": 2, "metrics": [CPU], "behavior": {}}
    document["spec"]["edgeWorker"]["hardExampleMining"]["parameters"] = [{"key": "k", "value": "v"}]
    for hostile in replaced(document):
        resource, findings = parse_document(hostile)
        assert (resource is None) == any(finding.level == "error" for finding in findings)
        for finding in findings:
            assert "\n" not in str(finding)
            assert len(str(finding)) < 400


def test_finding_without_a_path_is_its_message() -> None:
    assert str(Finding("error", "", "the document is a list")) == "the document is a list"
