"""What all models of the API share: strictness, camelCase names, and the scalar types of Kubernetes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from sedna_py.api.wording import show

T = TypeVar("T")

INT32_MAX: Final = 2**31 - 1
_QUANTITY: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?", re.ASCII)


class ApiModel(BaseModel):
    """A closed object: unknown fields are dropped, as the API server prunes them."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        strict=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )


class OpenModel(ApiModel):
    """An object of Kubernetes of which we use a part: everything else is kept as it was written."""

    model_config = ConfigDict(extra="allow")


def problem(message: str, at: Sequence[str | int] = ()) -> PydanticCustomError:
    """Make the error that a validator raises; `at` is the place below the field that is validated."""
    return PydanticCustomError("sedna", "{text}", {"text": message, "at": tuple(at)})


def refuse_duplicates(items: Sequence[T] | None, key: Callable[[T], str], field: str) -> None:
    """Raise for the first item whose key, written in `field`, was used by an item before it."""
    first: dict[str, int] = {}
    for index, item in enumerate(items or ()):
        seen = first.setdefault(key(item), index)
        if seen != index:
            raise problem(f"is {show(key(item))}, as in item [{seen}]; write each {field} once", (index, field))


def _checked_quantity(value: Any) -> Any:
    numeric = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if numeric or (isinstance(value, str) and _QUANTITY.fullmatch(value)):
        return value
    raise problem(f"is {show(value)}; write a quantity such as 500m, 2 or 2Gi")


Quantity = Annotated[int | float | str, BeforeValidator(_checked_quantity)]
"""An amount of a resource: a number, or text such as 500m or 2Gi."""

Int32 = Annotated[int, Field(ge=-INT32_MAX - 1, le=INT32_MAX)]
Positive = Annotated[int, Field(ge=1, le=INT32_MAX)]
Count = Annotated[int, Field(ge=0, le=INT32_MAX)]

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""A time as Kubernetes writes it, RFC 3339 in UTC."""


class KeyValue(ApiModel):
    """A name with its value, both of them text."""

    key: str = Field(description="Name.")
    value: str = Field(description="Value; always text, so numbers are written in quotes.")
