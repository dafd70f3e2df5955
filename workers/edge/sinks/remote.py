"""Makes the sinks that send results away, from the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workers.edge.sinks.base import Sink
from workers.edge.sinks.event import Publisher
from workers.edge.sinks.mqtt import MqttOptions, MqttSink
from workers.edge.sinks.webhook import WebhookOptions, WebhookSink
from workers.settings import EdgeSettings


def prepare_remote_sinks(settings: EdgeSettings) -> list[Callable[[Sequence[str]], Sink]]:
    """Return what makes the sinks, given the model's labels. Raises SettingsError for an address that cannot be one."""
    made: list[Callable[[Sequence[str]], Sink]] = []
    if settings.mqtt_url:
        mqtt = MqttOptions.read(settings)
        made.append(lambda labels: MqttSink(mqtt, Publisher.of(settings, labels), named=bool(settings.worker_name)))
    if settings.webhook_url:
        webhook = WebhookOptions.read(settings)
        made.append(lambda labels: WebhookSink(webhook, Publisher.of(settings, labels)))
    return made
