from __future__ import annotations

import math

import pytest

from sedna_py.local import formats


@pytest.mark.parametrize(
    ("share", "digits", "expected"),
    [
        (0.5, 0, "50 %"),
        (0.0, 0, "0 %"),
        (1.0, 0, "100 %"),
        (0.999, 0, "99.9 %"),
        (0.99999, 1, "99.9 %"),  # never all when it is not all
        (0.00001, 0, "0.1 %"),  # never nothing when it is something
        (0.1234, 1, "12.3 %"),
        (1.5, 0, "150 %"),
        (None, 0, "–"),
        (math.nan, 0, "–"),
    ],
)
def test_percent(share: float | None, digits: int, expected: str) -> None:
    assert formats.percent(share, digits).replace(formats.SPACE, " ") == expected


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (formats.number(1234567), "1 234 567"),
        (formats.number(None), "–"),
        (formats.milliseconds(3.14159), "3.1 ms"),
        (formats.milliseconds(1250.4), "1 250 ms"),
        (formats.milliseconds(None), "–"),
        (formats.kilobytes(0), "0 kB"),
        (formats.kilobytes(1550), "1.6 kB"),
        (formats.kilobytes(2_345_678), "2 346 kB"),
        (formats.causes({}), "none"),
        (formats.causes({"queue_full": 2, "overloaded": 1}), "queue full 2, overloaded 1"),
    ],
)
def test_figures_as_text(shown: str, expected: str) -> None:
    assert shown.replace(formats.SPACE, " ") == expected


def test_printable_takes_the_teeth_out() -> None:
    assert formats.printable("a\x1b[31m\n\u202e\ud800é") == "a\ufffd[31m \ufffd\ufffdé"
