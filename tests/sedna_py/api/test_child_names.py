"""Names, labels and addresses of a service's children."""

from __future__ import annotations

from sedna_py.api import child_names
from sedna_py.api.child_names import Role
from sedna_py.api.metadata import SERVICE_NAME_MAX


def test_names() -> None:
    assert child_names.deployment_name("helmet", Role.CLOUD) == "helmet-deployment-cloud"
    assert child_names.deployment_name("helmet", Role.EDGE) == "helmet-deployment-edge"
    assert child_names.hpa_name("helmet", Role.EDGE) == "hpa-helmet-deployment-edge"
    assert child_names.cloud_service_name("Helmet") == "helmet-cloud"
    assert child_names.cloud_address("Helmet", "Prod") == "helmet-cloud.Prod"
    assert child_names.cloud_pods_name("Helmet") == "helmet-cloud-pods"
    assert child_names.cloud_pods_address("Helmet", "prod") == "helmet-cloud-pods.prod:5000"


def test_labels() -> None:
    common = {
        "jointinferenceservice.sedna.io/name": "helmet",
        "jointinferenceservice.sedna.io/uid": "u-1",
        "jointinferenceservice.sedna.io/worker-type": "cloud",
    }
    assert child_names.labels("helmet", "u-1", Role.CLOUD) == common
    assert child_names.pod_labels("helmet", "u-1", Role.CLOUD) == {**common, "app.sedna.io": "helmet-Cloud-svc"}
    assert child_names.app_label("helmet", Role.EDGE) == "helmet-Edge-svc"


def test_the_list_of_pods_is_left_out_where_its_name_would_be_too_long() -> None:
    longest = "x" * (63 - len("-cloud-pods"))
    assert len(child_names.cloud_pods_name(longest) or "") == 63
    assert len(longest) < SERVICE_NAME_MAX
    assert child_names.cloud_pods_name(longest + "x") is None
    assert child_names.cloud_pods_address(longest + "x", "prod") is None


def test_longest_service_name_makes_the_longest_label() -> None:
    assert len(child_names.app_label("x" * SERVICE_NAME_MAX, Role.CLOUD)) == 63
