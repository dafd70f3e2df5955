"""A server of KServe, run by the Python that has it: `... port`. Its model `mean` sees one box as bright as the picture."""

from __future__ import annotations

import io
import sys
from base64 import b64decode
from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from PIL import Image


class Mean(Model):
    """Takes one picture as base64: KServe's server cannot take BYTES that are no text in the binary form."""

    def __init__(self) -> None:
        super().__init__("mean")
        self.ready = True

    def predict(self, payload: InferRequest, headers: Any = None, response_headers: Any = None) -> InferResponse:
        """Return `detections`."""
        picture = Image.open(io.BytesIO(b64decode(payload.inputs[0].data[0])))
        width, height = picture.size
        row = [1, 1, width - 2, height - 2, np.asarray(picture).mean() / 255, 5]
        output = InferOutput("detections", [1, 6], "FP32")
        output.set_data_from_numpy(np.array([row], np.float32), binary_data=False)
        return InferResponse(payload.id, self.name, [output])


ModelServer(http_port=int(sys.argv[1]), enable_grpc=False, workers=1).start([Mean()])
