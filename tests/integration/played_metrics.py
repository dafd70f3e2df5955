"""The resource metrics API, played by a CRD: autoscalers read from it what a test writes into it."""

from __future__ import annotations

import httpx

from tests.cluster.control_plane import ControlPlane
from tests.integration.controller_process import wait_until
from tests.integration.pod_pictures import now_text
from tests.integration.service_on_cluster import MERGE, Cluster, Object

_ROOT = "/apis/metrics.k8s.io/v1beta1"
_CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: pods.metrics.k8s.io
  annotations: {api-approved.kubernetes.io: "unapproved, in a test"}
spec:
  group: metrics.k8s.io
  names: {kind: PodMetrics, listKind: PodMetricsList, plural: pods, singular: pod}
  scope: Namespaced
  versions:
  - name: v1beta1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""


def install_metrics_api(control_plane: ControlPlane, cluster: Cluster) -> None:
    """Let the control plane have the API; there is no way back that its autoscalers would notice in time."""
    control_plane.kubectl("apply", "-f", "-", stdin=_CRD)
    # At first the server answers 404, then 429.
    wait_until(lambda: cluster.http.get(f"{_ROOT}/pods").is_success, "the metrics API to be served")


def write_cpu(cluster: Cluster, pod: Object, cpu: str) -> None:
    """Say what each container of the pod uses, such as 900m."""
    metadata = pod["metadata"]
    body = {
        "apiVersion": "metrics.k8s.io/v1beta1",
        "kind": "PodMetrics",
        "metadata": {"name": metadata["name"], "labels": metadata["labels"]},
        "timestamp": now_text(ago_s=-60),  # one of a pod that has only just become ready would not count
        "window": "10s",
        "containers": [
            {"name": one["name"], "usage": {"cpu": cpu, "memory": "1Gi"}} for one in pod["spec"]["containers"]
        ],
    }
    path = _path(metadata["namespace"])
    reply = cluster.http.post(path, json=body)
    if reply.status_code == httpx.codes.CONFLICT:
        reply = cluster.patch(f"{path}/{metadata['name']}", MERGE, body)
    assert reply.is_success, reply.text


def forget_cpu(cluster: Cluster, pod: Object) -> None:
    """Let there be no sample of the pod any more."""
    reply = cluster.http.delete(f"{_path(pod['metadata']['namespace'])}/{pod['metadata']['name']}")
    assert reply.is_success, reply.text


def _path(namespace: str) -> str:
    return f"{_ROOT}/namespaces/{namespace}/pods"
