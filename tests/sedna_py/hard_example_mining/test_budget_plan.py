"""Budget and cap among a filter's parameters: found, checked, and out of the filter's own way."""

from __future__ import annotations

import pytest

from sedna_py.class_factory import ClassFactory, ClassType
from sedna_py.errors import FilterError
from sedna_py.hard_example_mining import (
    BUILTIN_FILTERS,
    BaseFilter,
    Decision,
    Parameter,
    ParameterProblem,
    check_parameters,
    make_filter,
    read_plan,
)
from sedna_py.hard_example_mining.budget_plan import NO_PLAN, BudgetPlan
from sedna_py.hard_example_mining.budget_text import parse_budget, parse_cap

SCORED = ["IBT", "CrossEntropy", "Threshold", "BertRouter"]
SCORELESS = ["Random", "CloudOnly", "EdgeOnly"]


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(ClassFactory, "_registry", {})


def test_every_filter_is_one_or_the_other():
    assert {name for name, found in BUILTIN_FILTERS.items() if found.SCORED} == set(SCORED)
    for name in SCORED:
        found = BUILTIN_FILTERS[name]
        assert found.THRESHOLD in {parameter.name for parameter in found.PARAMETERS}


@pytest.mark.parametrize("name", BUILTIN_FILTERS)
def test_without_them_there_is_no_plan(name):
    assert read_plan(name, {"threshold": "0.5"}) == NO_PLAN
    assert read_plan("NotHere", {"budget": "nonsense"}) == NO_PLAN


@pytest.mark.parametrize("name", SCORED)
def test_a_budget_for_every_filter_that_has_a_score(name):
    assert read_plan(name, {"budget": "20%"}) == BudgetPlan(parse_budget("20%"), None)
    assert read_plan(name, {"budget": "5 fps"}) == BudgetPlan(parse_budget("5 fps"), parse_cap("5 fps"))
    both = {"budget": "400 kbit/s", "cap": "500 kbit/s"}
    assert read_plan(name, both) == BudgetPlan(parse_budget("400 kbit/s"), parse_cap("500 kbit/s"))
    assert read_plan(name, {"budget": "20%", "cap": "5 fps"}).cap == parse_cap("5 fps")
    assert check_parameters(name, both) == []
    assert type(make_filter(name, both)) is BUILTIN_FILTERS[name]


@pytest.mark.parametrize("name", BUILTIN_FILTERS)
def test_a_cap_for_every_filter(name):
    assert read_plan(name, {"cap": "5 fps"}) == BudgetPlan(None, parse_cap("5 fps"))
    assert check_parameters(name, {"cap": "5 fps"}) == []


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("Random", "write a share as random_ratio, such as 0.2, and a rate as cap"),
        ("CloudOnly", "write a rate as cap, or the name of IBT, Threshold or CrossEntropy"),
        ("EdgeOnly", "it sends nothing; write the name of IBT, Threshold or CrossEntropy"),
    ],
)
def test_a_filter_without_a_score_says_what_to_write(name, instead):
    message = f"budget needs a filter with a score, and {name} has none; {instead}"
    assert check_parameters(name, {"budget": "20%"}) == [ParameterProblem("budget", message, fatal=True)]
    with pytest.raises(FilterError) as caught:
        read_plan(name, {"budget": "20%"})
    assert str(caught.value) == message


@pytest.mark.parametrize("key", ["budget", "cap"])
def test_a_bad_value_is_refused_alike_by_reading_and_checking(key):
    (problem,) = check_parameters("IBT", {key: "0.2"})
    assert problem.fatal
    assert problem.parameter == key
    with pytest.raises(FilterError) as caught:
        read_plan("IBT", {key: "0.2"})
    assert str(caught.value) == problem.message


def test_a_threshold_that_moves_is_a_warning():
    parameters = {"threshold_img": "0.9", "threshold_box": "0.9", "budget": "20%"}
    assert check_parameters("IBT", parameters) == [
        ParameterProblem(
            "threshold_img",
            "threshold_img is not used beside budget, which moves the threshold; leave one of the two out",
            fatal=False,
        )
    ]
    assert check_parameters("IBT", {"threshold_img": "0.9", "cap": "5 fps"}) == []


def test_a_filter_of_ones_own_does_not_see_them():
    seen = {}

    class Mine:
        def __init__(self, **parameters):
            seen.update(parameters)

        def __call__(self, infer_result=None):
            return True

    ClassFactory.register_cls(Mine, ClassType.HEM, "Mine")
    parameters = {"depth": "3", "budget": "20%", "cap": "5 fps"}
    make_filter("Mine", parameters)
    assert seen == {"depth": "3"}
    assert read_plan("Mine", parameters) == BudgetPlan(parse_budget("20%"), parse_cap("5 fps"))
    (problem,) = check_parameters("Mine", {"budget": "20"})
    assert problem.fatal


class Named(BaseFilter):
    def __init__(self, budget="", **_):
        self.budget = budget

    def __call__(self, infer_result=None):
        return Decision(False, "")


class Listed(BaseFilter):
    PARAMETERS = (Parameter("budget", str, "", "pounds"),)

    def __init__(self, **parameters):
        self.budget = parameters.get("budget")

    def __call__(self, infer_result=None):
        return Decision(False, "")


@pytest.mark.parametrize("own", [Named, Listed])
def test_a_filter_that_names_a_budget_of_its_own_keeps_it(own):
    ClassFactory.register_cls(own, ClassType.HEM, "Own")
    assert make_filter("Own", {"budget": "100 pounds"}).budget == "100 pounds"
    assert read_plan("Own", {"budget": "100 pounds", "cap": "5 fps"}) == BudgetPlan(None, parse_cap("5 fps"))
    assert check_parameters("Own", {"budget": "100 pounds"}) == []
