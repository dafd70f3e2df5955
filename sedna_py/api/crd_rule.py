"""One rule of a CRD: an expression in CEL that must hold, and the sentence that says what to write where it does not.

No function is used that Kubernetes 1.29 does not have, and none looks at the object as it was before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sedna_py.api.base import INT32_MAX
from sedna_py.api.wording import plain


@dataclass(frozen=True)
class Rule:
    """`message` says what to write; where that depends on the object, `message_expression`, an expression, says it.

    `field` names the field below, such as `.maxReplicas`, that is to blame.
    """

    expression: str
    message: str = ""
    message_expression: str = ""
    field: str = ""

    def as_schema(self) -> dict[str, Any]:
        """Return the entry of x-kubernetes-validations."""
        entry = {
            "rule": self.expression,
            "message": self.message,
            "messageExpression": self.message_expression,
            "fieldPath": self.field,
        }
        return {key: value for key, value in entry.items() if value}


def text(value: str) -> str:
    """Return the literal of a text."""
    # JSON's escapes are among those of CEL.
    return json.dumps(value, ensure_ascii=False)


def pattern(value: str) -> str:
    """Return the literal of a regular expression, which has no quotation mark in it."""
    return f"r'{value}'"


def bound_rules(name: str, schema: Mapping[str, Any]) -> Iterator[Rule]:
    """Yield the rules for the bounds of a JSON schema; `name` is the field's, for the messages.

    A number that is too large for its type is refused by the API server without a rule.
    """
    if schema.get("minimum", -INT32_MAX) > -INT32_MAX:
        yield Rule(f"self >= {_literal(schema, 'minimum')}", f"write {name} >= {plain(schema['minimum'])}")
    if schema.get("maximum", INT32_MAX) < INT32_MAX:
        yield Rule(f"self <= {_literal(schema, 'maximum')}", f"write {name} <= {plain(schema['maximum'])}")
    if schema.get("minLength") == 1:
        yield Rule("self != ''", "is empty; write some text")
    if schema.get("minItems") == 1:
        yield Rule("size(self) > 0", "is an empty list; write at least one item")


def _literal(schema: Mapping[str, Any], bound: str) -> str:
    """Return the bound in the type of the field: CEL compares a number with a fraction to nothing else."""
    return repr(float(schema[bound]) if schema["type"] == "number" else schema[bound])
