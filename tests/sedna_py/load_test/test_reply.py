"""The reply reader, fed in every possible way."""

from __future__ import annotations

import pytest

from sedna_py.load_test.reply import MAX_HEAD_BYTES, MAX_KEPT_BYTES, BadReply, ReplyProblem, ReplyReader

LENGTH = b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length:  5 \r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 429 Too Many\r\nTransfer-Encoding: Chunked\r\n\r\n3;note=1\r\nhel\r\n02\r\nlo\r\n0\r\nTrailer: 1\r\n\r\n"
)
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + LENGTH
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
LAST = b"HTTP/1.1 503 X\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
OLD = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"
OLD_KEPT = b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\nhello"


def outcome(reader: ReplyReader) -> tuple[int, bool, bytes]:
    return reader.status, reader.keep, reader.body


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_a_reply_is_complete_with_its_last_byte_however_it_is_cut(step):
    expected = {
        LENGTH: (200, True, b""),
        CHUNKED: (429, True, b"hello"),
        CONTINUED: (200, True, b""),
        EMPTY: (204, True, b""),
        LAST: (503, False, b"hello"),
        OLD: (200, False, b""),
        OLD_KEPT: (200, True, b""),
    }
    reader = ReplyReader(100)
    for reply, wanted in expected.items():
        reader.begin()
        pieces = [reply[at : at + step] for at in range(0, len(reply), step)]
        assert [reader.feed(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True], reply
        assert outcome(reader) == wanted
        assert reader.size == len(reply)


def test_a_reply_without_a_length_ends_with_the_connection():
    reader = ReplyReader(100)
    assert not reader.at_end()
    assert not reader.feed(b"HTTP/1.1 500 Oops\r\n\r\nsorry")
    assert not reader.feed(b", sir")
    assert reader.at_end()
    assert outcome(reader) == (500, False, b"sorry, sir")


@pytest.mark.parametrize("reply", [LENGTH, CHUNKED])
def test_bytes_behind_a_reply_end_the_connection(reply):
    reader = ReplyReader(100)
    assert reader.feed(reply + b"HTTP/1.1 200 OK\r\n")
    assert not reader.keep


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-x\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 X\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 5000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD_BYTES,
    ],
)
def test_what_is_no_reply_is_called_so(garbage):
    with pytest.raises(BadReply) as raised:
        ReplyReader(100).feed(garbage)
    assert raised.value.problem is ReplyProblem.INVALID


@pytest.mark.parametrize(
    "reply",
    [
        b"Content-Length: 101\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n33\r\n" + b"x" * 51 + b"\r\n32\r\n",
        b"\r\n" + b"x" * 101,
    ],
)
def test_a_reply_over_the_limit_is_not_read_to_its_end(reply):
    with pytest.raises(BadReply) as raised:
        ReplyReader(100).feed(b"HTTP/1.1 200 OK\r\n" + reply)
    assert raised.value.problem is ReplyProblem.TOO_LARGE


def test_of_a_long_failure_no_more_is_kept_than_its_beginning():
    reader = ReplyReader(10**6)
    reader.feed(b"HTTP/1.1 500 X\r\nContent-Length: 100000\r\n\r\n")
    assert not reader.feed(b"x" * 99_999)
    assert reader.feed(b"x")
    assert reader.body == b"x" * MAX_KEPT_BYTES


def test_a_flood_of_interim_replies_is_no_recursion():
    reader = ReplyReader(100)
    assert reader.feed(b"HTTP/1.1 100 Continue\r\n\r\n" * 5000 + LENGTH)
