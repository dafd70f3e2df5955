"""From a resource back to the document that it was read from."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


def as_written(part: BaseModel) -> dict[str, Any]:
    """Return what was written, in new dicts and lists, without the fields that were written as null.

    Null means absent to Kubernetes; a field that is applied as null would be owned without being there.
    """
    written: dict[str, Any] = _without_nulls(part.model_dump(by_alias=True, exclude_unset=True))
    return written


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
