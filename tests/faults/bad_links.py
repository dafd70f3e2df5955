"""What can be wrong with the way to the cloud, and with what comes back on it: each fault by its name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from tests.faults.far_cloud import HUGE_REPLY, MALFORMED, OK, UNAVAILABLE, FarCloud
from tests.faults.toxiproxy import DOWN, Link

LOST_SHARE: Final = 0.1  # of the connections
SLOW_BYTE_US: Final = 100_000  # that a slow-loris reply takes for each of its bytes

Begin = Callable[[Link, FarCloud], None]

FAULTS: Final[Mapping[str, Begin]] = {
    "refused": lambda link, _: link.cut(),
    "black hole": lambda link, _: link.swallow(),
    "503 storm": lambda _, cloud: cloud.switch(UNAVAILABLE),
    "10 % of connections lost": lambda link, _: link.poison("reset_peer", DOWN, LOST_SHARE, timeout=0),
    "100 ms round trip": lambda link, _: link.delay(100),
    "500 ms round trip": lambda link, _: link.delay(500),
    "slow-loris replies": lambda link, _: link.poison(
        "slicer", DOWN, average_size=1, size_variation=0, delay=SLOW_BYTE_US
    ),
    "wrong JSON": lambda _, cloud: cloud.switch(MALFORMED),
    "huge replies": lambda _, cloud: cloud.switch(HUGE_REPLY),
}
FLAPPING: Final = "link up and down"


@contextmanager
def fault(name: str, link: Link, cloud: FarCloud, period_s: float = 5.0) -> Iterator[None]:
    """Have the fault inside the context; `period_s` is how long a flapping link is down, and then up again."""
    try:
        if name == FLAPPING:
            with _flapping(link, period_s):
                yield
        else:
            FAULTS[name](link, cloud)
            yield
    finally:
        link.heal()
        cloud.switch(OK)


@contextmanager
def _flapping(link: Link, period_s: float) -> Iterator[None]:
    ended = threading.Event()

    def flap() -> None:
        while not ended.is_set():
            link.cut()
            ended.wait(period_s)
            link.restore()
            ended.wait(period_s)

    thread = threading.Thread(target=flap, name="flapping")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
