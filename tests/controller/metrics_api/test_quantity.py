"""How values are written."""

from __future__ import annotations

import pytest

from sedna_py.autoscaling.quantity import quantity_text, quantity_value


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
def test_values_are_whole_thousandths_the_nearest_one_and_never_nothing_for_something(value, text):
    assert quantity_text(value) == text
    assert quantity_value(text) == pytest.approx(value, abs=0.001)
