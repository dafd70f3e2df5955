"""Sharing between nodes: a Redis (6.2 or newer) for the lease, the places and the frames.

One capturer puts frames into a stream, and every replica, the capturer as well, takes from it as one consumer group, so that
Redis gives each entry to one of them, the one that has waited for the longest first. Nobody claims what another has been given:
a frame is never twice, and a replica that dies loses what it held. Keys, all of one service's sources in one hash slot:

    lease           who captures; renewed, gone soon after its holder
    state           hash: run, ended, and the place of each source; gone soon after the last replica
    alive:<token>   one a replica
    frames:<run>    the stream; an entry is deleted as it is taken and acknowledged when its frame has left the replica

The stream is capped by not putting more in than it may hold: frames wait in the capturer's fair buffer, whose policy and counters
are those of a worker by itself. Entries that are trimmed by MAXLEN would be lost without anybody knowing how many.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sedna_py.errors import MalformedBody, SettingsError
from sedna_py.estimator import Frame
from sedna_py.settings import redact
from workers.edge.frames import SourceFrame
from workers.edge.sharing import wire
from workers.edge.sharing.exchange import POLL_S, Ended, HandedOut, Place, Queue

LOG = logging.getLogger(__name__)
FRAMES_THERE: Final = 4  # in the stream and with nobody yet
LEASE_S: Final = 5.0  # without a sign of the capturer until another one takes over
ELECTION_S: Final = 0.5
SIGNS: Final = 8  # a sign of life, and of the lease, comes this often in its time
ALIVE_S: Final = (
    30.0  # without a sign of a replica until its frames count as lost, and of all until the run is forgotten
)
SUSPECT_S: Final = 10.0
FULL_PAUSE_S: Final = 0.002
TIMEOUT_S: Final = 3.0  # for an answer of Redis
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 1.0
GROUP: Final = "replicas"

# KEYS state, lease; ARGV token, a new run, milliseconds. Returns {begun, run}: the run goes on where there is one.
_BEGIN: Final = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {-1, ''} end
local run = redis.call('HGET', KEYS[1], 'run')
if run and redis.call('HGET', KEYS[1], 'ended') == '0' then return {0, run} end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'run', ARGV[2], 'ended', '0')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {1, ARGV[2]}
"""
# KEYS state, lease, stream; ARGV token, source's field, number, place, header, body, milliseconds.
# -1: another one captures; 0: it is there already, the answer was lost; 1: done.
_PUBLISH: Final = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return -1 end
local place = redis.call('HGET', KEYS[1], ARGV[2])
if place and tonumber(string.match(place, '^%d+')) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[4])
redis.call('XADD', KEYS[3], '*', 'h', ARGV[5], 'p', ARGV[6])
redis.call('PEXPIRE', KEYS[3], ARGV[7])
return 1
"""
# KEYS lease; ARGV token, milliseconds; 0 milliseconds give it back. Returns whether it was this replica's.
_RENEW: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
"""

Encode = Callable[[Frame], bytes]
Decode = Callable[[bytes], Frame]


@dataclass(slots=True)
class _Trouble:
    """Waits longer each time that Redis cannot be asked, and says so once."""

    where: str
    pause_s: float = FIRST_PAUSE_S
    away: bool = False

    def came(self, error: Exception) -> float:
        """Return how long to wait after this error."""
        if not self.away:
            self.away = True
            LOG.warning("%s cannot be used: %s; trying again until it can", self.where, redact(str(error)))
        pause, self.pause_s = self.pause_s, min(self.pause_s * 2, LONGEST_PAUSE_S)
        return pause

    def over(self) -> None:
        if self.away:
            LOG.info("%s can be used again", self.where)
        self.away, self.pause_s = False, FIRST_PAUSE_S


@dataclass(frozen=True, slots=True)
class RedisQueue:
    """Which Redis, whose sources (`name`), and what frames travel as."""

    url: str
    name: str
    encode: Encode
    decode: Decode
    alive_s: float = ALIVE_S
    lease_s: float = LEASE_S
    timeout_s: float = TIMEOUT_S

    def connect(self) -> redis.Redis:
        """Return a client that has not connected yet. Raises SettingsError for an address that cannot be."""
        try:
            return redis.Redis.from_url(
                self.url,
                socket_timeout=self.timeout_s,
                socket_connect_timeout=self.timeout_s,
                retry=Retry(NoBackoff(), 0),  # what may be asked twice is known here
            )
        except ValueError as error:
            raise SettingsError(
                f"FRAME_QUEUE is {redact(self.url)!r}: {redact(str(error))}; write redis://host:port/0 or rediss://..."
            ) from None

    def key(self, name: str) -> str:
        """Return the key of this name."""
        return f"sedna:{{{self.name}}}:{name}"


@dataclass(slots=True)
class _Held:
    """The entries that this replica was given and has not acknowledged, oldest first."""

    stream: str = ""
    ids: deque[bytes] = field(default_factory=deque)
    taken: int = 0  # of all streams

    def known(self, entry: bytes) -> bool:
        return entry in self.ids


class RedisExchange:
    """One replica's end of the Redis queue; all of it for one thread, but the lead that `try_lead` returns."""

    def __init__(self, queue: RedisQueue) -> None:
        self.handed_out = HandedOut()
        self.token = secrets.token_hex(8)
        self._queue = queue
        self._redis = queue.connect()
        self._trouble = _Trouble(f"FRAME_QUEUE {redact(queue.url)}")
        self._held = _Held()
        self._delete: deque[tuple[str, bytes]] = deque()
        self._acknowledged = 0
        self._left = 0
        self._run = ""
        self._suspects_until = self._looked_back = 0.0
        self._tried = self._signed = 0.0

    @property
    def away(self) -> bool:
        """Whether Redis could not be asked the last time."""
        return self._trouble.away

    def try_lead(self) -> RedisLead | Ended | None:
        """Become the capturer if there is none."""
        now = time.monotonic()
        if now - self._tried < ELECTION_S:
            return None
        self._tried = now
        try:
            return self._lead()
        except redis.RedisError as error:
            self._trouble.came(error)
            return None

    def take(self, timeout_s: float) -> SourceFrame | Ended | None:
        """Return a frame, the end, or None when neither comes in time."""
        try:
            got = self._take(timeout_s)
        except redis.RedisError as error:
            self._suspects_until = time.monotonic() + SUSPECT_S
            self._run = ""
            time.sleep(self._trouble.came(error))
            return None
        self._trouble.over()
        return got

    def finished(self, frames: int) -> None:
        """Tell how many of the frames that were taken have left this replica."""
        self._left = frames

    def leave(self, timeout_s: float) -> list[SourceFrame]:
        """Take no more: nothing is on its way that was not asked for."""
        return []

    def close(self) -> None:
        """Say goodbye and let go."""
        try:
            self._acknowledge()
            self._redis.delete(self._queue.key(f"alive:{self.token}"))
        except redis.RedisError as error:
            LOG.debug("no goodbye to Redis: %s", redact(str(error)))
        finally:
            self._redis.close()

    def _lead(self) -> RedisLead | Ended | None:
        key, lease_ms = self._queue.key, int(self._queue.lease_s * 1000)
        if not self._redis.set(key("lease"), self.token, nx=True, px=lease_ms):
            return None
        before = self._text("run")
        if before and before == self._run and self._text("ended") == "1":
            self._redis.eval(_RENEW, 1, key("lease"), self.token, "0")
            return Ended.ENDED if not self._redis.xlen(key(f"frames:{before}")) else None
        run = secrets.token_hex(8)
        begun: Any = self._redis.eval(
            _BEGIN, 2, key("state"), key("lease"), self.token, run, str(int(self._queue.alive_s * 1000))
        )
        if begun[0] == -1:
            return None
        run = begun[1].decode()
        return RedisLead(self._queue, self.token, run, self._places(), self.handed_out)

    def _places(self) -> dict[str, Place]:
        found: Any = self._redis.hgetall(self._queue.key("state"))
        return {
            name.decode().removeprefix("place:"): Place(*(int(part) for part in value.decode().split()))
            for name, value in found.items()
            if name.startswith(b"place:")
        }

    def _text(self, name: str) -> str:
        value: Any = self._redis.hget(self._queue.key("state"), name)
        return value.decode() if value else ""

    def _take(self, timeout_s: float) -> SourceFrame | Ended | None:
        self._give_sign()
        if not self._run and not self._join():
            time.sleep(timeout_s)
            return None
        self._acknowledge()
        stream = self._held.stream
        now = time.monotonic()
        if now < self._suspects_until and now - self._looked_back >= POLL_S:
            self._looked_back = now
            if (lost := self._answer_that_was_lost(stream)) is not None:
                return self._frame(stream, *lost)
        found: Any = self._redis.xreadgroup(GROUP, self.token, {stream: ">"}, count=1, block=int(timeout_s * 1000))
        entries = found[0][1] if isinstance(found, list) and found else []
        if entries:
            return self._frame(stream, *entries[0])
        return self._over()

    def _join(self) -> bool:
        """Find the run to take frames of; False while there is none."""
        run = self._text("run")
        if not run:
            return False
        stream = self._queue.key(f"frames:{run}")
        try:
            self._redis.xgroup_create(stream, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        if stream != self._held.stream:
            self._held.stream = stream
            self._held.ids.clear()
            self._acknowledged = self._held.taken
        self._run = run
        return True

    def _answer_that_was_lost(self, stream: str) -> tuple[bytes, dict[bytes, bytes]] | None:
        """Return an entry that was given to this replica in an answer that it never got.

        For a while after a broken connection: until Redis has noticed that too, it answers into it.
        """
        mine: Any = self._redis.xreadgroup(GROUP, self.token, {stream: "0"}, count=100)
        for entry, fields in mine[0][1] if mine else []:
            if not self._held.known(entry):
                if fields:
                    return entry, fields
                self._redis.xack(stream, GROUP, entry)
        return None

    def _frame(self, stream: str, entry: bytes, fields: dict[bytes, bytes]) -> SourceFrame | None:
        self._held.ids.append(entry)
        self._held.taken += 1
        try:
            values = wire.read_header(fields[b"h"])
            picture = self._queue.decode(fields[b"p"])
            # Another node's clock may be ahead; its monotonic one says nothing here.
            age = max(time.time() - float(values["captured_at"]), 0.0)
            frame = wire.frame_of(values, picture, time.monotonic() - age)
        except (MalformedBody, KeyError, ValueError, TypeError) as error:
            LOG.error("a frame of another replica cannot be read and is lost: %s", error)
            frame = None  # what never leaves here counts as lost once this replica has gone
        self._delete.append((stream, entry))
        try:
            self._delete_taken()
        except redis.RedisError as error:  # the frame is here all the same
            self._suspects_until = time.monotonic() + SUSPECT_S
            self._trouble.came(error)
        return frame

    def _delete_taken(self) -> None:
        """Make room in the stream for as many as were taken out of it."""
        while self._delete:
            stream, entry = self._delete[0]
            self._redis.xdel(stream, entry)
            self._delete.popleft()

    def _acknowledge(self) -> None:
        """Acknowledge as many entries as frames have left, the oldest first: how many are held is what counts."""
        self._delete_taken()
        count = min(self._left - self._acknowledged, len(self._held.ids))
        if count > 0:
            done = [self._held.ids[index] for index in range(count)]
            self._redis.xack(self._held.stream, GROUP, *done)
            for _ in done:
                self._held.ids.popleft()
            self._acknowledged += count

    def _give_sign(self) -> None:
        now = time.monotonic()
        if now - self._signed < self._queue.alive_s / SIGNS:
            return
        self._signed = now
        milliseconds = int(self._queue.alive_s * 1000)
        self._redis.set(self._queue.key(f"alive:{self.token}"), "1", px=milliseconds)
        if self._run and self._text("run") == self._run:
            self._redis.pexpire(self._queue.key("state"), milliseconds)
            self._redis.pexpire(self._held.stream, milliseconds)
        else:
            self._run = ""

    def _over(self) -> SourceFrame | Ended | None:
        """Return the end where it has come, or a last frame that nearly was not noticed."""
        stream = self._held.stream
        if self._text("ended") != "1" or self._text("run") != self._run:
            return None
        if self._suspects_until and (lost := self._answer_that_was_lost(stream)) is not None:
            return self._frame(stream, *lost)
        return None if self._redis.xlen(stream) else Ended.ENDED


class RedisLead:
    """One turn as capturer. It ends by itself where another one has taken over meanwhile."""

    def __init__(
        self, queue: RedisQueue, token: str, run: str, places: Mapping[str, Place], handed_out: HandedOut
    ) -> None:
        self.places = places
        self._queue = queue
        self._token = token
        self._run = run
        self._counts = handed_out
        self._redis = queue.connect()
        self._stream = queue.key(f"frames:{run}")
        self._trouble = _Trouble(f"FRAME_QUEUE {redact(queue.url)}")
        self._renewed = self._buried = time.monotonic()
        self._lost_lease = False

    def serve(self, queue: Queue) -> None:
        """Put frames into the stream until there are no more."""
        queue.begin()
        while not queue.finished and not self._lost_lease:
            self._keep()
            if not self._has_room():
                continue
            frame = queue.next(POLL_S)
            if frame is not None:
                self._publish(frame, queue)
        if self._lost_lease:
            LOG.warning("another replica captures now")

    def pass_over(self, source: str, place: Place) -> None:
        """Say that frames up to this one are not to be read again."""
        if self._lost_lease:
            return
        self._ask(lambda: self._redis.hset(self._queue.key("state"), f"place:{source}", _place_text(place)))

    def release(self, ended: bool) -> None:
        """Let another replica be the capturer; where that is the end of it, say so first."""
        key = self._queue.key
        if ended and not self._lost_lease:
            self._ask(lambda: self._redis.hset(key("state"), "ended", "1"))
        self._ask(lambda: self._redis.eval(_RENEW, 1, key("lease"), self._token, "0"))
        self._redis.close()

    def _keep(self) -> None:
        now = time.monotonic()
        if now - self._renewed >= self._queue.lease_s / SIGNS:
            self._renewed = now
            milliseconds = str(int(self._queue.lease_s * 1000))
            mine = self._ask(lambda: self._redis.eval(_RENEW, 1, self._queue.key("lease"), self._token, milliseconds))
            self._lost_lease = self._lost_lease or mine == 0
        if now - self._buried >= self._queue.alive_s / SIGNS:
            self._buried = now
            self._ask(self._keep_run)
            self._ask(self._bury)

    def _keep_run(self) -> None:
        """Let the run live while this thread does: the one that takes frames may be waiting for a slow model."""
        milliseconds = int(self._queue.alive_s * 1000)
        self._redis.pexpire(self._queue.key("state"), milliseconds)
        self._redis.pexpire(self._stream, milliseconds)

    def _has_room(self) -> bool:
        there = self._ask(lambda: self._redis.xlen(self._stream))
        if there is None:
            return False
        if there >= FRAMES_THERE:
            time.sleep(FULL_PAUSE_S)
        return bool(there < FRAMES_THERE)

    def _publish(self, frame: SourceFrame, queue: Queue) -> None:
        place = Place.of(frame)
        head = wire.header(frame, self._run, "", captured=False)
        body = self._queue.encode(frame.picture)
        keys = [self._queue.key("state"), self._queue.key("lease"), self._stream]
        values: list[Any] = [self._token, f"place:{frame.source}", frame.number, _place_text(place), head, body]
        while True:
            done = self._ask(
                lambda: self._redis.eval(_PUBLISH, 3, *keys, *values, str(int(self._queue.alive_s * 1000)))
            )
            if done == -1:
                self._lost_lease = True
            if done is not None and done >= 0:
                self._counts.queue += 1
                return
            if self._lost_lease or queue.finished:
                self._counts.unsent += 1
                return
            self._keep()

    def _bury(self) -> None:
        """Count what replicas that have died took with them, and forget them."""
        consumers: Any = self._redis.xinfo_consumers(self._stream, GROUP)
        for consumer in consumers:
            name = consumer["name"].decode()
            if name == self._token or self._redis.exists(self._queue.key(f"alive:{name}")):
                continue
            entries: Any = self._redis.xpending_range(self._stream, GROUP, "-", "+", 1000, consumername=name)
            ids = [entry["message_id"] for entry in entries]
            if ids:
                self._redis.xdel(self._stream, *ids)
                self._redis.xack(self._stream, GROUP, *ids)
                self._counts.lost += len(ids)
                LOG.warning("another replica has died with %d frames", len(ids))
            self._redis.xgroup_delconsumer(self._stream, GROUP, name)

    def _ask(self, what: Callable[[], Any]) -> Any:
        """Return the answer, None where there was none."""
        try:
            answer = what()
        except redis.ResponseError as error:
            if "NOGROUP" in str(error) or "no such key" in str(error):  # nobody takes yet
                return None
            time.sleep(self._trouble.came(error))
            return None
        except redis.RedisError as error:
            time.sleep(self._trouble.came(error))
            return None
        self._trouble.over()
        return answer


def _place_text(place: Place) -> str:
    return f"{place.number} {place.lap} {place.index} {place.taken}"
