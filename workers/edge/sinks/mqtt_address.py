"""MQTT_URL, taken apart and checked before anything is loaded. Pure but for a look at the CA file."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from sedna_py.errors import SettingsError
from sedna_py.settings import redact
from workers.sink_settings import SinkSettings

PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
DEFAULT_PREFIX: Final = "sedna"
TOPIC_PREFIX: Final = re.compile(r"[\w.-]+(?:/[\w.-]+)*")
FORM: Final = "mqtt://user@host:1883/prefix, or mqtts:// for TLS"


@dataclass(frozen=True, slots=True)
class MqttAddress:
    """A broker and the topics' prefix. `tls` None: plain TCP. `str` of it is safe to log."""

    host: str
    port: int
    prefix: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtt' if self.tls is None else 'mqtts'}://{host}:{self.port}"

    @classmethod
    def read(cls, settings: SinkSettings) -> MqttAddress:
        """Return what MQTT_URL, MQTT_PASSWORD and MQTT_CA_FILE say. Raises SettingsError without the password."""
        parts = _split(settings.mqtt_url)
        prefix = unquote(parts.path).strip("/") or DEFAULT_PREFIX
        if not TOPIC_PREFIX.fullmatch(prefix):
            raise SettingsError(
                f"MQTT_URL has the path {prefix!r}, which is no prefix for topics; write letters, digits, '-', '_', '.' and '/'"
            )
        user, password = _login(parts, settings)
        tls = _tls(settings.mqtt_ca_file) if parts.scheme == "mqtts" else None
        if tls is None and settings.mqtt_ca_file:
            raise SettingsError("MQTT_CA_FILE is set and MQTT_URL begins with mqtt://; write mqtts:// for TLS")
        return cls(parts.hostname or "", parts.port or PORTS[parts.scheme], prefix, user, password, tls)


def discovery_prefix(text: str) -> str:
    """Return MQTT_DISCOVERY_PREFIX, empty for off. Raises SettingsError for what is no topic."""
    prefix = text.strip("/")
    if prefix == "off":
        return ""
    if not TOPIC_PREFIX.fullmatch(prefix):
        raise SettingsError(f"MQTT_DISCOVERY_PREFIX is {text!r}; write a topic such as homeassistant, or off")
    return prefix


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
        host.encode("idna")
    except ValueError:  # a port that is no number is often the rest of a password: the error would show it
        raise SettingsError(_wrong(url)) from None
    if parts.scheme not in PORTS or not host or port == 0 or parts.query or parts.fragment or re.search(r"\s", url):
        raise SettingsError(_wrong(url))
    return parts


def _wrong(url: str) -> str:
    return (
        f"MQTT_URL is {redact(url)!r}; write {FORM}; in a password that stands there %2F for /, %3A for :, %40 for @,"
        " %23 for # and %3F for ?, or write the password as it is into MQTT_PASSWORD"
    )


def _login(parts: SplitResult, settings: SinkSettings) -> tuple[str | None, str | None]:
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    if settings.mqtt_password is not None:
        if password is not None:
            raise SettingsError("MQTT_URL has a password and MQTT_PASSWORD is set; write it into one of them")
        password = settings.mqtt_password.get_secret_value()
    if password is not None and user is None:
        raise SettingsError(f"MQTT_URL has no user for the password; write {FORM}")
    return user, password


def _tls(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or "it is not in PEM form"
        raise SettingsError(
            f"MQTT_CA_FILE is {ca_file!r}, which cannot be read: {reason}; write the path of a PEM file of certificates"
        ) from None
