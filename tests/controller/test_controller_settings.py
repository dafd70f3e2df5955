"""The settings: defaults that work, and messages that name the variable and say what to write."""

from __future__ import annotations

import socket

import pytest

from controller.desired_state import Placement
from controller.settings import ControllerSettings
from sedna_py.errors import SettingsError


def read(**environment: str) -> ControllerSettings:
    return ControllerSettings.from_environment(environment)


def test_nothing_has_to_be_set() -> None:
    settings = read()
    assert settings.namespaces == ()
    assert settings.pod_name == socket.gethostname()
    assert settings.leader_election
    assert settings.placement == Placement()


@pytest.mark.parametrize(("text", "namespaces"), [("a", ("a",)), (" a, b ,,c,a", ("a", "b", "c")), (",", ()), ("", ())])
def test_namespaces_are_separated_by_commas(text: str, namespaces: tuple[str, ...]) -> None:
    assert read(WATCH_NAMESPACES=text).namespaces == namespaces


def test_images_and_addresses_reach_the_objects() -> None:
    settings = read(
        STORAGE_INITIALIZER_IMAGE="init:2", CONTROLLER_ADDRESS="http://c:1", EDGE_LC_SERVER="https://edge:2"
    )
    assert settings.placement == Placement("init:2", "http://c:1", "https://edge:2")


@pytest.mark.parametrize(("text", "level"), [("debug", "DEBUG"), ("Warning", "WARNING")])
def test_a_log_level_may_be_written_small(text: str, level: str) -> None:
    assert read(LOG_LEVEL=text).log_level == level


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("WATCH_NAMESPACES", "shop,Other", "'Other' cannot be a namespace; write namespaces to serve"),
        ("WATCH_NAMESPACES", "a/b", "'a/b' cannot be a namespace"),
        ("LEASE_DURATION_S", "3", "seconds without renewal"),
        ("LEASE_DURATION_S", "8.5", "seconds without renewal"),
        ("LEADER_ELECTION", "perhaps", "true, or false"),
        ("HTTP_PORT", "70000", "0 takes a free one"),
        ("CONCURRENT_RECONCILES", "0", "services handled at once"),
        ("API_TIMEOUT_S", "0", "seconds for one request"),
        ("API_TIMEOUT_S", "nan", "seconds for one request"),
        ("RESYNC_S", "inf", "seconds between two comparisons"),
        ("RESYNC_S", "nan", "seconds between two comparisons"),
        ("STATUS_INTERVAL_S", "-1", "least seconds"),
        ("REPORT_INTERVAL_S", "soon", "least seconds"),
        ("LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING or ERROR"),
        ("LOG_FORMAT", "xml", "text or json"),
        ("EDGE_LC_SERVER", "cloud:9100", "http://host:port"),
        ("CONTROLLER_ADDRESS", "ftp://me:word@cloud", "http://host:port"),
    ],
)
def test_a_wrong_value_is_named_with_what_to_write(name: str, value: str, advice: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(**{name: value})
    message = str(caught.value)
    assert message.startswith(f"{name} is '")
    assert advice in message
    assert "word" not in message
    assert "\n" not in message
