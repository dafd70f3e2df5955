"""Filters by name, their parameters, and what a user's filter may be."""

import numpy as np
import pytest

from sedna_py.class_factory import ClassFactory, ClassType
from sedna_py.errors import FilterError
from sedna_py.hard_example_mining import (
    BUILTIN_FILTERS,
    BaseFilter,
    Decision,
    IBTFilter,
    Parameter,
    ParameterProblem,
    RandomFilter,
    check_parameters,
    decide,
    known_filters,
    make_filter,
)

BUILTIN = ("IBT", "CrossEntropy", "Threshold", "Random", "CloudOnly", "EdgeOnly", "BertRouter")


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(ClassFactory, "_registry", {})


@pytest.mark.parametrize("name", BUILTIN)
def test_builtin_filters_are_made_by_name(name):
    made = make_filter(name, {"unknown": "ignored", "self": "ignored"})
    assert type(made) is BUILTIN_FILTERS[name]
    assert known_filters() == BUILTIN


def test_parameters_reach_the_filter_as_numbers():
    made = make_filter("IBT", {"threshold_img": "0.9", "threshold_box": 0.25})
    assert isinstance(made, IBTFilter)
    assert (made.threshold_img, made.threshold_box) == (0.9, 0.25)


def test_manifest_cannot_replace_what_code_injects():
    assert make_filter("Random", {"random_ratio": "1", "rng": "text"})(None).hard


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("IBTT", " (did you mean IBT?)"),
        ("ibt", " (did you mean IBT?)"),
        ("cross-entropy", " (did you mean CrossEntropy?)"),
        ("zzz", "BertRouter"),
        ("", "BertRouter"),
    ],
)
def test_unknown_name_says_what_to_write(name, ending):
    with pytest.raises(FilterError) as caught:
        make_filter(name, {})
    assert str(caught.value).startswith(f"unknown filter {name!r}; write one of IBT, CrossEntropy, Threshold, Random")
    assert str(caught.value).endswith(ending)
    assert isinstance(caught.value, ValueError)


BAD_VALUES = [
    ("IBT", "threshold_img", "1.5", "threshold_img is 1.5; write a number from 0 to 1"),
    ("IBT", "threshold_img", -0.1, "threshold_img is -0.1; write a number from 0 to 1"),
    ("IBT", "threshold_box", "high", "threshold_box is 'high'; write a number from 0 to 1"),
    ("IBT", "threshold_box", "", "threshold_box is ''; write a number from 0 to 1"),
    ("Threshold", "threshold", None, "threshold is None; write a number from 0 to 1"),
    ("Threshold", "threshold", True, "threshold is True; write a number from 0 to 1"),
    ("Threshold", "threshold", "nan", "threshold is nan; write a number from 0 to 1"),
    ("CrossEntropy", "threshold_cross_entropy", "inf", "threshold_cross_entropy is inf; write a number from 0 to 1"),
    ("Random", "random_ratio", [1], "random_ratio is [1]; write a number from 0 to 1"),
    ("BertRouter", "max_length", "0", "max_length is 0; write a whole number of at least 1"),
    ("BertRouter", "max_length", "many", "max_length is 'many'; write a whole number of at least 1"),
    ("BertRouter", "model", None, "model is None; write text"),
    ("BertRouter", "task", "translation", "task is 'translation'; write text-classification"),
]


@pytest.mark.parametrize(("name", "parameter", "value", "message"), BAD_VALUES)
def test_bad_value_is_refused_alike_by_making_and_checking(name, parameter, value, message):
    with pytest.raises(FilterError) as caught:
        make_filter(name, {parameter: value})
    assert str(caught.value) == message
    assert check_parameters(name, {parameter: value}) == [ParameterProblem(parameter, message, fatal=True)]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("IBT", {"threshold_img": "0", "threshold_box": "1"}),
        ("IBT", {}),
        ("BertRouter", {"model": "routellm/bert", "threshold": "0.5", "max_length": "1", "device": "cpu"}),
        ("NotHere", {"anything": "at all"}),
    ],
)
def test_good_parameters_have_no_problems(name, parameters):
    assert check_parameters(name, parameters) == []


@pytest.mark.parametrize(
    ("name", "key", "message"),
    [
        (
            "IBT",
            "threshold_imgg",
            "IBT ignores 'threshold_imgg'; its parameters are threshold_img, threshold_box (did you mean threshold_img?)",
        ),
        ("CloudOnly", "threshold", "CloudOnly ignores 'threshold'; it has no parameters"),
        ("Random", "rng", "Random ignores 'rng'; its parameters are random_ratio"),
    ],
)
def test_unknown_parameter_is_reported_but_not_fatal(name, key, message):
    assert check_parameters(name, {key: "1"}) == [ParameterProblem(key, message, fatal=False)]


def test_all_problems_are_reported():
    problems = check_parameters("IBT", {"threshold_img": "2", "typo": "1", "threshold_box": "x"})
    assert [(problem.parameter, problem.fatal) for problem in problems] == [
        ("threshold_img", True),
        ("typo", False),
        ("threshold_box", True),
    ]


@pytest.mark.parametrize("name", BUILTIN)
def test_tables_agree_with_the_constructors(name):
    table = BUILTIN_FILTERS[name].PARAMETERS
    made = make_filter(name, {parameter.name: str(parameter.default) for parameter in table})
    assert [getattr(made, parameter.name) for parameter in table] == [parameter.default for parameter in table]
    assert all(parameter.meaning for parameter in table)


class Plain:
    """A filter as upstream's users write them: no base class, a plain bool."""

    def __init__(self, limit="0", **kwargs):
        self.limit = float(limit)

    def __call__(self, infer_result=None):
        return len(infer_result) > self.limit


def test_registered_class_is_found_made_and_not_checked():
    ClassFactory.register(ClassType.HEM, alias="Crowd")(Plain)
    crowd = make_filter("Crowd", {"limit": "2"})
    assert known_filters() == (*BUILTIN, "Crowd")
    assert isinstance(crowd, BaseFilter)
    assert crowd([1, 2, 3]) == Decision(True, "Plain says hard")
    assert crowd([1, 2]) == Decision(False, "Plain says easy")
    assert check_parameters("Crowd", {"limit": "not a number"}) == []


def test_registered_class_replaces_a_builtin_one_with_its_checks():
    class Mine(IBTFilter):
        pass

    ClassFactory.register_cls(Mine, ClassType.HEM, "IBT")
    assert type(make_filter("IBT", {})) is Mine
    assert check_parameters("IBT", {"threshold_img": "2"}) == []


def test_registered_class_may_declare_its_own_table():
    class Mine(BaseFilter):
        PARAMETERS = (Parameter("limit", int, 1, "boxes", maximum=9),)

        def __call__(self, infer_result=None):
            return Decision(False, "never")

    ClassFactory.register_cls(Mine, ClassType.HEM, "Mine")
    assert check_parameters("Mine", {"limit": "10"}) == [
        ParameterProblem("limit", "limit is 10; write a whole number of at most 9", fatal=True)
    ]


def test_failing_constructor_is_a_filter_error():
    ClassFactory.register_cls(Plain, ClassType.HEM, "Crowd")
    with pytest.raises(FilterError, match="filter Crowd cannot be made: ValueError: could not convert"):
        make_filter("Crowd", {"limit": "x"})


def test_what_cannot_be_called_is_no_filter():
    ClassFactory.register_cls(lambda: 3, ClassType.HEM, "Three")
    with pytest.raises(FilterError, match="filter Three cannot be called"):
        make_filter("Three", {})


@pytest.mark.parametrize(
    ("answer", "hard"),
    [(True, True), (False, False), (np.True_, True), (np.bool_(False), False), (None, False), (1, True)],
)
def test_decide_wraps_a_plain_answer(answer, hard):
    def oracle(data):
        return answer

    assert decide(oracle, []) == Decision(hard, f"oracle says {'hard' if hard else 'easy'}")


def test_decide_passes_a_decision_on():
    decision = Decision(True, "because", 0.25)
    assert decide(lambda data: decision, []) is decision


def test_decide_refuses_an_array():
    with pytest.raises(FilterError, match="returned ndarray; return True or False"):
        decide(lambda data: np.array([True, False]), [])


def test_decide_lets_the_filters_own_error_pass():
    with pytest.raises(ZeroDivisionError):
        decide(lambda data: 1 / 0, [])


def test_make_filter_gives_each_random_filter_its_own_generator():
    first, second = make_filter("Random", {}), make_filter("Random", {})
    assert isinstance(first, RandomFilter)
    assert isinstance(second, RandomFilter)
    assert first._rng is not second._rng
