"""What a request costs the load test itself: `python -m tests.sedna_py.load_test.client_cost [loops ...]`.

The server is another process, as trivial as one can be, so that the processor time of this one is the client's alone.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace

from sedna_py.load_test.options import Arrivals, LoadOptions
from sedna_py.load_test.report import render
from sedna_py.load_test.runner import event_loop_factory, run

JPEG_BYTES = 20_000
REPLY = b'{"result":[[10,20,30,40,0.9,1]]}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\ndate: Sat, 21 Nov 2026 17:00:00 GMT\r\nserver: uvicorn\r\ncontent-type: application/json\r\n"
    b"server-timing: read;dur=0.1, queue;dur=0.2, decode;dur=2.1, infer;dur=8.123\r\ncontent-length: %d\r\n\r\n%b"
) % (len(REPLY), REPLY)


class Trivial(asyncio.Protocol):
    """Answers when as many bytes have come as the first request on the connection has."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.whole, self.seen = transport, 0, 0

    def data_received(self, data: bytes) -> None:
        if not self.whole:
            head = data.index(b"\r\n\r\n") + 4
            at = data.index(b"Content-Length: ") + 16
            self.whole = head + int(data[at : data.index(b"\r", at)])
        self.seen += len(data)
        if self.seen >= self.whole:
            self.seen = 0
            self.transport.write(ANSWER)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Trivial, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main(loops: list[str]) -> None:
    with subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True) as server:
        try:
            port = int(server.stdout.readline())
            image = b"\xff\xd8\xff" + bytes(JPEG_BYTES)
            closed = LoadOptions(
                f"http://127.0.0.1:{port}", [image], connections=4, seconds=3, warmup_s=1, pid=server.pid
            )
            for name in loops or ["asyncio", "uvloop"]:
                factory = event_loop_factory() if name == "uvloop" else asyncio.new_event_loop
                for options in (
                    closed,
                    *(replace(closed, rate=rate, arrivals=Arrivals.POISSON) for rate in (100.0, 1000.0)),
                ):
                    with asyncio.Runner(loop_factory=factory) as runner:
                        report = runner.run(run(options))
                    cost = report.client_cpu_s / max(report.answers_per_s * report.seconds, 1) * 1e6
                    print(f"--- {name}: {cost:.0f} us of processor time a request\n{render(report)}\n")
        finally:
            server.kill()


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        asyncio.run(serve())
    else:
        main(sys.argv[1:])
