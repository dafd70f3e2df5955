"""What the machine can do without us: decode, pre-process, AsyncInferQueue; run as a process of its own.

    python -m tests.bench.limit CLIP ROUNDS [decode]

with MODEL_URL and ESTIMATOR in the environment; prints frames/s. With `decode` the model's own code also makes boxes of the
outputs, in the queue's callback.
"""

from __future__ import annotations

import os
import sys
import time

import cv2
import openvino as ov

from sedna_py.estimator import import_object
from workers.inference.detector import GenericDetector
from workers.inference.engine import EngineOptions, compile_model


def measure(clip: str, rounds: int, *, decode: bool) -> float:
    """Return frames/s from the first frame's decoding until the last inference."""
    reference = os.environ.get("ESTIMATOR")
    estimator = import_object(reference)() if reference else GenericDetector()
    compiled = compile_model(estimator.load(os.environ["MODEL_URL"]), EngineOptions())
    optimal = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
    queue = ov.AsyncInferQueue(compiled, optimal + 1)
    if decode:
        names = [output.any_name for output in compiled.outputs]

        def boxes(request: ov.InferRequest, meta: object) -> None:
            estimator.postprocess({name: request.get_output_tensor(i).data for i, name in enumerate(names)}, meta)

        queue.set_callback(boxes)
    play(clip, 1, estimator, queue, most=8)  # warm
    begun = time.perf_counter()
    frames = play(clip, rounds, estimator, queue)
    return frames / (time.perf_counter() - begun)


def play(clip: str, rounds: int, estimator, queue: ov.AsyncInferQueue, most: int = 0) -> int:
    """Send every frame of the clip through the queue; return how many there were."""
    frames = 0
    for _ in range(rounds):
        capture = cv2.VideoCapture(clip, cv2.CAP_FFMPEG)
        while True:
            read, picture = capture.read()
            if not read or (most and frames >= most):
                break
            inputs, meta = estimator.preprocess(picture)
            queue.start_async(dict(inputs), meta)
            frames += 1
        capture.release()
    queue.wait_all()
    return frames


if __name__ == "__main__":
    print(measure(sys.argv[1], int(sys.argv[2]), decode=sys.argv[3:] == ["decode"]))
