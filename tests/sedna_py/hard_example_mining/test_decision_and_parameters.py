"""Decision as upstream's bool, parameter parsing, HEM_PARAMETERS, and numbers in reasons."""

import dataclasses

import numpy as np
import pytest

from sedna_py.errors import FilterError
from sedna_py.hard_example_mining import BaseFilter, Decision, Parameter, parameters_problem, parse_parameters
from sedna_py.hard_example_mining.wording import compare, number


@pytest.mark.parametrize("hard", [True, False])
def test_decision_stands_for_its_bool(hard):
    decision = Decision(hard, "because", 0.5)
    assert bool(decision) is hard
    assert decision == hard
    assert hard == decision
    assert decision != (not hard)
    assert decision == np.bool_(hard)
    assert hash(decision) == hash(hard)


def test_decisions_compare_by_all_their_fields():
    assert Decision(True, "a", 0.5) == Decision(True, "a", 0.5)
    assert Decision(True, "a", 0.5) != Decision(True, "b", 0.5)
    assert Decision(True, "a", 0.5) != Decision(True, "a", None)
    assert Decision(True, "a") != "a"
    with pytest.raises(dataclasses.FrozenInstanceError):
        Decision(True, "a").hard = False


@pytest.mark.parametrize(("value", "inside"), [(0, True), (1, True), ("0.5", True), (-0.01, False), (1.01, False)])
def test_data_check(value, inside):
    assert BaseFilter.data_check(value) is inside
    assert BaseFilter.data_check(float("nan")) is False


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        (Parameter("p", float, 0.5, "m", 0.0, 1.0), "a number from 0 to 1"),
        (Parameter("p", float, 0.5, "m"), "a number"),
        (Parameter("p", int, 5, "m", minimum=1), "a whole number of at least 1"),
        (Parameter("p", int, 5, "m", maximum=9), "a whole number of at most 9"),
        (Parameter("p", str, "", "m"), "text"),
        (Parameter("p", str, "a", "m", choices=("a", "b")), "a or b"),
    ],
)
def test_parameter_says_what_it_expects(parameter, expected):
    assert parameter.expected == expected


@pytest.mark.parametrize("value", [0.25, "0.25", np.float32(0.25), np.array(0.25)])
def test_parameter_parses_numbers_from_anywhere(value):
    parsed = Parameter("p", float, 0.5, "m", 0.0, 1.0).parse(value)
    assert (parsed, type(parsed)) == (0.25, float)


def test_long_wrong_value_is_cut():
    with pytest.raises(FilterError) as caught:
        Parameter("p", float, 0.5, "m").parse("x" * 1000)
    assert len(str(caught.value)) < 80


@pytest.mark.parametrize(
    ("text", "values", "problem"),
    [
        (None, {}, None),
        ("", {}, None),
        ("null", {}, None),
        ("[]", {}, None),
        ('[{"key":"threshold_img","value":"0.9"},{"key":"b","value":"x"}]', {"threshold_img": "0.9", "b": "x"}, None),
        ('[{"key":"a","value":"1"},{"key":"a","value":"2"}]', {"a": "2"}, None),
        ('[{"key":"a"}]', {"a": ""}, None),
        ('[{"key":"a","value":0.9},{"key":"b","value":true}]', {"a": "0.9", "b": "true"}, None),
        ('[{"value":"1"},{"key":"a","value":"2"}]', {"a": "2"}, "entries without a key"),
        ("[{", {}, "is not JSON"),
        ("threshold=0.5", {}, "is not JSON"),
        ('{"a": "1"}', {}, "not a list of objects"),
        ("[1, 2]", {}, "not a list of objects"),
        ("3", {}, "not a list of objects"),
        ("[" * 100_000, {}, "is not JSON"),
    ],
)
def test_hem_parameters(text, values, problem):
    assert parse_parameters(text) == values
    found = parameters_problem(text)
    assert found is None if problem is None else problem in found


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.50"), (0.0, "0.00"), (1.0, "1.00"), (0.905, "0.905"), (1 / 3, "0.333333")]
)
def test_number(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("left", "relation", "right", "text"),
    [
        (0.41, "<", 0.5, "0.41 < 0.50"),
        (0.4999, "<", 0.5, "0.4999 < 0.50"),
        (0.5, ">=", 0.5, "0.50 >= 0.50"),
        (0.5000001, ">=", 0.5, "0.5000001 >= 0.50"),
        (0.3, "<", 1 - 0.7, "0.3 < 0.30000000000000004"),
    ],
)
def test_comparison_is_true_as_written(left, relation, right, text):
    assert compare(left, relation, right) == text
