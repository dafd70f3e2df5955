"""No pod can have so high a value that Kubernetes' controller would take its pods away."""

from __future__ import annotations

from controller.metrics_api.values import MOST

LEAST_TARGET = 0.001  # a quantity has no more than thousandths
MOST_REPLICAS = 2**31  # from here on kube-controller-manager 1.36 falls back to the fewest


def test_one_pod_at_the_bound_never_asks_for_more_pods_than_can_be_counted():
    assert MOST / LEAST_TARGET < MOST_REPLICAS
