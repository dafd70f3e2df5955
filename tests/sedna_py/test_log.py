from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from sedna_py.errors import SettingsError
from sedna_py.log import LineFormatter, configure_logging

SECRET = "rtsp://user:secret@cam/1"


def record(
    message: str, *args: object, severity: int = logging.INFO, exc_info: Any = None, **extra: Any
) -> logging.LogRecord:
    made = logging.LogRecord("workers.edge", severity, "file.py", 1, message, args, exc_info)
    made.created = 1_795_248_000.1234
    vars(made).update(extra)
    return made


def as_text(*args: Any, **more: Any) -> str:
    return LineFormatter("edge-1", as_json=False).format(record(*args, **more))


def as_json(*args: Any, **more: Any) -> dict[str, Any]:
    line = LineFormatter("edge-1", as_json=True).format(record(*args, **more))
    assert "\n" not in line

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return dict(json.loads(line, parse_constant=refuse))


def failed() -> Any:
    try:
        raise ValueError(f"no stream at {SECRET}")
    except ValueError:
        return sys.exc_info()


def test_text() -> None:
    assert as_text("%d frames", 3) == "2026-11-21T08:00:00.123Z INFO edge-1 3 frames"
    extra = as_text("done", severity=logging.WARNING, frame=7, why=None)
    assert extra == "2026-11-21T08:00:00.123Z WARNING edge-1 done frame=7 why=None"


def test_json() -> None:
    assert as_json("%d frames", 3, frame=7, nested={"a": [1.5, True, None]}) == {
        "time": "2026-11-21T08:00:00.123Z",
        "level": "INFO",
        "worker": "edge-1",
        "message": "3 frames",
        "frame": 7,
        "nested": {"a": [1.5, True, None]},
    }


def test_passwords_are_in_neither_form() -> None:
    for line in (
        as_text(f"no {SECRET}", exc_info=failed(), source=SECRET),
        json.dumps(as_json("no %s", SECRET, exc_info=failed(), source=[SECRET, {SECRET: object}])),
    ):
        assert "secret" not in line
        assert line.count("rtsp://***@cam/1") >= 3


@pytest.mark.parametrize("text", ["one\ntwo", "one\r\ntwo", "one\ntwo\n"])
def test_a_message_keeps_to_its_line(text: str) -> None:
    assert as_text(text, note=text).endswith(r" edge-1 one\ntwo note=one\ntwo")
    assert as_json(text)["message"] == text


def test_a_traceback_follows_the_line() -> None:
    lines = as_text("it failed", exc_info=failed()).splitlines()
    assert lines[0].endswith("edge-1 it failed")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: no stream at rtsp://***@cam/1"
    assert as_json("it failed", exc_info=failed())["message"].splitlines()[-1] == lines[-1]


def test_json_says_what_it_can_of_any_value() -> None:
    said = as_json("x", odd={1: float("nan"), "inf": float("inf"), ("a", 2): {3}}, message_of=ValueError("v"))
    assert said["odd"] == {"1": "nan", "inf": "inf", "('a', 2)": "{3}"}
    assert said["message_of"] == "v"


def test_extra_fields_do_not_take_the_place_of_ours() -> None:
    said = as_json("x", worker="other", level="low", time="never")
    assert (said["worker"], said["level"], said["time"]) == ("edge-1", "INFO", "2026-11-21T08:00:00.123Z")


@pytest.fixture
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in ("httpx", "httpcore", "uvicorn", "asyncio")}
    root.handlers = []  # those of pytest; `force` would close them
    yield
    root.handlers, root.level = handlers, level
    logging.getLogger("httpx").manager._clear_cache()  # type: ignore[attr-defined]
    for name, earlier in levels.items():
        logging.getLogger(name).setLevel(earlier)


@pytest.mark.usefixtures("root_logger")
def test_configured_logging_writes_lines_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="info", worker="w")
    logging.getLogger("sedna_py.any").info("said")
    logging.getLogger("sedna_py.any").debug("not said")
    logging.getLogger("httpx").info("small talk")
    logging.getLogger("httpx").warning("not small")
    logging.info("small talk through the root")
    logging.warning("serious")
    configure_logging(level="DEBUG", worker="w2", as_json=True)
    logging.getLogger("sedna_py.any").debug("detail")
    captured = capsys.readouterr()
    *text, last = captured.err.splitlines()
    assert [line.split(" ", 1)[1] for line in text] == ["INFO w said", "WARNING w not small", "WARNING w serious"]
    assert json.loads(last)["message"] == "detail"
    assert captured.out == ""


@pytest.mark.usefixtures("root_logger")
def test_an_unknown_level_is_one_line() -> None:
    with pytest.raises(SettingsError, match=r"LOG_LEVEL is 'loud'; write DEBUG, INFO, WARNING, ERROR or CRITICAL"):
        configure_logging(level="loud", worker="w")
