from __future__ import annotations

import asyncio
import os

import pytest

from sedna_py.local.output_lines import CUT, LINE_LIMIT, LineSplitter, follow_lines


def split(*chunks: bytes, limit: int = 8) -> list[str]:
    splitter = LineSplitter(limit)
    return [line for chunk in chunks for line in splitter.add(chunk)] + splitter.finish()


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([b""], []),
        ([b"one\ntwo\n"], ["one", "two"]),
        ([b"on", b"e", b"\n", b"\n", b"two"], ["one", "", "two"]),
        ([b"one\r\n"], ["one"]),
        ([b"1%\r50%\r99%\n"], ["9" + CUT]),  # cut before it is shortened
        ([b"1%\r9%\n"], ["9%"]),
        ([b"12345678\n"], ["12345678"]),
        ([b"123456789\nnext\n"], ["12345678" + CUT, "next"]),
        ([b"12345678", b"9", b"more" * 100, b"\nnext\n"], ["12345678" + CUT, "next"]),
        ([b"123456789", b"and no end"], ["12345678" + CUT]),
        ([b"\xff\xfe\n"], ["\ufffd\ufffd"]),
        (["ü\n".encode()[:1], "ü\n".encode()[1:]], ["ü"]),
    ],
)
def test_lines(chunks: list[bytes], expected: list[str]) -> None:
    assert split(*chunks) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_where_the_chunks_end_does_not_matter(size: int) -> None:
    text = b"one\ntwo two\nmuch longer than eight\n\nlast"
    chunks = [text[start : start + size] for start in range(0, len(text), size)]
    assert split(*chunks) == split(text) == ["one", "two two", "much lon" + CUT, "", "last"]


def test_memory_is_bounded() -> None:
    splitter = LineSplitter()
    lines = [line for _ in range(64) for line in splitter.add(b"x" * LINE_LIMIT)]
    assert [len(line) for line in lines] == [LINE_LIMIT + len(CUT)]
    assert splitter.finish() == []


def test_a_pipe_is_followed_to_its_end_and_closed() -> None:
    heard: list[str] = []

    async def run() -> int:
        output, inlet = os.pipe()
        following = asyncio.create_task(follow_lines(output, heard.append))
        await asyncio.to_thread(os.write, inlet, b"one\ntwo\nthr")
        os.write(inlet, b"ee")
        os.close(inlet)
        await following
        await asyncio.sleep(0)
        return output

    output = asyncio.run(run())
    assert heard == ["one", "two", "three"]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(output)
