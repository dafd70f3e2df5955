"""The node-local directory that replicas meet in: who captures, who is alive, how far the sources have been handed out.

Both kinds of lock are `flock`s: the kernel takes them back from a process that dies, however it does. Files of a folder:

    lock            held by the capturer
    notice          the capturer's socket, replaced as a whole
    places          the run and how far each source has got (PlaceFile)
    m-<token>       one a replica, held by it; its text is the run that the replica takes frames of
    s-<token>       the capturer's socket
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import secrets
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workers.edge.sharing.exchange import Place

VERSION: Final = 1  # of the files and of what goes over the socket; replicas of another one use another folder
LONGEST_NAME: Final = 120  # characters of a folder's readable part; a file name may have 255 bytes
_MAGIC: Final = b"SEDNASH1"
_HEAD: Final = struct.Struct("<8s16s?I")  # magic, run, ended, how many sources
_PLACE: Final = struct.Struct("<QQqQ")  # number, lap, index, taken
_PLACES_AT: Final = 4096  # behind the names


@dataclass(frozen=True, slots=True)
class Notice:
    """Where the capturer of a run is to be found."""

    socket: str
    run: str


class SharedDirectory:
    """A folder of `root` that only this user may enter, and this process's membership of it."""

    def __init__(self, root: Path, name: str) -> None:
        """Make what is not there. Raises OSError where that cannot be, or where somebody else could reach it."""
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = root / name
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        self.path = path
        # By its descriptor from here on: a socket's path may have 107 bytes, and this folder's may have more.
        self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        self._lock: int | None = None
        self.token = secrets.token_hex(8)
        try:
            self._check()
            self._member = self._join()
        except OSError:
            os.close(self._folder)
            raise

    def try_lock(self) -> bool:
        """Become the one that holds the lock; False while somebody does."""
        file = os.open("lock", os.O_RDWR | os.O_CREAT, 0o600, dir_fd=self._folder)
        if not _flock(file):
            os.close(file)
            return False
        self._lock = file
        return True

    def unlock(self) -> None:
        """Let somebody else have the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def address(self, socket: str) -> str:
        """Return the address of a socket in this folder, short however deep the folder is."""
        return f"ipc:///proc/self/fd/{self._folder}/{socket}"

    def announce(self, notice: Notice) -> None:
        """Tell the others where the capturer is."""
        own = f"notice-{self.token}"
        file = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600, dir_fd=self._folder)
        with os.fdopen(file, "w") as stream:
            json.dump({"socket": notice.socket, "run": notice.run}, stream)
        os.replace(own, "notice", src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def notice(self) -> Notice | None:
        """Return where the last capturer was to be found; None if there has been none."""
        try:
            text = json.loads(self._read("notice"))
            return Notice(str(text["socket"]), str(text["run"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def takes_part(self, run: str) -> None:
        """Note which run this replica takes frames of: while such a one lives, the run is not over."""
        os.pwrite(self._member, run.encode(), 0)

    def others_in(self, run: str) -> bool:
        """Tell whether another replica that takes frames of this run is alive."""
        return any(self.is_alive(token) and self._run_of(token) == run for token in self.members())

    def members(self) -> list[str]:
        """Return the tokens of the other replicas that have been here, dead ones too."""
        names = os.listdir(self._folder)  # noqa: PTH208 - by its descriptor
        return [name[2:] for name in names if name.startswith("m-") and name[2:] != self.token]

    def is_alive(self, token: str) -> bool:
        """Tell whether the replica with this token lives; what is left of a dead one is removed."""
        name = f"m-{token}"
        try:
            file = os.open(name, os.O_RDWR, dir_fd=self._folder)
        except OSError:
            return False
        try:
            if not _flock(file):
                return True
            self._remove(name)  # while it is held: whoever makes it just now looks whether it is still there
            return False
        finally:
            os.close(file)

    def sweep(self) -> None:
        """Remove what dead replicas have left behind; only for the holder of the lock."""
        for token in self.members():
            self.is_alive(token)
        for name in os.listdir(self._folder):  # noqa: PTH208 - as in `members`
            if name.startswith("s-") or (name.startswith("notice-") and name != f"notice-{self.token}"):
                self._remove(name)

    def places(self) -> PlaceFile:
        """Open the file of places; only for the holder of the lock, who closes it."""
        return PlaceFile(os.open("places", os.O_RDWR | os.O_CREAT, 0o600, dir_fd=self._folder))

    def close(self) -> None:
        """Leave: the others see it at once."""
        self.unlock()
        self._remove(f"m-{self.token}")
        os.close(self._member)
        os.close(self._folder)

    def _check(self) -> None:
        found = os.fstat(self._folder)
        if found.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, f"it belongs to user {found.st_uid}, this is {os.geteuid()}")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise PermissionError(errno.EPERM, f"its mode is {stat.S_IMODE(found.st_mode):o}, 700 is wanted")

    def _join(self) -> int:
        while True:
            file = os.open(f"m-{self.token}", os.O_RDWR | os.O_CREAT, 0o600, dir_fd=self._folder)
            # Somebody who took it for a dead one's may have removed it before it was held.
            if _flock(file) and os.fstat(file).st_nlink:
                return file
            os.close(file)

    def _run_of(self, token: str) -> str:
        try:
            return self._read(f"m-{token}").decode()
        except OSError:
            return ""

    def _read(self, name: str) -> bytes:
        file = os.open(name, os.O_RDONLY, dir_fd=self._folder)
        try:
            return os.read(file, 4096)
        finally:
            os.close(file)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self._folder)


class PlaceFile:
    """Which run it is, and how far each source has been handed out: one small write a frame, which outlasts a `kill -9`.

    It is not flushed to a disk: after the machine's end every replica begins anew anyway.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._slots: dict[str, int] = {}

    def read(self) -> tuple[str, bool, dict[str, Place]]:
        """Return run, whether it has ended, and the places by source; no run where there is none that can be read."""
        head = os.pread(self._file, _HEAD.size, 0)
        if len(head) < _HEAD.size:
            return "", False, {}
        magic, run, ended, count = _HEAD.unpack(head)
        if magic != _MAGIC:
            return "", False, {}
        try:
            names = json.loads(os.pread(self._file, _PLACES_AT - _HEAD.size, _HEAD.size).rstrip(b"\0"))
        except ValueError:
            return "", False, {}
        self._slots = {name: slot for slot, name in enumerate(names[:count])}
        found = {name: self._read_place(slot) for name, slot in self._slots.items()}
        return run.rstrip(b"\0").decode(), ended, found

    def begin(self, run: str) -> None:
        """Begin a new run, in which nothing has been handed out."""
        os.ftruncate(self._file, 0)
        self._slots = {}
        self._write_head(run, ended=False)

    def end(self, run: str) -> None:
        """Note that nothing is left of the sources."""
        self._write_head(run, ended=True)

    def know(self, run: str, sources: Mapping[str, Place]) -> None:
        """Make room for the places of these sources."""
        for source, place in sources.items():
            if source not in self._slots:
                self._slots[source] = len(self._slots)
                self.note(source, place)
        self._write_head(run, ended=False)

    def note(self, source: str, place: Place) -> None:
        """Write a place down; before the frame leaves, so that nobody hands it out again."""
        at = _PLACES_AT + self._slots[source] * _PLACE.size
        os.pwrite(self._file, _PLACE.pack(place.number, place.lap, place.index, place.taken), at)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _read_place(self, slot: int) -> Place:
        raw = os.pread(self._file, _PLACE.size, _PLACES_AT + slot * _PLACE.size)
        return Place(*_PLACE.unpack(raw)) if len(raw) == _PLACE.size else Place()

    def _write_head(self, run: str, *, ended: bool) -> None:
        names = json.dumps(list(self._slots)).encode()
        if len(names) > _PLACES_AT - _HEAD.size:
            raise OSError(errno.ENAMETOOLONG, "the names of the sources are too long for the file of places")
        head = _HEAD.pack(_MAGIC, run.encode(), ended, len(self._slots))
        os.pwrite(self._file, (head + names).ljust(_PLACES_AT, b"\0"), 0)


def folder_name(namespace: str, service: str, digest: str) -> str:
    """Return the folder of a service's sources: readable, and another one for every other (digest)."""
    readable = re.sub(r"[^\w.-]", "_", f"{namespace}.{service}", flags=re.ASCII)[:LONGEST_NAME]
    return f"{readable}-{digest}"


def _flock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
