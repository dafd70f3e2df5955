"""A connection to an MQTT broker that is made again whenever it breaks, and what came of every message: around paho.

Every message has QoS 1: the broker confirms it, and what was not confirmed when the connection broke is sent again.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from workers.edge.sinks.mqtt_address import MqttAddress
from workers.edge.sinks.outbox import SinkCause

LOG = logging.getLogger(__name__)
WINDOW: Final = 16  # messages that the broker has not confirmed; paho and brokers allow 20 by default
KEEPALIVE_S: Final = 30  # a broker declares a silent client dead after one and a half times that
CONNECT_S: Final = 5.0
RETRY_S: Final = (1, 60)  # between two tries to connect: at first, doubled each time up to
LOGIN_REFUSED: Final = frozenset({0x86, 0x87})  # bad user name or password; not authorized
OTHER_VERSION: Final = 0x84
STOP_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Message:
    """What is published. `settled` is told once: None when the broker has it, else why it does not take it."""

    topic: str
    payload: bytes
    retain: bool = False
    settled: Callable[[SinkCause | None], None] = lambda _: None


class _Client(mqtt.Client):
    """paho's client, which tells nobody why it could not connect."""

    failure: tuple[SinkCause, str] = (SinkCause.UNREACHABLE, "")

    def reconnect(self) -> MQTTErrorCode:
        try:
            return super().reconnect()
        except OSError as error:  # itself it would keep the socket open
            tls = isinstance(error, ssl.SSLError)
            self.failure = (SinkCause.TLS_FAILED if tls else SinkCause.UNREACHABLE, str(error))
            raise


class MqttBroker:
    """`greeting` is published after every connection, `will` by the broker when this worker is gone without a word."""

    def __init__(
        self,
        address: MqttAddress,
        *,
        client_id: str,
        protocol: str,
        will: Message,
        greeting: Callable[[], Iterable[Message]],
        failed: Callable[[SinkCause], None],
    ) -> None:
        self._address = address
        self._greeting = greeting
        self._failed = failed
        self._said: SinkCause | None = None
        self._changed = threading.Condition()
        self._up = False
        self._ending = False
        self._window = WINDOW
        self._unconfirmed: dict[int, Message] = {}
        self._early: dict[int, SinkCause | None] = {}  # confirmed before `publish` had told us the message's number
        version = mqtt.MQTTv5 if protocol == "5" else mqtt.MQTTv311
        client = self._client = _Client(CallbackAPIVersion.VERSION2, client_id, protocol=version)
        client.username_pw_set(address.user, address.password)
        if address.tls is not None:
            client.tls_set_context(address.tls)
        client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        client.connect_timeout = CONNECT_S
        client.reconnect_delay_set(*RETRY_S)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_connect_fail, client.on_publish = self._on_connect_fail, self._on_publish

    @property
    def connected(self) -> bool:
        """Whether the broker has let this worker in."""
        return self._up

    def start(self) -> None:
        """Connect, in a thread of its own; a broker that is not there is tried again."""
        self._client.connect_async(self._address.host, self._address.port, KEEPALIVE_S)
        self._client.loop_start()

    def send(self, message: Message, given_up: threading.Event) -> bool:
        """Wait for a connection and for room among the unconfirmed, and publish; False when it is given up meanwhile."""
        with self._changed:
            while not self._up or len(self._unconfirmed) >= self._window:
                if given_up.is_set():
                    return False
                self._changed.wait(0.2)
        self._publish(message)
        return True

    def close(self, farewell: Iterable[Message], limit_s: float = STOP_S) -> None:
        """Publish the farewell if there is a connection, and end it; takes two times `limit_s` at most."""
        ends = time.monotonic() + limit_s
        self._ending = True
        if self._up:
            for message in farewell:
                self._publish(message)
            with self._changed:
                self._changed.wait_for(lambda: not self._unconfirmed or not self._up, ends - time.monotonic())
        self._client.disconnect()
        # paho would wait for its thread for ever, and that may be looking up a name.
        stopper = threading.Thread(target=self._client.loop_stop, name="sink mqtt stop", daemon=True)
        stopper.start()
        stopper.join(limit_s)

    def publish(self, messages: Iterable[Message]) -> None:
        """Publish what the next greeting says again: nothing is lost where there is no connection now."""
        if self._up:
            for message in messages:
                self._publish(message)

    def _publish(self, message: Message) -> None:
        # No lock of ours is held here: paho holds one of its own when it calls us back.
        info = self._client.publish(message.topic, message.payload, qos=1, retain=message.retain)
        with self._changed:
            if info.mid not in self._early:
                self._unconfirmed[info.mid] = message
                return
            cause = self._early.pop(info.mid)
        message.settled(cause)

    def _on_publish(
        self, client: mqtt.Client, userdata: object, mid: int, reason: ReasonCode, properties: Properties
    ) -> None:
        cause = SinkCause.REJECTED if reason.is_failure else None
        with self._changed:
            message = self._unconfirmed.pop(mid, None)
            if message is None:
                self._early[mid] = cause
            self._changed.notify_all()
        if cause is not None:
            self._note(cause, f"does not take a message: {reason}; let this user write below the prefix", again="")
        if message is not None:
            message.settled(cause)

    def _on_connect(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            if reason.value in LOGIN_REFUSED:
                self._note(
                    SinkCause.LOGIN_REFUSED,
                    f"refuses the login: {reason}; correct the user in MQTT_URL and MQTT_PASSWORD",
                )
            else:
                remedy = "; write MQTT_PROTOCOL=3.1.1" if reason.value == OTHER_VERSION else ""
                self._note(SinkCause.REJECTED, f"refuses the connection: {reason}{remedy}")
            return
        with self._changed:
            self._up = True
            self._window = min(WINDOW, getattr(properties, "ReceiveMaximum", WINDOW))
            self._changed.notify_all()
        LOG.info("sink mqtt: connected to %s", self._address)
        self._said = None
        for message in self._greeting():
            self._publish(message)

    def _on_connect_fail(self, client: mqtt.Client, userdata: object) -> None:
        cause, error = self._client.failure
        self._note(cause, f"cannot be reached: {error}")

    def _on_disconnect(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        with self._changed:
            was_up, self._up = self._up, False
            self._changed.notify_all()
        if was_up and not self._ending:
            self._note(SinkCause.CONNECTION_LOST, f"broke the connection off: {reason}")

    def _note(self, cause: SinkCause, what: str, again: str = f"; trying again, every {RETRY_S[1]} s at last") -> None:
        """Count a failure; a line in the log for the first of its kind only, until there is a connection again."""
        self._failed(cause)
        if cause is not self._said and not self._ending:
            self._said = cause
            LOG.warning("sink mqtt: %s %s%s", self._address, what, again)
