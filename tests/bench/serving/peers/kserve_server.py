"""A custom predictor of KServe's SDK: the JPEG is the body of `:predict`, which hands it over as it is.

Its Open Inference Protocol would be the other way, but SDK 0.21 makes text of a binary BYTES tensor over HTTP, which a JPEG is
not; and base64 in JSON costs more. One worker process with uvloop; no gRPC server beside it, no log of each request's latency;
`predict` is a coroutine, so that the event loop stays free, and returns bytes, which are sent as they are.
"""

from __future__ import annotations

import json
import logging
import sys

from kserve import Model, ModelServer

from tests.bench.serving.peers.model import PooledModel


class FacePredictor(Model):
    """One picture in, its boxes out."""

    def __init__(self) -> None:
        super().__init__("model")
        self._model = PooledModel()
        self.ready = True

    async def predict(self, payload: bytes, headers: dict[str, str] | None = None) -> bytes:
        """Return the boxes of a picture."""
        return json.dumps({"predictions": await self._model.ask(payload)}).encode()


if __name__ == "__main__":
    logging.disable(logging.INFO)
    server = ModelServer(
        http_port=int(sys.argv[1]), workers=1, enable_grpc=False, enable_latency_logging=False, event_loop="uvloop"
    )
    server.start([FacePredictor()])
