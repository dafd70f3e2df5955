"""What the CRDs say beyond the types: rules, bounds and the meaning of lists, by definition and field of `sedna_py.api`.

The bounds are there because the API server estimates the cost of every rule at its worst; they are far above
what anybody writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sedna_py.api.crd_exposure_rules import address_rule, exposure_rules
from sedna_py.api.crd_filter_rules import filter_rules
from sedna_py.api.crd_rule import Rule, pattern, text
from sedna_py.api.crd_url_rules import url_rules
from sedna_py.api.hpa import (
    METRICS_WITHOUT_DEFAULT,
    NOT_WHOLE,
    SOURCE_OF_TYPE,
    TARGET_MISSING,
    TARGET_OF_NOTHING,
    TWO_FORMS,
    WHOLE_METRICS,
)
from sedna_py.api.metadata import SERVICE_NAME_MAX

_LABEL: Final = "^[a-z]([a-z0-9-]*[a-z0-9])?$"
_QUANTITY: Final = r"^[+-]?(\d+[.]?\d*|[.]\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$"

NAME_RULES: Final[Sequence[Rule]] = (
    Rule(
        f"self.metadata.name.matches({pattern(_LABEL)})",
        "write lower-case letters, digits and '-', beginning with a letter, not ending with '-'",
        field=".metadata.name",
    ),
    Rule(
        f"size(self.metadata.name) <= {SERVICE_NAME_MAX}",
        f"write at most {SERVICE_NAME_MAX} characters ('-Cloud-svc' is added in a label)",
        field=".metadata.name",
    ),
)

QUANTITY_RULE: Final = Rule(
    f"type(self) != string || self.matches({pattern(_QUANTITY)})", "write a quantity such as 500m, 2 or 2Gi"
)


def _metric_rules() -> Iterator[Rule]:
    for name, block in SOURCE_OF_TYPE.items():
        belongs = f"self.type == {text(name)}"
        yield Rule(
            f"has(self.{block}) == ({belongs})",
            message_expression=f"{belongs} ? 'is missing; write it, as type is {name}'"
            f" : 'belongs to type {name} only; remove it'",
            field=f".{block}",
        )


def _hpa_rules() -> Iterator[Rule]:
    yield Rule(
        "self.maxReplicas < 1 || !has(self.minReplicas) || self.maxReplicas >= self.minReplicas",
        "is less than minReplicas; write maxReplicas >= minReplicas",
        field=".maxReplicas",
    )
    has_metrics = "has(self.metrics) && size(self.metrics) > 0"
    yield Rule(f"!has(self.scaleMetric) || !({has_metrics})", TWO_FORMS, field=".scaleMetric")
    yield Rule(
        "!has(self.scaleTarget) || has(self.scaleMetric)",
        message_expression=f"{has_metrics} ? {text(TWO_FORMS)} : {text(TARGET_OF_NOTHING)}",
        field=".scaleTarget",
    )
    yield Rule(
        f"!has(self.scaleMetric) || has(self.scaleTarget) || !(self.scaleMetric in [{_listed(METRICS_WITHOUT_DEFAULT)}])",
        TARGET_MISSING,
        field=".scaleTarget",
    )
    yield Rule(
        f"!has(self.scaleMetric) || !has(self.scaleTarget) || !(self.scaleMetric in [{_listed(WHOLE_METRICS)}])"
        " || self.scaleTarget > 1e6 || double(int(self.scaleTarget)) == self.scaleTarget",
        NOT_WHOLE,
        field=".scaleTarget",
    )


def _listed(values: Sequence[str]) -> str:
    return ", ".join(text(value) for value in values)


_OBJECT_RULES: Final[Mapping[str, Sequence[Rule]]] = {
    "Exposure": exposure_rules(),
    "HardExampleMining": tuple(filter_rules()),
    **dict.fromkeys(("Hpa", "CloudHpa"), tuple(_hpa_rules())),
    "MetricSpec": tuple(_metric_rules()),
    "MetricTarget": (
        Rule(
            "has(self.averageUtilization) || has(self.averageValue) || has(self.value)",
            message_expression="'has no value; write ' + (self.type == 'Utilization' ? 'averageUtilization'"
            " : self.type == 'Value' ? 'value' : 'averageValue')",
        ),
    ),
}

_FIELD_RULES: Final[Mapping[str, Sequence[Rule]]] = {
    "Exposure.address": (address_rule(),),
    "HardExampleMining.parameters": (
        Rule(
            "self.all(p, self.exists_one(q, q.key == p.key))",
            "has a key twice; write each key once",
        ),
    ),
    "ModelSpec.url": url_rules(),
    "PodSpec.restartPolicy": (
        Rule("self in ['', 'Always']", "is what a Deployment refuses; write Always or leave it out"),
    ),
}

# Kubernetes takes 0.05 for a quantity, and its own pages write it; no type of a CRD allows a fraction beside text.
_UNTYPED: Final = frozenset({"ScalingRules.tolerance", "Resources.requests", "Resources.limits"})

_ATOMIC: Final[Mapping[str, Any]] = {"x-kubernetes-list-type": "atomic"}
_BY_NAME: Final[Mapping[str, Any]] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}

_KEYWORDS: Final[Mapping[str, Mapping[str, Any]]] = {
    # As in Kubernetes, server-side apply merges these by name; a name that is there twice is refused.
    "Container.env": {"maxItems": 2048, **_BY_NAME},
    "PodSpec.containers": {"maxItems": 64, **_BY_NAME},
    "Container.ports": {"maxItems": 1024},
    "PodSpec.volumes": {"maxItems": 1024},
    "Exposure.address": {"maxLength": 300},
    "HardExampleMining.name": {"maxLength": 253},
    "HardExampleMining.parameters": {"maxItems": 64},
    "Parameter.key": {"maxLength": 253},
    "Parameter.value": {"maxLength": 4096},
    "Hpa.metrics": {"maxItems": 128},
    "CloudHpa.metrics": {"maxItems": 128},
    "MetricTarget.averageValue": {"maxLength": 64},
    "MetricTarget.value": {"maxLength": 64},
    "ModelSpec.url": {"maxLength": 8192},
    "ScalingRules.policies": {"maxItems": 128},
    # Whoever reads conditions as upstream does takes the last one: their order is kept.
    "JointInferenceServiceStatus.conditions": _ATOMIC,
    "JointInferenceServiceStatus.metrics": _ATOMIC,
    "JointInferenceServiceStatus.workers": _ATOMIC,
    "ModelStatus.metrics": _ATOMIC,
}


def object_rules(definition: str) -> Sequence[Rule]:
    """Return the rules on an object of this definition."""
    return _OBJECT_RULES.get(definition, ())


def field_rules(definition: str, field: str) -> Sequence[Rule]:
    """Return the rules on a field, beyond its bounds."""
    return _FIELD_RULES.get(f"{definition}.{field}", ())


def has_untyped_values(definition: str, field: str) -> bool:
    """Return whether the API server shall take any value for the field, or for each in it."""
    return f"{definition}.{field}" in _UNTYPED


def field_keywords(definition: str, field: str) -> Mapping[str, Any]:
    """Return the keywords that a field's schema has beside its type."""
    return _KEYWORDS.get(f"{definition}.{field}", {})
