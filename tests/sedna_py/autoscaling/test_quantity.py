"""Quantities of Kubernetes as numbers, and back."""

from __future__ import annotations

import math

import pytest

from sedna_py.autoscaling.quantity import milli, quantity_text, quantity_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("700m", 0.7),
        ("1e3", 1000.0),
        ("2Ki", 2048.0),
        (5, 5.0),
        (0.5, 0.5),
        ("-.5", -0.5),
        ("1E", 1e18),
        ("3k", 3000.0),
    ],
)
def test_quantities_are_read(text: str | float, value: float) -> None:
    assert quantity_value(text) == value


def test_what_is_no_quantity_is_no_number() -> None:
    assert math.isnan(quantity_value("2GB"))
    with pytest.raises(ValueError, match="NaN"):
        milli("2GB")


@pytest.mark.parametrize(
    ("quantity", "thousandths"),
    [
        ("250m", 250),
        (1.5, 1500),
        ("1Gi", 1_073_741_824_000),
        ("100u", 1),
        (0.1, 100),
        (1e-7, 1),
        (1e16, 10**19),
        ("1e3", 10**6),
    ],
)
def test_thousandths_are_exact_and_rounded_up(quantity: float | str, thousandths: int) -> None:
    assert milli(quantity) == thousandths


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (0.7, "700m"), (70.0, "70"), (7.0000000001, "7"), (0.01, "10m"), (1e6, "1000000")]
)
def test_quantities_are_written_as_kubernetes_does(value: float, text: str) -> None:
    assert quantity_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (5, "5"),
        (0.1 + 0.2, "300m"),
        (5.0004, "5"),  # a hair more would be a sixth pod
        (1.2345, "1234m"),
        (2.5, "2500m"),
        (0.0001, "1m"),
        (1e15, "1000000000000000"),
    ],
)
def test_values_are_whole_thousandths_the_nearest_one_and_never_nothing_for_something(value: float, text: str) -> None:
    assert quantity_text(value) == text
    assert quantity_value(text) == pytest.approx(value, abs=0.001)
