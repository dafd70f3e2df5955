"""YAML that is written is read as it was, by readers of any version of YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sedna_py.local.yaml_text import yaml_documents

AMBIGUOUS = [
    "",
    "yes",
    "null",
    "10:30",
    "2026-11-21",
    "1e3",
    "0o17",
    "0x1F",
    "-.5",
    "y",
    "N",
    "@",
    "a: b",
    "# no",
    "-m",
]
OTHERS = ["two\nlines\n", "\u00e9\u2028\U0001f600", "x" * 500, True, None, 1, 1.5, -0.25, [], {}, [[1], {"a": [{}]}]]


@pytest.mark.parametrize("value", [*AMBIGUOUS, *OTHERS])
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert list(yaml.safe_load_all(yaml_documents([{"key": value}]))) == [{"key": value}]


@pytest.mark.parametrize(
    ("value", "text"),
    [("1e3", '"1e3"'), ("0o17", '"0o17"'), ("y", '"y"'), ("100m", "100m"), ("2Gi", "2Gi"), ("-m", "-m"), ("$X", "$X")],
)
def test_text_that_another_reader_takes_for_something_else_is_quoted(value: str, text: str) -> None:
    assert yaml_documents([{"key": value}]) == f"---\nkey: {text}\n"


def test_documents_keep_their_order_and_share_nothing() -> None:
    shared = {"b": "1", "a": "2"}
    assert yaml_documents([{"x": shared, "c": shared}, {"d": shared}]) == (
        '---\nx:\n  b: "1"\n  a: "2"\nc:\n  b: "1"\n  a: "2"\n---\nd:\n  b: "1"\n  a: "2"\n'
    )


def test_no_documents_are_no_text() -> None:
    assert yaml_documents([]) == ""


def test_the_examples_of_the_tests_are_written_as_they_are_read() -> None:
    for path in (Path(__file__).parents[2] / "data" / "golden").glob("*.yaml"):
        assert yaml_documents(yaml.safe_load_all(path.read_text())) == path.read_text()
