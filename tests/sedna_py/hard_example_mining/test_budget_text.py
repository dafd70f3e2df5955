"""How budgets and caps are written."""

from __future__ import annotations

import pytest

from sedna_py.errors import FilterError
from sedna_py.hard_example_mining.budget_text import Budget, Unit, parse_budget, parse_cap


@pytest.mark.parametrize(
    ("text", "amount", "unit", "shown"),
    [
        ("20%", 0.2, Unit.SHARE, "20 %"),
        (" 20 % ", 0.2, Unit.SHARE, "20 %"),
        ("0.5%", 0.005, Unit.SHARE, "0.5 %"),
        ("100%", 1.0, Unit.SHARE, "100 %"),
        ("5 fps", 5.0, Unit.FRAMES, "5 fps"),
        ("5 frames/s", 5.0, Unit.FRAMES, "5 fps"),
        (".25fps", 0.25, Unit.FRAMES, "0.25 fps"),
        ("500 kbit/s", 500.0, Unit.BITS, "500 kbit/s"),
        ("500KBIT/S", 500.0, Unit.BITS, "500 kbit/s"),
        ("1.5 Mbit/s", 1500.0, Unit.BITS, "1500 kbit/s"),
    ],
)
def test_what_can_be_written(text, amount, unit, shown):
    budget = parse_budget(text)
    assert budget.unit is unit
    assert budget.amount == pytest.approx(amount)
    assert str(budget) == shown
    if unit is not Unit.SHARE:
        assert parse_cap(text) == budget


EXAMPLES = "write a number with its unit, such as 20% (of the frames), 5 fps or 500 kbit/s"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0.2", f"budget is '0.2'; {EXAMPLES}"),  # of what?
        (0.2, f"budget is 0.2; {EXAMPLES}"),
        ("", f"budget is ''; {EXAMPLES}"),
        (None, f"budget is None; {EXAMPLES}"),
        ("-5 fps", f"budget is '-5 fps'; {EXAMPLES}"),
        ("1e3 kbit/s", f"budget is '1e3 kbit/s'; {EXAMPLES}"),
        ("nan %", f"budget is 'nan %'; {EXAMPLES}"),
        ("5 kB/s", f"budget is '5 kB/s'; {EXAMPLES}"),
        ("٢٠%", f"budget is '٢٠%'; {EXAMPLES}"),
        ("0 %", "budget is '0 %'; write more than 0, or the filter EdgeOnly to send nothing"),
        ("101 %", "budget is '101 %'; write at most 100 %"),
        ("5000 fps", "budget is '5000 fps'; write at most 1000 fps"),
        ("99999 Mbit/s", "budget is '99999 Mbit/s'; write at most 10000 Mbit/s"),
        ("9" * 99, f"budget is '{'9' * 39}; {EXAMPLES}"),
    ],
)
def test_what_cannot_says_what_to_write(value, message):
    with pytest.raises(FilterError) as caught:
        parse_budget(value)
    assert str(caught.value) == message


def test_a_cap_is_a_rate():
    with pytest.raises(FilterError, match="cap is '20%', a share, which bounds no second; write 5 fps or 500 kbit/s"):
        parse_cap("20%")
    with pytest.raises(FilterError, match="cap is 'much'; write a number with its unit, such as 5 fps or 500 kbit/s"):
        parse_cap("much")


def test_a_budget_is_a_value():
    assert Budget(0.2, Unit.SHARE) == Budget(0.2, Unit.SHARE)
