"""Quantities of Kubernetes as numbers, and back."""

from __future__ import annotations

import math

import pytest

from sedna_py.autoscaling.quantity import quantity_text, quantity_value


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


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (0.7, "700m"), (70.0, "70"), (7.0000000001, "7"), (0.01, "10m"), (1e6, "1000000")]
)
def test_quantities_are_written_as_kubernetes_does(value: float, text: str) -> None:
    assert quantity_text(value) == text
