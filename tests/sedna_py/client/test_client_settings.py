"""Client settings: defaults, bounds, and a reason for each."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sedna_py.client.circuit_breaker import BreakerPolicy
from sedna_py.client.settings import ClientSettings


def test_defaults():
    settings = ClientSettings()
    assert (settings.connect_timeout_s, settings.deadline_s, settings.max_connections) == (1.0, 2.0, 8)
    assert settings.max_reply_bytes == 8_000_000
    assert settings.breaker_policy() == BreakerPolicy(5, 1.0, 2.0, 2.0, 5.0)
    assert settings.probe_timeout_s > settings.deadline_s


@pytest.mark.parametrize("name", list(ClientSettings.model_fields))
def test_every_field_says_unit_and_reason(name):
    assert (ClientSettings.model_fields[name].description or "").count(".") >= 2


@pytest.mark.parametrize(
    "values",
    [
        {"deadline_s": 0},
        {"deadline_s": float("inf")},
        {"connect_timeout_s": -1},
        {"max_connections": 0},
        {"failure_threshold": 0},
        {"backoff_factor": 0.5},
        {"cooldown_s": 3.0},
        {"max_reply_bytes": 0},
        {"retries": 3},
    ],
)
def test_unusable_values_are_refused(values):
    with pytest.raises(ValidationError):
        ClientSettings(**values)


def test_settings_are_frozen():
    with pytest.raises(ValidationError):
        ClientSettings().deadline_s = 3
