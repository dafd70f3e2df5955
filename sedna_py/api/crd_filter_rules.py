"""Rules for the parameters of the built-in filters, made from the tables that the filters themselves parse with.

A filter or a parameter that is not known here passes: the worker may know it, and upstream ignores the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sedna_py.api.crd_rule import Rule, pattern, text
from sedna_py.hard_example_mining import BUILTIN_FILTERS, Parameter

# So many digits, and no more, that no number overflows: an expression that fails has no message of its own.
_NUMBERS: Final = {
    float: (r"^\s*[+-]?([0-9]{1,40}[.]?[0-9]{0,40}|[.][0-9]{1,40})([eE][+-]?[0-9]{1,2})?\s*$", "double"),
    int: (r"^\s*[+-]?[0-9]{1,18}\s*$", "int"),
}


def filter_rules() -> Iterator[Rule]:
    """Yield a rule for each parameter of each built-in filter that not every text will do for."""
    for name, found in BUILTIN_FILTERS.items():
        for parameter in found.PARAMETERS:
            allowed = _allowed(parameter)
            if allowed is not None:
                yield _rule(name, parameter, allowed)


def _rule(filter_name: str, parameter: Parameter[Any], allowed: str) -> Rule:
    named = f"p.key == {text(parameter.name)}"
    return Rule(
        f"self.name != {text(filter_name)} || !has(self.parameters)"
        f" || self.parameters.all(p, !({named}) || ({allowed}))",
        message=f"{parameter.name} has a value that {filter_name} cannot use; write {parameter.expected}",
        field=".parameters",
    )


def _allowed(parameter: Parameter[Any]) -> str | None:
    """Return the expression that the text `p.value` must fulfil; None where every text will do."""
    if parameter.choices:
        return f"p.value in [{', '.join(text(choice) for choice in parameter.choices)}]"
    if parameter.kind not in _NUMBERS:
        return None
    form, kind = _NUMBERS[parameter.kind]
    number = f"{kind}(p.value.trim())"
    return " && ".join(
        [
            f"p.value.matches({pattern(form)})",
            *([f"{number} >= {parameter.minimum!r}"] if parameter.minimum is not None else []),
            *([f"{number} <= {parameter.maximum!r}"] if parameter.maximum is not None else []),
        ]
    )
