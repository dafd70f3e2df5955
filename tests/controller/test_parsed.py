"""Documents as resources: each version once, and nothing in them raises."""

from __future__ import annotations

from typing import Any

import pytest

from controller import parsed as module
from controller.parsed import Parser, service_findings
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.api.model import Model
from tests.refused_documents import changed, model, service


def seen(document: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    about = {"uid": "u1", "namespace": "shop", "generation": 1, "resourceVersion": "5", **metadata}
    return changed(document, "metadata", {**document["metadata"], **about})


def services() -> Parser[JointInferenceService]:
    return Parser(JointInferenceService)


@pytest.mark.parametrize(
    ("changes", "again"),
    [
        ({"resourceVersion": "6"}, False),  # a label, or our own status
        ({"generation": 2}, True),
        ({"uid": "u2"}, True),
        ({"generation": None, "resourceVersion": "6"}, True),
        ({"annotations": {"team": "vision"}}, False),
        ({"annotations": {"autoscaling.knative.dev/target": "5"}}, True),
        ({"annotations": {"sedna.io/shared-streams": "enabled"}}, True),
    ],
)
def test_a_document_is_parsed_again_when_it_asks_for_something_else(changes: dict[str, Any], again: bool) -> None:
    parser = services()
    before = parser.parse(seen(service()))
    assert (parser.parse(seen(service(), **changes)) is not before) is again


def test_a_forgotten_document_is_parsed_again() -> None:
    parser = services()
    before = parser.parse(seen(service()))
    parser.forget("u1")
    parser.forget("never seen")
    assert parser.parse(seen(service())) is not before


def test_the_status_keeps_no_service_from_being_served() -> None:
    document = {**seen(service()), "status": {"conditions": "not a list", "active": "two"}}
    assert services().parse(document).resource is not None


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (changed(service(), "spec", None), "spec"),
        (changed(service(), "spec", "text"), "spec"),
        (changed(service(), "spec.edgeWorker.template", {}), "spec.edgeWorker.template"),
        (changed(service(), "apiVersion", "sedna.io/v2"), "apiVersion"),
        ({"metadata": {"name": "x"}}, "kind"),
    ],
)
def test_what_cannot_be_used_says_why_in_one_line(document: dict[str, Any], said: str) -> None:
    parsed = services().parse(seen(document))
    assert parsed.resource is None
    assert said in parsed.problem
    assert "\n" not in parsed.problem
    assert service_findings(parsed) == parsed.findings


def test_a_model_that_cannot_be_used_says_why() -> None:
    parser: Parser[Model] = Parser(Model)
    assert parser.parse(seen(model("/models/yolo.xml"))).problem == ""
    assert "url" in parser.parse(seen(model("models/yolo.xml"), generation=2)).problem


def test_what_only_fails_a_worker_is_a_warning() -> None:
    document = changed(service(), "spec.edgeWorker.hardExampleMining", {"name": "Nobody"})
    findings = service_findings(services().parse(seen(document)))
    assert findings
    assert {finding.level for finding in findings} == {"warning"}


def test_parsed_documents_are_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 3)
    parser = services()
    for number in range(7):
        parser.parse(seen(service(), uid=f"u{number}"))
    assert len(parser._parsed) <= 3
