"""Replicas of one edge worker in one process: real readers, real sockets and locks, a model that only counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tests.workers.edge.fakes import FakeSource, until
from workers.edge.frames import BufferPolicy, FrameBuffer, SourceFrame
from workers.edge.reader import SourceReaders
from workers.edge.sharing.capture import Capture
from workers.edge.sharing.directory import SharedDirectory
from workers.edge.sharing.exchange import Exchange, Place
from workers.edge.sharing.node_local import NodeLocal
from workers.edge.sharing.redis_exchange import RedisExchange, RedisQueue
from workers.edge.sharing.shared_reader import SharedReader
from workers.inference.image_codec import decode_image, encode_png

NAME = "shop.helmet-1"
MakeSource = Callable[[], FakeSource]


@dataclass(frozen=True)
class ExchangeAt:
    """Makes one more replica's end of what is at `where`: a directory's path, or the address of a Redis."""

    where: str
    patient: bool = False  # by Redis: nobody counts as dead because the machine is busy

    def __call__(self) -> Exchange:
        if self.where.startswith("redis:"):
            queue = redis_queue(self.where)
            return RedisExchange(replace(queue, alive_s=60.0, lease_s=60.0) if self.patient else queue)
        return NodeLocal(SharedDirectory(Path(self.where), NAME))


def redis_queue(url: str) -> RedisQueue:
    """Return a queue with times that tests can wait for."""
    return RedisQueue(url, NAME, encode_png, decode_image, alive_s=2.0, lease_s=1.0, timeout_s=0.5)


class Replica:
    """One replica: its reader, and a thread that works on its frames one after the other, `work_s` seconds each."""

    def __init__(
        self,
        exchange: Exchange,
        make_source: MakeSource,
        *,
        work_s: float = 0.0,
        capacity: int = 4,
        policy: BufferPolicy = BufferPolicy.WAIT,
        pace: float = 0.0,
        repeat: int = 1,
        prepare: bool = True,
    ) -> None:
        def capture(places: Mapping[str, Place]) -> Capture:
            source = make_source()
            buffer = FrameBuffer(capacity, policy, 1)
            return Capture(SourceReaders([source], buffer, pace=pace, repeat=repeat, start=places), [source.name])

        self.exchange = exchange
        self.reader = SharedReader(exchange, capture, ["fake"])
        self.reader.bound(2)
        self.frames: list[SourceFrame] = []
        self.may_work = threading.Event()
        self.may_work.set()
        self._work_s = work_s
        self._thread = threading.Thread(target=self._work)
        if prepare:
            self.reader.prepare()

    @property
    def numbers(self) -> list[int]:
        return [frame.number for frame in self.frames]

    def start(self) -> Replica:
        self.reader.start()
        self._thread.start()
        return self

    def end(self) -> None:
        """Wait until it has ended by itself."""
        self.reader.join(20)
        self._thread.join(20)
        assert not self.reader.is_alive()
        assert not self._thread.is_alive()

    def stop(self) -> None:
        self.reader.stop()
        self.may_work.set()
        self.end()

    def _work(self) -> None:
        while (frame := self.reader.buffer.get(5)) is not None:
            self.frames.append(frame)
            self.may_work.wait()
            time.sleep(self._work_s)
            self.reader.buffer.done()


def start_held(*replicas: Replica) -> None:
    """Start them, and wait until each has a frame, however late it came: each stops at its first until `go_on`."""
    for replica in replicas:
        replica.may_work.clear()
        replica.start()
    for replica in replicas:
        wait_frames(replica, 1)


def go_on(*replicas: Replica) -> None:
    for replica in replicas:
        replica.may_work.set()


def all_numbers(*replicas: Replica) -> list[int]:
    return sorted(number for replica in replicas for number in replica.numbers)


def wait_frames(replica: Replica, count: int) -> None:
    until(lambda: len(replica.frames) >= count, f"{count} frames")
