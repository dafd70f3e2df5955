"""Content types: what is accepted, and how."""

from __future__ import annotations

import pytest

from sedna_py.errors import UnsupportedMediaType
from sedna_py.protocol import media_types


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, media_types.JSON),
        ("", media_types.JSON),
        (" ; charset=utf-8", media_types.JSON),
        ("application/json", media_types.JSON),
        ("Application/JSON; charset=UTF-8", media_types.JSON),
        ("image/jpeg", media_types.JPEG),
        ("image/PNG;q=1", media_types.PNG),
        ("application/x-npy", media_types.NPY),
    ],
)
def test_parse_content_type(header, expected):
    assert media_types.parse_content_type(header) == expected


@pytest.mark.parametrize("header", ["text/html", "application/x-www-form-urlencoded", "image", "json", "x" * 10_000])
def test_unknown_types_are_refused_with_the_accepted_ones(header):
    with pytest.raises(UnsupportedMediaType) as caught:
        media_types.parse_content_type(header)
    assert all(accepted in str(caught.value) for accepted in media_types.ACCEPTED)
    assert len(str(caught.value)) < 300
