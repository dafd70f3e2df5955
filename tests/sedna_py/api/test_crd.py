"""What the CRDs promise to those who read them; what the API server makes of them is in tests/integration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from sedna_py.api.crd import DEFINITIONS, JOINT_INFERENCE_SERVICE, MODEL, custom_resource_definition
from sedna_py.hard_example_mining import BUILTIN_FILTERS

# Those of Kubernetes 1.29 that are needed; an expression with a newer one could not be installed there.
FUNCTIONS = {"all", "double", "exists_one", "has", "int", "matches", "size", "startsWith", "trim", "type"}


def schemas(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every schema below this one with its path."""
    yield path, schema
    for name, below in schema.get("properties", {}).items():
        yield from schemas(below, f"{path}.{name}")
    for keyword, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if keyword in schema:
            yield from schemas(schema[keyword], path + mark)


def by_path(kind: str) -> dict[str, dict[str, Any]]:
    (version,) = custom_resource_definition(DEFINITIONS[kind])["spec"]["versions"]
    return dict(schemas(version["schema"]["openAPIV3Schema"]))


SERVICE = by_path(JOINT_INFERENCE_SERVICE.name)
RULES = [
    (path, rule)
    for kind in DEFINITIONS
    for path, schema in by_path(kind).items()
    for rule in schema.get("x-kubernetes-validations", ())
]


def test_names_are_those_of_upstream() -> None:
    crd = custom_resource_definition(JOINT_INFERENCE_SERVICE)
    assert crd["metadata"]["name"] == "jointinferenceservices.sedna.io"
    assert crd["spec"]["group"] == "sedna.io"
    assert crd["spec"]["scope"] == "Namespaced"
    assert crd["spec"]["names"] == {
        "kind": "JointInferenceService",
        "listKind": "JointInferenceServiceList",
        "plural": "jointinferenceservices",
        "singular": "jointinferenceservice",
        "shortNames": ["ji"],
        "categories": ["sedna"],
    }
    assert "shortNames" not in custom_resource_definition(MODEL)["spec"]["names"]


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_one_version_is_served_with_a_status(kind: str) -> None:
    (version,) = custom_resource_definition(DEFINITIONS[kind])["spec"]["versions"]
    assert (version["name"], version["served"], version["storage"]) == ("v1alpha1", True, True)
    assert version["subresources"] == {"status": {}}


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_schema_is_structural(kind: str) -> None:
    for path, schema in by_path(kind).items():
        typed = {"type", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"} & schema.keys()
        assert typed, path
        assert not {"anyOf", "$ref", "default", "title", "minimum", "minLength", "minItems"} & schema.keys(), path


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_every_field_says_what_it_is(kind: str) -> None:
    silent = [
        path for path, schema in by_path(kind).items() if not schema.get("description") and path[-1:] not in {"]", "}"}
    ]
    assert silent == [".metadata", ".metadata.name"]


@pytest.mark.parametrize("side", ["edgeWorker", "cloudWorker"])
def test_whatever_a_pod_can_say_is_kept(side: str) -> None:
    template = f".spec.{side}.template"
    for path in ("", ".metadata", ".spec", ".spec.containers[]", ".spec.containers[].env[]", ".spec.volumes[]"):
        assert SERVICE[template + path]["x-kubernetes-preserve-unknown-fields"] is True


def test_conditions_keep_their_order() -> None:
    for path in (".status.conditions", ".status.metrics", ".status.workers"):
        assert SERVICE[path]["x-kubernetes-list-type"] == "atomic"


def test_status_is_not_checked() -> None:
    assert not [path for path, _ in RULES if path.startswith(".status")]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (".spec.edgeWorker.hpa.maxReplicas", {"type": "integer", "format": "int32"}),
        (".status.observedGeneration", {"type": "integer", "format": "int64"}),
        (".status.startTime", {"type": "string", "format": "date-time"}),
        (
            ".spec.edgeWorker.hpa.behavior.scaleUp.selectPolicy",
            {"type": "string", "enum": ["Max", "Min", "Disabled"]},
        ),
        (".spec.edgeWorker.hpa.behavior.scaleUp.tolerance", {"x-kubernetes-preserve-unknown-fields": True}),
        (".spec.edgeWorker.hpa.metrics[].pods.metric.selector", {"type": "object"}),
        (".spec.edgeWorker.template.metadata.labels{}", {"type": "string"}),
        (
            ".spec.edgeWorker.template.spec.containers[].resources.requests{}",
            {"x-kubernetes-preserve-unknown-fields": True},
        ),
        (".spec.edgeWorker.hpa.metrics[].resource.target.averageValue", {"x-kubernetes-int-or-string": True}),
    ],
)
def test_field_has_its_type(path: str, wanted: dict[str, Any]) -> None:
    assert wanted.items() <= SERVICE[path].items()


def test_rules_of_one_field_are_all_kept() -> None:
    # One from its bounds and five of its own.
    assert len(by_path(MODEL.name)[".spec.url"]["x-kubernetes-validations"]) == 6
    target = SERVICE[".spec.edgeWorker.hpa.metrics[].resource.target"]
    assert len(target["x-kubernetes-validations"]) == 1


@pytest.mark.parametrize(("path", "rule"), RULES, ids=lambda part: part if isinstance(part, str) else "")
def test_rule_says_what_to_write_and_runs_on_old_kubernetes(path: str, rule: dict[str, str]) -> None:
    said = rule.get("message", rule.get("messageExpression", ""))
    assert re.search(r"\b(write|remove)\b", said)
    assert "\n" not in said
    code = re.sub(r"r?'[^']*'|\"[^\"]*\"", "''", rule["rule"])
    assert set(re.findall(r"(\w+)\(", code)) <= FUNCTIONS
    assert "oldSelf" not in code


def test_each_filter_parameter_that_can_be_wrong_has_a_rule() -> None:
    expected = {
        (name, parameter.name)
        for name, found in BUILTIN_FILTERS.items()
        for parameter in found.PARAMETERS
        if parameter.choices or parameter.kind is not str
    }
    rules = SERVICE[".spec.edgeWorker.hardExampleMining"]["x-kubernetes-validations"]
    found = {tuple(re.findall(r'self\.name != "(\w+)".*p\.key == "(\w+)"', rule["rule"])[0]) for rule in rules}
    assert found == expected


def test_url_is_in_no_column() -> None:
    assert "spec.url" not in str(custom_resource_definition(MODEL)["spec"]["versions"][0]["additionalPrinterColumns"])
