"""What the machine can do without us: decode, pre-process, AsyncInferQueue; run as a process of its own.

python -m tests.bench.limit CLIP ROUNDS      with MODEL_URL, ESTIMATOR in the environment; prints frames/s
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


def measure(clip: str, rounds: int) -> float:
    """Return frames/s from the first frame's decoding until the last inference: nothing is decoded from the outputs."""
    reference = os.environ.get("ESTIMATOR")
    estimator = import_object(reference)() if reference else GenericDetector()
    compiled = compile_model(estimator.load(os.environ["MODEL_URL"]), EngineOptions())
    optimal = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
    queue = ov.AsyncInferQueue(compiled, optimal + 1)
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
            queue.start_async(dict(estimator.preprocess(picture)[0]))
            frames += 1
        capture.release()
    queue.wait_all()
    return frames


if __name__ == "__main__":
    print(measure(sys.argv[1], int(sys.argv[2])))
