from __future__ import annotations

import io
from collections.abc import Callable

from rich.console import Console

from sedna_py.decision_log import DecisionRecord, Path
from sedna_py.local.live_view import PLAIN_SECONDS, LiveView
from sedna_py.protocol.causes import OffloadCause

MakeRecord = Callable[..., DecisionRecord]


def console(terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=100, color_system=None), out


def test_without_a_terminal_there_is_one_line_every_few_seconds(make_record: MakeRecord) -> None:
    target, out = console(terminal=False)
    with LiveView("joint", total=3, console=target) as view:
        view.update([make_record(0)], now=1000.0)
        view.update([make_record(1)], now=1001.0)
        view.update([], now=1000.0 + PLAIN_SECONDS)
    lines = out.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "joint: 1 of 3 frames",
        "joint: 2 of 3 frames",
        "joint: 2 of 3 frames",  # the last state is always said
    ]
    assert "\x1b" not in out.getvalue()


def test_a_terminal_shows_the_panel(make_record: MakeRecord) -> None:
    target, out = console(terminal=True)
    fallback = make_record(
        1, hard=True, path=Path.FALLBACK, cause=OffloadCause.QUEUE_FULL, reason="mean score 0.41 [bold]", score=0.41
    )
    with LiveView("joint", total=2, console=target) as view:
        view.update([make_record(0, bytes_sent=5000), fallback], now=fallback.emitted)
    text = out.getvalue().replace("\u00a0", " ")
    assert "2 of 2 frames" in text
    assert "sent 5.0 kB" in text
    assert "fallbacks queue full 1" in text
    assert "frame 1 fallback (queue full): mean score 0.41 [bold]" in text
    assert "▇▄" in text


def test_a_run_without_frames_or_total_can_be_shown() -> None:
    for terminal in (True, False):
        target, out = console(terminal)
        with LiveView("edge only", console=target) as view:
            view.update([], now=0.0)
        assert "0 frames" in out.getvalue()


def test_what_a_source_says_cannot_steer_the_terminal(make_record: MakeRecord) -> None:
    target, out = console(terminal=True)
    with LiveView("joint", console=target) as view:
        view.update([make_record(0, reason="\x1b]0;owned\x07")], now=0.0)
    assert "\x1b]0;owned" not in out.getvalue()
