"""Fakes of the edge worker's seams, and what its tests share. A frame's number is written into every one of its pixels."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sedna_py.budgeted_filter import BudgetedFilter
from sedna_py.client.cloud_client import CloudReply
from sedna_py.client.failures import CloudFailure
from sedna_py.client.route import Route, RouteFigures
from sedna_py.client.send_cap import SendCap
from sedna_py.decision_log import DecisionRecord, closing, read_records
from sedna_py.decision_log import Path as AnswerPath
from sedna_py.errors import CloudUnavailable
from sedna_py.hard_example_mining import BaseFilter, Decision
from sedna_py.metrics import names
from sedna_py.protocol.causes import OffloadCause
from sedna_py.protocol.media_types import JPEG
from workers.edge.decision import FrameResult, Progress, conclude
from workers.edge.frames import BufferPolicy, FrameBuffer, SourceFrame
from workers.edge.metrics import EdgeMetrics
from workers.edge.motion import MotionGate
from workers.edge.offline_queue.queue import OfflineOptions, OfflineQueue
from workers.edge.offload import Offloader, OffloadOptions
from workers.edge.pipeline import EdgePipeline, PipelineOptions, frames_inside
from workers.edge.reader import FrameReader
from workers.edge.send_policy import SendPolicy
from workers.edge.wire_format import WireFormat

PATIENCE_S = 20.0  # the longest that any test waits for a condition


def until(condition: Callable[[], Any], what: str = "the condition", patience_s: float = PATIENCE_S) -> Any:
    """Return the condition's first true value; fail loudly if there is none in time."""
    limit = time.monotonic() + patience_s
    while not (value := condition()):
        assert time.monotonic() < limit, f"waited {patience_s} s in vain for {what}"
        time.sleep(0.005)
    return value


def log_of(path: Path) -> list[DecisionRecord]:
    """Return the records of a decision log that may still be growing."""
    return list(read_records(path.read_text().splitlines(keepends=True))) if path.exists() else []


def picture(number: int, shape: tuple[int, int, int] = (8, 12, 3)) -> np.ndarray:
    return np.full(shape, number % 256, np.uint8)


def number_of(shown: np.ndarray) -> int:
    return int(shown.flat[0])


def make_frame(number: int = 1, *, sequence: int = -1, shown: np.ndarray | None = None) -> SourceFrame:
    shown = picture(number) if shown is None else shown
    return SourceFrame(number, "fake", shown, 100.0, 1_700_000_000.0, sequence=sequence, taken=100.25, turn=sequence)


def make_result(number: int = 1, *, shown: np.ndarray | None = None, **progress: Any) -> FrameResult:
    """Return a concluded frame; `sequence` is its number from 0."""
    frame = make_frame(number, sequence=number - 1, shown=shown)
    return conclude(Progress(frame, **progress), filter_name="F", threshold=0.0, offloads_waiting=0, now=100.5)


class FakeSource:
    """Yields pictures 1..count; `raises` ends it with an error. `gate` lets frames out one permit each."""

    def __init__(
        self,
        count: int = 3,
        *,
        live: bool = False,
        raises: BaseException | None = None,
        gate: threading.Semaphore | None = None,
    ) -> None:
        self.name, self.live, self.fps, self.frames, self.outages = "fake", live, 0.0, count, 0
        self.endless, self.up, self.broken, self.captured_at = live, True, 0, 0.0
        self.closed = threading.Event()
        self.rounds = 0
        self._count, self._raises, self._gate = count, raises, gate

    def __iter__(self) -> Iterator[np.ndarray]:
        self.rounds += 1
        for number in range(1, self._count + 1):
            if self._gate is not None:
                self._gate.acquire()
            yield picture(number)
        if self._raises is not None:
            raise self._raises

    def close(self) -> None:
        self.closed.set()


def sure(_: np.ndarray) -> list[Any]:
    return [[0, 0, 4, 4, 0.9, 0]]


def unsure(_: np.ndarray) -> list[Any]:
    return [[0, 0, 4, 4, 0.1, 0]]


def unsure_of_even(shown: np.ndarray) -> list[Any]:
    return (sure if number_of(shown) % 2 else unsure)(shown)


class FakePredictor:
    """Answers by a function of the picture: in the caller's thread, or in `threads` of its own."""

    def __init__(self, answer: Callable[[np.ndarray], Any] = sure, *, threads: int = 0) -> None:
        self.labels = ["thing"]
        self.requests = self.streams = max(threads, 1)
        self.asked: list[int] = []
        self.closed = False
        self._answer = answer
        self._room = threading.Semaphore(max(threads, 1))
        self._pool = ThreadPoolExecutor(threads) if threads else None

    def submit(self, data: np.ndarray, answer: Callable[[Any], None]) -> None:
        assert not self.closed, "a frame for a closed model"
        self.asked.append(number_of(data))
        if self._pool is None:
            answer(self._result(data))
            return
        self._room.acquire()
        self._pool.submit(self._work, data, answer)

    def close(self) -> None:
        self.closed = True
        if self._pool is not None:
            self._pool.shutdown(wait=True)

    def _work(self, data: np.ndarray, answer: Callable[[Any], None]) -> None:
        self._room.release()
        answer(self._result(data))

    def _result(self, data: np.ndarray) -> Any:
        try:
            return self._answer(data)
        except Exception as error:
            return error


CLOUD_BOXES = [[1, 1, 5, 5, 0.99, 1]]


class FakeCloud:
    """Does for frame n what `script(n)` says: answers CLOUD_BOXES (None), fails with a cause, raises, or holds ('hold').

    Held requests wait for `release`, for `aclose`, or for their deadline; those held 'for ever' do not know theirs.
    `cap` is asked first, as the client does it.
    """

    def __init__(
        self,
        script: Callable[[int], OffloadCause | Exception | str | None] = lambda _: None,
        cap: SendCap | None = None,
    ) -> None:
        self._script = script
        self.cap = cap
        self._lock = threading.Lock()
        self._open = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self.refuses = False
        self.sleeps = False
        self.bodies: list[bytes] = []
        self.frames: list[int] = []  # that were asked about, in order, and how urgent they were
        self.urgent: list[bool] = []
        self.holding = 0
        self.most_at_once = 0
        self._at_once = 0

    async def predict(
        self, body: bytes, media_type: str, *, frame_id: str = "", deadline_s: float | None = None, urgent: bool = True
    ) -> CloudReply:
        assert media_type == "image/jpeg"
        self.frames.append(int(frame_id.rpartition("#")[2]))
        self.urgent.append(urgent)
        self._loop = asyncio.get_running_loop()
        passage = self.cap.take(len(body), time.monotonic()) if self.cap else None
        if isinstance(passage, OffloadCause):
            raise CloudUnavailable(passage, "as the cap says")
        self.bodies.append(body)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await self._follow(self._script(int(frame_id.rpartition("#")[2])), len(body), deadline_s)
        finally:
            self._at_once -= 1
            if passage is not None:
                passage.left(time.monotonic())

    async def _follow(self, what: Any, size: int, deadline_s: float | None) -> CloudReply:
        if isinstance(what, str) and not isinstance(what, OffloadCause):
            self.holding += 1
            try:
                async with asyncio.timeout(deadline_s if what == "hold" else None):
                    await self._open.wait()
            except TimeoutError:
                raise CloudUnavailable(OffloadCause.DEADLINE_EXCEEDED, "held for too long") from None
            finally:
                self.holding -= 1
            if self._closed:
                raise CloudUnavailable(OffloadCause.SHUTDOWN, "closed meanwhile")
            what = None
        if isinstance(what, OffloadCause):
            refused = what is OffloadCause.CIRCUIT_OPEN  # by the client itself: nothing was sent
            raise (CloudUnavailable if refused else CloudFailure)(what, "as the script says")
        if isinstance(what, Exception):
            raise what
        return CloudReply(CLOUD_BOXES, 0.004, {}, size)

    async def start(self) -> None: ...

    def figures(self) -> RouteFigures:
        return RouteFigures(Route.SERVICE, {}, {}, {})

    def would_refuse(self) -> bool:
        return self.refuses

    def asleep(self) -> bool:
        return self.sleeps

    def cap_is_full(self) -> bool:
        return self.cap is not None and self.cap.full(time.monotonic())

    def cap_has_spare(self, size: int) -> bool:
        return self.cap is None or self.cap.has_spare(size, time.monotonic())

    def release(self) -> None:
        """Let every request that is held, or will be, be answered."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._open.set)

    async def aclose(self) -> None:
        self._closed = True
        self._open.set()


class MemorySink:
    """Keeps the results; raises what `fails(n)` returns for frame n."""

    def __init__(self, fails: Callable[[int], BaseException | None] = lambda _: None, name: str = "memory") -> None:
        self.name = name
        self.results: list[FrameResult] = []
        self.closed = False
        self._fails = fails

    @property
    def records(self) -> list[DecisionRecord]:
        return [result.record for result in self.results]

    def write(self, result: FrameResult) -> None:
        error = self._fails(result.record.frame)
        if error is not None:
            raise error
        self.results.append(result)

    def close(self) -> None:
        self.closed = True


class DoubtFilter(BaseFilter):
    """Hard where the first box has a score under 0.5; with raw frames: where the picture's number is even."""

    def __call__(self, infer_result: Any = None) -> Decision:
        if isinstance(infer_result, np.ndarray):
            even = number_of(infer_result) % 2 == 0
            return Decision(even, "even" if even else "odd")
        score = infer_result[0][4] if infer_result else 0.0
        return Decision(score < 0.5, f"score {score}", score)


@dataclass
class Rig:
    """A whole pipeline of fakes; `run` it, or `start` it and look on."""

    source: FakeSource = field(default_factory=FakeSource)
    predictor: FakePredictor = field(default_factory=FakePredictor)
    cloud: FakeCloud | None = None
    filter: BaseFilter | None = field(default_factory=DoubtFilter)
    sinks: Sequence[Any] = ()
    mine_first: bool = False
    threshold: float = 0.0
    deadline_s: float = 30.0
    in_flight: int = 2
    waiting: int = 2
    when_full_wait: bool = False
    policy: BufferPolicy = BufferPolicy.WAIT
    capacity: int = 4
    encode: Callable[[np.ndarray], bytes] = lambda shown: bytes(number_of(shown) + 10)
    edge_first: bool = False
    offline: Path | None = None  # the offline queue's folder
    offline_bytes: int = 1 << 20
    offline_age_s: float = 1e12  # the fakes' frames were captured long ago
    worth: SendPolicy | None = None
    gate: MotionGate | None = None

    def __post_init__(self) -> None:
        self.sink = MemorySink()
        self.metrics = EdgeMetrics()
        options = OffloadOptions(self.in_flight, self.waiting, self.deadline_s, self.when_full_wait, start=1000)
        self.offloader = Offloader(self.cloud, WireFormat(JPEG, self.encode), options) if self.cloud else None
        most_out = frames_inside(self.predictor, self.in_flight + self.waiting)
        self.buffer = FrameBuffer(self.capacity, self.policy, most_out)
        self.reader = FrameReader(self.source, self.buffer, look=self.gate)
        self.pipeline = EdgePipeline(
            self.reader,
            self.predictor,
            self.offloader,
            [self.sink, *self.sinks],
            PipelineOptions(
                self.filter,
                "Doubt",
                self.mine_first,
                self.threshold,
                self.deadline_s,
                budget=self.filter if isinstance(self.filter, BudgetedFilter) else None,
                run="now",
                edge_first=self.edge_first,
                policy=self.worth,
            ),
            self.metrics,
            self._make_queue(),
        )
        self._thread: threading.Thread | None = None

    def _make_queue(self) -> OfflineQueue | None:
        self.queue = None
        if self.offline is not None:
            options = OfflineOptions(self.offline_bytes, self.offline_age_s, self.threshold)
            self.queue = OfflineQueue(self.offline, self.offloader, options)
            self.metrics.offline.watch(self.queue.figures)
        return self.queue

    def run(self) -> list[DecisionRecord]:
        """Run to the end; return the records in the order of their frames."""
        self.pipeline.run()
        return self.records

    def start(self) -> Rig:
        self._thread = threading.Thread(target=self.pipeline.run, name="pipeline", daemon=True)
        self._thread.start()
        return self

    def join(self) -> list[DecisionRecord]:
        """Wait for the end; return the records in the order of their frames."""
        assert self._thread is not None
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the pipeline did not end"
        return self.records

    @property
    def records(self) -> list[DecisionRecord]:
        return sorted(self.sink.records, key=lambda record: record.frame)

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def boom(shown):
    raise RuntimeError(f"cannot look at {number_of(shown)}")


def frames_of(records):
    return [record.frame for record in records]


def metrics_match(rig: Rig) -> None:
    """The counters tell the same as the records that close their frames, and those are one a frame."""
    records = closing(rig.records)
    assert len({(record.run, record.frame) for record in records}) == len(records) == rig.buffer.taken_in
    for path in AnswerPath:
        assert rig.metric(names.EDGE_FRAMES, path=path) == sum(r.path is path for r in records)
    for cause in OffloadCause:
        assert rig.metric(names.EDGE_OFFLOAD_FAILURES, cause=cause) == sum(r.cause is cause for r in records)
    assert rig.metric(names.EDGE_BYTES_SENT) == sum(r.bytes_sent for r in records)
    assert rig.pipeline.load.done == len(records)
    spared = OffloadCause.NEAR_DUPLICATE if rig.worth else None  # else the fake cloud says so
    assert rig.pipeline.load.asked == sum(r.hard and (r.cause is None or r.cause is not spared) for r in records)
    for stage in ("wait", "edge", "encode", "cloud", "total"):
        times = [getattr(r.latency_ms, stage) for r in records if getattr(r.latency_ms, stage) is not None]
        assert rig.metric(f"{names.EDGE_STAGE_SECONDS}_count", stage=stage) == len(times)
        assert rig.metric(f"{names.EDGE_STAGE_SECONDS}_sum", stage=stage) == pytest.approx(sum(times) / 1000)
