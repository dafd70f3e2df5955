"""The offline queue at work: one thread that encodes, writes, reads and sends what waits, so that no other thread has to."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from sedna_py.decision_log import DecisionRecord
from sedna_py.decision_log import Path as AnswerPath
from sedna_py.errors import MalformedBody, SettingsError
from sedna_py.estimator import Frame
from sedna_py.protocol.causes import OffloadCause
from workers.edge.decision import CloudAnswer, FrameResult
from workers.edge.offline_queue import folder as disk
from workers.edge.offline_queue.backlog import Backlog, Loss, Waiting, value
from workers.edge.offline_queue.folder import HeldFolder
from workers.edge.offline_queue.stored_frame import Stored, StoredFrame, late_record, unpack
from workers.edge.offload import Offloader
from workers.edge.packed import Packed

LOG = logging.getLogger(__name__)

# What a later try may mend. Not among them: what the cloud will never take, and what there is no cloud for.
MAY_PASS: Final = frozenset(
    {
        OffloadCause.QUEUE_FULL,
        OffloadCause.CIRCUIT_OPEN,
        OffloadCause.CLOUD_ASLEEP,
        OffloadCause.CONNECT_FAILED,
        OffloadCause.CONNECTION_LOST,
        OffloadCause.DEADLINE_EXCEEDED,
        OffloadCause.OVERLOADED,
        OffloadCause.SERVER_ERROR,
        OffloadCause.INVALID_REPLY,  # a proxy's page of a network that is half there
        OffloadCause.OVER_CAP,
        OffloadCause.SHUTDOWN,
    }
)
# Of those, the ones by which the cloud was not asked, or said itself that it has no time: nothing is known of this frame.
NOT_ITS_FAULT: Final = frozenset(
    {
        OffloadCause.QUEUE_FULL,
        OffloadCause.CIRCUIT_OPEN,
        OffloadCause.CLOUD_ASLEEP,
        OffloadCause.CONNECT_FAILED,
        OffloadCause.OVERLOADED,
        OffloadCause.OVER_CAP,
        OffloadCause.SHUTDOWN,
    }
)
MOST_OFFERED: Final = 8  # frames, as pictures in memory, that wait to be encoded and written
ENCODING_SHARE: Final = 0.25  # of one processor, for frames that were not encoded before: the frame loop needs the rest
MOST_REJECTIONS: Final = 4  # of a frame: a gateway that has lost its way to the cloud also says 404, for a while
AT_ONCE: Final = 2  # on their way to the cloud
LOOK_S: Final = 0.1  # between two looks for a place that live frames do not need
FIRST_PAUSE_S: Final = 0.25  # after a try that failed, then twice as long each time
LONGEST_PAUSE_S: Final = 5.0
CAP_PAUSE_S: Final = 0.1
TIDY_S: Final = 5.0  # between two looks for what is too old and for folders of dead workers
END_S: Final = 10.0
NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class OfflineOptions:
    """Bounds of what waits, and the display threshold for the answers."""

    max_bytes: int
    max_age_s: float
    threshold: float = 0.0


@dataclass(frozen=True, slots=True)
class OfflineFigures:
    """What waits now, and what became of the rest; `oldest` is a time of capture (epoch, s)."""

    frames: int = 0
    bytes: int = 0
    oldest: float | None = None
    stored: int = 0
    sent: int = 0
    lost: Mapping[Loss, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class _Offered:
    """A frame that is to be stored: `packed`, or the picture that has to be encoded first."""

    record: DecisionRecord
    packed: Packed | None
    picture: Frame | None

    def as_waiting(self, size: int, name: str = "") -> Waiting:
        return Waiting(name, self.record.score, self.record.captured, size)


class OfflineQueue:
    """Keeps hard frames that the cloud could not answer, and asks again when it can. `base` is shared by a node's workers.

    A frame leaves the disk after its late answer has been written by the sinks: one that was killed in between gives it twice.
    Raises OSError or SettingsError where `base` cannot be used.
    """

    def __init__(
        self,
        base: Path,
        offloader: Offloader,
        options: OfflineOptions,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._base = base
        self._offloader = offloader
        self._options = options
        self._clock = clock
        self._backlog = Backlog(options.max_bytes, options.max_age_s)
        self._own = HeldFolder.create(base)
        self._adopted: list[HeldFolder] = []
        self._deliver: Callable[[FrameResult], None] = lambda _: None
        self._changed = threading.Condition()
        self._offered: list[_Offered] = []
        self._answers: deque[tuple[Waiting, Stored, CloudAnswer]] = deque()
        self._delivered: deque[str] = deque()
        self._under_way: dict[str, Waiting] = {}
        self._in_vain: Counter[str] = Counter()  # bytes that were sent for a frame without an answer
        self._too_fast = 0
        self._closing = False
        self._closed = False
        self._encodes_at = 0.0
        self._sends_at = 0.0
        self._pause_s = FIRST_PAUSE_S
        self._tidies_at = 0.0
        self._size = 0  # of the last file
        self._disk_fails = False
        self._stored = self._sent = 0
        self._lost: Counter[Loss] = Counter()
        self._figures = OfflineFigures()
        self._tidy()
        self._publish()
        self._thread = threading.Thread(target=self._run, name="offline-queue", daemon=True)

    def start(self, deliver: Callable[[FrameResult], None]) -> None:
        """Begin; late answers are handed to `deliver`, and the queue wants to hear when they were `delivered`."""
        self._deliver = deliver
        self._thread.start()

    def offer(self, result: FrameResult) -> None:
        """Take a frame that has just been closed if it is worth it. Never waits: where too many come, the least uncertain go."""
        record = result.record
        if record.path is not AnswerPath.FALLBACK or record.cause not in MAY_PASS:
            return
        offered = _Offered(record, result.packed, None if result.packed is not None else result.frame.picture)
        with self._changed:
            if self._closing:
                return
            self._offered.append(offered)
            if len(self._offered) > MOST_OFFERED:
                self._offered.remove(max(self._offered, key=lambda one: value(one.as_waiting(0))))
                self._too_fast += 1
            self._changed.notify()

    def delivered(self, result: FrameResult) -> None:
        """Note that a late answer has been written."""
        assert isinstance(result.frame, StoredFrame)  # noqa: S101 - late answers have no other frame
        with self._changed:
            self._delivered.append(result.frame.name)
            self._changed.notify()

    def figures(self) -> OfflineFigures:
        """Return how it stands; from any thread."""
        return replace(self._figures, lost={**self._figures.lost, Loss.TOO_FAST: self._too_fast})

    def close(self) -> None:
        """Write what was offered, let go of the folders, end the thread; once is enough."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(END_S)
        elif not self._closed:
            self._let_go()

    def _run(self) -> None:
        try:
            while self._wait():
                self._step()
            for offered in sorted(self._offered, key=lambda one: value(one.as_waiting(0))):
                self._store(offered)
            self._forget_delivered()
        except BaseException:  # a thread has nobody to raise to; what waits on disk is adopted by the next worker
            LOG.exception("the offline queue has failed; hard frames are not kept any more")
            with self._changed:
                self._closing = True
        finally:
            self._publish()
            self._let_go()

    def _step(self) -> None:
        self._forget_delivered()
        self._take_answers()
        if (offered := self._next_offered()) is not None:
            self._store(offered)
        if time.monotonic() >= self._tidies_at:
            self._tidy()
        self._send()
        self._publish()

    def _wait(self) -> bool:
        """Wait until there is something to do; return whether to go on."""
        with self._changed:
            now = time.monotonic()
            limits = [self._tidies_at]
            if len(self._backlog) > len(self._under_way):
                limits.append(max(self._sends_at, now + LOOK_S) if len(self._under_way) < AT_ONCE else now + TIDY_S)
            if self._offered:
                limits.append(self._encodes_at)
            self._changed.wait_for(self._is_due, max(min(limits) - now, 0.0))
            return not self._closing

    def _is_due(self) -> bool:
        return bool(self._closing or self._answers or self._delivered or self._ready_to_store())

    def _ready_to_store(self) -> list[_Offered]:
        if time.monotonic() >= self._encodes_at:
            return self._offered
        return [offered for offered in self._offered if offered.packed is not None]

    def _next_offered(self) -> _Offered | None:
        with self._changed:
            ready = self._ready_to_store()
            if not ready:
                return None
            chosen = min(ready, key=lambda one: value(one.as_waiting(0)))
            self._offered.remove(chosen)
            return chosen

    def _store(self, offered: _Offered) -> None:
        if not self._backlog.would_keep(offered.as_waiting(self._size)):
            self._lost[Loss.EVICTED] += 1  # known before it is encoded: a full queue costs no work
            return
        packed = self._encode(offered)
        if packed is None:
            self._lost[Loss.ENCODE_FAILED] += 1
            return
        data = Stored(offered.record, self._offloader.packer.media_type, packed).pack()
        self._size = len(data)
        item = offered.as_waiting(len(data), self._own.new_name())
        given_up = self._backlog.add(item)
        # Before the new one is written: the bound holds at any time.
        self._drop([other for other in given_up if other is not item], Loss.EVICTED)
        if item in given_up:
            self._lost[Loss.EVICTED] += 1
            return
        try:
            disk.write(self._base, item.name, data)
        except OSError as error:
            self._backlog.remove(item)
            self._note_failure(error)
            return
        self._stored += 1
        if self._disk_fails:
            self._disk_fails = False
            LOG.info("the offline queue can write again")

    def _encode(self, offered: _Offered) -> Packed | None:
        if offered.packed is not None:
            return offered.packed
        assert offered.picture is not None  # noqa: S101 - it has one of them
        started = time.monotonic()
        try:
            return self._offloader.packer.pack(offered.picture)
        except Exception as error:  # noqa: BLE001 - whatever the codec raises, other frames can be encoded
            LOG.warning("frame %d cannot be encoded for the offline queue: %s", offered.record.frame, error)
            return None
        finally:
            ended = time.monotonic()
            self._encodes_at = ended + (ended - started) * (1 / ENCODING_SHARE - 1)

    def _note_failure(self, error: OSError) -> None:
        self._lost[Loss.DISK_FULL if error.errno in NO_ROOM else Loss.WRITE_FAILED] += 1
        if not self._disk_fails:  # a full disk fails with every frame; one line is enough
            self._disk_fails = True
            LOG.error("the offline queue cannot write: %s; hard frames are not kept until it can", error)

    def _send(self) -> None:
        while len(self._under_way) < AT_ONCE and time.monotonic() >= self._sends_at and self._offloader.has_spare():
            item = self._backlog.lend(self._clock())
            if item is None:
                return
            stored = self._read(item)
            if stored is None:
                self._drop([item], Loss.DAMAGED)
                continue
            self._under_way[item.name] = item
            frame_id = f"{stored.record.source}#{stored.record.frame}"
            self._offloader.submit_stored(
                stored.packed, stored.media_type, frame_id, partial(self._answered, item, stored)
            )

    def _read(self, item: Waiting) -> Stored | None:
        try:
            return unpack((self._base / item.name).read_bytes())
        except (OSError, MalformedBody, UnicodeDecodeError) as error:
            if not self._lost[Loss.DAMAGED]:  # on a dying disk there may be thousands
                LOG.warning("the offline queue's %s is damaged: %s", item.name, error)
            return None

    def _answered(self, item: Waiting, stored: Stored, answer: CloudAnswer) -> None:
        with self._changed:
            self._answers.append((item, stored, answer))
            self._changed.notify()

    def _take_answers(self) -> None:
        while self._answers:
            item, stored, answer = self._answers.popleft()
            self._in_vain[item.name] += answer.bytes_sent
            if answer.result is not None:
                self._pause_s = FIRST_PAUSE_S
                sent = self._in_vain.pop(item.name)
                record = late_record(stored, answer, self._options.threshold, self._clock(), sent)
                self._deliver(FrameResult(StoredFrame(stored, item.name), record))
                continue
            del self._under_way[item.name]
            self._hold_back(answer.cause)
            rejected = answer.cause is OffloadCause.REJECTED and self._backlog.tries(item) + 1 < MOST_REJECTIONS
            if answer.cause in MAY_PASS or rejected:
                self._backlog.give_back(item, self._clock(), tried=answer.cause not in NOT_ITS_FAULT)
            else:
                LOG.warning("frame %d of the offline queue is given up: %s", stored.record.frame, answer.cause)
                self._drop([item], Loss.REJECTED)

    def _hold_back(self, cause: OffloadCause | None) -> None:
        if cause is OffloadCause.OVER_CAP:
            self._sends_at = time.monotonic() + CAP_PAUSE_S
            return
        if cause is OffloadCause.CLOUD_ASLEEP:  # the client says when it may be asked again, and nothing is wrong
            self._sends_at = time.monotonic() + LOOK_S
            return
        self._sends_at = time.monotonic() + self._pause_s
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    def _forget_delivered(self) -> None:
        while self._delivered:
            item = self._under_way.pop(self._delivered.popleft())
            self._erase(item)
            self._sent += 1

    def _drop(self, items: list[Waiting], loss: Loss) -> None:
        for item in items:
            self._erase(item, known=loss is Loss.DAMAGED or loss is Loss.REJECTED)
            self._lost[loss] += 1

    def _erase(self, item: Waiting, *, known: bool = True) -> None:
        """Remove a frame from the disk, and from the index where that still has it."""
        if known:
            self._backlog.remove(item)
        self._in_vain.pop(item.name, None)
        try:
            (self._base / item.name).unlink(missing_ok=True)
        except OSError as error:
            LOG.warning("the offline queue cannot remove %s: %s", item.name, error)

    def _tidy(self) -> None:
        self._tidies_at = time.monotonic() + TIDY_S
        try:
            for held in disk.adopt(self._base, {self._own.path, *(other.path for other in self._adopted)}):
                self._adopted.append(held)
                self._take_over(held)
            self._release_empty()
        except (OSError, SettingsError) as error:
            LOG.warning("the offline queue cannot look after the folders of other workers: %s", error)
        self._drop(self._backlog.expire(self._clock()), Loss.EXPIRED)

    def _take_over(self, held: HeldFolder) -> None:
        count = 0
        for path, item in held.scan():
            if item is None:
                path.unlink(missing_ok=True)
                self._lost[Loss.DAMAGED] += 1
                continue
            count += 1
            self._drop(self._backlog.add(item), Loss.EVICTED)
        LOG.info("the offline queue has taken over %d frames of %s", count, held.path.name)

    def _release_empty(self) -> None:
        left = [held for held in self._adopted if any(held.path.iterdir())]
        for held in self._adopted:
            if held not in left:
                held.close()
        self._adopted = left

    def _let_go(self) -> None:
        self._closed = True
        for held in (self._own, *self._adopted):
            held.close()

    def _publish(self) -> None:
        backlog = self._backlog
        self._figures = OfflineFigures(
            len(backlog), backlog.bytes, backlog.oldest, self._stored, self._sent, dict(self._lost)
        )
