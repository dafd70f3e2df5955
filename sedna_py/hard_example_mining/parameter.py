"""One parameter of a filter: the table row from which parsing, range checks and messages come."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sedna_py.errors import FilterError

T = TypeVar("T", float, int, str)

_NOUNS = {float: "a number", int: "a whole number", str: "text"}
_LONGEST_SHOWN = 40  # characters of a wrong value repeated in a message


@dataclass(frozen=True, slots=True)
class Parameter(Generic[T]):
    """Name, kind, default and bounds (both inclusive) of a parameter, and what it means."""

    name: str
    kind: type[T]
    default: T
    meaning: str
    minimum: T | None = None
    maximum: T | None = None
    choices: tuple[T, ...] = ()

    @property
    def expected(self) -> str:
        """Say what to write, e.g. "a number from 0 to 1"."""
        if self.choices:
            return " or ".join(str(choice) for choice in self.choices)
        noun = _NOUNS[self.kind]
        if self.minimum is not None and self.maximum is not None:
            return f"{noun} from {_bound(self.minimum)} to {_bound(self.maximum)}"
        if self.minimum is not None:
            return f"{noun} of at least {_bound(self.minimum)}"
        return noun if self.maximum is None else f"{noun} of at most {_bound(self.maximum)}"

    def parse(self, value: object) -> T:
        """Return `value`, which may be text as in a manifest, as this parameter's kind.

        Raises FilterError with what to write instead.
        """
        parsed = self._convert(value)
        if parsed is None or not self._allows(parsed):
            shown = repr(value) if parsed is None or self.kind is str else str(value)
            raise FilterError(f"{self.name} is {shown[:_LONGEST_SHOWN]}; write {self.expected}")
        return parsed

    def _convert(self, value: Any) -> T | None:
        if value is None or isinstance(value, bool):
            return None
        try:
            return self.kind(value)
        except (TypeError, ValueError, OverflowError):
            return None

    def _allows(self, value: T) -> bool:
        if self.choices and value not in self.choices:
            return False
        if isinstance(value, float) and not math.isfinite(value):
            return False
        return (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)


def _bound(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
