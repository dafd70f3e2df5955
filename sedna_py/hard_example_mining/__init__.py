"""Hard-example mining: which of the edge's answers to doubt.

A filter is made by name with `make_filter`, asked with `decide`, and its parameters are checked beforehand
with `check_parameters`. `read_plan` finds the budget and the cap among them; `sedna_py.budgeted_filter` keeps the budget.
"""

from sedna_py.hard_example_mining.base import BaseFilter, Decision, Judges
from sedna_py.hard_example_mining.bert_router import BertRouterFilter
from sedna_py.hard_example_mining.cross_entropy import CrossEntropyFilter
from sedna_py.hard_example_mining.fixed import CloudOnlyFilter, EdgeOnlyFilter
from sedna_py.hard_example_mining.ibt import IBTFilter
from sedna_py.hard_example_mining.parameter import Parameter
from sedna_py.hard_example_mining.parameter_list import parameters_problem, parse_parameters
from sedna_py.hard_example_mining.random_sampling import RandomFilter
from sedna_py.hard_example_mining.registry import (
    BUILTIN_FILTERS,
    ParameterProblem,
    check_parameters,
    decide,
    known_filters,
    make_filter,
    read_plan,
)
from sedna_py.hard_example_mining.threshold import ThresholdFilter

__all__ = [
    "BUILTIN_FILTERS",
    "BaseFilter",
    "BertRouterFilter",
    "CloudOnlyFilter",
    "CrossEntropyFilter",
    "Decision",
    "EdgeOnlyFilter",
    "IBTFilter",
    "Judges",
    "Parameter",
    "ParameterProblem",
    "RandomFilter",
    "ThresholdFilter",
    "check_parameters",
    "decide",
    "known_filters",
    "make_filter",
    "parameters_problem",
    "parse_parameters",
    "read_plan",
]
