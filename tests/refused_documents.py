"""Documents with one mistake each, which `sedna validate` and the API server both have to refuse, and what the server says."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from sedna_py.api.exposure import ADDRESS_FORM, BARE_HOST
from sedna_py.api.hpa import NOT_WHOLE, TARGET_MISSING, TARGET_OF_NOTHING, TWO_FORMS
from sedna_py.hard_example_mining import BUILTIN_FILTERS, Parameter

Document = dict[str, Any]

EDGE = "spec.edgeWorker"
POD = f"{EDGE}.template.spec"
HPA = f"{EDGE}.hpa"
CLOUD_HPA = "spec.cloudWorker.hpa"
MINING = f"{EDGE}.hardExampleMining"
CPU_TARGET = {"type": "Utilization", "averageUtilization": 50}
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": CPU_TARGET}}
QUEUE = {"metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": "5"}}
LABEL_FORM = "write lower-case letters, digits and '-', beginning with a letter, not ending with '-'"
PARENT = "has '..' in it; write the path without '..'"
NO_HOST = "has no usable host; write it as s3://bucket/path/model.xml or https://host/path/model.xml"
ESCAPE = "has a % that begins no escape; write %25 for a percent sign"
CONTROL = "has control characters; remove them"
RELATIVE = "is a relative path; write an absolute path on the node, such as /models/yolo.xml"


def service(name: str = "helmet") -> Document:
    """Make a good service."""
    worker = {"model": {"name": "m"}, "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}
    return {
        "apiVersion": "sedna.io/v1alpha1",
        "kind": "JointInferenceService",
        "metadata": {"name": name},
        "spec": {
            "edgeWorker": {**copy.deepcopy(worker), "hardExampleMining": {"name": "IBT"}},
            "cloudWorker": copy.deepcopy(worker),
        },
    }


def model(url: str, name: str = "yolo") -> Document:
    """Make a Model, a good one if the url is."""
    return {
        "apiVersion": "sedna.io/v1alpha1",
        "kind": "Model",
        "metadata": {"name": name},
        "spec": {"url": url, "format": "pb"},
    }


def changed(document: Document, path: str, value: Any) -> Document:
    """Return the document with `value` at a path such as `spec.edgeWorker.model.name`."""
    changed_document = copy.deepcopy(document)
    *parents, last = path.split(".")
    place = changed_document
    for part in parents:
        place = place[part]
    place[last] = value
    return changed_document


@dataclass(frozen=True)
class Refusal:
    """The API server blames `place`, and ends with `message`."""

    place: str
    message: str
    document: Document = field(repr=False)


def _of_service(path: str, value: Any, below: str, message: str) -> Refusal:
    return Refusal(path + below, message, changed(service(), path, value))


def _of_metric(metric: Any, below: str, message: str) -> Refusal:
    return _of_service(HPA, {"maxReplicas": 2, "metrics": [metric]}, f".metrics[0]{below}", message)


def _of_filter(name: str, parameter: Parameter[Any], value: str) -> Refusal:
    mining = {"name": name, "parameters": [{"key": "mine", "value": "x"}, {"key": parameter.name, "value": value}]}
    message = f"{parameter.name} has a value that {name} cannot use; write {parameter.expected}"
    return _of_service(MINING, mining, ".parameters", message)


def _of_url(url: str, message: str) -> Refusal:
    return Refusal("spec.url", message, model(url))


NAMES = [
    _of_service("metadata.name", "2nd", "", LABEL_FORM),
    _of_service("metadata.name", "helmet.v2", "", LABEL_FORM),
    _of_service("metadata.name", "x" * 54, "", "write at most 53 characters ('-Cloud-svc' is added in a label)"),
]
PODS = [
    _of_service(f"{POD}.containers", [], "", "is an empty list; write at least one item"),
    _of_service(f"{POD}.containers", [{"name": "", "image": "i"}], "[0].name", "is empty; write some text"),
    _of_service(f"{POD}.containers", [{"name": "c", "image": "i"}] * 2, "[1]", 'Duplicate value: {"name":"c"}'),
    _of_service(
        f"{POD}.containers",
        [{"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}, {"name": "B"}, {"name": "A"}]}],
        "[0].env[2]",
        'Duplicate value: {"name":"A"}',
    ),
    _of_service(
        f"{POD}.containers",
        [{"name": "c", "image": "i", "ports": [{"containerPort": 0}]}],
        "[0].ports[0].containerPort",
        "write containerPort >= 1",
    ),
    _of_service(
        f"{POD}.containers",
        [{"name": "c", "image": "i", "ports": [{"containerPort": 70000}]}],
        "[0].ports[0].containerPort",
        "write containerPort <= 65535",
    ),
    *(
        _of_service(f"{POD}.restartPolicy", policy, "", "is what a Deployment refuses; write Always or leave it out")
        for policy in ("Never", "OnFailure", "always")
    ),
    _of_service(f"{EDGE}.model.name", "", "", "is empty; write some text"),
]
AUTOSCALERS = [
    _of_service(HPA, {"maxReplicas": 0}, ".maxReplicas", "write maxReplicas >= 1"),
    _of_service(HPA, {"maxReplicas": -1, "minReplicas": 2}, ".maxReplicas", "write maxReplicas >= 1"),
    _of_service(HPA, {"maxReplicas": 3, "minReplicas": 0}, ".minReplicas", "write minReplicas >= 1"),
    _of_service(
        HPA,
        {"maxReplicas": 2, "minReplicas": 3},
        ".maxReplicas",
        "is less than minReplicas; write maxReplicas >= minReplicas",
    ),
    *(
        _of_metric({"type": name}, f".{block}", f"is missing; write it, as type is {name}")
        for name, block in (
            ("Resource", "resource"),
            ("ContainerResource", "containerResource"),
            ("Pods", "pods"),
            ("Object", "object"),
            ("External", "external"),
        )
    ),
    _of_metric({**CPU, "pods": QUEUE}, ".pods", "belongs to type Pods only; remove it"),
    _of_metric({**CPU, "external": QUEUE}, ".external", "belongs to type External only; remove it"),
    *(
        _of_metric(
            {"type": "Pods", "pods": {**QUEUE, "target": {"type": name}}},
            ".pods.target",
            f"has no value; write {value}",
        )
        for name, value in (("Utilization", "averageUtilization"), ("Value", "value"), ("AverageValue", "averageValue"))
    ),
    _of_metric(
        {"type": "Pods", "pods": {**QUEUE, "target": {"type": "AverageValue", "averageValue": "2GB"}}},
        ".pods.target.averageValue",
        "write a quantity such as 500m, 2 or 2Gi",
    ),
    _of_metric(
        {"type": "Pods", "pods": {**QUEUE, "metric": {"name": ""}}}, ".pods.metric.name", "is empty; write some text"
    ),
    *(
        _of_service(path, {"maxReplicas": 2, **short}, f".{field}", message)
        for path in (HPA, CLOUD_HPA)
        for short, field, message in (
            ({"scaleMetric": "rps", "metrics": [CPU]}, "scaleMetric", TWO_FORMS),
            ({"scaleTarget": 5, "metrics": [CPU]}, "scaleTarget", TWO_FORMS),
            ({"scaleTarget": 5}, "scaleTarget", TARGET_OF_NOTHING),
            ({"scaleTarget": 5, "metrics": []}, "scaleTarget", TARGET_OF_NOTHING),
            ({"scaleMetric": "memory"}, "scaleTarget", TARGET_MISSING),
            ({"scaleMetric": "latency", "metrics": []}, "scaleTarget", TARGET_MISSING),
            ({"scaleMetric": "cpu", "scaleTarget": 0.5}, "scaleTarget", NOT_WHOLE),
            ({"scaleMetric": "latency", "scaleTarget": 250.5}, "scaleTarget", NOT_WHOLE),
            ({"scaleMetric": "rps", "scaleTarget": 0}, "scaleTarget", "write scaleTarget >= 0.01"),
            ({"scaleMetric": "cpu", "scaleTarget": 1e300}, "scaleTarget", "write scaleTarget <= 1000000"),
        )
    ),
    _of_service(
        HPA,
        {"maxReplicas": 2, "scaleMetric": "qps"},
        ".scaleMetric",
        'supported values: "concurrency", "rps", "cpu", "memory", "streams", "demand", "latency"',
    ),
    _of_service(HPA, {"maxReplicas": 2, "class": "keda"}, ".class", 'supported values: "hpa", "none", "external"'),
    _of_service(CLOUD_HPA, {"maxReplicas": 2, "minReplicas": -1}, ".minReplicas", "write minReplicas >= 0"),
    _of_service(CLOUD_HPA, {"maxReplicas": 2, "earlyWarning": 0}, ".earlyWarning", "write earlyWarning >= 0.01"),
    _of_service(CLOUD_HPA, {"maxReplicas": 2, "earlyWarning": 11}, ".earlyWarning", "write earlyWarning <= 10"),
    _of_service(
        HPA,
        {"maxReplicas": 2, "behavior": {"scaleUp": {"stabilizationWindowSeconds": 4000}}},
        ".behavior.scaleUp.stabilizationWindowSeconds",
        "write stabilizationWindowSeconds <= 3600",
    ),
]
FILTERS = [
    *(
        _of_filter(name, parameter, value)
        for name, found in BUILTIN_FILTERS.items()
        for parameter in found.PARAMETERS
        if parameter.kind is float
        for value in ("1.01", "high")
    ),
    *(
        _of_filter("BertRouter", parameter, "0")
        for parameter in BUILTIN_FILTERS["BertRouter"].PARAMETERS
        if parameter.name in {"max_length", "task"}
    ),
    _of_service(
        MINING,
        {
            "name": "Mine",
            "parameters": [{"key": "a", "value": "1"}, {"key": "b", "value": "1"}, {"key": "a", "value": "2"}],
        },
        ".parameters",
        "has a key twice; write each key once",
    ),
]
URLS = [
    _of_url("", "is empty; write a path on the node such as /models/yolo.xml, or an s3, http or https URL"),
    _of_url("models/yolo.xml", RELATIVE),
    _of_url("/models/../yolo.xml", PARENT),
    _of_url("/models/%2e%2E", PARENT),
    _of_url("s3://bucket/..%2fyolo.xml", PARENT),
    _of_url("/a%zz", ESCAPE),
    _of_url("/a%2", ESCAPE),
    _of_url("hf://50%", ESCAPE),
    _of_url("/a\tb", CONTROL),
    _of_url("/a%0Ab", CONTROL),
    _of_url("https:///yolo.xml", NO_HOST),
    _of_url("s3:bucket/yolo.xml", NO_HOST),
    _of_url("http://user:secret@:80/yolo.xml", NO_HOST),
    _of_url("http://host:0/yolo.xml", NO_HOST),
]
EXPOSE = "spec.cloudWorker.expose"
NO_ADDRESS = "does not belong to this type; remove it, or write type: Address"
EXPOSURES = [
    _of_service(
        EXPOSE,
        {"type": "Address"},
        ".address",
        "is missing; write host or host:port at which edges reach the cloud worker",
    ),
    *(
        _of_service(EXPOSE, {**kind, "address": "h"}, ".address", NO_ADDRESS)
        for kind in ({}, {"type": "ClusterIP"}, {"type": "LoadBalancer"})
    ),
    *(
        _of_service(
            EXPOSE,
            {**kind, "nodePort": 30500},
            ".nodePort",
            "does not belong to this type; remove it, or write type: NodePort",
        )
        for kind in ({}, {"type": "ClusterIP"}, {"type": "LoadBalancer"}, {"type": "Address", "address": "h"})
    ),
    _of_service(EXPOSE, {"type": "NodePort", "nodePort": 29999}, ".nodePort", "write nodePort >= 30000"),
    _of_service(EXPOSE, {"type": "NodePort", "nodePort": 32768}, ".nodePort", "write nodePort <= 32767"),
    *(
        _of_service(EXPOSE, {"type": "Address", "address": text}, ".address", ADDRESS_FORM)
        for text in ("", "http://h", "h/", "h:0", "h:65536", "h:", "[::1", "[h]:80", "a b", "u@h", "::g", "h:80:80")
    ),
    *(
        _of_service(EXPOSE, {"type": "NodePort", "address": text}, ".address", BARE_HOST)
        for text in ("h:80", "192.0.2.1:30500", "[2001:db8::1]:30500")
    ),
    _of_service(
        EXPOSE,
        {"type": "Nodeport"},
        ".type",
        'supported values: "ClusterIP", "NodePort", "LoadBalancer", "Address"',
    ),
]
REFUSALS = [*NAMES, *PODS, *AUTOSCALERS, *FILTERS, *URLS, *EXPOSURES]
