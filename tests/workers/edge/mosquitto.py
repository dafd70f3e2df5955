"""A real mosquitto for tests, on a free loopback port with a user, and a subscriber that remembers what it got."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.cluster.pki import Authority, Subject
from tests.cluster.system import find_tool
from tests.workers.edge.fakes import until
from tests.workers.edge.programs import free_port

USER, PASSWORD = "edge", "s3cret/@:#?%"


class Mosquitto:
    """One broker that may be stopped and started again; it keeps what it has on disk."""

    def __init__(self, folder: Path) -> None:
        self.port, self.tls_port = free_port(), free_port()
        self._folder = folder
        folder.mkdir()
        self.authority = Authority.create(folder / "pki", "broker-authority")
        pair = self.authority.issue("broker", Subject("broker", alternative_names=["IP:127.0.0.1"]))
        (folder / "acl").write_text(f"user {USER}\ntopic readwrite #\n")
        self.allow(USER, PASSWORD)
        (folder / "mosquitto.conf").write_text(
            f"per_listener_settings false\nuser root\nallow_anonymous false\npassword_file {folder}/passwords\n"
            f"acl_file {folder}/acl\npersistence true\npersistence_location {folder}/\nmax_queued_messages 100000\n"
            f"listener {self.port} 127.0.0.1\n"
            f"listener {self.tls_port} 127.0.0.1\ncertfile {pair.certificate}\nkeyfile {pair.key}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def allow(self, user: str, password: str) -> None:
        """Let this user in with this password, and nobody else."""
        tool = find_tool("mosquitto_passwd")
        assert tool, "mosquitto is installed without its password tool"
        file = self._folder / "passwords"
        subprocess.run([tool, "-b", "-c", str(file), user, password], check=True, capture_output=True)
        file.chmod(0o644)

    def permit(self, rules: str) -> None:
        """Replace the rules who may write what, before the start."""
        (self._folder / "acl").write_text(rules)

    def start(self) -> None:
        program = find_tool("mosquitto")
        assert program
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-c", str(self._folder / "mosquitto.conf")],
                env={**os.environ, "TMPDIR": str(self._folder.parent / "tmp")},
                stdout=log,
                stderr=log,
            )
        until(self._listens, f"mosquitto:\n{(self._folder / 'log').read_text()}")

    def stop(self) -> None:
        """End it as a machine that shuts down does; what it holds is written to disk."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def reload(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGHUP)

    def _listens(self) -> bool:
        assert self._process
        assert self._process.poll() is None, (self._folder / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Subscriber:
    """Subscribes to everything with a session that outlives a restart of the broker."""

    def __init__(self, port: int, name: str = "subscriber") -> None:
        self.messages: list[mqtt.MQTTMessage] = []
        self._subscribed = 0
        client = self._client = mqtt.Client(CallbackAPIVersion.VERSION2, name, clean_session=False)
        client.username_pw_set(USER, PASSWORD)
        client.reconnect_delay_set(0.05, 0.2)
        client.on_connect = lambda c, *_: c.subscribe("#", qos=1)
        client.on_subscribe = self._on_subscribe
        client.on_message = lambda _c, _u, message: self.messages.append(message)
        client.connect("127.0.0.1", port)
        client.loop_start()
        until(lambda: self._subscribed, "the subscription")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def of(self, ending: str) -> list[mqtt.MQTTMessage]:
        """Return what came to topics that end like this, in order."""
        return [message for message in self.messages if message.topic.endswith(ending)]

    def json_of(self, ending: str) -> list[dict[str, Any]]:
        return [json.loads(message.payload) for message in self.of(ending) if message.payload]

    def last(self, ending: str) -> bytes | None:
        found = self.of(ending)
        return bytes(found[-1].payload) if found else None

    def _on_subscribe(self, *_: object) -> None:
        self._subscribed += 1


@contextmanager
def brokers(folder: Path) -> Iterator[Callable[[], Mosquitto]]:
    """Make brokers that are ended with the test."""
    made: list[Mosquitto] = []

    def make() -> Mosquitto:
        made.append(Mosquitto(folder / f"mosquitto-{len(made)}"))
        return made[-1]

    try:
        yield make
    finally:
        for broker in made:
            broker.stop()
