"""The CRDs on a real API server: what it takes, what it refuses, and what people read then."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from sedna_py.api.model_mount import url_problem
from sedna_py.hard_example_mining import check_parameters
from tests.cluster.control_plane import ControlPlane
from tests.cluster.errors import KubectlError
from tests.integration.services import know_our_kinds
from tests.refused_documents import (
    CLOUD_HPA,
    EDGE,
    HPA,
    MINING,
    POD,
    REFUSALS,
    Document,
    Refusal,
    changed,
    model,
    service,
)

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
UPSTREAM = sorted((DATA / "upstream").glob("*.yaml"))
NOT_CHECKED = "some validation rules were not checked because the object was invalid"


@pytest.fixture(scope="module", autouse=True)
def installed(control_plane: ControlPlane) -> None:
    """Install as the README says; that the annotation of plain apply is not too long is a part of the test."""
    know_our_kinds(control_plane)


def apply(control_plane: ControlPlane, namespace: str, document: Document, *options: str) -> Document:
    said = control_plane.kubectl(
        "apply", "-n", namespace, "-f", "-", "-o", "json", *options, stdin=json.dumps(document)
    )
    return json.loads(said)


def problems(control_plane: ControlPlane, document: Document) -> list[str]:
    """Return the sentences with which kubectl refuses the document, but for the one that there may be more."""
    with pytest.raises(KubectlError) as refused:
        control_plane.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(document))
    head = re.match(r'The (JointInferenceService|Model) "[^"]+" is invalid: ', refused.value.stderr)
    assert head, refused.value.stderr
    sentences = refused.value.stderr[head.end() :].strip().removeprefix("\n").split("\n* ")
    return [sentence.removeprefix("* ") for sentence in sentences if NOT_CHECKED not in sentence]


def refused_among(control_plane: ControlPlane, documents: list[Document]) -> set[str]:
    """Return the names of the refused ones, with one run of kubectl for all."""
    listing = {"apiVersion": "v1", "kind": "List", "items": documents}
    try:
        control_plane.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(listing))
    except KubectlError as error:
        return set(re.findall(r'"([^"]+)" is invalid: ', error.stderr))
    return set()


@pytest.mark.parametrize("refusal", REFUSALS, ids=repr)
def test_mistake_is_refused_in_one_sentence(control_plane: ControlPlane, refusal: Refusal) -> None:
    (said,) = problems(control_plane, refusal.document)
    assert said.startswith(f"{refusal.place}: ")
    assert said.endswith(refusal.message)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (changed(service(), "metadata.name", "Helmet"), "metadata.name: Invalid value: \"Helmet\": a lowercase RFC 1123"),
        (changed(service(), EDGE, {}), "spec.edgeWorker.hardExampleMining: Required value"),
        (changed(service(), f"{EDGE}.template", {}), "spec.edgeWorker.template.spec: Required value"),
        (changed(service(), HPA, {"minReplicas": 1}), "spec.edgeWorker.hpa.maxReplicas: Required value"),
        (changed(service(), HPA, {"maxReplicas": "5"}), "spec.edgeWorker.hpa.maxReplicas in body must be of type int"),
        (changed(service(), HPA, {"maxReplicas": 2**31}), "integer with format int32 in spec.edgeWorker.hpa.maxReplicas"),
        (
            changed(service(), HPA, {"maxReplicas": 2, "metrics": [{"type": "resource"}]}),
            'spec.edgeWorker.hpa.metrics[0].type: Unsupported value: "resource": supported values: "Resource", "Cont',
        ),
        (
            changed(service(), MINING, {"name": "IBT", "parameters": [{"key": "threshold_img", "value": 0.9}]}),
            "spec.edgeWorker.hardExampleMining.parameters[0].value in body must be of type string",
        ),
        (
            changed(service(), f"{POD}.containers", [{"name": "c", "env": [{"name": "A", "value": 5}]}]),
            "spec.edgeWorker.template.spec.containers[0].env[0].value in body must be of type string",
        ),
    ],
)  # fmt: skip
def test_api_server_finds_its_own_words_for_the_types(
    control_plane: ControlPlane, document: Document, said: str
) -> None:
    assert said in "\n".join(problems(control_plane, document))


def test_two_mistakes_are_two_sentences(control_plane: ControlPlane) -> None:
    document = changed(changed(service(), HPA, {"maxReplicas": 0}), f"{POD}.restartPolicy", "Never")
    assert len(problems(control_plane, document)) == 2


@pytest.mark.parametrize("path", UPSTREAM, ids=lambda path: path.stem)
def test_upstream_examples_are_kept_as_they_are_written(control_plane: ControlPlane, path: Path) -> None:
    said = control_plane.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(path), "-o", "json")
    kept = {(item["kind"], item["metadata"]["name"]): item for item in json.loads(said)["items"]}
    for document in yaml.safe_load_all(path.read_text()):
        if document["kind"] != "Secret":
            assert kept[document["kind"], document["metadata"]["name"]]["spec"] == document["spec"]


@pytest.mark.parametrize("options", [(), ("--server-side",)], ids=["client side", "server side"])
def test_whole_pod_template_comes_back_unchanged(
    control_plane: ControlPlane, namespace: str, options: tuple[str, ...]
) -> None:
    template = yaml.safe_load((DATA / "whole_pod_template.yaml").read_text())
    document = changed(changed(service(), f"{EDGE}.template", template), "spec.cloudWorker.template", template)
    kept = apply(control_plane, namespace, document, "--validate=strict", *options)
    assert kept["spec"] == document["spec"]


def test_whole_autoscaler_comes_back_unchanged(control_plane: ControlPlane, namespace: str) -> None:
    hpa = yaml.safe_load((DATA / "whole_autoscaler.yaml").read_text())
    kept = apply(control_plane, namespace, changed(service(), HPA, hpa), "--validate=strict")
    assert kept["spec"]["edgeWorker"]["hpa"] == hpa


@pytest.mark.parametrize(
    ("path", "hpa"),
    [
        (HPA, {"class": "external", "maxReplicas": 5, "scaleMetric": "demand", "scaleTarget": 0.7}),
        (HPA, {"maxReplicas": 5, "scaleMetric": "cpu", "scaleTarget": 150, "metrics": []}),
        (
            CLOUD_HPA,
            {"minReplicas": 0, "maxReplicas": 5, "scaleMetric": "latency", "scaleTarget": 250, "earlyWarning": 1},
        ),
        (CLOUD_HPA, {"class": "none", "maxReplicas": 1, "earlyWarning": 0.01}),
        (CLOUD_HPA, {"maxReplicas": 5, "scaleMetric": "rps", "scaleTarget": 1000000}),
    ],
)
def test_short_forms_come_back_unchanged(
    control_plane: ControlPlane, namespace: str, path: str, hpa: dict[str, Any]
) -> None:
    kept = apply(control_plane, namespace, changed(service(), path, hpa), "--validate=strict")
    assert kept["spec"][path.split(".")[1]]["hpa"] == hpa


def test_empty_fields_are_as_good_as_none(control_plane: ControlPlane, namespace: str) -> None:
    document = changed(changed(service(), HPA, None), f"{POD}.restartPolicy", None)
    kept = apply(control_plane, namespace, changed(document, f"{MINING}.parameters", None))
    assert kept["spec"] == service()["spec"]


def test_filters_and_parameters_of_others_pass(control_plane: ControlPlane, namespace: str) -> None:
    mine = {"name": "Mine", "parameters": [{"key": "threshold", "value": "7"}]}
    more = {"name": "IBT", "parameters": [{"key": "mine", "value": "7"}, {"key": "threshold_box", "value": "0.5"}]}
    for mining in (mine, more):
        kept = apply(control_plane, namespace, changed(service(), MINING, mining))
        assert kept["spec"]["edgeWorker"]["hardExampleMining"] == mining


def test_every_address_that_can_be_used_is_taken(control_plane: ControlPlane) -> None:
    fixed = {"type": "NodePort", "nodePort": 30000}
    addresses = ("h", "h:1", "192.0.2.1:65535", "::1", "[::1]:80", "::ffff:192.0.2.1", "a_b.example.com:0080")
    exposures = [
        {},
        {**fixed, "address": "2001:db8::1"},
        {**fixed, "address": "[2001:db8::1]"},
        *({"type": "Address", "address": address} for address in addresses),
    ]
    documents = [
        changed(service(f"s{number}"), "spec.cloudWorker.expose", exposure) for number, exposure in enumerate(exposures)
    ]
    assert refused_among(control_plane, documents) == set()


def test_numbers_of_a_filter_are_those_that_the_filter_reads(control_plane: ControlPlane) -> None:
    texts = ["0", "1", "0.5", " 0.5\t", "1e-1", "+1.", ".5", "0.3333333333333333", "-0.0", "1.0000001", "-0.1", "2"]
    texts += ["", " ", ".", "nan", "inf", "1e400", "0x1", "0,5", "50%", "1 0", "high"]
    documents = [
        changed(service(f"n{index}"), MINING, {"name": "IBT", "parameters": [{"key": "threshold_img", "value": text}]})
        for index, text in enumerate(texts)
    ]
    unusable = {f"n{index}" for index, text in enumerate(texts) if check_parameters("IBT", {"threshold_img": text})}
    assert refused_among(control_plane, documents) == unusable


GOOD_URLS = [
    "/data/big-model/y.pb",
    "/models/dir/",
    "/a%20b/c",
    "/a..b/..c/...",
    "/m?v=1/y",
    "/100%25/é/模型.xml",
    "//a//b",
    "/",
    "s3://bucket",
    "S3://b/k",
    "https://u:p%40w@host:8443/m.xml?X-Amz-Signature=1&a=..b",
    "http://[::1]:80/m",
    "http://host:/m",
    "http://host:065535/m",
    "http://a_b.c/m",
    "hf://org/model",
    "file:///m",
    "gs://b/..",
    "oci:x",
]
BAD_URLS = [
    "m/y.pb",
    "./m",
    "..",
    "/..",
    "/a/..",
    "/a/../b",
    "s3://b/../k",
    "http://h/%2E%2e/m",
    "/%",
    "/%4",
    "/%g0",
    "/a%00",
    "/a%7F",
    "hf://a%1fb",
    "hf://a%",
    "http://",
    "http:host",
    "https:///m",
    "http://:80/m",
    "http://h:0/m",
    "http://h:65536/m",
    "http://h:x/m",
    "http://u@/m",
    "http://h[/m",
    "://m",
]


def test_urls_of_models_are_those_that_can_be_mounted(control_plane: ControlPlane) -> None:
    urls = [*GOOD_URLS, "/a b/c", *BAD_URLS, "", "/a\nb", "s3://a b/m"]
    usable = [url for url in urls if url_problem(url) is None]
    assert usable == [*GOOD_URLS, "/a b/c"]
    refused = refused_among(control_plane, [model(url, f"m{index}") for index, url in enumerate(urls)])
    assert [url for index, url in enumerate(urls) if f"m{index}" not in refused] == usable


UPSTREAM_STATUS = {
    "conditions": [
        {"type": "Failed", "status": "True", "reason": "r", "lastHeartbeatTime": "2025-11-21T10:00:00Z"},
        {"type": "Running", "status": "True"},
        {"type": "Failed", "status": "True", "message": "m", "lastTransitionTime": "2025-11-21T10:00:00Z"},
    ],
    "startTime": "2025-11-21T10:00:00Z",
    "active": 2,
    "failed": 0,
    "metrics": [
        {"key": "uploadCloudRatio", "value": "0.25"},
        {"key": "hardExampleNumber", "value": "30"},
        {"key": "inferenceNumber", "value": "120"},
    ],
}
OUR_STATUS = {
    "observedGeneration": 3,
    "phase": "Running",
    "edge": {"ready": "1/2", "scale": "1-2"},
    "cloud": {"ready": "1/1", "scale": "1-5"},
    "workers": [{"name": "p", "inferenceNumber": 120, "hardExampleNumber": 30}],
}


def with_status(control_plane: ControlPlane, namespace: str, status: dict[str, Any]) -> Document:
    apply(control_plane, namespace, service())
    said = control_plane.kubectl(
        "patch", "ji", "helmet", "-n", namespace, "--subresource=status", "--type=merge",
        "-p", json.dumps({"status": status}), "-o", "json",
    )  # fmt: skip
    return json.loads(said)


def test_status_of_upstream_and_ours_are_kept(control_plane: ControlPlane, namespace: str) -> None:
    status = {**UPSTREAM_STATUS, **OUR_STATUS}
    assert with_status(control_plane, namespace, status)["status"] == status


def test_get_shows_the_service_in_one_line(control_plane: ControlPlane, namespace: str) -> None:
    with_status(control_plane, namespace, {**UPSTREAM_STATUS, **OUR_STATUS})
    header, row = control_plane.kubectl("get", "ji", "-n", namespace).splitlines()
    assert header.split() == ["NAME", "EDGE", "CLOUD", "FILTER", "INFERENCES", "HARD", "PHASE", "AGE"]
    assert row.split()[:-1] == ["helmet", "1/2", "1/1", "IBT", "120", "0.25", "Running"]
    header, row = control_plane.kubectl("get", "ji", "-n", namespace, "-o", "wide").splitlines()
    assert header.split()[8:] == ["EDGE-MODEL", "CLOUD-MODEL", "EDGE-HPA", "CLOUD-HPA"]
    assert row.split()[8:] == ["m", "m", "1-2", "1-5"]


def test_get_shows_no_password_of_a_model(control_plane: ControlPlane, namespace: str) -> None:
    document = changed(model("https://user:secret@host/m.xml"), "spec.credentialName", "keys")
    apply(control_plane, namespace, document)
    table = control_plane.kubectl("get", "models", "-n", namespace, "-o", "wide")
    assert [line.split()[:3] for line in table.splitlines()] == [
        ["NAME", "FORMAT", "CREDENTIAL"],
        ["yolo", "pb", "keys"],
    ]


def test_unknown_fields_are_pruned_outside_of_pods(control_plane: ControlPlane, namespace: str) -> None:
    document = changed(service(), HPA, {"maxReplicas": 2, "fromTheFuture": 1})
    kept = apply(control_plane, namespace, document, "--validate=false")
    assert kept["spec"]["edgeWorker"]["hpa"] == {"maxReplicas": 2}


def test_explain_describes_the_autoscaler(control_plane: ControlPlane) -> None:
    deadline = time.monotonic() + 30
    while True:  # the API server publishes a new schema some moments after the CRD
        try:
            said = control_plane.kubectl("explain", "ji.spec.edgeWorker.hpa")
            break
        except KubectlError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    text = " ".join(said.split())
    assert "DESCRIPTION: Autoscaling of the worker; absent means one pod." in text
    assert "maxReplicas <integer> -required- Most pods." in text
