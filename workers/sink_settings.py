"""What the edge worker reads about the sinks that send results away: MQTT and webhook."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from sedna_py.settings import Settings


class SinkSettings(Settings):
    """Where results are sent to besides files, and which of them. Without an address nothing is sent."""

    mqtt_url: str = Field(
        "",
        alias="MQTT_URL",
        description="mqtt://user@host:1883/prefix of an MQTT broker, mqtts:// with TLS; topics begin with the prefix,"
        " 'sedna' where there is none; unset: no MQTT",
    )
    mqtt_password: SecretStr | None = Field(
        None,
        alias="MQTT_PASSWORD",
        description="the password of the user in MQTT_URL, as it is; one that stands in the URL needs %2F for a slash and so on",
    )
    mqtt_ca_file: str | None = Field(
        None,
        alias="MQTT_CA_FILE",
        description="a PEM file of the authority that signed the broker's certificate; unset: the system's authorities",
    )
    mqtt_protocol: Literal["5", "3.1.1"] = Field(
        "5", alias="MQTT_PROTOCOL", description="5, or 3.1.1 for a broker that knows no other"
    )
    mqtt_interval_ms: int = Field(
        1000,
        alias="MQTT_INTERVAL_MS",
        ge=0,
        le=3_600_000,
        description="milliseconds between two results of a source in which the same objects are seen; others wait a tenth of"
        " it; 0 = every result",
    )
    mqtt_queue: int = Field(
        1000,
        alias="MQTT_QUEUE",
        ge=1,
        le=100_000,
        description="results that wait while the broker is away, at most; then the oldest are dropped",
    )
    mqtt_discovery: str = Field(
        "homeassistant",
        alias="MQTT_DISCOVERY_PREFIX",
        description="the topic prefix under which Home Assistant looks for devices; off = no discovery topics",
    )
    mqtt_snapshot: bool = Field(
        False,
        alias="MQTT_SNAPSHOT",
        description="true: each result is preceded by its picture with boxes, a JPEG at most 640 pixels wide or high",
    )
    webhook_url: str = Field(
        "",
        alias="WEBHOOK_URL",
        description="http(s)://host/path that results are posted to; unset: no webhook",
    )
    webhook_secret: SecretStr | None = Field(
        None,
        alias="WEBHOOK_SECRET",
        description="whsec_ and the base64 of 24 to 64 random bytes: requests are signed with it (Standard Webhooks)",
    )
    webhook_events: Literal["all", "hard", "corrections", "detections"] = Field(
        "detections",
        alias="WEBHOOK_EVENTS",
        description="all, hard (frames in doubt), corrections (what changes an answer given before), or detections (frames"
        " with objects)",
    )
    webhook_batch: int = Field(
        1,
        alias="WEBHOOK_BATCH",
        ge=1,
        le=1000,
        description="1 = a request for each result, its body an object; n = up to n results in one request, its body an array",
    )
    webhook_batch_ms: int = Field(
        1000,
        alias="WEBHOOK_BATCH_MS",
        ge=0,
        le=600_000,
        description="milliseconds that a result waits for others to fill such a request",
    )
    webhook_timeout_ms: int = Field(
        10_000,
        alias="WEBHOOK_TIMEOUT_MS",
        ge=1,
        le=600_000,
        description="milliseconds that one try of a request may take",
    )
    webhook_retries: int = Field(
        8,
        alias="WEBHOOK_RETRIES",
        ge=0,
        le=100,
        description="further tries of a request that met 429, a 5xx or no connection; 8 are spread over about three minutes",
    )
    webhook_queue: int = Field(
        1000,
        alias="WEBHOOK_QUEUE",
        ge=1,
        le=100_000,
        description="results that wait for their request, at most; then the oldest are dropped",
    )
