"""Texts of nodes and containers made fit for a status."""

from __future__ import annotations

import pytest

from controller.status.wording import LAST_WORDS_BYTES, bounded, last_line, one_line, restarts


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("a\n\tb  \x1b[31mc", "a b [31mc"),
        ("GET http://me:s3cret@host/y.pb", "GET http://***@host/y.pb"),
        ("SECRET_ACCESS_KEY=abc123 and more", "SECRET_ACCESS_KEY=*** and more"),
        ('{"password": "hunter2", "user": "me"}', '{"password": ***", "user": "me"}'),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer ***"),
        ("?X-Amz-Signature=abc&x=1", "?X-Amz-Signature=***&x=1"),
        ('secret "mysecret" not found', 'secret "mysecret" not found'),
        ("exceeded quota: q, requested: secrets=1", "exceeded quota: q, requested: secrets=1"),
        ("may require authorization: server message", "may require authorization: server message"),
        ("2025-11-21T10:00:00.123Z ERROR x", "ERROR x"),
        ("[2025-11-21 10:00:00,123] ERROR x", "ERROR x"),
        ("object at 0x7f3a00ffee00", "object at ..."),
        ("back-off 2m40s restarting", "back-off restarting"),
    ],
)
def test_one_line(raw: str, text: str) -> None:
    assert one_line(raw) == text


def test_the_last_line_that_says_something_is_taken_and_cut() -> None:
    assert last_line("first\nlast\n\n  \n") == "last"
    assert last_line(" \n") == ""
    assert len(last_line("é" * 5000).encode()) <= LAST_WORDS_BYTES


@pytest.mark.parametrize("limit", [10, 11, 12, 13])
def test_texts_are_cut_between_characters(limit: int) -> None:
    cut = bounded("ééééééééé", limit)
    assert cut.endswith("é...")
    assert len(cut.encode()) <= limit


def test_a_cut_never_leaves_half_a_credential() -> None:
    for padding in range(16300, 16400):
        assert "s3cret" not in one_line("x" * padding + " http://me:s3cret@host/", limit=20000)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, ""),
        (1, ", restarted once"),
        (2, ", restarted twice"),
        (4, ", restarted 3 times or more"),
        (99, ", restarted 50 times or more"),
    ],
)
def test_restarts_are_told_in_bands(count: int, text: str) -> None:
    assert restarts(count) == text
