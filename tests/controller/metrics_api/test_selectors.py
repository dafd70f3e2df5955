"""Label selectors as they stand in URLs."""

from __future__ import annotations

import pytest

from controller.metrics_api.selectors import MOST_BYTES, SelectorError, parse_selector

LABELS = {"app.sedna.io": "helmet-Cloud-svc", "tier": "gold", "size": "7"}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True),
        ("tier=gold", True),
        ("tier==gold", True),
        ("tier=silver", False),
        ("tier!=silver", True),
        ("other!=silver", True),
        ("other=silver", False),
        ("tier in (silver, gold)", True),
        ("tier in (silver)", False),
        ("tier notin (silver),size", True),
        ("other notin (a,b)", True),
        ("tier", True),
        ("other", False),
        ("!other", True),
        ("! tier", False),
        ("size>6,size<8", True),
        ("size>7", False),
        ("tier>1", False),
        ("other=", False),
        ("app.sedna.io=helmet-Cloud-svc,tier in (gold,silver),!going", True),
    ],
)
def test_what_is_selected(text, selected):
    assert parse_selector(text).selects(LABELS) is selected


def test_a_label_without_a_value_is_one():
    assert parse_selector("a=").selects({"a": ""})
    assert parse_selector("a in (,b)").selects({"a": ""})


@pytest.mark.parametrize(
    "text", ["a=b=c", "in (a)", "a in (b", "a b", ",", "a=b,", "=x", "a>x", "a=b)", "(a)", "a" * (MOST_BYTES + 1)]
)
def test_what_is_none_is_refused_with_what_to_write(text):
    with pytest.raises(SelectorError):
        parse_selector(text)
