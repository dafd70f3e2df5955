"""A network camera at the edge: a clip as an MJPEG stream, at a rate that a test turns up and down while it runs.

`python -m tests.e2e.camera --clip walk.mp4 --port 8554`: `GET /video` is the stream, `PUT /rate` with a number as its body sets
the frames per second of every viewer. 0 holds the picture still: nothing is sent, and the connection stays.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from pathlib import Path

import cv2
from aiohttp import web

BOUNDARY = "frame"
QUALITY = 85
MOST_FRAMES = 120  # 15 MB as JPEG
FASTEST = 1000.0  # frames/s


class Camera:
    """The clip as JPEGs, played in a circle to everybody who looks."""

    def __init__(self, clip: Path, first: int, rate: float) -> None:
        self._pictures = encoded(clip, first)
        self._rate = rate
        self._turned = asyncio.Event()

    async def video(self, request: web.Request) -> web.StreamResponse:
        """Send pictures until the viewer goes away."""
        response = web.StreamResponse(headers={"Content-Type": f"multipart/x-mixed-replace; boundary={BOUNDARY}"})
        await response.prepare(request)
        loop = asyncio.get_running_loop()
        due = loop.time()
        number = 0
        with contextlib.suppress(ConnectionError):
            while True:
                await self._wait_until(due)
                picture = self._pictures[number % len(self._pictures)]
                head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                await response.write(head.encode() + picture + b"\r\n")
                number += 1
                # A viewer that was slow is not sent what it missed: a camera has no past.
                due = max(due + 1 / max(self._rate, 1e-3), loop.time() - 1 / max(self._rate, 1e-3))
        return response

    async def set_rate(self, request: web.Request) -> web.Response:
        """Change the rate at once, also for a viewer that waits for a slow one's next picture."""
        try:
            rate = float(await request.text())
        except ValueError:
            raise web.HTTPBadRequest(text="write a number of frames per second") from None
        self._rate = min(max(rate, 0.0), FASTEST)
        self._turned.set()
        self._turned = asyncio.Event()
        return web.Response(text=f"{self._rate:g}\n")

    async def _wait_until(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        while self._rate == 0 or due > loop.time():
            turned = self._turned
            pause = None if self._rate == 0 else due - loop.time()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await turned.wait()
                due = loop.time()


def encoded(clip: Path, first: int = 0) -> list[bytes]:
    """Return pictures of the clip, from this one on, as JPEGs."""
    capture = cv2.VideoCapture(str(clip))
    capture.set(cv2.CAP_PROP_POS_FRAMES, first)
    pictures = []
    while len(pictures) < MOST_FRAMES:
        read, picture = capture.read()
        if not read:
            break
        pictures.append(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())
    capture.release()
    if not pictures:
        raise SystemExit(f"no picture in {clip}")
    return pictures


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--first", type=int, default=0, help="the picture of the clip to begin with")
    parser.add_argument("--rate", type=float, default=1.0)
    chosen = parser.parse_args()

    async def make() -> web.Application:
        camera = Camera(chosen.clip, chosen.first, chosen.rate)
        app = web.Application()
        app.add_routes([web.get("/video", camera.video), web.put("/rate", camera.set_rate)])
        return app

    web.run_app(make(), port=chosen.port, print=None, access_log=None, shutdown_timeout=0.5)


if __name__ == "__main__":
    main()
