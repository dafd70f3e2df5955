"""What the API server refuses, `sedna validate` refuses as well; the server's half is in tests/integration."""

from __future__ import annotations

import pytest

from sedna_py.api.findings import check_service, has_errors, parse_document
from sedna_py.api.v1alpha1 import JointInferenceService
from tests.refused_documents import REFUSALS, Refusal, model, service


@pytest.mark.parametrize("refusal", REFUSALS, ids=repr)
def test_validate_refuses_what_the_api_server_refuses(refusal: Refusal) -> None:
    resource, findings = parse_document(refusal.document)
    if isinstance(resource, JointInferenceService):
        findings = check_service(resource)
    assert has_errors(findings)


SHORT_FORMS = [
    refusal for refusal in REFUSALS if refusal.place.endswith((".scaleMetric", ".scaleTarget", ".earlyWarning"))
]


@pytest.mark.parametrize("refusal", [one for one in SHORT_FORMS if "supported values" not in one.message], ids=repr)
def test_short_forms_of_scaling_are_refused_in_the_same_words(refusal: Refusal) -> None:
    _, (finding,) = parse_document(refusal.document)
    assert finding.path == refusal.place
    assert finding.message.endswith(refusal.message)


def test_documents_without_the_mistake_are_good() -> None:
    for document in (service(), model("/m/y.pb")):
        resource, findings = parse_document(document)
        assert resource is not None
        assert findings == []
