"""The answer of a cloud worker that is scaled to zero."""

from __future__ import annotations

import json

import pytest

from sedna_py.protocol.asleep import STATUS, asleep_body, says_asleep

BODY = json.dumps(asleep_body("it wakes")).encode()


def test_it_is_known_by_its_status_and_its_cause_together():
    assert says_asleep(STATUS, BODY)
    assert not says_asleep(429, BODY)
    assert asleep_body("it wakes") == {"detail": "it wakes", "error": "it wakes", "cause": "cloud_asleep"}


@pytest.mark.parametrize(
    "body", [None, b"", b"asleep", b"[]", b'"cloud_asleep"', b'{"cause": "not_ready"}', b'{"cause": 1}', b"[" * 100_000]
)
def test_what_anybody_else_says_with_that_status_is_something_else(body):
    assert not says_asleep(STATUS, body)
