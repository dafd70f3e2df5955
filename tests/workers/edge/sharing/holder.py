"""A replica to be killed: `python -m tests.workers.edge.sharing.holder WHERE FRAMES` takes so many frames and then hangs.

It prints each frame's number. The source has 200 frames.
"""

from __future__ import annotations

import sys
import threading

from tests.workers.edge.fakes import FakeSource
from tests.workers.edge.sharing.replicas import ExchangeAt, Replica


def main() -> None:
    where, frames = sys.argv[1], int(sys.argv[2])
    replica = Replica(ExchangeAt(where)(), lambda: FakeSource(200))
    replica.reader.start()
    for _ in range(frames):
        frame = replica.reader.buffer.get(60)
        assert frame is not None
        print(frame.number, flush=True)
        replica.reader.buffer.done()
    threading.Event().wait(60)


if __name__ == "__main__":
    main()
