"""The body of a worker's report."""

from __future__ import annotations

import json

import pytest

from sedna_py.client.local_controller import InferenceCounts, WorkerIdentity, build_report
from sedna_py.errors import MalformedBody
from sedna_py.protocol.worker_report import WorkerReport, answer_body, parse_report, report_path

UPSTREAM = {
    "name": "edgeworker-x7k2m",
    "namespace": "default",
    "ownerName": "sedna",
    "ownerKind": "jointinferenceservice",
    "kind": "inference",
    "results": [],
    "ownerInfo": {
        "startTime": "2025-11-21 10:00:00",
        "updateTime": "2025-11-21 10:00:30",
        "inferenceNumber": 120,
        "hardExampleNumber": 30,
        "uploadCloudRatio": 0.25,
    },
}


def test_a_report_of_upstream_is_read():
    expected = WorkerReport("edgeworker-x7k2m", "default", "sedna", "jointinferenceservice", 120, 30)
    assert parse_report("edgeworker-x7k2m", json.dumps(UPSTREAM).encode()) == expected


def test_a_report_of_our_worker_is_read():
    identity = WorkerIdentity("helmet-deployment-edge-6d4f-abcde", "default", "helmet")
    body = json.dumps(build_report(identity, InferenceCounts(7, 2), 0.0, 30.0)).encode()
    expected = WorkerReport(identity.worker, "default", "helmet", "jointinferenceservice", 7, 2)
    assert parse_report(identity.worker, body) == expected


def test_a_report_for_another_kind_needs_no_counts():
    body = json.dumps({**UPSTREAM, "ownerKind": "federatedlearningjob", "ownerInfo": None}).encode()
    assert parse_report("edgeworker-x7k2m", body).owner_kind == "federatedlearningjob"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "other"}, "the report's name is not the one in the path; write WORKER_NAME in both"),
        ({"name": ""}, "name: String should have at least 1 character"),
        ({"name": 7}, "name: Input should be a valid string"),
        ({"namespace": None}, "namespace: Input should be a valid string"),
        ({"ownerInfo": None}, "ownerInfo: Field required"),
        ({"ownerInfo": {"inferenceNumber": 1}}, "ownerInfo.hardExampleNumber: Field required"),
        (
            {"ownerInfo": {"inferenceNumber": -1, "hardExampleNumber": 0}},
            "ownerInfo.inferenceNumber: Input should be greater than or equal to 0",
        ),
        (
            {"ownerInfo": {"inferenceNumber": 10**30, "hardExampleNumber": 0}},
            "ownerInfo.inferenceNumber: Input should be less than or equal to 9007199254740992",
        ),
    ],
)
def test_what_is_not_a_report_is_refused_in_one_line(change: dict[str, object], message: str):
    with pytest.raises(MalformedBody) as caught:
        parse_report("edgeworker-x7k2m", json.dumps({**UPSTREAM, **change}).encode())
    assert str(caught.value).endswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"NaN", b"[" * 100_000])
def test_what_is_not_a_json_object_is_refused(body: bytes):
    with pytest.raises(MalformedBody, match="the report cannot be used: "):
        parse_report("w", body)


def test_a_name_stays_within_its_part_of_the_path():
    assert report_path("a/b c") == "/sedna/workers/a%2Fb%20c/info"


def test_the_answer_is_upstreams():
    assert answer_body(200) == {"Status": 200, "Message": "OK"}
