"""Filters by name: the built-in ones, and those that a user's script registered with ClassFactory."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from inspect import isclass
from types import MappingProxyType
from typing import Any

from sedna_py.class_factory import ClassFactory, ClassType
from sedna_py.errors import FilterError
from sedna_py.hard_example_mining.base import BaseFilter, Decision
from sedna_py.hard_example_mining.bert_router import BertRouterFilter
from sedna_py.hard_example_mining.budget_plan import NO_PLAN, BudgetPlan, plan, problems, replaced, reserved
from sedna_py.hard_example_mining.cross_entropy import CrossEntropyFilter
from sedna_py.hard_example_mining.fixed import CloudOnlyFilter, EdgeOnlyFilter
from sedna_py.hard_example_mining.ibt import IBTFilter
from sedna_py.hard_example_mining.parameter import Parameter
from sedna_py.hard_example_mining.random_sampling import RandomFilter
from sedna_py.hard_example_mining.threshold import ThresholdFilter

BUILTIN_FILTERS: Mapping[str, type[BaseFilter]] = MappingProxyType(
    {
        "IBT": IBTFilter,
        "CrossEntropy": CrossEntropyFilter,
        "Threshold": ThresholdFilter,
        "Random": RandomFilter,
        "CloudOnly": CloudOnlyFilter,
        "EdgeOnly": EdgeOnlyFilter,
        "BertRouter": BertRouterFilter,
    }
)


@dataclass(frozen=True, slots=True)
class ParameterProblem:
    """Something wrong with one parameter; a fatal one keeps the filter from being made."""

    parameter: str
    message: str
    fatal: bool


def known_filters() -> tuple[str, ...]:
    """Return the names of the built-in filters, then of the registered ones."""
    return ClassFactory.names(ClassType.HEM)


def make_filter(name: str, parameters: Mapping[str, object]) -> BaseFilter:
    """Make the filter of this name; unknown parameters are ignored, and so are a budget and a cap (see `read_plan`).

    Raises FilterError with what to write instead.
    """
    if not ClassFactory.is_exists(ClassType.HEM, name):
        names = known_filters()
        raise FilterError(f"unknown filter {name!r}; write one of {', '.join(names)}{_did_you_mean(name, names)}")
    try:
        made = _make(ClassFactory.get_cls(ClassType.HEM, name), parameters)
    except FilterError:
        raise
    except Exception as error:
        raise FilterError(f"filter {name} cannot be made: {type(error).__name__}: {error}") from error
    return made if isinstance(made, BaseFilter) else _Adapted(name, made)


def read_plan(name: str, parameters: Mapping[str, object]) -> BudgetPlan:
    """Return the budget and the cap among a filter's parameters; none for a filter that is not known here.

    Raises FilterError with what to write instead.
    """
    if not ClassFactory.is_exists(ClassType.HEM, name):
        return NO_PLAN
    return plan(name, ClassFactory.get_cls(ClassType.HEM, name), parameters)


def check_parameters(name: str, parameters: Mapping[str, object]) -> list[ParameterProblem]:
    """Return what is wrong with a filter's parameters, without making the filter.

    A filter that is not known here (the worker's script may register it) or declares no table has no problems.
    """
    if not ClassFactory.is_exists(ClassType.HEM, name):
        return []
    found = ClassFactory.get_cls(ClassType.HEM, name)
    ours = reserved(found)
    budgeting = [ParameterProblem(key, message, fatal=True) for key, message in problems(name, found, parameters)]
    unused = replaced(found, parameters)
    if unused is not None:
        said = f"{unused} is not used beside budget, which moves the threshold; leave one of the two out"
        budgeting.append(ParameterProblem(unused, said, fatal=False))
    declared = _declared_parameters(found)
    if declared is None:
        return budgeting
    table = {parameter.name: parameter for parameter in declared}
    checked = (_check(name, table, key, value) for key, value in parameters.items() if key not in ours)
    return [*(problem for problem in checked if problem is not None), *budgeting]


def decide(mining_filter: Callable[[Any], object], data: Any) -> Decision:
    """Ask a filter, and make a Decision of the plain bool that a user's filter returns.

    Raises FilterError where the answer is neither true nor false; whatever the filter raises itself passes.
    """
    answer = mining_filter(data)
    if isinstance(answer, Decision):
        return answer
    name = getattr(mining_filter, "__name__", type(mining_filter).__name__)
    try:
        hard = bool(answer)
    except (TypeError, ValueError) as error:
        raise FilterError(f"{name} returned {type(answer).__name__}; return True or False ({error})") from error
    return Decision(hard, f"{name} says {'hard' if hard else 'easy'}")


def _make(found: Any, parameters: Mapping[str, object]) -> Any:
    if found in BUILTIN_FILTERS.values():
        # A manifest must not reach what only code may give, such as a generator or a pipeline.
        declared = {parameter.name for parameter in found.PARAMETERS}
        return found(**{key: value for key, value in parameters.items() if key in declared})
    ours = reserved(found)
    return found(**{key: value for key, value in parameters.items() if key not in ours})


class _Adapted(BaseFilter):
    """A user's filter that is no BaseFilter: anything that can be called with the data."""

    def __init__(self, name: str, wrapped: object) -> None:
        if not callable(wrapped):
            raise FilterError(f"filter {name} cannot be called; give its class a method __call__(self, infer_result)")
        self.wrapped = wrapped

    def __call__(self, infer_result: Any = None) -> Decision:
        return decide(self.wrapped, infer_result)


def _declared_parameters(found: Any) -> tuple[Parameter[Any], ...] | None:
    # Not an inherited table: a subclass may read more than its base does.
    return vars(found).get("PARAMETERS") if isclass(found) and issubclass(found, BaseFilter) else None


def _check(name: str, table: Mapping[str, Parameter[Any]], key: str, value: object) -> ParameterProblem | None:
    if key not in table:
        known = f"its parameters are {', '.join(table)}" if table else "it has no parameters"
        return ParameterProblem(key, f"{name} ignores {key!r}; {known}{_did_you_mean(key, table)}", fatal=False)
    try:
        table[key].parse(value)
    except FilterError as error:
        return ParameterProblem(key, str(error), fatal=True)
    return None


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return f" (did you mean {by_lower[close[0]]}?)" if close else ""
