"""Results to an MQTT broker, with a status, a description and Home Assistant's discovery."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

import cv2

from sedna_py.decision_log import DecisionRecord, Emit, Path
from sedna_py.errors import MalformedBody
from sedna_py.hard_example_mining.recent_minute import RecentMinute
from sedna_py.protocol.causes import OffloadCause
from workers.edge.decision import FrameResult
from workers.edge.sinks.drawing import draw_boxes
from workers.edge.sinks.event import Publisher, as_json, count_by_class, event
from workers.edge.sinks.mqtt_address import MqttAddress, discovery_prefix
from workers.edge.sinks.mqtt_broker import Message, MqttBroker
from workers.edge.sinks.mqtt_topics import (
    OFFLINE,
    ONLINE,
    Topics,
    description,
    discovery,
    discovery_topic,
)
from workers.edge.sinks.outbox import Courier, Outbox, SinkCause, SinkFigures
from workers.edge.sinks.throttle import Throttle, is_correction
from workers.inference.image_codec import encode_jpeg
from workers.settings import EdgeSettings

LOG = logging.getLogger(__name__)
MOST_SOURCES: Final = 256  # that are described; results of more are published all the same
SNAPSHOT_SIDE: Final = 640  # pixels, of the longer side
SNAPSHOT_QUALITY: Final = 80
# Causes that say that the cloud, or the way to it, is not there; the others are the edge's own doing.
CLOUD_GONE: Final = frozenset(
    {
        OffloadCause.NO_CLOUD,
        OffloadCause.CIRCUIT_OPEN,
        OffloadCause.CONNECT_FAILED,
        OffloadCause.CONNECTION_LOST,
        OffloadCause.DEADLINE_EXCEEDED,
        OffloadCause.SERVER_ERROR,
    }
)


@dataclass(frozen=True, slots=True)
class MqttOptions:
    """What the settings say, checked."""

    address: MqttAddress
    discovery: str  # prefix; empty: none
    protocol: str
    interval_s: float
    queue: int
    snapshot: bool
    model: str

    @classmethod
    def read(cls, settings: EdgeSettings) -> MqttOptions:
        """Return the options. Raises SettingsError."""
        return cls(
            MqttAddress.read(settings),
            discovery_prefix(settings.mqtt_discovery),
            settings.mqtt_protocol,
            settings.mqtt_interval_ms / 1000,
            settings.mqtt_queue,
            settings.mqtt_snapshot,
            PurePath(settings.model_url).name,
        )


@dataclass(frozen=True, slots=True)
class Letter:
    """One result on its way to its topic."""

    topic: str
    payload: bytes
    snapshot: bytes | None = None
    snapshot_topic: str = ""

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return len(self.payload) + len(self.snapshot or b"")


@dataclass(slots=True)
class _Source:
    """What is known of a source: its last minute."""

    minute: RecentMinute = field(default_factory=RecentMinute)

    def note(self, record: DecisionRecord, now: float) -> float:
        """Count a frame, once; return the share of hard ones in the last minute."""
        if not is_correction(record):
            self.minute.add(now, frames=1, hard=record.hard)
        totals = self.minute.totals(now)
        return totals.hard / totals.frames if totals.frames else 0.0


class MqttSink:
    """Publishes results; `write` never waits for the broker. Each published result is confirmed by it, or counted as lost."""

    name = "mqtt"

    def __init__(self, options: MqttOptions, publisher: Publisher, *, named: bool = True) -> None:
        self._options = options
        self._publisher = publisher
        self._topics = Topics(options.address.prefix, publisher)
        self._throttle = Throttle(options.interval_s)
        self._sources: dict[str, _Source] = {}
        self._announced: tuple[str, ...] = ()  # replaced, never changed: two threads read it
        self._cloud_online: bool | None = None
        self._outbox: Outbox[Letter] = Outbox(self.name, options.queue)
        self._status = self._topics.of_worker("status")
        # The same name after a restart: the broker then announces the old connection's end before it lets the new one in.
        # Two unnamed workers with one name would push each other out for ever.
        client_id = f"sedna-{publisher.namespace}-{publisher.service}-{publisher.worker}"
        self._broker = MqttBroker(
            options.address,
            client_id=client_id if named else f"{client_id}-{secrets.token_hex(4)}",
            protocol=options.protocol,
            will=Message(self._status, OFFLINE, retain=True),
            greeting=self._greeting,
            failed=self._outbox.failed,
        )
        self._courier = Courier(self._outbox, self.name, self._deliver)
        self._broker.start()
        self._courier.start()

    def write(self, result: FrameResult) -> None:
        """Put the result into the queue, if it is one that subscribers get."""
        record, now = result.record, time.monotonic()
        hard_share = self._source(record.source).note(record, now)
        self._note_cloud(record)
        counts = count_by_class(record.result, self._publisher.labels)
        if not self._throttle.lets(record, counts, now):
            self._outbox.skip()
            return
        fields = event(
            record, self._publisher, counts, hard_share=round(hard_share, 4), cloud_online=self._cloud_online
        )
        topic = self._topics.of_source(record.source, "correction" if is_correction(record) else "result")
        snapshot = self._picture(result) if self._options.snapshot and record.emit is not Emit.LATE else None
        letter = Letter(topic, as_json(fields), snapshot, self._topics.of_source(record.source, "snapshot"))
        self._outbox.put(letter, letter.size)

    def close(self) -> None:
        """Publish what is inside, within a bound, say that this worker is offline, and disconnect."""
        self._courier.finish()
        gone = Message(self._topics.of_worker("description"), b"", retain=True)
        self._broker.close([Message(self._status, OFFLINE, retain=True), gone])

    def figures(self) -> SinkFigures:
        """Return what became of the results."""
        return self._outbox.figures(self._broker.connected)

    def _deliver(self, letters: Sequence[Letter]) -> None:
        for letter in letters:
            given_up = self._outbox.abandoned
            if letter.snapshot is not None:
                self._broker.send(Message(letter.snapshot_topic, letter.snapshot), given_up)
            self._broker.send(Message(letter.topic, letter.payload, settled=self._settled), given_up)

    def _settled(self, cause: SinkCause | None) -> None:
        if cause is None:
            self._outbox.sent()
        else:
            self._outbox.lost(cause)

    def _source(self, name: str) -> _Source:
        source = self._sources.get(name)
        if source is None:
            if len(self._sources) >= MOST_SOURCES:
                del self._sources[next(iter(self._sources))]
            source = self._sources[name] = _Source()
            if name not in self._announced and len(self._announced) < MOST_SOURCES:
                self._announced = (*self._announced, name)
                self._broker.publish([self._description(), *self._discovery([name])])
        return source

    def _greeting(self) -> Iterator[Message]:
        yield Message(self._status, ONLINE, retain=True)
        yield self._description()
        yield from self._discovery(self._announced)

    def _description(self) -> Message:
        text = description(self._topics, self._announced, self._options.model)
        return Message(self._topics.of_worker("description"), as_json(text), retain=True)

    def _discovery(self, sources: Sequence[str]) -> Iterator[Message]:
        prefix = self._options.discovery
        for source in sources if prefix else ():
            device = discovery(
                self._topics, source, interval_s=self._options.interval_s, snapshot=self._options.snapshot
            )
            yield Message(discovery_topic(prefix, self._publisher, source), as_json(device), retain=True)

    def _note_cloud(self, record: DecisionRecord) -> None:
        if record.path is Path.CLOUD:
            self._cloud_online = True
        elif record.cause in CLOUD_GONE:
            self._cloud_online = False

    def _picture(self, result: FrameResult) -> bytes | None:
        drawn = draw_boxes(result.frame.picture, result.record.result, self._publisher.labels)
        height, width = drawn.shape[:2]
        scale = SNAPSHOT_SIDE / max(height, width)
        if scale < 1:
            size = (max(round(width * scale), 1), max(round(height * scale), 1))
            drawn = cv2.resize(drawn, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]  # as in video.py
        try:
            return encode_jpeg(drawn, SNAPSHOT_QUALITY)
        except MalformedBody as error:
            LOG.warning("sink mqtt: no snapshot of frame %d: %s", result.record.frame, error)
            return None
