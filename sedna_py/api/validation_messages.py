"""What pydantic found, said in the words of the YAML: where it is, what is wrong and what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sedna_py.api.finding import Finding, Place, error
from sedna_py.api.schema_walk import describe
from sedna_py.api.wording import did_you_mean, near_miss, path_text, plain, show

_KEY_MARK: Final = "[key]"


def validation_findings(model: type[BaseModel], document: Mapping[Any, Any], failure: ValidationError) -> list[Finding]:
    """Return one error per problem, in the order of the fields."""
    return [_finding(model, document, details) for details in failure.errors(include_url=False)]


def _finding(model: type[BaseModel], document: Mapping[Any, Any], details: ErrorDetails) -> Finding:
    context = details.get("ctx") or {}
    place = tuple(part for part in details["loc"] if part != _KEY_MARK)
    if details["type"] == "missing":
        return error(place, _missing(model, document, place))
    if details["type"] == "sedna":
        return error((*place, *context["at"]), context["text"])
    wording = _WORDINGS.get(details["type"], _unforeseen)
    return error(place, wording(details, str(place[-1]) if place else "the document"))


def _missing(model: type[BaseModel], document: Mapping[Any, Any], place: Place) -> str:
    wanted = str(place[-1])
    slip = near_miss(wanted, _keys_beside(document, place), cutoff=0.8)
    if slip is not None:
        return f"is missing; write {wanted} in place of {path_text([slip])}"
    description = describe(model, place).rstrip(".")
    return (
        f"is missing; write it ({description[:1].lower()}{description[1:]})" if description else "is missing; write it"
    )


def _keys_beside(document: Any, place: Place) -> list[str]:
    parent = document
    for part in place[:-1]:
        parent = parent[part]
    return [key for key in parent if isinstance(key, str)] if isinstance(parent, Mapping) else []


def _not_text(details: ErrorDetails, leaf: str) -> str:
    value = details["input"]
    if isinstance(value, bool | int | float):
        return f'is {show(value)}, not text; write it in quotes: "{show(value)}"'
    return f"is {show(value)}; write text"


def _not_whole(details: ErrorDetails, leaf: str) -> str:
    value = details["input"]
    if isinstance(value, str) and value.isdecimal():
        return f"is {show(value)}, which is text; write it without quotes: {value[:20]}"
    return f"is {show(value)}; write a whole number"


def _not_a_choice(details: ErrorDetails, leaf: str) -> str:
    choices = details["ctx"]["expected"].replace("'", "")
    names = choices.replace(" or ", ", ").split(", ")
    value = details["input"]
    hint = did_you_mean(value, names) if isinstance(value, str) and len(names) > 1 else ""
    return f"is {show(value)}; write {choices}{hint}"


def _kind(wanted: str) -> Callable[[ErrorDetails, str], str]:
    return lambda details, leaf: f"is {show(details['input'])}; write {wanted}"


def _bound(relation: str, key: str) -> Callable[[ErrorDetails, str], str]:
    return lambda details, leaf: f"is {show(details['input'])}; write {leaf} {relation} {plain(details['ctx'][key])}"


def _unforeseen(details: ErrorDetails, leaf: str) -> str:
    # pydantic's own sentence, for error types that none of our models can raise today.
    return f"is {show(details['input'])}; {details['msg'][:1].lower()}{details['msg'][1:]}"


_WORDINGS: Final[Mapping[str, Callable[[ErrorDetails, str], str]]] = {
    "string_type": _not_text,
    "int_type": _not_whole,
    "int_from_float": _not_whole,
    "literal_error": _not_a_choice,
    "float_type": _kind("a number, without quotes"),
    "finite_number": _kind("a number that is finite"),
    "bool_type": _kind("true or false"),
    "list_type": _kind("a list, each item beginning with '- '"),
    "dict_type": _kind("a mapping, 'name: value' on each line"),
    "model_type": _kind("a mapping, 'name: value' on each line"),
    "too_short": lambda details, leaf: "is an empty list; write at least one item",
    "string_too_short": _kind("some text"),
    "greater_than_equal": _bound(">=", "ge"),
    "less_than_equal": _bound("<=", "le"),
    "invalid_key": lambda details, leaf: "is a name that is not text; write it in quotes",
}
