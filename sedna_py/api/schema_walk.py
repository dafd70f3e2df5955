"""Walk a document beside the models that describe it: what a field means, and which fields nobody reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sedna_py.api.finding import Finding, Place, warning
from sedna_py.api.wording import near_miss

# A field that Kubernetes has and we do not type must never look like a slip of one that we do.
_SLIP: Final = 0.85


def fields_by_alias(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a model under the names that they have in YAML."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def nested_model(annotation: Any) -> type[BaseModel] | None:
    """Return the model inside an annotation such as `list[Container] | None`, or None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := nested_model(part))), None)


def describe(model: type[BaseModel], place: Place) -> str:
    """Return the description of the field at a place of a document, or nothing where there is none."""
    current: type[BaseModel] | None = model
    field: FieldInfo | None = None
    for part in place:
        if isinstance(part, int):
            continue
        field = fields_by_alias(current).get(part) if current else None
        current = nested_model(field.annotation) if field else None
    return (field.description or "") if field else ""


def unknown_fields(model: type[BaseModel], value: Any, place: Place = ()) -> Iterator[Finding]:
    """Find the fields that the models do not know; inside pods only those that look like a slip of one they know."""
    if not isinstance(value, Mapping):
        return
    fields = fields_by_alias(model)
    for key, item in value.items():
        if isinstance(key, str):
            yield from _field_findings(model, fields, key, item, (*place, key))


def _field_findings(
    model: type[BaseModel], fields: Mapping[str, FieldInfo], key: str, value: Any, place: Place
) -> Iterator[Finding]:
    if key in fields:
        yield from _findings_below(fields[key], value, place)
        return
    kept = model.model_config.get("extra") == "allow"
    meant = near_miss(key, fields, _SLIP if kept else 0.6)
    if meant is not None:
        yield warning(place, f"is not a field that is read here; did you mean {meant}?")
    elif not kept:
        yield warning(place, "is not a field of this resource and is ignored; remove it")


def _findings_below(field: FieldInfo, value: Any, place: Place) -> Iterator[Finding]:
    below = nested_model(field.annotation)
    if below is None:
        return
    if not _is_list(field.annotation):
        yield from unknown_fields(below, value, place)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_fields(below, item, (*place, index))


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(_is_list(part) for part in get_args(annotation))
