"""deploy/prometheus speaks of what there is: names, labels, files. What Prometheus itself makes of it: test_prometheus.py."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from sedna_py.api.child_names import Role, pod_labels
from sedna_py.metrics import names
from tests.deploy.manifests import manifest, manifests
from tests.deploy.prometheus_rules import FOLDER, alerts, dashboard_queries, names_in, recorded, rule_file

METRICS = {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
SIGNALS = {value for name, value in vars(names).items() if name.startswith("SIGNAL_")}


def test_every_signal_is_recorded_under_its_name_and_nothing_else_is():
    assert set(recorded()) == SIGNALS
    assert all(group["interval"] == "5s" for group in rule_file("signals")["groups"])


def test_a_window_is_the_minute_of_the_metrics_api():
    assert {window for rule in recorded().values() for window in re.findall(r"\[(\w+)\]", rule)} == {"1m"}


@pytest.mark.parametrize(
    "expression", [*recorded().values(), *(one["expr"] for one in alerts().values()), *dashboard_queries()]
)
def test_every_metric_that_an_expression_names_exists(expression: str):
    assert names_in(expression) <= METRICS


def test_recording_rules_are_made_of_counters_and_not_of_each_other():
    assert not {name for rule in recorded().values() for name in names_in(rule)} & SIGNALS


def test_every_alert_says_what_is_wrong_and_what_to_do():
    for name, alert in alerts().items():
        assert name.startswith("Sedna")
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}
        assert {"summary", "description"} == set(alert["annotations"])


def test_pods_are_found_by_labels_that_they_have():
    labels = pod_labels("face-detection", "uid", Role.CLOUD)
    monitor = manifest("PodMonitor", "sedna-workers", "prometheus")["spec"]
    [expression] = monitor["selector"]["matchExpressions"]
    assert expression["key"] in labels
    plain = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    told = {re.sub(r"[^a-z]", "_", label) for label in labels}
    for text in (json.dumps(monitor), json.dumps(plain["scrape_configs"][0])):
        named = set(re.findall(r"__meta_kubernetes_pod_label_(\w+)", text))
        assert named
        assert named <= told


def test_the_plain_configuration_relabels_as_the_operator_is_told_to():
    monitor = manifest("PodMonitor", "sedna-workers", "prometheus")["spec"]["podMetricsEndpoints"][0]["relabelings"]
    plain = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"][0][
        "relabel_configs"
    ]
    of_operator = {
        json.dumps(rule, sort_keys=True).replace("sourceLabels", "source_labels").replace("targetLabel", "target_label")
        for rule in monitor
    }
    of_plain = {json.dumps(rule, sort_keys=True) for rule in plain}
    # The operator sets namespace, pod, container and endpoint by itself.
    assert {text for text in of_operator - of_plain if "labeldrop" not in text} == set()
    assert sorted(json.loads(text)["target_label"] for text in of_plain - of_operator) == ["namespace", "pod"]


def test_the_controller_is_found_by_its_service():
    monitor = manifest("ServiceMonitor", "sedna-controller", "prometheus")["spec"]
    service = manifest("Service", "sedna-controller")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}


def test_the_kustomization_has_every_manifest():
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
    written = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == written
    assert all((FOLDER / name).exists() for made in kustomization["configMapGenerator"] for name in made["files"])
    assert {item["apiVersion"] for item in manifests("prometheus")} == {"monitoring.coreos.com/v1"}


def test_the_adapter_serves_every_signal_of_pods_and_of_services():
    rules = yaml.safe_load((FOLDER / "adapter-values.yml").read_text(encoding="utf-8"))["rules"]["custom"]
    pattern = re.search(r'__name__=~"([^"]+)"', rules[0]["seriesQuery"])
    assert pattern is not None
    assert {name for name in SIGNALS if re.fullmatch(pattern[1], name)} == SIGNALS - {names.SIGNAL_EXPECTED_CLOUD_LOAD}
    assert rules[1]["seriesQuery"].startswith(names.SIGNAL_EXPECTED_CLOUD_LOAD + "{")
    group, kind = rules[1]["resources"]["overrides"]["ji"].values()
    assert (group, kind) == ("sedna.io", "jointinferenceservice")


def test_keda_asks_for_a_signal_of_a_deployment_that_there_is():
    scaled = yaml.safe_load((FOLDER / "keda-scaled-object.yml").read_text(encoding="utf-8"))["spec"]
    assert scaled["scaleTargetRef"]["name"] == "face-detection-deployment-edge"
    assert names_in(scaled["triggers"][0]["metadata"]["query"]) <= SIGNALS
