"""From the models to structural OpenAPI v3 schemas, the only kind that a CRD can have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from sedna_py.api.base import INT32_MAX
from sedna_py.api.crd_rule import Rule, bound_rules
from sedna_py.api.crd_rules import QUANTITY_RULE, field_keywords, field_rules, has_untyped_values, object_rules

Schema = dict[str, Any]

_PRESERVED: Final[Mapping[str, Any]] = {"x-kubernetes-preserve-unknown-fields": True}
_VALIDATIONS: Final = "x-kubernetes-validations"
_REFERENCE: Final = "#/$defs/"
_KEPT: Final = ("format", "enum")


def structural_schema(model: type[BaseModel], *, checked: bool = True) -> Schema:
    """Return the schema of a model; not `checked` means its shape alone, for what a controller writes."""
    document = model.model_json_schema(by_alias=True)
    return _Converter(document.get("$defs", {}), checked).object(model.__name__, document)


@dataclass(frozen=True)
class _Converter:
    definitions: Mapping[str, Schema]
    checked: bool

    def object(self, definition: str, source: Schema) -> Schema:
        """Convert the definition of a model."""
        required = sorted(source.get("required", ()))
        return {
            "type": "object",
            "description": source["description"],
            **({"required": required} if required else {}),
            **(_PRESERVED if source.get("additionalProperties") is True else {}),
            "properties": {
                name: self._field(definition, name, field) for name, field in sorted(source["properties"].items())
            },
            **self._rules(object_rules(definition)),
        }

    def _field(self, definition: str, name: str, source: Schema) -> Schema:
        source = _without_null(source)
        any_quantity = dict(_PRESERVED) if has_untyped_values(definition, name) else self._checked_quantity()
        converted = self._value(source, any_quantity)
        rules = [*bound_rules(name, source), *field_rules(definition, name)]
        return {
            **converted,
            **({"description": source["description"]} if "description" in source else {}),
            **field_keywords(definition, name),
            **self._rules(rules, converted),
        }

    def _value(self, source: Schema, quantity: Schema) -> Schema:
        if "$ref" in source:
            definition = source["$ref"].removeprefix(_REFERENCE)
            return self.object(definition, self.definitions[definition])
        if "anyOf" in source:  # the one union that is left
            return quantity
        kind = source["type"]
        if kind == "array":
            return {"type": kind, "items": self._value(source["items"], quantity)}
        if kind == "object":
            values = source["additionalProperties"]
            return {
                "type": kind,
                **(_PRESERVED if values is True else {"additionalProperties": self._value(values, quantity)}),
            }
        return {"type": kind, **_number_format(source), **{key: source[key] for key in _KEPT if key in source}}

    def _checked_quantity(self) -> Schema:
        return {"x-kubernetes-int-or-string": True, **self._rules([QUANTITY_RULE])}

    def _rules(self, rules: Sequence[Rule], before: Schema | None = None) -> Schema:
        """Return the rules, and those of the schema `before`, behind them, as a keyword."""
        entries = [rule.as_schema() for rule in rules] if self.checked else []
        entries += (before or {}).get(_VALIDATIONS, [])
        return {_VALIDATIONS: entries} if entries else {}


def _without_null(source: Schema) -> Schema:
    """Return the schema of a field that may be left out as that of one that is there."""
    if "anyOf" not in source:
        return source
    choices = [choice for choice in source["anyOf"] if choice.get("type") != "null"]
    outer = {key: value for key, value in source.items() if key not in {"anyOf", "default"}}
    return {**choices[0], **outer} if len(choices) == 1 else {**outer, "anyOf": choices}


def _number_format(source: Schema) -> Schema:
    if source["type"] != "integer":
        return {}
    return {"format": "int32" if source.get("maximum", INT32_MAX + 1) <= INT32_MAX else "int64"}
