"""A custom runtime of MLServer: the JPEG is the body of a custom handler's address.

Its inference protocol over HTTP is JSON only (1.7), so a picture would travel as base64 in it, which costs more. One process
(parallel_workers=0: a pool of worker processes would each have the model, and each request would be copied to one), uvloop, no
access log, no compression, no metrics server beside it.
"""

import asyncio
import json
import sys

import uvloop
from fastapi import Request, Response
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.handlers import custom_handler

from sedna_py.local.ports import free_port
from tests.bench.serving.peers.model import PooledModel


class FaceRuntime(MLModel):
    """One picture in, its boxes out."""

    async def load(self) -> bool:
        """Load the model."""
        self._model = await asyncio.to_thread(PooledModel)
        return True

    # Its annotations must be classes: the route is made of them.
    @custom_handler(rest_path="/model/predict")
    async def picture(self, request: Request) -> Response:
        """Return the boxes of a picture."""
        boxes = await self._model.ask(await request.body())
        return Response(json.dumps({"result": boxes}), media_type="application/json")


async def serve(port: int) -> None:
    """Serve until a signal."""
    settings = Settings(
        debug=False,
        host="127.0.0.1",
        http_port=port,
        grpc_port=free_port(),
        parallel_workers=0,
        metrics_endpoint=None,
        gzip_enabled=False,
    )
    await MLServer(settings).start([ModelSettings(name="model", implementation=FaceRuntime)])


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
