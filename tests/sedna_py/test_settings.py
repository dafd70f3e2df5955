from __future__ import annotations

from typing import Literal, Self

import pytest
from pydantic import Field, ValidationError, model_validator

from sedna_py.errors import SettingsError
from sedna_py.settings import Settings, redact


class Sample(Settings):
    url: str = Field(alias="video_url", description="a path or an rtsp:// address")
    port: int = Field(5000, alias="PORT", ge=1, le=65535, description="a port from 1 to 65535")
    mode: Literal["fast", "slow"] = Field("fast", alias="MODE", description="fast or slow")
    unwrap: bool = Field(False, alias="UNWRAP", description="true or false")


def test_defaults_and_values() -> None:
    sample = Sample.from_environment({"video_url": "a.mp4", "PORT": "80", "UNWRAP": "true", "OTHER": "x"})
    assert (sample.url, sample.port, sample.mode, sample.unwrap) == ("a.mp4", 80, "fast", True)


def test_an_empty_variable_counts_as_unset() -> None:
    assert Sample.from_environment({"video_url": "a", "PORT": "", "MODE": ""}) == Sample(video_url="a")
    with pytest.raises(SettingsError, match=r"^video_url is not set; write a path or an rtsp:// address$"):
        Sample.from_environment({"video_url": ""})


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({"VIDEO_URL": "big"}, "big"), ({"VIDEO_URL": "big", "video_url": "small"}, "small"),
     ({"VIDEO_URL": "big", "video_url": ""}, "big")],
)  # fmt: skip
def test_capitals_are_accepted_and_the_exact_name_wins(environment: dict[str, str], expected: str) -> None:
    assert Sample.from_environment(environment).url == expected


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "video_url is not set; write a path or an rtsp:// address"),
        (
            {"PORT": "70000"},
            "PORT is '70000': input should be less than or equal to 65535; write a port from 1 to 65535",
        ),
        ({"MODE": "quick"}, "MODE is 'quick': input should be 'fast' or 'slow'; write fast or slow"),
    ],
)
def test_messages_name_variable_value_and_what_to_write(environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Sample.from_environment({"video_url": "a"} | environment if environment else {})
    assert str(caught.value) == message


def test_every_problem_is_in_the_one_line() -> None:
    with pytest.raises(SettingsError) as caught:
        Sample.from_environment({"PORT": "x", "MODE": "y"})
    parts = str(caught.value).split("; write ")
    assert [part.split()[-2:] for part in parts[:1]] == [["not", "set"]]
    assert "PORT is 'x'" in str(caught.value)
    assert "MODE is 'y'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_passwords_of_urls_are_not_in_the_message() -> None:
    class Strict(Settings):
        address: int = Field(0, alias="ADDRESS", description="a number")

    with pytest.raises(SettingsError, match=r"ADDRESS is 'rtsp://\*\*\*@cam/1'"):
        Strict.from_environment({"ADDRESS": "rtsp://admin:secret@cam/1"})


def test_what_a_rule_over_several_variables_says_stands_alone() -> None:
    class Pair(Settings):
        low: int = Field(1, alias="LOW", description="a number")
        high: int = Field(2, alias="HIGH", description="a number")

        @model_validator(mode="after")
        def _ordered(self) -> Self:
            if self.low > self.high:
                raise ValueError("LOW is above HIGH; write it the other way round")
            return self

    with pytest.raises(SettingsError, match=r"^LOW is above HIGH; write it the other way round$"):
        Pair.from_environment({"LOW": "3"})


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Sample(video_url="a").port = 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rtsp://user:pass@cam:554/live", "rtsp://***@cam:554/live"),
        ("rtsp://user@cam/live", "rtsp://***@cam/live"),
        ("https://token@host", "https://***@host"),
        ("rtsp://:pass@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:p@ss@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:p/a/ss@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:p@s/s@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:pa#s?s@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:1234@cam:554/live", "rtsp://***@cam:554/live"),
        ("rtsp://user:123456/7@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:pa:ss@[fe80::1]:554/live", "rtsp://***@[fe80::1]:554/live"),
        ("rtsp://cam/live@2x", "rtsp://cam/live@2x"),
        ("rtsp://cam:554/live@2x", "rtsp://cam:554/live@2x"),
        ("http://[::1]:5000/a@b", "http://[::1]:5000/a@b"),
        ("http://host?mail=a@b", "http://host?mail=a@b"),
        (
            "rtsp://a:b@one/x rtsp://c:d@two/y,rtsp://e:f@three and ftp://four",
            "rtsp://***@one/x rtsp://***@two/y,rtsp://***@three and ftp://four",
        ),
        ("http://one,rtsp://u:p@two", "http://one,rtsp://***@two"),
        ("http://host:80 failed, mail me@home", "http://host:80 failed, mail me@home"),
        ("http://host: failed, mail me@home", "http://host: failed, mail me@home"),
        ("'rtsp://u:p@cam' cannot be opened", "'rtsp://***@cam' cannot be opened"),
        ("one\nrtsp://u:p@cam\ntwo@three", "one\nrtsp://***@cam\ntwo@three"),
        ("no address, but a@b and c:d@e", "no address, but a@b and c:d@e"),
        ("://", "://"),
        ("", ""),
    ],
)
def test_redact(text: str, expected: str) -> None:
    assert redact(text) == expected
    assert redact(expected) == expected


def test_redact_takes_time_in_proportion_to_the_text() -> None:
    hostile = "x://a:" * 20_000 + "b" * 100_000
    assert redact(hostile) == hostile
