"""Which pods have metrics, and what their services want of them."""

from __future__ import annotations

from typing import Any

import pytest

from controller.metrics_api.wishes import Wishes
from controller.metrics_api.worker_pods import PodReader, WorkerKey
from controller.store import Store
from sedna_py.api.child_names import Role, pod_labels
from sedna_py.autoscaling.windows import WindowSettings
from sedna_py.metrics import names
from tests.controller.one_service import HELMET, helmet

CONCURRENCY = {
    "type": "Pods",
    "pods": {"metric": {"name": names.SIGNAL_CONCURRENCY}, "target": {"type": "AverageValue", "averageValue": "700m"}},
}


def pod(name: str = "p", uid: str = "one", role: Role = Role.CLOUD, version: int = 1, **changes: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "shop",
        "uid": f"uid-{name}",
        "resourceVersion": str(version),
        "labels": pod_labels("helmet", uid, role),
        **changes.pop("metadata", {}),
    }
    ready = [{"type": "Ready", "status": changes.pop("ready", "True")}]
    return {"metadata": metadata, "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": ready, **changes}}


def store_with(*pods: dict[str, Any]) -> Store:
    store = Store()
    store.put_service(helmet())
    for one in pods:
        store.put_pod(one)
    return store


def test_a_pod_is_read_as_it_is():
    [found] = PodReader().pods(store_with(pod(role=Role.EDGE, ready="False")))
    assert (found.uid, found.name, found.worker) == ("uid-p", "p", WorkerKey(HELMET, Role.EDGE))
    assert (found.address, found.ready) == ("10.0.0.1", False)
    assert found.labels["jointinferenceservice.sedna.io/name"] == "helmet"


@pytest.mark.parametrize(
    "one",
    [
        pod(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
        pod(phase="Pending"),
        pod(phase="Failed"),
        pod(uid="of-an-earlier-service"),
        pod(metadata={"labels": {"jointinferenceservice.sedna.io/name": "helmet"}}),
    ],
)
def test_pods_that_are_over_going_or_not_ours_are_left_out(one):
    assert PodReader().pods(store_with(one)) == []


def test_a_pod_that_changes_and_a_service_that_is_made_anew_are_seen():
    store, reader = store_with(pod()), PodReader()
    assert [one.ready for one in reader.pods(store)] == [True]
    assert reader.pods(store)[0] is reader.pods(store)[0]
    store.put_pod(pod(version=2, ready="False"))
    assert [one.ready for one in reader.pods(store)] == [False]
    store.put_service({**helmet(uid="two"), "metadata": {**helmet(uid="two")["metadata"], "resourceVersion": "9"}})
    assert reader.pods(store) == []


def scaled(**annotations: str) -> dict[str, Any]:
    document = helmet(changes={"spec.cloudWorker.hpa": {"maxReplicas": 3, "metrics": [CONCURRENCY]}})
    return {**document, "metadata": {**document["metadata"], "annotations": annotations}}


def test_targets_and_windows_are_the_services():
    wishes = Wishes()
    found = wishes.of(scaled(**{"autoscaling.knative.dev/window": "2m"}))
    assert found[Role.CLOUD].targets == {names.SIGNAL_CONCURRENCY: 0.7}
    assert found[Role.CLOUD].windows == WindowSettings(stable_s=120.0)
    assert found[Role.EDGE].targets == {}


def test_a_service_is_read_once_and_again_when_it_or_its_annotations_change():
    wishes = Wishes()
    first = wishes.of(scaled())
    assert wishes.of({**scaled(), "status": {"phase": "Running"}}) is first
    assert wishes.of(scaled(**{"autoscaling.knative.dev/window": "30s"}))[Role.CLOUD].windows.stable_s == 30
    wishes.keep([])
    assert wishes.of(scaled()) is not first


def test_of_a_service_that_cannot_be_read_nothing_is_known():
    found = Wishes().of({"metadata": {"uid": "x"}, "kind": "Nonsense"})
    assert (found[Role.CLOUD].targets, found[Role.CLOUD].windows) == ({}, WindowSettings())
