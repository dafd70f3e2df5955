"""The slice by which the Service of a worker that sleeps leads to the controller."""

from __future__ import annotations

import pytest

from controller.zero.endpoint_slice import can_be_an_endpoint, endpoint_slice


def test_it_is_the_services_slice_by_its_labels_and_the_jis_by_its_owner() -> None:
    made = endpoint_slice("shop", "helmet", "u-1", "10.1.2.3", 9207)
    metadata = made["metadata"]
    assert (metadata["namespace"], metadata["name"]) == ("shop", "helmet-cloud-asleep")
    assert metadata["labels"]["kubernetes.io/service-name"] == "helmet-cloud"
    assert metadata["labels"]["endpointslice.kubernetes.io/managed-by"] == "sedna-controller"
    assert [(owner["kind"], owner["uid"]) for owner in metadata["ownerReferences"]] == [
        ("JointInferenceService", "u-1")
    ]
    assert made["addressType"] == "IPv4"
    assert made["endpoints"] == [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}]
    # kube-proxy joins what has the name of the Service's port.
    assert made["ports"] == [{"name": "tcp-0", "protocol": "TCP", "port": 9207}]


def test_an_address_of_the_sixth_version_is_said_to_be_one() -> None:
    assert endpoint_slice("shop", "helmet", "u-1", "fd00::7", 9207)["addressType"] == "IPv6"


@pytest.mark.parametrize("address", ["10.1.2.3", "fd00::7", "203.0.113.9"])
def test_what_other_machines_can_reach_can_be_an_endpoint(address: str) -> None:
    assert can_be_an_endpoint(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "0.0.0.0", "169.254.1.1", "224.0.0.1", "", "controller", "10.1.2"]
)
def test_what_kubernetes_would_refuse_cannot(address: str) -> None:
    assert not can_be_an_endpoint(address)
