"""The model as every peer runs it: full decode, the estimator's own hooks, OpenVINO with its throughput hint.

Runs in the environments of the peers, so it imports nothing of the workers.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import openvino as ov

from sedna_py.estimator import import_object

SPARE = 2  # threads that decode while the streams compute


class Model:
    """MODEL_URL with the code that ESTIMATOR names; `streams` 0: as many as OpenVINO takes for throughput."""

    def __init__(self, streams: int = 0) -> None:
        cv2.setNumThreads(1)  # requests run in parallel; OpenCV's own threads would only get in their way
        self._estimator = import_object(os.environ["ESTIMATOR"])()
        bound = {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": streams}
        graph = self._estimator.load(os.environ["MODEL_URL"])
        self._compiled = ov.Core().compile_model(graph, "CPU", bound if streams else {"PERFORMANCE_HINT": "THROUGHPUT"})
        self._names = [output.any_name for output in self._compiled.outputs]
        self.streams = int(self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._own = threading.local()
        _, black = cv2.imencode(".jpg", np.zeros((480, 640, 3), np.uint8))
        self.boxes(black.tobytes())  # before anybody waits for it

    def boxes(self, jpeg: bytes) -> list[list[float]]:
        """Return the boxes of one picture; each calling thread has an inference request of its own."""
        request = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self._compiled.create_infer_request()
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        inputs, meta = self._estimator.preprocess(picture)
        found = request.infer(dict(inputs), share_inputs=True, share_outputs=True)
        return self._estimator.postprocess({name: found[i] for i, name in enumerate(self._names)}, meta)


class PooledModel(Model):
    """For a server with an event loop: a thread for each stream, and some more.

    An AsyncInferQueue started from such threads answered a tenth fewer per processor second (FastAPI on two cores: 243 of 268):
    its callbacks are one more change of threads for each request, and a blocking inference lets go of the interpreter all the
    same. From two to six threads made no difference.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pool = ThreadPoolExecutor(self.streams + SPARE)

    async def ask(self, jpeg: bytes) -> list[list[float]]:
        """Return the boxes of one picture."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self.boxes, jpeg)
