"""Plain FastAPI on uvicorn with uvloop and httptools; the JPEG is the body, as in our own protocol.

One process: its event loop reads and writes, a pool of threads decodes and infers. No response model, no access log.
"""

from __future__ import annotations

import json
import sys

import uvicorn
from fastapi import FastAPI, Request, Response

from tests.bench.serving.peers.model import PooledModel

app = FastAPI()
model = PooledModel()


@app.post("/sedna/predict")
async def predict(request: Request) -> Response:
    """Return the boxes of a picture."""
    boxes = await model.ask(await request.body())
    return Response(json.dumps({"result": boxes}), media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False)
