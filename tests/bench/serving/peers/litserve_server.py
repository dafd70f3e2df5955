"""LitServe: the JPEG is the body; a server process reads and writes, worker processes decode and infer.

Measured on two cores at 32 connections, answers per processor second: a model of one stream in each of three workers 221, of
two 217 (but fewer a second, as a core idles while its worker fetches the next request); one worker that gets batches of 32, 16
or 8 and runs their pictures in threads 205, 202, 199; one with coroutines over those threads 187. `fast_queue` (ZeroMQ) is
better in all of them. So each core has a worker, and there is one more; its price is the memory of as many models.
"""

import os
import sys
from typing import Annotated

import litserve
from fastapi import Body

from tests.bench.serving.peers.model import Model

WORKERS = len(os.sched_getaffinity(0)) + 1
Jpeg = Annotated[bytes, Body(media_type="image/jpeg")]


class FaceApi(litserve.LitAPI):
    """One picture in, its boxes out."""

    def setup(self, device: str) -> None:
        """Load the model, in a worker."""
        self._model = Model(streams=1)

    # The route is made of its annotation.
    def decode_request(self, request: Jpeg) -> bytes:
        """Return the picture as it came."""
        return request

    def predict(self, x: bytes) -> list[list[float]]:
        """Return the boxes of a picture."""
        return self._model.boxes(x)

    def encode_response(self, output: list[list[float]]):
        """Return what becomes the JSON of the answer."""
        return {"result": output}


if __name__ == "__main__":
    server = litserve.LitServer(
        FaceApi(api_path="/model/predict"), accelerator="cpu", workers_per_device=WORKERS, fast_queue=True
    )
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error", access_log=False)
