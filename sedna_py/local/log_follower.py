"""Follows a decision log while a worker writes it."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from sedna_py.decision_log import DecisionRecord, read_records
from sedna_py.errors import MalformedBody

MOST_BYTES = 4 << 20  # read by one poll; what is beyond waits for the next
LONGEST_LINE = 1 << 20  # a record has a few kB; a longer line is no decision log


class LogFollower:
    """Returns the records that were added since the last poll.

    The file may not exist yet, may end in the middle of a line, and may be cut or replaced by a new run: then it is
    read from its start. Between polls no file is open.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: tuple[int, int] | None = None  # device and inode: tells a new file under the old name
        self._offset = 0
        self._torn = b""
        self._lines: deque[bytes] = deque()
        self._number = 0

    def poll(self) -> list[DecisionRecord]:
        """Return the new records at once, none where there is nothing new.

        Raises MalformedBody for a line that is no record, once: what stands before it is returned first, and the next
        poll goes on behind it.
        """
        if not self._lines:
            self._read()
        records: list[DecisionRecord] = []
        while self._lines:
            try:
                records.extend(self._parse(self._lines[0]))
            except MalformedBody:
                if records:
                    break
                self._drop_first()
                raise
            self._drop_first()
        return records

    def _read(self) -> None:
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                if (status.st_dev, status.st_ino) != self._file or status.st_size < self._offset:
                    self._restart((status.st_dev, status.st_ino))
                file.seek(self._offset)
                chunk = file.read(MOST_BYTES)
        except FileNotFoundError:
            self._restart(None)
            return
        self._offset += len(chunk)
        self._split(chunk)

    def _restart(self, file: tuple[int, int] | None) -> None:
        self._file, self._offset, self._torn, self._number = file, 0, b"", 0

    def _split(self, chunk: bytes) -> None:
        *lines, self._torn = (self._torn + chunk).split(b"\n")
        self._lines.extend(lines)
        if len(self._torn) > LONGEST_LINE:
            self._torn = b""
            raise MalformedBody(f"{self._path} has a line of more than {LONGEST_LINE} bytes; name a decision log")

    def _drop_first(self) -> None:
        self._lines.popleft()
        self._number += 1

    def _parse(self, line: bytes) -> list[DecisionRecord]:
        try:
            return list(read_records([line.decode() + "\n"]))
        except (MalformedBody, UnicodeDecodeError) as error:
            why = error.__cause__ or error
            raise MalformedBody(f"{self._path}:{self._number + 1} is not a decision record: {why}") from error
