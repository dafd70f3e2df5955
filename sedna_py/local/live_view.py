"""A run as it happens: a panel that redraws itself on a terminal, one plain line every few seconds elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sedna_py.decision_log import DecisionRecord
from sedna_py.local import formats
from sedna_py.local.live_stats import LiveSnapshot, LiveStats, sparkline

PLAIN_SECONDS = 5.0  # between two lines where nobody can redraw


class LiveView:
    """Shows one run; use as a context manager and call `update` whenever there may be something new.

    The caller polls and sleeps; the view keeps no thread and no clock.
    """

    def __init__(self, title: str, total: int | None = None, console: Console | None = None) -> None:
        self.stats = LiveStats()
        self._title = title
        self._total = total
        self._console = console or Console()
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._said: float | None = None
        self._last: LiveSnapshot | None = None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()
        elif self._last is not None:
            self._say(self._last)

    def update(self, records: Iterable[DecisionRecord], now: float) -> None:
        """Add what is new and show the state at `now`, seconds since the epoch."""
        for record in records:
            self.stats.add(record)
        self._last = self.stats.snapshot(now)
        if self._live is not None:
            self._live.update(panel(self._title, self._last, self._total), refresh=True)
        elif self._said is None or now - self._said >= PLAIN_SECONDS:
            self._said = now
            self._say(self._last)

    def _say(self, snapshot: LiveSnapshot) -> None:
        line = plain_line(self._title, snapshot, self._total)
        self._console.print(Text(line), soft_wrap=True, highlight=False)


def panel(title: str, snapshot: LiveSnapshot, total: int | None) -> Panel:
    """Return the state as a panel."""
    grid = Table.grid(padding=(0, 3))
    numbers = [_pair(name, value) for name, value in _numbers(snapshot)]
    grid.add_row(*numbers[:4])
    grid.add_row(*numbers[4:])
    parts: list[RenderableType] = [_progress(snapshot, total), grid]
    parts.append(_pair("fallbacks", formats.causes(snapshot.fallbacks)))
    parts.append(_pair("edge score", sparkline(snapshot.scores) or formats.ABSENT))
    parts.append(_pair("last", _last(snapshot)))
    return Panel(Group(*parts), title=Text(formats.printable(title), style="bold"), title_align="left")


def plain_line(title: str, snapshot: LiveSnapshot, total: int | None) -> str:
    """Return the state as one line of plain text."""
    figures = ", ".join(f"{name} {value}" for name, value in _numbers(snapshot))
    told = f"{formats.printable(title)}: {_done(snapshot, total)}, {figures}, fallbacks {formats.causes(snapshot.fallbacks)}"
    return told.replace(formats.SPACE, " ")


def _numbers(snapshot: LiveSnapshot) -> list[tuple[str, str]]:
    return [
        ("frames/s", formats.number(snapshot.frames_per_second, 1)),
        ("hard", formats.percent(snapshot.hard_share)),
        ("sent", formats.kilobytes(snapshot.bytes_sent)),
        ("cloud p50", formats.milliseconds(snapshot.cloud_p50_ms)),
        ("frames waiting", formats.number(snapshot.frames_waiting)),
        ("offloads in flight", formats.number(snapshot.offloads_waiting)),
        *([("late answers", formats.number(snapshot.late))] if snapshot.late else []),
    ]


def _done(snapshot: LiveSnapshot, total: int | None) -> str:
    of = f" of {formats.number(total)}" if total else ""
    return f"{formats.number(snapshot.frames)}{of} frames"


def _progress(snapshot: LiveSnapshot, total: int | None) -> RenderableType:
    done = Text(_done(snapshot, total))
    if not total:
        return done
    row = Table.grid(padding=(0, 2))
    row.add_row(done, ProgressBar(total=total, completed=min(snapshot.frames, total), width=32))
    return row


def _pair(name: str, value: str) -> Text:
    return Text.assemble((f"{name} ", "dim"), (value, "bold"), overflow="ellipsis", no_wrap=True)


def _last(snapshot: LiveSnapshot) -> str:
    record = snapshot.last
    if record is None:
        return "no frame yet"
    cause = f" ({record.cause.value.replace('_', ' ')})" if record.cause else ""
    return formats.printable(f"frame {record.frame} {record.path}{cause}: {record.reason}")
