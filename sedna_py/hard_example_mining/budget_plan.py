"""Which of a filter's parameters are its budget and its cap, and what is wrong with them: pure."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sedna_py.errors import FilterError
from sedna_py.hard_example_mining.base import BaseFilter
from sedna_py.hard_example_mining.budget_text import Budget, Unit, parse_budget, parse_cap

BUDGET: Final = "budget"
CAP: Final = "cap"
_PARSERS: Final[Mapping[str, Callable[[object], Budget]]] = {BUDGET: parse_budget, CAP: parse_cap}


@dataclass(frozen=True, slots=True)
class BudgetPlan:
    """What a service may send: `budget` moves the filter's threshold, `cap` bounds every second. None: neither."""

    budget: Budget | None = None
    cap: Budget | None = None


NO_PLAN: Final = BudgetPlan()


def reserved(found: Any) -> tuple[str, ...]:
    """Return the parameters that are not the filter's: `budget` and `cap`, unless it names one itself."""
    return tuple(name for name in _PARSERS if name not in _named(found))


def plan(name: str, found: Any, parameters: Mapping[str, object]) -> BudgetPlan:
    """Return the plan in the parameters of the filter `found`. Raises FilterError with what to write instead.

    A budget that is a rate is its own cap, unless there is one.
    """
    for _, message in problems(name, found, parameters):
        raise FilterError(message)
    ours = {key: _PARSERS[key](parameters[key]) for key in reserved(found) if key in parameters}
    budget, cap = ours.get(BUDGET), ours.get(CAP)
    if cap is None and budget is not None and budget.unit is not Unit.SHARE:
        cap = budget
    return BudgetPlan(budget, cap)


def problems(name: str, found: Any, parameters: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield (parameter, message) for what keeps a budget or a cap from being used."""
    for key in reserved(found):
        if key in parameters:
            try:
                _PARSERS[key](parameters[key])
            except FilterError as error:
                yield key, str(error)
            else:
                if key == BUDGET and inspect.isclass(found) and issubclass(found, BaseFilter) and not found.SCORED:
                    yield key, f"budget needs a filter with a score, and {name} has none; {found.INSTEAD_OF_BUDGET}"


def replaced(found: Any, parameters: Mapping[str, object]) -> str | None:
    """Return the parameter that is of no use beside a budget, as the threshold moves; None if it is not there."""
    threshold = getattr(found, "THRESHOLD", "")
    return threshold if BUDGET in parameters and BUDGET in reserved(found) and threshold in parameters else None


def _named(found: Any) -> set[str]:
    table = {parameter.name for parameter in getattr(found, "PARAMETERS", ())}
    try:
        return table | set(inspect.signature(found).parameters)
    except (TypeError, ValueError):  # what has no signature, such as some classes written in C
        return table
