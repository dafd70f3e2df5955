"""examples/autoscaling on a real API server: each file is applied as its README says and becomes these autoscalers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from controller.children import ChildKind
from sedna_py.api.child_names import Role, deployment_name, hpa_name
from tests.cluster.control_plane import ControlPlane
from tests.integration.service_on_cluster import ROOT
from tests.integration.services import SERVICES, Site, difference, eventually, serving, site_of

Object = dict[str, Any]

EXAMPLES = ROOT / "examples" / "autoscaling"
HPA = ChildKind.HPA


def pods(name: str, target: str) -> Object:
    return {
        "type": "Pods",
        "pods": {"metric": {"name": name}, "target": {"type": "AverageValue", "averageValue": target}},
    }


def expected_load(service: str, target: str) -> Object:
    described = {"apiVersion": "sedna.io/v1alpha1", "kind": "JointInferenceService", "name": service}
    aim = {"type": "AverageValue", "averageValue": target}
    metric = {"name": "sedna_expected_cloud_load"}
    return {"type": "Object", "object": {"describedObject": described, "metric": metric, "target": aim}}


CALM = {"scaleDown": {"stabilizationWindowSeconds": 60}}
TWO_MINUTES = {
    "scaleUp": {"stabilizationWindowSeconds": 120},
    "scaleDown": {"stabilizationWindowSeconds": 120},
}
WANTED: dict[str, tuple[str, dict[Role, Object]]] = {
    "concurrency": (
        "faces-by-concurrency",
        {Role.CLOUD: {"maxReplicas": 10, "metrics": [pods("sedna_concurrency", "1")], "behavior": CALM}},
    ),
    "rps": (
        "faces-by-rps",
        {Role.CLOUD: {"maxReplicas": 5, "metrics": [pods("sedna_requests_per_second", "20")], "behavior": CALM}},
    ),
    "streams": (
        "faces-by-streams",
        {Role.CLOUD: {"maxReplicas": 3, "metrics": [pods("sedna_requests_per_stream", "1")], "behavior": TWO_MINUTES}},
    ),
    "edge-and-cloud": (
        "faces-on-both-sides",
        {
            Role.CLOUD: {"maxReplicas": 5, "metrics": [pods("sedna_latency_p95_seconds", "300m")], "behavior": CALM},
            Role.EDGE: {"maxReplicas": 4, "metrics": [pods("sedna_demand", "800m")], "behavior": CALM},
        },
    ),
    "scale-to-zero": (
        "faces-to-zero",
        {
            Role.CLOUD: {
                "minReplicas": 1,  # 0 is the controller's own business, where Kubernetes does not take it
                "maxReplicas": 5,
                "metrics": [pods("sedna_requests_per_stream", "1"), expected_load("faces-to-zero", "500m")],
                "behavior": CALM,
            }
        },
    ),
}
REPORT_OFTEN = {"edge-and-cloud", "scale-to-zero"}


@pytest.fixture(scope="module")
def site(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    namespace = control_plane.create_namespace()
    folder = tmp_path_factory.mktemp("autoscaling_examples")
    with site_of(control_plane, namespace) as made, serving(control_plane, folder, namespace):
        yield made
    control_plane.delete_namespace(namespace)


def as_posted(site: Site, target: str, spec: Object) -> Object:
    """Return the spec that the server makes of such an autoscaler when somebody posts it."""
    body = {
        "apiVersion": HPA.api_version,
        "kind": HPA.kind,
        "metadata": {"name": f"{target}-posted"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}, **spec},
    }
    posted: Object = site.cluster.post(f"{site.path(HPA.plural)}?dryRun=All", body)["spec"]
    return posted


def test_every_file_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == WANTED.keys()
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"({name}.yaml)" in text for name in WANTED)


@pytest.mark.parametrize("name", WANTED)
def test_an_example_becomes_these_autoscalers(site: Site, name: str) -> None:
    service, wanted = WANTED[name]
    documents = list(yaml.safe_load_all((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")))
    for document in documents:
        document["metadata"]["namespace"] = site.namespace
    site.kubectl("apply", "--validate=strict", "-f", "-", stdin=yaml.safe_dump_all(documents))

    for role in Role:
        key, target = hpa_name(service, role), deployment_name(service, role)
        if role not in wanted:
            continue
        spec = as_posted(site, target, wanted[role])
        eventually(
            lambda key=key, spec=spec: difference(spec, (site.get(HPA.plural, key) or {"spec": {}})["spec"]), key
        )

    def status() -> Object:
        found: Object = (site.get(SERVICES, service) or {}).get("status", {})
        return found

    eventually(lambda: "" if status().get("observedGeneration") == 1 else "no status yet", service)
    conditions = {one["type"]: one for one in status()["conditions"]}
    assert conditions["SpecAccepted"]["status"] == "True"
    assert {kind for kind in conditions if kind.endswith("Scaling")} == {f"{role.title()}Scaling" for role in wanted}
    for role in Role:
        assert (site.get(HPA.plural, hpa_name(service, role)) is not None) is (role in wanted)

    edge = site.get("deployments", deployment_name(service, Role.EDGE))
    assert edge is not None
    variables = {one["name"] for one in edge["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert ("SIGNAL_PERIOD" in variables) is (name in REPORT_OFTEN)
    site.kubectl("delete", SERVICES, service)
